"""The two loops that the linear kernels come down to: weighted sums of pieces of memory, and dot products of pieces.

A piece is a run of neighbouring numbers. Both loops keep a tile of sums in registers (tile.py) while they run, over the
terms of a sum or along a piece; both are cut into tasks by the sizes of the work alone.
"""

from __future__ import annotations

import numpy as np
from numba import literal_unroll, prange

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
    item,
    load_tile,
    no_sums,
    spread,
    store_tile,
)
from .views import View

TASKS = 16  # at least so many where the work allows it, for however many threads there are
DEPTH = 160  # terms of a sum taken at a time, so that their pieces stay in the first-level cache for all outputs
PIECE = 1024  # numbers of a piece whose dot products are taken at a time, for the same reason


def weighted_sums(
    x: np.ndarray,
    weight: np.ndarray,
    shape: tuple[int, int, int],
    steps: tuple[int, int, int],
    bias: np.ndarray,
    view: View,
) -> np.ndarray:
    """y[g O + o, p, q] = bias[g O + o] + sum over c, i, j of weight[g, o, c, i, j] x[g C + c, view.rows[p, i], ...]

    for N numbers at once; "..." is view.columns[q, j], and where the view has nothing there is no term.

    Args:
        x: (G C, H, W, N)
        weight: of any shape; weight[g, o, c, i, j] lies at g steps[0] + o steps[1] + c steps[2] + i KW + j.
        shape: G, O, C: groups, outputs of a group, inputs of a group.
        bias: (G O,)

    Returns: y (G O, OH, OW, N)
    """
    (G, O, _), OH, OW = shape, len(view.rows), len(view.columns)
    x, weight, bias = contiguous(x), contiguous(weight).reshape(-1), contiguous(bias)
    y = empty((G * O, OH, OW, x.shape[3]), x.dtype)
    parts = _parts(G * OH, O, len(ROWS[0]))
    _weighted_sums(x, weight, shape, steps, bias, view.rows, view.columns, view.runs, parts, y)
    return y


def dot_products(y: np.ndarray, x: np.ndarray, shape: tuple[int, int, int], view: View) -> np.ndarray:
    """sums[g O + o, c, i, j] = sum over p, q, n of y[g O + o, p, q, n] x[g C + c, view.rows[p, i], ..., n]

    where "..." is view.columns[q, j], and there is no term where the view has nothing.

    Args:
        y: (G O, OH, OW, N)
        x: (G C, H, W, N)
        shape: G, O, C, as above.

    Returns: (G O, C KH KW)
    """
    (G, O, C), OH = shape, len(view.rows)
    bands = min(TASKS, OH)  # of rows p; each has its own sums, which are added up in this order
    sums = np.zeros((bands, G * O, C * view.rows.shape[1] * view.columns.shape[1]), x.dtype)
    parts = _parts(bands, O, len(DOT_ROWS[0]))
    _dot_products(contiguous(y), contiguous(x), shape, view.rows, view.columns, view.runs, parts, sums)
    return sums.sum(axis=0) if bands > 1 else sums[0]


