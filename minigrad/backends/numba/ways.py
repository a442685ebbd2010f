"""Which way a kernel goes for which shapes: the one place where that is decided, and said.

`minigrad.explain` shows it, and so does the log: `logging.getLogger("minigrad.numba").setLevel("DEBUG")`.
"""

from __future__ import annotations

import logging
from functools import lru_cache

import numpy as np

from .tile import REGISTER_BYTES
from .views import View

log = logging.getLogger("minigrad.numba")

WORTH_COLUMNS = 5_000_000  # products that take as long as im2col does by itself: a tenth of a millisecond


def takes_pieces(view: View, batch: int, itemsize: int, products: int) -> bool:
    """Whether a convolution reads pieces of the image where they lie, and does not build columns.

    A piece is a run of pixels, each `batch` numbers, and takes whole registers. So pieces are the way unless short ones
    (of small images in small batches, or between strides) leave lanes empty for more products than columns are worth.

    Args:
        products: how many each number of the result's rows takes, for all channels.
    """
    wasted = len(view.rows) * products * empty_lanes(view.lengths, batch, itemsize)
    pieces = wasted <= WORTH_COLUMNS
    if log.isEnabledFor(logging.DEBUG):
        longest = max(view.lengths, default=0) * batch
        log.debug(
            f"pieces of up to {longest} numbers, read where they lie"
            if pieces
            else f"im2col and a matrix product, an image at a time; pieces of {longest} numbers leave registers empty"
        )
    return pieces


def product_of(a: np.ndarray, b: np.ndarray) -> str:
    """How the matrix product a b is computed, by what lies in memory as runs that fill at least half a register:

    "columns" of a are summed (a batch, where that lies innermost), or "rows" of b, or rows of a are multiplied with
    columns of b as "dots"; and for anything else "BLAS".
    """
    if a.ndim != 2 or b.ndim != 2:
        chosen = "BLAS"
    elif _has_runs(a.T):
        chosen = "columns"
    elif _has_runs(b) and (a.flags.c_contiguous or a.flags.f_contiguous):
        chosen = "rows"
    else:
        chosen = "dots" if _has_runs(a) and _has_runs(b.T) else "BLAS"
    log.debug(PRODUCTS[chosen])
    return chosen


PRODUCTS = {
    "columns": "weighted sums of the left matrix's columns, which lie in memory as runs",
    "rows": "weighted sums of the right matrix's rows, which lie in memory as runs",
    "dots": "dot products of rows and columns, which lie in memory as runs",
    "BLAS": "the BLAS, on one thread",
}


def _has_runs(x: np.ndarray) -> bool:
    """Whether the rows of a matrix lie one behind the other, and fill at least half a register."""
    return x.flags.c_contiguous and 2 * x.shape[1] * x.itemsize >= REGISTER_BYTES


@lru_cache(maxsize=1024)
def empty_lanes(runs: tuple[int, ...], batch: int, itemsize: int) -> int:
    """How many lanes of their registers runs of that many pixels leave empty, beyond as many as they fill."""
    lanes = REGISTER_BYTES // itemsize
    numbers = [pixels * batch for pixels in runs]
    return sum(-(-number // lanes) * lanes for number in numbers) - 2 * sum(numbers)
