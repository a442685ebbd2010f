"""Which way a kernel goes for which shapes: the one place where that is decided, and said.

Convolutions come first, then how sums take pieces of large arrays, pooling, and matrix products with linear layers.
All other kernels have one way each.

`minigrad.explain` shows it, and so does the log, after `logging.basicConfig()` and
`logging.getLogger("minigrad.numba").setLevel("DEBUG")`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

import numpy as np

from ..numpy.layout import Pair
from .tile import REGISTER_BYTES, WIDE
from .views import View

log = logging.getLogger("minigrad.numba")


def planned(plan: Callable[..., Any]) -> Callable[..., Any]:
    """The decorator of what goes by sizes alone, and is kept for them; but done again for a log, which tells it.

    What Python does between two kernels takes a third of a step: the kernels have driven it out of the cache.
    """
    kept = lru_cache(maxsize=1024)(plan)

    @wraps(plan)
    def plan_for(*sizes: Any) -> Any:
        return (plan if log.isEnabledFor(logging.DEBUG) else kept)(*sizes)

    plan_for.cache_clear = kept.cache_clear  # type: ignore[attr-defined]
    return plan_for


WORTH_COLUMNS = 5_000_000  # products that take as long as im2col does by itself: a tenth of a millisecond
TINY_PRODUCT = 200_000  # multiply-adds of plain loops that one thread has done before others are under way
SMALL_PRODUCT = 400_000  # the same for tiles, and for the BLAS, which wants its other threads to be put to sleep first
SHORTEST_RUN = 8  # numbers that are worth a register, or half of one
SHORTEST_COLUMN = 5  # the same for large products of a weight that lies by output, at which the BLAS is slow
FEW_IMAGES, SUMS_IN_CACHE, LONG_ROW = 64, 1 << 16, 64  # for outer products; the second and third in numbers
MANY_OUTPUTS = 128  # bytes, two of the largest registers: for outer products, too
LONG_DOT = 128  # numbers beside which summing the lanes of a register in the end is little
LONG_BATCH = 256  # examples beside which that is so little that they need not be turned around
LONG_NAIVE_SUM = 512  # numbers that may be added up one by one
BLOCK = 256  # bytes: 64 images in float32
LARGE, MANY = 4096, 64  # from how many bytes a batch, from how many pieces a sum is worth copying
TILE_BYTES = len(WIDE) * REGISTER_BYTES
LARGE_IN_TILES = LARGE >> 2  # likewise, for blocks that are one tile wide, which with AVX2 is less
CACHED, CACHED_IN_TILES = 1 << 20, 1 << 17  # bytes of a block that stay in the second-level cache, likewise
TURNED = 4  # blocks of what is turned around, at most
ENOUGH_OUTPUTS = 24  # so many take each copied piece that the copy is little beside that
ALIKE = 4096  # bytes: what lies a multiple of them apart has the same few places in a first-level cache
FEW = 1 << 14  # numbers of images which one thread has pooled before another has fetched its part of them
BY_ROWS, BY_COLUMNS = 1, 2  # how a matrix lies in memory: NPY_ARRAY_C_CONTIGUOUS and F_CONTIGUOUS of NumPy's flags.num

Shape = tuple[int, ...]


def takes_pieces(view: View, batch: int, itemsize: int, products: int) -> bool:
    """Whether a convolution reads pieces of the image where they lie, and does not build columns.

    A piece is a run of pixels, each `batch` numbers, and takes whole registers. So pieces are the way unless short ones
    (of small images in small batches, or between strides) leave lanes empty for more products than columns are worth.

    Args:
        products: how many one pixel of the result takes, for all of its channels.
    """
    wasted = len(view.rows) * products * empty_lanes(view.lengths, batch, itemsize)
    pieces = wasted <= WORTH_COLUMNS
    if log.isEnabledFor(logging.DEBUG):
        longest = max(view.lengths) * batch
        log.debug(
            f"pieces of up to {longest} numbers, instead of columns"
            if pieces
            else f"im2col and a matrix product, an image at a time; pieces of {longest} numbers leave registers empty"
        )
    return pieces


def takes_outer_products(weight: tuple[int, ...], view: View, batch: int, itemsize: int) -> bool:
    """Whether the gradient by a weight of that shape is summed as outer products of each pixel's channels and outputs.

    Where there are many of both and few images, that is faster than dot products of pieces: as long as the sums stay in
    the cache, or a row has pixels enough for each time that they are fetched. Where no piece fills more than a
    register, two registers of outputs are many.
    """
    outputs, channels = weight[:2]
    short = max(view.lengths) * batch * itemsize <= REGISTER_BYTES
    enough = 2 * REGISTER_BYTES if short else MANY_OUTPUTS
    many = outputs * itemsize >= enough and channels >= 3 and 8 * channels >= batch
    few_images = 0 < batch <= FEW_IMAGES
    worth_it = math.prod(weight) <= SUMS_IN_CACHE or len(view.columns) * batch >= LONG_ROW
    if many and few_images and worth_it:
        log.debug("outer products of the channels and outputs of each pixel, summed")
    return many and few_images and worth_it


def blocks_of(x_shape: Shape, itemsize: int, channels: int, view: View) -> int:
    """Into how many blocks of images a large batch is cut. A task then lays its block's pieces side by side: in x they
    are so far apart, and at such regular distances, that a cache has places for few of them at a time."""
    _, H, W, N = x_shape
    block, large, cached = BLOCK, LARGE, CACHED
    if TILE_BYTES < BLOCK and N * itemsize < LARGE and view.taps > 1:
        block, large, cached = TILE_BYTES, LARGE_IN_TILES, CACHED_IN_TILES
    if N * itemsize < large or channels * view.taps < MANY or channels * H * W * block > cached:
        return 1
    log.debug(f"laid side by side first, {block // itemsize} images at a time")
    return -(-N * itemsize // block)


def turned_blocks(x_shape: Shape, itemsize: int) -> int:
    """Into how many blocks an x (C, 1, 1, N) is cut that a task turns around: enough for few threads, as each is turned
    once more for every part of the outputs."""
    return min(-(-x_shape[3] * itemsize // BLOCK), TURNED)


def is_packed(x_shape: Shape, itemsize: int, channels: int, outputs: int, view: View) -> bool:
    """Whether each tile's pieces of x (C, H, W, N) are laid side by side first: where those of all channels have the
    same places in the cache, and drive each other out between one tile of outputs and the next."""
    _, H, W, N = x_shape
    packed = H * W * N * itemsize % ALIKE == 0 and channels * view.taps >= MANY and outputs >= ENOUGH_OUTPUTS
    if packed:
        log.debug("laid side by side first, some tiles at a time")
    return packed


@planned
def windows_tile(image: Pair, output: Pair, kernel: Pair, stride: Pair, padding: Pair) -> bool:
    """Whether pooling's way back goes from window to window: each pixel belongs to one, and each lies in the image."""
    tiled = kernel == stride and padding == (0, 0) and image == (output[0] * kernel[0], output[1] * kernel[1])
    log.debug("from window to window, as they tile the image" if tiled else "each pixel from the windows that see it")
    return tiled


