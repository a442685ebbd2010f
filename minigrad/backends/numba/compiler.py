"""How the kernels of this backend are compiled, and how their tasks come to numba's threads.

A kernel is a loop over tasks. Their number follows from the sizes of the arrays alone, and no two of them write one
element: so results do not depend on the number of threads. Multiplications and additions may be contracted into one
instruction; nothing may assume NaN and infinity away.

Were that loop a `prange`, numba would compile what is in it five times, once for each function that it wraps around
such a loop. So there is one `prange` for all kernels, in `_share_out`, which is compiled once, knows a kernel by its
address, and leaves the arguments where they are:

    Python: call(tasks, *arguments)
        _run: takes the arguments apart and puts them, with the kernel's address, in a place on the stack
            _share_out: each thread gets its part of the tasks, and calls
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
from itertools import compress
from pathlib import Path
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.cpu_options import ParallelOptions
from numba.core.types import Array, Tuple, UniTuple, int64, none, void
from numba.extending import intrinsic

from .threads import threads

ROUNDING_ONLY = frozenset({"contract"})
SUMS_IN_ANY_ORDER = frozenset({"contract", "reassoc"})  # lets a sum be kept in several lanes; fixed when compiled

# No dict: numba empties the one that it is given, and an empty one means everything.
OTHERS = ("comprehension", "fusion", "inplace_binop", "numpy", "reduction", "setitem", "stencil")
PRANGE_ONLY = ParallelOptions({"prange": True, **dict.fromkeys(OTHERS, False)})

SOURCES = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()
KERNELS: list[Any] = []  # all that there are, for the test that counts their versions

kind_of = operator.attrgetter("dtype", "ndim")
WORD = ir.IntType(64)  # a number, or an address: numba's int64
OF_SHARE_OUT = (int64,) * 4


llvm_code: Callable[[Callable], Callable[..., Any]] = intrinsic  # callers leave out its first argument


def compiled_kernel(fastmath: frozenset[str] = ROUNDING_ONLY) -> Callable[[Callable], Any]:
    """The decorator of each kernel that runs on numba's threads.

    Called with a number of tasks and arguments, it runs on each thread that gets some of the tasks: from `first` to the
    one before `last`. There is a version for the dtypes and dimensions of the arrays. All else about the arguments is
    taken as it was in the version's first call, and looked at no more: arrays are contiguous, aligned and writable, and
    what was an integer or a tuple of some integers is that again. A call that breaks this reads or writes anywhere.

    Raises MemoryError where the kernel fails: only an array of its own may be too much for it.

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
        is_array: list[bool] = []  # of each argument; as found when a version was last made
        KERNELS.append(kernel)

        @functools.wraps(function)
        def call(tasks: int, *arguments: Any) -> None:
            kinds = tuple(map(kind_of, compress(arguments, is_array)))
            if (version := versions.get(kinds)) is None:
                is_array[:] = [isinstance(argument, np.ndarray) for argument in arguments]
                kinds = tuple(map(kind_of, compress(arguments, is_array)))
                version = versions[kinds] = _version(kernel, run, arguments)
            code, addresses = version
            with threads.turn:
                if threads.number is not None:  # none is set most often
                    threads.tell_numba()
                code(addresses, threads.parts, tasks, arguments)

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


class _Cache(FunctionCache):
    """What numba keeps of a function on disk. Trouble with its files costs time only: then the function is compiled."""

    def __init__(self, function: Callable) -> None:
        super().__init__(function)
        stamp = numba.__version__, self._cache_file._source_stamp, SOURCES
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, stamp)

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
    """The code of `run` for such arguments, as Python can call it, and the addresses of `_share_out` and the kernel;
    compiled or read from disk. numba would look for the code at each call, which takes longer than small kernels do."""
    kinds = [numba.typeof(argument) for argument in arguments]
    of_run, of_kernel = (UniTuple(int64, 2), int64, int64, Tuple(kinds)), (int64, int64, *kinds)
    run.compile(of_run)
    kernel.compile(of_kernel)
    _share_out.compile(OF_SHARE_OUT)
    return run.overloads[of_run].entry_point, (_address(_share_out, OF_SHARE_OUT), _address(kernel, of_kernel))


