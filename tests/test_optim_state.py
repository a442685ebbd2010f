"""Optimizers: groups, state_dict and load_state_dict, wrong arguments; the updates are in test_optim.py."""

from __future__ import annotations

import copy
import json
import math
import pickle

import numpy as np
import pytest

from minigrad import nn, optim, use_backend
from minigrad.tensor import Tensor


def parameter(values, grad=None, dtype=np.float64) -> nn.Parameter:
    p = nn.Parameter(Tensor(values, dtype))
    if grad is not None:
        p.grad = Tensor(grad, dtype)
    return p


EVERY = [
    lambda params: optim.SGD(params, lr=0.1),
    lambda params: optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=0.1),
    lambda params: optim.SGD(params, lr=0.1, momentum=0.9, nesterov=True),
    lambda params: optim.Adam(params, weight_decay=0.1),
    lambda params: optim.AdamW(params),
]
every_optimizer = pytest.mark.parametrize("make", EVERY, ids=["sgd", "momentum", "nesterov", "adam", "adamw"])


# -- groups ------------------------------------------------------------------------------------------------------------


def test_groups_have_options_of_their_own_and_the_defaults_for_the_rest():
    slow, fast, later = (parameter([1.0], [1.0]) for _ in range(3))
    optimizer = optim.SGD([{"params": [slow]}, {"params": fast, "lr": 0.5}], lr=0.25)
    optimizer.add_param_group({"params": (later,), "lr": 1.0, "weight_decay": 1.0})
    optimizer.step()
    assert [slow.item(), fast.item(), later.item()] == [0.75, 0.5, -1.0]
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.5, 1.0]
    assert all(set(group) == {"params", *optimizer.defaults} for group in optimizer.param_groups)


def test_options_changed_between_steps_are_used():
    p = parameter([1.0], [1.0])
    optimizer = optim.SGD([p], lr=0.25)
    optimizer.param_groups[0]["lr"] = 0.5
    optimizer.step()
    assert p.item() == 0.5


def test_an_optimizer_is_shown_with_its_groups():
    optimizer = optim.Adam([{"params": [parameter([1.0])]}, {"params": [parameter([1.0])], "lr": 0.1}])
    assert repr(optimizer) == (
        "Adam(1 parameters, lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0; "
        "1 parameters, lr=0.1, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0)"
    )


# -- state -------------------------------------------------------------------------------------------------------------


def train(params, optimizer, steps, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        for p in params:
            p.grad = Tensor(rng.standard_normal(p.shape))
        optimizer.step()


def make_params():
    return [parameter([[1.0, 2.0], [3.0, 4.0]]), parameter([5.0]), parameter(6.0)]


@every_optimizer
def test_a_run_continued_from_its_state_is_the_uninterrupted_one_bit_for_bit(make):
    whole = make_params()
    optimizer = make(whole)
    train(whole, optimizer, 3)
    saved, weights = optimizer.state_dict(), [p.numpy() for p in whole]
    train(whole, optimizer, 4, seed=1)  # the state saved is a snapshot, and does not see this

    resumed = [parameter(w) for w in weights]
    optimizer = make(resumed)
    optimizer.load_state_dict(saved)
    train(resumed, optimizer, 4, seed=1)
    for p, q in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())


@every_optimizer
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_a_copy_goes_on_as_the_original_does_and_by_itself(make, duplicate):
    whole = make_params()
    optimizer = make(whole)
    train(whole, optimizer, 3)
    copies, copied = duplicate((whole, optimizer))
    train(whole, optimizer, 4, seed=1)
    assert not any(np.array_equal(p.numpy(), q.numpy()) for p, q in zip(whole, copies, strict=True))
    train(copies, copied, 4, seed=1)
    for p, q in zip(whole, copies, strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())


class OwnMomentum(optim.Optimizer):
    """Not one of those that update all parameters at once."""

    def update(self, w, g, state, xp, lr):
        state["mean"] = (state["mean"] + g) / 2 if state else g
        return w - lr * state["mean"]