def pooled_alone(size: int) -> bool:
    """Whether one thread pools images of so many numbers."""
    if size > FEW:
        return False
    if log.isEnabledFor(logging.DEBUG):
        log.debug("on one thread: too little work for more")
    return True


def product_of(a: np.ndarray, b: np.ndarray) -> str:
    """How the matrix product a b (I, K) = (I, J) @ (J, K) is computed, by what lies in memory as runs of numbers:

    "columns" of a are summed (a batch, where that lies innermost), or "rows" of b, or long rows of a are multiplied
    with long columns of b as "dots"; for anything else "BLAS". A small product is taken by one thread, as "few columns"
    or "few rows", or by plain "loops" of dot products. The last two add up one number after another, and only so many.
    """
    return _product_of(a.shape, a.flags.num, b.shape, b.flags.num, a.dtype)


@planned
def _product_of(a: Shape, a_flags: int, b: Shape, b_flags: int, dtype: np.dtype) -> str:
    return _said(_way_of_product(a, a_flags, b, b_flags, dtype), a, b)


def _way_of_product(a: Shape, a_flags: int, b: Shape, b_flags: int, dtype: np.dtype) -> str:
    if len(a) != 2 or len(b) != 2 or dtype.kind != "f":
        return "BLAS"
    (I, J), (rows, K) = a, b
    if J != rows:  # compiled code would read on
        raise ValueError(f"matrices of shapes {a} and {b} have no product")
    products, naive = I * J * K, J <= LONG_NAIVE_SUM
    small, by_output = products <= SMALL_PRODUCT, b_flags & BY_COLUMNS
    column = SHORTEST_COLUMN if by_output and not small else SHORTEST_RUN
    rows_of_b = b_flags & BY_ROWS and K >= SHORTEST_RUN
    if a_flags & BY_COLUMNS and I >= column:
        return "few columns" if small else "columns"
    if small and naive and (rows_of_b or not by_output):
        return "few rows"
    if a_flags & (BY_ROWS | BY_COLUMNS) and rows_of_b:
        return "rows"
    long = a_flags & BY_ROWS and b_flags & BY_COLUMNS and J >= LONG_DOT
    if long and not (products <= TINY_PRODUCT and naive):
        return "dots"
    return "loops" if small and naive else "BLAS"


