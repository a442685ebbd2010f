"""Optimizers: updates against hand-computed numbers and plain Python floats, and what a step leaves alone.

What an optimizer remembers is tested in test_optim_state.py.
"""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import nn, optim
from minigrad.tensor import Tensor


def parameter(values, grad=None, dtype=np.float64) -> nn.Parameter:
    p = nn.Parameter(Tensor(values, dtype))
    if grad is not None:
        p.grad = Tensor(grad, dtype)
    return p


def after_steps(make, start: float, grads: list[float]) -> list[float]:
    """Where a parameter of one element is after each step with those gradients."""
    p = parameter([start])
    optimizer, places = make([p]), []
    for grad in grads:
        p.grad = Tensor([grad], np.float64)
        optimizer.step()
        places.append(p.item())
    return places


# -- naive references: one weight, Python floats -----------------------------------------------------------------------


def naive_sgd(w, grads, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
    velocity = None
    for g in grads:
        g = g + weight_decay * w
        if momentum != 0:
            velocity = g if velocity is None else momentum * velocity + (1 - dampening) * g
            g = g + momentum * velocity if nesterov else velocity
        w = w - lr * g
        yield w


def naive_adam(w, grads, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=False):
    m = v = 0.0
    for t, g in enumerate(grads, 1):
        if decoupled:
            w = w - lr * weight_decay * w
        else:
            g = g + weight_decay * w
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
        w = w - lr * m_hat / (math.sqrt(v_hat) + eps)
        yield w


finite = st.floats(-100, 100).map(lambda x: round(x, 3))
some_grads = st.lists(finite, min_size=1, max_size=8)
rate = st.floats(0.0, 1.0).map(lambda x: round(x, 3))
part = st.floats(0.0, 0.999).map(lambda x: round(x, 3))


@given(finite, some_grads, rate, part, part, rate)
def test_sgd_equals_the_naive_reference(start, grads, lr, momentum, dampening, weight_decay):
    options = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
    expected = list(naive_sgd(start, grads, **options))
    np.testing.assert_allclose(after_steps(lambda ps: optim.SGD(ps, **options), start, grads), expected, 1e-12, 1e-12)


@given(finite, some_grads, rate, st.floats(0.01, 0.999), rate)
def test_nesterov_sgd_equals_the_naive_reference(start, grads, lr, momentum, weight_decay):
    options = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "nesterov": True}
    expected = list(naive_sgd(start, grads, **options))
    np.testing.assert_allclose(after_steps(lambda ps: optim.SGD(ps, **options), start, grads), expected, 1e-12, 1e-12)


@given(finite, some_grads, rate, st.tuples(part, part), st.sampled_from([1e-8, 1e-3]), rate, st.booleans())
def test_adam_and_adamw_equal_the_naive_reference(start, grads, lr, betas, eps, weight_decay, decoupled):
    options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
    expected = list(naive_adam(start, grads, **options, decoupled=decoupled))
    kind = optim.AdamW if decoupled else optim.Adam
    np.testing.assert_allclose(after_steps(lambda ps: kind(ps, **options), start, grads), expected, 1e-9, 1e-9)


# -- updates computed by hand ------------------------------------------------------------------------------------------


def test_sgd_by_hand():
    assert after_steps(lambda ps: optim.SGD(ps, lr=0.5), 1.0, [2.0, -4.0]) == [0.0, 2.0]


def test_sgd_with_momentum_by_hand():
    # v: 2, then 0.5 2 + 1 = 2, then 0.5 2 + 0 = 1
    assert after_steps(lambda ps: optim.SGD(ps, lr=1.0, momentum=0.5), 0.0, [2.0, 1.0, 0.0]) == [-2.0, -4.0, -5.0]
    # with dampening 0.5 the first v is still the whole gradient: 2, then 0.5 2 + 0.5 1 = 1.5
    assert after_steps(lambda ps: optim.SGD(ps, 1.0, 0.5, dampening=0.5), 0.0, [2.0, 1.0]) == [-2.0, -3.5]
    # nesterov: 2 + 0.5 2 = 3, then 1 + 0.5 2 = 2
    assert after_steps(lambda ps: optim.SGD(ps, 1.0, 0.5, nesterov=True), 0.0, [2.0, 1.0]) == [-3.0, -5.0]


