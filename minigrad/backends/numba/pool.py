"""Pooling; the twin of numpy/pool.py. The batch lies innermost, so each window is handled for all images at once.

Kernels gather, along the tables of views.py: an output pixel from its window, and in a backward kernel an input pixel
from the windows that cover it. Only where the windows tile the image does a backward kernel go from window to window,
since each has its pixels for itself. Padding is never stored. Tasks go by rows before channels, as in activation.py.
"""

from __future__ import annotations

from collections.abc import Callable
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
    numbers_of,
    spread_place,
    store_tile,
    where_won,
)
from .views import View, inputs_view, outputs_view
from .ways import pooled_alone, windows_tile

WINNER = np.dtype(np.int32)


def avg_pool2d(x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool) -> np.ndarray:
    N, C, *image = x.shape
    windows, shares = _windows_and_shares(*image, kernel, stride, padding, count_include_pad, x.dtype)
    y = empty((C, *shares.shape, N), x.dtype)
    tables = windows.rows, windows.columns, shares
    _avg_pool2d(len(shares) * C, batch_innermost(x), *tables, y, alone=pooled_alone(x.size))
    return batch_first(y)


def avg_pool2d_grad(
    dy: np.ndarray, image: Pair, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool
) -> np.ndarray:
    N, C, OH, OW = dy.shape
    _, shares = _windows_and_shares(*image, kernel, stride, padding, count_include_pad, dy.dtype)
    check_shape("the gradient", dy, (N, C, *shares.shape))
    dx = empty((C, *image, N), dy.dtype)
    if windows_tile(image, (OH, OW), kernel, stride, padding):
        _avg_pool2d_grad_tiled(OH * C, batch_innermost(dy), kernel, shares, dx, alone=pooled_alone(dx.size))
    else:
        view = inputs_view(image, (OH, OW), kernel, stride, padding)
        tables = view.rows, view.columns, shares
        _avg_pool2d_grad(image[0] * C, batch_innermost(dy), *tables, dx, alone=pooled_alone(dx.size))
    return batch_first(dx)


@lru_cache(maxsize=256)
def _windows_and_shares(
    H: int, W: int, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool, dtype: np.dtype
) -> tuple[View, np.ndarray]:
    """What each window sees; and (OH, OW), one over the number of pixels that its sum is divided by."""
    windows = outputs_view(output_size((H, W), kernel, stride, padding), (H, W), kernel, stride, padding)
    inside = windows.rows[:, None, 1] * windows.columns[:, 1]
    return windows, np.reciprocal(np.where(count_include_pad, kernel[0] * kernel[1], inside).astype(dtype))


def max_pool2d(x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair) -> tuple[np.ndarray, np.ndarray]:
    N, C, *_ = x.shape
    output = output_size(x.shape[2:], kernel, stride, padding)
    view = outputs_view(output, x.shape[2:], kernel, stride, padding)
    y, winners = empty((C, *output, N), x.dtype), empty((C, *output, N), WINNER)
    tables = view.rows, view.columns, kernel[1]
    _max_pool2d(output[0] * C, batch_innermost(x), *tables, y, winners, alone=pooled_alone(x.size))
    return batch_first(y), batch_first(winners)


def max_pool2d_gather(x: np.ndarray, winners: np.ndarray, kernel: Pair, stride: Pair, padding: Pair) -> np.ndarray:
    N, C, *_ = x.shape
    output = output_size(x.shape[2:], kernel, stride, padding)
    check_shape("the array of winners", winners, (N, C, *output))
    view = outputs_view(output, x.shape[2:], kernel, stride, padding)
    y = empty((C, *output, N), x.dtype)
    tables = view.rows, view.columns, view.steps, kernel[1]
    _choose(output[0] * C, batch_innermost(x), batch_innermost(winners), False, *tables, y, alone=pooled_alone(x.size))
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
    if dy.dtype.kind == "f" and windows_tile(image, output, kernel, stride, padding):
        places = batch_innermost(winners.astype(WINNER, copy=False))
        _max_pool2d_scatter_tiled(output[0] * C, batch_innermost(dy), places, kernel, dx, alone=pooled_alone(dx.size))
        return batch_first(dx)
    tables = view.rows, view.columns, view.steps, kernel[1]
    _choose(image[0] * C, batch_innermost(dy), batch_innermost(winners), True, *tables, dx, alone=pooled_alone(dx.size))
    return batch_first(dx)


