"""Rules about the batch, the outputs and the loss: what can be seen without a gradient."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..nn import BatchNorm2d, Dropout
from .facts import RESCALE, RESCALE_FIRST, Facts, Rule, guess, number
from .layers import is_constant
from .records import Finding

LARGE_INPUT, SMALL_INPUT = 5.0, 0.02  # root mean square; of images between 0 and 1 it is about 0.4
LOSS_HIGH = {"cross-entropy": 1.5, "squared error": 10.0}  # times that of guessing
ENDS = {"Relu": "ReLU", "ReLU": "ReLU", "Sigmoid": "Sigmoid", "Tanh": "Tanh"}


def nonfinite(facts: Facts) -> Iterator[Finding]:
    if facts.nonfinite is not None:
        text = f"the first value that is NaN or infinite is in {facts.nonfinite}; the loss is {facts.value:.3g}"
        action = "look there for a division by zero, a logarithm of zero, an overflow, or weights gone wrong earlier"
        yield Finding("non-finite", "error", text, action)


def inputs(facts: Facts) -> Iterator[Finding]:
    images = facts.images.astype(float)
    size = float(np.sqrt(np.mean(images**2))) if images.size else 0.0
    span = f"the inputs lie from {number(images.min())} to {number(images.max())}" if images.size else ""
    if not np.isfinite(size):
        return
    if is_constant(images) or not size:
        text = "the inputs are the same for every example" if len(images) > 1 else "the inputs are all 0"
        yield Finding("inputs-alike", "error", text, "look at the batch: was something lost on the way into it?")
    elif size > LARGE_INPUT:
        bytes_of_images = images.min() >= 0 and 128 <= images.max() <= 255
        action = "divide them by 255" if bytes_of_images else "subtract their mean and divide by their deviation"
        yield Finding("inputs-large", "warning", f"{span}; layers are drawn for inputs of about 1", action)
    elif size < SMALL_INPUT:
        text = f"{span}, so they hardly count beside the biases"
        yield Finding("inputs-small", "warning", text, "scale them to about 1; were they divided by 255 twice?")


def batch_size(facts: Facts) -> Iterator[Finding]:
    if len(facts.images) == 1:
        text = "the batch has a single example, which says little: nothing can differ, and any model learns it"
        yield Finding("one-example", "note", text, "ask again with a batch of 20 or more")


def labels(facts: Facts) -> Iterator[Finding]:
    if len(facts.targets) > 1 and facts.targets.size and is_constant(facts.targets):
        value = f" ({facts.targets[0]})" if facts.targets.ndim == 1 else ""
        text = f"all {len(facts.targets)} labels are the same{value}: there is nothing to tell apart"
        yield Finding("labels-alike", "warning", text, "shuffle the data, so that a batch has a mixture of classes")


def targets(facts: Facts) -> Iterator[Finding]:
    if facts.targets_scale:
        lie = f"the targets lie from {number(facts.targets.min())} to {number(facts.targets.max())}"
        text = f"{lie}, far from the scale of about 1 that a new model's outputs have"
        yield Finding("targets-scale", "warning", text, RESCALE)


def mode(facts: Facts) -> Iterator[Finding]:
    if not facts.training:
        differ = any(isinstance(module, (Dropout, BatchNorm2d)) for module in facts.model.modules())
        text = "the model is in evaluation mode; looked at was a copy in training mode"
        yield Finding("eval-mode", "warning" if differ else "note", text, "call model.train() before training")


def parameters(facts: Facts) -> Iterator[Finding]:
    own = list(facts.model.parameters())
    if not own:
        action = "make layers attributes of the model, or put them into an nn.ModuleList: a list hides them"
        yield Finding("no-parameters", "error", "the model has no parameters, so there is nothing to train", action)
    elif not any(parameter.requires_grad for parameter in own):
        action = "call model.requires_grad_() or unfreeze a part"
        yield Finding("all-frozen", "error", "no parameter requires a gradient, so there is nothing to train", action)


def loss(facts: Facts) -> Iterator[Finding]:
    if facts.loss.kind == "cross-entropy" and facts.outputs.shape[1] == 1:
        text = "the model has one output, and the cross-entropy of one class is always 0"
        yield Finding("one-output", "error", text, "give the last layer an output for each class: two for yes and no")
    elif facts.expected and facts.value > LOSS_HIGH[facts.loss.kind] * facts.expected:
        text = f"the loss at the start is {number(facts.value)}, far above {guess(facts)} that guessing costs"
        text += ": the model is sure of wrong answers" if facts.loss.kind == "cross-entropy" else ""
        given = "inputs" if facts.loss.kind == "cross-entropy" else "targets and the inputs"
        action = f"check the scale of the {given}, then of the weights, in the last layer above all (nn.init)"
        yield Finding("loss-high", "warning", text, RESCALE_FIRST if facts.targets_scale else action)


def last_layer(facts: Facts) -> Iterator[Finding]:
    y = facts.outputs
    if facts.loss.kind != "cross-entropy" or y.shape[1] < 2:
        return
    if y.min() >= 0 and np.allclose(y.sum(axis=1), 1, atol=1e-3):
        text = (
            "the outputs are probabilities already: they lie between 0 and 1 and add up to 1; cross-entropy "
            f"takes the softmax itself, and twice it cannot get below {number(_least_after_softmax(y.shape[1]))}"
        )
        yield Finding("softmax-twice", "error", text, "remove the softmax at the end of the model")
        return
    node, calls = facts.seen.outputs.grad_fn, facts.seen.calls
    end = type(node).__name__ if node is not None or not calls else type(calls[-1].module).__name__
    if end in ENDS:
        text = f"the model ends in a {ENDS[end]}, so its outputs cannot be any number, as logits must"
        yield Finding("last-activation", "error", text, f"remove the {ENDS[end]} after the last layer")


def constant(facts: Facts) -> Iterator[Finding]:
    first = next((report for report in facts.reports if report.constant), None)
    if first is None or not facts.reports[-1].constant or is_constant(facts.images):
        return
    if first.title == facts.zero_start:
        return  # they differ after the first step
    text = f"from {first.title} on, the outputs are the same for every example: the model cannot tell them apart"
    action = "look at what that layer gets: a scale far too large, dead or saturated units, weights of 0"
    yield Finding("outputs-constant", "error", text, action)


def _least_after_softmax(classes: int) -> float:
    """The cross-entropy of the softmax of a one-hot row: -ln(e / (e + K - 1))."""
    return float(np.log(np.e + classes - 1) - 1)


RULES: tuple[Rule, ...] = (
    inputs,
    batch_size,
    labels,
    targets,
    mode,
    parameters,
    loss,
    last_layer,
    constant,
)
