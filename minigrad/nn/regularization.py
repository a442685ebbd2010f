"""What steadies training, as layers that behave differently in training and evaluation: dropout, batch normalisation.

The operations are in minigrad/ops/regularization.py.
"""

from __future__ import annotations

import numpy as np

from ..ops import batch_norm, dropout
from ..ops.operands import as_tensor
from ..tensor import Tensor, float32, int64
from .checks import finite, flag, not_negative, positive
from .module import Module
from .parameter import Parameter


class Dropout(Module):
    """In training sets each element to 0 with probability p and divides the others by 1 - p; else the identity.

    >>> Dropout(0.5).eval()(Tensor([1.0, 2.0]))
    Tensor([1., 2.])

    Raises ValueError where p is not in [0, 1].
    """

    def __init__(self, p: float = 0.5) -> None:
        self.p = finite("Dropout", "p", p)
        if not 0 <= self.p <= 1:
            raise ValueError(f"Dropout: the probability p must lie in [0, 1], got {p}")

    def forward(self, input: Tensor) -> Tensor:
        return dropout(input, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class BatchNorm2d(Module):
    """Normalises each channel of a batch of images (N, C, H, W), then scales and shifts it by weight and bias.

    In training by the batch's own mean and variance, which the buffers running_mean and running_var follow; in
    evaluation by those. See `functional.batch_norm`.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: how fast the running mean and variance follow, from 0 to 1.
        affine: whether there are a weight and a bias, which start as ones and zeros.

    >>> {name: tensor.shape for name, tensor in BatchNorm2d(6).state_dict().items()}
    {'weight': (6,), 'bias': (6,), 'running_mean': (6,), 'running_var': (6,), 'num_batches_tracked': ()}

    Raises TypeError or ValueError where an argument is none of these.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor  # counted as PyTorch does, and not used

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True) -> None:
        self.num_features = positive("BatchNorm2d", "num_features", num_features)
        self.eps = not_negative("BatchNorm2d", "eps", eps)
        self.momentum = finite("BatchNorm2d", "momentum", momentum)
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"BatchNorm2d: momentum must lie in [0, 1], got {momentum}")
        self.affine = flag("BatchNorm2d", "affine", affine)
        zeros, ones = np.zeros(num_features, float32), np.ones(num_features, float32)
        self.weight = Parameter(ones) if affine else None
        self.bias = Parameter(zeros) if affine else None
        self.register_buffer("running_mean", Tensor(zeros))
        self.register_buffer("running_var", Tensor(ones))
        self.register_buffer("num_batches_tracked", Tensor(0, int64))

    def forward(self, input: Tensor) -> Tensor:
        input = as_tensor("BatchNorm2d", input)
        if input.ndim != 4 or input.shape[1] != self.num_features:
            raise ValueError(f"BatchNorm2d: expected input (N, {self.num_features}, H, W), got shape {input.shape}")
        output = batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, self.training, self.momentum, self.eps
        )
        if self.training:
            self.num_batches_tracked.data = self.num_batches_tracked.data + 1
        return output

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}"
