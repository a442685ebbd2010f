"""The convolution layer; the operation is in minigrad/ops/conv.py."""

from __future__ import annotations

from ..ops import conv2d
from ..ops.conv import conv_padding
from ..ops.geometry import Pair, pair
from ..tensor import Tensor
from .checks import flag, positive
from .linear import WeightedLayer


class Conv2d(WeightedLayer):
    """Two-dimensional convolution of images, (N, C, H, W) to (N, O, OH, OW); see `functional.conv2d` for the formulas.

    Args:
        in_channels, out_channels: C and O.
        kernel_size: KH, KW, in pixels; here and below an integer, or a pair (height, width).
        stride: how far the kernel moves from one output pixel to the next.
        padding: zeros on each side of the image; "valid" is 0, and "same" keeps the image's size (stride 1).
        dilation: the distance between neighbouring taps of the kernel.
        groups: into how many groups the channels are divided; the outputs of a group see the inputs of that group only.
        bias: whether to add one number to each output channel.

    Attributes:
        weight: (out_channels, in_channels / groups, KH, KW)
        bias: (out_channels,), or None

    >>> Conv2d(1, 6, kernel_size=5, padding=2)
    Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))

    Raises TypeError or ValueError for sizes that are not whole numbers, and channels that don't divide into groups.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair | str = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        name = type(self).__name__
        self.out_channels = positive(name, "out_channels", out_channels)
        self.kernel_size = pair(name, "kernel_size", kernel_size, 1)
        self.stride = pair(name, "stride", stride, 1)
        self.dilation = pair(name, "dilation", dilation, 1)
        self.groups = positive(name, "groups", groups)
        self.padding = conv_padding(name, padding, self.stride)
        if out_channels % groups:
            raise ValueError(f"{name}: {out_channels} output channels do not divide into {groups} groups")
        self._make_parameters(in_channels, flag(name, "bias", bias))

    def _set_inputs(self, inputs: int) -> None:
        name = type(self).__name__
        inputs = positive(name, "in_channels", inputs)
        if inputs % self.groups:
            raise ValueError(f"{name}: {inputs} input channels do not divide into {self.groups} groups")
        self.in_channels = inputs

    def _weight_shape(self) -> tuple[int, ...]:
        return self.out_channels, self.in_channels // self.groups, *self.kernel_size

    def forward(self, input: Tensor) -> Tensor:
        return conv2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        parts = [
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}",
            f"padding={self.padding}" if self.padding not in ((0, 0), "valid") else "",
            f"dilation={self.dilation}" if self.dilation != (1, 1) else "",
            f"groups={self.groups}" if self.groups > 1 else "",
            "bias=False" if self.bias is None else "",
        ]
        return ", ".join(filter(None, parts))
