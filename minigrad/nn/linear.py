"""The fully connected layer, the layers that only hand on or reshape, and what layers with a weight have in common."""

from __future__ import annotations

import math

import numpy as np

from ..checks import integer
from ..ops import flatten, linear
from ..tensor import Tensor, float32
from . import init
from .checks import flag, positive
from .module import Module
from .parameter import Parameter


class WeightedLayer(Module):
    """A layer with a weight (outputs, inputs, ...) and, unless it is None, a bias (outputs,)."""

    weight: Parameter
    bias: Parameter | None
    groups = 1  # into how many the inputs are divided; each output sees one group

    def _set_inputs(self, inputs: int) -> None:
        """Sets the number of inputs, checked."""
        raise NotImplementedError

    def _weight_shape(self) -> tuple[int, ...]:
        raise NotImplementedError

    def _make_parameters(self, inputs: int, bias: bool) -> None:
        self._set_inputs(inputs)
        self.weight = Parameter(np.zeros(self._weight_shape(), float32))
        self.bias = Parameter(np.zeros(self._weight_shape()[0], float32)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weight and bias as PyTorch does, both from U(-b, b) with b = 1 / sqrt(fan_in).

        For the weight this is kaiming_uniform_ with a = sqrt(5), which stands for nothing but that bound.
        """
        self._draw(self.weight)
        if self.bias is not None:
            self._draw(self.bias)

    def _draw(self, parameter: Parameter) -> None:
        bound = 1 / math.sqrt(math.prod(self.weight.shape[1:]))
        init.uniform_(parameter, -bound, bound)


class Linear(WeightedLayer):
    """The fully connected layer y = x W^T + b, (..., in_features) to (..., out_features); see `functional.linear`.

    Attributes:
        weight: (out_features, in_features)
        bias: (out_features,), or None

    >>> Linear(400, 120)
    Linear(in_features=400, out_features=120, bias=True)

    Raises TypeError for sizes that are no integers, ValueError for sizes below 1.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        name = type(self).__name__
        self.out_features = positive(name, "out_features", out_features)
        self._make_parameters(in_features, flag(name, "bias", bias))

    def _set_inputs(self, inputs: int) -> None:
        self.in_features = positive(type(self).__name__, "in_features", inputs)

    def _weight_shape(self) -> tuple[int, ...]:
        return self.out_features, self.in_features

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Flatten(Module):
    """The dimensions from start_dim to end_dim (included) made into one; by default all but the batch's.

    >>> Flatten()(Tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    Tensor([[1., 2., 3., 4.]])

    Raises TypeError for dimensions that are no integers, ValueError where the first comes after the last.
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = integer("Flatten", "start_dim", start_dim)
        self.end_dim = integer("Flatten", "end_dim", end_dim)
        if start_dim > end_dim and (start_dim < 0) == (end_dim < 0):  # for other signs it depends on the input
            raise ValueError(f"Flatten: start_dim {start_dim} comes after end_dim {end_dim}")

    def forward(self, input: Tensor) -> Tensor:
        return flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Identity(Module):
    """Hands on what it is given."""

    def forward(self, input: Tensor) -> Tensor:
        return input
