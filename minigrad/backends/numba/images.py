"""Batches of images; the twin of numpy/images.py. The batch comes out innermost, as the first convolution wants it."""

from __future__ import annotations

import numpy as np

from ..numpy import images as reference
from .compiler import compiled_kernel
from .memory import check_shape, contiguous, empty
from .tile import REGISTER_BYTES, turn_square

PIXELS = 64  # of an image that a task handles, and of each row of floats that is turned: some whole registers


def gather_images(images: np.ndarray, indices: np.ndarray) -> np.ndarray:
    if images.dtype != np.uint8:
        return reference.gather_images(images, indices)
    check_shape("the array of indices", indices, (len(indices),))
    if not images.flags.carray:  # read-only for example, a file mapped into memory: not to be copied for each batch
        images, indices = images.take(indices, axis=0), np.arange(len(indices))
    D, C, H, W = images.shape
    batch = empty((C, H, W, len(indices)), np.dtype("float32"))
    pixels = C * H * W
    rows, indices = images.reshape(D, pixels), contiguous(indices.astype(np.int64, copy=False))
    _gather_bytes(-(-pixels // PIXELS), rows, indices, batch.reshape(pixels, len(indices)))
    return batch.transpose(3, 0, 1, 2)


@compiled_kernel()
def _gather_bytes(first, last, images, indices, batch):
    """For as many images as a register has lanes: their pixels as rows of floats, then those turned in squares; the
    last images and pixels, which make no whole square, number by number."""
    (pixels, N), lanes = batch.shape, REGISTER_BYTES // batch.itemsize
    rows = np.empty((lanes, PIXELS), batch.dtype)
    for task in range(first, last):
        at = task * PIXELS
        size = min(PIXELS, pixels - at)
        for n in range(0, N, lanes):
            count = min(lanes, N - n)
            for i in range(count):
                image, row = images[indices[n + i]][at : at + size], rows[i]
                for p in range(size):
                    row[p] = np.float32(image[p]) / np.float32(255)
            turned = size // lanes * lanes if count == lanes else 0
            for p in range(0, turned, lanes):
                turn_square(rows, p, PIXELS, batch, (at + p) * N + n, N)
            for p in range(turned, size):
                for i in range(count):
                    batch[at + p, n + i] = rows[i, p]
