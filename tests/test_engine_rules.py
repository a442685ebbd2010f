"""What the engine asks of operations and their rules, and what it says when they do not keep to it."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad
from minigrad import Function, Tensor

pytestmark = pytest.mark.usefixtures("on_backend")


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values if len(values) > 1 else values[0]), requires_grad=True)


def operation(rule, forward=lambda self, a, b: a + b, **attributes):
    """An operation of that rule, named CrookedAdd."""
    return type("CrookedAdd", (Function,), {"forward": forward, "backward": rule, **attributes})


def float32(gradient: Tensor) -> Tensor:
    return gradient.to("float32").detach()


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda self, dy: (dy,), "must return a tuple of 2 gradients, one for each input, and returned 1 of them"),
        (lambda self, dy: (dy, dy, dy), "must return a tuple of 2 gradients.* returned 3 of them"),
        (lambda self, dy: (), "must return a tuple of 2 gradients.* returned 0 of them"),
        (lambda self, dy: dy, "must return a tuple of 2 gradients.* returned a Tensor"),
        (lambda self, dy: [dy, dy], "must return a tuple of 2 gradients.* returned a list"),
        (lambda self, dy: None, "must return a tuple of 2 gradients.* returned a NoneType"),
        (lambda self, dy: (dy, dy.sum()), r"for input 1 has shape \(\).*expected \(2,\)"),
        (lambda self, dy: (dy.reshape(2, 1), dy), r"for input 0 has shape \(2, 1\).*expected \(2,\)"),
        (lambda self, dy: (dy, float32(dy)), "for input 1 has shape .*dtype float32.*expected .*float64"),
        (lambda self, dy: (dy, dy.data), "for input 1 is a ndarray, expected a Tensor"),
        (lambda self, dy: (1.0, dy), "for input 0 is a float, expected a Tensor"),
    ],
)
def test_what_a_rule_returns_is_checked_and_the_error_names_the_operation(rule, message) -> None:
    y = operation(rule).apply(leaf(1.0, 2.0), leaf(3.0, 4.0))
    with pytest.raises(RuntimeError, match=f"^CrookedAdd: .*{message}"):
        y.sum().backward()
    assert minigrad.is_grad_enabled(), "the error left recording off"


def test_a_gradient_on_another_backend_is_refused(backend) -> None:
    others = [name for name in minigrad.backend_names() if name != backend]

    def rule(self, dy):
        return dy, Tensor(dy.numpy(), backend=others[0])

    y = operation(rule).apply(leaf(1.0, 2.0), leaf(3.0, 4.0))
    with pytest.raises(RuntimeError, match=f"CrookedAdd: .*backend {others[0]}, expected .*{backend}"):
        y.sum().backward()


@pytest.mark.parametrize("shape", [(2, 3), (3,), (1, 3)])
def test_only_an_operation_that_broadcasts_may_return_a_larger_gradient(shape) -> None:
    def rule(self, dy):
        return dy, dy

    small, large = Tensor(np.ones(shape), requires_grad=True), Tensor(np.ones((2, 3)), requires_grad=True)
    operation(rule, broadcasts=True).apply(small, large).sum().backward()
    np.testing.assert_array_equal(small.grad.numpy(), np.full(shape, 6.0 / small.size))
    if shape != (2, 3):
        with pytest.raises(RuntimeError, match=r"CrookedAdd: .*for input 0 has shape \(2, 3\)"):
            operation(rule).apply(small, large).sum().backward()


@pytest.mark.parametrize("shape", [(3, 2), (2, 2), (4, 2, 3), (), (2,), (3,)])
def test_a_gradient_that_no_broadcast_explains_is_refused(shape) -> None:
    def rule(self, dy):
        return Tensor(np.ones(shape)), dy

    y = operation(rule, broadcasts=True).apply(Tensor(np.ones((2, 3)), requires_grad=True), Tensor(np.ones((2, 3))))
    if shape == (4, 2, 3):  # the sum over the first axis is a broadcast of (2, 3)
        y.sum().backward()
    else:
        with pytest.raises(RuntimeError, match=r"CrookedAdd: .*for input 0 has shape"):
            y.sum().backward()


def test_a_wrong_gradient_that_nobody_wants_is_not_looked_at() -> None:
    def rule(self, dy):
        assert self.needs == (True, False)
        return dy, "nonsense"

    x = leaf(1.0, 2.0)
    operation(rule).apply(x, Tensor(np.array([3.0, 4.0]))).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_a_rule_may_return_a_saved_tensor_as_it_is() -> None:
    def rule(self, dy):
        a, b = self.inputs
        return b, a

    a, b = leaf(2.0), leaf(3.0)
    operation(rule, forward=lambda self, a, b: a * b).apply(a, b).backward()
    assert (a.grad.item(), b.grad.item()) == (3.0, 2.0)
    assert not a.grad.requires_grad, "the gradient is a constant: no graph was asked for"
    (found,) = minigrad.grad(operation(rule).apply(a, b).sum(), a)
    assert not found.requires_grad, "nor what grad returns"
    assert not np.shares_memory(a.grad.data, b.data)


def double_of(fresh_gradients: bool = True) -> type[Function]:
    """y = 2 x, whose gradients are all in `passed_on`, a parameter."""

    class Double(Function):
        passed_on: list[Tensor]

        def forward(self, x):
            return 2.0 * x

        def backward(self, dy):
            gradient = Tensor._wrap(2.0 * dy.data, dy.backend)
            self.passed_on.append(gradient)
            return (gradient,)

    return type("Double", (Double,), {"fresh_gradients": True} if fresh_gradients else {})


def identical(kind: type[Function], **options: bool) -> bool:
    """Whether a leaf's `grad` is the very gradient that a rule of that kind returned."""
    x, passed_on = leaf(1.0, 2.0), []
    kind.apply(x, passed_on=passed_on).backward(leaf(1.0, 1.0).detach(), **options)
    assert x.grad.tolist() == [2.0, 2.0]
    assert x.grad is passed_on[0] or not np.shares_memory(x.grad.data, passed_on[0].data)
    return x.grad is passed_on[0]


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_leaf_keeps_a_gradient_that_is_fresh_and_copies_others(create_graph: bool) -> None:
    fresh = double_of(fresh_gradients=True)
    assert identical(fresh, create_graph=create_graph)
    assert not identical(double_of(fresh_gradients=False), create_graph=create_graph)
    assert not identical(type("Derived", (fresh,), {}), create_graph=create_graph)  # says nothing of its own


