"""Making tensors: of constants, ranges and random numbers. dtype, requires_grad and backend are as for Tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from .random import default_generator
from .tensor import Tensor, float32, float64, is_number

Shape = int | tuple[int, ...] | list[int]


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False, backend: str | None = None) -> Tensor:
    """The data copied into a Tensor; the same as `Tensor(...)`, under PyTorch's name.

    >>> tensor([1.0, 2.0])
    Tensor([1., 2.])
    """
    return Tensor(data, dtype, requires_grad, backend)


def zeros(*shape: Any, dtype: Any = float32, requires_grad: bool = False, backend: str | None = None) -> Tensor:
    """A tensor of zeros.

    >>> zeros(2, 3).shape
    (2, 3)
    """
    return Tensor(np.zeros(_shape("zeros", shape), np.int8), dtype, requires_grad, backend)


def ones(*shape: Any, dtype: Any = float32, requires_grad: bool = False, backend: str | None = None) -> Tensor:
    """A tensor of ones.

    >>> ones(2)
    Tensor([1., 1.])
    """
    return Tensor(np.ones(_shape("ones", shape), np.int8), dtype, requires_grad, backend)


def full(
    shape: Shape, value: float, dtype: Any = None, requires_grad: bool = False, backend: str | None = None
) -> Tensor:
    """A tensor filled with one value.

    >>> full((2,), 7)
    Tensor([7, 7])
    """
    one = Tensor(value, dtype, backend=backend)
    if one.ndim:
        raise ValueError(f"full: expected one value, got {value!r}; broadcast_to repeats a tensor")
    return Tensor(np.full(_shape("full", (shape,)), one.numpy()), one.dtype, requires_grad, backend)


def zeros_like(x: Tensor) -> Tensor:
    """Zeros of x's shape, dtype and backend.

    >>> zeros_like(ones(2))
    Tensor([0., 0.])
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"zeros_like: expected a Tensor, got {type(x).__name__}")
    return Tensor(np.zeros(x.shape, x.dtype), backend=x.backend)


def ones_like(x: Tensor) -> Tensor:
    """Ones of x's shape, dtype and backend.

    >>> ones_like(zeros(2))
    Tensor([1., 1.])
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"ones_like: expected a Tensor, got {type(x).__name__}")
    return Tensor(np.ones(x.shape, x.dtype), backend=x.backend)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1,
    dtype: Any = None,
    requires_grad: bool = False,
    backend: str | None = None,
) -> Tensor:
    """Numbers from start (0 where only one number is given) up to stop, which is left out, in steps.

    >>> arange(3)
    Tensor([0, 1, 2])
    """
    start, stop = (0, start) if stop is None else (start, stop)
    if not all(is_number(value) for value in (start, stop, step)) or step == 0:
        raise ValueError(f"arange: expected numbers and a step other than 0, got {start!r}, {stop!r}, {step!r}")
    array = np.arange(start, stop, step)
    if dtype is None and array.dtype.kind == "f":
        dtype = float32
    return Tensor(array, dtype, requires_grad, backend)


def rand(*shape: Any, dtype: Any = float32, requires_grad: bool = False, backend: str | None = None) -> Tensor:
    """Uniform random numbers in [0, 1), from the global generator; see `manual_seed`.

    >>> rand(2, 3).shape
    (2, 3)
    """
    drawn = default_generator().random(_shape("rand", shape), _floating("rand", dtype))  # rounding might make it 1
    return Tensor(drawn, None, requires_grad, backend)


def randn(*shape: Any, dtype: Any = float32, requires_grad: bool = False, backend: str | None = None) -> Tensor:
    """Normal random numbers of mean 0 and variance 1, from the global generator; see `manual_seed`.

    >>> randn(2, 3).shape
    (2, 3)
    """
    numbers = default_generator().standard_normal(_shape("randn", shape))
    return Tensor(numbers, _floating("randn", dtype), requires_grad, backend)


def randint(low: int, high: int, shape: Shape, dtype: Any = np.int64, backend: str | None = None) -> Tensor:
    """Random integers from low up to high, which is left out, from the global generator; see `manual_seed`.

    >>> bool((randint(0, 3, (100,)) < 3).data.all())
    True
    """
    if not all(isinstance(bound, (int, np.integer)) for bound in (low, high)) or low >= high:
        raise ValueError(f"randint: low must be an integer below high, got {low!r} and {high!r}")
    return Tensor(default_generator().integers(low, high, _shape("randint", (shape,))), dtype, backend=backend)


def _floating(name: str, dtype: Any) -> Any:
    if dtype not in (float32, float64):
        raise TypeError(f"{name}: dtype must be float32 or float64, got {dtype!r}")
    return dtype


def _shape(name: str, given: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes given as separate arguments or as one sequence."""
    sizes = tuple(given[0]) if len(given) == 1 and isinstance(given[0], (tuple, list)) else given
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 0:
            raise ValueError(f"{name}: sizes must be integers from 0, got {sizes}")
    return tuple(int(size) for size in sizes)
