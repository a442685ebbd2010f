"""Pooling: by average, with its spreading back; by maximum, as a gather of each window's winner and its scatter.

Letters as in backends/contract.py: N batch, C channels, H and W image, KH and KW window, OH and OW output.
"""

from __future__ import annotations

from typing import Any

from ..autograd.function import Function
from ..checks import flag
from ..tensor import Tensor
from .geometry import Pair, check_fits, pair
from .operands import floating


class _Pooling(Function):
    kernel: Pair
    stride: Pair
    padding: Pair

    @property
    def geometry(self) -> dict[str, Any]:
        return {"kernel": self.kernel, "stride": self.stride, "padding": self.padding}


class AvgPool2d(_Pooling):
    """y = the mean of each window;   dL/dx = each dL/dy spread evenly over its window"""

    count_include_pad: bool

    def forward(self, x):
        return self.kernels.avg_pool2d(x, self.kernel, self.stride, self.padding, self.count_include_pad)

    def backward(self, dy):
        (x,) = self.inputs
        counted = self.count_include_pad
        return (AvgPool2dGrad.apply(dy, image=x.shape[2:], **self.geometry, count_include_pad=counted),)


class AvgPool2dGrad(_Pooling):
    """g(d), the adjoint of average pooling;   dL/dd = the mean of dL/dg over each window"""

    image: Pair
    count_include_pad: bool

    def forward(self, d):
        return self.kernels.avg_pool2d_grad(
            d, self.image, self.kernel, self.stride, self.padding, self.count_include_pad
        )

    def backward(self, dg):
        return (AvgPool2d.apply(dg, **self.geometry, count_include_pad=self.count_include_pad),)


class MaxPool2d(_Pooling):
    """y = x at each window's winner, its first maximum;   dL/dx = each dL/dy at its winner"""

    def forward(self, x):
        y, self.winners = self.kernels.max_pool2d(x, self.kernel, self.stride, self.padding)
        return y

    def backward(self, dy):
        (x,) = self.inputs
        return (MaxPool2dScatter.apply(dy, winners=self.winners, image=x.shape[2:], **self.geometry),)


class MaxPool2dScatter(_Pooling):
    """g(d) = d put at the winners, summed where windows share one;   dL/dd = dL/dg read at the winners"""

    winners: Any
    image: Pair

    def forward(self, d):
        return self.kernels.max_pool2d_scatter(d, self.winners, self.image, self.kernel, self.stride, self.padding)

    def backward(self, dg):
        return (MaxPool2dGather.apply(dg, winners=self.winners, **self.geometry),)


class MaxPool2dGather(_Pooling):
    """y = x at given winners;   dL/dx = each dL/dy at its winner"""

    winners: Any

    def forward(self, x):
        return self.kernels.max_pool2d_gather(x, self.winners, self.kernel, self.stride, self.padding)

    def backward(self, dy):
        (x,) = self.inputs
        return (MaxPool2dScatter.apply(dy, winners=self.winners, image=x.shape[2:], **self.geometry),)


def avg_pool2d(
    input: Tensor,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    *,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of the images.

    Args:
        input: (N, C, H, W), floating.
        kernel_size: KH, KW, the window, in pixels.
        stride: how far the window moves, in pixels; None: by its own size.
        padding: zeros on each side of the image, at most half the window.
        count_include_pad: whether padding counts when a sum is divided by the number of pixels.

    Returns: (N, C, OH, OW) with OH = (H + 2 PH - KH) // SH + 1, OW likewise.

    >>> avg_pool2d(Tensor([[[[0.0, 1.0], [2.0, 3.0]]]]), 2)
    Tensor([[[[1.5]]]])

    Raises ValueError where the window does not fit, and for sizes that are not whole numbers.
    """
    input, geometry = _windows("avg_pool2d", input, kernel_size, stride, padding)
    counted = flag("avg_pool2d", "count_include_pad", count_include_pad)
    return AvgPool2d.apply(input, **geometry, count_include_pad=counted)


def max_pool2d(
    input: Tensor, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
) -> Tensor:
    """The maximum of each window of the images. The gradient goes to the first maximum in row-major order.

    Args:
        input: (N, C, H, W), floating.
        kernel_size: KH, KW, the window, in pixels.
        stride: how far the window moves, in pixels; None: by its own size.
        padding: on each side of the image, at most half the window, with minus infinity: padding never wins.

    Returns: (N, C, OH, OW) with OH = (H + 2 PH - KH) // SH + 1, OW likewise.

    >>> max_pool2d(Tensor([[[[0.0, 1.0], [2.0, 3.0]]]]), 2)
    Tensor([[[[3.]]]])

    Raises ValueError where the window does not fit, and for sizes that are not whole numbers.
    """
    input, geometry = _windows("max_pool2d", input, kernel_size, stride, padding)
    return MaxPool2d.apply(input, **geometry)


def _windows(name: str, input: Any, kernel_size: Any, stride: Any, padding: Any) -> tuple[Tensor, dict[str, Pair]]:
    input = floating(name, input)
    shape = input._data.shape
    if len(shape) != 4:
        raise ValueError(f"{name}: expected input (N, C, H, W), got shape {shape}")
    window = pool_window(name, kernel_size, stride, padding)
    check_fits(name, shape[2:], window["kernel"], window["padding"])
    return input, window


def pool_window(name: str, kernel_size: Any, stride: Any, padding: Any) -> dict[str, Pair]:
    """The window and its movement as pairs; raises ValueError for what cannot be, whatever the image."""
    kernel = pair(name, "kernel_size", kernel_size, 1)
    stride = kernel if stride is None else pair(name, "stride", stride, 1)
    padding = pair(name, "padding", padding, 0)
    if 2 * padding[0] > kernel[0] or 2 * padding[1] > kernel[1]:
        raise ValueError(f"{name}: padding {padding} is more than half the window {kernel}")
    return {"kernel": kernel, "stride": stride, "padding": padding}
