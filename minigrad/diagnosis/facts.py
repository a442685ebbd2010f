"""All that was measured, from which the rules (rules_data.py, rules_model.py) draw their findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..nn import Module
from ..nn.parameter import Parameter
from .given import Loss
from .layers import weight_of
from .page import scientific
from .records import Finding, LayerReport, MissingGradient, Overfit
from .watch import Watched

LARGE_TARGET, SMALL_TARGET = 10.0, 0.03  # root mean square
RESCALE = "subtract their mean and divide by their deviation, and undo that in predictions"
RESCALE_FIRST = f"scale the targets first: {RESCALE}"


@dataclass
class Facts:
    """What a rule may look at."""

    model: Module
    training: bool  # whether the model that was given is in training mode
    images: np.ndarray
    targets: np.ndarray
    outputs: np.ndarray
    loss: Loss
    lr: float
    value: float  # of the loss
    expected: float | None  # what guessing costs
    seen: Watched
    reports: list[LayerReport]
    missing: list[MissingGradient]
    stepped: float  # the loss after one step of SGD at lr
    overfit: Overfit | None
    nonfinite: str | None  # the first place with a value that is no number, in words

    @cached_property
    def weights(self) -> list[tuple[str, Parameter]]:
        """The weights with more than one axis, one for each layer, named as a sentence names the layer."""
        found = {call.title: weight_of(call.module) for call in self.seen.calls}
        return [(title, weight) for title, weight in found.items() if weight is not None and weight.ndim > 1]

    @cached_property
    def graded(self) -> list[LayerReport]:
        """The layers whose weight has a gradient."""
        return [report for report in self.reports if report.gradient is not None]

    @property
    def zero_start(self) -> str | None:
        """The layer with the last weights, where they are all 0 but have a gradient: the first step changes them."""
        if not self.weights:
            return None
        title, weight = self.weights[-1]
        gradient = self.seen.gradients.get(weight)
        moves = gradient is not None and bool(gradient.numpy().any())
        return title if moves and not weight.numpy().any() else None

    @property
    def targets_scale(self) -> bool:
        """Whether the targets are numbers of a scale that a new model's outputs are far from."""
        if self.loss.kind == "cross-entropy" or self.targets.dtype.kind != "f" or not self.targets.size:
            return False
        size = float(np.sqrt(np.mean(self.targets.astype(float) ** 2)))
        return size > LARGE_TARGET or 0 < size < SMALL_TARGET

    @property
    def near_guessing(self) -> bool:
        """Whether the loss is about that of guessing."""
        return bool(self.expected) and abs(self.value - self.expected) < 0.15 * self.expected  # type: ignore[operator]


Rule = Callable[[Facts], Iterator[Finding]]


def guess(facts: Facts) -> str:
    """What guessing costs, in words."""
    if facts.loss.kind == "cross-entropy":
        return f"ln {facts.outputs.shape[1]} = {facts.expected:.3f}"
    return f"the variance of the targets = {number(facts.expected or 0.0)}"


def number(value: float, digits: int = 3) -> str:
    """A number for a sentence, with few digits: 2.44, 25,600, 1.8e-3."""
    if value and not 1e-2 <= abs(value) < 1e6:
        return scientific(value, digits - 2)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def listed(names: list[str], most: int = 3) -> str:
    """A few names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
