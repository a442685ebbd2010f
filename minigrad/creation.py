"""Making tensors: of constants, ranges and random numbers. dtype, requires_grad and backend are as for Tensor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .arrays import is_number
from .backends import Backend, default_backend, get_backend
from .checks import require
from .random import default_generator
from .tensor import Tensor, float32, float64, int64

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
    return _filled(_shape("zeros", shape), 0, _dtype("zeros", dtype), requires_grad, backend)


def ones(*shape: Any, dtype: Any = float32, requires_grad: bool = False, backend: str | None = None) -> Tensor:
    """A tensor of ones.

    >>> ones(2)
    Tensor([1., 1.])
    """
    return _filled(_shape("ones", shape), 1, _dtype("ones", dtype), requires_grad, backend)


def full(
    shape: Shape, value: float, dtype: Any = None, requires_grad: bool = False, backend: str | None = None
) -> Tensor:
    """A tensor filled with one value.

    >>> full((2,), 7)
    Tensor([7, 7])
    """
    require(is_number(value), "full: expected one number", value, "broadcast_to repeats a tensor")
    dtype = None if dtype is None else _dtype("full", dtype)
    return _filled(_shape("full", (shape,)), value, dtype, requires_grad, backend)


def zeros_like(x: Tensor) -> Tensor:
    """Zeros of x's shape, dtype and backend.

    >>> zeros_like(ones(2))
    Tensor([0., 0.])
    """
    require(isinstance(x, Tensor), "zeros_like: expected a Tensor", x)
    return Tensor._wrap(x.backend.full(x.shape, 0, x.dtype), x.backend)


def ones_like(x: Tensor) -> Tensor:
    """Ones of x's shape, dtype and backend.

    >>> ones_like(zeros(2))
    Tensor([1., 1.])
    """
    require(isinstance(x, Tensor), "ones_like: expected a Tensor", x)
    return Tensor._wrap(x.backend.full(x.shape, 1, x.dtype), x.backend)


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
    given = f"got {start!r}, {stop!r}, {step!r}"
    if not all(_is_finite(value) for value in (start, stop, step)) or step == 0:
        raise ValueError(f"arange: expected finite numbers and a step other than 0, {given}")
    try:
        array = np.arange(start, stop, step)
    except ValueError as error:
        raise ValueError(f"arange: {error}, {given}") from None
    if dtype is None:
        dtype = float32 if array.dtype.kind == "f" else array.dtype
    return Tensor(array, _dtype("arange", dtype), requires_grad, backend)


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
    dtype = _dtype("randint", dtype)
    limits = np.iinfo(dtype if dtype.kind in "iu" else int64)
    if low < limits.min or high - 1 > min(limits.max, np.iinfo(int64).max):
        raise ValueError(f"randint: the numbers from {low} to {high - 1} do not all fit into {dtype}")
    return Tensor(default_generator().integers(low, high, _shape("randint", (shape,))), dtype, backend=backend)


def _filled(
    shape: tuple[int, ...], value: float, dtype: Any, requires_grad: bool, backend: str | Backend | None
) -> Tensor:
    one = Tensor(value, dtype, backend="numpy")  # the number as the dtype has it
    home = default_backend() if backend is None else get_backend(backend)
    return Tensor._wrap(home.full(shape, one.item(), one.dtype), home).requires_grad_(requires_grad)


def _floating(name: str, dtype: Any) -> np.dtype:
    wanted = _dtype(name, dtype)
    if wanted not in (float32, float64):
        raise TypeError(f"{name}: dtype must be float32 or float64, got {dtype!r}")
    return wanted


def _dtype(name: str, dtype: Any) -> np.dtype:
    """The dtype; float32 for None, which NumPy would take for float64."""
    try:
        wanted = float32 if dtype is None else np.dtype(dtype)
    except TypeError:
        wanted = None
    if wanted is None or wanted.kind not in "fiub" or wanted.itemsize > 8 or wanted == np.float16:
        raise TypeError(f"{name}: dtype must be float32, float64, an integer dtype or bool, got {dtype!r}")
    return wanted


def _is_finite(value: Any) -> bool:
    return is_number(value) and not isinstance(value, (bool, complex, np.complexfloating)) and math.isfinite(value)


def _shape(name: str, given: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes given as separate arguments or as one sequence."""
    sizes = tuple(given[0]) if len(given) == 1 and isinstance(given[0], (tuple, list)) else given
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 0:
            raise ValueError(f"{name}: sizes must be integers from 0, got {sizes}")
    return tuple(int(size) for size in sizes)