@pytest.mark.parametrize("make", [*EVERY, lambda params: OwnMomentum(params, lr=0.1)])
def test_what_is_remembered_follows_parameters_that_are_moved(make, backends):
    expected, moved, model = make_params(), make_params(), nn.Module()
    model.first, model.second, model.third = moved
    pairs = [(params, make(params)) for params in (expected, moved)]
    for seed, backend in enumerate(["numpy", *backends, "numpy"]):
        model.to(backend)
        remembered = [v for values in pairs[1][1].state_dict()["state"].values() for v in values.values()]
        assert all(isinstance(v.data, v.backend.ndarray) for v in remembered if isinstance(v, Tensor))
        for params, optimizer in pairs:
            with use_backend(params[0].backend.name):
                train(params, optimizer, 2, seed)
    for p, q in zip(expected, moved, strict=True):
        np.testing.assert_allclose(q.numpy(), p.numpy(), rtol=1e-13)


def test_the_state_has_pytorchs_form():
    params = make_params()
    optimizer = optim.Adam([{"params": params[:1]}, {"params": params[1:], "lr": 0.5}])
    assert optimizer.state_dict()["state"] == {}
    train(params, optimizer, 2)
    state = optimizer.state_dict()
    assert list(state) == ["state", "param_groups"]
    assert {n: {k: type(v).__name__ for k, v in values.items()} for n, values in state["state"].items()} == {
        n: {"step": "int", "exp_avg": "Tensor", "exp_avg_sq": "Tensor"} for n in range(3)
    }
    assert state["state"][0]["step"] == 2 and state["state"][0]["exp_avg"].shape == (2, 2)
    options = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}
    assert state["param_groups"] == [{"params": [0], "lr": 1e-3, **options}, {"params": [1, 2], "lr": 0.5, **options}]
    momentum = optim.SGD(params, momentum=0.9)
    train(params, momentum, 1)
    assert list(momentum.state_dict()["state"][1]) == ["momentum_buffer"]
    plain = optim.SGD(params)
    train(params, plain, 1)
    assert plain.state_dict()["state"] == {}


def test_options_come_back_from_a_state_also_after_json():
    optimizer = optim.Adam([parameter([1.0])], lr=0.5, betas=(0.5, 0.25))
    saved = json.loads(json.dumps(optimizer.state_dict()))
    other = optim.Adam([parameter([1.0])])
    other.load_state_dict(saved)
    assert other.param_groups[0]["lr"] == 0.5 and other.param_groups[0]["betas"] == (0.5, 0.25)


