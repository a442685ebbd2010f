"""The kernels of the cupy backend without CuPy: on NumPy's arrays, with the CUDA code run by host_cuda.py."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import numpy as np
from host_cuda import HostModule

PACKAGE = "minigrad.backends.cupy"


def poisoned(shape: Any, dtype: Any) -> np.ndarray:
    """A new array, of NaN or a number that no kernel computes: what is not written is seen."""
    return np.full(shape, np.nan if np.dtype(dtype).kind == "f" else 987654321, dtype)


def cupy_kernels() -> ModuleType:
    """The backend's package, imported with what it needs of CuPy; other modules find neither afterwards."""
    cupy: Any = ModuleType("cupy")
    cupy.ndarray, cupy.empty, cupy.ascontiguousarray = np.ndarray, poisoned, np.ascontiguousarray
    cupy.zeros = np.zeros
    cupy.int32, cupy.int64, cupy.float32 = np.int32, np.int64, np.float32
    cupy.RawModule = lambda code, options: HostModule(code, options)
    before = {name: module for name, module in sys.modules.items() if name == "cupy" or name.startswith(PACKAGE)}
    for name in before:
        del sys.modules[name]
    sys.modules["cupy"] = cupy
    try:
        return importlib.import_module(PACKAGE)
    finally:
        for name in [name for name in sys.modules if name == "cupy" or name.startswith(PACKAGE)]:
            del sys.modules[name]
        sys.modules.update(before)
