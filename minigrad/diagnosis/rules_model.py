"""Rules about weights, gradients and units, and about the examples that were to be learned by heart."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .facts import RESCALE_FIRST, Facts, Rule, guess, listed, number
from .overfitting import EXAMPLES, is_falling
from .records import Finding, LayerReport

VANISHING, EXPLODING = 1e-2, 1e2  # a layer's gradient as a share of the last layer's
HUGE = 1e3  # the norm of a layer's gradient, for the mean over a batch
UPDATE_LARGE, UPDATE_SMALL = 1e-1, 1e-6  # lr |gradient| / |weight|; 1e-3 is healthy
MANY = 0.5  # of the units
AT_RANDOM = "draw them at random, by nn.init.xavier_uniform_ for example"
SMALLER = "draw smaller weights (nn.init.kaiming_uniform_), scale the inputs, or use nn.utils.clip_grad_norm_"

WHY = {  # reason for a missing gradient: severity, action
    "frozen": ("note", "nothing, where that is meant; else requires_grad_()"),
    "not-called": ("warning", "call the layer in forward, or delete it"),
    "not-recorded": ("error", "compute with the parameter itself, outside no_grad()"),
    "unused": ("warning", "use the parameter in forward, or delete it"),
    "cut": ("error", "remove the detach(), .data, numpy() or no_grad() that comes after that layer"),
    "no-rule": ("error", "let the operation's backward return a gradient for each input that needs one"),
    "zero-dead": (
        "error",
        "draw the layer before that ReLU by nn.init.kaiming_uniform_, or lower the rate that killed it",
    ),
    "zero-saturated": ("error", "scale the inputs, or draw smaller weights for the layer before it"),
    "zero-loss": ("error", "nothing, where the model is trained already; else check the scale of the outputs"),
    "zero-weights": ("error", AT_RANDOM),
    "zero-inputs": ("error", "look at what that layer gets: inputs of 0, or a layer before it that gives 0 alone"),
    "zero-factor": ("error", "find out where those zeros come from, in the model or in the loss, and leave them out"),
    "zero": ("error", "look at the operations between that parameter and the loss: its value does not change the loss"),
}


def missing(facts: Facts) -> Iterator[Finding]:
    """One finding for each kind of reason and its text."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name, reason, text in facts.missing:
        groups.setdefault((reason, text), []).append(name)
    for (reason, text), names in groups.items():
        severity, action = WHY[reason]
        if reason == "zero-weights" and facts.zero_start:
            severity, action = "note", "nothing: the last layer is not 0 any more after the first step"
        which = listed(names)
        zero = reason.startswith("zero")
        what = f"the gradient of {which} is exactly 0" if zero else f"no gradient reaches {which}"
        yield Finding(f"gradient-{reason}", severity, f"{what}: {text}", action)


def nonfinite_gradient(facts: Facts) -> Iterator[Finding]:
    if facts.seen.nonfinite is not None and facts.nonfinite is None:
        place = facts.seen.place(facts.seen.nonfinite)
        text = f"in the backward pass the first value that is NaN or infinite comes from {place}"
        action = "look for the slope of a root or a logarithm at 0, or for an overflow"
        if all(np.isfinite(gradient.data).all() for gradient in facts.seen.gradients.values()):
            text = f"{text}; every parameter's gradient is finite all the same"
            yield Finding("gradient-non-finite", "note", text, f"nothing yet; where it becomes NaN, {action}")
        else:
            yield Finding("gradient-non-finite", "error", f"{text}; the loss is a number", action)


def zero_weights(facts: Facts) -> Iterator[Finding]:
    for title, weight in facts.weights:
        if not weight.numpy().any():
            text = f"the weights of {title} are all 0: nothing gets through it, and no gradient back"
            if title == facts.zero_start:
                text += ", until the first step changes them"
                yield Finding("weights-zero", "note", text, "nothing, where that is meant")
            else:
                yield Finding("weights-zero", "error", text, AT_RANDOM)


def units_alike(facts: Facts) -> Iterator[Finding]:
    """Of hidden layers: the outputs for different classes get different gradients."""
    hidden = [(title, weight, weight.numpy()) for title, weight in facts.weights[:-1]]
    alike = [(title, facts.seen.gradients.get(weight)) for title, weight, w in hidden if w.any() and _rows_alike(w)]
    if not alike:
        return
    forever = any(gradient is None or _rows_alike(gradient.numpy()) for _, gradient in alike)
    text = f"all units of {listed([title for title, _ in alike])} start with the same weights, " + (
        "and get the same gradient: they will stay one unit for ever"
        if forever
        else "and only the layers after it tell them apart"
    )
    yield Finding("units-alike", "error" if forever else "warning", text, AT_RANDOM)


def gradients(facts: Facts) -> Iterator[Finding]:
    titles = {title for title, _ in facts.weights}  # not the scales of a batch norm, which are few
    layers = [(report.gradient, report) for report in facts.graded if report.gradient and report.title in titles]
    if len(layers) < 2:
        return
    norm, last = layers[-1]
    least, small = min(layers, key=lambda pair: pair[0])
    most, large = max(layers, key=lambda pair: pair[0])
    if least / norm < VANISHING:
        begin = f"the loss, {number(facts.value, 4)}, sits at {guess(facts)}: " if facts.near_guessing else ""
        ratio = f"{number(least / norm)} of those in the last layer, {last.name} ({last.kind})"
        cause, action = _why_vanishing(facts)
        text = f"{begin}gradients in {small.title} are {ratio}{cause}"
        yield Finding("gradients-vanish", "warning", text, action)
    if most / norm > EXPLODING:
        text = f"gradients in {large.title} are {number(most / norm)} times those in the last layer, {last.title}"
        yield Finding("gradients-explode", "warning", text, SMALLER)
    elif facts.loss.kind != "other" and most > HUGE:
        text = f"the gradient in {large.title} is huge: its norm is {number(most)}"
        yield Finding("gradients-explode", "warning", text, RESCALE_FIRST if facts.targets_scale else SMALLER)


