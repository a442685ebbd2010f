"""The traversal: from an output back to the leaves, one node at a time, each after everything that used it.

There is one, `_Pass`. `backward` runs it, `grad` collects from it, and `backward_steps` lets others watch: whatever
shows or checks backpropagation reads the steps it yields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ..backends import SCALARS
from ..tensor import Tensor
from . import function
from .function import INPUTS, NEEDS, NUMBER, Function
from .grad_mode import grad_mode

_wrap = Tensor._wrap

Tensors = Sequence[Tensor]
Gradients = Sequence[Tensor | None]


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
    return _Pass([self], [_seed(self, gradient, "backward")], retain_graph, create_graph, targets=None).steps()


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
    _Pass([self], [_seed(self, gradient, "backward")], retain_graph, create_graph, targets=None).run()


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

    Args:
        grad_outputs: dL/d(output), of its shape, or a list of them, where None is 1 for an output of one element.
        create_graph, retain_graph: as in `backward`. Only the rules between inputs and outputs run.
        allow_unused: give None for an input on which the outputs do not depend.

    Raises:
        RuntimeError: where an input does not require a gradient, or the outputs do not depend on it; as `backward`
            does; for any released node younger than the oldest input, since what led to it is not known any more.

    >>> x = Tensor(2.0, requires_grad=True)
    >>> (slope,) = grad(x**3, x, create_graph=True)
    >>> slope.item()
    12.0
    >>> grad(slope, x)[0].item()  # the second derivative, 6 x
    12.0
    """
    outputs, inputs = _as_tuple("outputs", outputs), _as_tuple("inputs", inputs)
    if not isinstance(grad_outputs, (list, tuple)):
        grad_outputs = (grad_outputs,) * (len(outputs) if grad_outputs is None else 1)
    if len(grad_outputs) != len(outputs):
        raise ValueError(f"grad: {len(outputs)} outputs need as many grad_outputs, got {len(grad_outputs)}")
    for i, tensor in enumerate(inputs):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"grad: input {i} must be a Tensor, got {tensor!r}")
        if not tensor.requires_grad:
            raise RuntimeError(f"grad: input {i} does not require a gradient; make it with requires_grad=True")
    seeds = [_seed(output, seed, "grad") for output, seed in zip(outputs, grad_outputs, strict=True)]
    walk = _Pass(outputs, seeds, retain_graph, create_graph, targets=inputs)
    walk.run()
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
    if not output._requires_grad:
        raise RuntimeError(f"{caller}: this tensor requires no gradient; make its sources with requires_grad=True")
    if gradient is None:
        if output.size != 1:
            hint = "the gradient that arrives at it, of that shape; or reduce it to one element, say with .sum()"
            raise RuntimeError(f"{caller}: a tensor of shape {output.shape} needs {hint}")
        return _wrap(output.backend.full(output.shape, 1, output.dtype), output.backend)
    if type(gradient) not in (float, int, list, tuple) and not hasattr(gradient, "__array__"):
        raise TypeError(f"{caller}: the gradient must be a Tensor or an array, got {gradient!r}; name flags: flag=True")
    if not isinstance(gradient, Tensor):
        gradient = Tensor(gradient, output.dtype, backend=output.backend)
    if not _alike(gradient, output):
        raise _misfit(gradient, output, f"{caller}: the gradient given")
    return gradient


def _alike(gradient: Tensor, tensor: Tensor) -> bool:
    return gradient.shape == tensor.shape and gradient.dtype == tensor.dtype and gradient.backend is tensor.backend


def _misfit(gradient: Tensor, tensor: Tensor, what: str) -> RuntimeError:
    got = f"{gradient.shape}, dtype {gradient.dtype} and backend {gradient.backend.name}"
    return RuntimeError(f"{what} has shape {got}, expected {tensor.shape}, {tensor.dtype} and {tensor.backend.name}")


