"""Reductions over axes: sums and means, extremes, and the stable functions built on them.

In each, `axis` is None (all), an integer or a tuple, negative counting from the end, and `keepdims` leaves the reduced
axes behind with size 1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.function import Function
from ..backends import Backend
from ..tensor import Tensor
from .arithmetic import Div
from .elementwise import exp
from .indexing import PutItem
from .operands import as_number, as_tensor, floating, normalize_axes
from .shape import BroadcastTo, reshape

Axis = int | tuple[int, ...] | None


class _Reduction(Function):
    axis: tuple[int, ...]
    keepdims: bool

    def expand(self, reduced: Tensor) -> Tensor:
        """A tensor of the output's shape, with the reduced axes back as size 1; or a number, which needs none."""
        if self.keepdims or reduced.ndim == 0:
            return reduced
        kept = tuple(1 if i in self.axis else size for i, size in enumerate(self.inputs[0].shape))
        return reshape(reduced, kept)


class Sum(_Reduction):
    """y = sum of x;   dL/dx = dL/dy, repeated over the reduced axes"""

    def forward(self, x):
        return x.sum(axis=self.axis, keepdims=self.keepdims)

    def backward(self, dy):
        (x,) = self.inputs
        return (BroadcastTo.apply(self.expand(dy), shape=x.shape),)


class Mean(_Reduction):
    """y = sum of x / n;   dL/dx = dL/dy / n, repeated over the reduced axes"""

    def forward(self, x):
        return array_mean(x, math.prod([x.shape[i] for i in self.axis]), self.backend, self.axis, self.keepdims)

    def backward(self, dy):
        (x,) = self.inputs
        n = math.prod([x.shape[i] for i in self.axis])
        return (BroadcastTo.apply(self.expand(Div.apply(dy, number=n)), shape=x.shape),)


def array_mean(x: Any, n: int, backend: Backend, axis: Axis = None, keepdims: bool = False) -> Any:
    """The mean of an array over axes with n elements.

    NumPy's own does the same in twice the time for a few numbers; on a GPU a sum and a division are two launches.
    """
    if backend.on_host:
        return x.sum(axis=axis, keepdims=keepdims) / n
    return x.mean(axis=axis, keepdims=keepdims)


class Max(_Reduction):
    """y = x[winner], the first maximum;   dL/dx[winner] = dL/dy, 0 elsewhere"""

    arg_extreme = "argmax"

    def forward(self, x):
        # The reduced axes go last and become one, of size K; `places` says where each element lies in x flattened.
        kept = tuple(i for i in range(x.ndim) if i not in self.axis)
        kept_shape, K = tuple(x.shape[i] for i in kept), math.prod(x.shape[i] for i in self.axis)
        rows = x.transpose(kept + self.axis).reshape(*kept_shape, K)
        places = self.xp.arange(x.size).reshape(x.shape).transpose(kept + self.axis).reshape(*kept_shape, K)
        first = getattr(rows, self.arg_extreme)(axis=-1)[..., None]
        y, winners = (self.xp.take_along_axis(a, first, axis=-1)[..., 0] for a in (rows, places))
        if self.keepdims:
            shape = tuple(1 if i in self.axis else size for i, size in enumerate(x.shape))
            y, winners = y.reshape(shape), winners.reshape(shape)
        self.winners = winners
        return y

    def backward(self, dy):
        (x,) = self.inputs
        return (reshape(PutItem.apply(dy, index=(self.winners,), shape=(x.size,)), x.shape),)


class Min(Max):
    """y = x[winner], the first minimum;   dL/dx[winner] = dL/dy, 0 elsewhere"""

    arg_extreme = "argmin"


class LogSumExp(_Reduction):
    """y = m + ln sum e^(x - m) with m = max x;   dL/dx = dL/dy e^(x - y), the softmax"""

    def forward(self, x):
        m = x.max(axis=self.axis, keepdims=True)
        m = self.xp.where(self.xp.isfinite(m), m, 0)  # infinity less infinity would be NaN
        with np.errstate(divide="ignore", over="ignore"):  # where all of x is -infinity so is y, and likewise infinity
            y = self.xp.log(self.xp.exp(x - m).sum(axis=self.axis, keepdims=True)) + m
        return y if self.keepdims else y.squeeze(self.axis)

    def backward(self, dy):
        (x,), (y,) = self.inputs, self.outputs
        return (self.expand(dy) * exp(x - self.expand(y)),)


class Softmax(_Reduction):
    """y = e^x / sum e^x;   dL/dx = y (dL/dy - sum dL/dy y)"""

    def forward(self, x):
        y = self.xp.exp(x - x.max(axis=self.axis, keepdims=True))
        return y / y.sum(axis=self.axis, keepdims=True)

    def backward(self, dy):
        (y,) = self.outputs
        return (y * (dy - sum(dy * y, self.axis, keepdims=True)),)


