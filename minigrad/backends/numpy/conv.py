"""Convolution as a matrix product: im2col, its adjoint col2im, and the three bilinear maps built on them.

The contract has the formulas and the letters; layout.py says why the batch runs innermost here.
"""

from __future__ import annotations

import numpy as np

from .layout import Pair, batch_first, batch_innermost, crop_image, output_size, pad_image, taps


def im2col(x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> np.ndarray:
    N, C, H, W = x.shape
    OH, OW = output_size((H, W), kernel, stride, padding, dilation)
    image = pad_image(batch_innermost(x), padding)
    cols = np.empty((C, *kernel, OH, OW, N), x.dtype)
    for i, j, rows, columns in taps(kernel, stride, (OH, OW), dilation):
        cols[:, i, j] = image[:, rows, columns]
    return cols


def col2im(cols: np.ndarray, image: Pair, stride: Pair, padding: Pair, dilation: Pair) -> np.ndarray:
    C, KH, KW, OH, OW, N = cols.shape
    (H, W), (PH, PW) = image, padding
    padded = np.zeros((C, H + 2 * PH, W + 2 * PW, N), cols.dtype)
    for i, j, rows, columns in taps((KH, KW), stride, (OH, OW), dilation):
        padded[:, rows, columns] += cols[:, i, j]
    return batch_first(crop_image(padded, padding))


def conv2d(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    (N, C, H, W), (O, _, KH, KW), G = x.shape, weight.shape, groups
    OH, OW = output_size((H, W), (KH, KW), stride, padding, dilation)
    K = C // G * KH * KW  # the length of one output pixel's sum
    cols = im2col(x, (KH, KW), stride, padding, dilation).reshape(G, K, OH * OW * N)
    y = weight.reshape(G, O // G, K) @ cols  # (G, O/G, OH OW N) = (G, O/G, K) @ (G, K, OH OW N)
    y = y.reshape(O, OH, OW, N)
    if bias is not None:
        y += bias[:, None, None, None]
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
    (N, O, OH, OW), (_, CG, KH, KW), G = dy.shape, weight.shape, groups
    dy = batch_innermost(dy).reshape(G, O // G, OH * OW * N)
    weight = weight.reshape(G, O // G, CG * KH * KW)
    dcols = weight.transpose(0, 2, 1) @ dy  # (G, K, OH OW N) = (G, K, O/G) @ (G, O/G, OH OW N)
    return col2im(dcols.reshape(G * CG, KH, KW, OH, OW, N), image, stride, padding, dilation)


def conv2d_grad_weight(
    dy: np.ndarray,
    x: np.ndarray,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> tuple[np.ndarray, np.ndarray]:
    (N, O, OH, OW), C, (KH, KW), G = dy.shape, x.shape[1], kernel, groups
    dy = batch_innermost(dy).reshape(G, O // G, OH * OW * N)
    cols = im2col(x, kernel, stride, padding, dilation).reshape(G, C // G * KH * KW, OH * OW * N)
    dweight = dy @ cols.transpose(0, 2, 1)  # (G, O/G, K) = (G, O/G, OH OW N) @ (G, OH OW N, K)
    return dweight.reshape(O, C // G, KH, KW), dy.sum(axis=2).reshape(O)
