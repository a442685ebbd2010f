"""What has another name here than in PyTorch: asking a Tensor or minigrad for it says what to write instead.

`minigrad.torch_like` has many of PyTorch's names for code that is to run as it is.
"""

from __future__ import annotations

from typing import Any

from .tensor import Tensor

OF_TENSORS = {
    "clamp": "x.clip(low, high)",
    "clone": "x itself: nothing writes into a tensor",
    "contiguous": "x itself: operations take any strides",
    "cpu": "x.to('numpy')",
    "cuda": "x.to('cupy')",
    "device": "x.backend",
    "dim": "x.ndim",
    "double": "x.astype('float64')",
    "expand": "x.broadcast_to(shape)",
    "float": "x.astype('float32')",
    "long": "x.astype('int64')",
    "mm": "x @ y",
    "numel": "x.size",
    "permute": "x.transpose(axes)",
    "t": "x.T",
    "view": "x.reshape(shape)",
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


def no_such_attribute(self: Tensor, name: str) -> Any:
    """Called where a Tensor has no attribute of that name.

    >>> Tensor([1.0]).dim()
    Traceback (most recent call last):
    AttributeError: 'Tensor' object has no attribute 'dim'; write x.ndim
    """
    hint = OF_TENSORS.get(name)
    if hint is None and name.endswith("_") and not name.startswith("_"):
        hint = "x = ... with a new tensor: nothing writes into one"
    message = f"{type(self).__name__!r} object has no attribute {name!r}"
    raise AttributeError(f"{message}; write {hint}" if hint else message, name=name, obj=self)


Tensor.__getattr__ = no_such_attribute  # type: ignore[method-assign]
