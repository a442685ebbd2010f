"""The traversal: its order and its steps, graphs as deep or as tangled as they come, the memory they leave behind."""

from __future__ import annotations

import gc
import math
import sys
import threading
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import minigrad
from minigrad import Tensor
from minigrad.autograd import function
from minigrad.autograd.engine import Step, topological_order

LONG = 100_000


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values if len(values) > 1 else values[0]), requires_grad=True)


def numbers(tensors) -> tuple[float | None, ...]:
    return tuple(None if tensor is None else tensor.item() for tensor in tensors)


@pytest.fixture
def no_collector():
    """What is freed inside is freed by reference counts alone."""
    gc.disable()
    yield
    gc.enable()


# ------------------------------------------------------------------------------------------------------------ the steps


def test_steps_tell_what_arrived_what_is_passed_on_and_the_sums() -> None:
    x, w = leaf(2.0), leaf(5.0)
    y = x * w  # 10
    z = y * y + y
    steps = list(z.backward_steps())
    assert [step.node.name() for step in steps] == ["add", "mul", "mul"]
    add, square, product = steps
    assert (numbers(add.grad_outputs), numbers(add.grad_inputs)) == ((1.0,), (1.0, 1.0))
    assert (numbers(add.before), numbers(add.after)) == ((None, None), (1.0, 1.0))
    assert numbers(square.grad_inputs) == (10.0, 10.0)
    assert (numbers(square.before), numbers(square.after)) == ((1.0, 11.0), (11.0, 21.0))
    assert numbers(product.grad_outputs) == (21.0,)
    assert numbers(product.grad_inputs) == (105.0, 42.0)
    assert numbers(product.after) == (105.0, 42.0)
    assert numbers((x.grad, w.grad)) == (105.0, 42.0)


@pytest.mark.parametrize("ask", [lambda x: x.data, minigrad.exp], ids=["data", "another operation"])
def test_a_scalar_input_is_the_same_tensor_after_somebody_has_asked_for_its_array(ask) -> None:
    x = Tensor(2.0, requires_grad=True)
    y = x * x
    ask(x)
    assert y.grad_fn.inputs[0] is x
    x.data = np.array(5.0, np.float32)  # and now it is another number
    recorded = y.grad_fn.inputs[0]
    assert recorded is not x
    assert recorded.item() == 2.0
    y.backward()
    assert x.grad.item() == 4.0


def test_a_zero_and_a_nan_that_have_changed_are_seen() -> None:
    for before, after in ((0.0, -0.0), (math.nan, 1.0)):
        x = Tensor(before, requires_grad=True)
        y = x * 3
        x.data = np.array(after, np.float32)
        assert y.grad_fn.inputs[0] is not x


def test_only_operations_that_say_so_themselves_get_numpys_scalars() -> None:
    class Own(minigrad.ops.arithmetic.Mul):
        def forward(self, a, b):
            y = a.copy()
            y[...] *= b
            return y

    class Refusing(minigrad.ops.arithmetic.Mul):
        takes_scalars = False
        forward = Own.forward

    x = Tensor(3.0, requires_grad=True)
    assert {type(y._data) for y in (x * 2, x + 1, x - x, x / 2, -x)} == {np.float32}
    assert type(x._data) is np.float32, "an operation has asked for its array"
    assert Refusing.apply(x * 1, x).item() == 9.0
    y = Own.apply(x * 1, x)
    y.backward()
    assert (y.item(), x.grad.item()) == (9.0, 6.0)


@pytest.mark.parametrize("of", [(0,), (1,), (0, 1), (1, 0), (0, 0), (1, 1), (1, 1, 0), (0, 1, 1), (0, 0, 0)])
@pytest.mark.parametrize("takes_scalars", [False, True])
def test_all_others_get_arrays_of_scalars_wherever_they_stand(of: tuple[int, ...], takes_scalars: bool) -> None:
    def forward(self, *arrays):
        kinds.extend(map(type, arrays))
        return arrays[0] * 1

    kinds: list[type] = []
    operation = type("Operation", (minigrad.Function,), {"forward": forward, "takes_scalars": takes_scalars})
    operation.apply(*[Tensor([1.0] if dimensions else 1.0) for dimensions in of])
    assert kinds == [np.float32 if takes_scalars and dimensions == 0 else np.ndarray for dimensions in of]


def test_steps_hold_none_for_inputs_that_want_no_gradient() -> None:
    x, constant = leaf(2.0), Tensor(np.array(3.0))
    (step,) = (x * constant).backward_steps()
    assert isinstance(step, Step)
    assert numbers(step.grad_inputs) == (3.0, None)
    assert (step.before, step.after[1]) == ((None, None), None)


