"""Pooling; the twin of numpy/pool.py. The batch lies innermost, so each window is handled for all images at once.

All kernels gather, along the tables of views.py: an output pixel from its window, and in a backward kernel an input
pixel from the windows that cover it. Padding is never stored. Tasks go by rows before channels, as in activation.py.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numba import njit

from ..numpy.layout import Pair, batch_first, output_size
from .compiler import compiled_kernel
from .copies import batch_innermost
from .memory import check_shape, empty
from .tile import (
    NARROW,
    ONE,
    REGISTER_BYTES,
    WIDE,
    add_products,
    keep_larger,
    load_tile,
    no_sums,
    spread_place,
    store_tile,
)
from .views import inputs_view, outputs_view

WINNER = np.dtype(np.int32)


def avg_pool2d(x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool) -> np.ndarray:
    N, C, H, W = x.shape
    windows = outputs_view(output_size((H, W), kernel, stride, padding), (H, W), kernel, stride, padding)
    shares = _shares(H, W, kernel, stride, padding, count_include_pad, x.dtype)
    y = empty((C, *shares.shape, N), x.dtype)
    _avg_pool2d(len(shares) * C, batch_innermost(x), windows.rows, windows.columns, shares, y)
    return batch_first(y)


def avg_pool2d_grad(
    dy: np.ndarray, image: Pair, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool
) -> np.ndarray:
    N, C, OH, OW = dy.shape
    view = inputs_view(image, (OH, OW), kernel, stride, padding)
    shares = _shares(*image, kernel, stride, padding, count_include_pad, dy.dtype)
    check_shape("the gradient", dy, (N, C, *shares.shape))
    dx = empty((C, *image, N), dy.dtype)
    _avg_pool2d_grad(image[0] * C, batch_innermost(dy), view.rows, view.columns, shares, dx)
    return batch_first(dx)


@lru_cache(maxsize=256)
def _shares(
    H: int, W: int, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool, dtype: np.dtype
) -> np.ndarray:
    """(OH, OW), one over the number of pixels that each window's sum is divided by."""
    windows = outputs_view(output_size((H, W), kernel, stride, padding), (H, W), kernel, stride, padding)
    inside = windows.rows[:, None, 1] * windows.columns[:, 1]
    return np.reciprocal(np.where(count_include_pad, kernel[0] * kernel[1], inside).astype(dtype))


def max_pool2d(x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair) -> tuple[np.ndarray, np.ndarray]:
    N, C, *_ = x.shape
    output = output_size(x.shape[2:], kernel, stride, padding)
    view = outputs_view(output, x.shape[2:], kernel, stride, padding)
    y, winners = empty((C, *output, N), x.dtype), empty((C, *output, N), WINNER)
    _max_pool2d(output[0] * C, batch_innermost(x), view.rows, view.columns, kernel[1], y, winners)
    return batch_first(y), batch_first(winners)


def max_pool2d_gather(x: np.ndarray, winners: np.ndarray, kernel: Pair, stride: Pair, padding: Pair) -> np.ndarray:
    N, C, *_ = x.shape
    output = output_size(x.shape[2:], kernel, stride, padding)
    check_shape("the array of winners", winners, (N, C, *output))
    view = outputs_view(output, x.shape[2:], kernel, stride, padding)
    y = empty((C, *output, N), x.dtype)
    tables = view.rows, view.columns, view.steps
    _choose(output[0] * C, batch_innermost(x), batch_innermost(winners), False, *tables, kernel[1], y)
    return batch_first(y)


def max_pool2d_scatter(
    dy: np.ndarray, winners: np.ndarray, image: Pair, kernel: Pair, stride: Pair, padding: Pair
) -> np.ndarray:
    N, C, *_ = dy.shape
    output = output_size(image, kernel, stride, padding)
    check_shape("the gradient", dy, (N, C, *output))
    check_shape("the array of winners", winners, dy.shape)
    view = inputs_view(image, output, kernel, stride, padding)
    dx = empty((C, *image, N), dy.dtype)
    tables = view.rows, view.columns, view.steps
    _choose(image[0] * C, batch_innermost(dy), batch_innermost(winners), True, *tables, kernel[1], dx)
    return batch_first(dx)


@compiled_kernel()
def _avg_pool2d(first, last, x, rows, columns, shares, y):
    (C, OH, OW, N), (_, H, W, _) = y.shape, x.shape
    for task in range(first, last):
        p, c = task // C, task % C
        taps, x_row, y_row = rows[p, 1], (c * H + rows[p, 2]) * W, (c * OH + p) * OW
        for q in range(OW):
            x_at, y_at = (x_row + columns[q, 2]) * N, (y_row + q) * N
            if taps == 2 and columns[q, 1] == 2:  # as nearly everywhere: the compiler writes all four taps out
                _average((2, 2), x, x_at, (W * N, N), shares, p * OW + q, y, y_at, N)
            else:
                _average((taps, columns[q, 1]), x, x_at, (W * N, N), shares, p * OW + q, y, y_at, N)


@njit(inline="always")
def _average(taps, x, x_at, x_steps, shares, share, y, y_at, N):
    """y[y_at + :] = the sum over i, j of shares[share] x[x_at + i x_steps[0] + j x_steps[1] + :], for N numbers"""
    lanes, t = REGISTER_BYTES // x.itemsize, 0
    while N - t >= len(WIDE) * lanes:
        _average_of_tile(WIDE, taps, x, x_at + t, x_steps, shares, share, y, y_at + t)
        t += len(WIDE) * lanes
    while t < N:
        n = min(lanes, N - t)
        if n == lanes // 2:
            _average_of_tile(NARROW, taps, x, x_at + t, x_steps, shares, share, y, y_at + t)
        else:
            _average_of_tile(n, taps, x, x_at + t, x_steps, shares, share, y, y_at + t)
        t += lanes