def test_a_fresh_gradient_that_somebody_sees_is_copied() -> None:
    seen: list[Tensor] = []
    for watch in ("hook", "steps", "detect_anomaly"):
        x = leaf(1.0, 2.0)
        y = double_of().apply(x, passed_on=seen)
        if watch == "hook":
            handle = x.register_hook(seen.append)
            y.backward(leaf(1.0, 1.0))
            handle.remove()
        elif watch == "steps":
            (step,) = y.backward_steps(leaf(1.0, 1.0))
            seen += step.grad_inputs
        else:
            with minigrad.detect_anomaly():
                y.backward(leaf(1.0, 1.0))
        assert seen
        assert x.grad.tolist() == [2.0, 2.0]
        assert not any(np.shares_memory(x.grad.data, gradient.data) for gradient in seen)


def test_fresh_gradients_and_others_of_one_leaf_are_added_up() -> None:
    def forward(self, x):
        return 3.0 * x

    for last in (True, False):  # whether the rule that runs last is the one with fresh gradients
        given: list[Tensor] = []

        def rule(self, dy, given=given):
            given.append(Tensor._wrap(3.0 * dy.data, dy.backend))
            return (given[-1],)

        x, passed_on = leaf(1.0, 2.0), []
        kinds = [(double_of(), {"passed_on": passed_on}), (operation(rule, forward), {})][:: 1 if last else -1]
        y = sum(kind.apply(x, **parameters) for kind, parameters in kinds)
        y.backward(leaf(1.0, 1.0))
        assert x.grad.tolist() == [5.0, 5.0]
        assert not any(np.shares_memory(x.grad.data, gradient.data) for gradient in (*given, *passed_on))


def test_where_a_fresh_rule_has_no_gradient_the_one_that_another_left_is_copied() -> None:
    class Nothing(double_of()):
        fresh_gradients = True

        def backward(self, dy):
            return (None,)

    given = leaf(3.0, 3.0).detach()
    x = leaf(1.0, 2.0)
    nothing = Nothing.apply(x, passed_on=[])  # the older one, whose rule runs last
    (nothing + operation(lambda self, dy: (given,), forward=lambda self, x: x).apply(x)).backward(leaf(1.0, 1.0))
    assert x.grad.tolist() == [3.0, 3.0]
    assert not np.shares_memory(x.grad.data, given.data)