def test_backward_happens_as_the_steps_are_taken() -> None:
    x = leaf(2.0)
    y = x * 3.0
    steps = (y * y).backward_steps()
    next(steps)
    assert x.grad is None
    next(steps)
    assert x.grad.item() == 36.0
    assert next(steps, None) is None


def test_a_leaf_has_its_gradient_as_soon_as_all_contributions_are_there() -> None:
    x, w = leaf(2.0), leaf(5.0)
    first = x * 1.0
    steps = ((first + w) * 1.0).backward_steps()
    names = []
    for step in steps:
        names.append(step.node.name())
        assert (w.grad is None) == ("add" not in names)
    assert names == ["mul", "add", "mul"]


def test_each_step_comes_after_everything_that_used_its_outputs() -> None:
    x = leaf(1.5)
    nodes = [x]
    rng = np.random.default_rng(0)
    for _ in range(60):
        a, b = (nodes[i] for i in rng.integers(0, len(nodes), 2))
        nodes.append(a * 0.5 + b * 0.25)
    order = [step.node for step in nodes[-1].backward_steps(retain_graph=True)]
    place = {node: i for i, node in enumerate(order)}
    assert len(place) == len(order) > 20
    for node in order:
        for tensor in node.inputs:
            if tensor.grad_fn is not None:
                assert place[node] < place[tensor.grad_fn]


def test_the_node_recorded_last_is_visited_first() -> None:
    x = leaf(1.5)
    a, b = x.exp(), x.sin()
    results = [a, b, a * 2.0, b + a]
    y = results[2] + results[3]
    assert [step.node for step in y.backward_steps()] == [result.grad_fn for result in (y, *results[::-1])]


def test_steps_left_half_way_leave_the_mode_as_it_was() -> None:
    x = leaf(2.0)
    steps = (x * x * x).backward_steps()
    next(steps)
    del steps
    assert minigrad.is_grad_enabled()
    assert (x * 1.0).requires_grad


def test_the_first_layer_never_computes_the_gradient_of_the_images(monkeypatch) -> None:
    def fail(*arguments, **parameters):
        raise AssertionError("the gradient of the images was computed")

    monkeypatch.setattr(minigrad.default_backend().kernels, "conv2d_grad_input", fail)
    images = Tensor(np.ones((1, 1, 4, 4)))
    weight = Tensor(np.ones((1, 1, 3, 3)), requires_grad=True)
    step = list(minigrad.conv2d(images, weight).sum().backward_steps())[-1]
    assert step.node.name() == "conv2d"
    assert step.grad_inputs[0] is None
    assert step.grad_inputs[1] is not None


def test_grad_visits_only_what_lies_between() -> None:
    x, w = leaf(2.0), leaf(3.0)
    visited = []

    class Spy(minigrad.Function):
        def forward(self, a):
            return a + 0

        def backward(self, da):
            visited.append(self.inputs[0] is x)
            return (da,)

    y = Spy.apply(x) * Spy.apply(w)
    minigrad.grad(y, w)
    assert visited == [False]


class Product(minigrad.Function):
    """What a rule is told, and when, is asked in the rules of its subclasses."""

    def forward(self, a, b):
        return a * b


def test_a_rule_is_told_what_grad_wants() -> None:
    x, w = leaf(2.0), leaf(3.0)
    told = []

    class Spy(Product):
        def backward(self, dy):
            told.append(self.needs)
            a, b = self.inputs
            return dy * b, dy * a

    y = Spy.apply(x, w)
    minigrad.grad(y, w, create_graph=True)
    y.backward()
    assert told == [(False, True), (True, True)]


def test_two_threads_may_ask_one_graph_for_different_gradients_at_once() -> None:
    x, w = leaf(2.0), leaf(3.0)
    both_run = threading.Barrier(2, timeout=20)

    class Spy(Product):
        def backward(self, dy):
            told = []
            for _ in range(3):
                both_run.wait()
                told.append(self.needs)
            both_run.wait()
            a, b = self.inputs
            assert told == [told[0]] * 3
            return dy * b if told[0][0] else None, dy * a if told[0][1] else None

    y = Spy.apply(x, w)
    with ThreadPoolExecutor(2) as threads:
        by_x = threads.submit(minigrad.grad, y, x, retain_graph=True)
        by_w = threads.submit(minigrad.grad, y, w, retain_graph=True)
        assert numbers((by_x.result()[0], by_w.result()[0])) == (3.0, 2.0)


