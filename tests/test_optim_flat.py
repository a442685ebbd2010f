"""Parameters side by side: one kernel call updates all, rightly whatever happens to gradients and to states."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_kernels import adam, sgd

from minigrad import Tensor, nn, optim
from minigrad.backends import get_backend

SHAPES = [(2, 3), (), (4,), (1, 2, 2)]
OPTIMIZERS = {
    "sgd": lambda params: optim.SGD(params, lr=0.1),
    "momentum": lambda params: optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=0.1),
    "adam": lambda params: optim.Adam(params, lr=0.1, weight_decay=0.1),
    "adamw": lambda params: optim.AdamW(params, lr=0.1),
}
every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)
rng = np.random.default_rng(0)


def parameters(dtype: str = "float64") -> list[nn.Parameter]:
    return [nn.Parameter(Tensor(rng.standard_normal(shape), dtype)) for shape in SHAPES]


def backward(params: list[Any], cotangents: list[np.ndarray | None]) -> None:
    """Adds each of the cotangents to its parameter's gradient."""
    for parameter, cotangent in zip(params, cotangents, strict=True):
        if cotangent is not None:
            (parameter * Tensor(cotangent, parameter.dtype)).sum().backward()


def base(array: np.ndarray) -> np.ndarray:
    return array if array.base is None else base(array.base)


class OneByOne:
    """What an optimizer should do, a parameter at a time, by the kernels' naive references."""

    def __init__(self, name: str, params: list[Any]) -> None:
        self.name, self.w = name, [p.numpy() for p in params]
        self.states: list[dict[str, Any]] = [{} for _ in params]

    def step(self, grads: list[np.ndarray | None]) -> None:
        for i, g in enumerate(grads):
            if g is None:
                continue
            w, state, g = self.w[i].ravel(), self.states[i], g.ravel()
            if self.name in ("sgd", "momentum"):
                numbers = (0.1, 0.0, 0.0, 0.0, False) if self.name == "sgd" else (0.1, 0.9, 0.0, 0.1, False)
                w, state["v"] = sgd(w, [g], state.get("v"), *numbers)
            else:
                state["step"] = state.get("step", 0) + 1
                weight_decay, decoupled = (0.1, False) if self.name == "adam" else (0.01, True)
                numbers = (state["step"], 0.1, (0.9, 0.999), 1e-8, weight_decay, decoupled)
                w, state["m"], state["v"] = adam(w, [g], state.get("m"), state.get("v"), *numbers)
            self.w[i] = w.reshape(self.w[i].shape)


EVENTS = ("zero_grad", "backward", "backward of some", "clip", "step", "another's step", "reload", "assign")


@every_optimizer
@given(events=st.lists(st.sampled_from(EVENTS), min_size=1, max_size=12), seed=st.integers(0, 1000))
def test_parameters_side_by_side_are_updated_as_if_one_by_one(name: str, events: list[str], seed: int) -> None:
    draws, params = np.random.default_rng(seed), parameters()
    optimizer, expected = OPTIMIZERS[name](params), OneByOne(name, params)
    grads: list[np.ndarray | None] = [None] * len(params)
    held: list[tuple[Tensor, np.ndarray]] = []  # gradients that somebody holds
    for event in [*events, "backward", "step", "step"]:
        if event == "zero_grad":
            optimizer.zero_grad()
            grads = [None] * len(params)
        elif event.startswith("backward"):
            some = [event == "backward" or draws.random() < 0.5 for _ in params]
            cotangents = [draws.standard_normal(p.shape) if use else None for p, use in zip(params, some, strict=True)]
            backward(params, cotangents)
            grads = [g if c is None else c if g is None else g + c for g, c in zip(grads, cotangents, strict=True)]
            held += [(p.grad, p.grad.numpy()) for p in params if p.grad is not None]
        elif event == "clip":
            norm = optim.clip_grad_norm_(params, 1.0).item()
            grads = [g if g is None else g * min(1.0, 1.0 / (norm + 1e-6)) for g in grads]
        elif event == "step":
            optimizer.step()
            expected.step(grads)
        elif event == "another's step":
            optim.SGD(params, lr=0.5).step()
            expected.w = [w if g is None else w - 0.5 * g for w, g in zip(expected.w, grads, strict=True)]
        elif event == "reload":
            optimizer.load_state_dict(optimizer.state_dict())
        elif event == "assign":
            for i, p in enumerate(params):
                p.data = draws.standard_normal(p.shape)
                expected.w[i] = p.numpy()
        for parameter, w in zip(params, expected.w, strict=True):
            np.testing.assert_allclose(parameter.numpy(), w, rtol=1e-9, atol=1e-12)
        for gradient, values in held:
            np.testing.assert_array_equal(gradient.numpy(), values)


