"""Pooling; the twin of numpy/pool.py. Its kernels are in pool.cu."""

from __future__ import annotations

import cupy

from .compiler import kernel as kernel_of
from .layout import Pair, batch_first, batch_innermost, output_size

_avg_pool2d, _avg_pool2d_grad = kernel_of("pool", "avg_pool2d"), kernel_of("pool", "avg_pool2d_grad")
_max_pool2d = kernel_of("pool", "max_pool2d")
_gather, _scatter = kernel_of("pool", "max_pool2d_gather"), kernel_of("pool", "max_pool2d_scatter")


def avg_pool2d(x: cupy.ndarray, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool) -> cupy.ndarray:
    N, C, H, W = x.shape
    output = output_size((H, W), kernel, stride, padding)
    y = cupy.empty((C, *output, N), x.dtype)
    geometry = (N, H, W, *kernel, *output, *stride, *padding, int(count_include_pad))
    _avg_pool2d(y.size, batch_innermost(x), y, *geometry)
    return batch_first(y)


def avg_pool2d_grad(
    dy: cupy.ndarray, image: Pair, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool
) -> cupy.ndarray:
    N, C, *output = dy.shape
    dx = cupy.empty((C, *image, N), dy.dtype)
    geometry = (N, *image, *kernel, *output, *stride, *padding, int(count_include_pad))
    _avg_pool2d_grad(dx.size, batch_innermost(dy), dx, *geometry)
    return batch_first(dx)


def max_pool2d(x: cupy.ndarray, kernel: Pair, stride: Pair, padding: Pair) -> tuple[cupy.ndarray, cupy.ndarray]:
    N, C, H, W = x.shape
    output = output_size((H, W), kernel, stride, padding)
    y, winners = cupy.empty((C, *output, N), x.dtype), cupy.empty((C, *output, N), cupy.int32)
    _max_pool2d(y.size, batch_innermost(x), y, winners, N, H, W, *kernel, *output, *stride, *padding)
    return batch_first(y), batch_first(winners)


def max_pool2d_gather(
    x: cupy.ndarray, winners: cupy.ndarray, kernel: Pair, stride: Pair, padding: Pair
) -> cupy.ndarray:
    (N, C, H, W), output = x.shape, winners.shape[2:]
    y = cupy.empty((C, *output, N), x.dtype)
    geometry = (N, H, W, kernel[1], *output, *stride, *padding)
    _gather(y.size, batch_innermost(x), batch_innermost(winners), y, *geometry)
    return batch_first(y)


def max_pool2d_scatter(
    dy: cupy.ndarray, winners: cupy.ndarray, image: Pair, kernel: Pair, stride: Pair, padding: Pair
) -> cupy.ndarray:
    N, C, *output = dy.shape
    dx = cupy.empty((C, *image, N), dy.dtype)
    geometry = (N, *image, *kernel, *output, *stride, *padding)
    _scatter(dx.size, batch_innermost(dy), batch_innermost(winners), dx, *geometry)
    return batch_first(dx)