@njit(inline="always")
def _average_of_tile(breadth, taps, x, x_at, x_steps, shares, share, y, y_at):
    total, lanes = no_sums(ONE, breadth, x), REGISTER_BYTES // x.itemsize
    for i in range(taps[0]):
        for j in range(taps[1]):
            total = add_products(total, breadth, shares, share, 0, x, x_at + i * x_steps[0] + j * x_steps[1], lanes)
    store_tile(total, breadth, y, y_at, 0)


@compiled_kernel()
def _avg_pool2d_grad(first, last, dy, rows, columns, shares, dx):
    (C, OH, OW, N), (_, H, W, _) = dy.shape, dx.shape
    for task in range(first, last):
        h, c = task // C, task % C
        taps, p, dy_row, dx_row = rows[h, 1], rows[h, 2], (c * OH + rows[h, 2]) * OW, (c * H + h) * W
        for w in range(W):
            q = columns[w, 2]
            if taps == 1 and columns[w, 1] == 1:  # as nearly everywhere
                _average((1, 1), dy, (dy_row + q) * N, (0, 0), shares, p * OW + q, dx, (dx_row + w) * N, N)
                continue
            if taps * columns[w, 1] == 0:  # between windows
                dx[c, h, w] = 0
            for i in range(taps):  # through a later tap an earlier window sees
                for j in range(columns[w, 1]):
                    _add(i == 0 and j == 0, dy[c, p - i, q - j], shares[p - i, q - j], dx[c, h, w])


@njit(inline="always")  # so that it is compiled with its kernel, and as that is
def _add(first, numbers, share, total):
    """total += share numbers; the first ones begin it."""
    if first:
        for n in range(total.size):
            total[n] = numbers[n] * share
    else:
        for n in range(total.size):
            total[n] += numbers[n] * share


@compiled_kernel()
def _max_pool2d(first, last, x, rows, columns, KW, y, winners):
    (C, OH, OW, N), (_, H, W, _) = y.shape, x.shape
    for task in range(first, last):
        p, c = task // C, task % C
        tap, taps, x_row, y_row = rows[p, 0] * KW, rows[p, 1], (c * H + rows[p, 2]) * W, (c * OH + p) * OW
        for q in range(OW):
            place, x_at, y_at = tap + columns[q, 0], (x_row + columns[q, 2]) * N, (y_row + q) * N
            if taps == 2 and columns[q, 1] == 2:  # as above
                _largest((2, 2), x, x_at, (W * N, N), place, KW, y, winners, y_at, N)
            else:
                _largest((taps, columns[q, 1]), x, x_at, (W * N, N), place, KW, y, winners, y_at, N)


@njit(inline="always")
def _largest(taps, x, x_at, x_steps, place, KW, y, winners, y_at, N):
    """The largest of a window, and its place there, for each of N images."""
    lanes, t = REGISTER_BYTES // x.itemsize, 0
    while N - t >= len(WIDE) * lanes:
        _largest_of_tile(WIDE, taps, x, x_at + t, x_steps, place, KW, y, winners, y_at + t)
        t += len(WIDE) * lanes
    while t < N:
        n = min(lanes, N - t)
        if n == lanes // 2:
            _largest_of_tile(NARROW, taps, x, x_at + t, x_steps, place, KW, y, winners, y_at + t)
        else:
            _largest_of_tile(n, taps, x, x_at + t, x_steps, place, KW, y, winners, y_at + t)
        t += lanes


@njit(inline="always")
def _largest_of_tile(breadth, taps, x, x_at, x_steps, place, KW, y, winners, y_at):
    best = load_tile(ONE, breadth, x, x_at, 0)  # the first pixel inside, which wins where all is minus infinity
    won = spread_place(best, winners, place)
    for i in range(taps[0]):
        for j in range(taps[1]):
            best, won = keep_larger(best, won, breadth, x, x_at + i * x_steps[0] + j * x_steps[1], place + i * KW + j)
    store_tile(best, breadth, y, y_at, 0)
    store_tile(won, breadth, winners, y_at, 0)


@compiled_kernel()
def _choose(first, last, x, winners, backwards, rows, columns, steps, KW, y):
    """Each pixel of y sums the pixels of x that it sees through a tap that won: in its own window, or, backwards, in
    the window of the pixel that it sees."""
    (C, _, OW, N), (row_tap, row_step), (column_tap, column_step) = y.shape, steps[0], steps[1]
    zero = x.dtype.type(0)
    for task in range(first, last):
        p, c = task // C, task % C
        y_row = y[c, p]
        for q in range(OW):
            if rows[p, 1] * columns[q, 1] == 0:  # between windows
                y_row[q] = 0
        for i in range(rows[p, 1]):
            h = rows[p, 2] + i * row_step
            x_row, winners_row = x[c, h], winners[c, h if backwards else p]
            for q in range(OW):
                total = y_row[q]
                for j in range(columns[q, 1]):
                    w = columns[q, 2] + j * column_step
                    pixel, winner = x_row[w], winners_row[w if backwards else q]
                    place = np.int32((rows[p, 0] + i * row_tap) * KW + columns[q, 0] + j * column_tap)
                    if i == 0 and j == 0:
                        for n in range(N):
                            total[n] = pixel[n] if winner[n] == place else zero
                        continue
                    for n in range(N):
                        total[n] += pixel[n] if winner[n] == place else zero
