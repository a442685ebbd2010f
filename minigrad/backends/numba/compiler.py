"""How the kernels of this backend are compiled, and how their tasks come to numba's threads.

A kernel is a loop over tasks. Their number follows from the sizes of the arrays alone, and no two of them write one
element: so results do not depend on the number of threads. Multiplications and additions may be contracted into one
instruction; nothing may assume NaN and infinity away.

Were that loop a `prange`, numba would compile what is in it five times: alone, and in the four functions that it wraps
around such a loop. So there is one function for all kernels that shares tasks out, `_by_openmp` or `_by_prange`; it is
compiled once, knows a kernel by its address, and leaves the arguments where they are:

    Python: call(tasks, *arguments)
        _run: takes the arguments apart and puts them, with the kernel's address, in a place on the stack
            _by_openmp: each thread gets its part of the tasks, and calls
                the caller, whose address it got, too: fetches the arguments from that place
                    the kernel: (first, last, *arguments)
"""

from __future__ import annotations

import functools
import hashlib
import operator
import pickle
import types
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numba
from llvmlite.binding import load_library_permanently
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.cpu_options import ParallelOptions
from numba.core.types import ExternalFunction, Tuple, UniTuple, int32, int64

from .calls import call_at, call_in_team, caller_of, number_at, on_stack
from .threads import threads

ROUNDING_ONLY = frozenset({"contract"})
SUMS_IN_ANY_ORDER = frozenset({"contract", "reassoc"})  # lets a sum be kept in several lanes; fixed when compiled

# No dict: numba empties the one that it is given, and an empty one means everything.
OTHERS = ("comprehension", "fusion", "inplace_binop", "numpy", "reduction", "setitem", "stencil")
PRANGE_ONLY = ParallelOptions({"prange": True, **dict.fromkeys(OTHERS, False)})

SOURCES = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()
KERNELS: list[Any] = []  # all that there are, for the test that counts their versions

kind_of = operator.attrgetter("dtype", "ndim")
threads_of_numba = ExternalFunction("get_num_threads", int32())  # that this Python thread may use
OF_SHARING = (int64,) * 4  # the arguments of _by_openmp and _by_prange


def compiled_kernel(inputs: int = 1, fastmath: frozenset[str] = ROUNDING_ONLY) -> Callable[[Callable], Any]:
    """The decorator of each kernel that runs on numba's threads.

    Called with a number of tasks and arguments, it runs on each thread that gets some of the tasks: from `first` to the
    one before `last`; or on the calling thread `alone`. There is a version for the dtypes and dimensions of its inputs.
    All else about the arguments is taken as it was in the version's first call, and looked at no more: arrays are
    contiguous, aligned and writable, and what was an integer or a tuple of some integers is that again. A call that
    breaks this reads or writes anywhere.

    Args:
        inputs: how many of the first arguments, up to three, are arrays of dtypes that the user chooses; those of all
            others follow.

    Raises MemoryError where the kernel fails: only an array of its own may be too much for it.

    >>> import numpy as np
    >>> @compiled_kernel()
    ... def double(first, last, x, y):
    ...     for i in range(first, last):
    ...         y[i] = 2 * x[i]
    >>> x, y = np.array([1.0, 2.0, 3.0]), np.empty(3)
    >>> double(3, x, y)
    >>> y
    array([2., 4., 6.])
    """

    def decorate(function: Callable) -> Any:
        kernel, run = compiled_function(fastmath)(function), compiled_function(for_python=True)(_run_for(function))
        versions: dict[tuple[Any, ...], tuple[Callable, tuple[int, int]]] = {}
        KERNELS.append(kernel)

        @functools.wraps(function)
        def call(tasks: int, *arguments: Any, alone: bool = False) -> None:
            kinds: tuple[Any, ...] = kind_of(arguments[0])
            if inputs > 1:
                kinds += kind_of(arguments[1])
            if inputs > 2:
                kinds += kind_of(arguments[2])
            if (version := versions.get(kinds)) is None:
                version = versions[kinds] = _version(kernel, run, arguments)
            code, addresses = version
            with threads.turn:
                if threads.told.number != threads.number:
                    threads.tell_numba()
                code(addresses, 1 if alone else threads.parts, tasks, arguments)

        return call

    return decorate


def compiled_function(
    fastmath: frozenset[str] = ROUNDING_ONLY, for_python: bool = False, parallel: Any = False
) -> Callable[[Callable], Any]:
    """The decorator of what kernels call, or Python, in one thread.

    What it compiles is kept on disk, where there is a folder to write to. It is compiled anew when any file of this
    backend has changed: numba looks at the function's own file alone, and what it has compiled into a kernel may be
    another's.

    Only where it is to be called `for_python` is it compiled with the code that takes Python's objects apart: for a
    function of many arguments that is a third of the time and memory of compiling it.
    """
    wrappers = {"no_cfunc_wrapper": True, "no_cpython_wrapper": not for_python}

    def decorate(function: Callable) -> Any:
        options = {"parallel": parallel, "fastmath": set(fastmath), "error_model": "numpy", "nogil": True, **wrappers}
        dispatcher = numba.njit(**options)(function)
        # No folder to write to, or another numba: it keeps the NullCache that it has, and each process compiles anew.
        with suppress(RuntimeError, AttributeError, TypeError):
            dispatcher._cache = _Cache(function)
        return dispatcher

    return decorate


def is_to_be_compiled(name: str) -> bool:
    """Whether no version of the kernel of that name is on disk, where those that are compiled will be kept."""
    cache = next(kernel for kernel in KERNELS if kernel.__name__ == name)._cache
    return isinstance(cache, _Cache) and cache.is_empty()


class _Cache(FunctionCache):
    """What numba keeps of a function on disk. Trouble with its files costs time only: then the function is compiled."""

    def __init__(self, function: Callable) -> None:
        super().__init__(function)
        stamp = numba.__version__, self._cache_file._source_stamp, SOURCES
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, stamp)

    def is_empty(self) -> bool:
        return not self._cache_file._load_index()

    def save_overload(self, signature: Any, compiled: Any) -> None:
        with suppress(OSError):  # a full disk
            super().save_overload(signature, compiled)


class _Files(IndexDataCacheFile):
    """An index and the files of code that it names. What cannot be read counts as not there, and is written anew.

    A file of code says itself what it is. Where the disk was full, or the process was ended, after the index had been
    written, the file that it names may be an older one: code of other sources. And its digest tells of damage that only
    LLVM would notice, or nobody.
    """

    def load(self, key: Any) -> Any:
        try:
            *found, code = super().load(key)
            return pickle.loads(code) if found == self._label(key, code) else None
        except Exception:  # pickle raises anything for a damaged file; and what is read is None where there is none
            return None

    def save(self, key: Any, data: Any) -> None:
        code = self._dump(data)
        super().save(key, (*self._label(key, code), code))

    def _label(self, key: Any, code: bytes) -> list[Any]:
        return [self._source_stamp, key, hashlib.sha256(code).digest()]

    def _load_index(self) -> dict[Any, str]:
        try:
            return super()._load_index()
        except Exception:  # as above
            return {}


def _version(kernel: Any, run: Any, arguments: tuple[Any, ...]) -> tuple[Callable, tuple[int, int]]:
    """The code of `run` for such arguments, as Python can call it, and the addresses of what shares tasks out and of
    the kernel; compiled or read from disk. numba would look for the code at each call, which takes longer than small
    kernels do."""
    kinds = [numba.typeof(argument) for argument in arguments]
    of_run, of_kernel = (UniTuple(int64, 2), int64, int64, Tuple(kinds)), (int64, int64, *kinds)
    run.compile(of_run)
    return run.overloads[of_run].entry_point, (_address(_sharing(), OF_SHARING), _address(kernel, of_kernel))


def _address(function: Any, signature: tuple[Any, ...]) -> int:
    function.compile(signature)
    compiled = function.overloads[signature]
    return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)


def _sharing() -> Any:
    """What shares tasks out. Where numba's threads are GNU OpenMP's, as on Linux, it is OpenMP that is asked for them,
    and not numba: that takes 0.6 microseconds instead of 1.5 and more."""
    numba.get_num_threads()  # has numba choose what its threads are
    if numba.threading_layer() == "omp" and import_module("numba.np.ufunc.omppool").openmp_vendor == "GNU":
        with suppress(RuntimeError):  # it has another name there
            load_library_permanently("libgomp.so.1")
            return _by_openmp
    return _by_prange


def _run_for(function: Callable) -> Callable:
    """`_run` under a name of the kernel's own: so is then the file where numba keeps its versions."""
    run = types.FunctionType(_run.__code__, _run.__globals__)
    run.__name__ = run.__qualname__ = f"run_{function.__module__.rpartition('.')[2]}_{function.__name__}"
    return run


def _run(addresses, parts, tasks, arguments):
    caller, place = caller_of(arguments), on_stack((0, addresses[1], arguments))  # the 0 becomes 1 where it fails
    parts = min(parts, tasks)
    if parts > 1:
        call_at(addresses[0], (caller, parts, tasks, place))
    else:
        call_at(caller, (0, tasks, place))
    if number_at(place) != 0:
        raise MemoryError("a kernel of minigrad's numba backend has found no memory for an array of its own")


@compiled_function(parallel=PRANGE_ONLY)
def _by_prange(caller, parts, tasks, place):
    for part in numba.prange(parts):
        call_at(caller, (part * tasks // parts, (part + 1) * tasks // parts, place))


@compiled_function()
def _by_openmp(caller, parts, tasks, place):
    call_in_team(min(parts, threads_of_numba()), caller, tasks, place)
