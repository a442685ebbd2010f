"""Whose rule is at fault: each node of the graph is checked by itself, with the values that it had."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np

from ..autograd import Function, enable_grad
from ..autograd.engine import topological_order
from ..autograd.function import AsRecorded
from ..tensor import Tensor
from .causes import NOTHING, UNKNOWN, Cause, likely_cause
from .examine import DISCONNECTED, PRECISION, WRONG, Tolerance, examine_input
from .options import Options
from .report import InputReport
from .slopes import Arrays, Line, copies, differ
from .subjects import Node, SecondOrder, Subject, TensorFunction

ELEMENTS = 24  # of each input of a node that are looked at one by one

CUT = Cause(
    "term missing",
    "part of the computation is not in the graph, for detach(), .data, .numpy() or no_grad() cut it off; each "
    "operation that is in it has the right rule",
)
DETACHED = Cause(
    "term missing",
    "the rule itself is right, its derivative is not: some of it is computed from arrays (.data, .numpy()) or under "
    "no_grad(), where it has to be computed from self.inputs and self.outputs as Tensors",
)
NONE_RETURNED = Cause("term missing", "the rule returns None for it")
TOO_SMALL = "each operation has the right rule; slopes this small are lost in rounding where numbers within are about 1"
CHANGED = Cause("saved value changed", "a value that the rule reads was changed after forward")
BY_NEEDS = Cause(
    "needs misread", "its gradient is another where no other input needs one: the rule has to look at self.needs"
)
BY_OUTPUT = Cause("unused output", "the rule is wrong where the gradient of an output is None, as nothing used it")
SHARED = Cause("saved value changed", "in the graph its rule reads other values than when it is applied alone")

Causes = dict[int, Cause]  # by the input of a node


def blame(found: list[InputReport], subject: Subject, arrays: Arrays, options: Options, order: int) -> None:
    """Finds the operation at fault and the likely cause for each input that is wrong, and adds them to its report."""
    at_fault = [(i, one) for i, one in enumerate(found) if one.verdict in (WRONG, DISCONNECTED)]
    if not isinstance(subject, TensorFunction):
        for i, one in at_fault:
            returned = one.verdict == DISCONNECTED and one.cause is None
            one.cause = NONE_RETURNED if returned else likely_cause(subject, arrays, i, options.seed)
        return
    tensors, nodes = subject.graph(copies(arrays))
    faults = _faults_of(nodes, options)
    for i, one in at_fault:
        one.operation, one.cause = _first_fault(tensors[i], faults)
    if not faults:
        operation, cause = _fault_of_the_whole(subject, arrays, options, order)
        for i, one in at_fault:
            if cause in (CUT, DETACHED) and _below_rounding(one, arrays[i]):
                one.verdict, one.detail = PRECISION, TOO_SMALL
            else:
                one.operation, one.cause = operation, cause or likely_cause(subject, arrays, i, options.seed)


def _below_rounding(one: InputReport, x: np.ndarray) -> bool:
    """Whether the slopes are smaller than what rounding leaves at the usual step of numbers about 1 in the function."""
    if one.verdict != WRONG or one.worst is None:
        return False
    eps = float(np.finfo(x.dtype).eps)
    usual = float(np.median(np.abs(x[x != 0]))) if x.any() else 1.0
    return max(abs(one.worst.analytic), abs(one.worst.numeric)) <= eps ** (2 / 3) / usual


def _faults_of(nodes: list[Function], options: Options) -> dict[Function, Causes]:
    """The nodes whose rules are wrong: of applications that are alike the first one, and the others if none is."""
    alike: dict[Any, Function] = {}
    for node in nodes:
        alike.setdefault((type(node), *(x.shape for x in node._arrays)), node)
    for some in (alike.values(), [node for node in nodes if node not in alike.values()]):
        faults = {node: causes for node in some if (causes := _faults(node, options))}
        if faults:
            break
    return faults


def _first_fault(leaf: Tensor, faults: dict[Function, Causes]) -> tuple[str | None, Cause]:
    """The first wrong rule on the way from an input, and why it is wrong by what depends on that input."""
    for node, causes in faults.items():
        for index, cause in causes.items():
            if _depends_on(node._inputs[index], leaf):
                return node.name(), cause
    return None, Cause(UNKNOWN, NOTHING)


def _depends_on(tensor: Tensor, leaf: Tensor) -> bool:
    return tensor is leaf or any(x is leaf for node in topological_order([tensor]) for x in node._inputs)


def _faults(node: Function, options: Options) -> Causes:
    """By which of its inputs a node's own rule is wrong, and why."""
    if isinstance(node, AsRecorded):
        return {}
    alone = Node(node)
    if _changed_since(node, alone):
        return dict.fromkeys(range(len(alone.arrays)), CHANGED)
    try:
        return _wrong_rule(alone, alone.arrays, options)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        return dict.fromkeys(range(len(alone.arrays)), Cause("rule fails", f"by itself, too: {error}"))


def _changed_since(node: Function, alone: Node) -> bool:
    """Whether the operation, computed again, no longer gives the outputs that it gave."""
    outputs = [alone.backend.to_numpy(y.data) for y in node.outputs if y.dtype.kind == "f"]
    again, once_more = (alone.forward(copies(alone.arrays)) for _ in range(2))
    return not _same(outputs, again) and _same(again, once_more)  # else it is chance that changes it


