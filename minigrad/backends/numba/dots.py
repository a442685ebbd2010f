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


@compiled_kernel(inputs=2)
def _dot_products(first, last, y, x, totals, sums, shape, rows, columns, spans, view_steps, parts):
    (G, O, _), OH, B, (row_steps, column_steps) = shape, len(rows), len(sums), view_steps
    for task in range(first, last):
        band, part = task // parts, task % parts
        outputs = part_of(part, parts, O, len(DOT_ROWS))
        place = band * OH // B, (band + 1) * OH // B
        _band_of_dots(band, place, outputs, y, x, shape, rows, columns, spans, row_steps, column_steps, sums)
        for g in range(G):
            for o in range(g * O + outputs[0], g * O + outputs[1]):
                totals[band, o] = total_of(y[o, place[0] : place[1]].reshape(-1))


@compiled_function(SUMS_IN_ANY_ORDER)
def total_of(numbers):
    total = numbers.dtype.type(0)
    for i in range(numbers.size):
        total += numbers[i]
    return total


@njit(inline="always")
def _band_of_dots(band, place, outputs, y, x, shape, rows, columns, spans, row_steps, column_steps, sums):
    """A band's dot products, over the rows and for the outputs from the first of each to the one before its last."""
    (G, O, C), (_, OH, OW, N), (_, H, W, _), (_, _, _, KH, KW) = shape, y.shape, x.shape, sums.shape
    size = C * KH * KW
    # a piece's numbers in each row: whole registers of any kind; a pixel is cut apart only where it has many
    piece = max(PIECE // (place[1] - place[0]) // 64 * 64, 64, N if N < 256 else 0)
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
        fives = along[0] // len(FIVE) * len(FIVE)
        y_steps, x_steps, s_steps = (OH * OW * N, OW * N, N), (W * N, along[1], shift * N), (size, along[2], KW)
        for u in range(0, count, together):
            for t in range(0, run, piece):
                for g in range(G):
                    y_at = (g * O * OH * OW + q + u) * N + t
                    x_at = (g * C * H * W + columns[q, 2] + u * shift) * N + t
                    at = (y_at, x_at, (band * G + g) * O * size + columns[q, 0])
                    seen = (row_steps[1], place[0], place[1], min(together, count - u), min(piece, run - t))
                    if fives > 0:
                        _dots(FIVE, (0, fives), across, seen, rows, outputs, y, x, sums, at, y_steps, x_steps, s_steps)
                    if fives < along[0]:
                        rest = fives, along[0]
                        _dots(TWO, rest, across, seen, rows, outputs, y, x, sums, at, y_steps, x_steps, s_steps)


@compiled_function()
def _time_of_columns(count):
    """How long so many columns take: five in a tile two units each; a tile of two takes four, be they one or two."""
    return count // len(FIVE) * 2 * len(FIVE) + (count % len(FIVE) + 1) // 2 * 4


@compiled_function()
def _dots(columns, these, across, seen, rows, outputs, y, x, sums, starts, y_steps, x_steps, s_steps):
    """sums[s_at + o s_step + c s_column + ...] +=
    sum over p, u, t of y[y_at + o y_step + p y_row + u y_pixel + t] x[x_at + ... + u x_pixel + t]

    for all rows i of the kernel, k across, outputs o, and columns c from the first to the last of `these`; a tile of
    two is also taken for a last one. In x, "..." is h x_row + c x_column and k times its step, where h is the row that
    p sees through i; in sums it is i and k times their steps.

    All of these in one call, for a call takes longer than a short piece.

    Args:
        across: how many k, and how far they are apart in x and in sums.
        seen: the dilation of the kernel's rows; the first p and the one behind the last; how many pixels u, and
            how many t in each.
        starts: y_at, x_at, s_at.
        y_steps: y_step, y_row, y_pixel; x_steps: x_row, x_column, x_pixel.
        s_steps: s_step, s_column, and from a row i to the next.
    """
    for i in range(sums.shape[3]):
        for k in range(across[0]):
            x_start, s_start = starts[1] + k * across[1], starts[2] + i * s_steps[2] + k * across[2]
            for c in range(these[0], these[1], len(columns)):
                wide, x_at, s_at = min(len(columns), these[1] - c), x_start + c * x_steps[1], s_start + c * s_steps[1]
                # one column alone is taken twice, and added once; so is one row
                steps, o = (x_steps[0], x_steps[1] if wide > 1 else 0, x_steps[2]), outputs[0]
                while outputs[1] - o >= len(DOT_ROWS):
                    tile, size = no_sums(DOT_ROWS, columns, y), (len(DOT_ROWS), wide)
                    at = (starts[0] + o * y_steps[0], x_at, s_at + o * s_steps[0])
                    _dots_of_tile(tile, size, i, seen, rows, y, x, sums, at, y_steps, steps, s_steps)
                    o += len(DOT_ROWS)
                while o < outputs[1]:
                    tile, size = no_sums(TWO, columns, y), (min(len(TWO), outputs[1] - o), wide)
                    own_steps = (y_steps[0] if size[0] > 1 else 0, y_steps[1], y_steps[2])
                    at = (starts[0] + o * y_steps[0], x_at, s_at + o * s_steps[0])
                    _dots_of_tile(tile, size, i, seen, rows, y, x, sums, at, own_steps, steps, s_steps)
                    o += len(TWO)


@njit(inline="always")
def _dots_of_tile(tile, size, i, seen, rows, y, x, sums, at, y_steps, x_steps, s_steps):
    """A tile of them, through row i of the kernel; `size` says how many of its rows and columns count."""
    lanes = REGISTER_BYTES // x.itemsize
    dilation, first, last, pixels, length = seen
    registers, rest = length // lanes, length % lanes
    for p in range(first, last):
        tap = i - rows[p, 0]
        if 0 <= tap < rows[p, 1]:
            y_place, x_place = at[0] + p * y_steps[1], at[1] + (rows[p, 2] + tap * dilation) * x_steps[0]
            for _ in range(pixels):
                t = 0
                for _ in range(registers):
                    tile = add_dot_products(tile, ONE, y, y_place + t, y_steps[0], x, x_place + t, x_steps[1])
                    t += lanes
                if rest > 0:
                    tile = add_dot_products(tile, rest, y, y_place + t, y_steps[0], x, x_place + t, x_steps[1])
                y_place, x_place = y_place + y_steps[2], x_place + x_steps[2]
    add_lanes(tile, size, sums, at[2], s_steps)