@every_optimizer
def test_after_a_step_all_arrays_are_pieces_of_a_few(name: str) -> None:
    params = parameters()
    optimizer = OPTIMIZERS[name](params)
    for _ in range(3):
        optimizer.zero_grad()
        backward(params, [rng.standard_normal(shape) for shape in SHAPES])
        optimizer.step()
    assert len({id(base(p.data)) for p in params}) == 1
    for remembered in ("momentum_buffer", "exp_avg", "exp_avg_sq"):
        arrays = [state[remembered] for state in optimizer.state.values() if remembered in state]
        assert len({id(base(array)) for array in arrays}) <= 1


def test_parameters_of_two_dtypes_are_updated_apart() -> None:
    params = [*parameters("float32"), *parameters("float64")]
    before = [p.numpy() for p in params]
    optimizer = optim.SGD(params, lr=0.5)
    for _ in range(2):
        optimizer.zero_grad()
        backward(params, [np.ones(p.shape) for p in params])
        optimizer.step()
    for p, w in zip(params, before, strict=True):
        assert p.dtype == w.dtype
        np.testing.assert_allclose(p.numpy(), w - 1, rtol=1e-6)
    assert len({id(base(p.data)) for p in params}) == 2


def test_a_parameter_that_was_given_another_dtype_gets_its_own_gradient() -> None:
    layer = nn.Linear(3, 2)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    layer(Tensor(np.ones((1, 3)), "float32")).sum().backward()
    optimizer.step()
    layer.to("float64")
    optimizer.zero_grad()
    layer(Tensor(np.ones((1, 3)), "float64")).sum().backward()
    assert layer.weight.grad.dtype == np.float64
    before = layer.weight.numpy()
    optimizer.step()
    np.testing.assert_allclose(layer.weight.numpy(), before - 0.1, rtol=1e-12)


@pytest.mark.parametrize("gradient", [Tensor([1.0, 2.0], "float64"), Tensor([1.0, 2.0], backend="numpy")])
def test_a_gradient_of_another_kind_is_refused(gradient: Tensor) -> None:
    parameter = nn.Parameter(Tensor([1.0, 2.0], "float32", backend="numba"))
    parameter.grad = gradient
    with pytest.raises(ValueError, match=r"SGD: a parameter is float32 on the numba backend, its gradient float"):
        optim.SGD([parameter]).step()
    assert parameter.tolist() == [1.0, 2.0]


def test_gradients_may_lie_in_memory_in_any_way() -> None:
    shape = (2, 3)
    lies = [lambda g: g, lambda g: g.T.copy().T, lambda g: np.repeat(g, 2, axis=1)[:, ::2], lambda g: g[::-1][::-1]]
    params = [nn.Parameter(Tensor(np.zeros(shape))) for _ in lies]
    optimizer, expected = optim.SGD(params, lr=0.5), np.zeros((len(lies), *shape))
    for _ in range(3):
        for i, (parameter, lie) in enumerate(zip(params, lies, strict=True)):
            g = rng.standard_normal(shape)
            parameter.grad = Tensor._wrap(lie(g), parameter.backend)
            expected[i] -= 0.5 * g
        optimizer.step()
        np.testing.assert_allclose([p.numpy() for p in params], expected, rtol=1e-12)


def test_a_step_keeps_no_gradient() -> None:
    parameter = nn.Parameter(Tensor([1.0, 2.0]))
    optimizer = optim.SGD([parameter], lr=0.1)
    for _ in range(2):
        backward([parameter], [np.ones(2)])
        optimizer.step()
        gradient = weakref.ref(parameter.grad)
        optimizer.zero_grad()
        assert gradient() is None