def _same(first: Arrays, second: Arrays) -> bool:
    return all(
        a.shape == b.shape and np.allclose(a, b, rtol=1e-6, atol=0, equal_nan=True)
        for a, b in zip(first, second, strict=False)
    )


def _wrong_rule(subject: Subject, arrays: Arrays, options: Options) -> Causes:
    outputs = subject.forward(copies(arrays))
    cotangents = options.cotangents(outputs, 3)
    gradients = subject.backward(copies(arrays), cotangents)
    line = Line(subject.forward, arrays, cotangents)
    wanted = subject.wanted if isinstance(subject, Node) else [i for i, x in enumerate(arrays) if x.dtype.kind == "f"]
    return {
        i: likely_cause(subject, arrays, i, options.seed)
        for i, (x, g) in enumerate(zip(arrays, gradients, strict=True))
        if i in wanted and x.size and not _right(line, i, x, g, options)
    }


def _right(line: Line, index: int, x: np.ndarray, g: np.ndarray | None, options: Options) -> bool:
    g = np.zeros(x.shape) if g is None else g
    if g.shape != x.shape:
        return False
    tolerance = Tolerance(options.atol, options.rtol, float(np.abs(g).max()))
    rng = np.random.default_rng([options.seed, 4])
    elements = examine_input(line, index, g.astype(np.float64), tolerance, ELEMENTS, rng)
    return all(e.verdict != WRONG for e in elements)


def _fault_of_the_whole(
    subject: TensorFunction, arrays: Arrays, options: Options, order: int
) -> tuple[str | None, Cause | None]:
    """What is wrong where each node by itself is right."""
    if isinstance(subject, SecondOrder):
        return _second_order_fault(subject, arrays, options)
    cause = None
    for node in subject.graph(copies(arrays))[1]:
        with suppress(RuntimeError, ValueError, TypeError, IndexError, AttributeError):  # a rule that fails says so
            cause = _fault_apart(node, options)
        if cause is not None:
            return node.name(), cause
    forgetful = _forgetful(subject, arrays, options)
    return (forgetful, SHARED) if forgetful is not None else (None, CUT)


def _fault_apart(node: Function, options: Options) -> Cause | None:
    """Why a rule is wrong that is right where all of its inputs need gradients and all of its outputs were used."""
    if isinstance(node, AsRecorded):
        return None
    alone = Node(node)
    cotangents = options.cotangents(alone.forward(copies(alone.arrays)), 6)
    floating = [i for i, x in enumerate(alone.arrays) if x.dtype.kind == "f"]
    together = alone.backward(copies(alone.arrays), cotangents, floating)
    for i in floating:
        if differ(together[i : i + 1], alone.backward(copies(alone.arrays), cotangents, [i])[i : i + 1]):
            return BY_NEEDS
    for k in range(len(cotangents)) if len(cotangents) > 1 else ():
        others = [None if j == k else v for j, v in enumerate(cotangents)]
        zero = [0 * v if j == k else v for j, v in enumerate(cotangents)]
        expected, found = (alone.backward(copies(alone.arrays), given, floating) for given in (zero, others))
        if differ(expected, found):
            return BY_OUTPUT
    return None


def _forgetful(subject: TensorFunction, arrays: Arrays, options: Options) -> str | None:
    """The operation whose rule says something else in the graph than by itself, with the same values."""
    tensors = [x.requires_grad_() for x in subject.tensors(copies(arrays))]
    with enable_grad():
        outputs = [y for y in subject.outputs(tensors) if y.requires_grad]
        if not outputs:
            return None
        weights = options.cotangents([y.numpy() for y in outputs])
        total = outputs[0].sum() * 0.0
        for y, v in zip(outputs, weights, strict=True):
            total = total + (y * Tensor(v, backend=y.backend)).sum()
    nodes = topological_order([total])
    alone = {node: Node(node) for node in nodes}
    leaves = {x: x.grad for node in nodes for x in node._inputs if x.grad_fn is None}
    try:
        for step in total.backward_steps(retain_graph=True):
            if None in step.grad_outputs or not step.grad_inputs:
                continue
            node = alone[step.node]
            expected = node.backward(copies(node.arrays), [g.numpy() for g in step.grad_outputs if g is not None])
            for got, wanted in zip(step.grad_inputs, expected, strict=True):
                if got is not None and wanted is not None and not np.allclose(got.numpy(), wanted, rtol=1e-6):
                    return step.node.name()
    finally:
        for leaf, before in leaves.items():
            leaf.grad = before
    return None


def _second_order_fault(subject: SecondOrder, arrays: Arrays, options: Options) -> tuple[str | None, Cause | None]:
    """The operation whose rule is right, and the derivative of whose rule is not."""
    first = subject.first
    for node in first.graph(copies(arrays[: subject.inputs]))[1]:
        alone = Node(node)
        floating = [i for i, x in enumerate(alone.arrays) if x.dtype.kind == "f"]
        operation, parameters = alone.operation, alone.parameters
        arguments: list[Any] = [Tensor(x, backend=alone.backend) for x in alone.arrays]

        def apply(*tensors: Any, operation: Any = operation, parameters: Any = parameters) -> Any:
            return operation.apply(*tensors, **parameters)

        local = SecondOrder(TensorFunction(apply, arguments, floating, alone.backend), len(floating))
        values = [alone.arrays[i] for i in floating]
        outputs = local.first.forward(copies(values))
        for cause in _wrong_rule(local, [*values, *options.cotangents(outputs, 5)], options).values():
            return node.name(), DETACHED if cause.name == UNKNOWN else cause
    return None, CUT
