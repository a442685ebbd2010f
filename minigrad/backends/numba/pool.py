"""Pooling; the twin of numpy/pool.py. The batch lies innermost, so each window is handled for all images at once.

All kernels gather, along the tables of views.py: an output pixel from its window, and in a backward kernel an input
pixel from the windows that cover it. Padding is never stored. Tasks go by rows before channels, as in activation.py.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from ..numpy.layout import Pair, batch_first, output_size
from .compiler import compiled_function, compiled_kernel
from .memory import batch_innermost, empty
from .views import inputs_view, outputs_view

WINNER = np.dtype(np.int32)


def avg_pool2d(x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool) -> np.ndarray:
    (N, C, *image), output = x.shape, output_size(x.shape[2:], kernel, stride, padding)
    view = outputs_view(output, tuple(image), kernel, stride, padding)
    y = empty((C, *output, N), x.dtype)
    _avg_pool2d(batch_innermost(x), view.rows, view.columns, count_include_pad, y)
    return batch_first(y)


def avg_pool2d_grad(
    dy: np.ndarray, image: Pair, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool
) -> np.ndarray:
    (N, C, *output), dtype = dy.shape, dy.dtype
    view = inputs_view(image, tuple(output), kernel, stride, padding)
    windows = outputs_view(tuple(output), image, kernel, stride, padding)
    dx = empty((C, *image, N), dtype)
    _avg_pool2d_grad(batch_innermost(dy), view.rows, view.columns, windows.rows, windows.columns, count_include_pad, dx)
    return batch_first(dx)


def max_pool2d(x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair) -> tuple[np.ndarray, np.ndarray]:
    (N, C, *image), output = x.shape, output_size(x.shape[2:], kernel, stride, padding)
    view = outputs_view(output, tuple(image), kernel, stride, padding)
    y, winners = empty((C, *output, N), x.dtype), empty((C, *output, N), WINNER)
    _max_pool2d(batch_innermost(x), view.rows, view.columns, y, winners)
    return batch_first(y), batch_first(winners)


def max_pool2d_gather(x: np.ndarray, winners: np.ndarray, kernel: Pair, stride: Pair, padding: Pair) -> np.ndarray:
    (N, C, *image), output = x.shape, winners.shape[2:]
    view = outputs_view(output, tuple(image), kernel, stride, padding)
    y = empty((C, *output, N), x.dtype)
    _choose(batch_innermost(x), batch_innermost(winners), False, view.rows, view.columns, y)
    return batch_first(y)


def max_pool2d_scatter(
    dy: np.ndarray, winners: np.ndarray, image: Pair, kernel: Pair, stride: Pair, padding: Pair
) -> np.ndarray:
    (N, C, *output) = dy.shape
    view = inputs_view(image, tuple(output), kernel, stride, padding)
    dx = empty((C, *image, N), dy.dtype)
    _choose(batch_innermost(dy), batch_innermost(winners), True, view.rows, view.columns, dx)
    return batch_first(dx)


@compiled_kernel()
def _avg_pool2d(x, rows, columns, count_include_pad, y):
    (C, OH, OW, N), KH, KW = y.shape, rows.shape[1], columns.shape[1]
    for task in prange(OH * C):
        p, c = task // C, task % C
        for q in range(OW):
            total = y[c, p, q]
            total[:] = 0
            for i in range(KH):
                for j in range(KW):
                    if rows[p, i] >= 0 and columns[q, j] >= 0:
                        pixel = x[c, rows[p, i], columns[q, j]]
                        for n in range(N):
                            total[n] += pixel[n]
            share = x.dtype.type(1) / x.dtype.type(_count(rows[p], columns[q], count_include_pad))
            for n in range(N):
                total[n] *= share


@compiled_kernel()
def _avg_pool2d_grad(dy, rows, columns, window_rows, window_columns, count_include_pad, dx):
    (C, H, W, N), KH, KW = dx.shape, rows.shape[1], columns.shape[1]
    for task in prange(H * C):
        h, c = task // C, task % C
        for w in range(W):
            total = dx[c, h, w]
            total[:] = 0
            for i in range(KH):
                for j in range(KW):
                    p, q = rows[h, i], columns[w, j]
                    if p >= 0 and q >= 0:
                        count = _count(window_rows[p], window_columns[q], count_include_pad)
                        share, gradient = dy.dtype.type(1) / dy.dtype.type(count), dy[c, p, q]
                        for n in range(N):
                            total[n] += gradient[n] * share


@compiled_function()
def _count(rows, columns, count_include_pad):
    """How many pixels a window's sum is divided by."""
    if count_include_pad:
        return len(rows) * len(columns)
    return (rows >= 0).sum() * (columns >= 0).sum()


@compiled_kernel()
def _max_pool2d(x, rows, columns, y, winners):
    (C, OH, OW, N), KH, KW = y.shape, rows.shape[1], columns.shape[1]
    for task in prange(OH * C):
        p, c = task // C, task % C
        for q in range(OW):
            best, winner = y[c, p, q], winners[c, p, q]
            empty_so_far = True
            for i in range(KH):
                for j in range(KW):
                    if rows[p, i] < 0 or columns[q, j] < 0:
                        continue
                    pixel, place = x[c, rows[p, i], columns[q, j]], np.int32(i * KW + j)
                    if empty_so_far:
                        best[:], winner[:], empty_so_far = pixel, place, False
                        continue
                    for n in range(N):
                        # "not <=" lets a NaN win, and only the first one
                        better = not (pixel[n] <= best[n]) and best[n] == best[n]
                        winner[n] = place if better else winner[n]
                        best[n] = pixel[n] if better else best[n]


@compiled_kernel()
def _choose(x, winners, backwards, rows, columns, y):
    """Each pixel of y sums the pixels of x that it sees through a tap that won: in its own window, or, backwards, in
    the window of the pixel that it sees."""
    (C, OH, OW, N), KH, KW = y.shape, rows.shape[1], columns.shape[1]
    for task in prange(OH * C):
        p, c = task // C, task % C
        for q in range(OW):
            total = y[c, p, q]
            total[:] = 0
            for i in range(KH):
                for j in range(KW):
                    if rows[p, i] >= 0 and columns[q, j] >= 0:
                        pixel, place = x[c, rows[p, i], columns[q, j]], np.int32(i * KW + j)
                        winner = winners[c, rows[p, i], columns[q, j]] if backwards else winners[c, p, q]
                        for n in range(N):
                            total[n] += pixel[n] if winner[n] == place else x.dtype.type(0)
