"""Convolution without columns in memory; the twin of numpy/conv.py.

The batch lies innermost, as everywhere (numpy/layout.py). A row of the padded image is then one run of W N numbers, and
what one tap of the kernel sees of it, for all OW output pixels and all N images at once, is a piece of that run:

    row of the image   [ pixel 0: N numbers | pixel 1 | pixel 2 | ... | pixel W-1 ]
    tap j              [...... OW N numbers, beginning at pixel j ......]

So a row k of the reference's columns is OW N neighbouring numbers that begin at `offsets[k]`, and its matrix products
become: an output row is a weighted sum of such pieces; a weight's gradient sums dot products of a piece with a row of
dy. A stride along W would spoil it; the copy that pads then also sorts the pixels by their column modulo SW, and the
pieces are in one run again.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from ..numpy.conv import channel_sum, col2im, im2col
from ..numpy.conv import conv2d_grad_input as reference_grad_input
from ..numpy.layout import Pair, batch_first, batch_innermost, output_size, pad_image
from .compiler import SUMS_IN_ANY_ORDER, compiled_function, compiled_kernel, one_blas_thread

__all__ = ["channel_sum", "col2im", "conv2d", "conv2d_grad_input", "conv2d_grad_weight", "im2col"]

PIECE = 1024  # numbers of a row handled at a time, so that they stay in the first-level cache
BANDS = 16  # pieces of the image whose weight gradients are summed apart, and then together in this order


def conv2d(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    (N, C, H, W), (O, CG, KH, KW) = x.shape, weight.shape
    OH, OW = output_size((H, W), (KH, KW), stride, padding, dilation)
    rows, offsets, row_step = _rows(batch_innermost(x), (CG, KH, KW), stride, padding, dilation)
    y = np.empty((O, OH, OW, N), x.dtype)
    bias = np.zeros(O, x.dtype) if bias is None else np.ascontiguousarray(bias)
    channel_step = rows.size // max(C, 1) * CG  # from one group's channels to the next's
    matrix = np.ascontiguousarray(weight).reshape(O, CG * KH * KW)
    _weighted_sums(rows, offsets, row_step, channel_step, matrix, bias, groups, y.reshape(O, OH, OW * N))
    return batch_first(y)


def conv2d_grad_input(
    dy: np.ndarray,
    weight: np.ndarray,
    image: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    # With a stride, the pieces of dy that an input row needs are no runs; and infinity times the rim's zeros is NaN.
    if stride != (1, 1) or not np.isfinite(weight).all():
        with one_blas_thread:
            return reference_grad_input(dy, weight, image, stride, padding, dilation, groups)
    # The gradient by the input is a convolution of dy with the kernel turned round, inputs and outputs swapped.
    (O, CG, KH, KW), G = weight.shape, groups
    turned = weight.reshape(G, O // G, CG, KH, KW).transpose(0, 2, 1, 3, 4)[..., ::-1, ::-1]
    turned = np.ascontiguousarray(turned).reshape(G * CG, O // G, KH, KW)
    rim = tuple(d * (k - 1) - p for d, k, p in zip(dilation, (KH, KW), padding, strict=True))
    inner = dy[:, :, max(-rim[0], 0) : dy.shape[2] - max(-rim[0], 0), max(-rim[1], 0) : dy.shape[3] - max(-rim[1], 0)]
    return conv2d(inner, turned, None, (1, 1), (max(rim[0], 0), max(rim[1], 0)), dilation, groups)


def conv2d_grad_weight(
    dy: np.ndarray,
    x: np.ndarray,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    (N, O, OH, OW), C = dy.shape, x.shape[1]
    CG = C // groups
    rows, offsets, row_step = _rows(batch_innermost(x), (CG, *kernel), stride, padding, dilation)
    channel_step = rows.size // max(C, 1) * CG
    dy_rows = batch_innermost(dy).reshape(O, OH, OW * N)
    bands = np.zeros((min(BANDS, OH), O, offsets.size), x.dtype)
    _dot_products(dy_rows, rows, offsets, row_step, channel_step, groups, bands)
    return bands.sum(axis=0).reshape(O, CG, *kernel)


def _rows(
    x: np.ndarray, kernel: tuple[int, int, int], stride: Pair, padding: Pair, dilation: Pair
) -> tuple[np.ndarray, np.ndarray, int]:
    """The padded image (C, H, W, N) as one run of numbers, its columns sorted by their number modulo SW.

    Returns it with the offset of each tap (C/G KH KW, the first group's) and the distance between two output rows.
    """
    (SH, SW), (DH, DW) = stride, dilation
    image = pad_image(x, padding)
    C, HP, WP, N = image.shape
    if SW > 1:
        columns = -(-WP // SW)
        sorted_image = np.zeros((C, HP, SW, columns, N), x.dtype)
        for phase in range(SW):
            pixels = image[:, :, phase::SW]
            sorted_image[:, :, phase, : pixels.shape[2]] = pixels
        image = sorted_image
    else:
        columns = WP
    row = SW * columns * N
    c, i, j = np.meshgrid(*(np.arange(size) for size in kernel), indexing="ij")
    offsets = c * HP * row + i * DH * row + (j * DW % SW * columns + j * DW // SW) * N
    return image.reshape(-1), offsets.reshape(-1), SH * row


@compiled_kernel()
def _weighted_sums(rows, offsets, row_step, channel_step, weight, bias, groups, y):
    """y[o, p, t] = bias[o] + sum over k of weight[o, k] rows[offsets[k] + p row_step + t], two o and five k at a time.

    Five pieces are read once for ten multiply-adds a number: with fewer, loads and stores would be the limit.
    """
    O, OH, length = y.shape
    K, outputs = weight.shape[1], O // groups
    pairs = (outputs + 1) // 2
    for task in prange(OH * groups * pairs):
        p, group, o = task // (groups * pairs), task // pairs % groups, task % pairs * 2
        o, last = group * outputs + o, group * outputs + outputs - 1
        o2 = min(o + 1, last)  # an odd last output is computed twice and written once
        start = p * row_step + group * channel_step
        sum1, sum2 = np.empty(PIECE, y.dtype), np.empty(PIECE, y.dtype)
        for first in range(0, length, PIECE):
            n = min(PIECE, length - first)
            sum1[:n], sum2[:n] = bias[o], bias[o2]
            at = start + first
            for k in range(0, K - 4, 5):
                a0, a1, a2, a3, a4 = (
                    weight[o, k],
                    weight[o, k + 1],
                    weight[o, k + 2],
                    weight[o, k + 3],
                    weight[o, k + 4],
                )
                b0, b1, b2, b3, b4 = (
                    weight[o2, k],
                    weight[o2, k + 1],
                    weight[o2, k + 2],
                    weight[o2, k + 3],
                    weight[o2, k + 4],
                )
                x0, x1, x2 = rows[at + offsets[k] :], rows[at + offsets[k + 1] :], rows[at + offsets[k + 2] :]
                x3, x4 = rows[at + offsets[k + 3] :], rows[at + offsets[k + 4] :]
                for t in range(n):
                    sum1[t] += a0 * x0[t] + a1 * x1[t] + a2 * x2[t] + a3 * x3[t] + a4 * x4[t]
                    sum2[t] += b0 * x0[t] + b1 * x1[t] + b2 * x2[t] + b3 * x3[t] + b4 * x4[t]
            for k in range(K - K % 5, K):
                a, b, x = weight[o, k], weight[o2, k], rows[at + offsets[k] :]
                for t in range(n):
                    sum1[t] += a * x[t]
                    sum2[t] += b * x[t]
            y[o, p, first : first + n] = sum1[:n]
            if o2 > o:
                y[o2, p, first : first + n] = sum2[:n]


@compiled_kernel(fastmath=SUMS_IN_ANY_ORDER)
def _dot_products(dy, rows, offsets, row_step, channel_step, groups, bands):
    """bands[b, o, k] = sum of dy[o, p, t] rows[offsets[k] + p row_step + t] over t and the rows p of band b.

    Two o and five k at a time: their ten sums stay in registers.
    """
    O, OH, length = dy.shape
    B, K, outputs = bands.shape[0], offsets.size, O // groups
    zero = dy.dtype.type(0)
    for band in prange(B):
        for p in range(band * OH // B, (band + 1) * OH // B):
            for first in range(0, length, PIECE):
                n = min(PIECE, length - first)
                for o in range(O):
                    group, within = o // outputs, o % outputs
                    if within % 2 == 1:
                        continue
                    o2 = min(o + 1, (group + 1) * outputs - 1)
                    dy1, dy2 = dy[o, p, first:], dy[o2, p, first:]
                    at = p * row_step + group * channel_step + first
                    for k in range(0, K - 4, 5):
                        x0, x1, x2 = rows[at + offsets[k] :], rows[at + offsets[k + 1] :], rows[at + offsets[k + 2] :]
                        x3, x4 = rows[at + offsets[k + 3] :], rows[at + offsets[k + 4] :]
                        a0, a1, a2, a3, a4 = zero, zero, zero, zero, zero
                        b0, b1, b2, b3, b4 = zero, zero, zero, zero, zero
                        for t in range(n):
                            d1, d2, v0, v1, v2, v3, v4 = dy1[t], dy2[t], x0[t], x1[t], x2[t], x3[t], x4[t]
                            a0, a1, a2, a3, a4 = a0 + d1 * v0, a1 + d1 * v1, a2 + d1 * v2, a3 + d1 * v3, a4 + d1 * v4
                            b0, b1, b2, b3, b4 = b0 + d2 * v0, b1 + d2 * v1, b2 + d2 * v2, b3 + d2 * v3, b4 + d2 * v4
                        _add_five(bands[band, o, k:], a0, a1, a2, a3, a4)
                        if o2 > o:
                            _add_five(bands[band, o2, k:], b0, b1, b2, b3, b4)
                    for k in range(K - K % 5, K):
                        x = rows[at + offsets[k] :]
                        a, b = zero, zero
                        for t in range(n):
                            a, b = a + dy1[t] * x[t], b + dy2[t] * x[t]
                        bands[band, o, k] += a
                        if o2 > o:
                            bands[band, o2, k] += b


@compiled_function()
def _add_five(sums, a0, a1, a2, a3, a4):
    sums[0] += a0
    sums[1] += a1
    sums[2] += a2
    sums[3] += a3
    sums[4] += a4