def test_a_rule_that_differentiates_its_own_node_is_told_its_own_needs_again_afterwards() -> None:
    x, w = leaf(2.0), leaf(3.0)
    told = []

    class Spy(Product):
        def backward(self, dy):
            a, b = self.inputs
            if len(told) < 2:
                told.append(self.needs)
                minigrad.grad(y, x if len(told) == 1 else [x, w], retain_graph=True)
            told.append(self.needs)
            return dy * b, dy * a

    y = Spy.apply(x, w)
    minigrad.grad(y, w, retain_graph=True)
    assert told == [(False, True), (True, False), (True, True), (True, False), (False, True)]


def test_a_node_is_gone_once_grad_has_visited_it(no_collector) -> None:
    class Keeping(minigrad.Function):
        def forward(self, a):
            self.kept = np.ones(3)
            kept.append(weakref.ref(self.kept))
            return a * 2

        def backward(self, da):
            alive.append(sum(ref() is not None for ref in kept))
            return (da * 2,)

    kept, alive, x = [], [], leaf(1.0)
    y = x
    for _ in range(4):
        y = Keeping.apply(y)
    minigrad.grad(y, x)
    assert alive == [4, 4, 3, 2]  # y holds the last one; another has just run


def test_steps_left_half_way_hold_nothing_of_the_pass_around_them(no_collector) -> None:
    class Stepping(minigrad.Function):
        def forward(self, a):
            return a * 2

        def backward(self, da):
            next(left)
            return (da * 2,)

    left, x = (leaf(1.0) * 2.0 * 3.0).backward_steps(), leaf(1.0)
    y = Stepping.apply(x)
    node = weakref.ref(y.grad_fn)
    minigrad.grad(y, x)
    del y
    assert node() is None


# ---------------------------------------------------------------------------------------------- deep and tangled graphs


def chain(x: Tensor, length: int) -> Tensor:
    for _ in range(length):
        x = -x
    return x


def test_a_chain_of_100_000_operations_runs_backward() -> None:
    x = leaf(2.0)
    chain(x, LONG).backward()
    assert x.grad.item() == 1.0


def test_a_chain_of_100_000_operations_is_freed_after_backward(no_collector) -> None:
    x = leaf(2.0)
    y = chain(x, LONG)
    middle = weakref.ref(y.grad_fn.inputs[0].grad_fn)
    y.backward()
    del y
    assert middle() is None


def test_a_chain_of_100_000_operations_is_freed_without_backward(no_collector) -> None:
    x = leaf(2.0)
    y = chain(x, LONG)
    first = y
    while first.grad_fn is not None:
        first = first.grad_fn.inputs[0]
    assert first is x
    last = weakref.ref(y.grad_fn.inputs[0].grad_fn)
    del y, first
    assert last() is None


def test_a_chain_through_several_outputs_is_as_long(no_collector) -> None:
    class Swap(minigrad.Function):
        def forward(self, a, b):
            return +b, +a

        def backward(self, da, db):
            return db, da

    x, w = leaf(2.0), leaf(3.0)
    a, b = x, w
    for _ in range(20_000):
        a, b = Swap.apply(a, b)
    (a * 2.0 + b * 5.0).backward()
    assert numbers((x.grad, w.grad)) == (2.0, 5.0)


def test_a_long_chain_works_with_little_room_for_recursion() -> None:
    limit = sys.getrecursionlimit()
    x = leaf(2.0)
    sys.setrecursionlimit(200)
    try:
        y = chain(x, 5_000)
        y.backward(create_graph=True)
        del y
        x.grad = None
    finally:
        sys.setrecursionlimit(limit)


def test_thirty_doublings_visit_each_node_once() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(30):
        y = y + y
    visits = Counter(step.node for step in y.backward_steps())
    assert len(visits) == 30
    assert set(visits.values()) == {1}
    assert x.grad.item() == 2.0**30


def test_thirty_doublings_twice_differentiated_stay_small() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(30):
        y = y * y
    (slope,) = minigrad.grad(y, x, create_graph=True)
    assert slope.item() == 2.0**30
    assert len(topological_order([slope])) < 500


# --------------------------------------------------------------------------------------------------------------- memory


