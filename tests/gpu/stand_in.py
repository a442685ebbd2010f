"""A strict stand-in for the module `cupy`, over NumPy arrays, for machines without a GPU.

    with counting() as counts:
        x = cupy.asarray(np.ones(3)) + 1
    assert counts.launches == 1

`install` makes it what `import cupy` finds. It has only names and keywords that the real package has, and it refuses
what that refuses: NumPy arrays as operands, conversion that nobody asked for. What it computes is NumPy's, and says
nothing about speed; what a kernel computes is the kernel's own source, see stand_in_kernels.py.
"""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import cupy_surface as surface
import numpy as np
import stand_in_device as device
from stand_in_array import ndarray
from stand_in_device import Counts, broken, counting
from stand_in_functions import named, ufunc
from stand_in_kernels import RawKernel, RawModule

__all__ = ["MODULES", "Counts", "broken", "counting", "cupy", "install", "installed"]


class _Module(ModuleType):
    """A module of the stand-in: what it is given, and what NumPy's module carries out; see stand_in_functions.named."""

    def __init__(self, name: str, numpy_module: ModuleType, **given: Any) -> None:
        super().__init__(name)
        self.__spec__ = importlib.machinery.ModuleSpec(name, None)
        self.__dict__.update(given)
        self._numpy_module = numpy_module

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return named(self.__name__, self._numpy_module, name)


NOTHING = ModuleType("nothing")  # where NumPy has no module of the kind


class Device:
    """The one GPU, of the newest kind that CI's toolkits know."""

    compute_capability = "90"

    def __init__(self, device: int = 0) -> None:
        _require_driver()
        self.id = device

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def use(self) -> None:
        pass

    def synchronize(self) -> None:
        device.synchronised()


class Stream:
    """The queue of launches."""

    null: Stream

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def synchronize(self) -> None:
        device.synchronised()


Stream.null = Stream()


def _require_driver(result: Any = None) -> Any:
    device.require("driver")
    return result


def _is_available() -> bool:
    try:
        return _require_driver(True)
    except device.CUDARuntimeError:
        return False


def get_array_module(*args: Any) -> ModuleType:
    """cupy where one of the arguments is an array of its own, else numpy."""
    return cupy if any(isinstance(arg, ndarray) for arg in args) else np


runtime = _Module(
    "cupy.cuda.runtime",
    NOTHING,
    CUDARuntimeError=device.CUDARuntimeError,
    getDeviceCount=lambda: _require_driver(1),
    getDevice=lambda: _require_driver(0),
    getDeviceProperties=lambda device: _require_driver({"name": b"stand-in", "major": 9, "minor": 0}),
    driverGetVersion=lambda: 12090 if _is_available() else 0,
    runtimeGetVersion=lambda: 12090,
    deviceSynchronize=device.synchronised,
    memGetInfo=lambda: _require_driver((2**33, 2**34)),
)
cuda = _Module(
    "cupy.cuda",
    NOTHING,
    Device=Device,
    Stream=Stream,
    get_allocator=device.get_allocator,
    get_current_stream=lambda: Stream.null,
    is_available=_is_available,
    memory=SimpleNamespace(OutOfMemoryError=device.OutOfMemoryError),
    runtime=runtime,
    set_allocator=device.set_allocator,
)
linalg = _Module("cupy.linalg", np.linalg)
stride_tricks = _Module("cupy.lib.stride_tricks", np.lib.stride_tricks)
cupy = _Module(
    "cupy",
    np,
    RawKernel=RawKernel,
    RawModule=RawModule,
    __version__=surface.recorded()["version"],
    cuda=cuda,
    get_array_module=get_array_module,
    lib=SimpleNamespace(stride_tricks=stride_tricks),
    linalg=linalg,
    ndarray=ndarray,
    ufunc=ufunc,
)
MODULES = {module.__name__: module for module in (cupy, cuda, runtime, linalg, stride_tricks)}


def install() -> ModuleType:
    """Makes the stand-in what `import cupy` finds, from here on."""
    sys.modules.update(MODULES)
    return cupy


@contextmanager
def installed() -> Iterator[ModuleType]:
    """The same for a block."""
    before = {name: sys.modules.get(name) for name in MODULES}
    try:
        yield install()
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
