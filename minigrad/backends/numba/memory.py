"""Where results live: in memory that is kept from step to step, and on the boundaries of cache lines.

A step frees all it allocated, some tens of megabytes, and the C library hands large blocks back to the system at once;
the next step then pays for every page again. Measured on LeNet-5 at batch 128, 2 cores: 11.9 ms a step, and 7.5 ms with
freed blocks kept; at batch 2048, where a block is larger than what glibc can be told to keep of the system's own, 61 ms
and 53. So all blocks come from the heap. Only glibc (Linux) needs and has these two switches; they hold for the whole
process and cost no memory beyond what the process has used at its peak.

NumPy's arrays begin at any multiple of 16 bytes, and an AVX-512 register then fetches two cache lines for each 64
bytes it loads: measured, a convolution takes 1.6 times as long. So kernels put their results into arrays that begin
with a cache line, but for gradients by weights.

And they put a result where another of its kind has been, and no other (`_Kept`). A kernel's rows are always the same
thread's, so its core finds the memory of the next such result in its own cache. Where the C library has cut that from
what several smaller arrays held, half of it lies in the other core's: on a virtual machine whose two cores share no
cache, a step of batch 128 took 4.2 ms like that, and takes 3.4.

Compiled code looks at no shape: behind an array that is too short it reads, or writes, what belongs to somebody else.
So whoever calls it compares shapes before.
"""

from __future__ import annotations

import ctypes
import math
import threading
from collections import defaultdict, deque
from sys import getrefcount

import numpy as np

from .compiler import compiled_function

# Names and numbers of malloc.h, see mallopt(3).
M_TRIM_THRESHOLD, KEEP_UP_TO = -1, 1 << 30
M_MMAP_MAX, NO_BLOCKS = -4, 0

BYTE = np.dtype(np.uint8)
CACHE_LINE = 64  # bytes
SMALL = 1 << 14  # bytes, below which finding the boundary takes longer than it saves
MOST = 1 << 22  # bytes whose place matters: more leave the cache anyway
UNUSED_BYTES = 1 << 26  # in all, which may always be kept
LOOKS = 8  # arrays that are looked at for one whose memory is unused

Kind = tuple[tuple[int, ...], np.dtype, tuple[int, ...] | None]  # shape, dtype and strides


def keep_freed_memory() -> None:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # not glibc
        return
    mallopt(M_TRIM_THRESHOLD, KEEP_UP_TO)
    mallopt(M_MMAP_MAX, NO_BLOCKS)


def empty(shape: tuple[int, ...], dtype: np.dtype, strides: tuple[int, ...] | None = None) -> np.ndarray:
    """A new array, its values undefined; one that is not small begins with a cache line.

    Args:
        strides: of another array of that shape, to lie in memory as that does; by default the last axis lies innermost.
    """
    size = math.prod(shape) * dtype.itemsize
    if size < SMALL:
        return np.empty(shape, dtype) if strides is None else np.ndarray(shape, dtype, None, 0, strides)
    if size <= MOST:
        return _kept.empty(size, (shape, dtype, strides))
    return _new_array(size, (shape, dtype, strides))


def _new_array(size: int, kind: Kind) -> np.ndarray:
    """One that lies in memory of its own, its base."""
    shape, dtype, strides = kind
    memory = np.empty(size + CACHE_LINE, BYTE)
    return np.ndarray(shape, dtype, memory, _bytes_before_a_line(memory), strides)


@compiled_function(for_python=True)
def _bytes_before_a_line(memory):
    """How many come before the first cache line. All ways of Python to an address take longer."""
    return -memory.ctypes.data % CACHE_LINE


def _references(array: np.ndarray) -> int:
    """How many there are to its memory: one of the array itself, and one of every other that lies there."""
    return getrefcount(array.base)


UNUSED = _references(np.empty(1)[:])  # those where no other does


class _Kept(threading.local):
    """This thread's arrays, by kind. Where no other lies in the memory of one, that is the next of its kind's; but once
    there is twice as much as was in use before, it is given back: sizes have changed.

    What is handed out are views. To make one takes a fourth of the time that NumPy takes for an array in given memory.
    """

    def __init__(self) -> None:
        self.of_kind: defaultdict[Kind, deque[np.ndarray]] = defaultdict(deque)
        self.bytes, self.limit = 0, UNUSED_BYTES

    def empty(self, size: int, kind: Kind) -> np.ndarray:
        arrays = self.of_kind[kind]
        looks = len(arrays) if len(arrays) < LOOKS else LOOKS  # `min` takes as long as all else here
        while looks > 0:
            array = arrays.popleft()  # a signal's handler, which may want memory too, shall not find it meanwhile
            view = array[...] if getrefcount(array.base) == UNUSED else None
            arrays.append(array)
            if view is not None:
                return view
            looks -= 1
        array = _new_array(size, kind)
        view = array[...]
        arrays.append(array)
        self.bytes += size
        if self.bytes > self.limit:
            self._give_back()
        return view

    def _give_back(self) -> None:
        """Lets go of all memory that is unused."""
        in_use = {
            kind: deque(array for array in arrays if _references(array) > UNUSED)
            for kind, arrays in self.of_kind.items()
        }
        self.of_kind = defaultdict(deque, {kind: arrays for kind, arrays in in_use.items() if arrays})
        self.bytes = sum(array.nbytes for arrays in self.of_kind.values() for array in arrays)
        self.limit = max(2 * self.bytes, UNUSED_BYTES)


_kept = _Kept()


def check_shape(what: str, x: np.ndarray, expected: tuple[int, ...]) -> None:
    """Raises ValueError where the array has another shape."""
    if x.shape != expected:
        raise ValueError(f"{what} has shape {x.shape}, expected {expected}")


def contiguous(x: np.ndarray) -> np.ndarray:
    """The array itself where it is contiguous, aligned and writable, else a copy.

    Compiled code tells all of these apart, and would be compiled once more for each.
    """
    if x.flags.carray:
        return x
    copy = empty(x.shape, x.dtype)
    copy[...] = x
    return copy
