"""The stand-in's functions: each carried out by NumPy's of the same name, after the checks that CuPy's makes.

Names and parameters are those of cupy_surface.py; what takes device arrays takes nothing else in their place.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import cupy_surface as surface
import numpy as np
import stand_in_device as device
from stand_in_array import device_dtype, lender, ndarray, new, poisoned, sent, view

# Functions whose first argument is no array of the device.
CREATION = {"zeros", "ones", "full", "arange", "eye", "identity", "linspace", "logspace", "tri", "einsum"}

# Functions of which the host knows the result by itself, from shapes and dtypes.
ON_HOST = {
    *("result_type", "promote_types", "can_cast", "isscalar", "issubdtype", "broadcast_shapes", "may_share_memory"),
    *("shares_memory", "shape", "ndim", "size", "iscomplexobj", "isrealobj"),
}

# Functions that read something back, to know the shape of their result or to check their arguments.
SYNCHRONISING = {"nonzero", "flatnonzero", "argwhere", "unique", "unravel_index", "bincount", "extract", "compress"}

CUBLAS = {"matmul", "dot", "vdot", "inner", "outer", "tensordot", "einsum"}

# Functions whose result lies in memory as their argument does; that of all others is row-major.
KEEPS_ORDER = {"zeros_like", "ones_like", "full_like", "copy", "asfortranarray", "astype"}


class NotYet(NotImplementedError, AttributeError):
    """The real package has it, the stand-in has not; to `from cupy import ...` it is missing."""


def unsupported(value: Any) -> TypeError:
    return TypeError(f"Unsupported type {type(value)}")


class ufunc:
    """A function of each element by itself: one launch a call."""

    def __init__(self, name: str) -> None:
        self.name, self.host = name, getattr(np, name)
        self.__name__ = f"cupy_{name}"
        self.nin, self.nout, self.nargs = self.host.nin, self.host.nout, self.host.nargs

    def __repr__(self) -> str:
        return f"<ufunc '{self.__name__}'>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        unknown = sorted(set(kwargs) - {"out", "dtype", "casting"})
        if unknown:
            raise TypeError(f"Wrong arguments {unknown}")
        out = kwargs.pop("out", None)
        if len(args) > self.nin:
            *args, out = args  # type: ignore[assignment]
        if out is not None and not isinstance(out, ndarray):
            raise TypeError("Output arguments type must be cupy.ndarray")
        for value in args:
            if not isinstance(value, (ndarray, bool, int, float, complex, np.generic)):
                raise unsupported(value)
        values = [value.storage if isinstance(value, ndarray) else value for value in args]
        with np.errstate(all="ignore"):  # a GPU does not warn
            if out is not None:
                device.launched(self.name, *arrays_in(args), out)
                self.host(*values, out=out.storage, **kwargs)
                return out
            results = (_integer_power if self.name == "power" else self.host)(*values, **kwargs)
        if self.nout == 1:
            return new(self.name, np.asarray(results, order="C"), *arrays_in(args))
        return tuple(new(self.name, np.asarray(result, order="C"), *arrays_in(args)) for result in results)

    def at(self, a: ndarray, indices: Any, b: Any = None) -> None:
        """a[indices] op= b, an index named twice counting twice."""
        if self.name not in ("add", "subtract", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor"):
            raise NotImplementedError(f"`{self.__name__}.at` is not supported yet")
        if isinstance(b, (list, np.ndarray)):
            raise unsupported(b)
        places = view(a, np.arange(a.size).reshape(a.shape))[indices].storage
        flat = np.ascontiguousarray(a.storage).ravel()
        self.host.at(flat, places, b.storage if isinstance(b, ndarray) else b)
        a.storage[...] = flat.reshape(a.shape)

    def reduce(self, array: ndarray, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        if out is not None:
            raise NotImplementedError(f"the stand-in's {self.name}.reduce has no out")
        return new(self.name, self.host.reduce(host(array), axis=axis, dtype=dtype, keepdims=keepdims), array)


def _integer_power(base: Any, exponent: Any, **kwargs: Any) -> Any:
    """As np.power, but for integers to negative powers, which NumPy refuses; CuPy rounds towards 0."""
    if np.result_type(base, exponent).kind != "i" or not np.any(np.less(exponent, 0)):
        return np.power(base, exponent, **kwargs)
    magnitude = np.where(np.abs(base) == 1, 1, np.where(np.greater_equal(exponent, 0), np.abs(base), 0))
    signs = np.where(np.less(base, 0) & (np.asarray(exponent) % 2 == 1), -1, 1)
    return (signs * np.power(magnitude, np.abs(exponent))).astype(np.result_type(base, exponent))


def host(value: Any) -> Any:
    """The value for NumPy; NumPy's own arrays have no place here."""
    if isinstance(value, ndarray):
        return value.storage
    if isinstance(value, np.ndarray):
        raise unsupported(value)
    if isinstance(value, (list, tuple)):
        return type(value)(host(item) for item in value)
    return value


