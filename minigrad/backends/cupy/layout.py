"""How this backend lays out images: the batch innermost, as the twin numpy/layout.py does and for the same reason.

Threads that are neighbours then work on neighbouring images, and read and write whole lines of memory.
"""

from __future__ import annotations

import cupy

from ..numpy.layout import Pair, output_size

__all__ = ["Pair", "batch_first", "batch_innermost", "contiguous", "elementwise_layout", "output_size"]


def contiguous(x: cupy.ndarray) -> cupy.ndarray:
    """The array itself where it is contiguous, else a copy: a kernel sees the first number's address and no strides."""
    return x if x.flags.c_contiguous else cupy.ascontiguousarray(x)


def batch_innermost(x: cupy.ndarray) -> cupy.ndarray:
    """(N, C, H, W) -> (C, H, W, N), contiguous: a view where x lies that way already, else a copy."""
    return contiguous(x.transpose(1, 2, 3, 0))


def batch_first(x: cupy.ndarray) -> cupy.ndarray:
    """(C, H, W, N) -> (N, C, H, W), a view."""
    return x.transpose(3, 0, 1, 2)


def elementwise_layout(*arrays: cupy.ndarray) -> tuple[list[cupy.ndarray], cupy.ndarray, cupy.ndarray]:
    """Arrays of one shape as they lie in memory if the first one's layout is theirs; a new one of that layout, and the
    same with the axes in their order."""
    first = arrays[0]
    if first.flags.c_contiguous:
        result = cupy.empty(first.shape, first.dtype)
        return [contiguous(array) for array in arrays], result, result
    inwards = (*range(1, first.ndim), 0)
    inner = [contiguous(array.transpose(inwards)) for array in arrays]
    result = cupy.empty(inner[0].shape, first.dtype)
    return inner, result, result.transpose(first.ndim - 1, *range(first.ndim - 1))