def _why_vanishing(facts: Facts) -> tuple[str, str]:
    kinds = [type(node).__name__ for node in facts.seen.nodes]
    for kind, name in (("Sigmoid", "sigmoids"), ("Tanh", "tanhs")):
        if kinds.count(kind) > 1:
            plateau = "a plateau of two to four epochs" if kind == "Sigmoid" else "a plateau"
            return f", as stacked {name} make them", f"expect {plateau}, or use ReLU"
    action = "draw larger weights (nn.init.kaiming_uniform_), use fewer layers, or batch norm"
    return ": each layer makes them smaller", action


def learning_rate(facts: Facts) -> Iterator[Finding]:
    layers = [report for report in facts.graded if report.update]
    if not layers:
        return
    large = max(layers, key=lambda report: report.update or 0.0)
    update = large.update or 0.0
    if update > UPDATE_LARGE:
        helps = facts.stepped < facts.value  # large beside weights that are still small, which need such steps
        text = (
            f"a step at learning rate {facts.lr:g} changes {large.title} by {_part(update)}, and the loss "
            f"{'falls all the same' if helps else 'rises'}, from {number(facts.value)} to {number(facts.stepped)}"
        )
        lower = f"lower it, to about {number(facts.lr * 1e-2 / update, 2)}; 1e-3 of the size is a healthy step"
        action = "nothing, as long as the loss goes on falling" if helps else lower
        yield Finding("rate-large", "note" if helps else "warning", text, action)
    elif update < UPDATE_SMALL:
        text = f"a step at learning rate {facts.lr:g} changes no layer by more than {number(update)} of its size"
        yield Finding("rate-small", "warning", text, "raise it; 1e-3 of the size is a healthy step")


def units(facts: Facts) -> Iterator[Finding]:
    dead = [report for report in facts.reports if (report.dead or 0.0) >= MANY]
    if dead:
        share = f"{dead[0].dead:.0%} of the units of {dead[0].title} are dead: 0 for every example of the batch"
        action = "draw the layer before it by nn.init.kaiming_uniform_, with biases of 0, or use LeakyReLU"
        severity = "error" if any(report.dead == 1 for report in dead) else "warning"
        yield Finding("units-dead", severity, share + _likewise(dead), action)
    flat = [report for report in facts.reports if (report.saturated or 0.0) >= MANY]
    if flat:
        share = f"{flat[0].saturated:.0%} of the outputs of {flat[0].title} are saturated, where its slope is almost 0"
        action = "scale the inputs, or draw smaller weights for the layer before it (nn.init.xavier_uniform_)"
        yield Finding("units-saturated", "warning", share + _likewise(flat), action)


def _likewise(reports: list[LayerReport]) -> str:
    """That the same holds for all but the first of these layers."""
    return f"; so are many of {listed([report.title for report in reports[1:]])}" if len(reports) > 1 else ""


def by_heart(facts: Facts) -> Iterator[Finding]:
    result = facts.overfit
    if result is None or result.succeeded:
        return
    right = f", {round(result.accuracy * result.examples)} right" if result.accuracy is not None else ""
    many = f"{result.examples} examples" if result.examples > 1 else "one example"
    text = (
        f"the model does not learn {many} by heart: the loss went from {number(result.start)} to "
        f"{number(result.end)} in {result.steps} steps{right}"
    )
    if _contradictory(facts):
        action = "two of them have the same input and different labels: check how labels and inputs are joined"
    elif facts.targets_scale:
        action = RESCALE_FIRST
    elif is_falling(result) and (facts.loss.kind == "other" or result.end < 0.5 * result.start):
        action = f"it is on its way: ask again with overfit_steps={3 * result.steps}"
    else:
        action = "mend what else is said here first; then check that forward uses its input, that inputs and labels "
        action += "belong together, and that the model is large enough"
    yield Finding("no-overfit", "error" if facts.loss.kind == "cross-entropy" else "warning", text, action)


def _part(update: float) -> str:
    return f"{update:.0%} of its size" if update < 1 else f"{number(update)} times its size"


def _contradictory(facts: Facts) -> bool:
    """Whether two of the examples that were to be learned have the same input and different targets."""
    seen: dict[bytes, bytes] = {}
    for image, target in zip(facts.images[:EXAMPLES], facts.targets[:EXAMPLES], strict=True):
        if seen.setdefault(image.tobytes(), target.tobytes()) != target.tobytes():
            return True
    return False


def _rows_alike(array: np.ndarray) -> bool:
    """Whether there are several rows, all the same, as far as rounding can tell."""
    spread = np.ptp(array, axis=0).max() if array.size else 0.0
    return len(array) > 1 and bool(spread <= 1e-6 * np.abs(array).max(initial=0.0))


RULES: tuple[Rule, ...] = (
    missing,
    nonfinite_gradient,
    zero_weights,
    units_alike,
    gradients,
    learning_rate,
    units,
    by_heart,
)
