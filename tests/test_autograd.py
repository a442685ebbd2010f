"""backward and grad: values used twice, accumulation, the gradient to start with, releasing the graph, wrong arguments.

Beside this file: test_autograd_orders.py for derivatives of any order, test_autograd_hooks.py, test_autograd_modes.py;
the traversal itself is tested in test_engine.py.
"""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import minigrad
from minigrad import Tensor

pytestmark = pytest.mark.usefixtures("on_backend")


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values if len(values) > 1 else values[0]), requires_grad=True)


# ------------------------------------------------------------------------------------------------------------ the graph


def test_a_value_used_twice_gets_both_contributions() -> None:
    x = leaf(3.0)
    (x * x + x).backward()
    assert x.grad.item() == 7.0


def test_a_diamond_is_visited_after_both_of_its_sides() -> None:
    x = leaf(2.0)
    top = x * 3.0
    left, right = top * top, top + 1.0
    (left * right).backward()  # 9 x^2 (3 x + 1), by x: 81 x^2 + 18 x
    assert x.grad.item() == 81 * 4 + 18 * 2


def test_a_leaf_differentiated_by_itself_has_gradient_one() -> None:
    x = leaf(5.0)
    x.backward()
    assert x.grad.item() == 1.0


def test_a_result_computed_from_constants_and_leaves_leaves_constants_alone() -> None:
    x, constant = leaf(2.0), Tensor(np.array(3.0))
    (x * constant).backward()
    assert x.grad.item() == 3.0
    assert constant.grad is None


def test_leaf_and_computed_tensors_are_told_apart() -> None:
    x = leaf(1.0)
    y = x * 2.0
    assert (x.is_leaf, y.is_leaf) == (True, False)
    assert (x.grad_fn, y.grad_fn.name()) == (None, "mul")
    assert y.requires_grad
    assert y.grad_fn.inputs[0] is x


def test_computed_tensors_keep_no_gradient() -> None:
    x = leaf(1.0)
    y = x * 2.0
    (y * y).backward()
    assert y.grad is None


# --------------------------------------------------------------------------------------------------------- accumulation


def test_gradients_add_up_over_passes() -> None:
    x = leaf(1.0, 2.0)
    for passes in (1, 2, 3):
        (x * x).backward(Tensor(np.ones(2)))
        np.testing.assert_array_equal(x.grad.numpy(), passes * 2 * x.numpy())


@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_of_two_leaves_share_no_memory(create_graph: bool) -> None:
    a, b, seed = leaf(1.0, 2.0), leaf(3.0, 4.0), leaf(1.0, 1.0)
    (a + b).backward(seed, create_graph=create_graph)
    assert a.grad.requires_grad is create_graph
    assert not np.shares_memory(a.grad.data, b.grad.data)
    assert not np.shares_memory(a.grad.data, seed.data)


@pytest.mark.parametrize("create_graph", [False, True])
def test_who_scales_a_gradient_scales_no_other_tensor(create_graph: bool) -> None:
    a, b, seed, replacement = leaf(1.0), leaf(3.0), leaf(1.0), leaf(5.0)
    (a + b).backward(seed, create_graph=create_graph)
    c = leaf(2.0)
    c.register_hook(lambda g: replacement)
    (c * 3.0).backward(create_graph=create_graph)
    with minigrad.no_grad():
        for x in (a, c):
            x.grad *= 0.5
    assert [x.grad.tolist() for x in (a, b, c)] == [0.5, 1.0, 2.5]
    assert [seed.tolist(), replacement.tolist()] == [1.0, 5.0]


def test_a_gradient_that_is_recorded_is_differentiated_by_its_seed() -> None:
    x, seed = leaf(2.0), leaf(3.0)
    x.backward(seed, create_graph=True)
    assert x.grad.requires_grad
    assert not np.shares_memory(x.grad.data, seed.data)
    assert minigrad.grad(x.grad * 4.0, seed)[0].item() == 4.0


@pytest.mark.parametrize("given", [0, np.ones(1), Tensor(np.ones(2)), Tensor([1.0])])  # the last one is float32
def test_a_grad_of_another_kind_is_an_error_that_shows_it(given) -> None:
    x = leaf(1.0)
    x.grad = given
    with pytest.raises(RuntimeError, match=r"backward: the grad of a tensor \(\) of float64 was set to "):
        (x * x).backward()


def test_a_gradient_shares_no_memory_with_what_was_saved() -> None:
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (a * b).sum().backward()
    for gradient in (a.grad, b.grad):
        assert not any(np.shares_memory(gradient.data, x.data) for x in (a, b))


def test_a_kept_gradient_shares_no_memory_with_what_is_passed_on() -> None:
    a, b, seed = leaf(1.0, 2.0), leaf(3.0, 4.0), leaf(1.0, 1.0)
    y = a + b
    y.retain_grad()
    y.backward(seed)
    assert y.grad.tolist() == [1.0, 1.0]
    assert not any(np.shares_memory(y.grad.data, x.data) for x in (seed, a.grad, b.grad))


