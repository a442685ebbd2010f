"""Losses: how far predictions are from the truth."""

from __future__ import annotations

from typing import Any

from ..autograd.function import Function
from ..backends import get_backend
from ..tensor import Tensor
from .operands import as_tensor, floating, operands
from .reduction import Mean, array_mean, sum
from .shape import unsqueeze


class CrossEntropy(Function):
    """losses = ln sum e^z - z[label] and p = softmax(z) of each row z of the logits; y = their mean, their sum or all.

    dL/dz = dL/dy (p - onehot(label)) / N for the mean of N, without N for the others; and p (dL/dp - sum dL/dp p). No
    caller of cross_entropy sees p, so its gradient arrives only where the first term, which is written with p, is
    differentiated again.
    """

    labels: Any
    reduction: str

    def forward(self, logits):
        losses, p = self.kernels.softmax_cross_entropy(logits, self.labels)
        if self.reduction == "none":
            return losses, p
        return losses.sum() if self.reduction == "sum" else array_mean(losses, len(losses), self.backend), p

    def backward(self, dloss, dp):
        p, dlogits = self.outputs[1], None
        if dloss is not None:
            dlogits = CrossEntropyGrad.apply(dloss, p, labels=self.labels, reduction=self.reduction)
        if dp is not None:
            through_p = p * (dp - sum(dp * p, axis=1, keepdims=True))
            dlogits = through_p if dlogits is None else dlogits + through_p
        return (dlogits,)


class CrossEntropyGrad(Function):
    """g = d (p - onehot(label)), where d = e / N of the gradient e of a mean of N losses, else d = e.

    dL/de = the reduction of sum dL/dg (p - onehot), one for each row;   dL/dp = dL/dg d
    """

    takes_scalars = True
    labels: Any
    reduction: str

    def forward(self, e, p):
        d = self.xp.asarray(e / len(p) if self.reduction == "mean" else e)
        return self.kernels.softmax_cross_entropy_grad(d, p, self.labels)

    def backward(self, dg):
        e, p = self.inputs
        d = e / len(p) if self.reduction == "mean" else e
        rows = self.xp.arange(len(self.labels))
        slopes = sum(dg * p, axis=1) - dg[rows, self.labels]
        return _reduce(slopes, self.reduction), dg * (unsqueeze(d, 1) if self.reduction == "none" else d)


def cross_entropy(input: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """Softmax cross-entropy between logits and integer labels, in one kernel that cannot overflow.

    loss[n] = -ln softmax(input[n])[target[n]] = ln sum over k of e^input[n, k] - input[n, target[n]], in nats.

    Args:
        input: logits, (N, K), floating.
        target: labels, (N,), integers from 0 to K - 1, a Tensor or an array.
        reduction: "mean" and "sum" over the batch, or "none".

    Returns: a 0-d Tensor, or (N,) for "none".

    >>> cross_entropy(Tensor([[0.0, 0.0], [0.0, 1e4]]), Tensor([0, 0]), reduction="sum")  # ln 2 + 10,000
    Tensor(10000.693)

    Raises ValueError for shapes that do not fit and labels out of range, TypeError for labels that are no integers.
    Labels that are on a GPU already are not looked at, which would mean to wait for it: one out of range has the loss
    NaN.
    """
    check_reduction("cross_entropy", reduction)
    input = floating("cross_entropy", input)
    from_host = not isinstance(target, Tensor)
    target = as_tensor("cross_entropy", target, get_backend("numpy")) if from_host else target
    logits, labels = input._data, target._data
    if labels.dtype.kind not in "iu":
        raise TypeError(
            f"cross_entropy: labels must be integers, got {labels.dtype}; argmax turns one-hot rows into labels"
        )
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"cross_entropy: expected logits (N, K) and labels (N,), got {logits.shape} and {labels.shape}"
        )
    if target.backend is not input.backend and not from_host:
        raise RuntimeError(
            f"cross_entropy: its tensors live on different backends, {input.backend.name} and {target.backend.name}; "
            f"move one with .to({input.backend.name!r})"
        )
    K = logits.shape[1]
    if K == 0:
        raise ValueError(f"cross_entropy: logits of shape {logits.shape} have no classes")
    if target.backend.on_host and labels.size:  # a GPU would wait
        smallest, largest = labels[labels.argmin()], labels[labels.argmax()]  # min and max take four times as long
        if smallest < 0 or largest >= K:
            raise ValueError(f"cross_entropy: labels must lie from 0 to {K - 1}, got {smallest} to {largest}")
    _check_batch("cross_entropy", labels, reduction)
    labels = input.backend.from_numpy(labels) if from_host else labels
    loss, _ = CrossEntropy.apply(input, labels=labels, reduction=reduction)
    return loss


def mse_loss(input: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """The squared error (input - target)^2, element by element, then reduced.

    Args:
        input, target: of the same shape, floating.
        reduction: "mean" and "sum" over all elements, or "none".

    >>> mse_loss(Tensor([1.0, 2.0]), Tensor([1.0, 4.0]))
    Tensor(2.)

    Raises ValueError where the shapes differ.
    """
    check_reduction("mse_loss", reduction)
    input, target = (floating("mse_loss", t) for t in operands("mse_loss", input, target))
    if input.shape != target.shape:
        raise ValueError(f"mse_loss: input {input.shape} and target {target.shape} must have the same shape")
    _check_batch("mse_loss", input, reduction)
    return _reduce((input - target) ** 2, reduction)


def check_reduction(name: str, reduction: str) -> str:
    """The reduction; raises ValueError where there is none of that name."""
    if not isinstance(reduction, str) or reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{name}: reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    return reduction


def _check_batch(name: str, examples: Any, reduction: str) -> None:
    if reduction == "mean" and examples.size == 0:
        raise ValueError(f"{name}: the mean over an empty batch is undefined; reduction='sum' gives 0")


def _reduce(losses: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return losses
    if reduction == "sum":
        return sum(losses)
    return Mean.apply(losses, axis=tuple(range(losses.ndim)), keepdims=False)
