"""DataModule: where batches come from; and Fashion-MNIST, the book's data set of clothes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .. import data
from ..checks import integer, require
from ..nn.checks import flag
from ..tensor import Tensor
from .display import show_images
from .hyperparameters import HyperParameters


class DataModule(HyperParameters):
    """The base of data sets: define `get_dataloader`, and set `self.batch_size` where `get_tensorloader` shall be used.

    Args:
        root, num_workers: where the book's data lie and how many processes read them. Kept, and not used: minigrad's
            lie in the package, and a batch takes a small part of the time of a training step.
    """

    def __init__(self, root: str = "../data", num_workers: int = 4) -> None:
        self.save_hyperparameters()

    def get_dataloader(self, train: bool) -> Iterable[Sequence[Tensor]]:
        """The batches of an epoch, of the training data or the validation data; for a data set to define."""
        raise NotImplementedError(f"{type(self).__name__}: define get_dataloader(self, train)")

    def train_dataloader(self) -> Iterable[Sequence[Tensor]]:
        return self.get_dataloader(train=True)

    def val_dataloader(self) -> Iterable[Sequence[Tensor]] | None:
        return self.get_dataloader(train=False)

    def get_tensorloader(
        self, tensors: Sequence[Tensor], train: bool, indices: slice | Sequence[int] = slice(0, None)
    ) -> data.DataLoader:
        """Batches of `self.batch_size` from two tensors, inputs and labels, shuffled where they are to train with.

        Args:
            indices: which rows to take.

        Raises TypeError where there are not two Tensors, ValueError where they differ in length.
        """
        fits = isinstance(tensors, (tuple, list)) and [isinstance(t, Tensor) for t in tensors] == [True, True]
        require(fits, "get_tensorloader: expected two Tensors, inputs and labels", tensors, "write (X, y)")
        rows = [t.numpy()[indices] for t in tensors]
        if len(rows[0]) != len(rows[1]):
            raise ValueError(f"get_tensorloader: {len(rows[0])} inputs need as many labels, got {len(rows[1])}")
        return data.DataLoader(_Rows(*rows), self.batch_size, flag("get_tensorloader", "train", train))


class _Rows:
    """A Dataset of the rows of two arrays."""

    def __init__(self, inputs: np.ndarray, labels: np.ndarray) -> None:
        self.inputs, self.labels = inputs, labels

    def __len__(self) -> int:
        return len(self.inputs)

    def batch(self, indices: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
        return self.inputs[indices], self.labels[indices]


class FashionMNIST(DataModule):
    """60,000 images of clothes to train with and 10,000 to validate with, in ten classes.

    Args:
        batch_size: images a batch.
        resize: height and width of the images, which have 28 by 28 pixels; another size is interpolated linearly.

    Attributes:
        train, val: the two data sets, see `minigrad.data.FashionMNIST`.

    Raises TypeError, ValueError for sizes that are no integers from 1.

    >>> data = FashionMNIST(batch_size=128)
    >>> X, y = next(iter(data.get_dataloader(train=False)))
    >>> X.shape, data.text_labels(y[:2])
    ((128, 1, 28, 28), ['ankle boot', 'pullover'])
    """

    def __init__(self, batch_size: int = 64, resize: tuple[int, int] = (28, 28)) -> None:
        integer("FashionMNIST", "batch_size", batch_size, least=1)
        fits = isinstance(resize, (tuple, list)) and len(resize) == 2
        require(fits, "FashionMNIST: resize must be a height and a width", resize, "write resize=(32, 32)")
        height, width = (integer("FashionMNIST", "a size", size, least=1) for size in resize)
        super().__init__()
        self.save_hyperparameters(ignore=["fits", "height", "width"])
        self.train, self.val = (_resized(data.FashionMNIST(train), height, width) for train in (True, False))

    def get_dataloader(self, train: bool) -> data.DataLoader:
        """The batches of an epoch, the training data's shuffled anew each time."""
        train = flag("get_dataloader", "train", train)
        return data.DataLoader(self.train if train else self.val, self.batch_size, shuffle=train)

    def text_labels(self, indices: Iterable[Any]) -> list[str]:
        """The names of classes, given their numbers.

        Raises TypeError for what is no list of integers, ValueError or IndexError where there is no such class.
        """
        require(isinstance(indices, Iterable), "text_labels: the indices must be a list", indices)
        numbers = [integer("text_labels", "an index", i.item() if isinstance(i, Tensor) else i, 0) for i in indices]
        names = self.train.classes
        for number in numbers:
            if number >= len(names):
                raise IndexError(f"text_labels: there are {len(names)} classes, from 0, got {number}")
        return [names[number] for number in numbers]

    def visualize(self, batch: Sequence[Any], nrows: int = 1, ncols: int = 8, labels: Sequence[str] = ()) -> None:
        """Shows the first images of a batch with their names; outside a notebook in the file images.png.

        Args:
            batch: images (N, 1, H, W) and labels (N,).
            labels: what to write above them; by default the names of the classes.

        Raises TypeError where the batch is none, and as `show_images` does.
        """
        fits = isinstance(batch, (tuple, list)) and len(batch) == 2
        require(
            fits, "visualize: expected a batch, images and labels", batch, "write next(iter(data.val_dataloader()))"
        )
        X, y = batch
        show_images(X.squeeze(1), nrows, ncols, titles=labels or self.text_labels(y))


def _resized(dataset: data.ArrayDataset, height: int, width: int) -> data.ArrayDataset:
    """The data set in another size, a byte a pixel still, a thousand images at a time."""
    if (height, width) == dataset.images.shape[1:]:
        return dataset
    H, W = dataset.images.shape[1:]
    rows, columns = _interpolation(H, height), _interpolation(W, width)
    images = np.empty((len(dataset), height, width), np.uint8)
    for start in range(0, len(dataset), 1000):
        part = slice(start, start + 1000)
        # (N, height, width) = (height, H) @ (N, H, W) @ (W, width)
        images[part] = np.rint(rows @ dataset.images[part].astype(np.float32) @ columns.T)
    return data.ArrayDataset(images, dataset.labels, dataset.classes)


def _interpolation(given: int, wanted: int) -> np.ndarray:
    """The weights (wanted, given) of a linear interpolation: a triangle around each new pixel's place among the given
    ones, as wide as needed for each given one to count where there shall be fewer."""
    scale = given / wanted
    places = (np.arange(wanted) + 0.5) * scale - 0.5
    distances = np.abs(places[:, None] - np.arange(given)) / max(scale, 1.0)
    weights = np.maximum(0.0, 1.0 - distances)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
