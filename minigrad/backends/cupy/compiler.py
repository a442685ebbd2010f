"""Compiles the CUDA C in the .cu files beside this one, and launches its kernels.

A file is compiled when one of its kernels is first called, for the type of numbers at hand. CuPy keeps the result on
disk.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import cupy
import numpy as np

THREADS = 256  # of a block, where a thread computes an element
REALS = {np.dtype("float32"): "float", np.dtype("float64"): "double"}
INT_COUNTS = 1 << 31  # elements that an int can count


def kernel(family: str, name: str) -> Callable[..., None]:
    """A kernel of a file, as a function of how many elements it computes, a thread each, and of its arguments."""

    def launch(size: int, *arguments: Any) -> None:
        if size:
            blocks = -(-size // THREADS)
            _launch(family, name, blocks, THREADS, size, arguments, counted=True)

    return launch


def block_kernel(family: str, name: str, threads: int) -> Callable[..., None]:
    """The same of a kernel in which a block of so many threads computes an element or a row."""

    def launch(size: int, *arguments: Any) -> None:
        if size:
            _launch(family, name, size, threads, size, arguments, counted=False)

    return launch


def _launch(
    family: str, name: str, blocks: int, threads: int, size: int, arguments: tuple[Any, ...], counted: bool
) -> None:
    arrays = [argument for argument in arguments if isinstance(argument, cupy.ndarray)]
    dtype = next(array.dtype for array in arrays if array.dtype.kind == "f")
    index = np.int32 if max(size, *(array.size for array in arrays)) + THREADS < INT_COUNTS else np.int64
    values = [_as_argument(argument, dtype, index) for argument in arguments]
    function = _function(family, name, dtype, index)
    function((blocks,), (threads,), (index(size), *values) if counted else tuple(values))


class Count(int):
    """A number of elements, which a kernel takes as an INDEX; other whole numbers are ints there."""


def _as_argument(value: Any, dtype: np.dtype, index: type) -> Any:
    """A kernel gets what it declares: CuPy would pass Python's numbers as eight bytes each."""
    if isinstance(value, Count):
        return index(value)
    if isinstance(value, (int, np.integer)):
        return np.int32(value)
    return dtype.type(value) if isinstance(value, (float, np.floating)) else value


@cache
def _function(family: str, name: str, dtype: np.dtype, index: type) -> Any:
    return _module(family, dtype, index).get_function(name)


@cache
def _module(family: str, dtype: np.dtype, index: type) -> Any:
    code = (Path(__file__).parent / f"{family}.cu").read_text()
    options = (f"-DREAL={REALS[dtype]}", f"-DINDEX={'int' if index is np.int32 else 'long long'}")
    return cupy.RawModule(code=code, options=options)
