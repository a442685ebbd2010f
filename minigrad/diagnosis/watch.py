"""One forward and one backward pass, watched: which layers were called, what arrived where, and where it stopped.

The forward pass is watched by hooks, the backward pass by `backward_steps`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..autograd.engine import topological_order
from ..autograd.function import Function
from ..nn import Module
from ..tensor import Tensor
from .records import title


class Call(NamedTuple):
    """A layer that was called: one with parameters of its own, or without modules in it."""

    name: str
    module: Module
    inputs: tuple[Tensor, ...]
    output: Tensor

    @property
    def title(self) -> str:
        return title(self.name, type(self.module).__name__)

    @property
    def is_innermost(self) -> bool:
        """Whether there are no modules in it."""
        return not list(self.module.children())

    def made(self, node: Function) -> bool:
        """Whether the node was recorded while the layer ran."""
        before = max((_number(tensor) for tensor in self.inputs), default=0)
        return before < node._number <= _number(self.output)


class Block(NamedTuple):
    """A place where the gradient ends: some arrived at the node, but it passes zeros or nothing on to the tensor."""

    node: Function
    tensor: Tensor


@dataclass
class Watched:
    """What was seen. `gradients` are those of the leaves; a leaf that none arrived at is missing there."""

    outputs: Any
    calls: list[Call]
    called: set[Module]
    nodes: list[Function] = field(default_factory=list)  # of the loss's graph, as they were recorded
    gradients: dict[Tensor, Tensor] = field(default_factory=dict)
    zeros: list[Block] = field(default_factory=list)  # nodes that pass zeros on, the one nearest to the loss first
    nothing: list[Block] = field(default_factory=list)  # and those that pass on nothing
    nonfinite: Function | None = None  # the first node that makes a gradient that is no number

    def place(self, node: Function) -> str:
        """Where a node was recorded, in words."""
        call = self.layer(node)
        return call.title if call else f"the function {node.name()}"

    def layer(self, node: Function) -> Call | None:
        """The layer that recorded the node; None where the model called a function."""
        return next((call for call in self.calls if call.is_innermost and call.made(node)), None)


def watch_forward(model: Module, images: Tensor) -> Watched:
    """Runs the model on the images and notes each call."""
    calls: list[Call] = []
    called: set[Module] = set()
    names = {module: name for name, module in model.named_modules()}

    def note(module: Module, args: tuple[Any, ...], output: Any) -> None:
        result = output[0] if isinstance(output, (tuple, list)) and output else output
        if isinstance(result, Tensor):
            call = Call(names[module], module, tuple(value for value in args if isinstance(value, Tensor)), result)
            if call.is_innermost or list(module.parameters(recurse=False)):
                calls.append(call)
        called.add(module)

    handles = [module.register_forward_hook(note) for module in names]
    try:
        outputs = model(images)
    finally:
        for handle in handles:
            handle.remove()
    return Watched(outputs, calls, called)


def watch_backward(loss: Tensor, seen: Watched) -> None:
    """Runs the backward pass and notes the gradients, and where they end. No leaf's `grad` is other than before."""
    if not loss.requires_grad:
        return
    seen.nodes = topological_order([loss])
    with _no_grads(leaves_below(loss)) as leaves:
        for step in loss.backward_steps(retain_graph=True):
            arrived = [gradient.data for gradient in step.grad_outputs if gradient is not None]
            pairs = [(t, g) for t, g in zip(step.node.inputs, step.grad_inputs, strict=False) if t.requires_grad]
            passed = [(tensor, gradient.data) for tensor, gradient in pairs if gradient is not None]
            if any(np.any(gradient) for gradient in arrived):
                seen.zeros += [Block(step.node, tensor) for tensor, gradient in passed if not np.any(gradient)]
                seen.nothing += [Block(step.node, tensor) for tensor, gradient in pairs if gradient is None]
            if seen.nonfinite is None and not all(np.isfinite(gradient).all() for _, gradient in passed):
                seen.nonfinite = step.node
        seen.gradients = {leaf: leaf.grad for leaf in leaves if leaf.grad is not None}


def leaves_below(tensor: Tensor) -> set[Tensor]:
    """The leaves that a tensor was computed from and whose gradients are wanted."""
    inputs = [t for node in topological_order([tensor]) for t in node._inputs] or [tensor]
    return {t for t in inputs if t.is_leaf and t.requires_grad}


@contextmanager
def _no_grads(leaves: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """The leaves without their gradients, which they have again afterwards."""
    kept = [(leaf, leaf.grad) for leaf in leaves]
    try:
        for leaf, _ in kept:
            leaf.grad = None
        yield [leaf for leaf, _ in kept]
    finally:
        for leaf, gradient in kept:
            leaf.grad = gradient


def _number(tensor: Tensor) -> int:
    return 0 if tensor.grad_fn is None else tensor.grad_fn._number
