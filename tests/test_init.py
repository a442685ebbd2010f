"""nn.init: the formulas, what is drawn, and that arrays are replaced, not written into."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import nn, optim
from minigrad.random import default_generator, manual_seed
from minigrad.tensor import Tensor

FAN_IN, FAN_OUT = 4 * 5 * 3, 400 * 5 * 3  # of a weight (400, 4, 5, 3)


def weight(dtype=np.float32) -> nn.Parameter:
    return nn.Parameter(Tensor(np.zeros((400, 4, 5, 3), dtype)))


def uniform(bound: float) -> float:
    """The standard deviation of U(-bound, bound)."""
    return bound / math.sqrt(3)


@pytest.mark.parametrize(
    ("init", "std"),
    [
        (lambda w: nn.init.uniform_(w, -2.0, 2.0), uniform(2.0)),
        (lambda w: nn.init.normal_(w, 0.0, 0.25), 0.25),
        (nn.init.normal_, 1.0),
        (nn.init.xavier_uniform_, uniform(math.sqrt(6 / (FAN_IN + FAN_OUT)))),
        (lambda w: nn.init.xavier_uniform_(w, gain=3.0), uniform(3 * math.sqrt(6 / (FAN_IN + FAN_OUT)))),
        (nn.init.xavier_normal_, math.sqrt(2 / (FAN_IN + FAN_OUT))),
        (lambda w: nn.init.xavier_normal_(w, 3.0), 3 * math.sqrt(2 / (FAN_IN + FAN_OUT))),
        (nn.init.kaiming_uniform_, uniform(math.sqrt(6 / FAN_IN))),
        (lambda w: nn.init.kaiming_uniform_(w, a=math.sqrt(5)), uniform(1 / math.sqrt(FAN_IN))),
        (lambda w: nn.init.kaiming_uniform_(w, mode="fan_out"), uniform(math.sqrt(6 / FAN_OUT))),
        (nn.init.kaiming_normal_, math.sqrt(2 / FAN_IN)),
        (lambda w: nn.init.kaiming_normal_(w, nonlinearity="tanh"), 5 / 3 / math.sqrt(FAN_IN)),
        (lambda w: nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"), math.sqrt(2 / FAN_OUT)),
    ],
)
def test_values_have_mean_zero_and_the_spread_of_the_formula(init, std):
    manual_seed(0)
    w = weight()
    init(w)
    values = w.numpy().ravel()
    assert abs(values.mean()) < 4 * std / math.sqrt(values.size)
    assert abs(values.std() / std - 1) < 4 / math.sqrt(2 * values.size)


def test_uniform_values_fill_their_interval_and_normal_ones_leave_three_in_a_thousand_beyond_three_sigma():
    manual_seed(0)
    bound = math.sqrt(6 / (FAN_IN + FAN_OUT))
    values = nn.init.xavier_uniform_(weight()).numpy()
    assert 0.999 * bound < np.abs(values).max() <= np.float32(bound)
    beyond = np.abs(nn.init.normal_(weight()).numpy()) > 3
    assert 0.001 < beyond.mean() < 0.005
    default = nn.init.uniform_(weight()).numpy()
    assert 0 <= default.min() < 0.001 and 0.999 < default.max() <= 1


def test_constants_fill():
    bias = nn.Parameter(np.zeros(3, np.float32))
    assert nn.init.constant_(bias, 0.5).tolist() == [0.5, 0.5, 0.5]
    assert nn.init.ones_(bias).tolist() == [1.0, 1.0, 1.0]
    assert nn.init.zeros_(bias).tolist() == [0.0, 0.0, 0.0]


@given(st.sampled_from(["xavier_uniform_", "kaiming_normal_", "zeros_"]), st.sampled_from([np.float32, np.float64]))
def test_the_tensor_itself_comes_back_with_another_array_of_its_dtype_and_no_graph(name, dtype):
    w = weight(dtype)
    array = w.data
    assert getattr(nn.init, name)(w) is w
    assert w.data is not array and not array.any()
    assert w.dtype == dtype and w.is_leaf and w.requires_grad


def test_a_seed_repeats_the_values_on_every_backend(backend):
    manual_seed(1)
    expected = default_generator().normal(0.0, 2.0, (2, 3)).astype(np.float32)
    manual_seed(1)
    tensor = nn.init.normal_(Tensor(np.zeros((2, 3), np.float32), backend=backend), 0.0, 2.0)
    assert tensor.backend.name == backend
    np.testing.assert_array_equal(tensor.numpy(), expected)


def test_gains_are_those_of_the_table():
    gains = {name: nn.init.calculate_gain(name) for name in ("linear", "conv2d", "sigmoid", "tanh", "relu", "selu")}
    assert gains == {"linear": 1, "conv2d": 1, "sigmoid": 1, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}
    assert nn.init.calculate_gain("leaky_relu") == math.sqrt(2 / 1.0001)
    assert nn.init.calculate_gain("leaky_relu", 2.0) == math.sqrt(2 / 5)


@pytest.mark.parametrize(
    ("init", "error", "message"),
    [
        (
            lambda: nn.init.xavier_uniform_(Tensor([1.0])),
            ValueError,
            r"xavier_uniform_: .* two dimensions, .* got shape \(1,\)",
        ),
        (lambda: nn.init.xavier_normal_(Tensor(1.0)), ValueError, r"xavier_normal_: .* got shape \(\)"),
        (lambda: nn.init.kaiming_uniform_(Tensor([1.0])), ValueError, "kaiming_uniform_: .* zeros_ or uniform_"),
        (lambda: nn.init.kaiming_normal_(Tensor([[]])), ValueError, r"kaiming_normal_: .* got shape \(1, 0\)"),
        (
            lambda: nn.init.kaiming_normal_(weight(), mode="fan"),
            ValueError,
            "kaiming_normal_: mode must be one of 'fan_in', 'fan_out', got 'fan'",
        ),
        (
            lambda: nn.init.kaiming_normal_(weight(), nonlinearity="swish"),
            ValueError,
            "kaiming_normal_: nonlinearity must be one of 'linear', .* 'leaky_relu', got 'swish'",
        ),
        (lambda: nn.init.uniform_(weight(), 1.0, 0.0), ValueError, "uniform_: a must not be above b, got 1.0 and 0.0"),
        (lambda: nn.init.normal_(weight(), 0.0, -1.0), ValueError, "normal_: std must be 0 or more, got -1.0"),
        (lambda: nn.init.constant_(Tensor([1]), 0.5), TypeError, "constant_: expected a floating tensor, got int64"),
        (
            lambda: nn.init.xavier_uniform_(nn.Linear(2, 1)),
            TypeError,
            r"xavier_uniform_: expected a Tensor, such as layer\.weight, got a Linear",
        ),
        (lambda: nn.init.uniform_(weight(), "a"), TypeError, "uniform_: a must be a number, got 'a'"),
        (lambda: nn.init.uniform_(weight(), 0.0, None), TypeError, "uniform_: b must be a number, got None"),
        (lambda: nn.init.normal_(weight(), "m"), TypeError, "normal_: mean must be a number, got 'm'"),
        (lambda: nn.init.normal_(weight(), 0.0, 1j), TypeError, "normal_: std must be a number, got 1j"),
        (lambda: nn.init.constant_(weight(), "x"), TypeError, "constant_: val must be a number, got 'x'"),
        (lambda: nn.init.xavier_uniform_(weight(), "g"), TypeError, "xavier_uniform_: gain must be a number, got 'g'"),
        (lambda: nn.init.xavier_normal_(weight(), "g"), TypeError, "xavier_normal_: gain must be a number, got 'g'"),
        (lambda: nn.init.kaiming_uniform_(weight(), "s"), TypeError, "kaiming_uniform_: a must be a number, got 's'"),
        (lambda: nn.LeakyReLU("s"), TypeError, "LeakyReLU: negative_slope must be a number, got 's'"),
        (lambda: nn.Dropout("p"), TypeError, "Dropout: p must be a number, got 'p'"),
        (lambda: nn.BatchNorm2d(3, momentum=None), TypeError, "BatchNorm2d: momentum must be a number, got None"),
        (lambda: nn.utils.clip_grad_norm_([], "a"), TypeError, "clip_grad_norm_: max_norm must be a number, got 'a'"),
        (lambda: optim.SGD([weight()], lr=None), TypeError, "SGD: lr must be a number, got None"),
        (
            lambda: optim.lr_scheduler.StepLR(optim.SGD([weight()]), 1, "g"),
            TypeError,
            "StepLR: gamma must be a number, got 'g'",
        ),
        (
            lambda: optim.Adam([weight()], betas=0.9),
            ValueError,
            r"Adam: betas must be two numbers in \[0, 1\), got 0.9",
        ),
        (lambda: nn.init.zeros_(np.ones(2)), TypeError, "zeros_: expected a Tensor, .* got a ndarray"),
    ],
)
def test_wrong_arguments_are_named(init, error, message):
    with pytest.raises(error, match=message):
        init()