def test_a_state_becomes_the_dtype_and_backend_of_its_parameter(backend):
    p = nn.Parameter(Tensor([1.0], backend=backend))
    optimizer = optim.SGD([p], momentum=0.9)
    optimizer.load_state_dict(
        {
            "state": {7: {"momentum_buffer": Tensor([2.0], np.float64, backend="numpy")}},
            "param_groups": [{**optimizer.param_groups[0], "params": [7]}],
        }
    )
    (buffer,) = (tensor for tensor in optimizer.state_dict()["state"][0].values())
    assert buffer.dtype == np.float32 and buffer.backend.name == backend and buffer.tolist() == [2.0]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda s: 3,
            TypeError,
            r"load_state_dict: expected a dict with 'state' and 'param_groups', as state_dict\(\)",
        ),
        (lambda s: {"state": {}}, TypeError, "load_state_dict: expected a dict with 'state' and 'param_groups'"),
        (
            lambda s: {**s, "param_groups": [{**s["param_groups"][0], "params": [0, 1]}]},
            ValueError,
            r"load_state_dict: the state has groups of \[2\] parameters, this Adam of \[3\]",
        ),
        (
            lambda s: optim.SGD(make_params()).state_dict(),
            ValueError,
            r"load_state_dict: the state is not Adam's: it lacks the options \['betas', 'eps'\]",
        ),
        (
            lambda s: {**s, "param_groups": [{**s["param_groups"][0], "lr": -1.0}]},
            ValueError,
            "Adam: lr must be 0 or more, got -1.0",
        ),
        (
            lambda s: {**s, "state": {3: s["state"][0]}},
            ValueError,
            "load_state_dict: the state has values for parameter 3, which is in no group",
        ),
        (
            lambda s: {**s, "state": {0: s["state"][1]}},
            ValueError,
            r"load_state_dict: exp_avg has shape \(1,\), its parameter \(2, 2\)",
        ),
        (
            lambda s: {**s, "state": {0: {"step": 1, "exp_avg": [0.0]}}},
            TypeError,
            "load_state_dict: exp_avg must be a Tensor or an int, got a list",
        ),
        (
            lambda s: {**s, "state": {0: {"step": 3}}},
            ValueError,
            r"the state is not Adam's: it lacks \['exp_avg', 'exp_avg_sq'\]",
        ),
        (
            lambda s: {**s, "state": {0: {"momentum_buffer": s["state"][0]["exp_avg"]}}},
            ValueError,
            r"it lacks \['exp_avg', 'exp_avg_sq', 'step'\]",
        ),
        (lambda s: {**s, "state": {0: {**s["state"][0], "step": 0}}}, ValueError, "step must be an int from 1, got 0"),
        (lambda s: {**s, "state": {0: {**s["state"][0], "exp_avg": 1}}}, ValueError, "exp_avg must be a Tensor, got 1"),
        (
            lambda s: {**s, "state": {0: {**s["state"][0], "step": s["state"][0]["exp_avg"]}}},
            ValueError,
            "step must be an int from 1, got Tensor",
        ),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(change, error, message):
    params = make_params()
    optimizer = optim.Adam(params, lr=0.5)
    train(params, optimizer, 1)
    groups, state = [dict(group) for group in optimizer.param_groups], dict(optimizer.state)
    with pytest.raises(error, match=message):
        optimizer.load_state_dict(change(optimizer.state_dict()))
    assert all(a.keys() == b.keys() and a["lr"] == b["lr"] for a, b in zip(optimizer.param_groups, groups, strict=True))
    assert optimizer.state == state


class MaximumAdam(optim.Adam):
    """Remembers one thing more."""

    def update_flat(self, kernels, w, gradients, state, *args, **options):
        g = np.concatenate([gradient.ravel() for gradient in gradients])
        largest = state.pop("largest", g)
        w, state = super().update_flat(kernels, w, gradients, state, *args, **options)
        return w, {**state, "largest": np.maximum(largest, g)}


def test_an_optimizer_derived_from_another_may_remember_more():
    params = make_params()
    optimizer = MaximumAdam(params, lr=0.5)
    train(params, optimizer, 2)
    again = MaximumAdam(params, lr=0.5)
    again.load_state_dict(optimizer.state_dict())
    assert [sorted(values) for values in again.state.values()] == [["exp_avg", "exp_avg_sq", "largest", "step"]] * 3
    train(params, again, 1)


