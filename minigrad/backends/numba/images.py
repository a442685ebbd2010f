"""Batches of images; the twin of numpy/images.py. The batch comes out innermost, as the first convolution wants it."""

from __future__ import annotations

import numpy as np

from ..numpy import images as reference
from .compiler import compiled_kernel
from .memory import contiguous, empty

PIXELS = 64  # of an image that a task handles: with a batch of 128 they stay in the nearest cache


def gather_images(images: np.ndarray, indices: np.ndarray) -> np.ndarray:
    if images.dtype != np.uint8:
        return reference.gather_images(images, indices)
    D, C, H, W = images.shape
    batch = empty((C, H, W, len(indices)), np.dtype("float32"))
    pixels = C * H * W
    rows, indices = contiguous(images).reshape(D, pixels), contiguous(indices.astype(np.int64, copy=False))
    _gather_bytes(-(-pixels // PIXELS), rows, indices, batch.reshape(pixels, len(indices)))
    return batch.transpose(3, 0, 1, 2)


@compiled_kernel()
def _gather_bytes(first, last, images, indices, batch):
    pixels, N = batch.shape
    for task in range(first, last):
        for n in range(N):
            image = images[indices[n]]
            for p in range(task * PIXELS, min(pixels, (task + 1) * PIXELS)):
                batch[p, n] = np.float32(image[p]) / np.float32(255)
