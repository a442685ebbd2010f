"""PyTorch's names for what the book's code does with tensors: `from minigrad import torch_like as torch`.

Everything here is minigrad's; new is only what the two name differently: `dim` beside `axis`, `size` and `device` where
tensors are made, `cat`, and the methods at the end, which importing this module installs on Tensor. What is missing
says what to write instead. d2l/ has the book's own classes.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from functools import wraps
from typing import Any

from . import creation, nn, ops, optim
from .autograd import enable_grad, is_grad_enabled, no_grad
from .checks import require
from .creation import ones_like, zeros_like
from .nn.checks import finite, not_negative
from .ops import abs, cos, exp, flatten, log, matmul, relu, reshape, sigmoid, sin, sqrt, tanh, where
from .random import manual_seed
from .tensor import Tensor, bool_, float32, float64, int64

double, long, bool = float64, int64, bool_
float = float32


def _sized(create: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function that makes a tensor of some shape, with PyTorch's keywords `size` and `device`."""

    @wraps(create)
    def made(*shape: Any, size: Any = None, device: Any = None, **options: Any) -> Tensor:
        return create(*(shape if size is None else (*shape, tuple(size))), backend=device, **options)

    return made


def _on_device(create: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function that makes a tensor, with PyTorch's keyword `device`."""

    @wraps(create)
    def made(*arguments: Any, device: Any = None, **options: Any) -> Tensor:
        return create(*arguments, backend=device, **options)

    return made


def _with_dim(operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The operation, with PyTorch's keywords `dim` and `keepdim` beside NumPy's."""
    numpy_name = {"dim": "axis", "keepdim": "keepdims"}

    @wraps(operation)
    def renamed(*arguments: Any, **options: Any) -> Tensor:
        return operation(*arguments, **{numpy_name.get(name, name): value for name, value in options.items()})

    return renamed


zeros, ones = _sized(creation.zeros), _sized(creation.ones)
rand, randn = _sized(creation.rand), _sized(creation.randn)
arange, full, tensor = _on_device(creation.arange), _on_device(creation.full), _on_device(creation.tensor)

sum, mean = _with_dim(ops.sum), _with_dim(ops.mean)
argmax, argmin = _with_dim(ops.argmax), _with_dim(ops.argmin)
softmax, log_softmax, logsumexp = _with_dim(ops.softmax), _with_dim(ops.log_softmax), _with_dim(ops.logsumexp)
cat, stack = _with_dim(ops.concatenate), _with_dim(ops.stack)
squeeze, unsqueeze = _with_dim(ops.squeeze), _with_dim(ops.unsqueeze)


def normal(
    mean: builtins.float, std: builtins.float, size: Any, requires_grad: builtins.bool = False, device: Any = None
) -> Tensor:
    """Normal random numbers of that mean and standard deviation, from the global generator; see `manual_seed`.

    >>> normal(0, 0.01, size=(784, 10), requires_grad=True).shape
    (784, 10)

    Raises TypeError for what is no number, ValueError for a std below 0 and what is no shape.
    """
    finite("normal", "mean", mean)
    not_negative("normal", "std", std)
    drawn = creation.randn(size, dtype=float64).numpy() * std + mean
    return Tensor(drawn, float32, requires_grad, device)


def max(x: Tensor, other: Tensor | None = None) -> Tensor:
    """The largest element of x, or with another tensor the larger of each two elements.

    >>> max(Tensor([[-1.0, 2.0]]), zeros_like(Tensor([[-1.0, 2.0]])))
    Tensor([[0., 2.]])

    Raises TypeError for a number of a dimension: PyTorch then returns two tensors, here they are two calls.
    """
    hint = "along a dimension, write x.max(axis=1) for the values and x.argmax(axis=1) for their places"
    require(other is None or isinstance(other, Tensor), "max: the second argument must be a Tensor", other, hint)
    return ops.max(x) if other is None else ops.maximum(x, other)


def zero_(x: Tensor) -> Tensor:
    """Gives x a new array of zeros, and returns x; the book's optimizers write `param.grad.zero_()`.

    Raises RuntimeError for a tensor that requires a gradient, while recording.
    """
    if x.requires_grad and is_grad_enabled():
        raise RuntimeError("zero_: a tensor that requires a gradient can't be changed while recording; see no_grad()")
    x.data = zeros_like(x).data
    return x


INSTEAD = {
    "Size": "a shape is a tuple",
    "clamp": "write x.clip(low, high)",
    "cuda": "see minigrad.d2l.num_gpus() and minigrad.use_backend('cupy')",
    "device": "the name of a backend, such as 'cupy', stands for a device",
    "float16": "there are float32 and float64",
    "from_numpy": "write torch.tensor(array)",
    "load": "see minigrad.load",
    "mm": "write torch.matmul(a, b), or a @ b",
    "mv": "write torch.matmul(a, b), or a @ b",
    "numel": "write x.numel()",
    "randint": "see minigrad.randint(low, high, shape)",
    "save": "see minigrad.save, for model.state_dict()",
    "utils": "see minigrad.data.DataLoader",
    "var": "write x.var(), which divides by N; x.var(ddof=1) divides by N - 1, as PyTorch does",
}


def __getattr__(name: str) -> Any:
    if name.startswith("__"):  # what Python itself looks for
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    instead = INSTEAD.get(name, f"see minigrad.{name}" if hasattr(ops, name) else "dir(minigrad) lists what there is")
    raise AttributeError(f"torch_like has no {name!r}: {instead}")


TENSOR_METHODS: dict[str, Callable[..., Any]] = {
    "type": ops.astype,
    "float": lambda x: ops.astype(x, float32),
    "long": lambda x: ops.astype(x, int64),
    "cpu": lambda x: x if x.backend.name != "cupy" else ops.to(x, "numpy"),
    "view": ops.reshape,
    "numel": lambda x: x.size,
    "zero_": zero_,
}

for _name, _method in TENSOR_METHODS.items():
    setattr(Tensor, _name, _method)

__all__ = [
    "Tensor",
    "abs",
    "arange",
    "argmax",
    "argmin",
    "bool",
    "cat",
    "cos",
    "double",
    "enable_grad",
    "exp",
    "flatten",
    "float",
    "float32",
    "float64",
    "full",
    "int64",
    "is_grad_enabled",
    "log",
    "log_softmax",
    "logsumexp",
    "long",
    "manual_seed",
    "matmul",
    "max",
    "mean",
    "nn",
    "no_grad",
    "normal",
    "ones",
    "ones_like",
    "optim",
    "rand",
    "randn",
    "relu",
    "reshape",
    "sigmoid",
    "sin",
    "softmax",
    "sqrt",
    "squeeze",
    "stack",
    "sum",
    "tanh",
    "tensor",
    "unsqueeze",
    "where",
    "zeros",
    "zeros_like",
]
