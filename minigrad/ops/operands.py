"""Making what the user gave fit together: numbers, arrays and tensors as operands of one operation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import is_number
from ..backends import Backend, default_backend
from ..tensor import Tensor, bool_, float32, int64

NUMBERS = (float, int)  # the plain Python numbers; bool, a kind of int, is none of them


def operands(name: str, *values: Any, backend: Backend | None = None) -> tuple[Tensor, ...]:
    """The values as Tensors of one dtype, on the given backend where none of them is a Tensor.

    Numbers adopt the backend and dtype of the tensors, arrays become tensors, integers and booleans become the floating
    dtype beside them. Raises TypeError for float32 beside float64, as nothing is converted silently, and for anything
    that is no number, array or Tensor.
    """
    # The usual cases are decided fast: tensors of one dtype, and a floating tensor with a Python number.
    for value in values:
        if not isinstance(value, Tensor) or value._data.dtype is not values[0]._data.dtype:
            break
    else:
        return values
    if len(values) == 2:
        a, b = values
        if type(b) in NUMBERS and is_floating(a):
            return a, _number_tensor(name, b, a._data.dtype, a.backend)
        if type(a) in NUMBERS and is_floating(b):
            return _number_tensor(name, a, b._data.dtype, b.backend), b
    tensors = [value for value in values if isinstance(value, Tensor)]
    backend = tensors[0].backend if tensors else backend or default_backend()
    for value in values:
        if not is_operand(value):
            raise TypeError(f"{name}: expected a Tensor, an array or a number, got {value!r}")
    values = tuple(v if isinstance(v, Tensor) or is_number(v) else Tensor(v, backend=backend) for v in values)
    dtype = common_dtype(name, values)
    return tuple(
        as_dtype(v, dtype) if isinstance(v, Tensor) else _number_tensor(name, v, dtype, backend) for v in values
    )


def is_floating(value: Any) -> bool:
    """Whether it is a floating Tensor, which can take a plain Python number beside it as it is."""
    return isinstance(value, Tensor) and value._data.dtype.kind == "f"


def is_operand(value: Any) -> bool:
    """Whether an operation takes the value in a Tensor's place."""
    return isinstance(value, (Tensor, np.ndarray, list, tuple)) or is_number(value)


def _number_tensor(name: str, value: Any, dtype: np.dtype, backend: Backend) -> Tensor:
    if isinstance(value, np.generic):
        value = value.item()  # NumPy would cut its own integers to size
    try:
        number = dtype.type(value)
    except OverflowError:
        raise ValueError(f"{name}: the number {value} does not fit into {dtype}") from None
    xp = backend.xp
    return Tensor._wrap(number if xp is np else xp.full((), number.item(), dtype), backend)  # a GPU is sent no array


def common_dtype(name: str, values: tuple[Any, ...]) -> np.dtype:
    """The dtype in which tensors and numbers meet."""
    dtypes = {value.dtype for value in values if isinstance(value, Tensor)}
    floating = {dtype for dtype in dtypes if dtype.kind == "f"}
    if len(floating) > 1:
        raise TypeError(
            f"{name}: float32 and float64 do not mix; convert one with .astype('float32') or .astype('float64')"
        )
    numbers = [np.asarray(value).dtype.kind for value in values if not isinstance(value, Tensor)]
    if "c" in numbers:
        raise TypeError(f"{name}: complex numbers are not supported")
    if floating:
        return floating.pop()
    if "f" in numbers:
        return float32
    if dtypes - {bool_}:
        common = np.result_type(*dtypes)
        if common.kind == "f":  # NumPy's way out where no integer dtype holds both
            names = " and ".join(sorted(map(str, dtypes)))
            raise TypeError(f"{name}: {names} do not mix; convert one with .astype('int64')")
        return common
    return bool_ if numbers.count("b") == len(numbers) else int64


def as_dtype(tensor: Tensor, dtype: np.dtype) -> Tensor:
    """An integer or boolean tensor in another dtype; the same tensor where it has that dtype."""
    return tensor if tensor.dtype == dtype else Tensor._wrap(tensor._data.astype(dtype), tensor.backend)


def floating(name: str, value: Any) -> Tensor:
    """The value as a floating Tensor: integers and booleans become float32, floating tensors stay as they are."""
    tensor = value if isinstance(value, Tensor) else as_tensor(name, value)
    return tensor if tensor._data.dtype.kind == "f" else as_dtype(tensor, float32)


def as_tensor(name: str, value: Any, backend: Backend | None = None) -> Tensor:
    """The value as a Tensor; raises TypeError with the operation's name for what cannot be one."""
    if isinstance(value, Tensor):
        return value
    if is_operand(value):
        return Tensor(value, backend=backend)
    raise TypeError(f"{name}: expected a Tensor, got {type(value).__name__}")


def as_number(name: str, what: str, value: Any) -> int | float:
    """The value of a parameter as a Python number, which no operation takes for a reason to change its dtype."""
    if not is_number(value) or isinstance(value, (complex, np.complexfloating)):
        raise TypeError(f"{name}: {what} must be a number, got {value!r}")
    return value.item() if isinstance(value, np.generic) else value


def normalize_axis(name: str, axis: int, ndim: int) -> int:
    """One axis as a number from 0; raises as normalize_axes does, and TypeError for None and for several."""
    if type(axis) is int and -ndim <= axis < ndim:
        return axis % ndim
    if axis is None or isinstance(axis, (tuple, list)):
        raise TypeError(f"{name}: an axis must be an integer, got {axis!r}")
    return normalize_axes(name, axis, ndim)[0]


def normalize_axes(name: str, axis: int | tuple[int, ...] | None, ndim: int) -> tuple[int, ...]:
    """The axes as ascending numbers from 0; all of them for None. Raises ValueError for one out of range or twice."""
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = []
    for a in given:
        if isinstance(a, bool) or not isinstance(a, (int, np.integer)):
            raise TypeError(f"{name}: an axis must be an integer, got {a!r}")
        if not -ndim <= a < ndim:
            raise ValueError(f"{name}: axis {a} is out of range for a tensor of {ndim} dimensions")
        axes.append(int(a) % ndim)
    if len(set(axes)) < len(axes):
        raise ValueError(f"{name}: axes {axis} name one dimension twice")
    return tuple(sorted(axes))
