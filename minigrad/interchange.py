"""Tensors and other libraries: their arrays as tensors, and a tensor's numbers as NumPy's, PyTorch's, CuPy's arrays;
and tensors copied, and pickled on their way to another process.

NumPy gets a copy of what is on the CPU, and an error for what is on a GPU: nothing moves between the two unless it is
asked to. DLPack, which PyTorch and CuPy speak, gets a copy in the memory that the tensor is in. It is a copy since
others may write into what they get, and arrays are values here; `tensor.data` is the array itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .backends import BackendError, get_backend
from .checks import require
from .tensor import Tensor


def from_dlpack(x: Any) -> Tensor:
    """A tensor with the numbers of another library's array, copied, since arrays are values here.

    The copy is made in the memory that the array is in: one on the CPU goes to the default backend, as all new tensors
    do, and one on an NVIDIA GPU becomes a tensor of the cupy backend with no detour by the host. `Tensor(x)` does the
    same. In the other direction, write `torch.from_dlpack(tensor)`.

    Args:
        x: an array of PyTorch, CuPy, ... that has `__dlpack__`.

    Raises:
        TypeError: where x has none, or cannot be taken over: a PyTorch tensor that requires a gradient for example.

    >>> from_dlpack(np.arange(3))
    Tensor([0, 1, 2])
    """
    require(hasattr(x, "__dlpack__"), "from_dlpack: expected an array with __dlpack__", x, "Tensor(...) takes others")
    return Tensor(x)


def _array(self: Tensor, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    if self.backend.ndarray is not np.ndarray:
        where = f"this tensor is on the {self.backend.name} backend, and NumPy cannot see its numbers"
        raise TypeError(f"{where}; write x.numpy() for a NumPy array of them, or x.to('numpy') for a tensor")
    if copy is False:
        raise ValueError("a Tensor gives its array away as a copy only; read tensor.data for the array itself")
    numbers = self.numpy()
    return numbers if dtype is None else numbers.astype(dtype, copy=False)


def _dlpack(self: Tensor, *, copy: bool | None = None, **options: Any) -> Any:
    """A copy of the array as a DLPack capsule; the options are those of the array's own `__dlpack__`."""
    _require_no_gradient(self, BufferError, "__dlpack__")
    if copy is False:
        raise BufferError("a Tensor gives its array away as a copy only; pass tensor.data on for the array itself")
    return self.data.copy().__dlpack__(**options)


def _dlpack_device(self: Tensor) -> tuple[int, int]:
    """The kind of memory and the device's number, as DLPack numbers them."""
    return self.data.__dlpack_device__()


def _cuda_array_interface(self: Tensor) -> dict[str, Any]:
    """Where the array is in a GPU's memory; the CPU's tensors have no such attribute.

    It is the array itself, not a copy: give the tensor no other `data` as long as somebody reads it.
    """
    described = self._data.__cuda_array_interface__  # AttributeError on the CPU
    _require_no_gradient(self, RuntimeError, "__cuda_array_interface__")
    return described


def _require_no_gradient(tensor: Tensor, error: type[Exception], asked: str) -> None:
    if tensor.requires_grad:
        raise error(f"{asked}: this tensor requires a gradient, of which others know nothing; detach() it first")


def _deepcopy(self: Tensor, memo: dict[int, Any]) -> Tensor:
    if self.grad_fn is not None:
        raise RuntimeError("only leaf tensors can be deep-copied; this one was computed: detach() it first")
    copy = type(self)._wrap(self._data.copy(), self.backend).requires_grad_(self.requires_grad)
    memo[id(self)] = copy
    copy.grad = None if self.grad is None else Tensor._wrap(self.grad._data.copy(), self.grad.backend)
    return copy


def _reduce(self: Tensor) -> tuple[Any, ...]:
    if self.grad_fn is not None:
        raise RuntimeError("only leaf tensors can be pickled; this one was computed: detach() it first")
    return _unpickle, (type(self), self.numpy(), self.requires_grad, self.backend.name)


def _unpickle(kind: type[Tensor], array: np.ndarray, requires_grad: bool, backend: str) -> Tensor:
    try:
        data = get_backend(backend).from_numpy(array)
    except BackendError as error:
        advice = "or pickle x.to('numpy'), which can be read anywhere"
        raise BackendError(f"this tensor was pickled on the {backend} backend, and {error}; {advice}") from error
    return kind._wrap(data, get_backend(backend)).requires_grad_(requires_grad)


TENSOR_METHODS = {
    "__array__": _array,
    "__cuda_array_interface__": property(_cuda_array_interface),
    "__deepcopy__": _deepcopy,
    "__dlpack__": _dlpack,
    "__dlpack_device__": _dlpack_device,
    "__reduce__": _reduce,
}

for _name, _method in TENSOR_METHODS.items():
    setattr(Tensor, _name, _method)
