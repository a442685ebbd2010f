"""glibc's heap, whose settings are the whole process's: each contestant has in its turns those that it has alone.

minigrad's numba backend tells glibc to keep all memory that is freed (minigrad/backends/numba/memory.py). PyTorch does
not, and would gain by it: a step at batch 2048 takes it 110 ms beside minigrad then, and 220 in a process of its own.
"""

from __future__ import annotations

import ctypes
import importlib

import minigrad as mg

# Numbers of malloc.h, and the most that glibc raises the two limits to by itself, as a program frees large blocks: see
# mallopt(3), M_MMAP_THRESHOLD. A program that frees smaller ones only has to do with less.
M_TRIM_THRESHOLD, GIVE_BACK_FROM = -1, 64 << 20  # bytes
M_MMAP_THRESHOLD, OWN_BLOCK_FROM = -3, 32 << 20  # bytes
M_MMAP_MAX, BLOCKS = -4, 65536


def as_minigrad_has_it() -> None:
    if mg.default_backend().name == "numba":
        importlib.import_module("minigrad.backends.numba.memory").keep_freed_memory()


def as_others_have_it() -> None:
    if mg.default_backend().name != "numba":
        return  # nobody has changed anything
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # not glibc
        return
    mallopt(M_TRIM_THRESHOLD, GIVE_BACK_FROM)
    mallopt(M_MMAP_THRESHOLD, OWN_BLOCK_FROM)
    mallopt(M_MMAP_MAX, BLOCKS)