def arrays_in(values: Iterable[Any]) -> list[ndarray]:
    found: list[ndarray] = []
    for value in values:
        if isinstance(value, ndarray):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += arrays_in(value)
    return found


def function(module: str, numpy_module: ModuleType, name: str) -> Callable[..., Any]:
    """CuPy's function of that name, carried out by NumPy's."""
    numpy_function = getattr(numpy_module, name)
    signature = surface.signature(module, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        bound = bind(name, signature, args, kwargs)
        out = bound.arguments.pop("out", None)
        if name not in CREATION and name not in ON_HOST:
            check_first(name, bound.args[:1])
        if name in CUBLAS:
            device.require("cuBLAS")
        if "dtype" in bound.arguments and bound.arguments["dtype"] is not None:
            device_dtype(bound.arguments["dtype"])
        host_args = [host(value) for value in bound.args]
        with np.errstate(all="ignore"):
            result = numpy_function(*host_args, **{key: host(value) for key, value in bound.kwargs.items()})
        if name in ON_HOST:
            return result
        if name in SYNCHRONISING:
            device.synchronised()
        return _device_result(name, result, arrays_in([*bound.args, *bound.kwargs.values()]), out)

    call.__name__ = call.__qualname__ = name
    return call


def bind(name: str, signature: inspect.Signature, args: Any, kwargs: Any) -> inspect.BoundArguments:
    try:
        return signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{name}() {error}") from None


def check_first(name: str, first: tuple[Any, ...]) -> None:
    """Raises TypeError where the first argument is no array of the device, nor a list of them."""
    for value in first:
        several = isinstance(value, (list, tuple)) and value and all(isinstance(item, ndarray) for item in value)
        if not isinstance(value, ndarray) and not several:
            raise TypeError(f"{name}: expected cupy.ndarray, got {type(value).__module__}.{type(value).__name__}")


def _device_result(name: str, result: Any, arguments: list[ndarray], out: ndarray | None) -> Any:
    if out is not None:
        device.launched(name, *arguments, out)
        out.storage[...] = result
        return out
    if result is None:  # it wrote into an argument
        device.launched(name, *arguments)
        return None
    if isinstance(result, (list, tuple)):
        return type(result)(_device_result(name, item, arguments, None) for item in result)
    if (viewed := lender(result, arguments)) is not None:
        return view(viewed, result)
    return new(name, result if name in KEEPS_ORDER else np.asarray(result, order="C"), *arguments)


# ------------------------------------------------------------------------------------------ what NumPy does differently


def array(
    obj: Any,
    dtype: Any = None,
    copy: Any = True,
    order: str = "K",
    subok: bool = False,
    ndmin: int = 0,
    *,
    blocking: bool = False,
) -> ndarray:
    """A new array of what the host has, or of a device array; lists of device arrays are stacked."""
    if isinstance(obj, ndarray):
        same = dtype is None or np.dtype(dtype) == obj.dtype
        if same and not copy and obj.ndim >= ndmin:
            return obj
        storage = np.array(obj.storage, device_dtype(dtype or obj.dtype), order=order, ndmin=ndmin)  # type: ignore[call-overload]
        return new("array", storage, obj)
    if isinstance(obj, (list, tuple)) and (parts := arrays_in(obj)):
        if len(parts) != len(obj):
            raise NotImplementedError("the stand-in makes arrays of flat lists of device arrays, and of no mixed ones")
        return new("array", np.array([part.storage for part in parts], dtype, ndmin=ndmin), *parts)
    given = np.array(obj, dtype, order=order, ndmin=ndmin)  # type: ignore[call-overload]
    device_dtype(given.dtype)
    return sent(given)


def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False) -> ndarray:
    return array(a, dtype, bool(copy), order or "K")


