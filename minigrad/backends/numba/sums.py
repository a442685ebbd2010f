"""The two loops that the linear kernels come down to: weighted sums of pieces of memory, and dot products of pieces.

A piece is a run of neighbouring numbers. Both loops keep a tile of sums in registers (tile.py) while they run, over the
terms of a sum or along a piece; both are cut into tasks by the sizes of the work alone. Many dot products of short
pieces are the first loop again, with the second's pieces turned around: `outer_products`.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from ..numpy.layout import Pair
from .compiler import SUMS_IN_ANY_ORDER, compiled_function, compiled_kernel
from .copies import BLOCK, block_of, blocks_of, is_packed, pack, turned
from .memory import contiguous, empty
from .tile import (
    DOT_ROWS,
    FIVE,
    HALF,
    ONE,
    REGISTER_BYTES,
    SIX,
    THREE,
    TWO,
    WIDE,
    add_dot_products,
    add_lanes,
    add_products,
    load_tile,
    no_sums,
    spread,
    store_tile,
)
from .views import View

TASKS = 8  # at least so many where the work allows it, for however few threads; twice as many cost more than they bring
DEPTH = 160  # terms of a sum taken at a time, so that their pieces stay in the first-level cache for all outputs
BAND, TERMS = 3 << 19, 3 << 9  # multiply-adds of a band of rows that are worth sums of its own, and terms of each sum
BANDS_SIZE = 1 << 18  # numbers in the sums of all bands
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
    (G, O, C), OH, OW = shape, len(view.rows), len(view.columns)
    x, weight, bias = contiguous(x), contiguous(weight).reshape(-1), contiguous(bias)
    y = empty((G * O, OH, OW, x.shape[3]), x.dtype)
    if y.size == 0:
        return y
    runs, blocks, bands = view.runs, blocks_of(x, shape[2], view), OH
    if blocks > 1:  # some images of one pixel are no neighbours of the same images of the next
        runs, bands = np.stack([np.arange(OW), np.arange(OW) + 1], axis=1), min(-(-TASKS // (blocks * G)), OH)
    elif x.shape[3] * x.itemsize == REGISTER_BYTES:  # where a pixel fills a register, those of a tile may lie anywhere
        runs = view.spans
    parts = _parts(blocks * G * bands, O, len(SIX))
    packs = blocks == 1 and is_packed(x, C, O // parts, view)
    cuts = blocks, bands, parts, max(DEPTH, view.taps) * len(WIDE) * REGISTER_BYTES // x.itemsize if packs else 0
    _weighted_sums(x, weight, shape, steps, bias, view.rows, view.columns, runs, view.steps, cuts, y)
    return y


def dot_products(
    y: np.ndarray, x: np.ndarray, shape: tuple[int, int, int], kernel: Pair, view: View
) -> tuple[np.ndarray, np.ndarray]:
    """sums[g O + o, c, i, j] = sum over p, q, n of y[g O + o, p, q, n] x[g C + c, the pixel that p, q sees, n]

    through tap i, j of the kernel; there is no term where it sees none. And totals[g O + o], the sum over y alone.

    Args:
        y: (G O, OH, OW, N)
        x: (G C, H, W, N)
        shape: G, O, C, as above.

    Returns: (G O, C, KH, KW), and (G O,)
    """
    (G, O, C), OH, size = shape, len(view.rows), shape[2] * kernel[0] * kernel[1]
    if y.size * size == 0:
        return np.zeros((G * O, C, *kernel), x.dtype), y.sum(axis=(1, 2, 3))
    # bands of rows p, each with sums of its own, which are added up in this order: where that is little beside the rest
    bands = max(1, min(TASKS, OH, y.size * size // BAND, y.size // (G * O) // TERMS, BANDS_SIZE // (G * O * size)))
    sums, totals = np.zeros((bands, G * O, C, *kernel), x.dtype), np.empty((bands, G * O), x.dtype)
    tables, parts = (view.rows, view.columns, view.spans, view.steps), _parts(bands, O, len(DOT_ROWS))
    _dot_products(contiguous(y), contiguous(x), shape, *tables, parts, totals, sums)
    return (sums.sum(axis=0), totals.sum(axis=0)) if bands > 1 else (sums[0], totals[0])


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
    parts, image, dilation = _parts(bands * G, C, len(SIX)), x.shape[1:3], (view.steps[0][1], view.steps[1][1])
    _outer_products(pixels, x.reshape(-1), (G, KH, KW), image, stride, dilation, view.rows, view.columns, parts, sums)
    total = sums.sum(axis=0) if bands > 1 else sums[0]
    return np.ascontiguousarray(total.reshape(G, KH * KW, C, O).transpose(0, 3, 2, 1)).reshape(G * O, C, KH, KW)


def _parts(tasks: int, outputs: int, tile: int) -> int:
    """Into how many parts the outputs are cut so that there are enough tasks, each of whole tiles."""
    return min(-(-TASKS // tasks), -(-outputs // tile))


@compiled_function()
def _part(part, parts, outputs, tile):
    """The first output of a part, and the one behind its last."""
    tiles = -(-outputs // tile)
    return part * tiles // parts * tile, min((part + 1) * tiles // parts * tile, outputs)


@compiled_kernel()
def _weighted_sums(x, weight, shape, steps, bias, rows, columns, runs, view_steps, cuts, y):
    (G, _, C), OH, N, (blocks, bands, parts, panel_size), (row_steps, column_steps) = (
        shape,
        len(rows),
        x.shape[3],
        cuts,
        view_steps,
    )
    for task in prange(blocks * G * bands * parts):
        block, g, band = task // (parts * bands * G), task // (parts * bands) % G, task // parts % bands
        images, seen = _part(block, blocks, N, BLOCK // x.itemsize), x[g * C : (g + 1) * C]
        if blocks > 1:
            seen = block_of(seen, images)
        outputs, panel = _part(task % parts, parts, shape[1], len(SIX)), np.empty(panel_size, x.dtype)
        for p in range(band * OH // bands, (band + 1) * OH // bands):
            place, tables = (g, p, images, outputs), (rows, columns, runs)
            _row_of_sums(place, seen, weight, shape, steps, bias, tables, row_steps, column_steps, panel, y)


@compiled_function()
def _row_of_sums(place, x, weight, shape, steps, bias, tables, row_steps, column_steps, panel, y):
    """A row of a group's outputs, run by run, as weighted_sums has it.

    Args:
        place: g, p, the first image and the one behind the last, likewise outputs. Each run is one pixel where these
            are not all images.
        x: the group's channels of these images.
        panel: where a tile's pieces of x are laid side by side first; empty where they are taken as they lie.
    """
    (_, O, C), (_, OH, OW, N), (_, H, W, B), (g, p, images, (first, last)) = shape, y.shape, x.shape, place
    w_steps = (steps[2], row_steps[0] * steps[3], column_steps[0], steps[1])  # to the next input, row, column, output
    y_step, lanes, bias = OH * OW * N, REGISTER_BYTES // x.itemsize, bias[g * O :]
    size, pixels, (rows, columns, runs) = len(WIDE) * lanes, x.reshape(-1), tables
    for run in range(len(runs)):
        q, length = runs[run, 0], (runs[run, 1] - runs[run, 0]) * B
        apart = (columns[q + 1, 2] - columns[q, 2]) * B if B == lanes and length > B else lanes  # a tile's vectors in x
        x_steps = (H * W * B, row_steps[1] * W * B, column_steps[1] * B, apart)  # likewise, to what they see
        x_at = (rows[p, 2] * W + columns[q, 2]) * B
        w_at = g * steps[0] + rows[p, 0] * steps[3] + columns[q, 0]
        y_at = ((g * O * OH + p) * OW + q) * N + images[0]
        depth = max(DEPTH // max(rows[p, 1] * columns[q, 1], 1), 1)
        for c in range(0, max(C, 1), depth):
            terms = (c, min(c + depth, C), rows[p, 1], columns[q, 1])
            # each pair of shapes is compiled apart, which takes a second: the rare ones make do with fewer
            t = 0
            while t < length:
                at = (x_at + t // lanes * apart, w_at, y_at + t)
                if length - t >= size:
                    seen, seen_steps = pixels, x_steps
                    if panel.size > 0 and apart == lanes:
                        seen, seen_steps = panel, pack(terms, pixels, at[0], x_steps, size, panel)
                        at = (-c * seen_steps[0], w_at, y_at + t)  # the panel begins with input c
                    o = _sums(SIX, WIDE, first, last, terms, seen, weight, bias, y, at, seen_steps, w_steps, y_step)
                    _sums(TWO, WIDE, o, last, terms, seen, weight, bias, y, at, seen_steps, w_steps, y_step)
                    t += size
                elif length - t >= len(HALF) * lanes:
                    o = _sums(SIX, HALF, first, last, terms, pixels, weight, bias, y, at, x_steps, w_steps, y_step)
                    for _ in range(len(HALF)):
                        at = (x_at + t // lanes * apart, w_at, y_at + t)
                        _sums(TWO, lanes, o, last, terms, pixels, weight, bias, y, at, x_steps, w_steps, y_step)
                        t += lanes
                else:
                    n = min(lanes, length - t)
                    o = _sums(SIX, n, first, last, terms, pixels, weight, bias, y, at, x_steps, w_steps, y_step)
                    _sums(TWO, n, o, last, terms, pixels, weight, bias, y, at, x_steps, w_steps, y_step)
                    t += lanes


@compiled_function()
def _sums(rows, breadth, o, last, terms, x, weight, bias, y, at, x_steps, w_steps, y_step):
    """y[y_at + o y_step + t] = bias[o] + sum over c, i, j of weight[w_at + o w_steps[3] + ...] x[x_at + t + ...]

    for each t of a tile's breadth, where "..." is c, i, j times their steps, and for outputs from o to the last, as
    long as there are as many as the tile has rows; a tile of two is also taken for a last one, in both rows. Returns
    the first output that is left, if any is.

    Args:
        breadth: WIDE, HALF, or of a tile that is cut short the number of t.
        terms: the first input c and the one behind the last, how many i, how many j. Inputs before are in y already.
        at: x_at, w_at, y_at.
        x_steps: from c, i and j to the next, and from one vector of a tile to the next.
    """
    first, behind, KI, KJ = terms
    while o < last and (last - o >= len(rows) or len(rows) == len(TWO)):
        step = 1 if last - o > 1 else 0
        w_step, store_step = step * w_steps[3], step * y_step
        x_place, place = at[0] + first * x_steps[0], at[2] + o * y_step
        w_place = at[1] + o * w_steps[3] + first * w_steps[0]
        tile = spread(rows, breadth, bias, o, step) if first == 0 else load_tile(rows, breadth, y, place, store_step)
        for _ in range(first, behind):
            for i in range(KI):
                for j in range(KJ):
                    w, at_pixel = w_place + i * w_steps[1] + j * w_steps[2], x_place + i * x_steps[1] + j * x_steps[2]
                    tile = add_products(tile, breadth, weight, w, w_step, x, at_pixel, x_steps[3])
            x_place, w_place = x_place + x_steps[0], w_place + w_steps[0]
        store_tile(tile, breadth, y, place, store_step)
        o += len(rows)
    return o


@compiled_kernel()
def _dot_products(y, x, shape, rows, columns, spans, view_steps, parts, totals, sums):
    (G, O, _), OH, B, (row_steps, column_steps) = shape, len(rows), len(sums), view_steps
    for task in prange(B * parts):
        band, part = task // parts, task % parts
        outputs = _part(part, parts, shape[1], len(DOT_ROWS))
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


@compiled_function()
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


@compiled_kernel()
def _outer_products(y, x, taps, image, stride, dilation, rows, columns, parts, sums):
    for task in prange(len(sums) * taps[0] * parts):
        channels = _part(task % parts, parts, sums.shape[2], len(SIX))
        place = task // parts // taps[0], task // parts % taps[0]
        _band_of_products(place, channels, y, x, taps, image, stride, dilation, rows, columns, sums)


@compiled_function()
def _band_of_products(place, channels, y, x, taps, image, stride, dilation, rows, columns, sums):
    """A band's sums for a group and its channels from the first to the last. All taps take the same few pixels in turn,
    so that what y has there stays in the first-level cache."""
    (band, g), (G, KH, KW), (H, W), (OH, OW, N, GO), (B, _, C, O) = place, taps, image, y.shape, sums.shape
    (first, last), pixels, lanes = channels, max(DEPTH // N, 1), REGISTER_BYTES // x.itemsize
    y_steps, w_steps = (0, N * GO, GO, lanes), (0, stride[1] * N, 1, H * W * N)
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
                    # from 1 to 2, as if there were sums of an input before: they are added to what is there, to no bias
                    terms = (1, 2, 1, (behind - q) * N) if stride[1] == 1 else (1, 2, behind - q, N)
                    t = 0
                    while t < O:
                        at, n = (y_at + t, x_at, s_at + t), min(lanes, O - t)
                        if O - t >= len(WIDE) * lanes:
                            c = _sums(SIX, WIDE, first, last, terms, y, x, x, sums, at, y_steps, w_steps, O)
                            if (last - c) % 2 == 1:  # the three channels of a colour image, above all
                                c = _sums(THREE, WIDE, c, last, terms, y, x, x, sums, at, y_steps, w_steps, O)
                            _sums(TWO, WIDE, c, last, terms, y, x, x, sums, at, y_steps, w_steps, O)
                            t += len(WIDE) * lanes
                        else:
                            c = _sums(SIX, n, first, last, terms, y, x, x, sums, at, y_steps, w_steps, O)
                            _sums(TWO, n, c, last, terms, y, x, x, sums, at, y_steps, w_steps, O)
                            t += lanes


@compiled_function()
def _seeing(tap, columns, first, behind):
    """Which pixels from the first on see something through the tap: the first one, and the one behind the last."""
    while first < behind and not 0 <= tap - columns[first, 0] < columns[first, 1]:
        first += 1
    while first < behind and tap - columns[behind - 1, 0] >= columns[behind - 1, 1]:  # the first taps never grow
        behind -= 1
    return first, behind