def test_an_error_within_a_rule_reaches_the_caller_and_leaves_the_mode() -> None:
    def rule(self, dy):
        raise ZeroDivisionError("in the rule")

    y = operation(rule).apply(leaf(1.0), leaf(2.0))
    with pytest.raises(ZeroDivisionError, match="in the rule"):
        y.backward()
    assert minigrad.is_grad_enabled()


# ---------------------------------------------------------------------------------------------------------------- apply


def add_rule(self, dy):
    return dy, dy


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ((1.0, 2.0), r"CrookedAdd: expected Tensors, got \(float, float\); wrap the others in Tensor\(\.\.\.\)"),
        ((None, None), r"got \(NoneType, NoneType\)"),
        ((), r"CrookedAdd: expected Tensors, got \(nothing\)"),
    ],
)
def test_apply_takes_tensors(inputs, message) -> None:
    with pytest.raises(TypeError, match=message):
        operation(add_rule).apply(*inputs)


@pytest.mark.parametrize("other", [1.0, np.ones(2), None])
def test_apply_takes_nothing_but_tensors(other) -> None:
    with pytest.raises(TypeError, match=r"CrookedAdd: expected Tensors, got \(Tensor, "):
        operation(add_rule).apply(leaf(1.0, 2.0), other)


def test_shapes_that_do_not_combine_name_the_operation() -> None:
    with pytest.raises(ValueError, match=r"^CrookedAdd: operands could not be broadcast together"):
        operation(add_rule).apply(leaf(1.0, 2.0), leaf(1.0, 2.0, 3.0))


def test_parameters_are_attributes_of_the_node() -> None:
    class Scale(Function):
        factor: float

        def forward(self, x):
            return self.xp.multiply(x, self.factor)

        def backward(self, dy):
            return (dy * self.factor,)

    x = leaf(2.0)
    y = Scale.apply(x, factor=3.0)
    y.backward()
    assert y.item() == 6.0
    assert x.grad.item() == 3.0


def test_each_application_is_a_node_of_its_own() -> None:
    x = leaf(2.0)
    a, b = x * 3.0, x * 4.0
    assert a.grad_fn is not b.grad_fn
    assert (repr(a.grad_fn), a.grad_fn.name()) == ("<Mul>", "mul")


def test_a_node_gives_its_outputs_as_tensors_of_the_graph() -> None:
    x = leaf(2.0, 3.0)
    y = x.exp()
    (output,) = y.grad_fn.outputs
    assert output.data is y.data
    assert output.grad_fn is y.grad_fn
    (output * 3.0).sum().backward()
    assert x.grad.tolist() == (y * 3.0).tolist()


def test_nothing_is_recorded_without_need() -> None:
    x = Tensor(np.array(2.0))
    assert (x * x).grad_fn is None
    with minigrad.no_grad():
        assert (leaf(2.0) * 2.0).grad_fn is None


# -------------------------------------------------------------------------------------------------- backends and dtypes


def on(name: str) -> Tensor:
    return Tensor(np.array([1.0, 2.0]), requires_grad=True, backend=name)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("add", lambda a, b: a + b),
        ("maximum", minigrad.maximum),
        ("matmul", lambda a, b: a @ b),
        ("where", lambda a, b: minigrad.where(Tensor([True, False], backend="numpy"), a, b)),
        ("concatenate", lambda a, b: minigrad.concatenate([a, b])),
        ("concatenate", lambda a, b: minigrad.concatenate([a, b, a])),
        ("linear", lambda a, b: minigrad.linear(a.reshape(1, 2), b.reshape(1, 2))),
        ("conv2d", lambda a, b: minigrad.conv2d(a.reshape(1, 1, 1, 2), b.reshape(1, 1, 1, 2))),
        ("mse_loss", minigrad.mse_loss),
        ("equal", lambda a, b: a == b),
        ("less", lambda a, b: a < b),
        ("logical_and", lambda a, b: (a > 0) & (b > 0)),
        ("cross_entropy", lambda a, b: minigrad.cross_entropy(a.reshape(1, 2), Tensor([1], backend="numba"))),
    ],
)
def test_tensors_of_two_backends_do_not_mix_and_the_error_says_how_to_mend_it(name, call) -> None:
    a, b = on("numpy"), Tensor._wrap(np.array([1.0, 2.0]), minigrad.backends.get_backend("numba"))
    wanted = f"^(sub|{name}): its tensors live on different backends, numpy and numba; move one with .to\\('numpy'\\)"
    with pytest.raises(RuntimeError, match=wanted):
        call(a, b)