def test_accumulation_leaves_a_gradient_that_somebody_holds_as_it_was() -> None:
    x = leaf(1.0, 2.0)
    (x * 3.0).sum().backward()
    held, array = x.grad, x.grad.data
    (x * 5.0).sum().backward()
    assert held.tolist() == [3.0, 3.0]
    assert array.tolist() == [3.0, 3.0]
    assert x.grad.tolist() == [8.0, 8.0]


def test_contributions_within_a_pass_leave_the_first_one_as_it_was() -> None:
    x = leaf(1.0, 2.0)
    first = []
    y = x + 0.0
    y.register_hook(first.append)
    (y * 2.0 + x * 4.0).sum().backward()
    assert first[0].tolist() == [2.0, 2.0]
    assert x.grad.tolist() == [6.0, 6.0]


def test_a_gradient_that_repeats_one_number_is_an_array_of_its_own() -> None:
    x = leaf(1.0, 2.0)
    x.sum().backward()
    assert x.grad.data.strides != (0,)
    if isinstance(x.grad.data, np.ndarray):  # CuPy's arrays are all writable
        assert x.grad.data.flags.writeable


# ------------------------------------------------------------------------------------------------------- unbroadcasting


@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 3), (2, 1), (1, 1), (2, 3)])
def test_broadcast_axes_are_summed_away(shape) -> None:
    x = Tensor(np.ones(shape), requires_grad=True)
    weights = np.arange(1.0, 7.0).reshape(2, 3)
    (x * Tensor(weights)).sum().backward()
    padded = (1,) * (2 - len(shape)) + shape
    axes = tuple(i for i in range(2) if padded[i] == 1)
    assert x.grad.shape == shape
    np.testing.assert_array_equal(x.grad.numpy(), weights.sum(axes, keepdims=True).reshape(shape))


def test_an_empty_broadcast_gives_a_gradient_of_zero() -> None:
    x = Tensor(np.ones((1, 2)), requires_grad=True)
    (x * Tensor(np.ones((0, 2)))).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[0.0, 0.0]])


# ------------------------------------------------------------------------------------------------------------- the seed


def test_only_one_element_needs_no_gradient_given() -> None:
    x = leaf(1.0, 2.0)
    (x * x).sum().reshape(1, 1).backward()
    assert x.grad.tolist() == [2.0, 4.0]
    with pytest.raises(RuntimeError, match=r"backward: a tensor of shape \(2,\) needs the gradient .* \.sum\(\)"):
        (x * x).backward()


@pytest.mark.parametrize("seed", [[1.0, 10.0], np.array([1, 10]), (1, 10)])
def test_the_gradient_given_may_be_anything_that_makes_a_tensor(seed) -> None:
    x = leaf(1.0, 2.0)
    (x * 3.0).backward(seed)
    assert x.grad.tolist() == [3.0, 30.0]


def test_the_gradient_given_goes_to_the_tensors_backend_whatever_new_tensors_get() -> None:
    others = [name for name in minigrad.backend_names() if name != minigrad.backends.default_backend().name]
    x = Tensor._wrap(np.ones(2), minigrad.backends.get_backend(others[0])).requires_grad_()
    (x * 3.0).backward([1.0, 10.0])
    assert x.grad.tolist() == [3.0, 30.0]


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        (Tensor(np.ones(3)), r"backward: the gradient given has shape \(3,\).*expected \(2,\)"),
        (Tensor(np.ones(())), r"has shape \(\)"),
        (Tensor(np.ones(2, np.float32)), "dtype float32.*expected .*float64"),
        (Tensor(np.ones(2, np.int64)), "dtype int64.*expected .*float64"),
    ],
)
def test_a_gradient_that_does_not_fit_is_refused(seed: Tensor, message: str) -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=message):
        (x * x).backward(seed.to(x.backend))
    assert x.grad is None


def test_a_tensor_without_a_graph_cannot_be_differentiated() -> None:
    with pytest.raises(RuntimeError, match="backward: this tensor requires no gradient"):
        Tensor(1.0).backward()
    with pytest.raises(RuntimeError, match="grad: this tensor requires no gradient"):
        minigrad.grad(Tensor(1.0), leaf(1.0))


# -------------------------------------------------------------------------------------------------- releasing the graph


def test_a_second_backward_pass_names_retain_graph() -> None:
    x = leaf(2.0)
    y = x * x
    y.backward()
    with pytest.raises(RuntimeError, match=r"<Mul> were released .* retain_graph=True"):
        y.backward()
    assert x.grad.item() == 4.0


def test_a_graph_built_on_a_released_one_says_so_too() -> None:
    x = leaf(2.0)
    y = x * x
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        (y + 1.0).backward()


