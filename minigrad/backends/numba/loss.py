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
    losses, probabilities = np.empty(len(logits), logits.dtype), np.empty(logits.shape, logits.dtype)
    _softmax_cross_entropy(contiguous(logits), _int64(labels), losses, probabilities)
    return losses, probabilities


def softmax_cross_entropy_grad(dlosses: np.ndarray, probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    check_shape("the array of labels", labels, probabilities.shape[:1])
    dlogits = np.empty(probabilities.shape, probabilities.dtype)
    if dlosses.ndim > 0:
        check_shape("the array of gradients", dlosses, probabilities.shape[:1])
    numbers, step = contiguous(dlosses).reshape(-1), dlosses.ndim  # a step of 0 where one serves all rows
    _softmax_cross_entropy_grad(numbers, step, contiguous(probabilities), _int64(labels), dlogits)
    return dlogits


def _int64(labels: np.ndarray) -> np.ndarray:
    return contiguous(labels if labels.dtype is INT64 else labels.astype(INT64))


@compiled_function(for_python=True)
def _softmax_cross_entropy(logits, labels, losses, probabilities):
    for n in range(len(logits)):
        row, exponentials = logits[n], probabilities[n]
        largest, total = row[0], row.dtype.type(0)
        for k in range(row.size):
            largest = max(largest, row[k])
        for k in range(row.size):
            exponentials[k] = math.exp(row[k] - largest)
            total += exponentials[k]
        for k in range(row.size):
            exponentials[k] /= total
        losses[n] = math.log(total) - (row[_checked(labels[n], row.size)] - largest)


@compiled_function(for_python=True)
def _softmax_cross_entropy_grad(dlosses, step, probabilities, labels, dlogits):
    for n in range(len(dlogits)):
        dloss = dlosses[n * step]
        for k in range(dlogits.shape[1]):
            dlogits[n, k] = probabilities[n, k] * dloss
        dlogits[n, _checked(labels[n], dlogits.shape[1])] -= dloss


@njit(inline="always")
def _checked(label, classes):
    """The label. Raises IndexError where it is no class: compiled code looks at no index."""
    if not 0 <= label < classes:
        raise IndexError("a label is not the number of a class; has somebody written into the labels?")
    return label
