"""Who sees whom: which pixels each pixel of a result sees through the taps of a window, as tables for the kernels.

An output pixel sees the input pixels under its window; seen the other way, an input pixel sees those output pixels
whose windows covered it. Kernels that gather along such a table write each pixel once, in any order and by any thread;
stride, padding and dilation are in the table, and nothing outside the image is ever stored, read or multiplied.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..numpy.layout import Pair


class View(NamedTuple):
    """What the pixels of a result see.

    Each row of the result sees some rows of the image, through taps at regular distances, and so does each column: a
    table has the first tap, the number of taps, and the pixel behind the first one. Columns come in runs: the next
    column of a run sees through the same taps the pixels next to what its left neighbour sees.
    """

    rows: np.ndarray  # (OH, 3): first tap, number of taps, first pixel
    columns: np.ndarray  # (OW, 3), likewise
    runs: np.ndarray  # (R, 2), the first column of each run, and the one behind its last
    spans: np.ndarray  # likewise of longer runs, in which what is seen may move by any regular step: by the stride
    steps: tuple[Pair, Pair]  # from a tap to the next and from a pixel to the next, for rows and for columns
    lengths: tuple[int, ...]  # of the runs, in pixels
    taps: int  # the most that a pixel sees through


@lru_cache(maxsize=1024)
def outputs_view(output: Pair, image: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)) -> View:
    """What each output pixel sees of the image: output pixel q sees through tap j the pixel q S + j D - P."""
    return _view(False, output, image, kernel, stride, padding, dilation)


@lru_cache(maxsize=1024)
def inputs_view(image: Pair, output: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)) -> View:
    """What each pixel of the image sees of the output: pixel w sees through tap j the q with q S + j D - P = w."""
    return _view(True, image, output, kernel, stride, padding, dilation)


def _view(backwards: bool, to: Pair, of: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> View:
    direction = _backwards if backwards else _forwards
    (rows, row_steps), (columns, column_steps) = (
        direction(*sizes) for sizes in zip(to, of, kernel, stride, padding, dilation, strict=True)
    )
    runs = _stretches(columns[1:] - columns[:-1] == (0, 0, 1))
    spans = _stretches(columns[1:, :2] == columns[:-1, :2])
    lengths, taps = tuple((runs[:, 1] - runs[:, 0]).tolist()), rows[:, 1].max() * columns[:, 1].max()
    return View(rows, columns, runs, spans, (row_steps, column_steps), lengths, int(taps))


def _stretches(goes_on: np.ndarray) -> np.ndarray:
    """(R, 2), the first and the one behind the last of the stretches in which all is true from each to the next."""
    first = np.flatnonzero(np.concatenate([[True], ~goes_on.all(axis=1)]))
    return np.stack([first, np.append(first[1:], len(goes_on) + 1)], axis=1)


def _forwards(to: int, of: int, taps: int, stride: int, padding: int, dilation: int) -> tuple[np.ndarray, Pair]:
    seen = np.arange(to)[:, None] * stride + np.arange(taps) * dilation - padding  # (to, taps)
    return _summary(seen, (seen >= 0) & (seen < of)), (1, dilation)


def _backwards(to: int, of: int, taps: int, stride: int, padding: int, dilation: int) -> tuple[np.ndarray, Pair]:
    seen, rest = np.divmod(np.arange(to)[:, None] + padding - np.arange(taps) * dilation, stride)  # (to, taps)
    common = math.gcd(stride, dilation)
    return _summary(seen, (rest == 0) & (seen >= 0) & (seen < of)), (stride // common, -(dilation // common))


def _summary(seen: np.ndarray, exists: np.ndarray) -> np.ndarray:
    """(to, 3): the first tap that sees a pixel, how many do, and the pixel that the first one sees."""
    first, number = exists.argmax(axis=1), exists.sum(axis=1)
    return np.stack([first, number, seen[np.arange(len(seen)), first]], axis=1)
