"""Layers that learn the number of their inputs from the first batch, and then become the ordinary layer.

Until then their parameters are `UninitializedParameter`s (parameter.py), which an optimizer accepts. Loading a state
into a lazy layer has the same effect as a first batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ops.geometry import Pair
from ..ops.operands import as_tensor
from ..tensor import Tensor
from .conv import Conv2d
from .linear import Linear, WeightedLayer
from .parameter import UninitializedParameter


class _Lazy(WeightedLayer):
    """Comes before the ordinary layer among the bases of a lazy one, and has the lazy one's differences."""

    plain: type[WeightedLayer]  # the ordinary layer

    def _count_inputs(self, shape: tuple[int, ...]) -> int:
        """The number of inputs that a batch of that shape has; raises ValueError where there is none."""
        raise NotImplementedError

    def _make_parameters(self, inputs: int, bias: bool) -> None:
        self.weight = UninitializedParameter()
        self.bias = UninitializedParameter() if bias else None

    def forward(self, input: Tensor) -> Tensor:
        self._become_plain(self._count_inputs(as_tensor(type(self).__name__, input).shape))
        return self.forward(input)  # the ordinary layer's

    def _become_plain(self, inputs: int) -> None:
        """Draws those parameters that no state has filled, and changes the class."""
        self._set_inputs(inputs)
        weight_shape = self._weight_shape()
        for parameter, shape in ((self.weight, weight_shape), (self.bias, weight_shape[:1])):
            if isinstance(parameter, UninitializedParameter):
                parameter.materialize(shape)
                self._draw(parameter)
        self.__class__ = self.plain  # type: ignore[assignment]

    def _expected_shape(self, name: str, given: tuple[int, ...]) -> tuple[int, ...]:
        if not isinstance(vars(self)[name], UninitializedParameter):
            return super()._expected_shape(name, given)
        outputs, _, *kernel = self._weight_shape()
        any_inputs = max(given[1], 1) if len(given) > 1 else 1
        return (outputs, any_inputs, *kernel) if name == "weight" else (outputs,)

    def _load(self, arrays: Mapping[str, Any]) -> None:
        for name, array in arrays.items():
            parameter = vars(self)[name]
            if isinstance(parameter, UninitializedParameter):
                parameter.materialize(array.shape)
        super()._load(arrays)
        if "weight" in arrays:
            self._become_plain(arrays["weight"].shape[1] * self.groups)


class LazyLinear(_Lazy, Linear):
    """A Linear whose in_features are those of the first batch. Then it becomes one: `type(layer) is Linear`.

    >>> layer = LazyLinear(2)
    >>> layer.weight
    UninitializedParameter()
    >>> layer(Tensor([[1.0, 2.0, 3.0]])).shape
    (1, 2)
    >>> layer
    Linear(in_features=3, out_features=2, bias=True)
    """

    plain = Linear
    in_features = 0

    def __init__(self, out_features: int, bias: bool = True) -> None:
        super().__init__(0, out_features, bias)

    def _count_inputs(self, shape: tuple[int, ...]) -> int:
        if not shape:
            raise ValueError("LazyLinear: expected input (..., in_features), got a 0-d tensor")
        return shape[-1]


class LazyConv2d(_Lazy, Conv2d):
    """A Conv2d whose in_channels are those of the first batch. Then it becomes one: `type(layer) is Conv2d`.

    Takes what Conv2d takes, without in_channels.
    """

    plain = Conv2d
    in_channels = 0

    def __init__(
        self,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair | str = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(0, out_channels, kernel_size, stride, padding, dilation, groups, bias)

    def _count_inputs(self, shape: tuple[int, ...]) -> int:
        if len(shape) != 4:
            raise ValueError(f"LazyConv2d: expected input (N, C, H, W), got shape {shape}")
        return shape[1]
