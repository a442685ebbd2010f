"""Weighted sums of pieces of memory: what convolutions and linear layers come down to.

A piece is a run of neighbouring numbers. A tile of sums stays in registers (tile.py) along the terms of the sums; the
work is cut into tasks by its sizes alone. Dot products of pieces are in dots.py. Many of them, of short pieces, are
weighted sums again, with pieces that have been turned around: `outer_products`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from ..numpy.layout import Pair
from .compiler import compiled_function, compiled_kernel
from .copies import block_of, pack, seen_at, turned
from .memory import check_shape, contiguous, empty
from .tasks import BANDS_SIZE, TASKS, part_of, parts_of
from .tile import (
    FIVE,
    HALF,
    NARROW,
    REGISTER_BYTES,
    SIX,
    THREE,
    TWELVE,
    TWO,
    WIDE,
    add_products,
    load_tile,
    numbers_of,
    spread,
    store_tile,
)
from .views import View
from .ways import ALIKE, TILE_BYTES, blocks_of, is_packed, turned_blocks

DEPTH = 160  # terms of a sum taken at a time, so that their pieces stay in the first-level cache for all outputs
TOGETHER = 1024 // TILE_BYTES  # tiles whose pieces are packed at a time, so that they come from memory as longer runs
HALF_IS_ONE = len(HALF) == 1  # register; the compiler knows a name's value, and leaves out what cannot be


class Sums(NamedTuple):
    """What weighted sums of some sizes take besides arrays."""

    tasks: int  # 0 where there is nothing to sum
    arguments: tuple[Any, ...]  # of the kernel
    output: tuple[int, int, int, int]  # (G O, OH, OW, N)
    no_bias: np.ndarray  # (G O,), zeros


def plan_sums(
    x_shape: tuple[int, ...],
    dtype: np.dtype,
    shape: tuple[int, int, int],
    steps: tuple[int, int, int, int],
    view: View,
    turn: bool = False,
) -> Sums:
    """How weighted_sums cuts its work, for an x of x_shape; the other arguments are told there.

    Args:
        turn: for one group of images of one pixel: x will be given as (1, 1, N, C), to be turned around.
    """
    (G, O, C), OH, OW, itemsize = shape, len(view.rows), len(view.columns), dtype.itemsize
    output, no_bias = (G * O, OH, OW, x_shape[3]), np.zeros(G * O, dtype)
    if 0 in output:
        return Sums(0, (), output, no_bias)
    blocks = turned_blocks(x_shape, itemsize) if turn else blocks_of(x_shape, itemsize, C, view)
    runs, bands = view.runs, OH
    if blocks > 1:  # some images of one pixel are no neighbours of the same images of the next
        runs, bands = np.stack([np.arange(OW), np.arange(OW) + 1], axis=1), min(-(-TASKS // (blocks * G)), OH)
    parts, pixel = parts_of(blocks * G * bands, O, len(SIX)), x_shape[3] * itemsize
    packs = blocks == 1 and not turn and is_packed(x_shape, itemsize, C, O // parts, view)
    # a tile's registers may lie anywhere where they are packed, and at regular distances where each is a pixel
    if pixel == REGISTER_BYTES or (packs and pixel % REGISTER_BYTES == 0):
        runs = view.spans
    panel = TOGETHER * max(DEPTH, view.taps) * TILE_BYTES // itemsize if packs else 0
    cuts = blocks, bands, parts, turn, panel
    arguments = shape, steps, view.rows, view.columns, runs, view.steps, cuts
    return Sums(blocks * G * bands * parts, arguments, output, no_bias)


def weighted_sums(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, plan: Sums) -> np.ndarray:
    """y[g O + o, p, q] = bias[g O + o] + sum over c, i, j of weight[g, o, c, i, j] x[g C + c, the pixel seen]

    for N numbers at once. The pixel is what p, q sees through tap i, j; there is no term where it sees none.

    Args:
        x: (G C, H, W, N), contiguous; (1, 1, N, C) where the plan is to turn it around.
        weight: of any shape; weight[g, o, c, i, j] lies at g steps[0] + o steps[1] + c steps[2] + i steps[3] + j.
        bias: (G O,)
        plan: for groups, outputs of a group and inputs of a group as its shape G, O, C; steps; and a view.

    Returns: y (G O, OH, OW, N)
    """
    check_shape("the bias", bias, plan.no_bias.shape)
    y = empty(plan.output, x.dtype)
    if plan.tasks > 0:
        _weighted_sums(plan.tasks, x, contiguous(weight).reshape(-1), contiguous(bias), y, *plan.arguments)
    return y


def outer_products(
    y: np.ndarray, x: np.ndarray, shape: tuple[int, int, int], kernel: Pair, stride: Pair, view: View
) -> np.ndarray:
    """The first result of dot_products, for short pieces and many outputs: the sum over all p, q and n of

    x[g C + c, the pixel that p, q sees, n] times y[g O : (g + 1) O, p, q, n], outputs which are laid side by side for
    that. A sum then stays in one lane of a register, and no lanes have to be added up for each piece.

    Args:
        stride: from the pixel that p, q sees to the next row's and the next column's.
    """
    (G, O, C), (_, OH, OW, N), (KH, KW) = shape, y.shape, kernel
    pixels, size = turned(y.reshape(G * O, -1)).reshape(OH, OW, N, G * O), G * KH * KW * C * O
    bands = max(1, min(TASKS, OH, BANDS_SIZE // size))
    sums = np.zeros((bands, G * KH * KW, C, O), y.dtype)
    parts, image, dilation = parts_of(bands * G, C, len(SIX)), x.shape[1:3], (view.steps[0][1], view.steps[1][1])
    taps, tables = (G, KH, KW), (view.rows, view.columns)
    _outer_products(bands * G * parts, pixels, x.reshape(-1), taps, image, stride, dilation, *tables, parts, sums)
    total = np.add.reduce(sums) if bands > 1 else sums[0]
    return np.ascontiguousarray(total.reshape(G, KH * KW, C, O).transpose(0, 3, 2, 1)).reshape(G * O, C, KH, KW)


@compiled_kernel(inputs=3)
def _weighted_sums(first, last, x, weight, bias, y, shape, steps, rows, columns, runs, view_steps, cuts):
    (G, O, C), OH, N = shape, len(rows), y.shape[3]
    (blocks, bands, parts, turn, panel_size), (row_steps, column_steps) = cuts, view_steps
    for task in range(first, last):
        block, g, band = task // (parts * bands * G), task // (parts * bands) % G, task // parts % bands
        images, seen = part_of(block, blocks, N, TILE_BYTES // x.itemsize), x[g * C : (g + 1) * C]
        if blocks > 1 or turn:
            seen = block_of(seen, images, turn)
        outputs, panel = part_of(task % parts, parts, O, len(SIX)), np.empty(panel_size, x.dtype)
        for p in range(band * OH // bands, (band + 1) * OH // bands):
            place, tables = (g, p, images, outputs), (rows, columns, runs)
            _row_of_sums(place, seen, weight, shape, steps, bias, tables, row_steps, column_steps, panel, y)


@njit(inline="always")
def _row_of_sums(place, x, weight, shape, steps, bias, tables, row_steps, column_steps, panel, y):
    """A row of a group's outputs, run by run and some inputs at a time, as weighted_sums has it.

    Args:
        place: g, p, the first image and the one behind the last, likewise outputs. Each run is one pixel where these
            are not all images.
        x: the group's channels of these images.
        panel: where the pieces of x of up to TOGETHER tiles are laid first, tile by tile; empty where they are taken as
            they lie.
    """
    (_, O, C), (_, OH, OW, N), (_, H, W, B), (g, p, images, outputs) = shape, y.shape, x.shape, place
    (rows, columns, runs), arrays = tables, (numbers_of(weight), numbers_of(bias[g * O :]), numbers_of(y))
    # to the next input, row and column: in x, and in the weight; and to the next output in the weight, and in y
    x_steps = H * W * B, row_steps[1] * W * B, column_steps[1] * B
    w_steps = steps[2], row_steps[0] * steps[3], column_steps[0]
    all_steps = x_steps, w_steps, steps[1], OH * OW * N
    for run in range(len(runs)):
        q, length = runs[run, 0], (runs[run, 1] - runs[run, 0]) * B
        shift = (columns[q + 1, 2] - columns[q, 2]) * B if length > B else B  # from what a pixel sees to the next one's
        KI, KJ = rows[p, 1], columns[q, 1]
        depth = max(DEPTH // max(KI * KJ, 1), 1)
        for c in range(0, max(C, 1), depth):
            terms = min(depth, C - c), KI, KJ
            x_at = c * x_steps[0] + (rows[p, 2] * W + columns[q, 2]) * B
            w_at = g * steps[0] + c * steps[2] + rows[p, 0] * steps[3] + columns[q, 0]
            at = x_at, w_at, ((g * O * OH + p) * OW + q) * N + images[0]
            _run_of_sums((length, B, shift), outputs, (terms, c > 0), x, arrays, at, all_steps, panel)


@njit(inline="always")
def _run_of_sums(run, outputs, terms, x, arrays, at, steps, panel):
    """A run of sums, or what some more inputs add to it, tile by tile: whole ones, then half a one and shorter ones.

    Args:
        run: how many numbers; of which each pixel has B; and how far what a pixel sees is from what the next one sees.
        terms: how many inputs, rows and columns; and whether y has sums of terms before these.
        at: where the run begins in x, in the weight and in y.
        steps: from each term to the next in x, and in the weight; from an output to the next in the weight, and in y.
    """
    (length, B, shift), (first, last), (terms, begun), (weight, bias, y) = run, outputs, terms, arrays
    (x_at, w_at, y_at), (x_steps, w_steps, w_step, y_step), lanes = at, steps, REGISTER_BYTES // x.itemsize
    size, pixels, packed, packs = len(WIDE) * lanes, numbers_of(x), numbers_of(panel), panel.size > 0
    apart = shift if B == lanes else lanes  # a tile's vectors in x
    # whether those of half a tile are as far apart wherever it begins; plan_sums sees to it for whole tiles
    halves = shift == B or B == lanes or B % (len(HALF) * lanes) == 0
    _, KI, KJ = terms
    # a much longer loop innermost; but not over inputs that drive each other out of the cache
    inputs_last = terms[0] > 2 * KJ and (packs or x_steps[0] * x.itemsize % ALIKE > 0)
    work, in_weight = (in_order(terms, inputs_last), begun), (in_order(w_steps, inputs_last), w_step)
    as_it_lies = (in_order(x_steps, inputs_last), apart), in_weight, y_step
    t = np.int64(0)
    while t < length:
        at = (x_at + seen_at(t, B, shift), w_at, y_at + t)
        if length - t >= size:
            tiles, seen, seen_steps, tile_step = (length - t) // size, pixels, as_it_lies, len(WIDE) * apart
            if packs:
                seen, tiles, tile_step = packed, min(TOGETHER, tiles), terms[0] * KI * KJ * size
                in_panel = (KI * KJ * size, KJ * size, size)  # as the loops over them go
                if inputs_last:
                    in_panel = (size, KJ * terms[0] * size, terms[0] * size)
                pack(terms, x, x_at, x_steps, (t, B, shift), tiles, in_panel, tile_step, panel)
                at = (0, w_at, y_at + t)
                seen_steps = (in_order(in_panel, inputs_last), lanes), in_weight, y_step
            for tile in range(tiles):
                here = (at[0] + tile * tile_step, w_at, at[2] + tile * size)
                wide_tile_sums(first, last, work, seen, weight, bias, y, here, seen_steps)
            t += tiles * size
        elif length - t >= len(HALF) * lanes and halves:
            o = tile_sums(SIX, HALF, first, last, work, pixels, weight, bias, y, at, as_it_lies)
            for _ in range(len(HALF)):
                at = (x_at + seen_at(t, B, shift), w_at, y_at + t)
                if o < last:
                    tile_sums(TWO, lanes, o, last, work, pixels, weight, bias, y, at, as_it_lies)
                t += lanes
        else:
            n = min(lanes, length - t)
            short_tile_sums(n, lanes, first, last, work, pixels, weight, bias, y, at, as_it_lies)
            t += n


@njit(inline="always")
def in_order(terms, inputs_last):
    """What is said of inputs, rows and columns in the order of their loops, the innermost last."""
    return (terms[1], terms[2], terms[0]) if inputs_last else terms


@njit(inline="always")
def wide_tile_sums(first, last, work, x, weight, bias, y, at, steps):
    """What tile_sums says for a whole tile of numbers, and all outputs before `last`. Each pair of shapes is
    compiled apart, which takes a second: tiles that are cut short make do with fewer."""
    behind_sixes = first + in_sixes(last - first)
    o = tile_sums(SIX, WIDE, first, behind_sixes, work, x, weight, bias, y, at, steps)
    if behind_sixes < last:
        o = tile_sums(FIVE, WIDE, o, last, work, x, weight, bias, y, at, steps)
    if o < last:
        tile_sums(TWO, WIDE, o, last, work, x, weight, bias, y, at, steps)


@njit(inline="always")
def in_sixes(outputs):
    """How many of so many outputs go to tiles of six, so that tiles of five take all others; or, where that cannot be,
    as many as there are sixes in them."""
    fives = -outputs % len(SIX) * len(FIVE)
    return outputs - (fives if fives <= outputs else outputs % len(SIX))


@njit(inline="always")
def short_tile_sums(n, lanes, first, last, work, x, weight, bias, y, at, steps):
    """What tile_sums says for n numbers, at most a register of so many lanes, and all outputs before `last`."""
    if n == lanes // 2:
        o = _register_sums(NARROW, first, last, work, x, weight, bias, y, at, steps)
    elif HALF_IS_ONE and n == len(HALF) * lanes:
        o = _register_sums(HALF, first, last, work, x, weight, bias, y, at, steps)
    else:
        o = tile_sums(SIX, n, first, last, work, x, weight, bias, y, at, steps)
    if o < last:
        tile_sums(TWO, n, o, last, work, x, weight, bias, y, at, steps)


@njit(inline="always")
def _register_sums(breadth, first, last, work, x, weight, bias, y, at, steps):
    """What tile_sums says for one register. Twelve sums in as many registers keep the multiply-adds going: each takes
    four cycles, and two can begin in one."""
    o = first
    if last - o >= len(TWELVE):
        o = tile_sums(TWELVE, breadth, o, last, work, x, weight, bias, y, at, steps)
    if last - o >= len(SIX):
        o = tile_sums(SIX, breadth, o, last, work, x, weight, bias, y, at, steps)
    return o


@compiled_function()
def tile_sums(rows, breadth, o, last, work, x, weight, bias, y, at, steps):
    """y[y_at + o y_step + t] = bias[o] + sum over a, b, c of weight[w_at + o w_step + ...] x[x_at + t + ...]

    for each t of a tile's breadth, where "..." is a, b, c times their steps, and for outputs from o to the one before
    `last`, as long as there are as many as the tile has rows; a tile of two is also taken for one alone, in both rows.
    Returns the first output that is left, if any is.

    Args:
        breadth: WIDE, HALF, NARROW, or of a tile that is cut short the number of t.
        work: how many a, b and c, of which c is the innermost loop; and whether y has sums of terms before these, to
            which they are added, instead of the bias.
        at: x_at, w_at, y_at.
        steps: in x, of a, b and c, and from one vector of a tile to the next; in the weight, of a, b and c, and w_step;
            y_step.
    """
    (rounds, begun), (in_x, (w_steps, w_step), y_step), outputs = work, steps, last - o
    behind = o + (-(-outputs // len(TWO)) if len(rows) == len(TWO) else outputs // len(rows)) * len(rows)
    for k in range(o, behind, len(rows)):
        one = 1 if last - k > 1 else 0  # to the next output, or the same once more
        place, w_at = at[2] + k * y_step, at[1] + k * w_step
        tile = load_tile(rows, breadth, y, place, one * y_step) if begun else spread(rows, breadth, bias, k, one)
        tile = _add_terms(tile, breadth, rounds, x, at[0], in_x, weight, w_at, w_steps, one * w_step)
        store_tile(tile, breadth, y, place, one * y_step)
    return behind


@njit(inline="always")
def _add_terms(tile, breadth, rounds, x, x_at, in_x, weight, w_at, w_steps, w_step):
    """The tile with all its terms; w_step is how far the weights of its rows are apart."""
    (A, B, C), (x_steps, apart) = rounds, in_x
    if A * B == 1:  # a linear layer's above all: two loops less around each term
        for _ in range(C):
            tile = add_products(tile, breadth, weight, w_at, w_step, x, x_at, apart)
            x_at, w_at = x_at + x_steps[2], w_at + w_steps[2]
        return tile
    for _ in range(A):
        for b in range(B):
            w, place = w_at + b * w_steps[1], x_at + b * x_steps[1]
            for _ in range(C):
                tile = add_products(tile, breadth, weight, w, w_step, x, place, apart)
                w, place = w + w_steps[2], place + x_steps[2]
        x_at, w_at = x_at + x_steps[0], w_at + w_steps[0]
    return tile


@compiled_kernel(inputs=2)
def _outer_products(first, last, y, x, taps, image, stride, dilation, rows, columns, parts, sums):
    for task in range(first, last):
        channels = part_of(task % parts, parts, sums.shape[2], len(SIX))
        place = task // parts // taps[0], task // parts % taps[0]
        _band_of_products(place, channels, y, x, taps, image, stride, dilation, rows, columns, sums)


@njit(inline="always")
def _band_of_products(place, channels, y, x, taps, image, stride, dilation, rows, columns, sums):
    """A band's sums for a group and its channels from the first to the last. All taps take the same few pixels in turn,
    so that what y has there stays in the first-level cache."""
    (band, g), (G, KH, KW), (H, W), (OH, OW, N, GO), (B, _, C, O) = place, taps, image, y.shape, sums.shape
    (first, last), pixels, lanes = channels, max(DEPTH // N, 1), REGISTER_BYTES // x.itemsize
    y, x, sums = numbers_of(y), numbers_of(x), numbers_of(sums)
    # of what the sums are made of: of pixels in y, which is what weighted sums call x; of factors in x, their weight;
    # and from a channel's sums to the next one's
    steps = ((0, N * GO, GO), lanes), ((0, stride[1] * N, 1), H * W * N), O
    for p in range(band * OH // B, (band + 1) * OH // B):
        for start in range(0, OW, pixels):
            for row in range(rows[p, 1]):
                for j in range(KW):
                    q, behind = _seeing(j, columns, start, min(start + pixels, OW))
                    if q == behind:
                        continue
                    h, w = rows[p, 2] + row * dilation[0], columns[q, 2] + (j - columns[q, 0]) * dilation[1]
                    y_at, x_at = (p * OW + q) * N * GO + g * O, ((g * C * H + h) * W + w) * N
                    s_at = (((band * G + g) * KH + rows[p, 0] + row) * KW + j) * C * O
                    rounds = (1, 1, (behind - q) * N) if stride[1] == 1 else (1, behind - q, N)
                    work = rounds, np.bool_(True)  # the sums are zeros before: no bias is read, for which x stands
                    t = 0
                    while t < O:
                        at, n = (y_at + t, x_at, s_at + t), min(lanes, O - t)
                        if O - t >= len(WIDE) * lanes:
                            c = tile_sums(SIX, WIDE, first, last, work, y, x, x, sums, at, steps)
                            if (last - c) % 2 == 1:  # the three channels of a colour image, above all
                                c = tile_sums(THREE, WIDE, c, last, work, y, x, x, sums, at, steps)
                            if c < last:
                                tile_sums(TWO, WIDE, c, last, work, y, x, x, sums, at, steps)
                            t += len(WIDE) * lanes
                        else:
                            short_tile_sums(n, lanes, first, last, work, y, x, x, sums, at, steps)
                            t += n


@compiled_function()
def _seeing(tap, columns, first, behind):
    """Which pixels from the first on see something through the tap: the first one, and the one behind the last."""
    while first < behind and not 0 <= tap - columns[first, 0] < columns[first, 1]:
        first += 1
    while first < behind and tap - columns[behind - 1, 0] >= columns[behind - 1, 1]:  # the first taps never grow
        behind -= 1
    return first, behind