def test_sgd_with_weight_decay_by_hand():
    assert after_steps(lambda ps: optim.SGD(ps, lr=0.5, weight_decay=0.5), 4.0, [0.0, 1.0]) == [3.0, 1.75]


def test_the_first_step_of_adam_moves_by_lr_whatever_the_gradient():
    for grad in (1e-3, 1.0, -1e4):
        (place,) = after_steps(lambda ps: optim.Adam(ps, lr=0.25), 1.0, [grad])
        assert abs(place - (1.0 - math.copysign(0.25, grad))) < 1e-5


def test_adam_by_hand():
    # betas 1/2 and 3/4, gradients 2 and 0: m = 1, 1/2; v = 1, 3/4; m_hat = 2, 2/3; v_hat = 4, 12/7
    places = after_steps(lambda ps: optim.Adam(ps, lr=1.0, betas=(0.5, 0.75), eps=0.0), 0.0, [2.0, 0.0])
    np.testing.assert_allclose(places, [-1.0, -1.0 - 2 / 3 / math.sqrt(12 / 7)], rtol=1e-14)


def test_adamw_decays_weights_without_a_gradient_and_adam_with_l2_moves_by_lr():
    assert after_steps(lambda ps: optim.AdamW(ps, lr=0.5, weight_decay=0.5), 4.0, [0.0]) == [3.0]
    (place,) = after_steps(lambda ps: optim.Adam(ps, lr=0.5, weight_decay=0.5), 4.0, [0.0])
    assert abs(place - 3.5) < 1e-7


def test_the_defaults_are_pytorchs():
    sgd = {"lr": 1e-3, "momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": False}
    assert optim.SGD([parameter([1.0])]).defaults == sgd
    adam = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0}
    assert optim.Adam([parameter([1.0])]).defaults == adam
    assert optim.AdamW([parameter([1.0])]).defaults == {**adam, "weight_decay": 1e-2}


# -- what a step does and does not touch -------------------------------------------------------------------------------

EVERY = [
    lambda params: optim.SGD(params, lr=0.1),
    lambda params: optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=0.1),
    lambda params: optim.SGD(params, lr=0.1, momentum=0.9, nesterov=True),
    lambda params: optim.Adam(params, weight_decay=0.1),
    lambda params: optim.AdamW(params),
]
every_optimizer = pytest.mark.parametrize("make", EVERY, ids=["sgd", "momentum", "nesterov", "adam", "adamw"])


@every_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_replaces_arrays_keeps_dtypes_and_records_nothing(make, dtype, backend):
    p = nn.Parameter(Tensor([[1.0, -2.0]], dtype, backend=backend))
    p.grad = Tensor([[0.5, 3.0]], dtype, backend=backend)
    optimizer = make([p])
    for _ in range(3):
        array, grad_array, kept = p.data, p.grad.data, dict(optimizer.state.get(p, {}))
        before = {name: copy.copy(value) for name, value in kept.items()}
        optimizer.step()
        assert p.data is not array and p.grad.data is grad_array
        assert p.is_leaf and p.requires_grad and p.dtype == dtype and p.backend.name == backend
        assert p.grad.tolist() == [[0.5, 3.0]]
        for name, value in kept.items():
            assert value == before[name] if isinstance(value, int) else (value == before[name]).all()
        assert all(isinstance(v, int) or v.dtype == dtype for v in optimizer.state[p].values())


@every_optimizer
def test_a_parameter_without_a_gradient_stays_as_it_is(make):
    still, moved = parameter([1.0]), parameter([1.0], [1.0])
    optimizer = make([still, moved])
    optimizer.step()
    assert still.item() == 1.0 and moved.item() != 1.0
    assert still not in optimizer.state