def _for_each_tile(work: Callable[..., None]) -> Callable[..., None]:
    """The decorator of what is done with a tile of a pixel's or a window's numbers, one for each of N images: makes it
    work(breadth, t, arguments) for each of the tiles, which begins at the t-th number."""

    @njit(inline="always")
    def for_all(N, lanes, arguments):
        t = 0
        while N - t >= len(WIDE) * lanes:
            work(WIDE, t, arguments)
            t += len(WIDE) * lanes
        while t < N:
            n = min(lanes, N - t)
            if n == lanes:  # AVX2 takes ten times as long to store some lanes
                work(ONE, t, arguments)
            elif n == lanes // 2:
                work(NARROW, t, arguments)
            else:
                work(n, t, arguments)
            t += lanes

    return for_all


@compiled_kernel()
def _avg_pool2d(first, last, x, rows, columns, shares, y):
    (C, OH, OW, N), (_, H, W, _), lanes = y.shape, x.shape, REGISTER_BYTES // x.itemsize
    x, shares, y = numbers_of(x), numbers_of(shares), numbers_of(y)
    for task in range(first, last):
        p, c = task // C, task % C
        taps, x_row, y_row = rows[p, 1], (c * H + rows[p, 2]) * W, (c * OH + p) * OW
        for q in range(OW):
            x_at, y_at = (x_row + columns[q, 2]) * N, (y_row + q) * N
            if taps == 2 and columns[q, 1] == 2:  # as nearly everywhere: the compiler writes all four taps out
                _average(N, lanes, ((2, 2), lanes, x, x_at, (W * N, N), shares, p * OW + q, y, y_at))
            else:
                _average(N, lanes, ((taps, columns[q, 1]), lanes, x, x_at, (W * N, N), shares, p * OW + q, y, y_at))


@_for_each_tile
@njit(inline="always")
def _average(breadth, t, arguments):
    """y[y_at + :] = the sum over i, j of shares[share] x[x_at + i x_steps[0] + j x_steps[1] + :]"""
    taps, lanes, x, x_at, x_steps, shares, share, y, y_at = arguments
    total = no_sums(ONE, breadth, x)
    for i in range(taps[0]):
        for j in range(taps[1]):
            pixel = x_at + t + i * x_steps[0] + j * x_steps[1]
            total = add_products(total, breadth, shares, share, 0, x, pixel, lanes)
    store_tile(total, breadth, y, y_at + t, 0)


@compiled_kernel()
def _avg_pool2d_grad(first, last, dy, rows, columns, shares, dx):
    (C, OH, OW, N), (_, H, W, _), lanes = dy.shape, dx.shape, REGISTER_BYTES // dy.itemsize
    numbers, parts, sums = numbers_of(dy), numbers_of(shares), numbers_of(dx)
    for task in range(first, last):
        h, c = task // C, task % C
        taps, p, dy_row, dx_row = rows[h, 1], rows[h, 2], (c * OH + rows[h, 2]) * OW, (c * H + h) * W
        for w in range(W):
            q = columns[w, 2]
            if taps == 1 and columns[w, 1] == 1:  # as nearly everywhere
                pixel, seen, share = (dx_row + w) * N, (dy_row + q) * N, p * OW + q
                _average(N, lanes, ((1, 1), lanes, numbers, seen, (0, 0), parts, share, sums, pixel))
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
def _avg_pool2d_grad_tiled(first, last, dy, taps, shares, dx):
    """Where the windows tile the image: each spreads its gradient over its own pixels. All shares are the same."""
    (C, OH, OW, N), W, lanes = dy.shape, dx.shape[2], REGISTER_BYTES // dy.itemsize
    dy, shares, dx = numbers_of(dy), numbers_of(shares), numbers_of(dx)
    for task in range(first, last):
        p, c = task // C, task % C
        for q in range(OW):
            dy_at, dx_at = ((c * OH + p) * OW + q) * N, ((c * OH + p) * taps[0] * W + q * taps[1]) * N
            if taps[0] == 2 and taps[1] == 2:
                _spread(N, lanes, ((2, 2), lanes, dy, dy_at, shares, dx, dx_at, (W * N, N)))
            else:
                _spread(N, lanes, (taps, lanes, dy, dy_at, shares, dx, dx_at, (W * N, N)))


