"""Arithmetic between tensors, with broadcasting: + - * / ** and negation, and the larger and the smaller of two.

`broadcasts = True` lets a rule return gradients of the output's shape: the engine sums them down to the input's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import is_number
from ..autograd.function import Function
from ..tensor import Tensor
from .elementwise import log
from .operands import NUMBERS, as_tensor, floating, is_floating, operands
from .selection import where


class Add(Function):
    """y = a + b;   dL/da = dL/db = dL/dy. A Python number b is a parameter: the node has one input."""

    broadcasts = takes_scalars = True
    number: float | None = None

    def forward(self, a, b=None):
        return a + (self.number if b is None else b)

    def backward(self, dy):
        return (dy, dy) if self.number is None else (dy,)


class Sub(Function):
    """y = a - b;   dL/da = dL/dy,   dL/db = -dL/dy. A Python number b is a parameter: the node has one input."""

    broadcasts = takes_scalars = True
    number: float | None = None

    def forward(self, a, b=None):
        return a - (self.number if b is None else b)

    def backward(self, dy):
        return (dy, -dy if self.needs[1] else None) if self.number is None else (dy,)


class Mul(Function):
    """y = a b;   dL/da = dL/dy b,   dL/db = dL/dy a. A Python number b is a parameter: the node has one input."""

    broadcasts = takes_scalars = True
    number: float | None = None

    def forward(self, a, b=None):
        return a * (self.number if b is None else b)

    def backward(self, dy):
        if self.number is not None:
            return (dy * self.number,)
        (a, b), (by_a, by_b) = self.inputs, self.needs
        return Mul.apply(dy, b) if by_a else None, Mul.apply(dy, a) if by_b else None


class Div(Function):
    """y = a / b;   dL/da = dL/dy / b,   dL/db = -dL/dy a / b^2 = -(dL/da) y. A Python number b is a parameter: the node
    has one input."""

    broadcasts = takes_scalars = True
    number: float | None = None

    def forward(self, a, b=None):
        return a / (self.number if b is None else b)

    def backward(self, dy):
        if self.number is not None:
            return (dy / self.number,)
        (_, b), (y,) = self.inputs, self.outputs
        da = dy / b
        return da, -(da * y) if self.needs[1] else None


class Neg(Function):
    """y = -x;   dL/dx = -dL/dy"""

    takes_scalars = True

    def forward(self, x):
        return -x

    def backward(self, dy):
        return (-dy,)


class Power(Function):
    """y = x^p for a number p;   dL/dx = dL/dy p x^(p-1), which is 0 everywhere for p = 0"""

    exponent: float

    def forward(self, x):
        return x**self.exponent

    def backward(self, dy):
        (x,), p = self.inputs, self.exponent
        return (dy * p * x ** (p - 1) if p != 0 else dy * 0.0,)


class PowerOf(Function):
    """y = a^b;   dL/da = dL/dy b a^(b-1),   dL/db = dL/dy y ln a, which is 0 where a = 0 and b >= 0"""

    broadcasts = True

    def forward(self, a, b):
        return a**b

    def backward(self, dy):
        (a, b), (y,) = self.inputs, self.outputs
        da = db = None
        if self.needs[0]:
            constant = (a == 0) & (b == 0)  # where 0 a^(-1) would be NaN
            da = where(constant, 0.0, dy * b * where(constant, 1.0, a) ** (b - 1))
        if self.needs[1]:
            flat = (a == 0) & (b >= 0)
            db = where(flat, 0.0, dy * y * log(where(flat, 1.0, a)))
        return da, db


class Maximum(Function):
    """y = max(a, b);   dL/da = dL/dy where a >= b, dL/db = dL/dy elsewhere: a tie goes to the first"""

    broadcasts = True

    def forward(self, a, b):
        return self.xp.maximum(a, b)

    def backward(self, dy):
        a, b = self.inputs
        first = (a >= b) | (a != a)  # a NaN counts as the larger
        return where(first, dy, 0.0), where(first, 0.0, dy)


class Minimum(Function):
    """y = min(a, b);   dL/da = dL/dy where a <= b, dL/db = dL/dy elsewhere: a tie goes to the first"""

    broadcasts = True

    def forward(self, a, b):
        return self.xp.minimum(a, b)

    def backward(self, dy):
        a, b = self.inputs
        first = (a <= b) | (a != a)  # a NaN counts as the smaller
        return where(first, dy, 0.0), where(first, 0.0, dy)


def add(a: Any, b: Any) -> Tensor:
    """a + b with broadcasting; also the operator.

    >>> Tensor([1.0, 2.0]) + 10
    Tensor([11., 12.])
    """
    if isinstance(a, Tensor) and isinstance(b, Tensor) and a._data.dtype is b._data.dtype:  # most often, so at once
        return Add.apply(a, b)
    if type(b) in NUMBERS and is_floating(a):
        return Add.apply(a, number=b)
    if type(a) in NUMBERS and is_floating(b):
        return Add.apply(b, number=a)
    return Add.apply(*operands("add", a, b))


def sub(a: Any, b: Any) -> Tensor:
    """a - b with broadcasting; also the operator.

    >>> 1 - Tensor([1.0, 2.0])
    Tensor([ 0., -1.])
    """
    if type(b) in NUMBERS and is_floating(a):
        return Sub.apply(a, number=b)
    return Sub.apply(*operands("sub", a, b))


def mul(a: Any, b: Any) -> Tensor:
    """a b, element by element, with broadcasting; also the operator *.

    >>> Tensor([[1.0], [2.0]]) * Tensor([10.0, 20.0])
    Tensor([[10., 20.],
            [20., 40.]])
    """
    if isinstance(a, Tensor) and isinstance(b, Tensor) and a._data.dtype is b._data.dtype:  # most often, so at once
        return Mul.apply(a, b)
    if type(b) in NUMBERS and is_floating(a):
        return Mul.apply(a, number=b)
    if type(a) in NUMBERS and is_floating(b):
        return Mul.apply(b, number=a)
    return Mul.apply(*operands("mul", a, b))


def div(a: Any, b: Any) -> Tensor:
    """a / b with broadcasting; also the operator. Integers are divided as float32.

    >>> Tensor([1, 2]) / 2
    Tensor([0.5, 1. ])
    """
    if type(b) in NUMBERS and is_floating(a):
        return Div.apply(a, number=b)
    a, b = operands("div", a, b)
    return Div.apply(floating("div", a), floating("div", b))


def neg(x: Tensor) -> Tensor:
    """-x; also the operator.

    >>> -Tensor([1.0, -2.0])
    Tensor([-1.,  2.])
    """
    return Neg.apply(as_tensor("neg", x))


def pow(a: Any, b: Any) -> Tensor:
    """a to the power of b with broadcasting; also the operator **.

    The gradient by b needs a > 0, as ln a does (a = 0 counts as gradient 0 where b >= 0); elsewhere it is NaN.

    >>> Tensor([1.0, 2.0, 3.0]) ** 2
    Tensor([1., 4., 9.])
    """
    if isinstance(a, Tensor) and is_number(b):
        base, _ = operands("pow", a, b)  # the exponent may turn an integer base into a floating one
        exponent = b.item() if isinstance(b, np.generic) else b
        if base.dtype.kind in "iu" and exponent < 0:  # NumPy refuses that, CuPy rounds the result towards 0
            raise ValueError(f"pow: integers have no power {exponent} among the integers; see astype()")
        return Power.apply(base, exponent=exponent)
    return PowerOf.apply(*operands("pow", a, b))


def maximum(a: Any, b: Any) -> Tensor:
    """The larger of two, element by element, with broadcasting; NaN where either is NaN.

    >>> maximum(Tensor([1.0, -2.0]), 0.0)
    Tensor([1., 0.])
    """
    return Maximum.apply(*operands("maximum", a, b))


def minimum(a: Any, b: Any) -> Tensor:
    """The smaller of two, element by element, with broadcasting; NaN where either is NaN.

    >>> minimum(Tensor([1.0, -2.0]), 0.0)
    Tensor([ 0., -2.])
    """
    return Minimum.apply(*operands("minimum", a, b))