def ascontiguousarray(a: ndarray, dtype: Any = None) -> ndarray:
    """An array of one axis at least, as in old NumPy."""
    check_first("ascontiguousarray", (a,))
    if not a.ndim:
        a = a.reshape(1)
    if dtype in (None, a.dtype) and a.flags.c_contiguous:
        return a
    return new("ascontiguousarray", np.asarray(a.storage, device_dtype(dtype or a.dtype), order="C"), a)


def asnumpy(a: Any, stream: Any = None, order: Any = "C", out: Any = None, *, blocking: bool = True) -> np.ndarray:
    return a.get(stream, order, out, blocking) if isinstance(a, ndarray) else np.asarray(a, order=order)


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return ndarray(shape, dtype, order=order)


def empty_like(
    prototype: ndarray, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None
) -> ndarray:
    check_first("empty_like", (prototype,))
    like = np.empty_like(prototype.storage, dtype, order, shape=shape)  # type: ignore[call-overload]
    like[...] = poisoned((), like.dtype)
    result = ndarray((0,), like.dtype)
    result.storage = like
    return result


def from_dlpack(array: Any, device: Any = None, copy: Any = None) -> ndarray:
    """A view of what another library has in the device's memory."""
    if array.__dlpack_device__()[0] != 2:
        raise NotImplementedError("the stand-in's from_dlpack takes what is on a GPU, and no more")
    capsule = array.__dlpack__(stream=1, max_version=(1, 0))
    return view(capsule.array, capsule.array.storage)


def broadcast_to(array: ndarray, shape: Any) -> ndarray:
    check_first("broadcast_to", (array,))
    return view(array, np.broadcast_to(array.storage, shape))


def as_strided(x: ndarray, shape: Any = None, strides: Any = None) -> ndarray:
    """An array in the memory of another that CuPy does not know to be a view: it has no base."""
    check_first("as_strided", (x,))
    result = view(x, np.lib.stride_tricks.as_strided(x.storage, shape, strides))
    result.base = None
    return result


def where(condition: ndarray, x: Any = None, y: Any = None) -> Any:
    """Where the condition holds x, else y, arrays or numbers; with the condition alone, as nonzero."""
    if not isinstance(condition, ndarray):
        raise unsupported(condition)
    if x is None or y is None:
        return function("cupy", np, "nonzero")(condition)
    for value in (x, y):
        if not isinstance(value, (ndarray, bool, int, float, complex, np.generic)):
            raise unsupported(value)
    return new(
        "where", np.asarray(np.where(condition.storage, host(x), host(y)), order="C"), *arrays_in((condition, x, y))
    )


OWN = {
    f.__name__: f
    for f in (
        array,
        asarray,
        ascontiguousarray,
        asnumpy,
        empty,
        empty_like,
        from_dlpack,
        broadcast_to,
        as_strided,
        where,
    )
}


@functools.cache
def named(module: str, numpy_module: ModuleType, name: str) -> Any:
    """What a module of the stand-in has under a name.

    Raises:
        AttributeError: the real package has nothing of that name.
        NotYet: it has, and the stand-in has not.
    """
    if name not in surface.names(module):
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    recorded, numpy_value = surface.recorded()[module], getattr(numpy_module, name, None)
    if name in recorded["ufuncs"].split() and isinstance(numpy_value, np.ufunc):
        return ufunc(name)
    if name in OWN:
        return OWN[name]
    if name in recorded["functions"] and callable(numpy_value):
        return function(module, numpy_module, name)
    if name in recorded["others"].split() and hasattr(numpy_module, name) and _is_constant_or_dtype(numpy_value):
        return numpy_value
    missing = f"{module}.{name}: CuPy {surface.recorded()['version']} has it, the stand-in has not yet"
    raise NotYet(f"{missing}; see tests/gpu/stand_in_functions.py")