def test_steps_whose_graph_another_pass_has_released_meanwhile_say_so() -> None:
    x = leaf(3.0)
    y = x * x
    steps = (y * x).backward_steps()
    next(steps)
    y.backward()
    with pytest.raises(RuntimeError, match=r"<Mul> were released .* retain_graph=True"):
        next(steps)
    assert minigrad.is_grad_enabled()


def test_retain_graph_allows_another_pass() -> None:
    x = leaf(2.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 12.0
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()


def test_create_graph_retains_the_graph_unless_told_otherwise() -> None:
    x = leaf(2.0)
    y = x * x
    y.backward(create_graph=True)
    y.backward(create_graph=True, retain_graph=False)
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()
    x.grad = None  # a gradient with a graph points back at x: a cycle, unless it is taken away


def test_one_of_two_graphs_that_share_a_part_may_be_released_alone() -> None:
    x = leaf(2.0)
    shared = x * x
    first, second = shared * 3.0, shared * 5.0
    first.backward(retain_graph=True)
    second.backward()
    assert x.grad.item() == 4 * 3 + 4 * 5


# ----------------------------------------------------------------------------------------------------------------- grad


def test_grad_touches_no_grad() -> None:
    x, w = leaf(2.0), leaf(3.0)
    (slope,) = minigrad.grad(x * w, x)
    assert slope.item() == 3.0
    assert x.grad is None
    assert w.grad is None


def test_grad_by_a_computed_tensor_stops_there() -> None:
    x = leaf(2.0)
    y = x * x
    z = y * y
    assert minigrad.grad(z, y)[0].item() == 8.0
    y.backward()  # the part below y was not visited, so not released
    assert x.grad.item() == 4.0


def test_grad_by_a_computed_tensor_whose_own_graph_is_released() -> None:
    x = leaf(2.0)
    y = x * x
    y.backward()
    assert minigrad.grad(y * y, y)[0].item() == 8.0
    with pytest.raises(RuntimeError, match=r"<Mul> were released .* retain_graph=True"):
        minigrad.grad(y * y, [y, x])  # by x, the pass leads through the released node


def test_grad_by_a_computed_tensor_and_what_it_was_computed_from() -> None:
    x = leaf(2.0)
    y = x * x
    by_x, by_y = minigrad.grad(y * y, [x, y])
    assert (by_x.item(), by_y.item()) == (32.0, 8.0)


def test_grad_of_a_tensor_by_itself_is_one() -> None:
    x = leaf(2.0)
    y = x * x
    assert minigrad.grad(y, y)[0].item() == 1.0
    assert minigrad.grad(x, x)[0].item() == 1.0


def test_grad_sums_over_outputs_weighted_by_grad_outputs() -> None:
    x = leaf(1.0, 2.0)
    outputs = [x * x, x.sum(), x.sum()]
    (gradient,) = minigrad.grad(outputs, x, [Tensor(np.array([1.0, 10.0])), None, Tensor(np.array(100.0))])
    assert gradient.tolist() == [2 + 101, 40 + 101]


@pytest.mark.parametrize("as_given", [np.array, lambda numbers: Tensor(np.array(numbers)), lambda numbers: (numbers,)])
def test_grad_outputs_may_be_whatever_backward_takes(as_given) -> None:
    x = leaf(3.0, 4.0)
    (gradient,) = minigrad.grad(x * x, x, as_given([1.0, 10.0]))
    assert gradient.tolist() == [6.0, 80.0]


def test_grad_takes_the_same_output_and_the_same_input_twice() -> None:
    x = leaf(3.0)
    y = x * x
    assert [g.item() for g in minigrad.grad([y, y], [x, x])] == [12.0, 12.0]


def test_grad_by_an_unused_input_is_an_error_or_none() -> None:
    x, unused = leaf(2.0), leaf(3.0)
    with pytest.raises(RuntimeError, match="the outputs do not depend on input 1; allow_unused=True"):
        minigrad.grad(x * x, [x, unused])
    by_x, by_unused = minigrad.grad(x * x, [x, unused], allow_unused=True)
    assert (by_x.item(), by_unused) == (4.0, None)


def test_what_was_a_constant_when_it_was_used_stays_one() -> None:
    x, y = leaf(2.0), Tensor(np.array(3.0))
    product = x * y
    y.requires_grad_()
    assert minigrad.grad(product, [x, y], allow_unused=True, retain_graph=True)[1] is None
    total = x * y.detach().requires_grad_() + product * y
    total.backward()
    assert (x.grad.item(), y.grad.item()) == (12.0, 6.0)


def test_the_first_node_ever_recorded_is_a_node_like_others(monkeypatch) -> None:
    function = minigrad.autograd.function
    spec = importlib.util.spec_from_file_location("minigrad.autograd.fresh", function.__file__)
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)
    monkeypatch.setattr(function, "_numbers", fresh._numbers)  # as in a process that has recorded nothing
    x = leaf(2.0)
    y = x * x
    y.backward()
    for again in (y.backward, lambda: minigrad.grad(y, x)):
        with pytest.raises(RuntimeError, match="the values saved by <Mul> were released"):
            again()
