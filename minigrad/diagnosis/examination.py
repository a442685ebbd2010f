"""`doctor`: examines a copy of the model, from the loss at the start to twenty examples learned by heart."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..autograd import enable_grad
from ..autograd.function import Function
from ..checks import instance, integer
from ..nn import Module, UninitializedParameter
from ..nn.checks import not_negative
from ..random import default_generator
from ..tensor import Tensor
from ..train import first_nonfinite
from ..train.evaluation import loss_value
from ..train.nonfinite import overflow_ignored
from . import rules_data, rules_model
from .facts import Facts
from .given import Loss, check_outputs, checked_batch, checked_loss, copied, guessing
from .layers import layer_reports
from .missing import missing_gradients
from .overfitting import overfit
from .records import SEVERITIES, Diagnosis, Finding
from .watch import Watched, watch_backward, watch_forward


def doctor(
    model: Module,
    batch: Any,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    *,
    lr: float = 0.1,
    overfit_steps: int = 200,
    seed: int = 0,
) -> Diagnosis:
    """What keeps the model from learning, or that nothing seems to: measured on one batch, and said in words.

    A copy of the model, in training mode, runs the batch forward and backward once; then it shall learn the first 20
    examples by heart, with Adam and without dropout. The model itself, its gradients and the global generator stay as
    they are; forward hooks of yours run with the copy.

    A step of SGD changes a weight by lr |gradient| / |weight| of its size. That about 1e-3 is healthy is a rule of
    thumb, from Hinton, "A practical guide to training restricted Boltzmann machines" (2010), section 7, and the notes
    of Stanford's course CS231n, "Ratio of weights:updates"; a factor of ten either way is nothing to worry about.

    Args:
        model: any Module; its first argument is the batch's inputs.
        batch: (images, labels), Tensors or arrays, as a DataLoader gives them. For cross-entropy the labels are
            integers (N,).
        loss: (outputs, targets) to one number; by default the cross-entropy. What guessing costs is known for that,
            ln of the number of classes, and for mse_loss, the variance of the targets.
        lr: the learning rate that the ratio of update to weight is for.
        overfit_steps: how many steps the 20 examples get at most; 0 leaves them out.
        seed: of what is drawn meanwhile: dropout masks, the weights of lazy layers.

    Returns: a Diagnosis, which prints as a page.

    Raises:
        TypeError: an argument is not what is said above, or the model cannot be copied.
        ValueError: labels are out of range, or shapes do not fit, before anything is trained.
        In either case nothing has been changed.

    >>> from minigrad import manual_seed, nn
    >>> _ = manual_seed(0)
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> rng = np.random.default_rng(0)
    >>> diagnosis = doctor(model, (rng.normal(size=(30, 4)) * 200, rng.integers(0, 3, 30)))
    >>> [finding.code for finding in diagnosis.findings][:1]
    ['inputs-large']
    """
    instance("doctor", "the model", model, Module)
    known_loss = checked_loss(loss)
    lr = not_negative("doctor", "lr", lr)
    steps = integer("doctor", "overfit_steps", overfit_steps, least=0)
    seed = integer("doctor", "seed", seed, least=0)
    images, targets = checked_batch(batch, model, known_loss)
    patient = copied(model)
    if not model.training:
        patient.train()  # in a model that trains, parts that are in evaluation mode are meant to be
    if isinstance(loss, Module):
        known_loss = known_loss._replace(function=copy.deepcopy(loss))
    with _drawing_from(seed), enable_grad(), overflow_ignored():
        facts = _examine(patient, model.training, images, targets, known_loss, lr, seed)
        if facts.nonfinite is None:
            facts.overfit = overfit(patient, images, targets, known_loss, steps)
        return _diagnose(facts)


def _examine(model: Module, training: bool, images: Tensor, targets: Tensor, loss: Loss, lr: float, seed: int) -> Facts:
    seen = watch_forward(model, images)
    check_outputs(seen.outputs, targets, loss)
    value = loss.function(seen.outputs, targets)
    number = loss_value(value)
    watch_backward(value, seen)
    finite = np.isfinite(number) and all(np.isfinite(call.output.data).all() for call in seen.calls)
    nonfinite = None if finite else _first_nonfinite(model, seen, images, targets, loss)
    return Facts(
        model=model,
        training=training,
        images=images.numpy(),
        targets=targets.numpy(),
        outputs=seen.outputs.numpy(),
        loss=loss,
        lr=lr,
        value=number,
        expected=guessing(targets, seen.outputs, loss),
        seen=seen,
        reports=layer_reports(seen, lr),
        missing=missing_gradients(model, seen),
        stepped=_loss_after_step(model, seen, images, targets, loss, lr, seed),
        overfit=None,
        nonfinite=nonfinite,
    )


def _first_nonfinite(model: Module, seen: Watched, images: Tensor, targets: Tensor, loss: Loss) -> str:
    """A function that the model calls between its layers, or what `first_nonfinite` finds."""
    end = seen.outputs.grad_fn
    for node in seen.nodes:
        if end is not None and node._number <= end._number and not seen.layer(node) and _turns_nonfinite(node):
            return seen.place(node)
    return first_nonfinite(model, images, targets, loss.function) or "no layer, run once more"


def _turns_nonfinite(node: Function) -> bool:
    """Whether its inputs are finite, but not its outputs."""
    inputs, outputs = ([np.isfinite(t.numpy()).all() for t in tensors] for tensors in (node.inputs, node.outputs))
    return all(inputs) and not all(outputs)


def _loss_after_step(
    model: Module, seen: Watched, images: Tensor, targets: Tensor, loss: Loss, lr: float, seed: int
) -> float:
    """The loss of the same batch, with the same masks of dropout, after one step of SGD by a copy of the model."""
    stepped = copied(model)
    for parameter, own in zip(model.parameters(), stepped.parameters(), strict=True):
        gradient = seen.gradients.get(parameter)
        if gradient is not None:
            own.data = own.data - lr * gradient.data
    with _drawing_from(seed):
        return loss_value(loss.function(stepped(images), targets))


def _diagnose(facts: Facts) -> Diagnosis:
    parameters = [p for p in facts.model.parameters() if p.requires_grad and not isinstance(p, UninitializedParameter)]
    is_cross_entropy = facts.loss.kind == "cross-entropy"
    return Diagnosis(
        model=type(facts.model).__name__,
        parameters=sum(parameter.size for parameter in parameters),
        tensors=len(list(facts.model.parameters())),
        examples=len(facts.images),
        classes=facts.outputs.shape[1] if is_cross_entropy else None,
        lr=facts.lr,
        loss=facts.value,
        expected=facts.expected,
        layers=tuple(facts.reports),
        missing=tuple(facts.missing),
        overfit=facts.overfit,
        findings=tuple(_findings(facts)),
    )


def _findings(facts: Facts) -> list[Finding]:
    """What the rules say, the most severe first. Where a value is no number, that alone is worth saying."""
    rules = (*rules_data.RULES, *rules_model.RULES) if facts.nonfinite is None else (rules_data.nonfinite,)
    found = [finding for rule in rules for finding in rule(facts)]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


@contextmanager
def _drawing_from(seed: int) -> Iterator[None]:
    """The global generator draws what that seed gives, and afterwards what it would have drawn."""
    bits = default_generator().bit_generator
    state = bits.state
    bits.state = np.random.default_rng(seed).bit_generator.state
    try:
        yield
    finally:
        bits.state = state
