"""Pooling layers; the operations are in minigrad/ops/pool.py."""

from __future__ import annotations

from ..ops import avg_pool2d, max_pool2d
from ..ops.geometry import Pair
from ..ops.pool import pool_window
from ..tensor import Tensor
from .checks import flag
from .module import Module


class _Pool2d(Module):
    def __init__(self, kernel_size: int | Pair, stride: int | Pair | None, padding: int | Pair) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        pool_window(type(self).__name__, kernel_size, stride, padding)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_Pool2d):
    """The mean of each window of the images, (N, C, H, W) to (N, C, OH, OW); see `functional.avg_pool2d`.

    Args:
        kernel_size: the window, in pixels; here and below an integer, or a pair (height, width).
        stride: how far the window moves; by its own size unless given.
        padding: zeros on each side of the image, at most half the window.
        count_include_pad: whether padding counts when a sum is divided by the number of pixels.

    >>> AvgPool2d(2)
    AvgPool2d(kernel_size=2, stride=2, padding=0)

    Raises ValueError for sizes that are not whole numbers, and a padding that is too large.
    """

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        *,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding)
        self.count_include_pad = flag("AvgPool2d", "count_include_pad", count_include_pad)

    def forward(self, input: Tensor) -> Tensor:
        return avg_pool2d(input, self.kernel_size, self.stride, self.padding, count_include_pad=self.count_include_pad)


class MaxPool2d(_Pool2d):
    """The maximum of each window of the images, (N, C, H, W) to (N, C, OH, OW); see `functional.max_pool2d`.

    Args:
        kernel_size: the window, in pixels; here and below an integer, or a pair (height, width).
        stride: how far the window moves; by its own size unless given.
        padding: on each side of the image, at most half the window, with minus infinity.

    >>> MaxPool2d((2, 3))(Tensor([[[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]]]))
    Tensor([[[[5.]]]])

    Raises ValueError for sizes that are not whole numbers, and a padding that is too large.
    """

    def __init__(self, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0) -> None:
        super().__init__(kernel_size, stride, padding)

    def forward(self, input: Tensor) -> Tensor:
        return max_pool2d(input, self.kernel_size, self.stride, self.padding)
