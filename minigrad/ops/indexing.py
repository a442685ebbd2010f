"""Reading elements by index, and its adjoint, which puts gradients back where they were read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.function import Function
from ..tensor import Tensor
from .operands import as_tensor


class GetItem(Function):
    """y = x[index];   dL/dx = dL/dy put back at the index, summed where the index reads an element twice"""

    index: Any

    def forward(self, x):
        return x[self.index]

    def backward(self, dy):
        (x,) = self.inputs
        return (PutItem.apply(dy, index=self.index, shape=x.shape),)


class PutItem(Function):
    """y = zeros, y[index] += x, the adjoint of x[index];   dL/dx = dL/dy[index]"""

    index: Any
    shape: tuple[int, ...]

    def forward(self, x):
        y = self.xp.zeros(self.shape, x.dtype)
        if _reads_each_once(self.index):
            y[self.index] = x
        else:
            self.xp.add.at(y, self.index, x)
        return y

    def backward(self, dy):
        return (GetItem.apply(dy, index=self.index),)


def _reads_each_once(index: Any) -> bool:
    """Whether no element can be read twice: only integer arrays can do that."""
    parts = index if isinstance(index, tuple) else (index,)
    return not any(hasattr(part, "dtype") and part.dtype.kind in "iu" and part.ndim > 0 for part in parts)


def getitem(x: Tensor, index: Any) -> Tensor:
    """x[index], as in NumPy: integers, slices, None, Ellipsis, integer arrays (repeats allowed) and boolean masks.

    Arrays may be Tensors; also the operator.

    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> x[[0, 0, 2]].sum().backward()
    >>> x.grad
    Tensor([2., 0., 1.])

    Raises IndexError where the index does not fit; but integers that lie on a GPU already are not looked at.
    """
    x = as_tensor("getitem", x)
    parts = index if isinstance(index, tuple) else (index,)
    xp = x.backend.xp
    if xp is not np and not any(isinstance(part, (Tensor, xp.ndarray)) for part in parts):
        _ = np.broadcast_to(np.empty(()), x.shape)[index]  # raises IndexError; CuPy would start again from 0
    return GetItem.apply(x, index=tuple(_index_part(x, part) for part in parts))


def _index_part(x: Tensor, part: Any) -> Any:
    """The part with sequences made into arrays, which are copied: the rule will read them after the caller is back."""
    if isinstance(part, Tensor):
        part = part._data
    elif isinstance(part, (np.ndarray, Sequence)) and not isinstance(part, str):
        empty_list = not isinstance(part, np.ndarray) and len(part) == 0  # of floats, to NumPy
        part = x.backend.from_numpy(np.array(part, dtype=np.int64 if empty_list else None))
    if getattr(part, "dtype", np.dtype(int)).kind not in "iub":
        raise IndexError(f"a tensor is indexed by integers, slices or booleans, not by an array of {part.dtype}")
    return part