@_for_each_tile
@njit(inline="always")
def _spread(breadth, t, arguments):
    """dx[dx_at + i dx_steps[0] + j dx_steps[1] + :] = the share of dy[dy_at + :], for all i and j"""
    taps, lanes, dy, dy_at, shares, dx, dx_at, dx_steps = arguments
    part = add_products(no_sums(ONE, breadth, dy), breadth, shares, 0, 0, dy, dy_at + t, lanes)
    for i in range(taps[0]):
        for j in range(taps[1]):
            store_tile(part, breadth, dx, dx_at + t + i * dx_steps[0] + j * dx_steps[1], 0)


@compiled_kernel()
def _max_pool2d(first, last, x, rows, columns, KW, y, winners):
    (C, OH, OW, N), (_, H, W, _), lanes = y.shape, x.shape, REGISTER_BYTES // x.itemsize
    x, y, winners = numbers_of(x), numbers_of(y), numbers_of(winners)
    for task in range(first, last):
        p, c = task // C, task % C
        tap, taps, x_row, y_row = rows[p, 0] * KW, rows[p, 1], (c * H + rows[p, 2]) * W, (c * OH + p) * OW
        for q in range(OW):
            place, x_at, y_at = tap + columns[q, 0], (x_row + columns[q, 2]) * N, (y_row + q) * N
            if taps == 2 and columns[q, 1] == 2:  # as above
                _largest(N, lanes, ((2, 2), x, x_at, (W * N, N), place, KW, y, winners, y_at))
            else:
                _largest(N, lanes, ((taps, columns[q, 1]), x, x_at, (W * N, N), place, KW, y, winners, y_at))


@_for_each_tile
@njit(inline="always")
def _largest(breadth, t, arguments):
    """The largest of a window, and its place there."""
    taps, x, x_at, x_steps, place, KW, y, winners, y_at = arguments
    best = load_tile(ONE, breadth, x, x_at + t, 0)  # the first pixel inside, which wins where all is minus infinity
    won = spread_place(best, winners, place)
    for i in range(taps[0]):
        for j in range(taps[1]):
            pixel = x_at + t + i * x_steps[0] + j * x_steps[1]
            best, won = keep_larger(best, won, breadth, x, pixel, place + i * KW + j)
    store_tile(best, breadth, y, y_at + t, 0)
    store_tile(won, breadth, winners, y_at + t, 0)


@compiled_kernel()
def _max_pool2d_scatter_tiled(first, last, dy, winners, taps, dx):
    """Where the windows tile the image, as above."""
    (C, OH, OW, N), W, lanes = dy.shape, dx.shape[2], REGISTER_BYTES // dy.itemsize
    dy, winners, dx = numbers_of(dy), numbers_of(winners), numbers_of(dx)
    for task in range(first, last):
        p, c = task // C, task % C
        for q in range(OW):
            dy_at, dx_at = ((c * OH + p) * OW + q) * N, ((c * OH + p) * taps[0] * W + q * taps[1]) * N
            if taps[0] == 2 and taps[1] == 2:
                _send_to_winner(N, lanes, ((2, 2), dy, winners, dy_at, dx, dx_at, (W * N, N)))
            else:
                _send_to_winner(N, lanes, (taps, dy, winners, dy_at, dx, dx_at, (W * N, N)))


@_for_each_tile
@njit(inline="always")
def _send_to_winner(breadth, t, arguments):
    """dx = dy at the pixel of a window that won, and 0 at its others"""
    taps, dy, winners, dy_at, dx, dx_at, dx_steps = arguments
    gradient = load_tile(ONE, breadth, dy, dy_at + t, 0)
    for i in range(taps[0]):
        for j in range(taps[1]):
            pixel = dx_at + t + i * dx_steps[0] + j * dx_steps[1]
            part = where_won(gradient, breadth, winners, dy_at + t, i * taps[1] + j)
            store_tile(part, breadth, dx, pixel, 0)


@compiled_kernel(inputs=2)
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
