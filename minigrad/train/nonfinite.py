"""A loss that is NaN or infinite: the error that stops a run, and the search for the place where it began."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..checks import function, instance
from ..nn import Module
from ..tensor import Tensor


class NonFiniteLoss(FloatingPointError):
    """A loss became NaN or infinite.

    Attributes:
        loss: its value.
        when: the epoch and the step, in words.
        place: where it first appeared, in words.
    """

    def __init__(self, loss: float, when: str, place: str) -> None:
        super().__init__(f"the loss became {loss} in {when}; the first value that is no number was in {place}")
        self.loss = loss
        self.when = when
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:  # so that it passes from one process to another
        return type(self), (self.loss, self.when, self.place)


class _Found(Exception):
    """Carries the place out of the forward pass."""


def first_nonfinite(
    model: Module, images: Tensor, labels: Tensor, loss: Callable[[Tensor, Tensor], Tensor]
) -> str | None:
    """The first place, in the order of the forward pass, with a NaN or infinite value; None where all are finite.

    The batch runs through the model once more, in the mode it is in. Looked at are the images, each layer's parameters
    and then its output, and the loss.

    >>> from minigrad import cross_entropy, nn
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    >>> model[0].bias.data = model[0].bias.data * float("nan")
    >>> first_nonfinite(model, Tensor([[1.0, 2.0]]), Tensor([0]), cross_entropy)
    'the bias of layer 0 (Linear)'
    """
    instance("first_nonfinite", "the model", model, Module)
    instance("first_nonfinite", "images", images, Tensor)
    instance("first_nonfinite", "labels", labels, Tensor)
    function("first_nonfinite", "the loss", loss)
    names = {module: name for name, module in model.named_modules()}

    def check(module: Module, args: Any, output: Any) -> None:
        kind = type(module).__name__
        layer = f"layer {names[module]} ({kind})" if names[module] else f"the model ({kind})"
        for name, parameter in module.named_parameters(recurse=False):
            if not _is_finite(parameter):
                raise _Found(f"the {name} of {layer}")
        if not _is_finite(output):
            raise _Found(f"the output of {layer}")

    if not _is_finite(images):
        return "the images of the batch"
    handles = [module.register_forward_hook(check) for module in names]
    try:
        with no_grad(), overflow_ignored():
            value = loss(model(images), labels)
    except _Found as found:
        return str(found)
    finally:
        for handle in handles:
            handle.remove()
    return None if _is_finite(value) else "the loss function, whose inputs are finite"


def overflow_ignored() -> np.errstate:
    """NumPy warns of no overflow inside, where the results are looked at anyway."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


def _is_finite(value: Any) -> bool:
    return not isinstance(value, Tensor) or value.dtype.kind != "f" or bool(value.backend.xp.isfinite(value.data).all())
