"""Distorted: a dataset whose images are moved, turned, resized and mirrored at random, anew each time they are taken.

More images than there are: a digit that lies two pixels further left is the same digit, and a network that has seen it
in many places cannot learn its place by heart.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..checks import integer, require
from ..random import default_generator
from .dataset import ArrayDataset, Dataset


class Distorted:
    """A dataset's images, each under a random affine map of its own, drawn when a batch is made.

    Pixel p, counted from the image's middle, of a distorted image is the original's at R(-angle) (p - move) / factor:
    the original is turned by the angle, anticlockwise, enlarged by the factor, then moved. Between four pixels the
    value is interpolated, linearly in each direction; outside of the image it is 0, the background. Labels stay as they
    are.

    Args:
        dataset: the original images; an ArrayDataset, or another of (B, C, H, W) batches.
        shift: the move is a whole number of pixels each way, at most so many.
        rotation: the angle in degrees is drawn evenly from -rotation to rotation.
        scale: the factor lies between 1 / (1 + scale) and 1 + scale; its logarithm is drawn evenly.
        flip: whether half of the images are mirrored, left to right, before all that.
        generator: where all this is drawn from; `minigrad.random.default_generator()` if not given.

    Raises:
        TypeError, ValueError: an argument is not what is said above, or the dataset's batches are made on a GPU.

    >>> from minigrad.data import ArrayDataset
    >>> one_pixel = np.zeros((1, 3, 5), np.uint8)
    >>> one_pixel[0, 1, 2] = 255
    >>> seed = np.random.default_rng(0)
    >>> moved = Distorted(ArrayDataset(one_pixel, [7]), shift=1, rotation=0, scale=0, generator=seed)
    >>> images, labels = moved.batch([0])
    >>> images[0, 0]
    array([[0., 0., 0., 0., 0.],
           [0., 0., 0., 0., 0.],
           [0., 0., 1., 0., 0.]], dtype=float32)
    """

    def __init__(
        self,
        dataset: Dataset,
        shift: int = 2,
        rotation: float = 10.0,
        scale: float = 0.1,
        flip: bool = False,
        generator: np.random.Generator | None = None,
    ) -> None:
        fits = isinstance(dataset, Dataset) and not isinstance(dataset, type)
        require(fits, "Distorted: a dataset has __len__ and batch(indices)", dataset)
        if isinstance(dataset, ArrayDataset) and dataset.backend is not None and dataset.backend.xp is not np:
            raise ValueError(f"Distorted: images are distorted on the host, these are on {dataset.backend.name}")
        require(isinstance(flip, bool), "Distorted: flip must be True or False", flip)
        fits = generator is None or isinstance(generator, np.random.Generator)
        hint = "np.random.default_rng(seed) makes one"
        require(fits, "Distorted: generator must be a numpy.random.Generator", generator, hint)
        self.dataset = dataset
        self.shift = integer("Distorted", "shift", shift, least=0)
        self.rotation = _amount("rotation", rotation)
        self.scale = _amount("scale", scale)
        self.flip = flip
        self._generator = generator

    @property
    def classes(self) -> tuple[str, ...]:
        """The dataset's names of the classes, where it has any."""
        return getattr(self.dataset, "classes", ())

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, indices: Any) -> tuple[np.ndarray, np.ndarray]:
        """The samples at B indices: distorted images (B, C, H, W) float32, labels (B,), both new arrays.

        Raises as the dataset's `batch` does.
        """
        images, labels = self.dataset.batch(indices)
        return _sampled(images, self._maps(len(images))), labels

    def _maps(self, count: int) -> np.ndarray:
        """Affine maps (B, 2, 3) from a pixel of a distorted image to a place in the original, (row, column, 1) each,
        from the middle."""
        generator = default_generator() if self._generator is None else self._generator
        move = generator.integers(-self.shift, self.shift, (2, count), endpoint=True)
        angle = np.radians(generator.uniform(-self.rotation, self.rotation, count))
        factor = (1 + self.scale) ** generator.uniform(-1, 1, count)
        mirror = np.where(generator.random(count) < 0.5, -1, 1) if self.flip else 1
        cos, sin = np.cos(angle) / factor, np.sin(angle) / factor
        back = np.empty((count, 2, 3))
        back[:, 0, 0], back[:, 0, 1] = cos, sin  # rows count downwards, so this turns clockwise: back
        back[:, 1, 0], back[:, 1, 1] = -sin * mirror, cos * mirror
        back[:, :, 2] = -(back[:, :, :2] @ move.T[:, :, None])[:, :, 0]
        return back

    def __repr__(self) -> str:
        amounts = f"shift={self.shift}, rotation={self.rotation:g}, scale={self.scale:g}, flip={self.flip}"
        return f"Distorted({self.dataset!r}, {amounts})"


def _amount(what: str, value: Any) -> float:
    fits = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    require(fits, f"Distorted: {what} must be a number", value)
    if not 0 <= value < math.inf:
        raise ValueError(f"Distorted: {what} must be finite and at least 0, got {value}")
    return float(value)


def _sampled(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Images (B, C, H, W) whose pixels are taken from the given ones where the maps (B, 2, 3) lead."""
    B, C, H, W = images.shape
    maps = maps.astype(images.dtype)[:, :, :, None, None]
    rows = np.arange(H, dtype=images.dtype)[:, None] - (H - 1) / 2
    columns = np.arange(W, dtype=images.dtype) - (W - 1) / 2
    # Zeros around, one before and two behind, are all that is seen from outside: places are moved to that border.
    padded = np.pad(images.swapaxes(0, 1), ((0, 0), (0, 0), (1, 2), (1, 2))).reshape(C, -1)
    places = []
    for m, size in ((maps[:, 0], H), (maps[:, 1], W)):
        place = m[:, 0] * rows + m[:, 1] * columns + (m[:, 2] + (size + 1) / 2)  # (B, H, W), in the padded image
        places.append(np.clip(place, 0, size + 1, out=place))
    row, column = places
    top, left = np.floor(row), np.floor(column)
    below, right = row - top, column - left  # how far from the pixel above, from the one on the left
    start = (np.arange(B)[:, None, None] * (H + 3) + top.astype(np.intp)) * (W + 3) + left.astype(np.intp)
    upper, lower = (
        (1 - right) * padded.take(at, axis=1) + right * padded.take(at + 1, axis=1) for at in (start, start + (W + 3))
    )  # (C, B, H, W)
    return np.ascontiguousarray(((1 - below) * upper + below * lower).swapaxes(0, 1))
