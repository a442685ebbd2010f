"""DataLoader: one pass over a dataset, in order or shuffled, as batches of Tensors.

There are no worker processes: the datasets of `dataset` make a batch in a small part of the time that a training step
takes. Shuffles are drawn on the host, so a seed gives the same batches on every backend.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..backends import Backend, default_backend
from ..checks import integer, require
from ..random import default_generator
from ..tensor import Tensor
from .dataset import ArrayDataset, Dataset


class DataLoader:
    """An iterable of the batches of one epoch: pairs of Tensors, images and labels, on the backend that the dataset has
    been moved to, else on the default one.

    Each `iter(loader)` is an epoch of its own, with a shuffle of its own; several may be under way at once.

    Args:
        dataset: anything with `__len__` and `batch(indices) -> (images, labels)`, NumPy arrays both.
        batch_size: samples a batch; the last batch has fewer where the dataset's length is no multiple of it.
        shuffle: whether each epoch takes the samples in a new random order, drawn when the epoch begins.
        drop_last: whether to leave out a last batch that is not full.
        generator: where shuffles are drawn from; `minigrad.random.default_generator()` if not given.

    Raises:
        TypeError, ValueError: an argument is not what is said above.

    >>> import numpy as np
    >>> from minigrad.data import ArrayDataset
    >>> dataset = ArrayDataset(np.zeros((10, 28, 28), dtype=np.uint8), np.arange(10))
    >>> loader = DataLoader(dataset, batch_size=4, shuffle=True, generator=np.random.default_rng(0))
    >>> len(loader)
    3
    >>> for images, labels in loader:
    ...     print(images.shape, labels.numpy())
    (4, 1, 28, 28) [4 6 2 7]
    (4, 1, 28, 28) [3 5 9 0]
    (2, 1, 28, 28) [8 1]
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 128,
        shuffle: bool = False,
        drop_last: bool = False,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        fits = isinstance(dataset, Dataset) and not isinstance(dataset, type)
        hint = "minigrad.data.ArrayDataset makes one of two arrays"
        require(fits, "DataLoader: a dataset has __len__ and batch(indices)", dataset, hint)
        for name, flag in (("shuffle", shuffle), ("drop_last", drop_last)):
            require(isinstance(flag, bool), f"DataLoader: {name} must be True or False", flag)
        fits = generator is None or isinstance(generator, np.random.Generator)
        hint = "np.random.default_rng(seed) makes one"
        require(fits, "DataLoader: generator must be a numpy.random.Generator", generator, hint)
        self.dataset = dataset
        self.batch_size = integer("DataLoader", "batch_size", batch_size, least=1)
        self.shuffle = shuffle
        self.drop_last = drop_last
        self._generator = generator

    @property
    def generator(self) -> np.random.Generator:
        """The generator that shuffles are drawn from. Its `bit_generator.state`, saved between two epochs and put back
        later, makes the same epochs follow."""
        return default_generator() if self._generator is None else self._generator

    def __len__(self) -> int:
        """The number of batches an epoch."""
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        samples = len(self.dataset)
        order = self.generator.permutation(samples) if self.shuffle else np.arange(samples)
        home = self.dataset.backend if isinstance(self.dataset, ArrayDataset) else None
        return self._batches(order if home is None else home.from_numpy(order), len(self), home)

    def _batches(self, order: Any, count: int, home: Backend | None) -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(0, count * self.batch_size, self.batch_size):
            batch = self.dataset.batch(order[start : start + self.batch_size])
            if home is None and [isinstance(array, np.ndarray) for array in batch] != [True, True]:
                kinds = ", ".join(type(array).__name__ for array in batch)
                dataset = type(self.dataset).__name__
                raise TypeError(f"DataLoader: batch(indices) of {dataset} must return two NumPy arrays, got ({kinds})")
            images, labels = batch
            backend = home or default_backend()
            yield Tensor._wrap(backend.from_numpy(images), backend), Tensor._wrap(backend.from_numpy(labels), backend)
