"""Parameters that no gradient reaches, and why."""

from __future__ import annotations

import numpy as np

from ..nn import Module, UninitializedParameter
from ..tensor import Tensor
from .records import MissingGradient, title
from .watch import Block, Watched, leaves_below


def missing_gradients(model: Module, seen: Watched) -> list[MissingGradient]:
    """The parameters without a gradient, or with one that is zero throughout, in the order of the parameters."""
    owners: dict[Tensor, tuple[str, Module]] = {
        p: (name, module) for name, module in model.named_modules() for p in module.parameters(recurse=False)
    }
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    below = [leaves_below(call.output) for call in seen.calls]
    missing = []
    for parameter, name in names.items():
        gradient = seen.gradients.get(parameter)
        if not parameter.requires_grad:
            reason, text = "frozen", "requires_grad is False"
        elif gradient is None:
            reason, text = _never_arrived(parameter, *owners[parameter], seen, below)
        elif not np.any(gradient.data):
            reason, text = _why_zero(parameter, names, seen)
        else:
            continue
        missing.append(MissingGradient(name, reason, text))
    return missing


def _never_arrived(
    parameter: Tensor, name: str, module: Module, seen: Watched, below: list[set[Tensor]]
) -> tuple[str, str]:
    for block in seen.nothing:
        if _leads_to(block, parameter):
            return "no-rule", f"the backward rule of {block.node!r} passes nothing on to it"
    reached = [call for call, leaves in zip(seen.calls, below, strict=True) if parameter in leaves]
    if reached:
        cut = f"the graph is cut after {reached[-1].title}"
        return "cut", f"{cut}: by detach(), .data or no_grad(), or its output is not used"
    owner = title(name, type(module).__name__)
    if module not in seen.called or isinstance(parameter, UninitializedParameter):
        return "not-called", f"forward never calls {owner}"
    outputs = [call.output for call in seen.calls if call.module is module]
    if outputs and not any(output.requires_grad for output in outputs):
        return "not-recorded", f"{owner} ran, but was not recorded: under no_grad(), or with .data"
    return "unused", f"{owner} ran without it, or used only its .data"


def _why_zero(parameter: Tensor, names: dict[Tensor, str], seen: Watched) -> tuple[str, str]:
    for block in seen.zeros:
        if _leads_to(block, parameter):
            return _explain(block, parameter, names, seen.place(block.node))
    return "zero", "the gradients that arrive cancel each other out"


def _leads_to(block: Block, parameter: Tensor) -> bool:
    return block.tensor is parameter or parameter in leaves_below(block.tensor)


def _explain(block: Block, parameter: Tensor, names: dict[Tensor, str], place: str) -> tuple[str, str]:
    kind = type(block.node).__name__
    if kind == "Relu":
        return "zero-dead", f"the ReLU after it is dead: {place} gives 0 for every example"
    if kind in ("Sigmoid", "Tanh"):
        return "zero-saturated", f"{place} is so saturated that its slope is exactly 0"
    if kind == "CrossEntropy":
        return "zero-loss", "the loss is flat: it cannot be told from 0 any more"
    zeros = [t for t in block.node.inputs if t is not block.tensor and t.size and not np.any(t.data)]
    weights = [names[tensor] for tensor in zeros if tensor in names and tensor is not parameter]
    if weights:
        return "zero-weights", f"{weights[0]}, behind it, is all zero and lets nothing through"
    if zeros and block.tensor is parameter:
        return "zero-inputs", "what it is multiplied with is 0 for every example"
    if zeros or getattr(block.node, "number", None) == 0:
        return "zero-factor", f"it is multiplied with zeros in {place}"
    return "zero", f"{place} passes on zeros alone"
