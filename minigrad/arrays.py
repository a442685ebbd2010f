"""What the user gives, as a new array of a backend: numbers, nested lists, arrays of NumPy and of other libraries.

An array in a GPU's memory stays there. Nothing here brings one to the host but where another backend is named.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .backends import SCALARS, Backend, default_backend, get_backend

# How DLPack, by which libraries hand arrays to each other, numbers the kinds of memory.
HOST_MEMORY = (1, 3)  # ordinary, and pinned for CUDA
CUDA_MEMORY = (2, 13)  # ordinary, and managed


class NotAnArray(TypeError):
    """What an operation returned is no array of its backend."""


def new_array(data: Any, dtype: Any, backend: Backend | None) -> tuple[Any, Backend]:
    """A new array of a dtype that tensors have, and its backend: by default cupy for what is in a GPU's memory.

    Raises TypeError for what are no numbers.
    """
    if not isinstance(data, np.ndarray) and hasattr(data, "__dlpack_device__"):
        data = _shared(data)
        if not isinstance(data, np.ndarray):
            device = get_backend("cupy")
            if backend in (None, device):
                return data.astype(_dtype_for(data, dtype, data.dtype)), device
            data = device.to_numpy(data)
    backend = backend or default_backend()
    return backend.from_numpy(_host_array(data, dtype)), backend


def _shared(data: Any) -> Any:
    """Another library's array as NumPy's or CuPy's, in the memory that it is in."""
    kind, number = data.__dlpack_device__()
    if kind in HOST_MEMORY:
        module: Any = np
    elif kind in CUDA_MEMORY:
        device = get_backend("cupy")
        device.check_usable()
        module = device.xp
    else:
        where = f"a device that minigrad has no backend for, {kind}:{number} in DLPack's numbers"
        raise TypeError(f"Tensor: the data of this {type_name(data)} are on {where}; copy them to the CPU first")
    if isinstance(data, module.ndarray):
        return data
    try:
        return module.from_dlpack(data)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise TypeError(f"Tensor: cannot take over this {type_name(data)}: {error}") from error


def _host_array(data: Any, dtype: Any) -> np.ndarray:
    if _needs_gradient(data):
        raise TypeError(
            "Tensor: a list of tensors that require gradients would lose them; use stack(), or detach() them"
        )
    try:
        found = np.asarray(data)
        numbers = found.dtype.kind in "fiub" or _are_integers(found)
        array = np.array(data, dtype) if numbers else found  # of words and None, NumPy would make numbers, too
    except (TypeError, ValueError, OverflowError) as error:
        hint = "; rows must have one length (stack() joins tensors)" if "inhomogeneous" in str(error) else ""
        raise TypeError(f"Tensor: cannot make an array of this {type_name(data)}: {error}{hint}") from error
    return array.astype(_dtype_for(data, dtype if numbers else None, array.dtype), copy=False)


def _dtype_for(data: Any, asked: Any, found: np.dtype) -> np.dtype:
    """The dtype that a tensor of the data gets, when an array of them has the one found."""
    found = found if asked is None else np.dtype(asked)
    if found.kind not in "fiub" or found.itemsize > 8:
        raise TypeError(f"Tensor: expected floats, integers or booleans, got a {type_name(data)} of {found}")
    made_from_python = not (hasattr(data, "__dlpack__") or isinstance(data, np.generic))
    if asked is None and found.kind == "f" and (made_from_python or found.itemsize < 4):
        return np.dtype(np.float32)
    if found == np.float16:
        raise TypeError("Tensor: float16 is not supported; use float32")
    return found.newbyteorder("=")


def _are_integers(array: np.ndarray) -> bool:
    """Whether these are Python's, some of them too large for int64."""
    return array.dtype.kind == "O" and all(type(value) is int for value in array.flat)


def _needs_gradient(value: Any) -> bool:
    """Whether a list holds a tensor that requires a gradient: NumPy would take the numbers and no more."""
    if type(value) in (list, tuple):
        return any(_needs_gradient(v) for v in value if type(v) is not float and type(v) is not int)
    return getattr(value, "requires_grad", False) is True


def as_result(result: Any, backend: Backend) -> Any:
    """What an operation returned as an array of its backend. NumPy makes scalars of 0-d results: SCALARS stay that."""
    if isinstance(result, np.generic) and backend.on_host:
        return result if type(result) in SCALARS else np.asarray(result)
    if isinstance(result, backend.ndarray):
        return result if type(result) is backend.ndarray else backend.xp.asarray(result)
    hint = ""
    if isinstance(result, (np.ndarray, np.generic)):
        hint = f", and those of the {backend.name} backend are not NumPy's: compute with self.xp in place of numpy"
    raise NotAnArray(f"forward must return an array or a tuple of arrays, got a {type_name(result)}{hint}")


def type_name(value: Any) -> str:
    """The type's name with its module, for messages."""
    return f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins.")


def is_number(value: Any) -> bool:
    """Whether the value is a scalar that adopts its tensor's dtype: a Python number or a NumPy one."""
    return isinstance(value, (int, float, complex, np.number, np.bool_))
