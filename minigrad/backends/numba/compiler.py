"""How the kernels of this backend are compiled, and how its threads live beside those of the BLAS.

A kernel's `prange` runs over pieces whose number follows from the sizes alone, and no two of them write one element: so
results do not depend on the number of threads, and without threads `prange` is `range`.
Multiplications and additions may be contracted into one instruction; nothing may assume NaN and infinity away.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import types
from collections.abc import Callable
from typing import Any

import numba
import threadpoolctl

ROUNDING_ONLY = frozenset({"contract"})
SUMS_IN_ANY_ORDER = frozenset({"contract", "reassoc"})  # lets a sum be kept in several lanes; fixed when compiled


def compiled_kernel(fastmath: frozenset[str] = ROUNDING_ONLY) -> Callable[[Callable], Any]:
    """The decorator of each kernel that Python calls: compiled for numba's threads, and for none after a fork."""

    def decorate(function: Callable) -> Any:
        threaded = compiled_function(fastmath, parallel=True)(function)
        unthreaded = compiled_function(fastmath)(_renamed(function, "unthreaded"))

        @functools.wraps(function)
        def call(*arguments: Any) -> None:
            (unthreaded if _process.is_forked else threaded)(*arguments)

        return call

    return decorate


def compiled_function(fastmath: frozenset[str] = ROUNDING_ONLY, parallel: bool = False) -> Callable[[Callable], Any]:
    """The decorator of what kernels call. What it compiles is kept on disk, where there is a folder to write to."""

    def decorate(function: Callable) -> Any:
        dispatcher = numba.njit(parallel=parallel, fastmath=set(fastmath), error_model="numpy", nogil=True)(function)
        with contextlib.suppress(RuntimeError):  # "no locator available": then each process compiles anew
            dispatcher.enable_caching()
        return dispatcher

    return decorate


def _renamed(function: Callable, suffix: str) -> Callable:
    """The same function under another name: numba's files on disk go by the name alone."""
    copy = types.FunctionType(function.__code__, function.__globals__)
    copy.__name__, copy.__qualname__ = f"{function.__name__}_{suffix}", f"{function.__qualname__}_{suffix}"
    copy.__module__ = function.__module__
    return copy


class _Process:
    """Whether this process was forked from another. GNU OpenMP's threads, which numba uses, do not survive that."""

    is_forked = False

    def forked(self) -> None:
        self.is_forked = True


_process = _Process()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_process.forked)


class OneBlasThread:
    """A context in which matrix products run on the calling thread alone.

    The BLAS's own threads keep spinning for a while after each product, and would starve numba's of their cores:
    measured with two of each on two cores, every kernel then takes ten times as long.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        libraries = threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers
        self._libraries = [(library, library.num_threads) for library in libraries]

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._libraries = [(library, library.get_num_threads()) for library, _ in self._libraries]
                for library, _ in self._libraries:
                    library.set_num_threads(1)

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                for library, threads in self._libraries:
                    library.set_num_threads(threads)


one_blas_thread = OneBlasThread()