# -- wrong arguments ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: optim.SGD([parameter([1.0])], lr=-0.1), ValueError, "SGD: lr must be 0 or more, got -0.1"),
        (lambda: optim.SGD([parameter([1.0])], lr=math.nan), ValueError, "SGD: lr must be finite, got nan"),
        (lambda: optim.SGD([parameter([1.0])], momentum=-1.0), ValueError, "SGD: momentum must be 0 or more, got -1.0"),
        (lambda: optim.SGD([parameter([1.0])], weight_decay=-1), ValueError, "SGD: weight_decay must be 0 or more"),
        (
            lambda: optim.SGD([parameter([1.0])], nesterov=True),
            ValueError,
            "SGD: nesterov needs a momentum above 0 and no dampening, got momentum 0.0 and dampening 0.0",
        ),
        (
            lambda: optim.SGD([parameter([1.0])], momentum=0.9, dampening=0.1, nesterov=True),
            ValueError,
            "SGD: nesterov needs .* got momentum 0.9 and dampening 0.1",
        ),
        (lambda: optim.Adam([parameter([1.0])], lr=-1), ValueError, "Adam: lr must be 0 or more, got -1"),
        (lambda: optim.Adam([parameter([1.0])], eps=-1.0), ValueError, "Adam: eps must be 0 or more, got -1.0"),
        (
            lambda: optim.Adam([parameter([1.0])], betas=(0.9, 1.0)),
            ValueError,
            r"Adam: betas must be two numbers in \[0, 1\), got \(0.9, 1.0\)",
        ),
        (lambda: optim.AdamW([parameter([1.0])], betas=(0.9,)), ValueError, "AdamW: betas must be two numbers"),
        (
            lambda: optim.AdamW([parameter([1.0])], weight_decay=-1.0),
            ValueError,
            "AdamW: weight_decay must be 0 or more",
        ),
        (lambda: optim.SGD([]), ValueError, "SGD: there are no parameters to optimize"),
        (lambda: optim.SGD(nn.ReLU().parameters()), ValueError, "SGD: there are no parameters to optimize"),
        (
            lambda: optim.SGD(parameter([1.0])),
            TypeError,
            r"SGD: expected a list of parameters or of groups, got a Parameter; .* \[tensor\] for one tensor",
        ),
        (
            lambda: optim.SGD(nn.Linear(2, 1)),
            TypeError,
            r"SGD: expected a list of parameters or of groups, got a Linear; write module\.parameters\(\) for a module",
        ),
        (
            lambda: optim.SGD(nn.Sequential(nn.Linear(2, 1))),
            TypeError,
            r"SGD: parameters must be Tensors, got a Linear; a module's are module\.parameters\(\)",
        ),
        (
            lambda: optim.SGD(nn.Linear(2, 1).named_parameters()),
            TypeError,
            "SGD: parameters must be Tensors, got a tuple",
        ),
        (lambda: optim.SGD([Tensor([1])]), ValueError, "SGD: parameters must be floating, got int64"),
        (
            lambda: optim.SGD([parameter([1.0]) * 2.0]),
            ValueError,
            "SGD: <Mul> computed one of the parameters; only leaves can be",
        ),
        (lambda: optim.SGD([parameter([1.0])] * 2), ValueError, r"SGD: a parameter of shape \(1,\) is given twice"),
        (
            lambda: optim.SGD([{"params": [parameter([1.0])], "momentun": 0.9}]),
            ValueError,
            r"SGD: a group has unknown options \['momentun'\]; there are \['dampening', 'lr', 'momentum', ",
        ),
        (
            lambda: optim.SGD([{"params": [parameter([1.0])], "lr": -1.0}]),
            ValueError,
            "SGD: lr must be 0 or more, got -1.0",
        ),
        (lambda: optim.SGD([{"lr": 1.0}]), TypeError, "SGD: a group is a dict with 'params', got {'lr': 1.0}"),
    ],
)
def test_a_wrong_argument_is_named_when_the_optimizer_is_made(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_parameter_in_two_groups_is_refused():
    p = parameter([1.0])
    optimizer = optim.SGD([p])
    with pytest.raises(ValueError, match=r"SGD: a parameter of shape \(1,\) is given twice"):
        optimizer.add_param_group({"params": [p]})
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize("grad", [Tensor([1.0]), np.ones((2, 2))], ids=["shape", "type"])
def test_a_gradient_that_cannot_be_the_parameters_is_refused(grad):
    p = parameter([[1.0, 2.0]])
    p.grad = grad
    with pytest.raises(ValueError, match=r"SGD: a parameter of shape \(1, 2\) has the gradient (Tensor|array)\("):
        optim.SGD([p]).step()
    assert p.tolist() == [[1.0, 2.0]]


def test_an_optimizer_without_update_says_so():
    optimizer = optim.Optimizer([parameter([1.0], [1.0])])
    with pytest.raises(NotImplementedError, match=r"Optimizer: define update\(self, w, g, state, xp, \.\.\.\)"):
        optimizer.step()