def _parts(tasks: int, outputs: int, tile: int) -> int:
    """Into how many parts the outputs are cut so that there are enough tasks, each of whole tiles."""
    return min(-(-TASKS // max(tasks, 1)), -(-outputs // tile))


@compiled_function()
def _part(part, parts, outputs, tile):
    """The first output of a part, and the one behind its last."""
    tiles = -(-outputs // tile)
    return part * tiles // parts * tile, min((part + 1) * tiles // parts * tile, outputs)


@compiled_function()
def _terms(g, p, run, x, shape, steps, rows, columns, runs, pieces, weights):
    """Finds the terms of a run's sums: where in x each piece begins, and in the weight output 0's factor. How many."""
    (_, _, C), (_, H, W, N), KH, KW = shape, x.shape, rows.shape[1], columns.shape[1]
    terms, q = 0, runs[run, 0]
    for c in range(C):
        for i in range(KH):
            for j in range(KW):
                if rows[p, i] >= 0 and columns[q, j] >= 0:
                    pieces[terms] = (((g * C + c) * H + rows[p, i]) * W + columns[q, j]) * N
                    weights[terms] = g * steps[0] + c * steps[2] + i * KW + j
                    terms += 1
    return terms


@compiled_kernel()
def _weighted_sums(x, weight, shape, steps, bias, rows, columns, runs, parts, y):
    (G, O, C), (_, OH, OW, N) = shape, y.shape
    size = C * rows.shape[1] * columns.shape[1]
    for task in prange(G * OH * parts):
        g, p = task // (OH * parts), task // parts % OH
        outputs = _part(task % parts, parts, O, len(ROWS[0]))
        pieces, weights = np.empty(size, np.intp), np.empty(size, np.intp)
        for run in range(len(runs)):
            terms = _terms(g, p, run, x, shape, steps, rows, columns, runs, pieces, weights)
            begin, length = ((g * O * OH + p) * OW + runs[run, 0]) * N, (runs[run, 1] - runs[run, 0]) * N
            _sums_of_run(
                x, pieces, weight, weights, terms, steps[1], bias, g * O, outputs, y, begin, length, OH * OW * N
            )


@compiled_function()
def _sums_of_run(x, pieces, weight, weights, terms, w_step, bias, b, outputs, y, begin, length, y_step):
    """y[begin + o y_step + t] = bias[b + o] + sum over k of weight[weights[k] + o w_step] x[pieces[k] + t]"""
    lanes = REGISTER_BYTES // x.itemsize
    wide = VECTORS * lanes
    for first in range(0, max(terms, 1), DEPTH):
        depth = (first, min(first + DEPTH, terms))
        for t in range(0, length - wide + 1, wide):
            _sums_of_tile(None, t, depth, x, pieces, weight, weights, w_step, bias, b, outputs, y, begin, y_step)
        for t in range(length // wide * wide, length, lanes):
            count = min(lanes, length - t)
            _sums_of_tile(count, t, depth, x, pieces, weight, weights, w_step, bias, b, outputs, y, begin, y_step)


@compiled_function()
def _sums_of_tile(count, t, depth, x, pieces, weight, weights, w_step, bias, b, outputs, y, begin, y_step):
    """The same for one tile's breadth from t on, and the terms of that depth."""
    o = outputs[0]
    for rows in literal_unroll(ROWS):
        while outputs[1] - o >= len(rows):
            place = begin + o * y_step + t
            tile = spread(rows, count, bias, b + o) if depth[0] == 0 else load_tile(rows, count, y, place, y_step)
            for k in range(depth[0], depth[1]):
                w = item(weights, k) + o * w_step
                tile = add_products(tile, count, weight, w, w_step, x, item(pieces, k) + t)
            store_tile(tile, count, y, place, y_step)
            o += len(rows)


@compiled_kernel()
def _dot_products(y, x, shape, rows, columns, runs, parts, sums):
    (G, O, C), (_, OH, OW, N), (B, _, K) = shape, y.shape, sums.shape
    for task in prange(B * parts):
        band = task // parts
        outputs = _part(task % parts, parts, O, len(DOT_ROWS[0]))
        pieces, places = np.empty(K, np.intp), np.empty(K, np.intp)
        for p in range(band * OH // B, (band + 1) * OH // B):
            for g in range(G):
                for run in range(len(runs)):
                    terms = _terms(g, p, run, x, shape, (0, K, K // C), rows, columns, runs, pieces, places)
                    begin, length = ((g * O * OH + p) * OW + runs[run, 0]) * N, (runs[run, 1] - runs[run, 0]) * N
                    for t in range(0, length, PIECE):
                        count = min(PIECE, length - t)
                        s = (band * G + g) * O * K
                        _dots_of_piece(
                            y, begin + t, OH * OW * N, x, pieces, terms, t, count, outputs, sums, s, places, K
                        )


@compiled_function()
def _dots_of_piece(y, begin, y_step, x, pieces, terms, t, count, outputs, sums, s, places, s_step):
    """sums[s + o s_step + places[k]] += sum over u < count of y[begin + o y_step + u] x[pieces[k] + t + u]"""
    k = 0
    for columns in literal_unroll(DOT_COLUMNS):
        while terms - k >= len(columns):
            _dots_of_columns(columns, k, y, begin, y_step, x, pieces, t, count, outputs, sums, s, places, s_step)
            k += len(columns)


@compiled_function()
def _dots_of_columns(columns, k, y, begin, y_step, x, pieces, t, count, outputs, sums, s, places, s_step):
    """The same for as many k as there are columns."""
    lanes = REGISTER_BYTES // x.itemsize
    o = outputs[0]
    for rows in literal_unroll(DOT_ROWS):
        while outputs[1] - o >= len(rows):
            row, tile = begin + o * y_step, no_sums(rows, columns, y)
            for u in range(0, count - lanes + 1, lanes):
                tile = add_dot_products(tile, None, y, row + u, y_step, x, pieces, k, t + u)
            u = count // lanes * lanes
            if u < count:
                tile = add_dot_products(tile, count - u, y, row + u, y_step, x, pieces, k, t + u)
            add_lanes(tile, sums, s + o * s_step, s_step, places, k)
            o += len(rows)
