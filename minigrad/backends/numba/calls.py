"""How compiled code calls code whose address it has, and threads of OpenMP's: what numba has no words for.

See compiler.py for what calls what.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils
from numba.core.types import Array, Tuple, int64, none, void
from numba.extending import intrinsic

WORD = ir.IntType(64)  # a number, or an address: numba's int64
INT, BYTES, NOTHING = ir.IntType(32), ir.IntType(8).as_pointer(), ir.VoidType()  # C's int, void * and void

llvm_code: Callable[[Callable], Callable[..., Any]] = intrinsic  # callers leave out its first argument


@llvm_code
def on_stack(_: Any, values: Any) -> Any:
    """The address of a copy of the values, which is there until the function that asks for it returns."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ptrtoint(cgutils.alloca_once_value(builder, arguments[0]), WORD)

    return int64(values), code


@llvm_code
def number_at(_: Any, address: Any) -> Any:
    """The number that is kept at that address now."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(builder.inttoptr(arguments[0], WORD.as_pointer()))

    return int64(address), code


@llvm_code
def call_at(_: Any, address: Any, numbers: Any) -> Any:
    """Calls the function of so many numbers at that address."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = zip(cgutils.unpack_tuple(builder, arguments[1]), numbers.types, strict=True)
        words = [context.cast(builder, value, kind, int64) for value, kind in values]
        _call_compiled(context, builder, arguments[0], (int64,) * len(words), words)
        return context.get_dummy_value()

    return void(address, numbers), code


@llvm_code
def caller_of(_: Any, arguments: Any) -> Any:
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
        status = _call_compiled(context, inside, address, of_kernel, values)
        with inside.if_then(status.is_error, likely=False):
            inside.store(WORD(1), inside.inttoptr(place, WORD.as_pointer()))
        inside.ret(status.code)
        return builder.ptrtoint(caller, WORD)

    return int64(arguments), code


@llvm_code
def call_in_team(_: Any, most: Any, caller: Any, tasks: Any, place: Any) -> Any:
    """Each of at most so many threads of OpenMP's calls the caller for its part of the tasks.

    As GNU's compilers write it: GOMP_parallel(member, work, most, 0) has each thread of a team call member(work).
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        most, *work = arguments
        work, of_member = cgutils.pack_struct(builder, work), ir.FunctionType(NOTHING, [BYTES])
        member = ir.Function(builder.module, of_member, builder.module.get_unique_name("member"))
        member.linkage = "internal"
        inside = ir.IRBuilder(member.append_basic_block())
        received = inside.load(inside.bitcast(member.args[0], work.type.as_pointer()))
        caller, tasks, place = cgutils.unpack_tuple(inside, received)
        part = inside.sext(_call_library(inside, "omp_get_thread_num", INT, []), WORD)
        parts = inside.sext(_call_library(inside, "omp_get_num_threads", INT, []), WORD)
        ends = [inside.sdiv(inside.mul(end, tasks), parts) for end in (part, inside.add(part, WORD(1)))]
        _call_compiled(context, inside, caller, (int64,) * 3, [*ends, place])
        inside.ret_void()
        work = builder.bitcast(cgutils.alloca_once_value(builder, work), BYTES)
        _call_library(builder, "GOMP_parallel", NOTHING, [member, work, builder.trunc(most, INT), INT(0)])
        return context.get_dummy_value()

    return void(most, caller, tasks, place), code


def _call_library(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    """Calls the C function of that name."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _call_compiled(context: Any, builder: Any, address: Any, signature: tuple[Any, ...], arguments: list[Any]) -> Any:
    """Code that calls the function at that address, which numba has compiled for the signature. Returns its status."""
    convention = context.call_conv
    function = builder.inttoptr(address, convention.get_function_type(none, signature).as_pointer())
    return convention.call_function(builder, function, none, signature, arguments)[0]
