"""Memory in which reading or writing outside an array is a fault: what the arrays of a launch are copied into."""

from __future__ import annotations

import ctypes
import mmap

LIBC = ctypes.CDLL(None)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
LIBC.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
LIBC.memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]

FORBIDDEN = 64 << 20  # bytes on either side that nobody may touch; they cost addresses, no memory
NOTHING = 0  # PROT_NONE, which the module mmap lacks
FAILED = ctypes.c_void_p(-1).value  # MAP_FAILED


class GuardedMemory:
    """Room for an array, with forbidden memory before and behind it.

    The processor forbids whole pages only. So an array shorter than the room lies at its start, where what is read or
    written before the array is noticed, or at its end, where what is read or written behind it is.
    """

    def __init__(self) -> None:
        self.capacity = 0
        self.start = 0

    def reserve(self, size: int) -> None:
        """Make room for so many bytes."""
        if size <= self.capacity and self.capacity:
            return
        if self.capacity:
            LIBC.munmap(self.start - FORBIDDEN, self.capacity + 2 * FORBIDDEN)
        self.capacity = 0
        capacity = max(mmap.PAGESIZE, 1 << (size - 1).bit_length())
        base = LIBC.mmap(None, capacity + 2 * FORBIDDEN, NOTHING, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
        if base == FAILED or LIBC.mprotect(base + FORBIDDEN, capacity, mmap.PROT_READ | mmap.PROT_WRITE):
            raise MemoryError(f"no memory for an array of {size} bytes")
        self.start, self.capacity = base + FORBIDDEN, capacity

    def address(self, size: int, at_end: bool) -> int:
        """Where an array of so many bytes lies."""
        return self.start + self.capacity - size if at_end else self.start

    def holds(self, address: int) -> bool:
        """Whether the address is in this room or in the forbidden memory around it."""
        return -FORBIDDEN <= address - self.start < self.capacity + FORBIDDEN
