"""What the doctor returns: a Diagnosis, made of small records. page.py writes it down."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from . import page

SEVERITIES = ("error", "warning", "note")  # it cannot learn so; it will learn badly; good to know


class Finding(NamedTuple):
    """Something worth knowing about a model: what was seen and what it means, and what to do about it."""

    code: str  # "loss-high", always the same for the same kind of finding
    severity: str  # one of SEVERITIES
    text: str
    action: str


class LayerReport(NamedTuple):
    """What one layer did on the batch. A call of relu, sigmoid or tanh outside a layer has a report of its own."""

    name: str
    kind: str  # its class, or "function"
    shape: tuple[int, ...]  # of its output
    mean: float  # of its output
    std: float
    differs: float  # the standard deviation from example to example, averaged over the units
    saturated: float | None  # the share of the elements: below 0.02 or above 0.98 for sigmoid, beyond +-0.97 for tanh
    dead: float | None  # the share of the units of a ReLU that are 0 for every example
    constant: bool  # whether its output is the same for every example
    gradient: float | None  # the norm of the weight's gradient; None without a weight, or where none arrived
    share: float | None  # of the last layer's
    update: float | None  # lr * gradient / norm of the weight

    @property
    def title(self) -> str:
        """How a sentence names it."""
        return title(self.name, self.kind)


class MissingGradient(NamedTuple):
    """A parameter that learns nothing from this batch, and why.

    The reason is "frozen", "not-called", "not-recorded", "unused", "cut" or "no-rule"; of a gradient that is exactly 0
    "zero-dead", "zero-saturated", "zero-loss", "zero-weights", "zero-inputs", "zero-factor", or "zero" for any other.
    The text says it in words.
    """

    parameter: str
    reason: str
    text: str


class Overfit(NamedTuple):
    """How far the loss on a few examples fell in a few steps, and the share of them that was right in the end.

    It succeeded where the loss is a small part of what guessing costs, or, for a loss that nothing is known of, where
    it ends as a small part of the start, or fell and came to rest while the outputs differ from example to example.
    """

    examples: int
    steps: int
    start: float
    half: float  # after half of the steps
    end: float
    accuracy: float | None  # None for a loss that is no cross-entropy
    succeeded: bool
    lr: float  # of Adam


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What the doctor found. It prints as a page of text, and shows as a table in a notebook.

    Attributes:
        model: the model's class.
        parameters: how many numbers it trains.
        tensors: in how many parameters.
        examples: how many the batch had.
        classes: how many there are; None for a loss that is no cross-entropy.
        lr: the learning rate that was asked about.
        loss: on the batch, before any step.
        expected: what guessing would cost: ln of the number of classes for cross-entropy, the variance of the targets
            for the squared error; None for other losses.
        layers: in the order of the calls.
        missing: the parameters without a gradient.
        overfit: None where it was not tried.
        findings: the most severe first.
    """

    model: str
    parameters: int
    tensors: int
    examples: int
    classes: int | None
    lr: float
    loss: float
    expected: float | None
    layers: tuple[LayerReport, ...]
    missing: tuple[MissingGradient, ...]
    overfit: Overfit | None
    findings: tuple[Finding, ...]

    @property
    def well(self) -> bool:
        """Whether there is nothing to say but notes."""
        return all(finding.severity == "note" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """All of it in dicts, lists, strings and numbers, as JSON has them; None stands for NaN and infinity."""
        return {**{name: _plain(value) for name, value in vars(self).items()}, "well": self.well}

    def __repr__(self) -> str:
        return page.text(self)

    def _repr_html_(self) -> str:
        return page.html(self)


def title(name: str, kind: str) -> str:
    """How a sentence names a layer."""
    return name if kind == "function" else f"layer {name} ({kind})" if name else f"the model itself ({kind})"


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if hasattr(value, "_asdict"):
        return {name: _plain(part) for name, part in value._asdict().items()}
    return [_plain(part) for part in value] if isinstance(value, tuple) else value
