"""Convolution as a matrix product; the twin of numpy/conv.py. cuBLAS multiplies; the other kernels are in conv.cu."""

from __future__ import annotations

import cupy

from .compiler import Count, block_kernel, kernel
from .layout import Pair, batch_first, batch_innermost, contiguous, output_size

_im2col, _col2im, _add_bias = kernel("conv", "im2col"), kernel("conv", "col2im"), kernel("conv", "add_bias")
_channel_sum = block_kernel("conv", "channel_sum", threads=256)


def im2col(x: cupy.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> cupy.ndarray:
    N, C, H, W = x.shape
    output = output_size((H, W), kernel, stride, padding, dilation)
    cols = cupy.empty((C, *kernel, *output, N), x.dtype)
    _im2col(cols.size, batch_innermost(x), cols, N, H, W, *kernel, *output, *stride, *padding, *dilation)
    return cols


def col2im(cols: cupy.ndarray, image: Pair, stride: Pair, padding: Pair, dilation: Pair) -> cupy.ndarray:
    C, KH, KW, OH, OW, N = cols.shape
    x = cupy.empty((C, *image, N), cols.dtype)
    _col2im(x.size, contiguous(cols), x, N, *image, KH, KW, OH, OW, *stride, *padding, *dilation)
    return batch_first(x)


def conv2d(
    x: cupy.ndarray,
    weight: cupy.ndarray,
    bias: cupy.ndarray | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> cupy.ndarray:
    (N, C, H, W), (O, _, KH, KW), G = x.shape, weight.shape, groups
    OH, OW = output_size((H, W), (KH, KW), stride, padding, dilation)
    K = C // G * KH * KW  # the length of one output pixel's sum
    cols = im2col(x, (KH, KW), stride, padding, dilation).reshape(G, K, OH * OW * N)
    y = _product(weight.reshape(G, O // G, K), cols)  # (G, O/G, OH OW N) = (G, O/G, K) @ (G, K, OH OW N)
    if bias is not None:
        _add_bias(y.size, y, contiguous(bias), Count(OH * OW * N))
    return batch_first(y.reshape(O, OH, OW, N))


def conv2d_grad_input(
    dy: cupy.ndarray,
    weight: cupy.ndarray,
    image: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> cupy.ndarray:
    (N, O, OH, OW), (_, CG, KH, KW), G = dy.shape, weight.shape, groups
    dy = batch_innermost(dy).reshape(G, O // G, OH * OW * N)
    weight = weight.reshape(G, O // G, CG * KH * KW)
    dcols = _product(weight.transpose(0, 2, 1), dy)  # (G, K, OH OW N) = (G, K, O/G) @ (G, O/G, OH OW N)
    return col2im(dcols.reshape(G * CG, KH, KW, OH, OW, N), image, stride, padding, dilation)


def conv2d_grad_weight(
    dy: cupy.ndarray,
    x: cupy.ndarray,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> tuple[cupy.ndarray, cupy.ndarray]:
    (N, O, OH, OW), C, (KH, KW), G = dy.shape, x.shape[1], kernel, groups
    dy = batch_innermost(dy).reshape(G, O // G, OH * OW * N)
    cols = im2col(x, kernel, stride, padding, dilation).reshape(G, C // G * KH * KW, OH * OW * N)
    dweight = _product(dy, cols.transpose(0, 2, 1))  # (G, O/G, K) = (G, O/G, OH OW N) @ (G, OH OW N, K)
    dbias = cupy.empty(O, dy.dtype)
    _channel_sum(O, dy, dbias, Count(OH * OW * N))
    return dweight.reshape(O, C // G, KH, KW), dbias


def _product(a: cupy.ndarray, b: cupy.ndarray) -> cupy.ndarray:
    """(G, I, K) = (G, I, J) @ (G, J, K); one group, as is usual, is a plain product for cuBLAS, and no batch of one."""
    return (a[0] @ b[0])[None] if len(a) == 1 else a @ b