# One result of each kind of rule: with saved inputs, saved outputs, parameters, several inputs and outputs.
each_graph = pytest.mark.parametrize(
    "graph",
    [
        lambda x: x.exp(),
        lambda x: x * x,
        lambda x: x.sum(),
        lambda x: x.max(),
        lambda x: x[[0, 0, 1]],
        lambda x: minigrad.concatenate([x, x]),
        lambda x: minigrad.max_pool2d(x.reshape(1, 1, 2, 2), 2),
        lambda x: minigrad.conv2d(x.reshape(1, 1, 2, 2), x.reshape(1, 1, 2, 2)),
        lambda x: minigrad.cross_entropy(x.reshape(2, 2), [0, 1]),
        lambda x: minigrad.batch_norm(x.reshape(2, 2), None, None, training=True),
        lambda x: x.to("float32"),
    ],
)


def weak_references(*results: Tensor) -> list[weakref.ref]:
    """To the results, their arrays, all nodes below, and all that those have saved but the leaves."""
    references = [weakref.ref(thing) for result in results for thing in (result, result.data)]
    for node in topological_order(results):
        references += [weakref.ref(thing) for thing in (node, *(t for t in node.inputs if not t.is_leaf))]
    assert len(references) >= 3
    return references


def alive(references: list[weakref.ref]) -> list[str]:
    return [repr(reference()) for reference in references if reference() is not None]


@each_graph
@pytest.mark.usefixtures("on_backend")
def test_a_graph_is_no_reference_cycle(graph, no_collector) -> None:
    x = leaf(1.0, 2.0, 3.0, 4.0)
    graph(x)  # the first run may compile a kernel, and the compiler holds on to frames
    y = graph(x)
    references = weak_references(y)
    del y
    assert alive(references) == []


@each_graph
@pytest.mark.usefixtures("on_backend")
def test_a_backward_pass_leaves_no_reference_cycle(graph, no_collector) -> None:
    graph(leaf(1.0, 2.0, 3.0, 4.0)).sum().backward()  # see above
    y = graph(leaf(1.0, 2.0, 3.0, 4.0))
    references = weak_references(y)
    y.sum().backward()
    del y
    assert alive(references) == []


@each_graph
@pytest.mark.usefixtures("on_backend")
def test_grad_with_create_graph_leaves_no_reference_cycle(graph, no_collector) -> None:
    x = leaf(1.0, 2.0, 3.0, 4.0)
    minigrad.grad((graph(x) * graph(x)).sum(), x, create_graph=True)  # see above
    y = graph(x)
    (slope,) = minigrad.grad((y * y).sum(), x, create_graph=True)
    references = weak_references(y, slope)
    del y, slope
    assert alive(references) == []


def test_saved_arrays_die_as_backward_passes_though_the_result_is_held(no_collector) -> None:
    x = leaf(1.0, 2.0)
    hidden = x * 2.0
    array = weakref.ref(hidden.data)
    y = hidden.exp().sum()
    del hidden
    assert array() is not None
    y.backward()
    assert array() is None
    assert y.item() > 0


def test_hooks_make_no_cycle(no_collector) -> None:
    x = leaf(1.0, 2.0)
    y = x * 2.0
    y.register_hook(lambda gradient: gradient * 2.0)
    y.retain_grad()
    gone = weakref.ref(y.grad_fn)
    del y
    assert gone() is None


def test_a_gradient_given_that_requires_a_gradient_itself_stays_out_of_grad() -> None:
    x, given = leaf(1.0, 2.0), leaf(3.0, 4.0)
    x.backward(given)
    assert not x.grad.requires_grad
    assert not np.shares_memory(x.grad.data, given.data)


# --------------------------------------------------------------------------------------------------------- the observer


class Notes:
    """An observer that writes down what it is told, and doubles the gradients of leaves."""

    def __init__(self) -> None:
        self.computed_by: list[tuple[str, dict, list[float], float]] = []

    def computed(self, node, parameters, inputs, results):
        self.computed_by.append((node.name(), parameters, [x.item() for x in inputs], results.item()))
        return results

    def watching(self, apply_rule):
        return apply_rule

    def reached_leaf(self, gradient):
        return gradient * 2.0


def test_an_observer_is_told_of_each_operation_and_of_sums_and_of_what_reaches_leaves(monkeypatch) -> None:
    notes, x = Notes(), leaf(3.0)
    monkeypatch.setattr(function, "observer", notes)
    y = x.clip(1.0, 5.0) * 2.0 + x
    y.backward()
    forward = [
        ("clip", {"low": 1.0, "high": 5.0}, [3.0], 3.0),
        ("mul", {"number": 2.0}, [3.0], 6.0),
        ("add", {}, [6.0, 3.0], 9.0),
    ]
    assert notes.computed_by[:3] == forward
    assert ("add", {}, [1.0, 2.0], 3.0) in notes.computed_by[3:]
    assert x.grad.item() == 6.0
