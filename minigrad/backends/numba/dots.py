"""Dot products of pieces of memory, over all pixels and images: what weight gradients come down to.

A piece is a run of neighbouring numbers, as in sums.py. A tile of sums stays in registers (tile.py) along the pieces of
several rows; the lanes of each register are added up at the end.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from ..numpy.layout import Pair
from .compiler import SUMS_IN_ANY_ORDER, compiled_function, compiled_kernel
from .memory import contiguous
from .tasks import BANDS_SIZE, TASKS, part_of, parts_of
from .tile import DOT_ROWS, FIVE, ONE, REGISTER_BYTES, TWO, add_dot_products, add_lanes, no_sums
from .views import View

BAND, TERMS = 3 << 19, 3 << 9  # multiply-adds of a band of rows that are worth sums of its own, and terms of each sum
PIECE = 3 << 11  # numbers of each output whose dot products are taken at a time, so that they stay in the cache


class Dots(NamedTuple):
    """What dot products of some sizes take besides arrays."""

    tasks: int
    arguments: tuple[Any, ...]  # of the kernel
    sums: tuple[int, ...]  # (bands, G O, C, KH, KW)


def plan_dots(numbers: int, shape: tuple[int, int, int], kernel: Pair, view: View) -> Dots:
    """How dot_products cuts its work, for y of so many numbers an output; see there."""
    (G, O, C), OH, size = shape, len(view.rows), shape[2] * kernel[0] * kernel[1]
    # bands of rows p, each with sums of its own, which are added up in this order: where that is little beside the rest
    work, results = G * O * numbers * size, max(G * O * size, 1)
    bands = max(1, min(TASKS, OH, work // BAND, numbers // TERMS, BANDS_SIZE // results))
    parts = parts_of(bands, O, len(DOT_ROWS))
    tables = view.rows, view.columns, view.spans, view.steps
    return Dots(bands * parts if work else 0, (shape, *tables, parts), (bands, G * O, C, *kernel))


def dot_products(y: np.ndarray, x: np.ndarray, plan: Dots) -> tuple[np.ndarray, np.ndarray]:
    """sums[g O + o, c, i, j] = sum over p, q, n of y[g O + o, p, q, n] x[g C + c, the pixel that p, q sees, n]

    through tap i, j of the kernel; there is no term where it sees none. And totals[g O + o], the sum over y alone.

    Args:
        y: (G O, OH, OW, N)
        x: (G C, H, W, N)
        plan: for groups, outputs of a group and inputs of a group as its shape G, O, C; a kernel; and a view.

    Returns: (G O, C, KH, KW), and (G O,)
    """
    sums = np.zeros(plan.sums, x.dtype)
    if plan.tasks == 0:
        return sums[0], y.sum(axis=(1, 2, 3))
    totals = np.empty(plan.sums[:2], x.dtype)
    _dot_products(plan.tasks, contiguous(y), contiguous(x), totals, sums, *plan.arguments)
    return (np.add.reduce(sums), np.add.reduce(totals)) if len(sums) > 1 else (sums[0], totals[0])


@compiled_kernel()
def _dot_products(first, last, y, x, totals, sums, shape, rows, columns, spans, view_steps, parts):
    (G, O, _), OH, B, (row_steps, column_steps) = shape, len(rows), len(sums), view_steps
    for task in range(first, last):
        band, part = task // parts, task % parts
        outputs = part_of(part, parts, shape[1], len(DOT_ROWS))
        place = band * OH // B, (band + 1) * OH // B
        _band_of_dots(band, place, outputs, y, x, shape, rows, columns, spans, row_steps, column_steps, sums)
        for g in range(G):
            for o in range(g * O + outputs[0], g * O + outputs[1]):
                totals[band, o] = _total(y[o, place[0] : place[1]].reshape(-1))


@compiled_function(SUMS_IN_ANY_ORDER)
def _total(numbers):
    total = numbers.dtype.type(0)
    for i in range(numbers.size):
        total += numbers[i]
    return total


@njit(inline="always")
def _band_of_dots(band, place, outputs, y, x, shape, rows, columns, spans, row_steps, column_steps, sums):
    """A band's dot products, over its rows from the first to the last, for the outputs from the first to the last."""
    (G, O, C), (_, OH, OW, N), (_, H, W, _), (_, _, _, KH, KW) = shape, y.shape, x.shape, sums.shape
    # a piece's numbers in each row; a pixel is cut apart only where it has many
    size, piece = C * KH * KW, max(PIECE // (place[1] - place[0]) // 64 * 64, 64, N if N < 256 else 0)
    for span in range(len(spans)):
        q, pixels = spans[span, 0], spans[span, 1] - spans[span, 0]
        shift = columns[q + 1, 2] - columns[q, 2] if pixels > 1 else 1
        # neighbours that see neighbours are one run of numbers; others are taken pixel by pixel
        count, run = (1, pixels * N) if shift == 1 else (pixels, N)
        together = max(piece // run, 1)  # pixels that make a piece
        # a tile's columns are channels or taps, whichever fill tiles better: how many, how far apart in x and sums
        channels, taps = (C, H * W * N, KH * KW), (columns[q, 1], column_steps[1] * N, 1)
        by_channel = _time_of_columns(C) * taps[0] < _time_of_columns(taps[0]) * C
        along, across = (channels, taps) if by_channel else (taps, channels)
        y_steps, x_steps, s_steps = (OH * OW * N, OW * N, N), (W * N, along[1], shift * N), (size, along[2])
        for u in range(0, count, together):
            for t in range(0, run, piece):
                for g in range(G):
                    y_at = (g * O * OH * OW + q + u) * N + t
                    x_at = (g * C * H * W + columns[q, 2] + u * shift) * N + t
                    s_at = (band * G + g) * O * size + columns[q, 0]
                    for i in range(KH):
                        seen = (i, row_steps[1], place[0], place[1], min(together, count - u), min(piece, run - t))
                        for k in range(across[0]):
                            at = (y_at, x_at + k * across[1], s_at + i * KW + k * across[2])
                            c = _dots(FIVE, 0, along[0], seen, rows, outputs, y, x, sums, at, y_steps, x_steps, s_steps)
                            _dots(TWO, c, along[0], seen, rows, outputs, y, x, sums, at, y_steps, x_steps, s_steps)


@compiled_function()
def _time_of_columns(count):
    """How long so many columns take: five in a tile two units each; a tile of two takes four, be they one or two."""
    return count // len(FIVE) * 2 * len(FIVE) + (count % len(FIVE) + 1) // 2 * 4


@compiled_function()
def _dots(columns, c, count, seen, rows, outputs, y, x, sums, at, y_steps, x_steps, s_steps):
    """sums[s_at + o s_step + c s_column] += sum over p, t of y[y_at + o y_step + p y_row + t] x[... + t]

    where "..." is x_at + h x_row + c x_column, and h the row of x that p sees, for each output o, and for columns from
    c to the count, as long as there are as many as the tile has; a tile of two is also taken for a last one. Returns
    the first column that is left.

    Args:
        seen: through which row of the kernel, its dilation; the first p and the one behind the last; how many pixels,
            and how many t in each.
        at: y_at, x_at, s_at.
        y_steps: y_step, y_row and from pixel to pixel; x_steps: x_row, x_column and likewise.
        s_steps: s_step, s_column.
    """
    while c < count and (count - c >= len(columns) or len(columns) == len(TWO)):
        wide = min(len(columns), count - c)
        steps = (x_steps[0], x_steps[1] if wide > 1 else 0, x_steps[2])  # one column alone is taken twice, added once
        o = outputs[0]
        while outputs[1] - o >= len(DOT_ROWS):
            place = (at[0] + o * y_steps[0], at[1] + c * x_steps[1], at[2] + o * s_steps[0] + c * s_steps[1])
            tile, size = no_sums(DOT_ROWS, columns, y), (len(DOT_ROWS), wide)
            _dots_of_tile(tile, size, seen, rows, y, x, sums, place, y_steps, steps, s_steps)
            o += len(DOT_ROWS)
        while o < outputs[1]:
            place = (at[0] + o * y_steps[0], at[1] + c * x_steps[1], at[2] + o * s_steps[0] + c * s_steps[1])
            tile, size = no_sums(TWO, columns, y), (min(len(TWO), outputs[1] - o), wide)
            row_steps = (y_steps[0] if size[0] > 1 else 0, y_steps[1], y_steps[2])  # likewise one row
            _dots_of_tile(tile, size, seen, rows, y, x, sums, place, row_steps, steps, s_steps)
            o += len(TWO)
        c += wide
    return c


@compiled_function()
def _dots_of_tile(tile, size, seen, rows, y, x, sums, at, y_steps, x_steps, s_steps):
    """A tile of them; `size` says how many of its rows and columns count."""
    lanes = REGISTER_BYTES // x.itemsize
    i, dilation, first, last, pixels, length = seen
    for p in range(first, last):
        tap = i - rows[p, 0]
        if 0 <= tap < rows[p, 1]:
            y_place, x_place = at[0] + p * y_steps[1], at[1] + (rows[p, 2] + tap * dilation) * x_steps[0]
            for _ in range(pixels):
                for t in range(0, length - lanes + 1, lanes):
                    tile = add_dot_products(tile, ONE, y, y_place + t, y_steps[0], x, x_place + t, x_steps[1])
                t = length // lanes * lanes
                if t < length:
                    tile = add_dot_products(tile, length - t, y, y_place + t, y_steps[0], x, x_place + t, x_steps[1])
                y_place, x_place = y_place + y_steps[2], x_place + x_steps[2]
    add_lanes(tile, size, sums, at[2], s_steps)
