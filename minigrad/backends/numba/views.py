"""Who sees whom: which pixels each pixel of a result sees through the taps of a window, as tables for the kernels.

An output pixel sees the input pixels under its window; seen the other way, an input pixel sees those output pixels
whose windows covered it. Kernels that gather along such a table write each pixel once, in any order and by any thread;
stride, padding and dilation are in the table, and nothing outside the image is ever stored, read or multiplied.
"""

from __future__ import annotations

import math
import operator
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
        direction(*map(operator.index, sizes)) for sizes in zip(to, of, kernel, stride, padding, dilation, strict=True)
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
    """Through tap j pixel q sees b + j D, where b = q S - P: in the image if -b / D <= j < (of - b) / D."""
    base = np.arange(to) * stride - padding
    first, number = _taps(-(base // dilation), (-((base - of) // dilation)).clip(max=taps))
    return np.stack([first, number, base + first * dilation], axis=1), (1, dilation)


def _backwards(to: int, of: int, taps: int, stride: int, padding: int, dilation: int) -> tuple[np.ndarray, Pair]:
    """Through tap j pixel w sees (b - j D) / S, where b = w + P: in the output if b - of S < j D <= b.

    With g = gcd(S, D) it is whole if g divides b, and j is (b / g) (D / g)^-1 modulo S / g.
    """
    base, common = np.arange(to) + padding, math.gcd(stride, dilation)
    period, step = stride // common, dilation // common
    behind = np.where(base % common == 0, (base // dilation + 1).clip(max=taps), 0)
    first, number = _taps((base - of * stride) // dilation + 1, behind, base // common * pow(step, -1, period), period)
    return np.stack([first, number, (base - first * dilation) // stride], axis=1), (period, -step)


def _taps(low: np.ndarray, behind: np.ndarray, phase: np.ndarray | int = 0, period: int = 1) -> tuple[np.ndarray, ...]:
    """The first tap j >= 0 with low <= j < behind and j = phase modulo period, or 0, and how many there are."""
    low = low.clip(min=0)
    first = low + (phase - low) % period
    number = (-((first - behind) // period)).clip(min=0)  # rounded up
    return np.where(number > 0, first, 0), number
