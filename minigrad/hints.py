"""What has another name here than in PyTorch: asking a Tensor or minigrad for it says what to write instead.

`minigrad.torch_like` has many of PyTorch's names for code that is to run as it is.
"""

from __future__ import annotations

from inspect import getattr_static
from typing import NoReturn

from .tensor import Tensor

_OTHER_VALUES = "x.data = array  # a leaf's other values; nothing writes into those that are there"
OF_TENSORS = {
    "clamp": "x.clip(low, high)",
    "clone": "x.detach()  # the values as they are now; nothing writes into them",
    "contiguous": "x  # operations take any strides",
    "cpu": "x.to('numpy')  # where its backend is cupy; all others are on the CPU",
    "cuda": "x.to('cupy')",
    "device": "x.backend",
    "dim": "x.ndim",
    "double": "x.astype('float64')",
    "expand": "x.broadcast_to(shape)  # with each size in it, no -1",
    "float": "x.astype('float32')",
    "long": "x.astype('int64')",
    "mm": "x @ y",
    "numel": "x.size",
    "permute": "x.transpose(axes)",
    "t": "x.T",
    "view": "x.reshape(shape)",
    **dict.fromkeys(("add_", "sub_", "mul_", "div_", "clamp_", "copy_", "fill_", "zero_"), _OTHER_VALUES),
}
OF_MINIGRAD = {
    "cat": "minigrad.concatenate(tensors, axis)",
    "clamp": "x.clip(low, high)",
    "from_numpy": "minigrad.tensor(array)",
    "inference_mode": "minigrad.no_grad()",
    "mm": "a @ b",
    "permute": "x.transpose(axes)",
    "utils": "minigrad.data.DataLoader",
}


class Missing:
    """An attribute that a Tensor does not have: asking for it raises AttributeError with what to write instead.

    There is one for each name, and no `__getattr__`: with that, CPython takes longer to find attributes that are there,
    and a chain of scalar operations takes a sixth longer.

    >>> Tensor([1.0]).dim()
    Traceback (most recent call last):
    AttributeError: 'Tensor' object has no attribute 'dim'; write x.ndim
    """

    def __init__(self, name: str, instead: str) -> None:
        self.name, self.instead = name, instead

    def __get__(self, tensor: Tensor | None, kind: type[Tensor]) -> NoReturn:
        message = f"{kind.__name__!r} object has no attribute {self.name!r}; write {self.instead}"
        raise AttributeError(message, name=self.name, obj=tensor)


def _dir(self: Tensor) -> list[str]:
    return [name for name in object.__dir__(self) if not isinstance(getattr_static(self, name, None), Missing)]


Tensor.__dir__ = _dir  # type: ignore[assignment,method-assign]
for _name, _instead in OF_TENSORS.items():
    setattr(Tensor, _name, Missing(_name, _instead))