@pytest.mark.parametrize(
    "call",
    [
        lambda a, b: a + b,
        lambda a, b: a @ b,
        lambda a, b: minigrad.where(Tensor([True, False]), a, b),
        lambda a, b: minigrad.concatenate([a, b]),
        lambda a, b: minigrad.mse_loss(a, b),
        lambda a, b: a < b,
        lambda a, b: minigrad.linear(a.reshape(1, 2), b.reshape(1, 2)),
    ],
)
def test_float32_and_float64_do_not_mix(call) -> None:
    a, b = Tensor(np.ones(2, np.float32)), Tensor(np.ones(2))
    wanted = r"^\w+: float32 and float64( tensors)? do not mix; convert one with \.\w+\('float"
    with pytest.raises(TypeError, match=wanted):
        call(a, b)
    with pytest.raises(TypeError, match=wanted):
        call(b, a)


def test_a_node_keeps_its_backend_when_the_default_changes() -> None:
    with minigrad.use_backend("numpy"):
        x = leaf(1.0, 2.0)
        y = (x * x).sum()
    y.backward()
    assert x.grad.backend.name == "numpy"
    assert x.grad.tolist() == [2.0, 4.0]


def test_a_rule_may_give_no_gradient_to_what_was_computed_from_several() -> None:
    a, b = leaf(2.0), leaf(3.0)
    cut = operation(lambda self, dy: (None,), forward=lambda self, x: x + 0).apply(a * b)
    (cut + a).backward()
    assert (a.grad.item(), b.grad) == (1.0, None)


def test_a_leaf_that_is_differentiated_twice_over_gets_both_gradients() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    (dx,) = minigrad.grad([x, x], x, [Tensor([1.0, 1.0]), Tensor([10.0, 100.0])])
    assert dx.tolist() == [11.0, 101.0]


class PassesOnToAll(Function):
    """y = a + b; its rule does not ask which of the two wants a gradient."""

    def forward(self, a, b):
        return a + b

    def backward(self, dy):
        return dy, dy


def test_what_a_rule_returns_for_an_input_that_wants_no_gradient_is_left_out() -> None:
    x, constant = Tensor(1.0, requires_grad=True), Tensor(2.0)
    (step,) = PassesOnToAll.apply(x, constant).backward_steps()
    assert [gradient is None for gradient in step.grad_inputs] == [False, True]


class Counted(Function):
    """y = times x, with an attribute of its own that is no parameter."""

    def __init__(self):
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x * self.times

    def backward(self, dy):
        return (dy * (self.times * self.calls),)


def test_an_operation_may_have_attributes_of_its_own_beside_its_parameters() -> None:
    x = Tensor(3.0, requires_grad=True)
    y = Counted.apply(x, times=2.0)
    y.backward()
    assert (y.item(), x.grad.item()) == (6.0, 2.0)
    assert vars(y.grad_fn) == {"calls": 1, "times": 2.0}


class TwoMultiples(Function):
    """y = 2 x and z = 3 x"""

    def forward(self, x):
        return x * 2.0, x * 3.0

    def backward(self, dy, dz):
        return (dy * 2.0 if dz is None else dz * 3.0,)


@pytest.mark.parametrize("index", [0, 1])
def test_grad_stops_at_any_output_of_a_node_that_has_been_released(index: int) -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    outputs = TwoMultiples.apply(x)
    outputs[0].sum().backward()
    y = outputs[index]
    (dy,) = minigrad.grad((y * y).sum(), y)
    assert dy.tolist() == (2.0 * y.data).tolist()


class MadeWithMore(Function):
    """y = times x, with what `__new__` sets."""

    def __new__(cls):
        node = object.__new__(cls)
        node.more = 5.0
        return node

    def forward(self, x):
        return x * (self.times * self.more)


def test_an_operation_may_set_attributes_in_new() -> None:
    assert MadeWithMore.apply(Tensor(3.0), times=2.0).item() == 30.0
