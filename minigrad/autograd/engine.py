"""The traversal: from an output back to the leaves, one node at a time, each after everything that used it.

`backward_steps` is the only one. `backward` exhausts it, `grad` collects from it, and whatever shows or checks
backpropagation reads the steps it yields.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from ..tensor import Tensor
from .function import Function
from .grad_mode import enable_grad, no_grad

Tensors = Sequence[Tensor]


class Step(NamedTuple):
    """What happened at one node during the backward pass. The four tuples hold Tensors, or None where there is none."""

    node: Function
    grad_outputs: tuple[Tensor | None, ...]  # for each output of the node: the gradient that arrived
    grad_inputs: tuple[Tensor | None, ...]  # for each input: the gradient that the node passes on to it
    before: tuple[Tensor | None, ...]  # for each input: the sum of what it had received in this pass, before
    after: tuple[Tensor | None, ...]  # and after


def backward_steps(
    self: Tensor, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False
) -> Iterator[Step]:
    """The backward pass as a generator, one `Step` for each node of the graph, in the order in which they are visited.

    Takes what `backward` takes, and has done what `backward` does when it is exhausted. A leaf's `grad` is set as soon
    as its last contribution has arrived. Arguments are checked at the call, not at the first step.

    >>> x = Tensor(3.0, requires_grad=True)
    >>> for step in (x * x).backward_steps():
    ...     print(step.node, "received", step.grad_outputs[0].item(), "passes on", [g.item() for g in step.grad_inputs])
    <Mul> received 1.0 passes on [3.0, 3.0]
    >>> x.grad
    Tensor(6.)
    """
    seed = _seed(self, gradient, "backward")
    return _Pass([self], [seed], retain_graph, create_graph, targets=None).steps()


def backward(self: Tensor, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
    """Computes the gradient of this tensor by every leaf that requires one, and adds it to the leaf's `grad`.

    Args:
        gradient: dL/d(this tensor), of its shape; may be left out for a tensor of one element, and is 1 then.
        retain_graph: keep the saved values, so that another backward pass can follow; by default as create_graph.
        create_graph: record the backward pass itself, so that the gradients can be differentiated again.

    Raises:
        RuntimeError: where the tensor does not require a gradient, is not of one element and no gradient is given, or
            where the graph has been released by an earlier pass.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).backward(Tensor([1.0, 10.0]))
    >>> x.grad
    Tensor([ 2., 40.])
    """
    for _ in backward_steps(self, gradient, retain_graph, create_graph):
        pass


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    create_graph: bool = False,
    allow_unused: bool = False,
    *,
    retain_graph: bool | None = None,
) -> tuple[Tensor | None, ...]:
    """The gradients of outputs (their sum, weighted by grad_outputs) by inputs, one for each; no `grad` is touched.

    Only the nodes between inputs and outputs are visited. `create_graph=True` lets the result be differentiated again.

    Raises:
        RuntimeError: where an input does not require a gradient, or the outputs do not depend on it and allow_unused is
            false (with it, that gradient is None); and as `backward` does.

    >>> x = Tensor(2.0, requires_grad=True)
    >>> (slope,) = grad(x**3, x, create_graph=True)
    >>> slope.item()
    12.0
    >>> grad(slope, x)[0].item()  # the second derivative, 6 x
    12.0
    """
    outputs, inputs = _as_tuple("outputs", outputs), _as_tuple("inputs", inputs)
    grad_outputs = (None,) * len(outputs) if grad_outputs is None else _as_tuple("grad_outputs", grad_outputs)
    if len(grad_outputs) != len(outputs):
        raise ValueError(f"grad: {len(outputs)} outputs need as many grad_outputs, got {len(grad_outputs)}")
    for i, tensor in enumerate(inputs):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"grad: input {i} must be a Tensor, got {tensor!r}")
        if not tensor.requires_grad:
            raise RuntimeError(f"grad: input {i} does not require a gradient; make it with requires_grad=True")
    seeds = [_seed(output, seed, "grad") for output, seed in zip(outputs, grad_outputs, strict=True)]
    walk = _Pass(outputs, seeds, retain_graph, create_graph, targets=inputs)
    for _ in walk.steps():
        pass
    gradients = tuple(walk.found.get(_key(tensor)) for tensor in inputs)
    unused = [i for i, gradient in enumerate(gradients) if gradient is None]
    if unused and not allow_unused:
        raise RuntimeError(f"grad: the outputs do not depend on input {unused[0]}; allow_unused=True gives None for it")
    return gradients


def _as_tuple(what: str, given: Any) -> tuple[Any, ...]:
    values = (given,) if isinstance(given, Tensor) else tuple(given) if isinstance(given, Iterable) else ()
    if not values:
        raise TypeError(f"grad: {what} must be a Tensor or several, got {given!r}")
    return values


def _seed(output: Tensor, gradient: Any, caller: str) -> Tensor:
    """The gradient that a pass starts with, checked."""
    if not isinstance(output, Tensor):
        raise TypeError(f"{caller}: expected a Tensor to differentiate, got {type(output).__name__}")
    if not output.requires_grad:
        raise RuntimeError(f"{caller}: this tensor requires no gradient; make its sources with requires_grad=True")
    if gradient is None:
        if output.size != 1:
            hint = "the gradient that arrives at it, of that shape; or reduce it to one element, say with .sum()"
            raise RuntimeError(f"{caller}: a tensor of shape {output.shape} needs {hint}")
        return Tensor._wrap(output.backend.xp.ones_like(output._data), output.backend)
    if type(gradient) not in (float, int, list, tuple) and not hasattr(gradient, "__array__"):
        raise TypeError(f"{caller}: the gradient must be a Tensor or an array, got {gradient!r}; name flags: flag=True")
    if not isinstance(gradient, Tensor):
        gradient = Tensor(gradient, output.dtype, backend=output.backend)
    if not _alike(gradient, output):
        raise _misfit(gradient, output, f"{caller}: the gradient given")
    return gradient


def _alike(gradient: Tensor, tensor: Tensor) -> bool:
    g, t = gradient._data, tensor._data
    return g.shape == t.shape and g.dtype == t.dtype and gradient.backend is tensor.backend


def _misfit(gradient: Tensor, tensor: Tensor, what: str) -> RuntimeError:
    got = f"{gradient.shape}, dtype {gradient.dtype} and backend {gradient.backend.name}"
    return RuntimeError(f"{what} has shape {got}, expected {tensor.shape}, {tensor.dtype} and {tensor.backend.name}")


def _key(tensor: Tensor) -> Any:
    """What names a tensor in the graph: a leaf itself, any other by the node that made it (see Function.outputs)."""
    return tensor if tensor.grad_fn is None else (tensor.grad_fn, tensor.output_index)


def topological_order(roots: Tensors) -> list[Function]:
    """The nodes below the roots, each after all nodes that used its outputs; with no recursion, however deep."""
    order: list[Function] = []
    seen: set[Function] = set()
    stack: list[tuple[Function, bool]] = [(root.grad_fn, False) for root in roots if root.grad_fn is not None]
    while stack:
        node, inputs_done = stack.pop()
        if inputs_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack += [(t.grad_fn, False) for t in node._inputs if t.grad_fn is not None and t.grad_fn not in seen]
    return order[::-1]


class _Pass:
    """One backward pass. Gradients wait in `arrived` under their tensor's key until all its uses have been visited."""

    def __init__(
        self, roots: Tensors, seeds: Tensors, retain_graph: bool | None, create_graph: bool, targets: Tensors | None
    ) -> None:
        if not isinstance(create_graph, bool) or retain_graph not in (None, True, False):
            raise TypeError(f"backward: graph flags are True or False, got {create_graph=} and {retain_graph=}")
        self.roots, self.seeds = roots, seeds if create_graph else [seed.detach() for seed in seeds]
        self.create_graph = create_graph
        self.recording = enable_grad() if create_graph else no_grad()
        self.retain_graph = create_graph if retain_graph is None else retain_graph
        self.order = topological_order(roots)
        for node in self.order:
            if node.released:
                by = "an earlier backward pass through it; pass retain_graph=True to the earlier one"
                raise RuntimeError(f"backward: the values saved by {node!r} were released by {by}")
        self.targets = None if targets is None else {_key(tensor) for tensor in targets}
        self.needs = {node: node.needs for node in self.order} if self.targets is None else self._needs_of_targets()
        self.uses_left = self._count_uses()
        self.arrived: dict[Any, Tensor] = {}
        self.found: dict[Any, Tensor] = {}  # the targets' gradients

    def _needs_of_targets(self) -> dict[Function, tuple[bool, ...]]:
        """Which inputs of each node lead to a target."""
        assert self.targets is not None
        needs: dict[Function, tuple[bool, ...]] = {}
        for node in reversed(self.order):
            needs[node] = tuple(
                needed and (_key(t) in self.targets or (t.grad_fn is not None and True in needs[t.grad_fn]))
                for t, needed in zip(node._inputs, node.needs, strict=True)
            )
        return needs

    def _count_uses(self) -> Counter[Tensor]:
        """How many contributions each leaf waits for."""
        pairs = (pair for node in self.order for pair in zip(node._inputs, self.needs[node], strict=True))
        receivers = chain(self.roots, (tensor for tensor, needed in pairs if needed))
        return Counter(tensor for tensor in receivers if tensor.grad_fn is None)

    def steps(self) -> Iterator[Step]:
        with self.recording:
            for root, seed in zip(self.roots, self.seeds, strict=True):
                self._deliver(root, seed)
        for node in self.order:
            with self.recording:
                step = self._visit(node)
            if step is not None:
                yield step

    def _visit(self, node: Function) -> Step | None:
        """Applies the node's rule and passes its gradients on; None where no input wants one."""
        grad_outputs, needs, inputs = self._collect(node), self.needs[node], node._inputs
        if True not in needs:
            return None
        no_gradient = all(g is None for g in grad_outputs)
        grad_inputs = (None,) * len(inputs) if no_gradient else self._apply_rule(node, grad_outputs, needs)
        if not self.retain_graph:
            node.release()
        before, after = [], []
        for tensor, gradient, needed in zip(inputs, grad_inputs, needs, strict=True):
            before.append(self.arrived.get(_key(tensor)))
            after.append(self._deliver(tensor, gradient) if needed else None)
        return Step(node, grad_outputs, grad_inputs, tuple(before), tuple(after))

    def _collect(self, node: Function) -> tuple[Tensor | None, ...]:
        """The whole gradients of a node's outputs, after hooks; nothing more will arrive for them."""
        collected: list[Tensor | None] = []
        for index in range(len(node._output_arrays)):
            gradient = self.arrived.pop((node, index), None)
            if gradient is not None:
                if node.hooks:
                    gradient = _run_hooks(node.hooks.get(index, ()), gradient)
                if self.targets is None:
                    if node.retained and index in node.retained:
                        _accumulate_grad(node.retained[index](), gradient)
                elif (node, index) in self.targets:
                    self.found[node, index] = gradient
            collected.append(gradient)
        return tuple(collected)

    def _apply_rule(
        self, node: Function, grad_outputs: tuple[Tensor | None, ...], needs: tuple[bool, ...]
    ) -> tuple[Tensor | None, ...]:
        recorded_needs, node.needs = node.needs, needs
        try:
            gradients = node.backward(*grad_outputs)
            if type(gradients) is not tuple or len(gradients) != len(node._inputs):
                returned = f"{len(gradients)} of them" if type(gradients) is tuple else f"a {type(gradients).__name__}"
                wanted = f"a tuple of {len(node._inputs)} gradients, one for each input"
                raise RuntimeError(f"{node.name()}: its backward rule must return {wanted}, and returned {returned}")
            return tuple(
                [
                    self._checked(node, index, gradient, tensor) if needed else None
                    for index, (gradient, tensor, needed) in enumerate(zip(gradients, node._inputs, needs, strict=True))
                ]
            )
        finally:
            node.needs = recorded_needs

    def _checked(self, node: Function, index: int, gradient: Tensor | None, tensor: Tensor) -> Tensor | None:
        if gradient is None:
            return None
        if not isinstance(gradient, Tensor):
            kind = type(gradient).__name__
            raise RuntimeError(f"{node.name()}: the gradient for input {index} is a {kind}, expected a Tensor")
        if node.broadcasts and gradient._data.shape != tensor._data.shape:
            gradient = sum_to_shape(gradient, tensor.shape)
        if not _alike(gradient, tensor):
            raise _misfit(gradient, tensor, f"{node.name()}: the gradient its backward rule returned for input {index}")
        if gradient._requires_grad and not self.create_graph:
            gradient = gradient.detach()  # the rule returned a saved tensor as it is
        return gradient

    def _deliver(self, tensor: Tensor, gradient: Tensor | None) -> Tensor | None:
        """Adds a contribution to what has arrived for the tensor; a leaf that has them all gets its `grad`."""
        key = _key(tensor)
        total = self.arrived.get(key)
        if gradient is not None:
            total = gradient if total is None else total + gradient  # a new array: others may hold the old ones
            self.arrived[key] = total
        if tensor.grad_fn is None:
            self.uses_left[tensor] -= 1
            if self.uses_left[tensor] == 0 and total is not None:
                self._finish_leaf(tensor, self.arrived.pop(key))
        return total

    def _finish_leaf(self, leaf: Tensor, gradient: Tensor) -> None:
        if leaf.hooks:
            gradient = _run_hooks(leaf.hooks, gradient)
        if self.targets is not None:
            self.found[leaf] = gradient
        else:
            _accumulate_grad(leaf, gradient)