def _released(node: Function) -> RuntimeError:
    by = "an earlier backward pass through it; pass retain_graph=True to the earlier one"
    return RuntimeError(f"the values saved by {node!r} were released by {by}")


def _key(tensor: Tensor) -> Any:
    """What names a tensor in the graph: a leaf itself, any other by the node that made it (see Function.outputs)."""
    node, index = tensor.grad_fn, tensor.output_index
    return tensor if node is None else (node, index) if index else node


def topological_order(roots: Tensors) -> list[Function]:
    """The nodes below the roots, as they were recorded: each before all that used it."""
    return [node for _, node, *_ in _search(roots, 0)[0]]


def _search(roots: Tensors, oldest: int) -> tuple[list[Any], dict[Tensor, int], list[Function]]:
    """What a pass reads of the nodes below the roots, numbered from `oldest` on: their visits, the oldest first, each a
    node's number, the node, its needs, its inputs and how many outputs it has; how often each leaf is used where it
    needs a gradient; and which nodes have been released."""
    found: set[Function] = set()
    uses: dict[Tensor, int] = {}
    visits: list[Any] = [(0, None, (True,) * len(roots), roots, None)]  # as if the roots were the inputs of a node
    released = []
    for _, _, needed, tensors, _ in visits:  # and those that are found on the way
        index = 0
        for tensor in tensors:
            if (node := tensor.grad_fn) is None:
                if needed[index]:
                    uses[tensor] = uses.get(tensor, 0) + 1
            elif node not in found and (recorded := node._recorded)[NUMBER] >= oldest:
                number, needs, outputs, inputs, _, _ = recorded
                found.add(node)
                visits.append((number, node, needs, inputs, outputs))
                if not inputs and number > oldest:
                    released.append(node)
            index += 1
    del visits[0]
    visits.sort()  # no two have the same number
    return visits, uses, released


