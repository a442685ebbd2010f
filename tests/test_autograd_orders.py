"""Derivatives of any order, and operations that users define, with one output or several."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad
from minigrad import Function, Tensor

pytestmark = pytest.mark.usefixtures("on_backend")


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values if len(values) > 1 else values[0]), requires_grad=True)


# --------------------------------------------------------------------------------------------- derivatives of any order


def test_the_gradient_of_a_gradient_of_a_gradient() -> None:
    x = leaf(2.0)
    order_0 = x**4
    (order_1,) = minigrad.grad(order_0, x, create_graph=True)
    (order_2,) = minigrad.grad(order_1, x, create_graph=True)
    (order_3,) = minigrad.grad(order_2, x, create_graph=True)
    (order_4,) = minigrad.grad(order_3, x)
    assert [d.item() for d in (order_0, order_1, order_2, order_3, order_4)] == [16.0, 32.0, 48.0, 48.0, 24.0]


def test_the_sigmoid_has_derivatives_of_order_five() -> None:
    x = leaf(0.5)
    derivative = minigrad.sigmoid(x)
    for _ in range(5):
        (derivative,) = minigrad.grad(derivative, x, create_graph=True)
    s = 1 / (1 + np.exp(-0.5))
    # With u = s (1 - s): the fifth derivative is u (1 - 30 u + 120 u^2) (1 - 2 s)... of even order below.
    u = s * (1 - s)
    assert derivative.item() == pytest.approx(u * (1 - 30 * u + 120 * u**2), rel=1e-12)


def test_a_hessian_vector_product_equals_the_closed_form() -> None:
    """f(x) = sum of (A x)^2 / 2 has the Hessian A^T A."""
    rng = np.random.default_rng(0)
    A, v = rng.standard_normal((4, 3)), rng.standard_normal(3)
    x = Tensor(rng.standard_normal(3), requires_grad=True)
    y = Tensor(A) @ x
    (gradient,) = minigrad.grad((y * y).sum() / 2, x, create_graph=True)
    (product,) = minigrad.grad(gradient, x, Tensor(v))
    np.testing.assert_allclose(product.numpy(), A.T @ A @ v, rtol=1e-12)


def test_a_gradient_penalty_trains_through_the_gradient() -> None:
    """|d/dx (w x^2)|^2 = 4 w^2 x^2, whose gradient by w is 8 w x^2."""
    w, x = leaf(3.0), leaf(2.0)
    (slope,) = minigrad.grad(w * x * x, x, create_graph=True)
    (slope * slope).backward()
    assert w.grad.item() == 8 * 3 * 4


def test_backward_with_create_graph_gives_grads_that_can_be_differentiated() -> None:
    x = leaf(2.0)
    (x**3).backward(create_graph=True)
    first = x.grad
    x.grad = None
    first.backward()
    assert first.item() == 12.0
    assert x.grad.item() == 12.0


def test_without_create_graph_gradients_require_none() -> None:
    x, w = leaf(2.0), leaf(3.0)
    (slope,) = minigrad.grad(x * w, x)
    assert not slope.requires_grad
    (x * w).backward()
    assert not x.grad.requires_grad


def test_create_graph_records_even_where_recording_is_off() -> None:
    x = leaf(2.0)
    y = x * x * x + x * x  # two contributions arrive at x: their sum is recorded too
    with minigrad.no_grad():
        (slope,) = minigrad.grad(y, x, create_graph=True)
    assert minigrad.grad(slope, x)[0].item() == 6 * 2 + 2


def test_grad_with_create_graph_by_a_computed_tensor() -> None:
    x = leaf(2.0)
    y = x * x
    (slope,) = minigrad.grad(y**3, y, create_graph=True)  # 3 y^2 = 3 x^4
    assert slope.item() == 48.0
    assert minigrad.grad(slope, x)[0].item() == 12 * 8


# ---------------------------------------------------------------------------------------------- user-defined operations


class Square(Function):
    def forward(self, x):
        return x * x

    def backward(self, dy):
        (x,) = self.inputs
        return (dy * 2.0 * x,)


class DivMod(Function):
    """Quotient, remainder and the quotient's integer part, which has no gradient."""

    def forward(self, a, b):
        whole = (a // b).astype("int64")
        return a / b, a - whole * b, whole

    def backward(self, dquotient, dremainder, dwhole):
        a, b = self.inputs
        whole = self.outputs[2]
        assert dwhole is None
        da = db = None
        if dquotient is not None:
            da, db = dquotient / b, -(dquotient * a / (b * b))
        if dremainder is not None:
            da = dremainder if da is None else da + dremainder
            through_b = -(dremainder * whole)
            db = through_b if db is None else db + through_b
        return da, db


def test_a_user_defined_operation_has_derivatives_of_any_order() -> None:
    x = leaf(3.0)
    (slope,) = minigrad.grad(Square.apply(x), x, create_graph=True)
    (curvature,) = minigrad.grad(slope, x)
    assert (slope.item(), curvature.item()) == (6.0, 2.0)


def test_an_operation_with_several_outputs() -> None:
    a, b = leaf(7.0), leaf(2.0)
    quotient, remainder, whole = DivMod.apply(a, b)
    assert (quotient.item(), remainder.item(), whole.item()) == (3.5, 1.0, 3)
    assert quotient.requires_grad
    assert remainder.requires_grad
    assert not whole.requires_grad
    (quotient * 10.0 + remainder).backward()
    assert a.grad.item() == 10 / 2 + 1
    assert b.grad.item() == -10 * 7 / 4 - 3


@pytest.mark.parametrize(("which", "by_a", "by_b"), [(0, 0.5, -1.75), (1, 1.0, -3.0)])
def test_one_of_several_outputs_alone(which: int, by_a: float, by_b: float) -> None:
    a, b = leaf(7.0), leaf(2.0)
    gradients = minigrad.grad(DivMod.apply(a, b)[which], [a, b], create_graph=True)
    assert [g.item() for g in gradients] == [by_a, by_b]


def test_grad_by_one_of_several_outputs() -> None:
    quotient, remainder, _ = DivMod.apply(leaf(7.0), leaf(2.0))
    z = quotient * 3.0 + remainder * 5.0
    by_remainder, by_quotient = minigrad.grad(z, [remainder, quotient])
    assert (by_quotient.item(), by_remainder.item()) == (3.0, 5.0)


def test_a_rule_that_returns_none_passes_nothing_on() -> None:
    class FirstOnly(Function):
        def forward(self, a, b):
            return a + 0 * b

        def backward(self, dy):
            return dy, None

    a, b = leaf(1.0), leaf(2.0)
    deeper = b * 2.0
    FirstOnly.apply(a, deeper).backward()
    assert a.grad.item() == 1.0
    assert b.grad is None


def test_a_graph_keeps_its_values_when_a_tensor_is_given_another_array() -> None:
    w, x = leaf(2.0), leaf(3.0)
    product, cube = (x * w).sum(), w**3
    w.data = w.backend.from_numpy(np.full(w.shape, 5.0))
    product.backward()
    assert x.grad.item() == 2.0
    (slope,) = minigrad.grad(cube, w, create_graph=True)
    assert slope.item() == 12.0
    assert minigrad.grad(slope, w)[0].item() == 12.0


def test_a_graph_keeps_its_values_through_an_optimizer_step() -> None:
    w, x = leaf(2.0), leaf(3.0)
    first, second = (w * w).sum(), (x * w).sum()
    first.backward()
    minigrad.optim.SGD([w], lr=0.1).step()
    assert w.item() == pytest.approx(1.6)
    second.backward()
    assert x.grad.item() == 2.0
