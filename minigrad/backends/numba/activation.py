"""Activation functions; the twin of numpy/activation.py.

A kernel sees its arrays as one run of numbers, in whatever order they lie in memory, so that it is compiled once for
each dtype and keeps any layout.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

# NumPy's own are as fast as memory, or rarely used in training:
from ..numpy.activation import leaky_relu, leaky_relu_grad, relu, softplus, tanh, tanh_grad
from .compiler import compiled_kernel

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

PIECE = 8192  # numbers a thread handles at a time


def sigmoid(x: np.ndarray) -> np.ndarray:
    axes = _memory_order(x)
    flat = _flat(x, axes)
    y = np.empty_like(flat)
    if x.dtype == np.float32:
        _sigmoid_float32(flat, y)
    else:
        _sigmoid_float64(flat, y)
    return _shaped(y, x.shape, axes)


def sigmoid_grad(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    axes = _memory_order(y)
    flat = _flat(y, axes)
    dx = np.empty_like(flat)
    _sigmoid_grad(_flat(dy, axes), flat, dx)
    return _shaped(dx, y.shape, axes)


def relu_grad(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    axes = _memory_order(y)
    flat = _flat(y, axes)
    dx = np.empty_like(flat)
    _relu_grad(_flat(dy, axes), flat, dx)
    return _shaped(dx, y.shape, axes)


def _memory_order(x: np.ndarray) -> tuple[int, ...]:
    """The axes from the one with the widest strides to the one whose elements are neighbours."""
    if x.flags.c_contiguous:
        return tuple(range(x.ndim))
    return tuple(sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis])))


def _flat(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """All elements in the order of those axes, a view where x lies that way in memory."""
    return np.ascontiguousarray(x.transpose(axes)).reshape(-1)


def _shaped(flat: np.ndarray, shape: tuple[int, ...], axes: tuple[int, ...]) -> np.ndarray:
    """The inverse of _flat, a view."""
    return flat.reshape([shape[axis] for axis in axes]).transpose(np.argsort(axes))


@njit(inline="always")
def _exp_float32(x):
    """e^x = 2^n e^r with n = round(x / ln 2) and r = x - n ln 2, |r| <= ln 2 / 2, e^r by a polynomial.

    Without branches and calls, so that the loop around it is vectorised. The polynomial's coefficients are those of
    Cephes' expf (S. L. Moshier), as is ln 2 in two parts; the error stays below 2 units in the last place. 2^n is made
    of its bits, as two factors because 2^128 and 2^-149 each lie outside what one can hold.
    """
    x = min(max(x, np.float32(-104.0)), np.float32(89.0))  # beyond: 0 and infinity
    n = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    r = (x - n * np.float32(0.693359375)) + n * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    y = p * r * r + r + np.float32(1.0)
    half = np.int32(n) >> np.int32(1)
    rest = np.int32(n) - half
    bias, mantissa_bits = np.int32(127), np.int32(23)
    two_to_half = np.int32((half + bias) << mantissa_bits).view(np.float32)
    two_to_rest = np.int32((rest + bias) << mantissa_bits).view(np.float32)
    return y * two_to_half * two_to_rest


@compiled_kernel()
def _sigmoid_float32(x, y):
    one = np.float32(1.0)
    for piece in prange((x.size + PIECE - 1) // PIECE):
        for i in range(piece * PIECE, min((piece + 1) * PIECE, x.size)):
            y[i] = one / (one + _exp_float32(-x[i]))


@compiled_kernel()
def _sigmoid_float64(x, y):
    for piece in prange((x.size + PIECE - 1) // PIECE):
        for i in range(piece * PIECE, min((piece + 1) * PIECE, x.size)):
            y[i] = 1.0 / (1.0 + math.exp(-x[i]))


@compiled_kernel()
def _sigmoid_grad(dy, y, dx):
    one = y.dtype.type(1)
    for piece in prange((y.size + PIECE - 1) // PIECE):
        for i in range(piece * PIECE, min((piece + 1) * PIECE, y.size)):
            dx[i] = dy[i] * (y[i] * (one - y[i]))


@compiled_kernel()
def _relu_grad(dy, y, dx):
    zero = y.dtype.type(0)
    for piece in prange((y.size + PIECE - 1) // PIECE):
        for i in range(piece * PIECE, min((piece + 1) * PIECE, y.size)):
            dx[i] = dy[i] if y[i] > zero else zero
