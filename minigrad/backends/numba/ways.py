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


def takes_pieces(view: View, batch: int, itemsize: int) -> bool:
    """Whether a convolution reads pieces of the image where they lie, and does not build columns: where they are long
    enough. A piece is a run of pixels, each `batch` numbers."""
    pieces = fill_registers(view.lengths, batch, itemsize)
    if log.isEnabledFor(logging.DEBUG):
        longest = max(view.lengths, default=0) * batch
        log.debug(
            f"pieces of up to {longest} numbers, read where they lie"
            if pieces
            else f"im2col and a matrix product, an image at a time; pieces of {longest} numbers leave registers empty"
        )
    return pieces


def product_of(a: np.ndarray, b: np.ndarray) -> str:
    """How the matrix product a b is computed: "sums" of a's columns, "dots" of a's rows with b's columns, or "BLAS".

    Sums and dots need 2-D matrices whose columns or rows lie in memory as runs that fill a register: a batch of rows
    behind an image layer, for example, where the batch lies innermost.
    """
    if a.ndim != 2 or b.ndim != 2:
        chosen = "BLAS"
    elif _has_runs(a.T):
        chosen = "sums"
    else:
        chosen = "dots" if _has_runs(a) and _has_runs(b.T) else "BLAS"
    log.debug(PRODUCTS[chosen])
    return chosen


PRODUCTS = {
    "sums": "weighted sums of columns, which lie in memory as runs",
    "dots": "dot products of rows and columns, which lie in memory as runs",
    "BLAS": "the BLAS, on one thread",
}


def _has_runs(x: np.ndarray) -> bool:
    """Whether the rows of a matrix lie one behind the other, and fill registers."""
    return x.flags.c_contiguous and fill_registers((x.shape[1],), 1, x.itemsize)


@lru_cache(maxsize=1024)
def fill_registers(runs: tuple[int, ...], batch: int, itemsize: int) -> bool:
    """Whether runs of that many pixels, each of `batch` numbers, fill at least half of their registers' lanes."""
    lanes = REGISTER_BYTES // itemsize
    numbers = [pixels * batch for pixels in runs]
    return 2 * sum(numbers) >= sum(-(-number // lanes) * lanes for number in numbers)
