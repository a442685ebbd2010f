"""Where results live: in memory that is kept from step to step, and on the boundaries of cache lines.

A step frees all it allocated, some tens of megabytes, and the C library hands large blocks back to the system at once;
the next step then pays for every page again. Measured on LeNet-5 at batch 128, 2 cores: 11.9 ms a step, and 7.5 ms with
freed blocks kept; at batch 2048, where a block is larger than what glibc can be told to keep of the system's own, 61 ms
and 53. So all blocks come from the heap. Only glibc (Linux) needs and has these two switches; they hold for the whole
process and cost no memory beyond what the process has used at its peak.

NumPy's arrays begin at any multiple of 16 bytes, and an AVX-512 register then fetches two cache lines for each 64
bytes it loads: measured, a convolution takes 1.6 times as long. So kernels put their results into arrays that begin
with a cache line.

And they put a result where another of its size has been, and no other (`_Blocks`). A kernel's rows are always the same
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
LEAST, MOST = 1 << 18, 1 << 22  # bytes whose place matters: fewer are soon fetched, more leave the cache anyway
UNUSED_BYTES = 1 << 26  # in all, which may always be kept
LOOKS = 8  # blocks that are looked at for one that is unused

Block = tuple[np.ndarray, int]  # memory, and at which byte of it a cache line begins


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
    if LEAST < size <= MOST:
        return _blocks.empty(size, shape, dtype, strides)
    return np.ndarray(shape, dtype, *_new_block(size), strides)


def _new_block(size: int) -> Block:
    memory = np.empty(size + CACHE_LINE, BYTE)
    return memory, _bytes_before_a_line(memory)


@compiled_function(for_python=True)
def _bytes_before_a_line(memory):
    """How many come before the first cache line. All ways of Python to an address take longer."""
    return -memory.ctypes.data % CACHE_LINE


def _references(block: Block) -> int:
    return getrefcount(block[0])


UNUSED = _references((np.empty(0, BYTE), 0))  # those to the memory of a block when no array lies in it


class _Blocks(threading.local):
    """This thread's blocks of memory, by the bytes that an array has there. Those in which none lies are kept for the
    next of that size; but once there is twice as much as was in use before, they are given back: sizes have changed."""

    def __init__(self) -> None:
        self.of_size: defaultdict[int, deque[Block]] = defaultdict(deque)
        self.bytes, self.limit = 0, UNUSED_BYTES

    def empty(self, size: int, shape: tuple[int, ...], dtype: np.dtype, strides: tuple[int, ...] | None) -> np.ndarray:
        blocks = self.of_size[size]
        for _ in range(min(len(blocks), LOOKS)):
            block = blocks.popleft()  # a signal's handler, which may want memory too, shall not find it meanwhile
            array = np.ndarray(shape, dtype, *block, strides) if _references(block) == UNUSED else None
            blocks.append(block)
            if array is not None:
                return array
        block = _new_block(size)
        array = np.ndarray(shape, dtype, *block, strides)
        blocks.append(block)
        self.bytes += size
        if self.bytes > self.limit:
            self._give_back()
        return array

    def _give_back(self) -> None:
        """Lets go of all blocks that are unused."""
        in_use = {
            size: deque(block for block in blocks if _references(block) > UNUSED)
            for size, blocks in self.of_size.items()
        }
        self.of_size = defaultdict(deque, {size: blocks for size, blocks in in_use.items() if blocks})
        self.bytes = sum(size * len(blocks) for size, blocks in self.of_size.items())
        self.limit = max(2 * self.bytes, UNUSED_BYTES)


_blocks = _Blocks()


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
