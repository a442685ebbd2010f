"""Pooling; the twin of numpy/pool.py. The batch lies innermost, so each window is handled for all images at once.

Padding is never stored: `_inside` cuts each window down to its pixels inside the image. Backward kernels give each
channel to one thread, so that windows which overlap never meet in two.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from ..numpy.layout import Pair, batch_first, batch_innermost, output_size
from .compiler import compiled_kernel


def avg_pool2d(x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool) -> np.ndarray:
    N, C, H, W = x.shape
    y = np.empty((C, *output_size((H, W), kernel, stride, padding), N), x.dtype)
    _avg_pool2d(batch_innermost(x), kernel, stride, padding, count_include_pad, y)
    return batch_first(y)


def avg_pool2d_grad(
    dy: np.ndarray, image: Pair, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool
) -> np.ndarray:
    N, C = dy.shape[:2]
    dx = np.zeros((C, *image, N), dy.dtype)
    _avg_pool2d_grad(batch_innermost(dy), kernel, stride, padding, count_include_pad, dx)
    return batch_first(dx)


def max_pool2d(x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair) -> tuple[np.ndarray, np.ndarray]:
    N, C, H, W = x.shape
    y = np.empty((C, *output_size((H, W), kernel, stride, padding), N), x.dtype)
    winners = np.empty(y.shape, np.int32)
    _max_pool2d(batch_innermost(x), kernel, stride, padding, y, winners)
    return batch_first(y), batch_first(winners)


def max_pool2d_gather(x: np.ndarray, winners: np.ndarray, kernel: Pair, stride: Pair, padding: Pair) -> np.ndarray:
    winners = batch_innermost(winners)
    y = np.empty(winners.shape, x.dtype)
    _max_pool2d_gather(batch_innermost(x), winners, kernel, stride, padding, y)
    return batch_first(y)


def max_pool2d_scatter(
    dy: np.ndarray, winners: np.ndarray, image: Pair, kernel: Pair, stride: Pair, padding: Pair
) -> np.ndarray:
    N, C = dy.shape[:2]
    dx = np.zeros((C, *image, N), dy.dtype)
    _max_pool2d_scatter(batch_innermost(dy), batch_innermost(winners), kernel, stride, padding, dx)
    return batch_first(dx)


@njit(inline="always")
def _inside(place, size, kernel, stride, padding):
    """The first pixel of a window inside the image, and the first behind it, along one direction."""
    first = place * stride - padding
    return max(first, 0), min(first + kernel, size)


@compiled_kernel()
def _avg_pool2d(x, kernel, stride, padding, count_include_pad, y):
    (C, H, W, N), OH, OW = x.shape, y.shape[1], y.shape[2]
    for task in prange(C * OH):
        c, p = task // OH, task % OH
        top, bottom = _inside(p, H, kernel[0], stride[0], padding[0])
        for q in range(OW):
            left, right = _inside(q, W, kernel[1], stride[1], padding[1])
            count = kernel[0] * kernel[1] if count_include_pad else (bottom - top) * (right - left)
            share = x.dtype.type(1) / x.dtype.type(count)
            total = y[c, p, q]
            total[:] = 0
            for h in range(top, bottom):
                for w in range(left, right):
                    pixel = x[c, h, w]
                    for n in range(N):
                        total[n] += pixel[n]
            for n in range(N):
                total[n] *= share


@compiled_kernel()
def _avg_pool2d_grad(dy, kernel, stride, padding, count_include_pad, dx):
    (C, OH, OW, N), H, W = dy.shape, dx.shape[1], dx.shape[2]
    for c in prange(C):
        for p in range(OH):
            top, bottom = _inside(p, H, kernel[0], stride[0], padding[0])
            for q in range(OW):
                left, right = _inside(q, W, kernel[1], stride[1], padding[1])
                count = kernel[0] * kernel[1] if count_include_pad else (bottom - top) * (right - left)
                share = dy.dtype.type(1) / dy.dtype.type(count)
                gradient = dy[c, p, q]
                for h in range(top, bottom):
                    for w in range(left, right):
                        pixel = dx[c, h, w]
                        for n in range(N):
                            pixel[n] += gradient[n] * share


@compiled_kernel()
def _max_pool2d(x, kernel, stride, padding, y, winners):
    (C, H, W, N), OH, OW = x.shape, y.shape[1], y.shape[2]
    for task in prange(C * OH):
        c, p = task // OH, task % OH
        top, bottom = _inside(p, H, kernel[0], stride[0], padding[0])
        for q in range(OW):
            left, right = _inside(q, W, kernel[1], stride[1], padding[1])
            best, winner = y[c, p, q], winners[c, p, q]
            for h in range(top, bottom):
                for w in range(left, right):
                    place = np.int32((h - p * stride[0] + padding[0]) * kernel[1] + w - q * stride[1] + padding[1])
                    pixel = x[c, h, w]
                    if h == top and w == left:
                        best[:] = pixel
                        winner[:] = place
                        continue
                    for n in range(N):
                        # "not <=" lets a NaN win, and only the first one
                        better = not (pixel[n] <= best[n]) and best[n] == best[n]
                        winner[n] = place if better else winner[n]
                        best[n] = pixel[n] if better else best[n]


@compiled_kernel()
def _max_pool2d_gather(x, winners, kernel, stride, padding, y):
    C, OH, OW, N = y.shape
    for task in prange(C * OH):
        c, p = task // OH, task % OH
        for q in range(OW):
            for n in range(N):
                i, j = divmod(winners[c, p, q, n], kernel[1])
                y[c, p, q, n] = x[c, p * stride[0] - padding[0] + i, q * stride[1] - padding[1] + j, n]


@compiled_kernel()
def _max_pool2d_scatter(dy, winners, kernel, stride, padding, dx):
    C, OH, OW, N = dy.shape
    for c in prange(C):
        for p in range(OH):
            for q in range(OW):
                for n in range(N):
                    i, j = divmod(winners[c, p, q, n], kernel[1])
                    dx[c, p * stride[0] - padding[0] + i, q * stride[1] - padding[1] + j, n] += dy[c, p, q, n]
