"""What steadies training: batch normalisation and dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd import is_grad_enabled
from ..autograd.function import Function
from ..checks import flag
from ..random import default_generator
from ..tensor import Tensor
from .elementwise import sqrt
from .operands import as_number, floating
from .reduction import mean, sum, var
from .shape import reshape


class BatchNorm(Function):
    """y = z weight + bias, z = (x - mean) / deviation, with the mean and deviation = sqrt(var + eps) of each channel;

    dL/dbias = sum of dL/dy,   dL/dweight = sum of dL/dy z,
    dL/dx = (dL/dy - mean of dL/dy - z (mean of dL/dy z)) weight / deviation,

    as a pixel of x moves y itself, and all of its channel through mean and deviation. mean and var are outputs, too,
    for the running ones, and no gradient goes through those.
    """

    eps: float

    def forward(self, x, weight, bias):
        mean, var = self.kernels.channel_moments(x)
        return self.kernels.channel_norm(x, mean, self._deviation(var), weight, bias), mean, var

    def backward(self, dy, *_):
        x, weight = self.inputs[:2]
        mean, var = self.outputs[1:]
        if is_grad_enabled():  # the same with operations that have rules themselves
            return _batch_norm_grad(dy, x, weight, self.eps)
        grads = self.kernels.channel_norm_grad(dy._data, x._data, mean._data, self._deviation(var._data), weight._data)
        return tuple(Tensor._wrap(grad, self.backend) for grad in grads)

    def _deviation(self, var):
        return self.xp.sqrt(var + self.eps)


def _batch_norm_grad(dy: Tensor, x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    axes = (0, 2, 3)
    deviation = sqrt(var(x, axes, keepdims=True) + eps)
    z = (x - mean(x, axes, keepdims=True)) / deviation
    dnormal = dy - mean(dy, axes, keepdims=True) - z * mean(dy * z, axes, keepdims=True)
    return dnormal * reshape(weight, (-1, 1, 1)) / deviation, sum(dy * z, axes), sum(dy, axes)


def dropout(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Sets each element to 0 with probability p and divides the others by 1 - p, so that the expectation stays.

    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting" (2014). The choice is drawn
    from the global generator, see `minigrad.manual_seed`; where training is false the input is returned as it is.

    >>> dropout(Tensor([1.0, 2.0]), training=False)
    Tensor([1., 2.])

    Raises ValueError where p is not in [0, 1].
    """
    input = floating("dropout", input)
    if not 0 <= as_number("dropout", "p", p) <= 1:
        raise ValueError(f"dropout: the probability p must lie in [0, 1], got {p}")
    if not flag("dropout", "training", training) or p == 0:
        return input
    kept = default_generator().random(input.shape) >= p
    scale = np.where(kept, 1 / (1 - p) if p < 1 else 0, 0).astype(input.dtype)
    return input * Tensor._wrap(input.backend.from_numpy(scale), input.backend)


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalises each channel, then scales and shifts it: y = (x - mean) / sqrt(var + eps) weight + bias.

    Ioffe and Szegedy, "Batch normalization" (2015). In training, mean and variance (biased) are the batch's, and the
    running ones move towards them: running = (1 - momentum) running + momentum batch, with the unbiased variance. Else
    the running ones are used.

    Args:
        input: (N, C, ...), floating.
        running_mean, running_var, weight, bias: (C,); weight and bias may be None, and the running ones in training.

    >>> batch_norm(Tensor([[1.0], [3.0]]), None, None, training=True, eps=0.0)
    Tensor([[-1.],
            [ 1.]])

    Raises ValueError where a shape does not fit, or a channel has only one value to learn from in training.
    """
    input = floating("batch_norm", input)
    if input.ndim < 2:
        raise ValueError(f"batch_norm: expected input (N, C, ...), got shape {input.shape}")
    C = input.shape[1]
    given = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    for name, tensor in given.items():
        if tensor is None:
            continue
        if not isinstance(tensor, Tensor):
            raise TypeError(f"batch_norm: {name} must be a Tensor or None, got {type(tensor).__name__}")
        if tensor.shape != (C,) or tensor.dtype != input.dtype:
            raise ValueError(
                f"batch_norm: {name} has shape {tensor.shape} and dtype {tensor.dtype}, "
                f"expected ({C},) and {input.dtype}"
            )
    momentum, eps = as_number("batch_norm", "momentum", momentum), as_number("batch_norm", "eps", eps)
    if eps < 0:
        raise ValueError(f"batch_norm: eps must be 0 or more, got {eps}")
    if flag("batch_norm", "training", training):
        return _normalized_by_the_batch(input, running_mean, running_var, weight, bias, momentum, eps)
    if running_mean is None or running_var is None:
        raise ValueError("batch_norm: without training, running_mean and running_var are needed")
    per_channel = (1, C, *[1] * (input.ndim - 2))
    y = (input - reshape(running_mean, per_channel)) / sqrt(reshape(running_var, per_channel) + eps)
    if weight is not None:
        y = y * reshape(weight, per_channel)
    return y if bias is None else y + reshape(bias, per_channel)


def _normalized_by_the_batch(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    momentum: float,
    eps: float,
) -> Tensor:
    """What batch_norm returns in training; moves the running statistics."""
    C, backend = input.shape[1], input.backend
    count = input.size // C if C else 0
    if count < 2:
        raise ValueError(f"batch_norm: training needs more than one value a channel, got shape {input.shape}")
    images = input if input.ndim == 4 else reshape(input, (input.shape[0], C, -1, 1))
    if weight is None:
        weight = Tensor._wrap(backend.xp.ones(C, input.dtype), backend)
    if bias is None:
        bias = Tensor._wrap(backend.xp.zeros(C, input.dtype), backend)
    y, batch_mean, batch_var = BatchNorm.apply(images, weight, bias, eps=eps)
    _move(running_mean, batch_mean._data, momentum)
    _move(running_var, batch_var._data * (count / (count - 1)), momentum)
    return y if input.ndim == 4 else reshape(y, input.shape)


def _move(running: Tensor | None, batch: Any, momentum: float) -> None:
    if running is not None:
        running.data = (1 - momentum) * running.data + momentum * batch
