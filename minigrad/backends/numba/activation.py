"""Activation functions; the twin of numpy/activation.py.

A kernel sees its arrays as one run of numbers, whether the batch lies outermost or innermost in memory, so that it is
compiled once for each dtype and keeps the layout.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import accumulate
from operator import mul

import numpy as np
from numba import njit

# NumPy's own are as fast as memory, or rarely used in training:
from ..numpy.activation import leaky_relu, leaky_relu_grad, softplus, tanh, tanh_grad
from .compiler import compiled_function, compiled_kernel
from .memory import check_shape, contiguous, empty

__all__ = [
    "leaky_relu",
    "leaky_relu_grad",
    "relu",
    "relu_grad",
    "sigmoid",
    "sigmoid_grad",
    "softplus",
    "tanh",
    "tanh_grad",
]

PIECE = 1024  # numbers of a channel that make a task
OVER_FACTORIAL = tuple(1 / math.factorial(k) for k in range(14))  # the Taylor series of e^x


def sigmoid(x: np.ndarray) -> np.ndarray:
    return _elementwise(_sigmoid_float32 if x.itemsize == 4 else _sigmoid_float64, x)


def sigmoid_grad(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _elementwise(_sigmoid_grad, y, dy)


def relu(x: np.ndarray) -> np.ndarray:
    return _elementwise(_relu, x)


def relu_grad(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _elementwise(_relu_grad, y, dy)


def _elementwise(kernel: Callable[..., None], x: np.ndarray, dy: np.ndarray | None = None) -> np.ndarray:
    """The kernel's result for one array, or two of one shape. It sees each as a run of numbers, in x's layout."""
    if dy is not None:
        check_shape("the gradient", dy, x.shape)
    shape, strides, dtype = x.shape, x.strides, x.dtype
    channels = _channels_in_a_run(shape, strides, dtype.itemsize)
    if channels == 0:
        x = _copied_to_a_run(x)
        strides = x.strides
        channels = _channels_in_a_run(shape, strides, dtype.itemsize) or 1
    y, run = empty(shape, dtype, strides), contiguous(x.ravel("K"))
    tasks = -(-run.size // channels // PIECE)
    if dy is None:
        kernel(tasks, run, y.ravel("K"), channels)
        return y
    if dy.strides != strides:
        dy, other = empty(shape, dtype, strides), dy
        dy[...] = other
    kernel(tasks, run, contiguous(dy.ravel("K")), y.ravel("K"), channels)
    return y


@lru_cache(maxsize=1024)
def _channels_in_a_run(shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int) -> int:
    """How many channels an array has that is one run of numbers, with the batch outermost or, as in numpy/layout.py,
    innermost; where it lies outermost, all are one. 0 where the array is no such run, or is empty."""
    if strides == _strides(shape, itemsize):
        return 1
    inwards = _strides(shape[1:] + shape[:1], itemsize)
    return 0 if strides != inwards[-1:] + inwards[:-1] else shape[1] if len(shape) == 4 else 1


def _copied_to_a_run(x: np.ndarray) -> np.ndarray:
    """With the batch innermost, as of a crop that was, but where it lies outermost now."""
    if x.flags.c_contiguous:
        copy = empty(x.shape, x.dtype)
    else:
        copy = np.moveaxis(empty(x.shape[1:] + x.shape[:1], x.dtype), -1, 0)
    copy[...] = x
    return copy


def _strides(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Those of an array whose last axis lies innermost."""
    return tuple(accumulate(shape[:0:-1], mul, initial=itemsize))[::-1] if shape else ()


@njit(inline="always")
def _exp_minus_float32(x):
    """e^-x = 2^n e^-r with n = round(-x / ln 2) and r = x + n ln 2, |r| <= ln 2 / 2; for the sigmoid.

    Without branches and calls, so that the loop around it is vectorised. e^-r is the polynomial 1 - r + c2 r^2 - ... of
    degree 6 with the least relative error, 4e-9, found by Remez' algorithm; ln 2 comes in two parts, as in Cephes' expf
    (S. L. Moshier). The error stays below a unit in the last place. Adding 1.5 2^23 rounds to an integer, which is then
    the low bits; shifted into the exponent's place they make 2^n. Infinite from -88.4 on downwards, and nowhere below
    e^-87: next to 1 neither can be seen.
    """
    x = min(max(x, np.float32(-88.9)), np.float32(87.0))
    shifted = x * np.float32(-1.44269504) + np.float32(12582912.0)
    n = shifted - np.float32(12582912.0)
    r = (x + n * np.float32(0.693359375)) - n * np.float32(2.12194440e-4)
    p = np.float32(1.3814541e-3)
    p = np.float32(8.3687455e-3) - p * r
    p = np.float32(4.1668389e-2) - p * r
    p = np.float32(1.6666521e-1) - p * r
    p = np.float32(4.9999994e-1) - p * r
    p = np.float32(1.0) - p * r
    p = np.float32(1.0) - p * r
    bias, mantissa_bits = np.int32(127), np.int32(23)
    return p * np.int32((np.float32(shifted).view(np.int32) + bias) << mantissa_bits).view(np.float32)


