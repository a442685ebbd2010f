"""The two loops that the linear kernels come down to: weighted sums of pieces of memory, and dot products of pieces.

A piece is a run of neighbouring numbers. Both loops keep a tile of sums in registers (tile.py) while they run, over the
terms of a sum or along a piece; both are cut into tasks by the sizes of the work alone.
"""

from __future__ import annotations

import numpy as np
from numba import literal_unroll, prange

from ..numpy.layout import Pair
from .compiler import compiled_function, compiled_kernel
from .memory import contiguous, empty
from .tile import (
    DOT_COLUMNS,
    DOT_ROWS,
    REGISTER_BYTES,
    ROWS,
    VECTORS,
    add_dot_products,
    add_lanes,
    add_products,
    load_tile,
    no_sums,
    spread,
    store_tile,
)
from .views import View

TASKS = 16  # at least so many where the work allows it, for however many threads there are
DEPTH = 160  # terms of a sum taken at a time, so that their pieces stay in the first-level cache for all outputs
BAND = 1 << 20  # multiply-adds that are worth sums of their own
PIECE = 2048  # numbers of each row whose dot products are taken at a time, for the same reason


def weighted_sums(
    x: np.ndarray,
    weight: np.ndarray,
    shape: tuple[int, int, int],
    steps: tuple[int, int, int, int],
    bias: np.ndarray,
    view: View,
) -> np.ndarray:
    """y[g O + o, p, q] = bias[g O + o] + sum over c, i, j of weight[g, o, c, i, j] x[g C + c, the pixel seen]

    for N numbers at once. The pixel is what p, q sees through tap i, j; there is no term where it sees none.

    Args:
        x: (G C, H, W, N)
        weight: of any shape; weight[g, o, c, i, j] lies at g steps[0] + o steps[1] + c steps[2] + i steps[3] + j.
        shape: G, O, C: groups, outputs of a group, inputs of a group.
        bias: (G O,)

    Returns: y (G O, OH, OW, N)
    """
    (G, O, _), OH, OW = shape, len(view.rows), len(view.columns)
    x, weight, bias = contiguous(x), contiguous(weight).reshape(-1), contiguous(bias)
    y = empty((G * O, OH, OW, x.shape[3]), x.dtype)
    parts = _parts(G * OH, O, len(ROWS[0]))
    _weighted_sums(x, weight, shape, steps, bias, view.rows, view.columns, view.runs, view.steps, parts, y)
    return y