def _is_constant_or_dtype(value: Any) -> bool:
    """Whether CuPy has it from NumPy as it is."""
    if isinstance(value, type):
        return issubclass(value, (np.generic, np.dtype, np.iinfo, np.finfo, Exception))
    return value is None or isinstance(value, float)


# ---------------------------------------------------------------------------------------------- operators and methods

# A method's name without its underscores, and the ufunc.
OPERATORS = [
    *(("add", "add"), ("sub", "subtract"), ("mul", "multiply"), ("truediv", "true_divide"), ("mod", "remainder")),
    *(("floordiv", "floor_divide"), ("pow", "power"), ("and", "bitwise_and"), ("or", "bitwise_or")),
    ("xor", "bitwise_xor"),
]
COMPARISONS = [
    *(("lt", "less"), ("le", "less_equal"), ("gt", "greater"), ("ge", "greater_equal"), ("eq", "equal")),
    ("ne", "not_equal"),
]
SIGNS = [("neg", "negative"), ("abs", "absolute"), ("invert", "invert")]

# Methods that are functions as well, with the array as their first argument.
METHODS = [
    *("all", "any", "argmax", "argmin", "argsort", "choose", "clip", "cumprod", "cumsum", "diagonal", "dot", "max"),
    *("mean", "min", "nonzero", "prod", "put", "repeat", "round", "searchsorted", "std", "sum", "take", "trace", "var"),
]


def _array_ufunc(self: ndarray, numpy_ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """NumPy's ufuncs, called with a device array, become CuPy's."""
    if numpy_ufunc.signature is not None or method not in ("__call__", "at", "reduce"):
        return NotImplemented
    if "out" in kwargs:
        (kwargs["out"],) = kwargs["out"]
    return getattr(named("cupy", np, numpy_ufunc.__name__), method)(*inputs, **kwargs)


def _array_function(self: ndarray, numpy_function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """NumPy's other functions likewise, where CuPy has one of that name."""
    module, name = numpy_function.__module__.replace("numpy", "cupy"), numpy_function.__name__
    if module not in surface.MODULES or name not in surface.names(module):
        return NotImplemented
    return named(module, sys.modules[numpy_function.__module__], name)(*args, **kwargs)


def _matmul(self: ndarray, other: Any) -> ndarray:
    if not isinstance(other, ndarray):
        given = f"{type(other).__module__}.{type(other).__name__}"
        raise TypeError(f"Argument 'b' has incorrect type (expected cupy._core.core._ndarray_base, got {given})")
    return named("cupy", np, "matmul")(self, other)


def _binary(f: ufunc) -> dict[str, Callable[..., Any]]:
    return {
        "": lambda self, other: f(self, other),
        "r": lambda self, other: f(other, self),
        "i": lambda self, other: f(self, other, self),
    }


def _method(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, *args, **kwargs: f(self, *args, **kwargs)  # a lambda, as a ufunc does not bind


def _install() -> None:
    for name, function_name in OPERATORS:
        for prefix, operator in _binary(named("cupy", np, function_name)).items():
            setattr(ndarray, f"__{prefix}{name}__", operator)
    for name, function_name in (*COMPARISONS, *SIGNS):
        setattr(ndarray, f"__{name}__", _method(named("cupy", np, function_name)))
    for name in METHODS:
        setattr(ndarray, name, _method(named("cupy", np, name)))
    others = {"__matmul__": _matmul, "__array_ufunc__": _array_ufunc, "__array_function__": _array_function}
    for name, method in {**others, "__reduce__": lambda self: (array, (self.get(),))}.items():
        setattr(ndarray, name, method)


_install()
