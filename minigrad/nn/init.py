"""Starting values for parameters, under PyTorch's names.

Every function draws from the global generator (see `minigrad.manual_seed`), on the host whatever the backend, gives the
tensor another array and returns the tensor. No graph records it.

A layer's fan_in and fan_out are the numbers of values that one output is made of, and that one input is used in:
for a weight (O, I, ...) they are I and O times the size of the kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from ..ops.operands import as_number
from ..random import default_generator
from ..tensor import Tensor
from .checks import finite, not_negative, one_of

TensorT = TypeVar("TensorT", bound=Tensor)

GAINS = {"linear": 1.0, "conv2d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much a nonlinearity shrinks the spread of its inputs, to be made up for by larger weights.

    1 for linear, conv2d and sigmoid, 5/3 for tanh, sqrt(2) for relu, 3/4 for selu, and sqrt(2 / (1 + param^2)) for
    leaky_relu, where param is its negative slope, 0.01 unless given.

    >>> calculate_gain("leaky_relu", 1.0)
    1.0
    """
    return _gain("calculate_gain", nonlinearity, 0.01 if param is None else finite("calculate_gain", "param", param))


def _gain(name: str, nonlinearity: str, slope: float) -> float:
    one_of(name, "nonlinearity", nonlinearity, (*GAINS, "leaky_relu"))
    return GAINS[nonlinearity] if nonlinearity in GAINS else math.sqrt(2 / (1 + slope**2))


def uniform_(tensor: TensorT, a: float = 0.0, b: float = 1.0) -> TensorT:
    """Draws from U(a, b). Raises ValueError where a is above b."""
    if finite("uniform_", "a", a) > finite("uniform_", "b", b):
        raise ValueError(f"uniform_: a must not be above b, got {a} and {b}")
    return _set("uniform_", tensor, lambda shape: default_generator().uniform(a, b, shape))


def normal_(tensor: TensorT, mean: float = 0.0, std: float = 1.0) -> TensorT:
    """Draws from N(mean, std^2). Raises ValueError for a std below 0."""
    finite("normal_", "mean", mean)
    not_negative("normal_", "std", std)
    return _set("normal_", tensor, lambda shape: default_generator().normal(mean, std, shape))


def constant_(tensor: TensorT, val: float) -> TensorT:
    """Fills with one value.

    >>> constant_(Tensor([1.0, 2.0]), 0.5)
    Tensor([0.5, 0.5])
    """
    as_number("constant_", "val", val)
    return _set("constant_", tensor, lambda shape: np.full(shape, val))


def zeros_(tensor: TensorT) -> TensorT:
    """Fills with 0."""
    return _set("zeros_", tensor, np.zeros)


def ones_(tensor: TensorT) -> TensorT:
    """Fills with 1."""
    return _set("ones_", tensor, np.ones)


def xavier_uniform_(tensor: TensorT, gain: float = 1.0) -> TensorT:
    """Draws from U(-a, a) with a = gain sqrt(6 / (fan_in + fan_out)).

    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks" (2010): a compromise
    between keeping the variance of values forward and of gradients backward. Raises ValueError below two dimensions.
    """
    fan_in, fan_out = _fans("xavier_uniform_", tensor)
    bound = not_negative("xavier_uniform_", "gain", gain) * math.sqrt(6 / (fan_in + fan_out))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: TensorT, gain: float = 1.0) -> TensorT:
    """Draws from N(0, std^2) with std = gain sqrt(2 / (fan_in + fan_out)); see `xavier_uniform_`."""
    fan_in, fan_out = _fans("xavier_normal_", tensor)
    return normal_(tensor, 0.0, not_negative("xavier_normal_", "gain", gain) * math.sqrt(2 / (fan_in + fan_out)))


def kaiming_uniform_(
    tensor: TensorT, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> TensorT:
    """Draws from U(-b, b) with b = gain sqrt(3 / fan).

    He et al., "Delving deep into rectifiers" (2015): keeps the variance of values forward (mode "fan_in") or that of
    gradients backward ("fan_out") through layers followed by the nonlinearity.

    Args:
        a: the negative slope of leaky_relu; 0, which makes it relu, unless given.
        mode: which fan.
        nonlinearity: see `calculate_gain`.

    Raises ValueError below two dimensions, and for another mode or nonlinearity.
    """
    bound = math.sqrt(3) * _kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(tensor: TensorT, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> TensorT:
    """Draws from N(0, std^2) with std = gain / sqrt(fan); see `kaiming_uniform_`."""
    return normal_(tensor, 0.0, _kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity))


def _kaiming_std(name: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    one_of(name, "mode", mode, ("fan_in", "fan_out"))
    fan_in, fan_out = _fans(name, tensor)
    return _gain(name, nonlinearity, finite(name, "a", a)) / math.sqrt(fan_in if mode == "fan_in" else fan_out)


def _fans(name: str, tensor: Tensor) -> tuple[int, int]:
    _check_floating(name, tensor)
    if tensor.ndim < 2 or tensor.size == 0:
        raise ValueError(
            f"{name}: needs a weight of at least two dimensions, none of size 0, got shape {tensor.shape}; "
            "a bias can start with zeros_ or uniform_"
        )
    O, I, *kernel = tensor.shape
    return I * math.prod(kernel), O * math.prod(kernel)


def _set(name: str, tensor: TensorT, draw: Callable[[tuple[int, ...]], np.ndarray]) -> TensorT:
    _check_floating(name, tensor)
    tensor.data = tensor.backend.from_numpy(draw(tensor.shape).astype(tensor.dtype))
    return tensor


def _check_floating(name: str, tensor: Any) -> None:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name}: expected a Tensor, such as layer.weight, got a {type(tensor).__name__}")
    if tensor.dtype.kind != "f":
        raise TypeError(f"{name}: expected a floating tensor, got {tensor.dtype}")