def dot_products(y: np.ndarray, x: np.ndarray, shape: tuple[int, int, int], kernel: Pair, view: View) -> np.ndarray:
    """sums[g O + o, c, i, j] = sum over p, q, n of y[g O + o, p, q, n] x[g C + c, the pixel that p, q sees, n]

    through tap i, j of the kernel; there is no term where it sees none.

    Args:
        y: (G O, OH, OW, N)
        x: (G C, H, W, N)
        shape: G, O, C, as above.

    Returns: (G O, C, KH, KW)
    """
    (G, O, C), OH = shape, len(view.rows)
    products = y.size * C * kernel[0] * kernel[1]
    bands = max(1, min(TASKS, OH, products // BAND))  # of rows p; each has its own sums, added up in this order
    sums = np.zeros((bands, G * O, C, *kernel), x.dtype)
    parts = _parts(bands, O, len(DOT_ROWS[0]))
    _dot_products(contiguous(y), contiguous(x), shape, view.rows, view.columns, view.runs, view.steps, parts, sums)
    return sums.sum(axis=0) if bands > 1 else sums[0]


def _parts(tasks: int, outputs: int, tile: int) -> int:
    """Into how many parts the outputs are cut so that there are enough tasks, each of whole tiles."""
    return min(-(-TASKS // max(tasks, 1)), -(-outputs // tile))


@compiled_function()
def _part(part, parts, outputs, tile):
    """The first output of a part, and the one behind its last."""
    tiles = -(-outputs // tile)
    return part * tiles // parts * tile, min((part + 1) * tiles // parts * tile, outputs)


# ------------------------------------------------------------------------------------------------------ weighted sums


@compiled_kernel()
def _weighted_sums(x, weight, shape, steps, bias, rows, columns, runs, view_steps, parts, y):
    (G, O, C), (_, OH, OW, N), (_, H, W, _) = shape, y.shape, x.shape
    (row_tap, row_pixel), (column_tap, column_pixel) = view_steps
    x_steps = (H * W * N, row_pixel * W * N, column_pixel * N)
    w_steps = (steps[2], row_tap * steps[3], column_tap, steps[1])
    for task in prange(G * OH * parts):
        g, p = task // (OH * parts), task // parts % OH
        outputs = _part(task % parts, parts, O, len(ROWS[0]))
        for run in range(len(runs)):
            q, length = runs[run, 0], (runs[run, 1] - runs[run, 0]) * N
            counts = (C, rows[p, 1], columns[q, 1])
            x_at = ((g * C * H + rows[p, 2]) * W + columns[q, 2]) * N
            w_at = g * steps[0] + rows[p, 0] * steps[3] + columns[q, 0]
            y_at = ((g * O * OH + p) * OW + q) * N
            group_bias = bias[g * O : (g + 1) * O]
            _sums_of_run(
                counts, x, x_at, x_steps, weight, w_at, w_steps, group_bias, outputs, y, y_at, OH * OW * N, length
            )  # fmt: skip


@compiled_function()
def _sums_of_run(counts, x, x_at, x_steps, weight, w_at, w_steps, bias, outputs, y, y_at, y_step, length):
    """y[y_at + o y_step + t] = bias[o] + sum over c, i, j of weight[w_at + ... + o w_steps[3]] x[x_at + ... + t]

    for each output o and t below the length, where "..." is c, i, j times their steps, and they run up to the counts.
    """
    lanes = REGISTER_BYTES // x.itemsize
    wide = VECTORS * lanes
    depth = max(DEPTH // max(counts[1] * counts[2], 1), 1)
    for c in range(0, max(counts[0], 1), depth):
        terms = (c, min(c + depth, counts[0]), counts[1], counts[2])
        for t in range(0, length - wide + 1, wide):
            _sums_of_outputs(
                None, terms, x, x_at + t, x_steps, weight, w_at, w_steps, bias, outputs, y, y_at + t, y_step
            )
        for t in range(length // wide * wide, length, lanes):
            n = min(lanes, length - t)
            _sums_of_outputs(n, terms, x, x_at + t, x_steps, weight, w_at, w_steps, bias, outputs, y, y_at + t, y_step)


@compiled_function()
def _sums_of_outputs(count, terms, x, x_at, x_steps, weight, w_at, w_steps, bias, outputs, y, y_at, y_step):
    """The same for one tile's breadth, and the inputs c from terms[0] to terms[1]."""
    o = outputs[0]
    for rows in literal_unroll(ROWS):
        while outputs[1] - o >= len(rows):
            place, is_first = y_at + o * y_step, terms[0] == 0
            tile = spread(rows, count, bias, o) if is_first else load_tile(rows, count, y, place, y_step)
            tile = _sums_of_tile(tile, count, terms, x, x_at, x_steps, weight, w_at + o * w_steps[3], w_steps)
            store_tile(tile, count, y, place, y_step)
            o += len(rows)


@compiled_function()
def _sums_of_tile(tile, count, terms, x, x_at, x_steps, weight, w_at, w_steps):
    for c in range(terms[0], terms[1]):
        for i in range(terms[2]):
            for j in range(terms[3]):
                w_place = w_at + c * w_steps[0] + i * w_steps[1] + j * w_steps[2]
                x_place = x_at + c * x_steps[0] + i * x_steps[1] + j * x_steps[2]
                tile = add_products(tile, count, weight, w_place, w_steps[3], x, x_place)
    return tile


# ------------------------------------------------------------------------------------------------------- dot products


@compiled_kernel()
def _dot_products(y, x, shape, rows, columns, runs, view_steps, parts, sums):
    (G, O, C), (_, OH, OW, N), (_, H, W, _) = shape, y.shape, x.shape
    (B, _, _, KH, KW), dilation, column_pixel = sums.shape, view_steps[0][1], view_steps[1][1]
    flat_y, flat_x, flat_sums, size = y.reshape(-1), x.reshape(-1), sums.reshape(-1), C * KH * KW
    y_steps = (OH * OW * N, OW * N)
    for task in prange(B * parts):
        band = (task // parts * OH // B, (task // parts + 1) * OH // B)
        outputs = _part(task % parts, parts, O, len(DOT_ROWS[0]))
        piece = max(PIECE // (band[1] - band[0]), 1)
        for run in range(len(runs)):
            q, length = runs[run, 0], (runs[run, 1] - runs[run, 0]) * N
            # a tile's columns are channels or taps, whichever are more: how many, from one to the next in x and in sums
            channels, taps = (C, H * W * N, KH * KW), (columns[q, 1], column_pixel * N, 1)
            along, across = (channels, taps) if C > taps[0] else (taps, channels)
            x_steps, s_steps = (W * N, along[1]), (size, along[2])
            for t in range(0, length, piece):
                for g in range(G):
                    y_at = (g * O * OH * OW + q) * N + t
                    x_at = (g * C * H * W + columns[q, 2]) * N + t
                    s_at = (task // parts * G + g) * O * size + columns[q, 0]
                    for i in range(KH):
                        seen = (i, dilation, band[0], band[1], min(piece, length - t))
                        for k in range(across[0]):
                            x_place, s_place = x_at + k * across[1], s_at + i * KW + k * across[2]
                            _dots_of_columns(
                                along[0], seen, rows, outputs, flat_y, y_at, y_steps, flat_x, x_place, x_steps,
                                flat_sums, s_place, s_steps,
                            )  # fmt: skip


@compiled_function()
def _dots_of_columns(count, seen, rows, outputs, y, y_at, y_steps, x, x_at, x_steps, sums, s_at, s_steps):
    """sums[s_at + o s_step + k s_column] += sum over p, t of y[y_at + o y_step + p y_row + t] x[... + t]

    where "..." is x_at + h x_row + k x_column, and h the row of x that p sees, for each output o and k below the count.

    Args:
        seen: through which row of the kernel, its dilation, the first p and the one behind the last, how many t.
        y_steps: y_step and y_row, x_steps: x_row and x_column, s_steps: s_step and s_column.
    """
    k = 0
    for columns in literal_unroll(DOT_COLUMNS):
        while count - k >= len(columns):
            x_place, s_place = x_at + k * x_steps[1], s_at + k * s_steps[1]
            _dots_of_outputs(
                columns, seen, rows, outputs, y, y_at, y_steps, x, x_place, x_steps, sums, s_place, s_steps
            )
            k += len(columns)


@compiled_function()
def _dots_of_outputs(columns, seen, rows, outputs, y, y_at, y_steps, x, x_at, x_steps, sums, s_at, s_steps):
    """The same for as many columns as a tile has."""
    o = outputs[0]
    for o_rows in literal_unroll(DOT_ROWS):
        while outputs[1] - o >= len(o_rows):
            tile = no_sums(o_rows, columns, y)
            tile = _dots_of_tile(tile, seen, rows, y, y_at + o * y_steps[0], y_steps, x, x_at, x_steps)
            add_lanes(tile, sums, s_at + o * s_steps[0], s_steps)
            o += len(o_rows)


@compiled_function()
def _dots_of_tile(tile, seen, rows, y, y_at, y_steps, x, x_at, x_steps):
    lanes = REGISTER_BYTES // x.itemsize
    i, dilation, first, last, length = seen
    for p in range(first, last):
        tap = i - rows[p, 0]
        if 0 <= tap < rows[p, 1]:
            y_place, x_place = y_at + p * y_steps[1], x_at + (rows[p, 2] + tap * dilation) * x_steps[0]
            for t in range(0, length - lanes + 1, lanes):
                tile = add_dot_products(tile, None, y, y_place + t, y_steps[0], x, x_place + t, x_steps[1])
            t = length // lanes * lanes
            if t < length:
                tile = add_dot_products(tile, length - t, y, y_place + t, y_steps[0], x, x_place + t, x_steps[1])
    return tile
