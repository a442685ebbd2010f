"""Softmax and cross-entropy as one kernel; the twin of numpy/loss.py. The kernels are in loss.cu."""

from __future__ import annotations

import cupy

from .compiler import block_kernel, kernel
from .layout import contiguous

_softmax_cross_entropy = block_kernel("loss", "softmax_cross_entropy", threads=32)
_softmax_cross_entropy_grad = kernel("loss", "softmax_cross_entropy_grad")


def softmax_cross_entropy(logits: cupy.ndarray, labels: cupy.ndarray) -> tuple[cupy.ndarray, cupy.ndarray]:
    N, K = logits.shape
    losses, probabilities = cupy.empty(N, logits.dtype), cupy.empty((N, K), logits.dtype)
    _softmax_cross_entropy(N, contiguous(logits), _as_int64(labels), losses, probabilities, K)
    return losses, probabilities


def softmax_cross_entropy_grad(
    dlosses: cupy.ndarray, probabilities: cupy.ndarray, labels: cupy.ndarray
) -> cupy.ndarray:
    dlogits = cupy.empty(probabilities.shape, probabilities.dtype)
    inputs = contiguous(dlosses), contiguous(probabilities), _as_int64(labels)
    _softmax_cross_entropy_grad(dlogits.size, *inputs, dlogits, probabilities.shape[1], dlosses.ndim)
    return dlogits


def _as_int64(labels: cupy.ndarray) -> cupy.ndarray:
    return contiguous(labels.astype(cupy.int64, copy=False))