@njit(inline="always")
def _exp_minus_float64(x):
    """The same in double precision, with e^-r by its Taylor series to r^13 / 13!, whose rest is below 2^-54."""
    x = min(max(x, -709.8), 708.0)
    shifted = x * -1.4426950408889634 + 6755399441055744.0
    n = shifted - 6755399441055744.0
    r = (x + n * 6.93147180369123816490e-01) + n * 1.90821492927058770002e-10
    p = OVER_FACTORIAL[13]
    p = OVER_FACTORIAL[12] - p * r
    p = OVER_FACTORIAL[11] - p * r
    p = OVER_FACTORIAL[10] - p * r
    p = OVER_FACTORIAL[9] - p * r
    p = OVER_FACTORIAL[8] - p * r
    p = OVER_FACTORIAL[7] - p * r
    p = OVER_FACTORIAL[6] - p * r
    p = OVER_FACTORIAL[5] - p * r
    p = OVER_FACTORIAL[4] - p * r
    p = OVER_FACTORIAL[3] - p * r
    p = OVER_FACTORIAL[2] - p * r
    p = 1.0 - p * r
    p = 1.0 - p * r
    return p * np.int64((np.float64(shifted).view(np.int64) + 1023) << 52).view(np.float64)


@compiled_kernel()
def _sigmoid_float32(first, last, x, y, channels):
    for c in range(channels):
        _sigmoids_float32(_piece(x, channels, c, first, last), _piece(y, channels, c, first, last))


@compiled_kernel()
def _sigmoid_float64(first, last, x, y, channels):
    for c in range(channels):
        _sigmoids_float64(_piece(x, channels, c, first, last), _piece(y, channels, c, first, last))


# Functions of their own, so that LLVM keeps the polynomial's coefficients in registers: a fifth less time.


@compiled_function()
def _sigmoids_float32(x, y):
    one = np.float32(1.0)
    for i in range(x.size):
        y[i] = one / (one + _exp_minus_float32(x[i]))


@compiled_function()
def _sigmoids_float64(x, y):
    for i in range(x.size):
        y[i] = 1.0 / (1.0 + _exp_minus_float64(x[i]))


@compiled_kernel(inputs=2)
def _sigmoid_grad(first, last, y, dy, dx, channels):
    one = y.dtype.type(1)
    for c in range(channels):
        y_piece, dy_piece = _piece(y, channels, c, first, last), _piece(dy, channels, c, first, last)
        dx_piece = _piece(dx, channels, c, first, last)
        for i in range(y_piece.size):
            dx_piece[i] = dy_piece[i] * (y_piece[i] * (one - y_piece[i]))


@compiled_kernel()
def _relu(first, last, x, y, channels):
    zero = x.dtype.type(0)
    for c in range(channels):
        x_piece, y_piece = _piece(x, channels, c, first, last), _piece(y, channels, c, first, last)
        for i in range(x_piece.size):
            y_piece[i] = zero if x_piece[i] <= zero else x_piece[i]  # a NaN is not <= 0, and stays


@compiled_kernel(inputs=2)
def _relu_grad(first, last, y, dy, dx, channels):
    zero = y.dtype.type(0)
    for c in range(channels):
        y_piece, dy_piece = _piece(y, channels, c, first, last), _piece(dy, channels, c, first, last)
        dx_piece = _piece(dx, channels, c, first, last)
        for i in range(y_piece.size):
            dx_piece[i] = dy_piece[i] if y_piece[i] > zero else zero


@njit(inline="always")
def _piece(x, channels, c, first, last, piece=PIECE):
    """What the tasks have of a channel. All kernels have the same of every channel, so that a thread meets the same
    rows of the images in each of them, and finds in its core's cache what it wrote there before.

    Its loop begins at 0: indices that might be negative would keep it from being vectorised. The length of a task's
    piece is a default, which is fixed here: a global one would be compiled, and kept on disk, as it is at that moment.
    """
    size = x.size // channels
    return x[c * size + first * piece : c * size + min(last * piece, size)]