def weight_gradient_of(dy: np.ndarray, x: np.ndarray) -> str:
    """How the gradient by a linear layer's weight, the product of x.T and dy (N, O), is computed, likewise. Where the
    batch lies innermost, its examples are multiplied as "dots", or if they are few turned around first: "turned
    columns" are summed. A small product is taken as "few columns", turned around or not.
    """
    if len(dy) != len(x):
        raise ValueError(f"matrices of shapes {dy.shape} and {x.shape} are no gradient and inputs of one batch")
    if len(x) <= LONG_NAIVE_SUM and dy.size * x.shape[1] <= SMALL_PRODUCT:
        return _said("few columns", x.shape[::-1], dy.shape)
    if not x.T.flags.carray:
        return product_of(x.T, dy)
    return _said("dots" if len(x) >= LONG_BATCH else "turned columns", x.shape[::-1], dy.shape)


PRODUCTS = {
    "few columns": "weighted sums of the left matrix's columns, on one thread: too little work for more",
    "few rows": "weighted sums of the right matrix's rows, on one thread: too little work for more",
    "loops": "plain loops over rows, on one thread: too little work for more",
    "columns": "weighted sums of the left matrix's columns, which lie in memory as runs",
    "turned columns": "weighted sums of the left matrix's columns, which are laid out as runs first",
    "rows": "weighted sums of the right matrix's rows, which lie in memory as runs",
    "dots": "dot products of rows and columns, which lie in memory as runs",
    "BLAS": "the BLAS, on one thread",
}


def _said(chosen: str, left: Shape, right: Shape) -> str:
    """The way that has been chosen for a product of two matrices, told to a log that wants to know."""
    if log.isEnabledFor(logging.DEBUG):
        log.debug(f"{left} @ {right}: {PRODUCTS[chosen]}")
    return chosen


@lru_cache(maxsize=1024)
def empty_lanes(runs: tuple[int, ...], batch: int, itemsize: int) -> int:
    """How many lanes of their registers runs of that many pixels leave empty, beyond as many as they fill."""
    lanes = REGISTER_BYTES // itemsize
    numbers = [pixels * batch for pixels in runs]
    return sum(-(-number // lanes) * lanes for number in numbers) - 2 * sum(numbers)
