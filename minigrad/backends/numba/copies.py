"""Copies that lay numbers out as the kernels want them: the batch innermost, or what a tile takes side by side."""

from __future__ import annotations

import numpy as np
from numba import njit

from .compiler import compiled_function, compiled_kernel
from .memory import SMALL, contiguous, empty
from .tile import ONE, REGISTER_BYTES, WIDE, load_tile, store_tile, turn_square


def batch_innermost(x: np.ndarray) -> np.ndarray:
    """(N, C, H, W) -> (C, H, W, N), contiguous: a view where x lies that way already, else a copy."""
    inwards, lanes = x.transpose(1, 2, 3, 0), REGISTER_BYTES // x.itemsize
    if inwards.flags.carray or not x.flags.carray or x.nbytes < SMALL or len(x) < lanes or x[:1].size < lanes:
        return contiguous(inwards)
    return turned(x.reshape(len(x), -1)).reshape(inwards.shape)


def turned(x: np.ndarray) -> np.ndarray:
    """The transpose of a contiguous matrix, contiguous too."""
    y = empty(x.shape[::-1], x.dtype)
    turn(-(-x.shape[1] * x.itemsize // REGISTER_BYTES), x, y)
    return y


@compiled_kernel()
def turn(first, last, x, y):
    """y = x.T of a contiguous x; a task takes as many columns as a register has lanes."""
    lanes = REGISTER_BYTES // x.itemsize
    for task in range(first, last):
        columns = task * lanes, min((task + 1) * lanes, x.shape[1])
        _turn(x, (0, len(x)), columns, y[columns[0] :])


@compiled_function()
def _turn(x, rows, columns, y):
    """y[c, r] = x[r, c] for some rows and columns, each from the first to the last, which y has alone: in squares of as
    many as a register has lanes, and the rest by numbers."""
    lanes, x_step, y_step, (c, behind) = REGISTER_BYTES // x.itemsize, x.shape[1], y.shape[1], columns
    numbers, turned = x.reshape(-1), y.reshape(-1)
    while c < behind:
        r, wide = rows[0], min(lanes, behind - c)
        y_at = (c - columns[0]) * y_step - rows[0]
        if wide == lanes:
            while rows[1] - r >= lanes:
                turn_square(numbers, r * x_step + c, x_step, turned, y_at + r, y_step)
                r += lanes
        for column in range(wide):
            for row in range(r, rows[1]):
                turned[y_at + column * y_step + row] = numbers[row * x_step + c + column]
        c += wide


@compiled_function()
def pack(terms, x, x_at, x_steps, run, tiles, steps, tile_step, panel):
    """Copies what the terms of some tiles take of x into the panel, tile by tile.

    Args:
        terms: how many inputs, rows and columns.
        x_at, x_steps: the place in x that the run's first number sees through the first term, and how far it is from an
            input, a row and a column to the next; likewise `steps` in a tile of the panel.
        run: t, N, shift: the first tile begins with number t of the run; a pixel has N numbers, and what neighbouring
            pixels see is `shift` apart.
    """
    lanes = REGISTER_BYTES // x.itemsize
    (t, N, shift), places = run, np.empty(tiles * len(WIDE), np.int64)  # of the registers of each term
    for v in range(len(places)):
        places[v] = x_at + seen_at(t + v * lanes, N, shift)
    for c in range(terms[0]):  # the outermost: what neighbouring terms of an input see are mostly the same cache lines
        for i in range(terms[1]):
            for j in range(terms[2]):
                seen = c * x_steps[0] + i * x_steps[1] + j * x_steps[2]
                at = c * steps[0] + i * steps[1] + j * steps[2]
                for tile in range(tiles):
                    for v in range(len(WIDE)):
                        register = load_tile(ONE, ONE, x, places[tile * len(WIDE) + v] + seen, 0)
                        store_tile(register, ONE, panel, at + tile * tile_step + v * lanes, 0)


@njit(inline="always")
def seen_at(t, N, shift):
    """How far the place that number t of a run sees is behind the one that the first number sees."""
    return t if shift == N else t // N * shift + t % N


@compiled_function()
def block_of(x, images, turn):
    """A copy of some images of x (C, H, W, N), from the first to the last, side by side; or of x (1, 1, N, C), turned
    around: (C, 1, 1, images)"""
    count = images[1] - images[0]
    if turn:
        C = x.shape[3]
        block = np.empty((C, 1, 1, count), x.dtype)
        _turn(x.reshape(-1, C), images, (0, C), block.reshape(C, count))
        return block
    C, H, W, _ = x.shape
    block = np.empty((C, H, W, count), x.dtype)
    for c in range(C):
        for h in range(H):
            for w in range(W):
                piece, copy = x[c, h, w, images[0] : images[1]], block[c, h, w]
                for n in range(len(copy)):
                    copy[n] = piece[n]
    return block
