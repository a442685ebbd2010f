"""LeNet-5 as it was published in 1998: the layers that today's LeNets leave out, the network, and its loss.

LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", Proceedings of the IEEE
86(11), 1998. `lenet1998` puts the layers together, and is read first; models.py has the simplified LeNet-5 of today.
docs/lenet_1998.md explains the parts and has the results.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import nn
from .checks import array, instance, require
from .nn.checks import finite, positive
from .ops import avg_pool2d, concatenate, conv2d, cross_entropy, pad, reshape, sum, tanh, unsqueeze
from .ops.indexing import PutItem
from .ops.operands import as_tensor, floating
from .random import default_generator
from .tensor import Tensor, float32

C3_INPUTS = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (4, 5, 0), (5, 0, 1)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (3, 4, 5, 0), (4, 5, 0, 1), (5, 0, 1, 2)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)
"""Which maps of S2 each of the 16 maps of C3 sees: table 1 of the paper."""

BITMAPS = """
..###.. ...#... ..###.. .#####. ....##. ####### ..####. ####### ..###.. ..###..
.#...#. ..##... .#...#. #.....# ...#.#. #...... .#..... ......# .#...#. .#...#.
#.....# .#.#... #.....# ......# ...#.#. #...... #...... ......# #.....# #.....#
#.....# ...#... ......# ......# ..#..#. #...... #...... .....#. #.....# #.....#
#.....# ...#... ......# .....#. ..#..#. #.###.. #.###.. .....#. .#...#. #.....#
#.....# ...#... .....#. ..###.. .#...#. ##...#. ##...#. ....#.. ..###.. #....##
#.....# ...#... ....#.. .....#. .#...#. ......# #.....# ....#.. .#...#. .#...##
#.....# ...#... ...#... ......# ####### ......# #.....# ...#... #.....# ..###.#
#.....# ...#... ..#.... ......# .....#. ......# #.....# ...#... #.....# ......#
#.....# ...#... .#..... ......# .....#. ......# #.....# ..#.... #.....# ......#
.#...#. ...#... #...... #.....# .....#. #....#. .#...#. ..#.... .#...#. .....#.
..###.. .#####. ####### .#####. .....#. .####.. ..###.. ..#.... ..###.. .####..
"""
"""The ten digits as stylised bitmaps of 12 rows and 7 columns, side by side: what the 84 units of F6 shall show."""


def lenet1998() -> nn.Sequential:
    """LeNet-5 as published: images (N, 1, 28, 28) in [0, 1] to scores (N, 10), 60,000 trained parameters.

    The layers have the paper's names. A score is the negative squared distance of the output of F6 from a digit's
    bitmap, so the largest wins, as with logits; `map_loss` trains it. Weights, coefficients and biases are drawn from
    U(-2.4 / F, 2.4 / F), F the number of inputs of a unit, by the global generator (see `minigrad.manual_seed`).

    >>> lenet1998()(Tensor(np.zeros((2, 1, 28, 28), np.float32))).shape
    (2, 10)
    """
    model = nn.Sequential(
        {
            "input": Retina(),
            "C1": nn.Conv2d(1, 6, kernel_size=5),
            "C1_squash": Squash(),
            "S2": Subsampling(6),
            "S2_squash": Squash(),
            "C3": SparseConv2d(C3_INPUTS, kernel_size=5),
            "C3_squash": Squash(),
            "S4": Subsampling(16),
            "S4_squash": Squash(),
            "C5": nn.Conv2d(16, 120, kernel_size=5),
            "C5_squash": Squash(),
            "flat": nn.Flatten(),
            "F6": nn.Linear(120, 84),
            "F6_squash": Squash(),
            "output": EuclideanRBF(bitmap_codes()),
        }
    )
    for layer in model:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            bound = 2.4 / math.prod(layer.weight.shape[1:])
            for parameter in layer.parameters():
                nn.init.uniform_(parameter, -bound, bound)
    return model


class Retina(nn.Module):
    """The input layer: images (N, 1, 28, 28) in [0, 1] in the middle of 32 x 32, the background -0.1, the ink 1.175.

    On MNIST that makes the mean of all pixels about 0 and their variance about 1; and the ends of a stroke can lie in
    the middle of what a unit of C3 sees.

    >>> Retina()(Tensor(np.ones((1, 1, 28, 28), np.float32)))[0, 0, 0:3, 16]
    Tensor([-0.1  , -0.1  ,  1.175])
    """

    def forward(self, input: Tensor) -> Tensor:
        input = floating("Retina", input)
        if input.ndim != 4 or input.shape[1:] != (1, 28, 28):
            raise ValueError(f"Retina: expected images (N, 1, 28, 28), got shape {input.shape}")
        return pad(input, ((0, 0), (0, 0), (2, 2), (2, 2))) * 1.275 - 0.1


class Squash(nn.Module):
    """1.7159 tanh(2 x / 3), element by element: 1 at 1 and -1 at -1, where its curvature is greatest.

    >>> round(Squash()(Tensor(1.0)).item(), 4)
    1.0
    """

    def forward(self, input: Tensor) -> Tensor:
        return 1.7159 * tanh(input * (2 / 3))


class Subsampling(nn.Module):
    """The sum of each 2 x 2 window, times the map's coefficient, plus its bias: (N, C, H, W) to (N, C, H / 2, W / 2).

    Args:
        channels: C.

    Attributes:
        coefficient, bias: (C,), drawn from U(-0.6, 0.6), as a unit has four inputs.

    >>> layer = Subsampling(1)
    >>> layer.coefficient.data, layer.bias.data = np.float32([0.5]), np.float32([1.0])
    >>> layer(Tensor([[[[1.0, 2.0], [3.0, 4.0]]]])).item()
    6.0

    Raises TypeError or ValueError where `channels` is no integer from 1.
    """

    def __init__(self, channels: int) -> None:
        self.channels = positive("Subsampling", "channels", channels)
        self.coefficient = nn.Parameter(default_generator().uniform(-0.6, 0.6, channels).astype(float32))
        self.bias = nn.Parameter(default_generator().uniform(-0.6, 0.6, channels).astype(float32))

    def forward(self, input: Tensor) -> Tensor:
        input = floating("Subsampling", input)
        if input.ndim != 4 or input.shape[1] != self.channels:
            raise ValueError(f"Subsampling: expected input (N, {self.channels}, H, W), got shape {input.shape}")
        per_map = (1, self.channels, 1, 1)
        return avg_pool2d(input, 2) * reshape(4.0 * self.coefficient, per_map) + reshape(self.bias, per_map)

    def extra_repr(self) -> str:
        return str(self.channels)


class SparseConv2d(nn.Module):
    """A convolution whose output maps each see only some of the input maps, as C3 does.

    A kernel exists for each connection and for nothing else. `forward` puts them into a weight that is 0 elsewhere, for
    an ordinary convolution; its backward pass reads them out of that weight's gradient.

    Args:
        inputs: for each of the O output maps the numbers of the input maps that it sees. There are as many input maps,
            C, as the largest number says.
        kernel_size: K, the height and width of the kernels.

    Attributes:
        weight: (connections, K, K), output map by output map, and by input map within one.
        bias: (O,)
        connected: a buffer, (O, C), boolean.

    Weights and biases are drawn from U(-2.4 / F, 2.4 / F), F the number of inputs of their map's units.

    >>> layer = SparseConv2d([(0, 1), (1, 2), (0,)], kernel_size=3)
    >>> layer.weight.shape
    (5, 3, 3)
    >>> layer.connected
    Tensor([[ True,  True, False],
            [False,  True,  True],
            [ True, False, False]])

    Raises TypeError or ValueError where an output map has no input, or one twice, and for what are no such numbers.
    """

    connected: Tensor

    def __init__(self, inputs: Sequence[Sequence[int]], kernel_size: int) -> None:
        self.kernel_size = positive("SparseConv2d", "kernel_size", kernel_size)
        connected = _connections(inputs)
        self.register_buffer("connected", Tensor(connected))
        fan_in = kernel_size**2 * connected.sum(axis=1)  # (O,)
        kernels = np.broadcast_to(fan_in[:, None], connected.shape)[connected]  # (connections,)
        shape = (len(kernels), kernel_size, kernel_size)
        draw = default_generator().uniform
        self.weight = nn.Parameter((draw(-2.4, 2.4, shape) / kernels[:, None, None]).astype(float32))
        self.bias = nn.Parameter((draw(-2.4, 2.4, len(fan_in)) / fan_in).astype(float32))

    def dense_weight(self) -> Tensor:
        """The kernels in a weight (O, C, K, K) that is 0 where there is no connection."""
        shape = (*self.connected.shape, self.kernel_size, self.kernel_size)
        return PutItem.apply(self.weight, index=(self.connected.data,), shape=shape)

    def forward(self, input: Tensor) -> Tensor:
        return conv2d(input, self.dense_weight(), self.bias)

    def extra_repr(self) -> str:
        O, C = self.connected.shape
        return f"{C}, {O}, kernel_size={self.kernel_size}, connections={len(self.weight)} of {O * C}"


def _connections(inputs: Any) -> np.ndarray:
    """The table of connections, (O, C), boolean."""
    name = "SparseConv2d"
    fits = isinstance(inputs, Sequence) and len(inputs) > 0
    require(fits, f"{name}: inputs must be a list with the input maps of each output map", inputs)
    rows = [array(name, "the inputs of a map", row) for row in inputs]
    for row in rows:
        if row.ndim != 1 or row.dtype.kind not in "iu" or row.size == 0 or row.min() < 0 or len({*row}) < row.size:
            raise ValueError(
                f"{name}: each output map needs a list of different input maps, from 0, got {row.tolist()}"
            )
    connected = np.zeros((len(rows), 1 + max(row.max() for row in rows)), bool)
    for o, row in enumerate(rows):
        connected[o, row] = True
    return connected


class EuclideanRBF(nn.Module):
    """Scores of the K classes: the negative squared distances of the input from their codes, (N, F) to (N, K).

    score[n, k] = - sum over f of (input[n, f] - codes[k, f])^2. The paper's output is y = -score, a penalty. A score is
    what a Gaussian around the code, of variance 1/2, has for its log-likelihood, but for a constant.

    Args:
        codes: (K, F); a buffer, which is not trained.

    >>> EuclideanRBF([[1.0, 1.0], [-1.0, 1.0]])(Tensor([[0.0, 1.0], [-1.0, 0.0]]))
    Tensor([[-1., -1.],
            [-5., -1.]])

    Raises ValueError where the codes are no table.
    """

    codes: Tensor

    def __init__(self, codes: Any) -> None:
        codes = floating("EuclideanRBF", as_tensor("EuclideanRBF", codes)).detach()
        if codes.ndim != 2:
            raise ValueError(f"EuclideanRBF: expected codes (K, F), got shape {codes.shape}")
        self.register_buffer("codes", codes)

    def forward(self, input: Tensor) -> Tensor:
        input = floating("EuclideanRBF", input)
        if input.ndim != 2 or input.shape[1] != self.codes.shape[1]:
            raise ValueError(f"EuclideanRBF: expected input (N, {self.codes.shape[1]}), got shape {input.shape}")
        difference = unsqueeze(input, 1) - self.codes  # (N, K, F) = (N, 1, F) - (K, F)
        return -sum(difference * difference, axis=2)

    def extra_repr(self) -> str:
        return "{1}, {0}".format(*self.codes.shape)


def bitmap_codes() -> np.ndarray:
    """The ten bitmaps as codes (10, 84) of 1 for ink and -1 for paper, row by row of each bitmap.

    >>> codes = bitmap_codes()
    >>> codes.shape, codes[1].reshape(12, 7)[0]
    ((10, 84), array([-1., -1., -1.,  1., -1., -1., -1.], dtype=float32))
    """
    rows = [line.split() for line in BITMAPS.split("\n") if line]
    ink = [[c == "#" for row in rows for c in row[digit]] for digit in range(10)]
    return np.where(ink, 1, -1).astype(float32)


def map_loss(scores: Tensor, labels: Any, j: float = 10.0) -> Tensor:
    """The paper's loss, equation 9: the mean of y[label] + log(e^-j + sum over k of e^-y[k]), where y = -scores.

    The first term pulls the output of F6 to the right bitmap. The second pushes it away from the others, as far as j
    says: a wrong class whose penalty is well above j is left alone. e^-j stands for a "rubbish" class, into which an
    image falls that is like none of the others; so the loss is the softmax cross-entropy with one class more, whose
    score is always -j. (The paper calls it MAP, for maximum a posteriori.)

    Args:
        scores: (N, K), what `EuclideanRBF` returns.
        labels: (N,), integers from 0 to K - 1; or K, for an image of none of the classes.
        j: the penalty of the class that is none of the K. The paper gives no value.

    >>> round(map_loss(Tensor([[-2.0, -3.0]]), Tensor([0]), j=1.0).item(), 4)  # 2 + ln(e^-1 + e^-2 + e^-3)
    1.4076

    Raises ValueError for shapes that do not fit, labels out of range and a j that is not finite.
    """
    instance("map_loss", "scores", scores, Tensor)
    if scores.ndim != 2:
        raise ValueError(f"map_loss: expected scores (N, K), got shape {scores.shape}")
    rubbish = scores.backend.xp.full((len(scores), 1), -finite("map_loss", "j", j), scores.dtype)
    return cross_entropy(concatenate([scores, Tensor._wrap(rubbish, scores.backend)], axis=1), labels)