def _address(function: Any, signature: tuple[Any, ...]) -> int:
    compiled = function.overloads[signature]
    return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)


def _run_for(function: Callable) -> Callable:
    """`_run` under a name of the kernel's own: so is then the file where numba keeps its versions."""
    run = types.FunctionType(_run.__code__, _run.__globals__)
    run.__name__ = run.__qualname__ = f"run_{function.__module__.rpartition('.')[2]}_{function.__name__}"
    return run


def _run(addresses, parts, tasks, arguments):
    caller, place = _caller(arguments), _on_stack((0, addresses[1], arguments))  # the 0 becomes 1 where it fails
    parts = min(parts, tasks)
    if parts > 1:
        _call(addresses[0], (caller, parts, tasks, place))
    else:
        _call(caller, (0, tasks, place))
    if _number_at(place) != 0:
        raise MemoryError("a kernel of minigrad's numba backend has found no memory for an array of its own")


@compiled_function(parallel=PRANGE_ONLY)
def _share_out(caller, parts, tasks, place):
    for part in numba.prange(parts):
        _call(caller, (part * tasks // parts, (part + 1) * tasks // parts, place))


@llvm_code
def _on_stack(_: Any, values: Any) -> Any:
    """The address of a copy of the values, which is there until the function that asks for it returns."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ptrtoint(cgutils.alloca_once_value(builder, arguments[0]), WORD)

    return int64(values), code


@llvm_code
def _number_at(_: Any, address: Any) -> Any:
    """The number that is kept at that address now."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(builder.inttoptr(arguments[0], WORD.as_pointer()))

    return int64(address), code


@llvm_code
def _call(_: Any, address: Any, numbers: Any) -> Any:
    """Calls the function of so many numbers at that address."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = zip(cgutils.unpack_tuple(builder, arguments[1]), numbers.types, strict=True)
        words = [context.cast(builder, value, kind, int64) for value, kind in values]
        _call_at(context, builder, arguments[0], (int64,) * len(words), words)
        return context.get_dummy_value()

    return void(address, numbers), code


@llvm_code
def _caller(_: Any, arguments: Any) -> Any:
    """The address of a function of first, last and a place where three things lie: a number, which it sets to 1 if the
    kernel fails; the kernel's address; and the kernel's arguments. It calls kernel(first, last, *arguments)."""
    kept, of_kernel, of_caller = Tuple([int64, int64, arguments]), (int64, int64, *arguments.types), (int64,) * 3

    def code(context: Any, builder: Any, *_: Any) -> Any:
        function_type = context.call_conv.get_function_type(none, of_caller)
        caller = ir.Function(builder.module, function_type, builder.module.get_unique_name("caller"))
        caller.linkage = "internal"
        inside = ir.IRBuilder(caller.append_basic_block())
        first, last, place = context.call_conv.get_arguments(caller)
        values = inside.load(inside.inttoptr(place, context.get_value_type(kept).as_pointer()))
        _, address, values = cgutils.unpack_tuple(inside, values)
        values = [first, last, *cgutils.unpack_tuple(inside, values)]
        for index, kind in enumerate(of_kernel):
            if isinstance(kind, Array):  # Python holds it meanwhile; threads that counted references would meet there
                array = context.make_array(kind)(context, inside, values[index])
                array.meminfo = cgutils.get_null_value(array.meminfo.type)
                values[index] = array._getvalue()
        status = _call_at(context, inside, address, of_kernel, values)
        with inside.if_then(status.is_error, likely=False):
            inside.store(WORD(1), inside.inttoptr(place, WORD.as_pointer()))
        inside.ret(status.code)
        return builder.ptrtoint(caller, WORD)

    return int64(arguments), code


def _call_at(context: Any, builder: Any, address: Any, signature: tuple[Any, ...], arguments: list[Any]) -> Any:
    """Code that calls the function at that address, which numba has compiled for the signature. Returns its status."""
    convention = context.call_conv
    function = builder.inttoptr(address, convention.get_function_type(none, signature).as_pointer())
    return convention.call_function(builder, function, none, signature, arguments)[0]
