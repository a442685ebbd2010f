"""Compares the stand-in with the real package cupy where that answers without a driver; prints JSON.

Without a driver the real package computes nothing, but its arrays can lie in the host's memory. Then views, strides,
flags and most refusals are its own. What it would allocate or launch fails, and must do so in the stand-in, too.

A program of its own, for the same reason as nvrtc.py.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import stand_in
from refusals import HOST, REFUSALS, Refusal

SHAPES = [(), (1,), (6,), (0, 3), (2, 6), (1, 4), (3, 2, 4), (2, 1, 3, 4), (2, 3, 0, 1)]
DTYPES = ["float32", "float64", "int8", "complex64", "bool"]

# Expressions of the module cupy and an array x. Each is tried on the results of all others, which lie in memory in many
# ways.
VIEWS = """
x;  x.T;  x.transpose();  x.transpose(0);  x.transpose(1, 0);  x.transpose(1, 2, 0);  x.transpose(None)
x.transpose((3, 0, 1, 2));  cupy.transpose(x, (1, 2, 3, 0));  x.transpose(-1, 0, 1);  x.transpose(0, 0)
x.swapaxes(0, 1);  cupy.swapaxes(x, -1, 0);  cupy.moveaxis(x, 0, -1);  cupy.moveaxis(x, (0, 1), (-1, 0))
cupy.rollaxis(x, 1);  cupy.flip(x, 0);  cupy.fliplr(x)
x[0];  x[-1];  x[5];  x[1:];  x[::2];  x[::-1];  x[:, 1];  x[:, ::-2];  x[..., 0];  x[..., 1:3];  x[2:1];  x[7:]
x[None];  x[..., None];  x[:, None];  x[...];  x[()];  x[0, 0];  x[0, None, ..., 0];  x[0, 0, 0, 0, 0];  x[..., ...]
x[np.int64(0)];  list(x)
x.reshape(-1);  x.reshape(2, -1);  x.reshape((3, -1));  x.reshape(6, 4);  x.reshape(-1, -1);  x.reshape(5, 5)
x.reshape(1, -1, 1);  x.reshape(x.shape);  x.reshape(x.shape[::-1]);  x.reshape(());  x.reshape(*x.shape, 1)
cupy.reshape(x, (2, 1, -1));  x.reshape(-1, order='F');  x.reshape(2, -1, order='A')
x.ravel();  cupy.ravel(x);  x.ravel('F');  x.flatten();  x.squeeze();  x.squeeze(0);  cupy.squeeze(x, -1)
cupy.squeeze(x, (0, 1));  cupy.expand_dims(x, 0);  cupy.expand_dims(x, (0, -1));  cupy.expand_dims(x, 4)
cupy.broadcast_to(x, x.shape);  cupy.broadcast_to(x, (2, *x.shape));  cupy.broadcast_to(x, (3, 4))
cupy.broadcast_to(x, (2, 3, 4));  cupy.broadcast_to(x, (6,));  cupy.broadcast_to(x, 6)
cupy.broadcast_arrays(x, x[..., None]);  cupy.broadcast_to(x[:1], x.shape)
cupy.lib.stride_tricks.as_strided(x, (2, 2), (0, x.itemsize))
cupy.lib.stride_tricks.as_strided(x, x.shape, x.strides)
cupy.split(x, 2);  cupy.split(x, 2, axis=-1);  cupy.split(x, [1, 2], axis=1);  cupy.array_split(x, 2)
x.view();  x.view('int32');  x.view('float64');  x.view('uint8')
x.copy();  x.astype(x.dtype, copy=False);  x.astype('float16');  x.astype('U1')
cupy.ascontiguousarray(x);  cupy.array(x);  cupy.empty_like(x);  cupy.empty(x.shape);  cupy.zeros(2)
x + 1;  x.sum();  len(x);  x.nbytes;  hash(x)
"""
EXPRESSIONS = [expression.strip() for line in VIEWS.split("\n") for expression in line.split(";") if expression]


@dataclasses.dataclass(frozen=True)
class Package:
    """The module, and how to make one of its arrays from NumPy's."""

    cupy: Any
    array: Callable[[np.ndarray], Any]

    def value(self, expression: str, **names: Any) -> Any:
        """What the expression gives, or the exception that it raises."""
        try:
            return eval(expression, {"cupy": self.cupy, "np": np, "HOST": HOST, **names})
        except Exception as error:
            return error

    def told(self, expression: str, x: Any) -> Any:
        """The facts of what an expression of the array gives without a driver."""
        with stand_in.broken("no driver"):
            return facts(self.value(expression, x=x), x)


