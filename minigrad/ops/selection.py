"""Choosing elements by a condition (where, clip), and what has no gradient: comparisons and argmax."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.function import Function
from ..checks import flag
from ..tensor import Tensor, bool_
from .operands import as_dtype, as_number, as_tensor, floating, normalize_axis, operands


class Where(Function):
    """y = a where the condition holds, else b;   dL/da = dL/dy where it holds, dL/db = dL/dy elsewhere"""

    broadcasts = True

    def forward(self, condition, a, b):
        return self.xp.where(condition, a, b)

    def backward(self, dy):
        condition = self.inputs[0]
        return (
            None,
            where(condition, dy, 0.0) if self.needs[1] else None,
            where(condition, 0.0, dy) if self.needs[2] else None,
        )


class Clip(Function):
    """y = min(max(x, low), high);   dL/dx = dL/dy where low <= x <= high, else 0"""

    low: float | None
    high: float | None

    def forward(self, x):
        return self.xp.clip(x, self.low, self.high)

    def backward(self, dy):
        (x,) = self.inputs
        inside = x == x  # all true, but for NaN
        if self.low is not None:
            inside = inside & (x >= self.low)
        if self.high is not None:
            inside = inside & (x <= self.high)
        return (where(inside, dy, 0.0),)


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """a where the condition holds, else b; all three broadcast.

    Args:
        condition: a boolean Tensor or array.

    >>> where(Tensor([True, False]), Tensor([1.0, 2.0]), 0.0)
    Tensor([1., 0.])
    """
    a, b = operands("where", a, b, backend=condition.backend if isinstance(condition, Tensor) else None)
    condition = as_tensor("where", condition, a.backend)
    if condition.dtype != bool_:
        raise TypeError(f"where: the condition must be boolean, got {condition.dtype}; compare first, as in x > 0")
    return Where.apply(condition, a, b)


def clip(x: Tensor, low: float | None = None, high: float | None = None) -> Tensor:
    """x limited to [low, high]; None leaves a side open. Where x is outside, the gradient is 0.

    >>> clip(Tensor([-2.0, 0.5, 2.0]), -1.0, 1.0)
    Tensor([-1. ,  0.5,  1. ])
    """
    x = as_tensor("clip", x)
    if low is None and high is None:
        raise ValueError("clip: give at least one of low and high")
    low, high = (bound if bound is None else as_number("clip", "a bound", bound) for bound in (low, high))
    if low is not None and high is not None and low > high:
        raise ValueError(f"clip: low {low} is above high {high}")
    if x.dtype.kind == "b" or isinstance(low, float) or isinstance(high, float):
        x = floating("clip", x)
    return Clip.apply(x, low=low, high=high)


def _comparison(name: str, symbol: str, doc_result: str) -> Any:
    def compare(a: Any, b: Any) -> Tensor:
        return _combine(name, name, *operands(name, a, b))

    compare.__name__ = compare.__qualname__ = name
    compare.__doc__ = f"""a {symbol} b, element by element, with broadcasting, as a boolean Tensor; also the operator.

    >>> {name}(Tensor([1.0, 2.0]), 2.0)
    Tensor({doc_result})
    """
    return compare


def _combine(name: str, function: str, a: Tensor, b: Tensor) -> Tensor:
    """A function of the array module, named in errors as the user knows it."""
    if a.backend is not b.backend:
        raise RuntimeError(
            f"{name}: its tensors live on different backends, {a.backend.name} and {b.backend.name}; "
            f"move one with .to({a.backend.name!r})"
        )
    try:
        return Tensor._wrap(getattr(a.backend.xp, function)(a._data, b._data), a.backend)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


equal = _comparison("equal", "==", "[False,  True]")
not_equal = _comparison("not_equal", "!=", "[ True, False]")
less = _comparison("less", "<", "[ True, False]")
less_equal = _comparison("less_equal", "<=", "[ True,  True]")
greater = _comparison("greater", ">", "[False, False]")
greater_equal = _comparison("greater_equal", ">=", "[False,  True]")


def _logical(name: str, symbol: str) -> Any:
    def combine(a: Any, b: Any) -> Tensor:
        a, b = operands(f"logical_{name}", a, b)
        if a.dtype.kind == "f":
            raise TypeError(f"logical_{name}: expected boolean or integer tensors, got {a.dtype}")
        return _combine(f"logical_{name}", f"bitwise_{name}", a, b)

    combine.__name__ = combine.__qualname__ = f"logical_{name}"
    combine.__doc__ = f"""a {symbol} b for boolean tensors (bit by bit for integers); also the operator."""
    return combine


logical_and = _logical("and", "&")
logical_or = _logical("or", "|")
logical_xor = _logical("xor", "^")


def logical_not(x: Tensor) -> Tensor:
    """~x for a boolean tensor.

    >>> ~Tensor([True, False])
    Tensor([False,  True])
    """
    x = as_tensor("logical_not", x)
    if x.dtype != bool_:
        raise TypeError(f"logical_not: expected a boolean tensor, got {x.dtype}")
    return Tensor._wrap(~x._data, x.backend)


def argmax(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The index of the first maximum along the axis, or in the flattened tensor for None; int64, no gradient.

    >>> argmax(Tensor([[1.0, 3.0], [5.0, 2.0]]), axis=1)
    Tensor([1, 0])
    """
    return _arg_extreme("argmax", x, axis, keepdims)


def argmin(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The index of the first minimum along the axis, or in the flattened tensor for None; int64, no gradient.

    >>> argmin(Tensor([[1.0, 3.0], [5.0, 2.0]]), axis=1)
    Tensor([0, 1])
    """
    return _arg_extreme("argmin", x, axis, keepdims)


def _arg_extreme(name: str, x: Tensor, axis: int | None, keepdims: bool) -> Tensor:
    x = as_tensor(name, x)
    axis = axis if axis is None else normalize_axis(name, axis, x.ndim)
    if (x.size if axis is None else x.shape[axis]) == 0:
        raise ValueError(f"{name}: there is nothing to choose from along axis {axis} of shape {x.shape}")
    index = getattr(x.backend.xp, name)(x._data, axis=axis, keepdims=flag(name, "keepdims", keepdims))
    return as_dtype(Tensor._wrap(index, x.backend), np.dtype(np.int64))
