"""Whether a model can learn a few examples by heart. One that cannot will not learn many."""

from __future__ import annotations

import math

import numpy as np

from ..autograd import grad
from ..nn import Dropout, Module, UninitializedParameter
from ..optim import Adam
from ..tensor import Tensor
from ..train.evaluation import loss_value
from .batch import Loss, guessing
from .records import Overfit

EXAMPLES = 20
LEARNING_RATE = 0.003
SMALL = 0.05  # of the loss that guessing has, or of the loss at the start: then the examples are known by heart
SUCCESS = 0.1  # and where the steps are used up, this is enough


def overfit(model: Module, images: Tensor, targets: Tensor, loss: Loss, steps: int) -> Overfit | None:
    """Trains the model, which changes, on the first examples, by Adam, without dropout.

    Stops early when they are known by heart, or the loss is no number any more. None where there is nothing to train.
    """
    parameters = [p for p in model.parameters() if p.requires_grad and not isinstance(p, UninitializedParameter)]
    if not parameters or not steps:
        return None
    for module in model.modules():
        if isinstance(module, Dropout):
            module.training = False
    images, targets = images[:EXAMPLES], targets[:EXAMPLES]
    adam = Adam(parameters, lr=LEARNING_RATE)
    start = scale = math.nan
    for step in range(steps + 1):
        outputs = model(images)
        result = loss.function(outputs, targets)
        value, accuracy = loss_value(result), _accuracy(outputs, targets, loss)
        if step == 0:
            start, scale = value, guessing(targets, outputs, loss) or value
            if not result.requires_grad:
                return None
        known_by_heart = value < SMALL * scale and accuracy in (None, 1.0)
        if known_by_heart or not math.isfinite(value) or step == steps:
            break
        for parameter, gradient in zip(parameters, grad(result, parameters, allow_unused=True), strict=True):
            parameter.grad = gradient
        adam.step()
    succeeded = bool(value < SUCCESS * scale and accuracy in (None, 1.0))
    return Overfit(len(images), step, start, value, accuracy, succeeded)


def _accuracy(outputs: Tensor, targets: Tensor, loss: Loss) -> float | None:
    """The share that is right, where that can be said."""
    if loss.kind != "cross-entropy":
        return None
    return float(np.mean(outputs.numpy().argmax(axis=1) == targets.numpy()))