@every_optimizer
def test_a_parameter_of_no_dimensions_is_updated(make):
    p = parameter(1.0, 2.0)
    optimizer = make([p])
    for _ in range(2):
        optimizer.step()
    assert p.shape == () and p.item() < 1.0


@every_optimizer
def test_a_quadratic_is_minimised(make):
    p, target = parameter([5.0, -3.0]), Tensor([1.0, 2.0], np.float64)
    optimizer = make([p])
    optimizer.param_groups[0].update(lr=0.05, weight_decay=0.0)
    for _ in range(400):
        optimizer.zero_grad()
        ((p - target) ** 2).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(p.numpy(), target.numpy(), atol=1e-3)


def test_zero_grad_forgets_all_gradients():
    params = [parameter([1.0], [1.0]), parameter([1.0])]
    optim.SGD(params).zero_grad()
    assert [p.grad for p in params] == [None, None]


def test_parameters_of_lazy_layers_can_be_given_before_the_first_batch():
    net = nn.Sequential(nn.LazyLinear(3), nn.LazyLinear(1))
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    net(Tensor([[1.0, 2.0]])).sum().backward()
    before = net.state_dict()
    optimizer.step()
    assert all(tensor.tolist() != before[name].tolist() for name, tensor in net.state_dict().items())


@pytest.mark.parametrize("optimizer_class", [optim.SGD, optim.Adam])
@pytest.mark.parametrize("lr", [None, "0.1", np.array(0.1), 1j, True, float("nan"), -0.1])
def test_an_option_that_has_been_changed_is_checked_in_the_next_step(optimizer_class, lr) -> None:
    x = Tensor([1.0], requires_grad=True)
    x.grad = Tensor([1.0])
    optimizer = optimizer_class([x], lr=0.25)
    optimizer.step()
    before = x.data.copy()
    optimizer.param_groups[0]["lr"] = lr
    for _ in range(2):  # as wrong the second time
        with pytest.raises((TypeError, ValueError), match=f"{optimizer_class.__name__}: lr must be"):
            optimizer.step()
    np.testing.assert_array_equal(x.data, before)
    optimizer.param_groups[0]["lr"] = 0.5
    optimizer.step()
    assert x.dtype == np.float32 and (x.data < before).all()


class _Descent(optim.Optimizer):
    def __init__(self, params, lr: float) -> None:
        super().__init__(params, lr=lr)

    def update(self, w, g, state, xp, lr):
        return w - lr * g


@pytest.mark.parametrize("wrong", ["option", "gradient"])
@pytest.mark.parametrize("optimizer_class", [optim.SGD, optim.Adam, _Descent])
def test_what_is_wrong_in_a_later_group_is_found_before_anything_is_updated(optimizer_class, wrong: str) -> None:
    first, second = parameter([1.0], [1.0]), parameter([2.0], [1.0])
    optimizer = optimizer_class([{"params": [first]}, {"params": [second]}], lr=0.25)
    optimizer.step()
    before, state = [first.item(), second.item()], {p: dict(values) for p, values in optimizer.state.items()}
    if wrong == "gradient":
        second.grad = Tensor(1.0)
    elif optimizer_class is _Descent:
        optimizer.param_groups[1].pop("lr")
    else:
        optimizer.param_groups[1]["lr"] = -1.0
    for _ in range(2):
        with pytest.raises((KeyError, ValueError)):
            optimizer.step()
    assert ([first.item(), second.item()], optimizer.state) == (before, state)


def test_a_rate_from_numpy_does_not_make_float64_of_float32():
    p = parameter([1.0], [1.0], np.float32)
    optimizer = optim.SGD([p], lr=np.float64(0.5))
    optimizer.step()
    optimizer.param_groups[0]["lr"] = np.linspace(0.0, 0.25, 5)[-1]
    optimizer.step()
    assert p.dtype == np.float32 and p.item() == 0.25
