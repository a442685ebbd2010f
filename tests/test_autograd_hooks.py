"""Hooks and retain_grad: who is called, when, how often, and what a replaced gradient does."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import minigrad
from minigrad import Tensor

pytestmark = pytest.mark.usefixtures("on_backend")


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values if len(values) > 1 else values[0]), requires_grad=True)


def test_a_leaf_hook_sees_the_whole_gradient_of_the_pass_once() -> None:
    x = leaf(3.0)
    seen = []
    x.register_hook(lambda gradient: seen.append(gradient.item()))
    (x * x + x * 4.0).backward()
    assert seen == [10.0]
    (x * 2.0).backward()
    assert seen == [10.0, 2.0], "a pass reports its own gradient, not the accumulated one"
    assert x.grad.item() == 12.0


def test_a_hook_of_a_computed_tensor_sees_the_whole_gradient_once() -> None:
    x = leaf(3.0)
    y = x * 2.0
    seen = []
    y.register_hook(lambda gradient: seen.append(gradient.item()))
    (y * y + y).backward()
    assert seen == [13.0]


def test_a_hook_replaces_the_gradient_of_everything_below() -> None:
    x = leaf(3.0)
    y = x * 2.0
    y.register_hook(lambda gradient: gradient * 10.0)
    (y * 1.0).backward()
    assert x.grad.item() == 20.0


def test_a_leaf_hook_replaces_what_is_accumulated() -> None:
    x = leaf(3.0)
    x.register_hook(lambda gradient: gradient * 10.0)
    (x * x).backward()
    assert x.grad.item() == 60.0


def test_hooks_run_in_order_each_on_what_the_one_before_returned() -> None:
    x = leaf(1.0)
    x.register_hook(lambda gradient: gradient + 1.0)
    x.register_hook(lambda gradient: None)
    x.register_hook(lambda gradient: gradient * 10.0)
    (x * 2.0).backward()
    assert x.grad.item() == 30.0


def test_all_hooks_of_a_computed_tensor_run() -> None:
    y = leaf(2.0) * 3.0
    seen = []
    for name in ("first", "second"):
        y.register_hook(lambda gradient, name=name: seen.append(name))
    (y * y).backward()
    assert seen == ["first", "second"]


def test_a_removed_hook_is_not_called_again() -> None:
    x = leaf(1.0)
    y = x * 2.0
    calls = []
    handles = [tensor.register_hook(calls.append) for tensor in (x, y)]
    y.backward(retain_graph=True)
    assert len(calls) == 2
    for handle in handles:
        handle.remove()
        handle.remove()  # twice does no harm
    y.backward()
    assert len(calls) == 2


def test_a_hook_registered_twice_is_removed_once_at_a_time() -> None:
    x = leaf(1.0)
    calls = []
    handle = x.register_hook(calls.append)
    x.register_hook(calls.append)
    handle.remove()
    handle.remove()
    (x * 2.0).backward()
    assert len(calls) == 1


def test_hooks_run_in_grad_too() -> None:
    x = leaf(3.0)
    y = x * x
    y.register_hook(lambda gradient: gradient * 10.0)
    assert minigrad.grad(y * 1.0, x)[0].item() == 60.0
    assert minigrad.grad(x * x, x)[0].item() == 6.0


def test_hooks_of_one_of_several_outputs() -> None:
    class Both(minigrad.Function):
        def forward(self, x):
            return x * 2, x * 3

        def backward(self, d2, d3):
            return (d2 * 2.0 + d3 * 3.0,)

    x = leaf(1.0)
    double, triple = Both.apply(x)
    seen = []
    triple.register_hook(lambda gradient: seen.append(gradient.item()))
    triple.retain_grad()
    (double * 5.0 + triple * 7.0).backward()
    assert seen == [7.0]
    assert triple.grad.item() == 7.0
    assert double.grad is None
    assert x.grad.item() == 31.0
    double, triple = Both.apply(x)
    double.retain_grad()
    triple.retain_grad()
    (double * 5.0 + triple * 7.0).backward()
    assert (double.grad.item(), triple.grad.item()) == (5.0, 7.0)


def test_no_hook_is_called_of_an_output_that_gets_no_gradient() -> None:
    class Both(minigrad.Function):
        def forward(self, x):
            return x * 2, x * 3

        def backward(self, by_double, by_triple):
            assert by_double is None
            return (by_triple * 3.0,)

    x = leaf(1.0)
    double, triple = Both.apply(x)
    double.register_hook(lambda gradient: pytest.fail(f"called with {gradient}"))
    double.retain_grad()
    (triple * 7.0).backward()
    assert (x.grad.item(), double.grad) == (21.0, None)


def test_a_hook_sees_no_recorded_gradient_unless_one_is_asked_for() -> None:
    x, w = leaf(2.0), leaf(3.0)
    flags = []
    x.register_hook(lambda gradient: flags.append((gradient * w).requires_grad))
    y = x * x
    y.backward(retain_graph=True)
    y.backward(create_graph=True)
    assert flags == [False, True]
    x.grad = None


def test_a_visit_that_is_refused_shows_nothing_and_keeps_nothing() -> None:
    x = leaf(2.0)
    y = x * x
    z, seen = y * y, []
    y.retain_grad()
    y.register_hook(lambda gradient: seen.append(gradient.item()))
    steps = z.backward_steps()
    next(steps)
    (y * 1.0).backward()  # releases what the other pass has not visited yet
    with pytest.raises(RuntimeError, match="the values saved by <Mul> were released"):
        list(steps)
    assert (y.grad.item(), x.grad.item(), seen) == (1.0, 4.0, [1.0])


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_hooks_replacement_is_a_constant_unless_a_graph_is_asked_for(create_graph: bool) -> None:
    x, w = leaf(2.0), leaf(5.0)
    y = x * 1.0
    y.register_hook(lambda gradient: w)
    (by_y,) = minigrad.grad(y * y, y, create_graph=create_graph)
    x.register_hook(lambda gradient: w)
    (by_x,) = minigrad.grad(x * x, x, create_graph=create_graph)
    assert (by_y.item(), by_x.item()) == (5.0, 5.0)
    assert (by_y.requires_grad, by_x.requires_grad) == (create_graph, create_graph)


@pytest.mark.parametrize("steps", [False, True])
def test_hooks_run_with_recording_off_unless_a_graph_is_asked_for(steps: bool) -> None:
    x = leaf(2.0)
    seen = []
    x.register_hook(lambda gradient: seen.append(minigrad.is_grad_enabled()))
    for make in (lambda: x, lambda: x * x):
        for create_graph in (False, True):
            tensor = make()
            if steps:
                list(tensor.backward_steps(create_graph=create_graph))
            else:
                with minigrad.no_grad():
                    tensor.backward(create_graph=create_graph)
    assert seen == [False, True, False, True]
    x.grad = None


def test_a_replaced_gradient_is_part_of_the_second_derivative() -> None:
    x = leaf(2.0)
    y = x * x * x
    y.register_hook(lambda gradient: gradient * 10.0)
    (slope,) = minigrad.grad(y * 1.0, x, create_graph=True)
    assert minigrad.grad(slope, x)[0].item() == 120.0


@pytest.mark.parametrize(
    ("returned", "kind", "message"),
    [
        (3.0, TypeError, "a tensor hook must return a Tensor or None, got float"),
        (np.ones(2), TypeError, "a tensor hook must return a Tensor or None, got ndarray"),
        (Tensor(np.ones(3)), RuntimeError, r"the gradient returned by a tensor hook has shape \(3,\).*expected \(2,\)"),
        (Tensor(np.ones(2, np.float32)), RuntimeError, "hook has .*float32.*expected .*float64"),
    ],
)
def test_what_a_hook_returns_is_checked(returned, kind, message) -> None:
    x = leaf(1.0, 2.0)
    if isinstance(returned, Tensor):
        returned = returned.to(x.backend)
    x.register_hook(lambda gradient: returned)
    with pytest.raises(kind, match=message):
        (x * x).sum().backward()


def test_hooks_are_refused_where_they_would_never_be_called() -> None:
    with pytest.raises(RuntimeError, match="register_hook: this tensor requires no gradient"):
        Tensor(1.0).register_hook(print)
    with pytest.raises(TypeError, match="register_hook: the hook must be callable, got 3"):
        leaf(1.0).register_hook(3)


def test_an_error_in_a_hook_reaches_the_caller() -> None:
    x = leaf(1.0)

    def fail(gradient: Tensor) -> None:
        raise KeyError("from the hook")

    x.register_hook(fail)
    with pytest.raises(KeyError, match="from the hook"):
        (x * x).backward()
    assert minigrad.is_grad_enabled()


# ---------------------------------------------------------------------------------------------------------- retain_grad


def test_retain_grad_keeps_the_gradient_of_a_computed_tensor() -> None:
    x = leaf(3.0)
    y = x * 2.0
    y.retain_grad()
    (y * y).backward()
    assert y.grad.item() == 12.0
    assert x.grad.item() == 24.0


def test_retained_gradients_add_up_over_passes_as_those_of_leaves_do() -> None:
    y = leaf(3.0) * 2.0
    y.retain_grad()
    z = y * y
    z.backward(retain_graph=True)
    z.backward()
    assert y.grad.item() == 24.0


def test_retain_grad_twice_keeps_the_gradient_once() -> None:
    y = leaf(3.0) * 2.0
    y.retain_grad()
    y.retain_grad()
    (y * y).backward()
    assert y.grad.item() == 12.0


@pytest.mark.parametrize("retain_first", [True, False])
def test_what_is_retained_is_the_gradient_after_the_hooks(retain_first: bool) -> None:
    y = leaf(3.0) * 2.0
    if retain_first:
        y.retain_grad()
    y.register_hook(lambda gradient: gradient * 10.0)
    if not retain_first:
        y.retain_grad()
    (y * y).backward()
    assert y.grad.item() == 120.0


def test_grad_touches_no_retained_gradient() -> None:
    x = leaf(3.0)
    y = x * 2.0
    y.retain_grad()
    minigrad.grad(y * y, x)
    assert y.grad is None


def test_retain_grad_changes_nothing_for_a_leaf() -> None:
    x = leaf(3.0)
    x.retain_grad()
    (x * x).backward()
    assert x.grad.item() == 6.0


def test_retain_grad_is_refused_where_there_will_be_no_gradient() -> None:
    with pytest.raises(RuntimeError, match="retain_grad: this tensor requires no gradient"):
        Tensor(1.0).retain_grad()


def test_retain_grad_makes_no_reference_cycle_and_survives_its_tensor() -> None:
    x = leaf(3.0)
    y = x * 2.0
    y.retain_grad()
    z = y * 5.0
    gone = weakref.ref(y)
    gc.disable()
    try:
        *before, inputs, arrays, result = z.grad_fn._recorded
        z.grad_fn._recorded = (*before, (inputs[0].detach(), *inputs[1:]), arrays, result)
        del y, inputs
        assert gone() is None
    finally:
        gc.enable()


def test_backward_works_when_the_tensor_that_retains_its_gradient_is_gone() -> None:
    x = leaf(3.0)

    class Keep(minigrad.Function):
        """Multiplies by 5 and keeps no input tensor but its own."""

        def forward(self, y):
            return y * 5

        def backward(self, dz):
            return (dz * 5.0,)

    y = x * 2.0
    node = y.grad_fn
    y.retain_grad()
    del y
    z = Keep.apply(node.outputs[0])
    z.backward()
    assert x.grad.item() == 10.0
