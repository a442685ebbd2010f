"""Batches of images; the twin of numpy/images.py. The kernels are in images.cu."""

from __future__ import annotations

import cupy

from .compiler import Count, kernel
from .layout import batch_first, contiguous

_gather_bytes, _gather_numbers = kernel("images", "gather_bytes"), kernel("images", "gather_numbers")


def gather_images(images: cupy.ndarray, indices: cupy.ndarray) -> cupy.ndarray:
    (_, C, H, W), N, bytes_ = images.shape, len(indices), images.dtype == cupy.uint8
    batch = cupy.empty((C, H, W, N), cupy.float32 if bytes_ else images.dtype)
    gather = _gather_bytes if bytes_ else _gather_numbers
    indices = contiguous(indices.astype(cupy.int64, copy=False))
    gather(batch.size, contiguous(images), indices, batch, N, Count(C * H * W))
    return batch_first(batch)
