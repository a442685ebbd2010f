"""Images and labels in memory: what a dataset is (`Dataset`), and the one made of two arrays (`ArrayDataset`).

Images stay as they came, a byte a pixel, and become float32 in [0, 1] a batch at a time. `fashion_mnist` and `mnist`
are ArrayDatasets; `loader` needs only a `Dataset`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from ..backends import Backend, get_backend
from ..checks import array, integer, require


@runtime_checkable
class Dataset(Protocol):
    """What a DataLoader needs: a length, and the samples at given indices as two arrays, images and labels."""

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]: ...


class ArrayDataset:
    """A dataset of the N images and N labels of two arrays, which are kept, not copied, wherever possible.

    Attributes:
        images: (N, H, W) or (N, C, H, W), uint8 or float32.
        labels: (N,), int64.
        classes: the names of the classes, label 0 first; empty where they have none.
        backend: where batches are made; None where that has not been chosen by `to`, for NumPy arrays.

    Args:
        images: (N, H, W), meaning one channel, or (N, C, H, W). uint8 pixels are divided by 255 when a batch is made;
            floating ones are passed on as float32, unscaled.
        labels: (N,) integers.
        classes: names for the classes.

    Raises:
        ValueError: a wrong number of dimensions, different numbers of images and labels, or a label without a class.
        TypeError: images neither uint8 nor floating, or labels that are not integers.

    >>> dataset = ArrayDataset(np.full((5, 28, 28), 51, dtype=np.uint8), [3, 1, 4, 1, 5])
    >>> dataset
    ArrayDataset(5 images of shape (1, 28, 28), uint8)
    >>> images, labels = dataset.batch([0, 2])
    >>> images.shape, images.dtype, float(images.max()), labels
    ((2, 1, 28, 28), dtype('float32'), 0.20000000298023224, array([3, 4]))
    """

    def __init__(self, images: ArrayLike, labels: ArrayLike, classes: Iterable[str] = ()) -> None:
        name = type(self).__name__
        images, labels = array(name, "images", images), array(name, "labels", labels)
        if images.dtype != np.uint8 and images.dtype.kind != "f":
            raise TypeError(
                f"{name}: images must be uint8 (0 to 255) or floating, got {images.dtype}: convert them first"
            )
        if images.ndim not in (3, 4):
            raise ValueError(f"{name}: images must have shape (N, H, W) or (N, C, H, W), got {images.shape}")
        if labels.ndim != 1 or len(labels) != len(images):
            raise ValueError(f"{name}: {len(images)} images need labels of shape ({len(images)},), got {labels.shape}")
        if labels.dtype.kind not in "iu":
            raise TypeError(f"{name}: labels must be integers, got {labels.dtype}")
        require(isinstance(classes, Iterable), f"{name}: classes must be a list of names", classes)
        classes = tuple(classes)
        if labels.size and not 0 <= labels.min() <= labels.max() < (len(classes) or np.inf):
            wanted = f"from 0 to {len(classes) - 1}, an index of classes" if classes else "from 0"
            raise ValueError(f"{name}: labels must lie {wanted}, got {labels.min()} to {labels.max()}")
        self.images = np.ascontiguousarray(images, dtype=np.uint8 if images.dtype == np.uint8 else np.float32)
        self.labels = labels.astype(np.int64)
        self.classes = classes
        self.backend: Backend | None = None
        self._images, self._labels = self._host_images, self.labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        """One sample: its image, float32 of shape (C, H, W), and its label.

        Raises:
            IndexError: no such sample (which also ends `for image, label in dataset`).
            TypeError: the index is not an integer; `take` and `batch` give more than one sample.
        """
        if not hasattr(index, "__index__") or isinstance(index, bool):
            raise TypeError(f"a dataset's index is an integer, got {index!r}; see take(n) and batch(indices)")
        (place,) = self._checked([index])
        sample = ArrayDataset(self.images[place : place + 1], self.labels[place : place + 1])
        return sample.batch([0])[0][0], int(self.labels[place])

    def batch(self, indices: Any) -> tuple[Any, Any]:
        """The samples at B indices, in their order: images (B, C, H, W) float32, labels (B,) int64, both new arrays.

        Args:
            indices: integers; negative ones count from the end. Those that are on the dataset's GPU already are taken
                as they are, from 0 and in range: to look at them would mean to wait.

        Returns: arrays of the dataset's backend, NumPy's by default.

        Raises:
            IndexError: an index out of range.
            TypeError: the indices are not a one-dimensional sequence of integers.
        """
        backend = self.backend or get_backend("numpy")
        if backend.xp is np or not isinstance(indices, backend.xp.ndarray):
            indices = backend.from_numpy(self._checked(indices))
        return backend.kernels.gather_images(self._images, indices), self._labels.take(indices)

    def _checked(self, given: ArrayLike) -> np.ndarray:
        """The indices as integers from 0, int64."""
        indices = array("batch", "indices", given)
        if indices.shape == (0,):
            return indices.astype(np.int64)
        if indices.ndim != 1 or indices.dtype.kind not in "iu":
            raise TypeError(f"batch: indices must be integers of shape (B,), got {indices.dtype} of {indices.shape}")
        least, most = np.minimum.reduce(indices), np.maximum.reduce(indices)
        samples = len(self._images)  # which compiled code will read, whatever `images` has been replaced by
        if not -samples <= least <= most < samples:
            raise IndexError(f"batch: an index is out of range for {samples} samples, got {least} to {most}")
        indices = indices.astype(np.int64)
        return indices if least >= 0 else np.where(indices < 0, indices + samples, indices)

    def to(self, backend: str | Backend) -> ArrayDataset:
        """The same samples, of which batches are made on that backend: on "cupy" all images lie on the GPU as they are,
        a byte a pixel, and no batch has to be sent there.

        `images` and `labels` stay NumPy arrays. Raises BackendError where there is no such backend.

        >>> dataset = ArrayDataset(np.zeros((5, 8, 8), dtype=np.uint8), [0] * 5).to("numpy")
        >>> dataset.backend, type(dataset.batch([0, 1])[0])
        (<backend numpy>, <class 'numpy.ndarray'>)
        """
        moved = copy.copy(self)
        moved.backend = get_backend(backend)
        moved._images, moved._labels = (moved.backend.from_numpy(a) for a in (self._host_images, self.labels))
        return moved

    def take(self, n: int) -> ArrayDataset:
        """The first n samples, sharing memory with this dataset.

        >>> len(ArrayDataset(np.zeros((5, 8, 8), dtype=np.uint8), [0] * 5).take(2))
        2
        """
        if integer("take", "n", n, least=0) > len(self):
            raise ValueError(f"take: n must be from 0 to {len(self)}, the number of samples, got {n}")
        taken = ArrayDataset(self.images[:n], self.labels[:n], self.classes)
        return taken if self.backend is None else taken.to(self.backend)

    @property
    def _host_images(self) -> np.ndarray:
        return self.images.reshape(len(self), *self._image_shape)

    @property
    def _image_shape(self) -> tuple[int, ...]:
        return self.images.shape[1:] if self.images.ndim == 4 else (1, *self.images.shape[1:])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} images of shape {self._image_shape}, {self.images.dtype})"
