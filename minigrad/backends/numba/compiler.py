"""How the kernels of this backend are compiled.

A kernel's `prange` runs over pieces whose number follows from the sizes alone, and no two of them write one element: so
results do not depend on the number of threads, and without threads `prange` is `range`.
Multiplications and additions may be contracted into one instruction; nothing may assume NaN and infinity away.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.cpu_options import ParallelOptions

from .threads import threads

ROUNDING_ONLY = frozenset({"contract"})
SUMS_IN_ANY_ORDER = frozenset({"contract", "reassoc"})  # lets a sum be kept in several lanes; fixed when compiled

# Array expressions within a task stay loops: making them parallel, too, would only take time to compile.
# No dict: numba empties the one that it is given, and an empty one means everything.
OTHERS = ("comprehension", "fusion", "inplace_binop", "numpy", "reduction", "setitem", "stencil")
PRANGE_ONLY = ParallelOptions({"prange": True, **dict.fromkeys(OTHERS, False)})

SOURCES = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()
KERNELS: list[Any] = []  # what has been compiled for numba's threads, for the test that counts its versions


def compiled_kernel(fastmath: frozenset[str] = ROUNDING_ONLY) -> Callable[[Callable], Any]:
    """The decorator of each kernel that Python calls: compiled for numba's threads, and for none after a fork."""

    def decorate(function: Callable) -> Any:
        threaded = compiled_function(fastmath, for_python=True, parallel=PRANGE_ONLY)(function)
        unthreaded = compiled_function(fastmath, for_python=True)(_renamed(function, "unthreaded"))
        KERNELS.append(threaded)

        @functools.wraps(function)
        def call(*arguments: Any) -> None:
            if threads.forked:
                unthreaded(*arguments)
                return
            with threads.turn:
                if threads.number is not None:  # none is set most often
                    threads.tell_numba()
                threaded(*arguments)

        return call

    return decorate


def compiled_function(
    fastmath: frozenset[str] = ROUNDING_ONLY, for_python: bool = False, parallel: Any = False
) -> Callable[[Callable], Any]:
    """The decorator of what kernels call. What it compiles is kept on disk, where there is a folder to write to.

    It is compiled anew when any file of this backend has changed: numba looks at the function's own file alone, and
    what it has compiled into a kernel may be another's.

    Only where it is to be called `for_python` is it compiled with the code that takes Python's objects apart: for a
    function of many arguments that is a third of the time and memory of compiling it.
    """
    wrappers = {"no_cfunc_wrapper": True, "no_cpython_wrapper": not for_python}

    def decorate(function: Callable) -> Any:
        options = {"parallel": parallel, "fastmath": set(fastmath), "error_model": "numpy", "nogil": True, **wrappers}
        dispatcher = numba.njit(**options)(function)
        with contextlib.suppress(RuntimeError):  # "no locator available": then each process compiles anew
            dispatcher.enable_caching()
        with contextlib.suppress(AttributeError):  # no cache, or one of another numba, which goes by the own file then
            index = dispatcher._cache._cache_file
            index._source_stamp = index._source_stamp, SOURCES
        return dispatcher

    return decorate


def _renamed(function: Callable, suffix: str) -> Callable:
    """The same function under another name: numba's files on disk go by the name alone."""
    copy = types.FunctionType(function.__code__, function.__globals__)
    copy.__name__, copy.__qualname__ = f"{function.__name__}_{suffix}", f"{function.__qualname__}_{suffix}"
    return copy
