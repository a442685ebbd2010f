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
from .layers import is_constant
from .records import Overfit

EXAMPLES = 20
RATES = (0.005, 0.03)  # of Adam: the first suits networks, the second a few weights that have far to go
SMALL = 0.05  # of the loss that guessing has, or of the loss at the start: then the examples are known by heart
SUCCESS = 0.1  # and where the steps are used up, this is enough
FALLING = 0.1  # of the whole fall in the second half of the steps: less means that the loss has come to rest
NO_FALL = 1e-4  # of the loss at the start


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
    return min(attempts, key=lambda a: (not a.succeeded, a.end if math.isfinite(a.end) else math.inf))


def _train(model: Module, images: Tensor, targets: Tensor, loss: Loss, steps: int, lr: float) -> Overfit:
    """One attempt. It ends early when the examples are known by heart, or the loss is no number any more."""
    for module in model.modules():
        if isinstance(module, Dropout):
            module.training = False
    parameters = _trainable(model)
    adam = Adam(parameters, lr=lr)
    losses: list[float] = []
    scale = math.nan
    for step in range(steps + 1):
        outputs = model(images)
        result = loss.function(outputs, targets)
        value, accuracy = loss_value(result), _accuracy(outputs, targets, loss)
        losses.append(value)
        if step == 0:
            scale = guessing(targets, outputs, loss) or value
        right = accuracy in (None, 1.0)
        known = loss.kind != "other" and right and value < SMALL * scale
        if step == steps or known or not math.isfinite(value) or not result.requires_grad:
            break
        for parameter, gradient in zip(parameters, grad(result, parameters, allow_unused=True), strict=True):
            parameter.grad = gradient
        adam.step()
    half = losses[step // 2]
    attempt = Overfit(len(images), step, losses[0], half, value, accuracy, right and 0 <= value < SUCCESS * scale, lr)
    at_rest = loss.kind == "other" and _came_to_rest(attempt) and not is_constant(outputs.numpy())
    return attempt._replace(succeeded=attempt.succeeded or at_rest)


def is_falling(attempt: Overfit) -> bool:
    """Whether the loss still fell in the second half of the steps, beside how far it fell in all."""
    return attempt.half - attempt.end > FALLING * abs(attempt.start - attempt.end)


def _came_to_rest(attempt: Overfit) -> bool:
    """Whether the loss fell and then fell no further: all that tells of a loss whose least value is not known."""
    return attempt.start - attempt.end > NO_FALL * abs(attempt.start) and not is_falling(attempt)


def _trainable(model: Module) -> list[Tensor]:
    return [p for p in model.parameters() if p.requires_grad and not isinstance(p, UninitializedParameter)]


def _accuracy(outputs: Tensor, targets: Tensor, loss: Loss) -> float | None:
    """The share that is right, where that can be said."""
    if loss.kind != "cross-entropy":
        return None
    return float(np.mean(outputs.numpy().argmax(axis=1) == targets.numpy()))
