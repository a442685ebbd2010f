"""Whether a model can learn a few examples by heart. One that cannot will not learn many."""

from __future__ import annotations

import math

import numpy as np

from ..autograd import grad
from ..nn import Dropout, Module, UninitializedParameter
from ..optim import Adam
from ..tensor import Tensor
from ..train.evaluation import loss_value
from .given import Loss, copied, guessing
from .records import Overfit

EXAMPLES = 20
RATES = (0.005, 0.03)  # of Adam: the first suits networks, the second a few weights that have far to go
SMALL = 0.05  # of the loss that guessing has, or of the loss at the start: then the examples are known by heart
SUCCESS = 0.1  # and where the steps are used up, this is enough


def overfit(model: Module, images: Tensor, targets: Tensor, loss: Loss, steps: int) -> Overfit | None:
    """Trains copies of the model on the first examples, without dropout, until one knows them by heart.

    Returns the best attempt; None where there is nothing to train.
    """
    if not steps or not _trainable(model):
        return None
    attempts: list[Overfit] = []
    for lr in RATES:
        if not attempts or not attempts[-1].succeeded:
            attempts.append(_train(copied(model), images[:EXAMPLES], targets[:EXAMPLES], loss, steps, lr))
    return min(attempts, key=lambda attempt: attempt.end if math.isfinite(attempt.end) else math.inf)


def _train(model: Module, images: Tensor, targets: Tensor, loss: Loss, steps: int, lr: float) -> Overfit:
    """One attempt. It ends early when the examples are known by heart, or the loss is no number any more."""
    for module in model.modules():
        if isinstance(module, Dropout):
            module.training = False
    parameters = _trainable(model)
    adam = Adam(parameters, lr=lr)
    start = scale = math.nan
    for step in range(steps + 1):
        outputs = model(images)
        result = loss.function(outputs, targets)
        value, accuracy = loss_value(result), _accuracy(outputs, targets, loss)
        if step == 0:
            start, scale = value, guessing(targets, outputs, loss) or value
        right = accuracy in (None, 1.0)
        if step == steps or (right and value < SMALL * scale) or not math.isfinite(value) or not result.requires_grad:
            break
        for parameter, gradient in zip(parameters, grad(result, parameters, allow_unused=True), strict=True):
            parameter.grad = gradient
        adam.step()
    return Overfit(len(images), step, start, value, accuracy, right and value < SUCCESS * scale, lr)


def _trainable(model: Module) -> list[Tensor]:
    return [p for p in model.parameters() if p.requires_grad and not isinstance(p, UninitializedParameter)]


def _accuracy(outputs: Tensor, targets: Tensor, loss: Loss) -> float | None:
    """The share that is right, where that can be said."""
    if loss.kind != "cross-entropy":
        return None
    return float(np.mean(outputs.numpy().argmax(axis=1) == targets.numpy()))
