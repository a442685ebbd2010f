"""Moves NumPy arrays to a backend for tests, with the strides that they have, and results back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.backends import Backend, get_backend


def placed(array: np.ndarray, backend: str | Backend) -> Any:
    """The array on that backend, lying in memory as it does here; `from_numpy` keeps no strides on a device.

    The whole memory that the array is a view of is moved, and the same view of that is taken.
    """
    backend = get_backend(backend)
    moved = backend.from_numpy(array)
    if moved is array or array.size == 0 or array.flags.c_contiguous or array.flags.f_contiguous:
        return moved
    memory = array
    while isinstance(memory.base, np.ndarray):
        memory = memory.base
    flat = backend.from_numpy(memory.ravel(order="K"))
    offset = (array.ctypes.data - memory.ctypes.data) // array.itemsize
    return backend.xp.lib.stride_tricks.as_strided(flat[offset:], array.shape, array.strides)


class KernelsOnHost:
    """A backend's kernels, called with NumPy's arrays and answering with NumPy's arrays."""

    def __init__(self, backend: str | Backend) -> None:
        self.backend = get_backend(backend)

    def _placed(self, arg: Any) -> Any:
        if isinstance(arg, list):
            return [self._placed(item) for item in arg]
        return placed(arg, self.backend) if isinstance(arg, np.ndarray) else arg

    def __getattr__(self, name: str) -> Callable[..., Any]:
        kernel = getattr(self.backend.kernels, name)

        def call(*args: Any, **parameters: Any) -> Any:
            results = kernel(*[self._placed(arg) for arg in args], **parameters)
            if isinstance(results, tuple):
                return tuple(None if result is None else self.backend.to_numpy(result) for result in results)
            return self.backend.to_numpy(results)

        return call
