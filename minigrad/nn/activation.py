"""Activation functions as layers; the functions themselves are in minigrad/ops/activation.py."""

from __future__ import annotations

from ..checks import integer
from ..ops import leaky_relu, relu, sigmoid, softmax, softplus, tanh
from ..tensor import Tensor
from .checks import finite
from .module import Module


class Sigmoid(Module):
    """1 / (1 + e^-x), element by element."""

    def forward(self, input: Tensor) -> Tensor:
        return sigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent, element by element."""

    def forward(self, input: Tensor) -> Tensor:
        return tanh(input)


class ReLU(Module):
    """max(x, 0), element by element."""

    def forward(self, input: Tensor) -> Tensor:
        return relu(input)


class LeakyReLU(Module):
    """x where x > 0, else negative_slope x."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = float(finite("LeakyReLU", "negative_slope", negative_slope))

    def forward(self, input: Tensor) -> Tensor:
        return leaky_relu(input, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class Softplus(Module):
    """ln(1 + e^x), element by element: a smooth ReLU."""

    def forward(self, input: Tensor) -> Tensor:
        return softplus(input)


class Softmax(Module):
    """e^x / sum e^x along an axis. Not for before CrossEntropyLoss, which takes the logits themselves."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = integer("Softmax", "axis", axis)

    def forward(self, input: Tensor) -> Tensor:
        return softmax(input, self.axis)

    def extra_repr(self) -> str:
        return f"axis={self.axis}"
