"""Softmax and cross-entropy, a row at a time; the twin of numpy/loss.py. A batch of logits is too small for threads."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .compiler import compiled_function
from .memory import check_shape, contiguous

INT64 = np.dtype(np.int64)


def softmax_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    check_shape("the array of labels", labels, logits.shape[:1])
    in_memory, by_class = _as_it_lies(logits)
    losses, probabilities = np.empty(len(logits), logits.dtype), np.empty(in_memory.shape, logits.dtype)
    _softmax_cross_entropy(in_memory, by_class, _int64(labels), losses, probabilities)
    return losses, probabilities.T if by_class else probabilities


def softmax_cross_entropy_grad(dlosses: np.ndarray, probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    check_shape("the array of labels", labels, probabilities.shape[:1])
    in_memory, by_class = _as_it_lies(probabilities)
    dlogits = np.empty(in_memory.shape, probabilities.dtype)
    if dlosses.ndim > 0:
        check_shape("the array of gradients", dlosses, probabilities.shape[:1])
    numbers, step = contiguous(dlosses).reshape(-1), dlosses.ndim  # a step of 0 where one serves all rows
    _softmax_cross_entropy_grad(numbers, step, in_memory, by_class, _int64(labels), dlogits)
    return dlogits.T if by_class else dlogits


def _as_it_lies(x: np.ndarray) -> tuple[np.ndarray, bool]:
    """x (N, K), or x.T where that lies in memory class by class, as behind a layer with the batch innermost: so does
    then what comes of it."""
    by_class = x.T.flags.c_contiguous
    return contiguous(x.T if by_class else x), by_class


def _int64(labels: np.ndarray) -> np.ndarray:
    return contiguous(labels if labels.dtype is INT64 else labels.astype(INT64))


@compiled_function(for_python=True)
def _softmax_cross_entropy(logits, by_class, labels, losses, probabilities):
    z, p, N = logits.reshape(-1), probabilities.reshape(-1), len(labels)
    K = z.size // max(N, 1)
    row, step = (1, N) if by_class else (K, 1)
    for n in range(N):
        first, label, total = n * row, _checked(labels[n], K), z.dtype.type(0)
        largest = z[first]
        for k in range(K):
            largest = max(largest, z[first + k * step])
        for k in range(K):
            p[first + k * step] = math.exp(z[first + k * step] - largest)
            total += p[first + k * step]
        for k in range(K):
            p[first + k * step] /= total
        losses[n] = math.log(total) - (z[first + label * step] - largest)


@compiled_function(for_python=True)
def _softmax_cross_entropy_grad(dlosses, dloss_step, probabilities, by_class, labels, dlogits):
    p, dz, N = probabilities.reshape(-1), dlogits.reshape(-1), len(labels)
    K = p.size // max(N, 1)
    row, step = (1, N) if by_class else (K, 1)
    for n in range(N):
        first, label, dloss = n * row, _checked(labels[n], K), dlosses[n * dloss_step]
        for k in range(K):
            dz[first + k * step] = p[first + k * step] * dloss
        dz[first + label * step] -= dloss


@njit(inline="always")
def _checked(label, classes):
    """The label. Raises IndexError where it is no class: compiled code looks at no index."""
    if not 0 <= label < classes:
        raise IndexError("a label is not the number of a class; has somebody written into the labels?")
    return label
