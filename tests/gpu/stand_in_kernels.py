"""The stand-in's kernels: CUDA C that runs on the host, after the checks that CuPy and a GPU make of a launch."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import stand_in_device as device
from stand_in_array import ndarray

# The limits of all GPUs since compute capability 3.0, in CUDA's order x, y, z.
MAX_GRID = (2**31 - 1, 65535, 65535)
MAX_BLOCK = (1024, 1024, 64)
MAX_THREADS = 1024


class RawModule:
    """Kernels in CUDA C, compiled together when the first is asked for."""

    def __init__(
        self, *, code: str | None = None, options: tuple[str, ...] = (), backend: str = "nvrtc", **others: Any
    ) -> None:
        if others or backend != "nvrtc" or not isinstance(code, str):
            raise NotImplementedError("the stand-in's RawModule takes code and options, and no more")
        if not isinstance(options, tuple):
            raise TypeError(f"Argument 'options' has incorrect type (expected tuple, got {type(options).__name__})")
        self.code, self.options, self.backend = code, options, backend

    def get_function(self, name: str) -> RawKernel:
        kernel = RawKernel(self.code, name, self.options)
        kernel.compile()
        return kernel


class RawKernel:
    """One kernel in CUDA C, compiled at its first launch."""

    def __init__(self, code: str, name: str, options: tuple[str, ...] = (), backend: str = "nvrtc") -> None:
        self.code, self.name, self.options, self.backend = code, name, tuple(options), backend

    def compile(self, log_stream: Any = None) -> Any:
        device.require("driver")
        device.require("compiler")
        return _host_module(self.code, self.options).get_function(self.name)

    def __call__(self, grid: Any, block: Any, args: Any, *, shared_mem: int = 0) -> None:
        check_launch(self.name, grid, block)
        if shared_mem:
            raise NotImplementedError(f"{self.name}: host_cuda.py runs kernels with static shared memory alone")
        function = self.compile()
        function(grid, block, tuple(self._argument(i, arg) for i, arg in enumerate(args)))
        device.launched(self.name, *(arg for arg in args if isinstance(arg, ndarray)))

    def _argument(self, position: int, arg: Any) -> Any:
        if isinstance(arg, np.ndarray):
            raise TypeError(f"{self.name}: argument {position} is a numpy.ndarray, and the kernel runs on the device")
        if not isinstance(arg, ndarray):
            return arg
        if not arg.flags.c_contiguous:
            raise ValueError(
                f"{self.name}: argument {position}, of strides {arg.strides}, is not C-contiguous, and a kernel sees "
                f"only where an array begins; pass cupy.ascontiguousarray(...)"
            )
        return arg.storage


@functools.cache
def _host_module(code: str, options: tuple[str, ...]) -> Any:
    from host_cuda import HostModule  # needs g++, which arrays alone do not

    return HostModule(code, options)


def check_launch(name: str, grid: Any, block: Any) -> None:
    """Raises TypeError for what is no tuple of integers, ValueError for sizes that no GPU takes."""
    for what, sizes, limits in (("grid", grid, MAX_GRID), ("block", block, MAX_BLOCK)):
        integers = isinstance(sizes, tuple) and all(isinstance(size, (int, np.integer)) for size in sizes)
        if not integers or not 1 <= len(sizes) <= 3:
            raise TypeError(f"{name}: the {what} must be a tuple of one to three integers, got {sizes!r}")
        if not all(1 <= size <= limit for size, limit in zip(sizes, limits, strict=False)):
            raise ValueError(f"{name}: the {what} {sizes} has a size below 1 or above CUDA's limits, {limits}")
    threads = int(np.prod(block))
    if threads > MAX_THREADS:
        raise ValueError(f"{name}: the block {block} has {threads} threads, the limit is {MAX_THREADS}")
