"""Where a difference is hard to trust: poles, saturation, cancellation, stuck outputs, elements hidden by others."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad
from minigrad import Function, Tensor, gradcheck, gradcheck_module, gradcheck_numpy, nn

SEEDS = range(5)


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("fn", "x"),
    [
        (lambda x: 1 / x, [1e-6, 1.0, 2.0]),  # the usual step crosses the pole
        (lambda x: 1 / (x * x), [1e-4, 1.0, 2.0]),
        (minigrad.log, [1e-9, 1.0, 5.0]),
        (minigrad.log, [1e-300, 1.0]),
        (lambda x: minigrad.sin(1e6 * x), [0.3, 1.0, 5.0]),  # it meets the same phase again
        (minigrad.tanh, [15.0]),  # saturated: a small step changes nothing
        (minigrad.sigmoid, [36.5]),
        (lambda x: minigrad.softmax(x, axis=0), [30.0, 0.0, 1.0]),
        (lambda x: minigrad.cross_entropy(x.reshape(1, 3), Tensor([0])), [38.0, 0.0, 1.0]),
        (lambda x: x.max(), (1e4 + np.random.default_rng(1).permutation(16) * 1e-3).tolist()),
        (lambda x: 1e14 + x, [0.3, -1.0]),
    ],
)
def test_right_gradients_are_never_called_wrong(fn, x, seed) -> None:
    report = gradcheck(fn, np.array(x), seed=seed, raise_error=False)
    assert report, report


@pytest.mark.parametrize("seed", SEEDS)
def test_a_bias_before_a_normalization_has_a_gradient_of_nothing_but_rounding(seed) -> None:
    minigrad.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    batch = minigrad.rand(5, 1, 4, 4), Tensor([0, 1, 2, 0, 1])
    report = gradcheck_module(model, minigrad.cross_entropy, batch, seed=seed, raise_error=False)
    assert report, report


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("others", [[3e3], [1e5], [1e9]])
def test_large_elements_do_not_hide_a_small_wrong_one(others, seed) -> None:
    x = np.concatenate([others, np.random.default_rng(1).uniform(1, 2, 2000)])

    def backward(g, x):
        d = g * 2 * x
        d[700] = 0
        return (d,)

    (one,) = gradcheck_numpy(lambda x: x * x, backward, x, seed=seed, raise_error=False).inputs
    assert (one.verdict, one.worst.index) == ("wrong", (700,))


def test_a_large_constant_hides_no_slope() -> None:
    assert not gradcheck_numpy(lambda x: 1e12 + x, lambda g, x: (0 * g,), draw(3), raise_error=False)


@pytest.mark.parametrize(("factor", "verdicts"), [(1.0, {"ok", "precision"}), (1.05, {"wrong", "precision"})])
def test_what_a_large_term_drowns_is_a_matter_of_precision(factor, verdicts) -> None:
    def forward(a, b):
        return 1e12 * (a**2).sum() + np.sin(b).sum()

    def backward(g, a, b):
        return 2e12 * a * g, factor * g * np.cos(b)

    a, b = gradcheck_numpy(forward, backward, (draw(3), draw(3)), raise_error=False).inputs
    assert a.verdict == "ok"
    assert b.verdict in verdicts


@pytest.mark.parametrize("rule", [lambda g, x: (2 * np.clip(g, -2, 2),), lambda g, x: (2 * np.abs(g),)])
def test_a_rule_that_is_not_linear_in_what_arrives_is_wrong(rule) -> None:
    assert not gradcheck_numpy(lambda x: 2 * x, rule, draw(5), raise_error=False)


def test_a_rule_that_is_wrong_for_columns_in_memory_is_caught() -> None:
    def backward(g, x):
        return (2 * g if x.flags.c_contiguous else 3 * g,)

    assert gradcheck_numpy(lambda x: 2 * x, backward, draw(3, 4))
    assert not gradcheck_numpy(lambda x: 2 * x, backward, np.asfortranarray(draw(3, 4)), raise_error=False)


def test_no_grad_of_anybody_is_touched_and_no_statistics_move() -> None:
    w = Tensor(draw(3, 2), requires_grad=True)
    assert gradcheck(lambda x: x @ w, draw(4, 3))
    assert not gradcheck(lambda x: (x @ w) * x.detach()[:, :2], draw(4, 3), raise_error=False)
    assert w.grad is None
    norm = nn.BatchNorm2d(2)
    before = norm.running_mean.numpy()
    gradcheck(norm, draw(2, 2, 3, 3))
    assert np.array_equal(norm.running_mean.numpy(), before)


def test_a_function_that_differentiates_itself_can_be_checked() -> None:
    def penalty(x):
        return minigrad.grad((x**3).sum(), x, create_graph=True)[0]

    assert gradcheck(penalty, draw(3))


def test_a_rule_of_several_outputs() -> None:
    class Two(Function):
        def forward(self, x):
            return x * x, 3 * x

        def backward(self, da, db):
            (x,) = self.inputs
            return (da * 2 * x + db * 3,)

    report = gradcheck(Two.apply, draw(3))
    assert report
    assert "not every output used, a rule fails" in report.notes[0]
    assert not gradcheck(lambda x: tuple(y * x.detach() for y in Two.apply(x)), draw(3), raise_error=False)


def test_frozen_parameters_are_left_out() -> None:
    model = nn.Linear(3, 2)
    model.bias.requires_grad = False
    report = gradcheck_module(model, minigrad.cross_entropy, (draw(4, 3), np.array([0, 1, 1, 0])))
    assert [one.name for one in report.inputs] == ["weight", "inputs"]


def test_a_value_that_depends_on_recording_is_found() -> None:
    def fn(x):
        return x * 2.0 if minigrad.is_grad_enabled() else x * 3.0

    (one,) = gradcheck(fn, draw(3), raise_error=False).inputs
    assert one.verdict == "nondeterministic"


def test_infinite_inputs_are_said_to_be_that() -> None:
    (one,) = gradcheck(minigrad.exp, np.array([-np.inf, 1.0]), raise_error=False).inputs
    assert one.verdict == "non-finite"
    assert "itself" in one.detail


def test_a_small_wrong_input_beside_a_large_one_has_its_cause_named() -> None:
    def backward(g, x, w, b):
        return g @ w.T, x.T @ g, g.mean(0)

    arrays = draw(4, 200), draw(200, 10), draw(10)
    x, w, b = gradcheck_numpy(lambda x, w, b: x @ w + b, backward, arrays, raise_error=False).inputs
    assert (x.verdict, w.verdict, b.verdict) == ("ok", "ok", "wrong")
    assert b.cause.name == "constant factor"