class _Pass:
    """One backward pass. Gradients wait in `arrived` under their tensor's key until all its uses have been visited."""

    def __init__(
        self, roots: Tensors, seeds: Tensors, retain_graph: bool | None, create_graph: bool, targets: Tensors | None
    ) -> None:
        if not isinstance(create_graph, bool) or not isinstance(retain_graph, bool | None):
            raise TypeError(f"graph flags are True or False, got {create_graph=} and {retain_graph=}")
        self.roots, self.seeds = roots, seeds if create_graph else [_wrap(seed._data, seed.backend) for seed in seeds]
        self.create_graph = create_graph
        self.retain_graph = create_graph if retain_graph is None else retain_graph
        self.targets = None if targets is None else {_key(tensor) for tensor in targets}
        # No node leads to a target that was recorded after it. A leaf may be older than any node.
        oldest = 0 if targets is None else min(0 if t.grad_fn is None else t.grad_fn._number for t in targets)
        self.plan, self.uses_left, released = _search(roots, oldest)  # the next visit last; by leaf: uses to come
        if released:
            raise _released(released[0])
        if self.targets is not None:
            self._keep_to_the_targets(self.targets)
        self.arrived: dict[Any, Tensor] = {}
        self.found: dict[Any, Tensor | None] = {}  # the targets' gradients
        self.watched = False  # by who takes steps

    def _keep_to_the_targets(self, targets: set[Any]) -> None:
        """Only inputs that are targets or lead to one need a gradient: which ones do is known of older nodes."""
        leading: set[Function | None] = set()
        for place, (number, node, needs, inputs, outputs) in enumerate(self.plan):
            pairs = zip(inputs, needs, strict=False)  # a released node has no inputs any more
            needs = tuple([n and (_key(t) in targets or t.grad_fn in leading) for t, n in pairs])
            if True in needs:
                leading.add(node)
            self.plan[place] = number, node, needs, inputs, outputs

    def __enter__(self) -> None:
        """From here on, in this thread, rules are recorded or not, and told which gradients this pass wants."""
        self.before: Any = grad_mode.enabled, grad_mode.wanted
        grad_mode.enabled, grad_mode.wanted = self.create_graph, (None, ())

    def __exit__(self, *exception: object) -> None:
        (grad_mode.enabled, grad_mode.wanted), self.before = self.before, None

    def run(self) -> None:
        """Visits all nodes."""
        with self:
            self._start()
            while self.plan:
                self._visit()

    def steps(self) -> Iterator[Step]:
        """Visits all nodes and tells of each. Between two steps, recording is as the caller has it."""
        self.watched = True
        with self:
            self._start()
        while self.plan:
            with self:
                node, grad_outputs, grad_inputs, sums = self._visit()
            yield Step(node, tuple(grad_outputs), tuple(grad_inputs), *zip(*sums, strict=True))

    def _start(self) -> None:
        self._pass_on(self.roots, self.seeds, (True,) * len(self.roots), None)

    def _visit(self) -> tuple[Function, Gradients, Gradients, list[Any]]:
        """Applies the next node's rule and passes its gradients on. Returns what a `Step` tells."""
        number, node, needs, inputs, outputs = self.plan.pop()
        grad_outputs, recorded = [self.arrived.pop(node, None)], node._recorded
        if outputs > 1:
            grad_outputs += [self.arrived.pop((node, index), None) for index in range(1, outputs)]
        if not recorded[INPUTS] and True in needs:  # another pass came in between two steps of this one
            raise _released(node)
        if node.requests or self.targets is not None:
            self._hand_out(node, grad_outputs)
        if True not in needs:
            return node, grad_outputs, [], []
        if (o := function.observer) is None:
            grad_inputs = self._apply_rule(node, grad_outputs, needs)
        else:
            grad_inputs = o.watching(self._apply_rule)(node, grad_outputs, needs)
        if not self.retain_graph:
            node._recorded = number, recorded[NEEDS], outputs, (), (), ()  # released: another pass is an error
        return node, grad_outputs, grad_inputs, self._pass_on(inputs, grad_inputs, needs, node)

    def _hand_out(self, node: Function, gradients: list[Tensor | None]) -> None:
        """Shows the whole gradients of a node's outputs to hooks, which may replace them, and to those who asked."""
        for index, gradient in enumerate(gradients):
            if gradient is not None and node.requests and (asked := node.requests.get(index)):
                gradients[index] = gradient = _run_hooks(asked.hooks, gradient)
                if self.targets is None and asked.keeper and (keeper := asked.keeper()) is not None:  # it may be gone
                    _accumulate_grad(keeper, gradient)
            if self.targets and (key := (node, index) if index else node) in self.targets:
                self.found[key] = gradient

    def _apply_rule(self, node: Function, grad_outputs: Gradients, needs: tuple[bool, ...]) -> Gradients:
        if grad_outputs[0] is None and all(gradient is None for gradient in grad_outputs):
            return [None] * len(needs)
        if self.targets is not None:
            grad_mode.wanted = node, needs
        gradients = node.backward(grad_outputs[0]) if len(grad_outputs) == 1 else node.backward(*grad_outputs)
        if type(gradients) is not tuple or len(gradients) != len(needs):
            returned = f"{len(gradients)} of them" if type(gradients) is tuple else f"a {type(gradients).__name__}"
            wanted = f"a tuple of {len(needs)} gradients, one for each input"
            raise RuntimeError(f"{node.name()}: its backward rule must return {wanted}, and returned {returned}")
        index = 0
        for tensor in node._recorded[INPUTS]:
            gradient, t = gradients[index], tensor._data
            if gradient is not None and not (
                needs[index]
                and isinstance(gradient, Tensor)
                and gradient.backend is tensor.backend
                and not gradient._requires_grad
                and (type(g := gradient._data) is type(t) in SCALARS or (g.shape == t.shape and g.dtype is t.dtype))
            ):
                mended = self._mended(gradient, tensor, node, index) if needs[index] else None
                gradients = (*gradients[:index], mended, *gradients[index + 1 :])
            index += 1
        return gradients

    def _mended(self, gradient: Any, tensor: Tensor, node: Function, index: int) -> Tensor:
        """What a rule returned as a gradient for the tensor, or an error that says why it is none."""
        if not isinstance(gradient, Tensor):
            kind = type(gradient).__name__
            raise RuntimeError(f"{node.name()}: the gradient for input {index} is a {kind}, expected a Tensor")
        if node.broadcasts and gradient.shape != tensor.shape:
            gradient = sum_to_shape(gradient, tensor.shape)
        if not _alike(gradient, tensor):
            raise _misfit(gradient, tensor, f"{node.name()}: the gradient its backward rule returned for input {index}")
        # It may be a saved tensor as it is.
        return gradient if self.create_graph else _wrap(gradient._data, gradient.backend)

    def _pass_on(self, tensors: Tensors, gradients: Gradients, needs: Sequence[bool], by: Function | None) -> list[Any]:
        """Adds a contribution, made by a node's rule, to what has arrived for each of the tensors that need one. A leaf
        that has all of its own gets its `grad`. Returns the sums before and after, for who watches."""
        arrived, watched, sums, index = self.arrived, self.watched, [], 0
        for tensor in tensors:
            before = total = None
            if needs[index]:
                node, gradient = tensor.grad_fn, gradients[index]
                # as in _key
                key = tensor if node is None else (node, tensor.output_index) if tensor.output_index else node
                before = total = arrived.get(key)
                if gradient is not None:
                    if before is not None:  # a new tensor: others may hold the old ones
                        seen = self.create_graph or function.observer  # the sum is recorded, or observed
                        gradient = before + gradient if seen else _wrap(before._data + gradient._data, before.backend)
                    arrived[key] = total = gradient
                if node is None:
                    self.uses_left[tensor] = left = self.uses_left[tensor] - 1
                    if left == 0 and total is not None:
                        self._finish_leaf(tensor, arrived.pop(key), by if total is gradient else None)
            if watched:
                sums.append((before, total))
            index += 1
        return sums

    def _finish_leaf(self, leaf: Tensor, gradient: Tensor, by: Function | None) -> None:
        fresh = by is not None and by._fresh_gradients and not self.watched  # and nobody else has seen it
        if (asked := leaf.requests) and asked.hooks:
            gradient, fresh = _run_hooks(asked.hooks, gradient), False
        if (o := function.observer) is not None:
            gradient, fresh = o.reached_leaf(gradient), False
        if self.targets is not None:
            self.found[leaf] = gradient
        elif leaf._requires_grad:  # it may have been frozen since
            _accumulate_grad(leaf, gradient, fresh)


def _accumulate_grad(tensor: Tensor, gradient: Tensor, fresh: bool = False) -> None:
    """Adds to `grad`, which never shares its array: a rule may pass one array on twice, or a view of a saved one,
    where its class does not say that it is fresh."""
    if (before := tensor.grad) is not None:
        if not isinstance(before, Tensor) or not _alike(before, tensor):
            raise RuntimeError(f"backward: the grad of a tensor {tensor.shape} of {tensor.dtype} was set to {before!r}")
        tensor.grad = before + gradient
    elif fresh:
        tensor.grad = gradient
    elif gradient._requires_grad:
        tensor.grad = function.AsRecorded.apply(gradient, array=gradient._data.copy())
    else:
        tensor.grad = _wrap(gradient._data.copy(), gradient.backend)


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
        if (replacement := hook(gradient)) is not None:
            if not isinstance(replacement, Tensor):
                raise TypeError(f"a tensor hook must return a Tensor or None, got {type(replacement).__name__}")
            if not _alike(replacement, gradient):
                raise _misfit(replacement, gradient, "the gradient returned by a tensor hook")
            gradient = replacement if grad_mode.enabled else _wrap(replacement._data, replacement.backend)
    return gradient
