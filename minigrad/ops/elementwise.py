"""Functions of one tensor, element by element."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.function import Function
from ..backends import Backend, get_backend
from ..tensor import Tensor
from .operands import as_tensor, floating


class Exp(Function):
    """y = e^x;   dL/dx = dL/dy y"""

    def forward(self, x):
        return self.xp.exp(x)

    def backward(self, dy):
        (y,) = self.outputs
        return (dy * y,)


class Log(Function):
    """y = ln x;   dL/dx = dL/dy / x"""

    def forward(self, x):
        return self.xp.log(x)

    def backward(self, dy):
        (x,) = self.inputs
        return (dy / x,)


class Sqrt(Function):
    """y = x^(1/2);   dL/dx = dL/dy / (2 y)"""

    def forward(self, x):
        return self.xp.sqrt(x)

    def backward(self, dy):
        (y,) = self.outputs
        return (dy / (y * 2.0),)


class Abs(Function):
    """y = |x|;   dL/dx = dL/dy sign(x), 0 at 0"""

    def forward(self, x):
        return self.xp.abs(x)

    def backward(self, dy):
        (x,) = self.inputs
        sign = Tensor._wrap(self.xp.sign(x.data), x.backend)
        return (dy * sign,)


class Sin(Function):
    """y = sin x;   dL/dx = dL/dy cos x"""

    def forward(self, x):
        return self.xp.sin(x)

    def backward(self, dy):
        (x,) = self.inputs
        return (dy * cos(x),)


class Cos(Function):
    """y = cos x;   dL/dx = -dL/dy sin x"""

    def forward(self, x):
        return self.xp.cos(x)

    def backward(self, dy):
        (x,) = self.inputs
        return (-(dy * sin(x)),)


class Cast(Function):
    """y = x in another dtype;   dL/dx = dL/dy in x's, where both are floating"""

    dtype: np.dtype

    def forward(self, x):
        return x.astype(self.dtype)

    def backward(self, dy):
        (x,) = self.inputs
        return (astype(dy, x.dtype),)


class Transfer(Function):
    """y = x on another backend;   dL/dx = dL/dy on x's"""

    target: Any

    def forward(self, x):
        array = self.backend.to_numpy(x)
        self.backend = self.target  # where the result lives
        return self.target.from_numpy(array)

    def backward(self, dy):
        (x,) = self.inputs
        return (to(dy, x.backend),)


def exp(x: Tensor) -> Tensor:
    """e^x, element by element.

    >>> exp(Tensor([0.0, 1.0])).numpy().round(3)
    array([1.   , 2.718], dtype=float32)
    """
    return Exp.apply(floating("exp", x))


def log(x: Tensor) -> Tensor:
    """The natural logarithm, element by element.

    >>> log(Tensor([1.0, 10.0])).numpy().round(3)
    array([0.   , 2.303], dtype=float32)
    """
    return Log.apply(floating("log", x))


def sqrt(x: Tensor) -> Tensor:
    """The square root, element by element.

    >>> sqrt(Tensor([4.0, 9.0]))
    Tensor([2., 3.])
    """
    return Sqrt.apply(floating("sqrt", x))


def abs(x: Tensor) -> Tensor:
    """The absolute value, element by element; its gradient at 0 is 0.

    >>> abs(Tensor([-1.5, 2.0]))
    Tensor([1.5, 2. ])
    """
    return Abs.apply(as_tensor("abs", x))


def sin(x: Tensor) -> Tensor:
    """The sine of an angle in radians, element by element.

    >>> sin(Tensor([0.0, 1.0])).numpy().round(3)
    array([0.   , 0.841], dtype=float32)
    """
    return Sin.apply(floating("sin", x))


def cos(x: Tensor) -> Tensor:
    """The cosine of an angle in radians, element by element.

    >>> cos(Tensor([0.0, 1.0])).numpy().round(3)
    array([1.  , 0.54], dtype=float32)
    """
    return Cos.apply(floating("cos", x))


def astype(x: Tensor, dtype: Any) -> Tensor:
    """The tensor in another dtype; the same tensor where it has that dtype.

    >>> astype(Tensor([1.7, 2.0]), "int64")
    Tensor([1, 2])
    """
    x = as_tensor("astype", x)
    if dtype is None:  # which would be float64 to NumPy
        raise TypeError("astype: expected a dtype, got None")
    try:
        dtype = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"astype: expected a dtype, got {dtype!r}") from None
    if dtype.kind not in "fiub" or (dtype.kind == "f" and dtype.itemsize not in (4, 8)):
        raise TypeError(f"astype: {dtype} is not one of float32, float64, the integers and bool")
    return x if x.dtype == dtype else Cast.apply(x, dtype=dtype)


def to(x: Tensor, target: Any) -> Tensor:
    """The tensor on another backend or in another dtype; the same tensor where it is so already. Gradients flow back.

    Args:
        target: a backend or its name, or a dtype or its name.

    >>> to(Tensor([1.0]), "numpy").backend
    <backend numpy>
    >>> to(Tensor([1.0]), "float64").dtype
    dtype('float64')
    """
    x = as_tensor("to", x)
    try:
        np.dtype(target)
    except TypeError:
        if not isinstance(target, (str, Backend)):
            raise TypeError(f"to: expected the name of a backend, or a dtype, got {target!r}") from None
        backend = get_backend(target)
        if backend is x.backend:
            return x
        backend.check_usable()
        return Transfer.apply(x, target=backend)
    return astype(x, target)
