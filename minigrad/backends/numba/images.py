"""Batches of images; the twin of numpy/images.py. The batch comes out innermost, as the first convolution wants it."""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from ..numpy import images as reference
from .compiler import compiled_kernel
from .memory import contiguous, empty

PIXELS = 64  # of an image that a task handles: with a batch of 128 they stay in the nearest cache


def gather_images(images: np.ndarray, indices: np.ndarray) -> np.ndarray:
    if images.dtype != np.uint8:
        return reference.gather_images(images, indices)
    D, C, H, W = images.shape
    batch = empty((C, H, W, len(indices)), np.dtype("float32"))
    _gather_bytes(contiguous(images).reshape(D, math.prod((C, H, W))), indices, batch.reshape(C * H * W, len(indices)))
    return batch.transpose(3, 0, 1, 2)


@compiled_kernel()
def _gather_bytes(images, indices, batch):
    pixels, N = batch.shape
    for task in prange((pixels + PIXELS - 1) // PIXELS):
        for n in range(N):
            image = images[indices[n]]
            for p in range(task * PIXELS, min(pixels, (task + 1) * PIXELS)):
                batch[p, n] = np.float32(image[p]) / np.float32(255)
