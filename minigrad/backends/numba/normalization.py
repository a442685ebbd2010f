"""Normalisation of channels; the twin of numpy/normalization.py.

A task is a channel, which it goes through two or three times: the first time it comes from memory, then from the cache.
Sums of pieces are added up in double precision.
"""

from __future__ import annotations

import numpy as np

from .compiler import SUMS_IN_ANY_ORDER, compiled_kernel
from .copies import batch_innermost
from .memory import check_shape, contiguous, empty

PIECE = 1024  # numbers that are summed in their own precision


def channel_moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    C = x.shape[1]
    mean, variance = np.empty(C, x.dtype), np.empty(C, x.dtype)
    _channel_moments(C, batch_innermost(x).reshape(C, -1), mean, variance)
    return mean, variance


def channel_norm(
    x: np.ndarray, mean: np.ndarray, deviation: np.ndarray, weight: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    x = batch_innermost(x)
    y, C = empty(x.shape, x.dtype), len(x)
    scale = weight / deviation
    for name, values in (("mean", mean), ("scale", scale), ("bias", bias)):
        check_shape(f"the {name}", values, (C,))
    _channel_norm(C, x.reshape(C, -1), contiguous(mean), scale, contiguous(bias), y.reshape(C, -1))
    return y.transpose(3, 0, 1, 2)


def channel_norm_grad(
    dy: np.ndarray, x: np.ndarray, mean: np.ndarray, deviation: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    check_shape("the gradient", dy, x.shape)
    dy, x = batch_innermost(dy), batch_innermost(x)
    dx, C = empty(x.shape, x.dtype), len(x)
    dweight, dbias = np.empty(C, x.dtype), np.empty(C, x.dtype)
    for name, values in (("mean", mean), ("deviation", deviation), ("weight", weight)):
        check_shape(f"the {name}", values, (C,))
    statistics = contiguous(mean), contiguous(deviation), contiguous(weight)
    _channel_norm_grad(C, dy.reshape(C, -1), x.reshape(C, -1), *statistics, dx.reshape(C, -1), dweight, dbias)
    return dx.transpose(3, 0, 1, 2), dweight, dbias


@compiled_kernel(fastmath=SUMS_IN_ANY_ORDER)
def _channel_moments(first, last, x, mean, variance):
    size = x.shape[1]
    for c in range(first, last):
        total = 0.0
        for start in range(0, size, PIECE):
            part, x_piece = x.dtype.type(0), x[c, start : start + PIECE]
            for i in range(x_piece.size):
                part += x_piece[i]
            total += part
        middle = x.dtype.type(total / size)
        total = 0.0
        for start in range(0, size, PIECE):
            part, x_piece = x.dtype.type(0), x[c, start : start + PIECE]
            for i in range(x_piece.size):
                part += (x_piece[i] - middle) * (x_piece[i] - middle)
            total += part
        mean[c], variance[c] = middle, total / size


@compiled_kernel(inputs=4)
def _channel_norm(first, last, x, mean, scale, bias, y):
    size = x.shape[1]
    for c in range(first, last):
        x_c, y_c, mean_c, scale_c, bias_c = x[c], y[c], mean[c], scale[c], bias[c]
        for i in range(size):
            y_c[i] = (x_c[i] - mean_c) * scale_c + bias_c


@compiled_kernel(inputs=5, fastmath=SUMS_IN_ANY_ORDER)
def _channel_norm_grad(first, last, dy, x, mean, deviation, weight, dx, dweight, dbias):
    size = x.shape[1]
    for c in range(first, last):
        mean_c, total, product = mean[c], 0.0, 0.0  # sums of dy and of dy (x - mean)
        for start in range(0, size, PIECE):
            part, products = x.dtype.type(0), x.dtype.type(0)
            dy_piece, x_piece = dy[c, start : start + PIECE], x[c, start : start + PIECE]
            for i in range(x_piece.size):
                part += dy_piece[i]
                products += dy_piece[i] * (x_piece[i] - mean_c)
            total += part
            product += products
        dbias[c], dweight[c] = total, product / deviation[c]
        scale, shift = weight[c] / deviation[c], x.dtype.type(total / size)
        slope = x.dtype.type(product / (deviation[c] * deviation[c]) / size)
        dx_c, dy_c, x_c = dx[c], dy[c], x[c]
        for i in range(size):
            dx_c[i] = (dy_c[i] - shift - (x_c[i] - mean_c) * slope) * scale