def test_a_parameter_is_never_taken_for_one_that_is_gone() -> None:
    for _ in range(100):  # the address of the one that is gone is soon another's
        params = [nn.Parameter(Tensor([1.0, 2.0]))]
        optimizer = optim.SGD(params, lr=0.1)
        backward(params, [np.ones(2)])
        optimizer.step()
        optimizer.param_groups.clear()
        optimizer.state.clear()
        params.clear()
        other = nn.Parameter(Tensor([5.0]))
        optimizer.add_param_group({"params": [other]})
        backward([other], [np.ones(1)])
        optimizer.step()
        assert other.tolist() == pytest.approx([4.9])


def test_parameters_keep_nothing_of_an_optimizer_that_is_gone() -> None:
    params = parameters()
    optimizer = optim.Adam(params, lr=0.1)
    cotangents = [np.full(shape, 2.0) for shape in SHAPES]
    for _ in range(2):
        optimizer.zero_grad()
        backward(params, cotangents)
        optimizer.step()
    flat = weakref.ref(optimizer._flats[0][0])
    optimizer.zero_grad()
    del optimizer
    gc.collect()
    assert flat() is None
    backward(params, cotangents)
    assert all((p.grad.data == 2.0).all() for p in params)


def trained_and_differentiated() -> tuple[list[Any], optim.SGD]:
    """An optimizer that has taken steps, and its parameters with their next gradients, all 1."""
    params = parameters()
    optimizer = optim.SGD(params, lr=0.5)
    for _ in range(2):
        optimizer.zero_grad()
        backward(params, [np.ones(shape) for shape in SHAPES])
        optimizer.step()
    optimizer.zero_grad()
    backward(params, [np.ones(shape) for shape in SHAPES])
    assert optimizer._flats[0][0].is_as_left(params)
    return params, optimizer


@pytest.mark.parametrize("changed", ["a backend", "a gradient's backend", "a dtype", "a gradient's dtype", "no Tensor"])
def test_a_step_like_the_one_before_sees_what_is_not_as_it_was(changed: str) -> None:
    params, optimizer = trained_and_differentiated()
    tensor = params[1].grad if "gradient" in changed else params[1]
    if "backend" in changed:
        tensor.backend = get_backend("numba" if tensor.backend.name == "numpy" else "numpy")
    elif "dtype" in changed:
        tensor._data = tensor._data.astype("float32")
    else:
        params[1].grad = params[1].grad.data
    before = [p.numpy() for p in params]
    with pytest.raises(ValueError, match="SGD: a parameter "):
        optimizer.step()
    for p, w in zip(params, before, strict=True):
        np.testing.assert_array_equal(p.numpy(), w)


def test_a_parameter_that_takes_the_place_of_another_is_updated_in_its_place() -> None:
    params, optimizer = trained_and_differentiated()
    old, new = params[0], nn.Parameter(Tensor(np.zeros(SHAPES[0])))
    new._data, new.grad = old._data, old.grad  # the very same arrays
    optimizer.param_groups[0]["params"][0], optimizer.state[new] = new, {}
    before = old.numpy()
    optimizer.step()
    np.testing.assert_array_equal(old.numpy(), before)
    np.testing.assert_allclose(new.numpy(), before - 0.5)


def test_parameters_without_gradients_stay_and_the_others_do_not() -> None:
    params, optimizer = trained_and_differentiated()
    before = [p.numpy() for p in params]
    params[2].grad = None
    optimizer.step()
    for p, w, step in zip(params, before, (0.5, 0.5, 0.0, 0.5), strict=True):
        np.testing.assert_allclose(p.numpy(), w - step)


def test_a_step_without_any_gradient_does_nothing() -> None:
    params, optimizer = trained_and_differentiated()
    before = [p.numpy() for p in params]
    optimizer.zero_grad()
    optimizer.step()
    for p, w in zip(params, before, strict=True):
        np.testing.assert_array_equal(p.numpy(), w)


def test_what_is_remembered_may_be_forgotten_between_two_steps() -> None:
    params, optimizer = trained_and_differentiated()
    before = params[0].numpy()
    optimizer.state.clear()
    optimizer.step()
    np.testing.assert_allclose(params[0].numpy(), before - 0.5)
    optimizer.param_groups[0]["momentum"] = 0.5
    optimizer.step()
    assert set(optimizer.state[params[0]]) == {"momentum_buffer"}
