"""Who sees whom: which pixels each pixel of a result sees through the taps of a window, as tables for the kernels.

An output pixel sees the input pixels under its window; seen the other way, an input pixel sees those output pixels
whose windows covered it. Kernels that gather along such a table write each pixel once, in any order and by any thread;
stride, padding and dilation are in the table, and nothing outside the image is ever stored, read or multiplied.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..numpy.layout import Pair

NOTHING = -1


class View(NamedTuple):
    """What the pixels of a result see, -1 for nothing.

    Columns come in runs: the next column of a run sees through each tap the pixel next to what its left neighbour sees.
    """

    rows: np.ndarray  # (OH, KH), for each row of the result and tap: the row it sees
    columns: np.ndarray  # (OW, KW), likewise
    runs: np.ndarray  # (R, 2), the first column of each run, and the one behind its last
    lengths: tuple[int, ...]  # of the runs, in pixels


def outputs_view(output: Pair, image: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)) -> View:
    """What each output pixel sees of the image: output pixel q sees through tap j the pixel q S + j D - P."""
    return _view(False, output, image, kernel, stride, padding, dilation)


def inputs_view(image: Pair, output: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)) -> View:
    """What each pixel of the image sees of the output: pixel w sees through tap j the q with q S + j D - P = w."""
    return _view(True, image, output, kernel, stride, padding, dilation)


@lru_cache(maxsize=1024)
def _view(backwards: bool, to: Pair, of: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> View:
    table = _backwards if backwards else _forwards
    rows, columns = (table(*sizes) for sizes in zip(to, of, kernel, stride, padding, dilation, strict=True))
    left, right = columns[:-1], columns[1:]
    goes_on = np.where(left == NOTHING, right == NOTHING, right == left + 1).all(axis=1)
    first = np.flatnonzero(np.concatenate([[True], ~goes_on]))
    runs = np.stack([first, np.append(first[1:], len(columns))], axis=1)
    return View(rows, columns, runs, tuple((runs[:, 1] - runs[:, 0]).tolist()))


def _forwards(to: int, of: int, taps: int, stride: int, padding: int, dilation: int) -> np.ndarray:
    seen = np.arange(to)[:, None] * stride + np.arange(taps) * dilation - padding
    return np.where((seen >= 0) & (seen < of), seen, NOTHING)


def _backwards(to: int, of: int, taps: int, stride: int, padding: int, dilation: int) -> np.ndarray:
    seen, rest = np.divmod(np.arange(to)[:, None] + padding - np.arange(taps) * dilation, stride)
    return np.where((rest == 0) & (seen >= 0) & (seen < of), seen, NOTHING)
