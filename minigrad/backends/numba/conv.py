"""Convolution without columns in memory; the twin of numpy/conv.py.

The batch lies innermost, as everywhere (numpy/layout.py). What one tap of the kernel sees, for neighbouring output
pixels and all images at once, is then one piece of the image's memory, and need not be copied to be multiplied:

    row of the image   [ pixel 0: N numbers | pixel 1 | pixel 2 | ... | pixel W-1 ]
    tap j              [...... (q1 - q0) N numbers, beginning at the pixel that output pixel q0 sees ......]

So a row of the reference's columns is such a piece, and its matrix products become two loops. An output row is a
weighted sum of pieces (sums.py); so is a row of the input's gradient, where each pixel sees the output pixels that saw
it. A weight's gradient is a dot product of pieces with rows of dy (dots.py). Two small tables say who sees whom
(views.py): any stride, padding and dilation is only another table, and padding is neither stored nor multiplied.

Pieces of a few numbers (small images in small batches) fill no registers. Then columns are better, and the reference's
way is taken, one image at a time; or, for a weight's gradient by many channels, a pixel at a time. See ways.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..numpy import conv as reference
from ..numpy.conv import col2im, im2col
from ..numpy.layout import Pair, batch_first, output_size
from .compiler import SUMS_IN_ANY_ORDER, compiled_kernel
from .copies import batch_innermost
from .dots import Dots, dot_products, plan_dots
from .sums import Sums, outer_products, plan_sums, weighted_sums
from .threads import one_blas_thread
from .views import inputs_view, outputs_view
from .ways import planned, takes_outer_products, takes_pieces

__all__ = ["col2im", "conv2d", "conv2d_grad_input", "conv2d_grad_weight", "im2col"]

BANDS, SHORTEST_BAND = 64, 256  # parts of a channel that are summed apart, and then together: how many, of how much


Shape = tuple[int, ...]


def conv2d(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    geometry = stride, padding, dilation, groups
    plan = _plan(x.shape, weight.shape, x.dtype, *geometry)
    if plan is None:
        return _image_by_image(lambda image: reference.conv2d(image, weight, bias, *geometry), x)
    return batch_first(weighted_sums(batch_innermost(x), weight, plan.no_bias if bias is None else bias, plan))


def conv2d_grad_input(
    dy: np.ndarray,
    weight: np.ndarray,
    image: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    geometry = image, stride, padding, dilation, groups
    plan = _plan_grad_input(dy.shape, weight.shape, dy.dtype, *geometry)
    if plan is None:
        return _image_by_image(lambda d: reference.conv2d_grad_input(d, weight, *geometry), dy)
    return batch_first(weighted_sums(batch_innermost(dy), weight, plan.no_bias, plan))


def conv2d_grad_weight(
    dy: np.ndarray,
    x: np.ndarray,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> tuple[np.ndarray, np.ndarray]:
    geometry = kernel, stride, padding, dilation, groups
    plan = _plan_grad_weight(dy.shape, x.shape, dy.dtype, *geometry)
    if plan is None:
        with one_blas_thread:
            return reference.conv2d_grad_weight(dy, x, *geometry)
    dy, x = batch_innermost(dy), batch_innermost(x)
    if isinstance(plan, Dots):
        return dot_products(dy, x, plan)
    return outer_products(dy, x, *plan), _channel_sums(dy)


@planned
def _plan(
    x: Shape, weight: Shape, dtype: np.dtype, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Sums | None:
    """How the sums of conv2d are taken; None where columns are better."""
    (N, C, H, W), (O, CG, KH, KW), G = x, weight, groups
    _check(C == CG * G and O % G == 0, x, weight, groups)
    output = output_size((H, W), (KH, KW), stride, padding, dilation)
    view = outputs_view(output, (H, W), (KH, KW), stride, padding, dilation)
    steps = (O // G * CG * KH * KW, CG * KH * KW, KH * KW, KW)  # in the weight: a group, output, input, row further
    if takes_pieces(view, N, dtype.itemsize, O * CG * KH * KW):
        return plan_sums((C, H, W, N), dtype, (G, O // G, CG), steps, view)
    return None


@planned
def _plan_grad_input(
    dy: Shape, weight: Shape, dtype: np.dtype, image: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Sums | None:
    (N, _, OH, OW), (O, CG, KH, KW), G = dy, weight, groups
    fits = dy[1] == O and O % G == 0 and output_size(image, (KH, KW), stride, padding, dilation) == (OH, OW)
    _check(fits, dy, weight, groups)
    view = inputs_view(image, (OH, OW), (KH, KW), stride, padding, dilation)
    steps = (O // G * CG * KH * KW, KH * KW, CG * KH * KW, KW)  # what were outputs are inputs now
    if takes_pieces(view, N, dtype.itemsize, O * CG * KH * KW):
        return plan_sums((O, OH, OW, N), dtype, (G, CG, O // G), steps, view)
    return None


@planned
def _plan_grad_weight(
    dy: Shape, x: Shape, dtype: np.dtype, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Dots | tuple[Any, ...] | None:
    """Likewise; what outer_products takes where these are better."""
    (N, O, OH, OW), (_, C, H, W), G = dy, x, groups
    fits = N == x[0] and O % G == C % G == 0 and output_size((H, W), kernel, stride, padding, dilation) == (OH, OW)
    _check(fits, dy, x, groups)
    view, shape = outputs_view((OH, OW), (H, W), kernel, stride, padding, dilation), (G, O // G, C // G)
    if takes_outer_products((O // G, C // G, *kernel), view, N, dtype.itemsize):
        return shape, kernel, stride, view
    if takes_pieces(view, N, dtype.itemsize, O * C // G * kernel[0] * kernel[1]):
        return plan_dots(OH * OW * N, shape, kernel, view)
    return None


def _check(fits: bool, a: Shape, b: Shape, groups: int) -> None:
    """Compiled code reads on behind what does not fit. Once for some sizes, that costs nothing."""
    if not fits:
        raise ValueError(f"shapes {a} and {b} do not fit each other, with {groups} groups")


def _image_by_image(convolve: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> np.ndarray:
    """The convolution of each image alone, so that the columns of a whole batch are never in memory."""
    with one_blas_thread:
        return np.concatenate([convolve(images[n : n + 1]) for n in range(len(images))])


def _channel_sums(x: np.ndarray) -> np.ndarray:
    """x (C, H, W, N) -> (C,), for the way that has no such sums along the way, as dot products have."""
    C, size = len(x), x.size // len(x)
    sums = np.empty((C, min(max(size // SHORTEST_BAND, 1), BANDS)), x.dtype)
    _channel_sum(sums.size, x.reshape(C, size), sums)
    return np.add.reduce(sums, axis=1)


@compiled_kernel(fastmath=SUMS_IN_ANY_ORDER)
def _channel_sum(first, last, x, sums):
    (C, size), B = x.shape, sums.shape[1]
    for task in range(first, last):
        band, c = task // C, task % C
        numbers, total = x[c, band * size // B : (band + 1) * size // B], x.dtype.type(0)
        for i in range(numbers.size):
            total += numbers[i]
        sums[c, band] = total