class LogSoftmax(_Reduction):
    """y = x - ln sum e^x;   dL/dx = dL/dy - e^y sum dL/dy"""

    def forward(self, x):
        y = x - x.max(axis=self.axis, keepdims=True)
        return y - self.xp.log(self.xp.exp(y).sum(axis=self.axis, keepdims=True))

    def backward(self, dy):
        (y,) = self.outputs
        return (dy - exp(y) * sum(dy, self.axis, keepdims=True),)


def sum(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum over the axes. Booleans are counted as int64.

    As in NumPy, numbers along outer axes are added one after the other: of millions of rows, sum float64.

    >>> sum(Tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    Tensor([4., 6.])
    """
    x = as_tensor("sum", x)
    return Sum.apply(x, axis=normalize_axes("sum", axis, x.ndim), keepdims=_kept("sum", keepdims))


def mean(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean over the axes; of integers as float32.

    >>> mean(Tensor([[1.0, 2.0], [3.0, 4.0]]), axis=1)
    Tensor([1.5, 3.5])
    """
    x = floating("mean", x)
    return Mean.apply(x, axis=_nonempty_axes("mean", x, axis), keepdims=_kept("mean", keepdims))


def max(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The maximum over the axes. The whole gradient goes to the first maximum in row-major order; a NaN is the maximum.

    >>> x = Tensor([[1.0, 5.0], [5.0, 4.0]], requires_grad=True)
    >>> max(x).backward()
    >>> x.grad
    Tensor([[0., 1.],
            [0., 0.]])
    """
    x = as_tensor("max", x)
    return Max.apply(x, axis=_nonempty_axes("max", x, axis), keepdims=_kept("max", keepdims))


def min(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The minimum over the axes. The whole gradient goes to the first minimum in row-major order; a NaN is the minimum.

    >>> min(Tensor([[1.0, 2.0], [3.0, 4.0]]), axis=-1)
    Tensor([1., 3.])
    """
    x = as_tensor("min", x)
    return Min.apply(x, axis=_nonempty_axes("min", x, axis), keepdims=_kept("min", keepdims))


def var(x: Tensor, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Tensor:
    """The variance over the axes, sum (x - mean)^2 / (n - ddof). As in NumPy, ddof is 0 unless given; 1 is unbiased.

    >>> var(Tensor([1.0, 2.0, 3.0, 4.0]))
    Tensor(1.25)
    """
    x = floating("var", x)
    axes = _nonempty_axes("var", x, axis)
    n = math.prod(x.shape[i] for i in axes)
    if n <= as_number("var", "ddof", ddof):
        raise ValueError(f"var: ddof {ddof} needs more than {n} elements")
    deviation = x - mean(x, axes, keepdims=True)
    return sum(deviation * deviation, axes, _kept("var", keepdims)) / (n - ddof)


def logsumexp(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """ln sum e^x over the axes, with no overflow.

    >>> round(logsumexp(Tensor([1000.0, 1000.0])).item(), 2)
    1000.69
    """
    x = floating("logsumexp", x)
    return LogSumExp.apply(x, axis=_nonempty_axes("logsumexp", x, axis), keepdims=_kept("logsumexp", keepdims))


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """e^x / sum e^x along the axis, with no overflow.

    >>> softmax(Tensor([1000.0, 1000.0]))
    Tensor([0.5, 0.5])
    """
    x = floating("softmax", x)
    return Softmax.apply(x, axis=_nonempty_axes("softmax", x, axis))


def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """ln softmax(x) along the axis, computed as x - ln sum e^x with no overflow.

    >>> log_softmax(Tensor([0.0, 1000.0]))
    Tensor([-1000.,     0.])
    """
    x = floating("log_softmax", x)
    return LogSoftmax.apply(x, axis=_nonempty_axes("log_softmax", x, axis))


def _kept(name: str, keepdims: Any) -> bool:
    """keepdims as a bool; an integer is an axis too many, as in x.sum(0, 1)."""
    if isinstance(keepdims, (bool, np.bool_)):
        return bool(keepdims)
    raise TypeError(f"{name}: keepdims must be True or False, got {keepdims!r}; several axes are a tuple, axis=(0, 1)")


def _nonempty_axes(name: str, x: Tensor, axis: Any) -> tuple[int, ...]:
    axes, shape = normalize_axes(name, axis, x.ndim), x._data.shape
    if math.prod([shape[i] for i in axes]) == 0:
        raise ValueError(f"{name}: there is nothing to reduce along axis {axis} of shape {x.shape}")
    return axes
