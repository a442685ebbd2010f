"""Losses as modules; the functions themselves are in minigrad/ops/loss.py."""

from __future__ import annotations

from typing import Any

from ..ops import cross_entropy, mse_loss
from ..ops.loss import check_reduction
from ..tensor import Tensor
from .module import Module


class CrossEntropyLoss(Module):
    """Softmax cross-entropy between logits (N, K) and integer labels (N,), in nats; see `functional.cross_entropy`.

    >>> CrossEntropyLoss()(Tensor([[0.0, 0.0]]), Tensor([1]))
    Tensor(0.6931472)
    """

    def __init__(self, *, reduction: str = "mean") -> None:
        self.reduction = check_reduction("CrossEntropyLoss", reduction)

    def forward(self, input: Tensor, target: Any) -> Tensor:
        return cross_entropy(input, target, self.reduction)


class MSELoss(Module):
    """The squared error between two tensors of one shape; see `functional.mse_loss`.

    >>> MSELoss()(Tensor([1.0, 2.0]), Tensor([1.0, 4.0]))
    Tensor(2.)
    """

    def __init__(self, *, reduction: str = "mean") -> None:
        self.reduction = check_reduction("MSELoss", reduction)

    def forward(self, input: Tensor, target: Any) -> Tensor:
        return mse_loss(input, target, self.reduction)