def over_host_memory(cupy: ModuleType) -> Callable[[np.ndarray], Any]:
    """Makes real arrays in memory of the host's; good for all that reads and launches nothing."""

    def array(host: np.ndarray) -> Any:
        host = np.array(host, order="C")
        memory = cupy.cuda.UnownedMemory(host.ctypes.data, max(host.nbytes, 1), host, device_id=0)
        return cupy.ndarray(host.shape, host.dtype, cupy.cuda.MemoryPointer(memory, 0))

    return array


def facts(value: Any, of: Any) -> Any:
    """What can be told of a value without reading memory; `of` is the array that it may be a view of."""
    if isinstance(value, Exception):
        return "ValueError" if isinstance(value, ValueError) else type(value).__name__  # AxisError is one, too
    if isinstance(value, (list, tuple)):
        return [facts(item, of) for item in value]
    if not isinstance(value, type(of)):
        return repr(value)
    flags = value.flags
    return {
        "shape": value.shape,
        "dtype": value.dtype.str,
        "strides": meaningful_strides(value),
        "flags": {name: getattr(flags, name) for name in ("c_contiguous", "f_contiguous", "forc", "fnc")},
        "owndata": flags.owndata and value is not of,  # the array itself is as good as a view of all of it
        "offset": value.data.ptr - of.data.ptr if value.size else 0,
    }


def meaningful_strides(array: Any) -> list[int]:
    """Those of axes along which one can go; the others are any number."""
    pairs = zip(array.shape, array.strides, strict=True)
    return [stride for length, stride in pairs if length > 1] if array.size else []


def comparisons(real: Package, other: Package) -> Iterator[str | None]:
    """For each expression and each array what differs, None where nothing does."""
    for trail, x, y in arrays(real, other):
        for expression in EXPRESSIONS:
            expected, found = real.told(expression, x), other.told(expression, y)
            same = expected == found
            yield None if same else f"x = {trail}; {expression}: CuPy {expected}, the stand-in {found}"


def arrays(real: Package, other: Package) -> Iterator[tuple[str, Any, Any]]:
    """The same array of both packages, in many layouts, and how it was made."""
    for shape in SHAPES:
        for dtype in DTYPES if shape == (2, 6) else DTYPES[:1]:
            host = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
            x, y = real.array(host), other.array(host)
            for expression in EXPRESSIONS:
                pair = real.value(expression, x=x), other.value(expression, x=y)
                if isinstance(pair[0], type(x)) and isinstance(pair[1], type(y)):
                    yield f"arange{shape} of {dtype}, then {expression}", *pair


def refusal_difference(real: Package, refusal: Refusal) -> str | None:
    """What the real package says instead of what is written; None where it is that."""
    error = real.value(refusal.call, x=real.array(np.arange(6, dtype=np.float32).reshape(2, 3)))
    if isinstance(error, refusal.error) and re.search(refusal.message, str(error)):
        return None
    return f"{refusal.call}: expected {refusal.error.__name__} {refusal.message!r}, got {type(error).__name__} {error}"


def main() -> None:
    cupy = importlib.import_module("cupy")
    real, other = Package(cupy, over_host_memory(cupy)), Package(stand_in.cupy, stand_in.cupy.asarray)
    found = [*comparisons(real, other), *(refusal_difference(real, refusal) for refusal in REFUSALS)]
    differences = [difference for difference in found if difference]
    print(json.dumps({"version": cupy.__version__, "compared": len(found), "differences": differences}))


if __name__ == "__main__":
    main()
