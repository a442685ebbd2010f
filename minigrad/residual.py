"""A small residual network for images as small as 28 x 28 pixels, and the block that it repeats.

K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition", CVPR 2016. `resnet` puts the layers
together, and is read first; models.py has the networks that it is to be compared with.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import nn
from .checks import integer, require
from .ops import mean
from .ops.operands import as_tensor
from .tensor import Tensor


def resnet(widths: Sequence[int] = (32, 64, 128), blocks: int = 1, classes: int = 10) -> nn.Sequential:
    """A residual network for images of one channel: (N, 1, H, W) to logits (N, classes).

    A 3 x 3 convolution to the first width, with batch_norm, ReLU and max pooling; then a stage for each width, of
    `blocks` residual blocks, the first of which halves the image in all stages but the first; the mean over what is
    left of the image; and a linear layer. Of 28 x 28 pixels the three stages of the default see 14 x 14, 7 x 7 and
    4 x 4, and there are 308,074 parameters. Weights of convolutions are drawn by kaiming_normal_ with fan_out from the
    global generator (see `minigrad.manual_seed`), the linear layer's as nn.Linear draws its own.

    Args:
        widths: channels of each stage.
        blocks: residual blocks in each stage.
        classes: how many there are to choose from.

    >>> import numpy as np
    >>> resnet()(Tensor(np.zeros((2, 1, 28, 28), np.float32))).shape
    (2, 10)

    Raises TypeError where an argument is not what is said above, ValueError for a number below 1 and for no widths.
    """
    require(isinstance(widths, (tuple, list)), "resnet: widths must be a tuple such as (32, 64, 128)", widths)
    if not widths:
        raise ValueError("resnet: widths is empty, there is no stage; write (32, 64, 128), say")
    widths = tuple(integer("resnet", "each of widths", width, least=1) for width in widths)
    blocks = integer("resnet", "blocks", blocks, least=1)
    classes = integer("resnet", "classes", classes, least=1)
    channels = widths[0]
    layers = [_convolution(1, channels), nn.BatchNorm2d(channels), nn.ReLU(), nn.MaxPool2d(2, 2)]
    for stage, width in enumerate(widths):
        for block in range(blocks):
            layers.append(ResidualBlock(channels, width, stride=2 if stage and not block else 1))
            channels = width
    return nn.Sequential(*layers, GlobalAveragePool(), nn.Linear(channels, classes))


class ResidualBlock(nn.Module):
    """y = relu(residual(x) + shortcut(x)): two convolutions learn what to add to the input, and not all of the output.

    Where there is nothing to add the weights need only be small, and on its way back the gradient of x has a path
    without a weight: a block more makes training no harder. `residual` is convolution, batch_norm, ReLU, convolution,
    batch_norm, with kernels of 3 x 3 and no biases, which batch_norm would take away again. `shortcut` is the identity,
    or, where the shape changes, a 1 x 1 convolution with batch_norm (the paper's option B).

    Args:
        in_channels, out_channels: C and O, from (N, C, H, W) to (N, O, OH, OW).
        stride: of the first convolution and of the shortcut; OH is H / stride, rounded up.

    >>> import numpy as np
    >>> ResidualBlock(16, 32, stride=2)(Tensor(np.zeros((1, 16, 28, 28), np.float32))).shape
    (1, 32, 14, 14)

    Raises TypeError for sizes that are no integers, ValueError for sizes below 1.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        name = "ResidualBlock"
        in_channels = integer(name, "in_channels", in_channels, least=1)
        out_channels = integer(name, "out_channels", out_channels, least=1)
        stride = integer(name, "stride", stride, least=1)
        self.residual = nn.Sequential(
            _convolution(in_channels, out_channels, stride=stride),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            _convolution(out_channels, out_channels),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                _convolution(in_channels, out_channels, kernel_size=1, stride=stride), nn.BatchNorm2d(out_channels)
            )
        self.relu = nn.ReLU()

    def forward(self, input: Tensor) -> Tensor:
        return self.relu(self.residual(input) + self.shortcut(input))


class GlobalAveragePool(nn.Module):
    """The mean of each channel's image, (N, C, H, W) to (N, C): a network that ends so takes images of any size.

    >>> GlobalAveragePool()(Tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    Tensor([[2.5]])

    Raises ValueError for an input of other than four dimensions.
    """

    def forward(self, input: Tensor) -> Tensor:
        input = as_tensor("GlobalAveragePool", input)
        if input.ndim != 4:
            raise ValueError(f"GlobalAveragePool: expected input (N, C, H, W), got shape {input.shape}")
        return mean(input, axis=(2, 3))


def _convolution(in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1) -> nn.Conv2d:
    """A convolution without a bias that keeps the image's size, but for the stride."""
    layer = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer
