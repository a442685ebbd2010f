"""What the GPU that is not there would have been asked to do, counted; and the ways in which a GPU can be missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(eq=False)
class Counts:
    """What the device was asked for.

    Attributes:
        launches: what was put into its queue: kernels, copies within its memory, fills. A function of several steps
            counts as one, so for pad() or var() this is the least it can be.
        transfers: copies between its memory and the host's, in either direction.
        synchronisations: how often the host waited until the queue was empty.
        names: the launches by name, in order.
        bytes: what the launches had to move at least: each array that one got or gave, once.
    """

    transfers: int = 0
    synchronisations: int = 0
    names: list[str] = field(default_factory=list)
    bytes: int = 0

    @property
    def launches(self) -> int:
        return len(self.names)


_counting: list[Counts] = []


@contextmanager
def counting() -> Iterator[Counts]:
    """Counts what the block asks of the device.

    >>> with counting() as counts:
    ...     launched("add")
    ...     read_by_host()
    >>> counts
    Counts(transfers=1, synchronisations=1, names=['add'], bytes=0)
    """
    counts = Counts()
    _counting.append(counts)
    try:
        yield counts
    finally:
        _counting.remove(counts)


def launched(name: str, *arrays: Any) -> None:
    """A kernel, a copy within the device's memory, or a fill is put into the queue; it reads or writes these arrays."""
    require("driver")
    require("compiler")
    for counts in _counting:
        counts.names.append(name)
        counts.bytes += sum(map(occupied, arrays))


def occupied(array: Any) -> int:
    """How many bytes an array's elements take up, those of a broadcast axis once."""
    lengths = [length for length, stride in zip(array.shape, array.strides, strict=True) if stride or not length]
    return array.itemsize * math.prod(lengths)


def sent_to_device() -> None:
    """A copy from the host, which does not wait: CuPy stages it in memory that the device reads by itself."""
    require("driver")
    for counts in _counting:
        counts.transfers += 1


def read_by_host() -> None:
    """A copy to the host, which waits for all that was launched before."""
    for counts in _counting:
        counts.transfers += 1
    synchronised()


def synchronised() -> None:
    """The host waits until the queue is empty."""
    for counts in _counting:
        counts.synchronisations += 1


# --------------------------------------------------------------------------------------------------------------- memory


def _malloc(size: int) -> None:
    require("memory")


_allocator: Callable[[int], Any] = _malloc


def get_allocator() -> Callable[[int], Any]:
    """What is asked for memory: a function of how many bytes."""
    return _allocator


def set_allocator(allocator: Callable[[int], Any] | None = None) -> None:
    """Has another asked from here on; for None, the one that was asked at first."""
    global _allocator
    _allocator = allocator or _malloc


def allocated(size: int) -> None:
    """So many bytes of the device's memory are asked for."""
    _allocator(size)


# -------------------------------------------------------------------------------------------------- what can be missing


class CUDARuntimeError(RuntimeError):
    """As cupy.cuda.runtime's, made from a status of the CUDA runtime."""

    texts: ClassVar = {
        35: "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version",
        100: "cudaErrorNoDevice: no CUDA-capable device is detected",
        209: "cudaErrorNoKernelImageForDevice: no kernel image is available for execution on the device",
    }

    def __init__(self, status: int) -> None:
        super().__init__(self.texts[status])
        self.status = status


class OutOfMemoryError(MemoryError):
    """As cupy.cuda.memory's."""

    def __init__(self, size: int, total: int, limit: int = 0) -> None:
        super().__init__(f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes).")


def _missing_library(name: str) -> str:
    return f'Failure finding "{name}.so.13 or {name}.so.12": No such file: {name}.so.13 or {name}.so.12'


# By name: what does not work then, and the error that says so, worded as CuPy 14 does.
FAULTS = {
    "no driver": ("driver", lambda: CUDARuntimeError(35)),
    "no device": ("driver", lambda: CUDARuntimeError(100)),
    "device too old": ("compiler", lambda: CUDARuntimeError(209)),
    "no compiler": ("compiler", lambda: RuntimeError(_missing_library("libnvrtc"))),
    "no cuBLAS": ("cuBLAS", lambda: ImportError(_missing_library("libcublasLt"))),
    "out of memory": ("memory", lambda: OutOfMemoryError(4096, 0)),
}
_faults: list[str] = []


@contextmanager
def broken(fault: str) -> Iterator[None]:
    """The device with one of FAULTS, for the block; what exists goes on existing.

    Raises KeyError where there is no such fault.
    """
    _ = FAULTS[fault]
    _faults.append(fault)
    try:
        yield
    finally:
        _faults.remove(fault)


def require(part: str) -> None:
    """Raises the error of a fault that concerns this part: the driver, memory (which the driver gives), the compiler or
    cuBLAS."""
    for fault in _faults:
        concerned, error = FAULTS[fault]
        if concerned == part or (part == "memory" and concerned == "driver"):
            raise error()
