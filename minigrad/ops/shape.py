"""Rearranging elements: reshapes, transposes, broadcasts, joins and padding. Each backward rule undoes the move."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.function import Function
from ..tensor import Tensor
from .indexing import GetItem
from .operands import as_number, as_tensor, normalize_axes, normalize_axis, operands

SMALL = 4096  # numbers that are written sooner than NumPy's broadcast_to (or full), Python inside, has made a view


class Reshape(Function):
    """y = x in another shape;   dL/dx = dL/dy in x's shape"""

    shape: tuple[int, ...]

    def forward(self, x):
        return x.reshape(self.shape)

    def backward(self, dy):
        (x,) = self.inputs
        return (Reshape.apply(dy, shape=x._data.shape),)


class Transpose(Function):
    """y = x with its axes permuted;   dL/dx = dL/dy with the permutation undone"""

    axes: tuple[int, ...]

    def forward(self, x):
        return x.transpose(self.axes)

    def backward(self, dy):
        return (Transpose.apply(dy, axes=tuple([self.axes.index(i) for i in range(len(self.axes))])),)


class BroadcastTo(Function):
    """y = x repeated to a larger shape;   dL/dx = dL/dy, which the engine sums over the repeats"""

    broadcasts = True
    shape: tuple[int, ...]

    def forward(self, x):
        if x.ndim == 0 and self.backend.on_host and math.prod(self.shape) <= SMALL:
            return self.backend.full(self.shape, x, x.dtype)
        return self.xp.broadcast_to(x, self.shape)

    def backward(self, dy):
        return (dy,)


class Concatenate(Function):
    """y = the inputs joined along an axis;   dL/dx_i = its piece of dL/dy"""

    axis: int

    def forward(self, *xs):
        return self.xp.concatenate(xs, axis=self.axis)

    def backward(self, dy):
        pieces, start = [], 0
        for x in self.inputs:
            stop = start + x.shape[self.axis]
            pieces.append(GetItem.apply(dy, index=(*[slice(None)] * self.axis, slice(start, stop))))
            start = stop
        return tuple(pieces)


class Pad(Function):
    """y = x with a constant around it;   dL/dx = dL/dy without its rim"""

    pad_width: tuple[tuple[int, int], ...]
    value: float

    def forward(self, x):
        return self.xp.pad(x, self.pad_width, constant_values=self.value) if x.ndim else x  # NumPy pads no 0-d array

    def backward(self, dy):
        (x,) = self.inputs
        inner = tuple(slice(before, before + size) for (before, _), size in zip(self.pad_width, x.shape, strict=True))
        return (GetItem.apply(dy, index=inner),)


def reshape(x: Tensor, *shape: Any) -> Tensor:
    """The elements in another shape, in row-major order; one size may be -1.

    >>> reshape(Tensor([1, 2, 3, 4]), 2, -1)
    Tensor([[1, 2],
            [3, 4]])

    Raises ValueError where the sizes do not fit.
    """
    x, shape = as_tensor("reshape", x), _ints("reshape", shape)
    if shape.count(-1) > 1 or any(size < -1 for size in shape):
        raise ValueError(f"reshape: {shape} must have sizes from 0, and -1 at most once")
    if -1 in shape:
        known = math.prod(size for size in shape if size != -1)
        if known == 0 or x.size % known:
            raise ValueError(f"reshape: {x.size} elements of shape {x.shape} do not fit into {shape}")
        shape = tuple(x.size // known if size == -1 else size for size in shape)
    if math.prod(shape) != x.size:
        raise ValueError(f"reshape: {x.size} elements of shape {x.shape} do not fit into {shape}")
    return Reshape.apply(x, shape=shape)


def flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from start_dim to end_dim (included) made into one.

    >>> flatten(Tensor([[[1, 2], [3, 4]], [[5, 6], [7, 8]]]), 1)
    Tensor([[1, 2, 3, 4],
            [5, 6, 7, 8]])
    """
    x = as_tensor("flatten", x)
    shape = x._data.shape
    if not shape:
        return reshape(x, 1)
    start, end = normalize_axis("flatten", start_dim, len(shape)), normalize_axis("flatten", end_dim, len(shape))
    if start > end:
        raise ValueError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    return Reshape.apply(x, shape=(*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


def transpose(x: Tensor, *axes: Any) -> Tensor:
    """The axes permuted; reversed where none are given, as in NumPy (and in PyTorch's permute).

    >>> transpose(Tensor([[1, 2], [3, 4]]))
    Tensor([[1, 3],
            [2, 4]])

    Raises ValueError where the axes are no permutation.
    """
    x = as_tensor("transpose", x)
    if not axes or axes == (None,):
        return Transpose.apply(x, axes=tuple(reversed(range(x.ndim))))
    given = _ints("transpose", axes)
    if normalize_axes("transpose", given, x.ndim) != tuple(range(x.ndim)):
        raise ValueError(f"transpose: {given} is no permutation of the {x.ndim} axes")
    return Transpose.apply(x, axes=tuple(a % x.ndim for a in given))


def squeeze(x: Tensor, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """Axes of size 1 taken away: those named, or all of them for None.

    >>> squeeze(Tensor([[[1.0, 2.0]]])).shape
    (2,)

    Raises ValueError where a named axis is of another size.
    """
    x = as_tensor("squeeze", x)
    if axis is None:
        gone = tuple(i for i, size in enumerate(x.shape) if size == 1)
    else:
        gone = normalize_axes("squeeze", axis, x.ndim)
        for i in gone:
            if x.shape[i] != 1:
                raise ValueError(f"squeeze: axis {i} has size {x.shape[i]}, expected 1")
    return reshape(x, tuple(size for i, size in enumerate(x.shape) if i not in gone))


def unsqueeze(x: Tensor, axis: int) -> Tensor:
    """A new axis of size 1 at that position of the result.

    >>> unsqueeze(Tensor([1.0, 2.0]), -1).shape
    (2, 1)
    """
    x = as_tensor("unsqueeze", x)
    position = normalize_axis("unsqueeze", axis, x.ndim + 1)
    return reshape(x, (*x.shape[:position], 1, *x.shape[position:]))


def broadcast_to(x: Tensor, *shape: Any) -> Tensor:
    """The tensor repeated to a larger shape by NumPy's rules.

    >>> broadcast_to(Tensor([1, 2]), (2, 2))
    Tensor([[1, 2],
            [1, 2]])
    """
    x, shape = as_tensor("broadcast_to", x), _ints("broadcast_to", shape)
    padded = (1,) * (len(shape) - x.ndim) + x.shape
    fits = len(padded) == len(shape) and all(new == size or size == 1 for size, new in zip(padded, shape, strict=True))
    if not fits or min(shape, default=0) < 0:
        raise ValueError(f"broadcast_to: shape {x.shape} cannot be repeated to {shape}")
    return BroadcastTo.apply(x, shape=shape)


def concatenate(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """The tensors joined along an existing axis; their other sizes agree.

    >>> concatenate([Tensor([1, 2]), Tensor([3])])
    Tensor([1, 2, 3])
    """
    parts = _several("concatenate", tensors)
    axis = normalize_axis("concatenate", axis, parts[0].ndim)
    return Concatenate.apply(*parts, axis=axis)


def stack(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Tensors of one shape joined along a new axis.

    >>> stack([Tensor([1, 2]), Tensor([3, 4])])
    Tensor([[1, 2],
            [3, 4]])
    """
    parts = _several("stack", tensors)
    for part in parts:
        if part.shape != parts[0].shape:
            raise ValueError(f"stack: all shapes must be equal, got {parts[0].shape} and {part.shape}")
    axis = normalize_axis("stack", axis, parts[0].ndim + 1)
    return concatenate([unsqueeze(part, axis) for part in parts], axis)


def pad(x: Tensor, pad_width: Any, value: float = 0.0) -> Tensor:
    """The tensor with a constant around it. pad_width is as in NumPy: one number for all sides, a pair (before, after)
    for all axes, or a pair for each axis.

    >>> pad(Tensor([1, 2]), (1, 2))
    Tensor([0, 1, 2, 0, 0])

    Raises ValueError for negative widths, or pairs for another number of axes.
    """
    x = as_tensor("pad", x)
    try:
        widths = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2))
    except ValueError:
        raise ValueError(f"pad: pad_width {pad_width} does not give a pair for each of {x.ndim} axes") from None
    if widths.size and (widths.dtype.kind not in "iu" or widths.min() < 0):
        raise ValueError(f"pad: pad_width must hold integers from 0, got {pad_width}")
    value = as_number("pad", "value", value)
    if x.dtype.kind != "f" and float(value).is_integer():
        value = bool(value) if x.dtype.kind == "b" and value in (0, 1) else int(value)
    x, filler = operands("pad", x, value)  # a value that is no integer makes a floating tensor
    return Pad.apply(x, pad_width=tuple((int(before), int(after)) for before, after in widths), value=filler.item())


def _several(name: str, tensors: Any) -> tuple[Tensor, ...]:
    if not isinstance(tensors, Sequence) or not tensors:
        given = "an empty one" if isinstance(tensors, Sequence) else type(tensors).__name__
        raise TypeError(f"{name}: expected a list or tuple of Tensors, got {given}")
    return operands(name, *tensors)


def _ints(name: str, values: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes or axes, given as separate arguments or as one sequence."""
    if len(values) == 1 and isinstance(values[0], (tuple, list)):
        values = tuple(values[0])
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise TypeError(f"{name}: expected integers, got {value!r}")
    return tuple([int(value) for value in values])
