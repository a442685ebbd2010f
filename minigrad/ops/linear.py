"""Matrix products, and the fully connected layer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.function import Function
from ..tensor import Tensor
from .operands import floating, operands
from .shape import Transpose, broadcast_to, reshape, squeeze, unsqueeze


class Matmul(Function):
    """y = a b over the last two axes;   dL/da = dL/dy b^T,   dL/db = a^T dL/dy"""

    broadcasts = True  # the axes before the last two do, and the engine sums over those

    def forward(self, a, b):
        return self.kernels.matmul(a, b)

    def backward(self, dy):
        a, b = self.inputs
        return (
            Matmul.apply(dy, _swap(b)) if self.needs[0] else None,
            Matmul.apply(_swap(a), dy) if self.needs[1] else None,
        )


class Linear(Function):
    """y = x W^T + b;   dL/dx = dL/dy W,   (dL/dW, dL/db) = LinearGradWeight(dL/dy, x)"""

    fresh_gradients = True

    def forward(self, x, weight, bias=None):
        return self.kernels.linear(x, weight, bias)

    def backward(self, dy):
        (x, weight), needs = self.inputs[:2], self.needs
        is_matrix = x.ndim == 2
        x_rows, dy_rows = (x, dy) if is_matrix else (_as_rows(x), _as_rows(dy))
        dx = dweight = dbias = None
        if needs[0]:
            dx = Matmul.apply(dy_rows, weight)  # (R, I) = (R, O) @ (O, I)
            dx = dx if is_matrix else reshape(dx, x.shape)
        if True in needs[1:]:  # one kernel for both, so that no bit depends on which are wanted
            dweight, dbias = LinearGradWeight.apply(dy_rows, x_rows)
        return (dx, dweight, dbias)[: len(needs)]  # two where there is no bias


class LinearGradWeight(Function):
    """(G, g) = (d^T x, sum of d's rows), the adjoint of (W, b) -> x W^T + b;

    dL/dd = x (dL/dG)^T + dL/dg,   dL/dx = d dL/dG
    """

    def forward(self, d, x):
        return self.kernels.linear_grad_weight(d, x)

    def backward(self, dweight, dbias):
        d, x = self.inputs
        if dweight is None:
            return broadcast_to(dbias, d.shape), None
        dd = Linear.apply(x, dweight) if dbias is None else Linear.apply(x, dweight, dbias)
        return dd, Matmul.apply(d, dweight) if self.needs[1] else None


def _as_rows(x: Tensor) -> Tensor:
    """(..., I) as (R, I)."""
    return reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def _swap(x: Tensor) -> Tensor:
    """The last two axes exchanged."""
    return Transpose.apply(x, axes=(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def matmul(a: Any, b: Any) -> Tensor:
    """The matrix product, as NumPy has it; also the operator @.

    Shapes (..., I, J) and (..., J, K) give (..., I, K), the leading axes broadcast; a vector counts as one row on the
    left, as one column on the right, and its axis is taken away again.

    >>> matmul(Tensor([[1.0, 2.0], [3.0, 4.0]]), Tensor([1.0, 10.0]))
    Tensor([21., 43.])

    Raises ValueError where the inner sizes differ or a tensor is 0-d.
    """
    a, b = operands("matmul", a, b)
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit: (..., I, J) needs (..., J, K)")
    try:
        np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ValueError(f"matmul: the leading axes of {a.shape} and {b.shape} do not broadcast") from None
    y = Matmul.apply(unsqueeze(a, 0) if a.ndim == 1 else a, unsqueeze(b, 1) if b.ndim == 1 else b)
    if b.ndim == 1:
        y = squeeze(y, -1)
    return squeeze(y, -1 if b.ndim == 1 else -2) if a.ndim == 1 else y


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The fully connected layer y = x W^T + b.

    Args:
        input: (..., in_features), floating.
        weight: (out_features, in_features), of the same dtype.
        bias: (out_features,), or None.

    Returns: (..., out_features)

    >>> linear(Tensor([[1.0, 2.0]]), Tensor([[1.0, 1.0], [0.0, 3.0]]), Tensor([0.0, 0.5]))
    Tensor([[3. , 6.5]])

    Raises ValueError where the shapes do not fit.
    """
    tensors = operands("linear", *((input, weight) if bias is None else (input, weight, bias)))
    if tensors[0]._data.dtype.kind != "f":
        tensors = tuple([floating("linear", tensor) for tensor in tensors])
    input, weight, *rest = tensors
    x, w = input._data.shape, weight._data.shape
    if len(w) != 2:
        raise ValueError(f"linear: weight must be (out_features, in_features), got shape {w}")
    if not x or x[-1] != w[1]:
        raise ValueError(f"linear: input {x} has {x[-1] if x else 'no'} features but weight {w} expects {w[1]}")
    if rest and rest[0]._data.shape != w[:1]:
        raise ValueError(f"linear: bias has shape {rest[0].shape}, expected {w[:1]}")
    return Linear.apply(input, weight, *rest)