def _accumulate_grad(tensor: Tensor | None, gradient: Tensor) -> None:
    """Adds to `grad`, which never shares its array: a rule may pass one array on twice, or a view of a saved one."""
    if tensor is None:
        return  # it asked to retain its gradient, and is gone
    if tensor.grad is not None:
        tensor.grad = tensor.grad + gradient
    elif gradient._requires_grad:
        tensor.grad = gradient
    else:
        tensor.grad = Tensor._wrap(gradient._data.copy(), gradient.backend)


def sum_to_shape(gradient: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Undoes broadcasting: sums over the axes along which a tensor of that shape was repeated.

    >>> sum_to_shape(Tensor([[1.0, 2.0], [3.0, 4.0]]), (2, 1))
    Tensor([[3.],
            [7.]])
    """
    extra = gradient.ndim - len(shape)
    sizes = list(zip(gradient.shape, (1,) * extra + shape, strict=False))
    if extra < 0 or any(size != original != 1 for size, original in sizes):
        return gradient  # not a broadcast of that shape: left to the check that names the operation
    stretched = tuple(axis for axis, (size, original) in enumerate(sizes) if axis < extra or size != original)
    return gradient.sum(axis=stretched).reshape(shape)


def _run_hooks(hooks: Sequence[Callable[[Tensor], Tensor | None]], gradient: Tensor) -> Tensor:
    for hook in tuple(hooks):
        replacement = hook(gradient)
        if replacement is not None:
            if not isinstance(replacement, Tensor):
                raise TypeError(f"a tensor hook must return a Tensor or None, got {type(replacement).__name__}")
            if not _alike(replacement, gradient):
                raise _misfit(replacement, gradient, "the gradient returned by a tensor hook")
            gradient = replacement
    return gradient
