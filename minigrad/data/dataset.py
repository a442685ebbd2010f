"""Images and labels in memory: what a dataset is (`Dataset`), and the one made of two arrays (`ArrayDataset`).

Images stay as they came, a byte a pixel, and become float32 in [0, 1] a batch at a time. `fashion_mnist` and `mnist`
are ArrayDatasets; `loader` needs only a `Dataset`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

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
        images, labels = self.batch([index])
        return images[0], int(labels[0])

    def batch(self, indices: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """The samples at B indices, in their order: images (B, C, H, W) float32, labels (B,) int64, both new arrays.

        Raises:
            IndexError: an index out of range; negative ones count from the end.
            TypeError: the indices are not a one-dimensional sequence of integers.
        """
        indices = array("batch", "indices", indices)
        if indices.shape == (0,):
            indices = indices.astype(np.intp)
        if indices.ndim != 1 or indices.dtype.kind not in "iu":
            raise TypeError(f"batch: indices must be integers of shape (B,), got {indices.dtype} of {indices.shape}")
        try:
            images = self.images.take(indices, axis=0)
        except IndexError:
            got = f"{indices.min()} to {indices.max()}"
            raise IndexError(f"batch: an index is out of range for {len(self)} samples, got {got}") from None
        if images.dtype == np.uint8:
            images = np.divide(images, np.float32(255), dtype=np.float32)
        return images.reshape(len(images), *self._image_shape), self.labels.take(indices)

    def take(self, n: int) -> ArrayDataset:
        """The first n samples, sharing memory with this dataset.

        >>> len(ArrayDataset(np.zeros((5, 8, 8), dtype=np.uint8), [0] * 5).take(2))
        2
        """
        if integer("take", "n", n, least=0) > len(self):
            raise ValueError(f"take: n must be from 0 to {len(self)}, the number of samples, got {n}")
        return ArrayDataset(self.images[:n], self.labels[:n], self.classes)

    @property
    def _image_shape(self) -> tuple[int, ...]:
        return self.images.shape[1:] if self.images.ndim == 4 else (1, *self.images.shape[1:])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} images of shape {self._image_shape}, {self.images.dtype})"
