"""Lazy layers: what they become at the first batch or from a state, and what they are before."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import nn
from minigrad.random import default_generator, manual_seed
from minigrad.tensor import Tensor


def images(*shape: int) -> Tensor:
    return Tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def lazy_net() -> nn.Sequential:
    return nn.Sequential(nn.LazyConv2d(6, 3, padding=1, groups=2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))


def test_lazy_layers_become_ordinary_ones_at_the_first_batch(on_backend):
    net = lazy_net()
    assert isinstance(net[0], nn.Conv2d) and isinstance(net[3], nn.Linear)
    assert net(images(2, 4, 5, 5)).shape == (2, 10)
    assert type(net[0]) is nn.Conv2d and type(net[3]) is nn.Linear
    assert (net[0].in_channels, net[3].in_features) == (4, 150)
    assert {name: tensor.shape for name, tensor in net.state_dict().items()} == {
        "0.weight": (6, 2, 3, 3),
        "0.bias": (6,),
        "3.weight": (10, 150),
        "3.bias": (10,),
    }
    assert all(type(p) is nn.Parameter and p.backend.name == on_backend for p in net.parameters())
    assert net(images(7, 4, 5, 5)).shape == (7, 10)


def test_a_lazy_layer_starts_as_the_ordinary_one_does():
    manual_seed(0)
    lazy = nn.LazyLinear(3)
    lazy(images(2, 4))
    manual_seed(0)
    assert nn.Linear(4, 3).state_dict()["bias"].tolist() == lazy.bias.tolist()
    assert lazy.weight.shape == (3, 4) and np.abs(lazy.weight.numpy()).max() > 0


def test_parameters_given_away_before_the_first_batch_are_those_trained_after_it():
    net = lazy_net()
    parameters = list(net.parameters())
    assert all(isinstance(p, nn.UninitializedParameter) for p in parameters)
    net(images(2, 4, 5, 5)).sum().backward()
    assert all(p is q for p, q in zip(net.parameters(), parameters, strict=True))
    assert all(p.grad.shape == p.shape for p in parameters)


def test_a_lazy_layer_without_bias_and_one_that_is_frozen_stay_so():
    layer = nn.LazyLinear(3, bias=False).requires_grad_(False)
    layer(images(2, 4))
    assert layer.bias is None and not layer.weight.requires_grad


def test_loading_a_state_makes_lazy_layers_ordinary_and_draws_nothing():
    net, trained = lazy_net(), lazy_net()
    trained(images(2, 4, 5, 5))
    drawn = default_generator().bit_generator.state
    assert net.load_state_dict(trained.state_dict()) == ([], [])
    assert default_generator().bit_generator.state == drawn
    assert type(net[0]) is nn.Conv2d and type(net[3]) is nn.Linear
    assert (net[0].in_channels, net[3].in_features) == (4, 150)
    x = images(2, 4, 5, 5)
    np.testing.assert_array_equal(net(x).numpy(), trained(x).numpy())


def test_a_state_that_does_not_fit_leaves_lazy_layers_lazy():
    net, trained = lazy_net(), lazy_net()
    trained(images(2, 4, 5, 5))
    state = {
        **trained.state_dict(),
        "0.weight": np.ones((6, 2, 4, 3)),
        "3.weight": np.ones((10, 0)),
        "3.bias": np.ones(9),
    }
    with pytest.raises(ValueError) as caught:
        net.load_state_dict(state)
    assert str(caught.value).splitlines()[1] == (
        "  unfit: 0.weight has shape (6, 2, 4, 3), expected (6, 2, 3, 3), "
        "3.weight has shape (10, 0), expected (10, 1), 3.bias has shape (9,), expected (10,)"
    )
    assert type(net[0]) is nn.LazyConv2d and type(net[3]) is nn.LazyLinear
    net(images(2, 4, 5, 5))


def test_what_a_partial_state_leaves_open_is_drawn():
    layer = nn.LazyLinear(3)
    layer.load_state_dict({"bias": np.ones(3)}, strict=False)
    assert type(layer) is nn.LazyLinear and layer.bias.tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(ValueError, match=r"unfit: bias has shape \(2,\), expected \(3,\)"):
        layer.load_state_dict({"weight": np.ones((3, 4)), "bias": np.ones(2)})
    layer(images(2, 4))
    assert layer.bias.tolist() == [1.0, 1.0, 1.0] and np.abs(layer.weight.numpy()).max() > 0
    layer = nn.LazyLinear(3)
    layer.load_state_dict({"weight": np.ones((3, 4))}, strict=False)
    assert type(layer) is nn.Linear and 0 < np.abs(layer.bias.numpy()).max() <= 0.5


def test_lazy_layers_are_copied_and_pickled_before_the_first_batch():
    for net in (copy.deepcopy(lazy_net()), pickle.loads(pickle.dumps(lazy_net()))):
        assert type(net[0]) is nn.LazyConv2d
        assert net(images(2, 4, 5, 5)).shape == (2, 10)


def test_reading_an_uninitialized_parameter_says_what_to_do():
    net = lazy_net()
    for read in (
        lambda: net[3].weight.shape,
        lambda: net[3].weight + 1.0,
        lambda: net[3].reset_parameters(),
        lambda: nn.init.zeros_(net[3].weight),
        lambda: sum(p.size for p in net.parameters()),
    ):
        with pytest.raises(RuntimeError, match="this parameter has no shape yet: run one batch through the network"):
            read()
    assert repr(net[3].weight) == "UninitializedParameter()"


def test_a_state_that_is_not_there_yet_is_refused_with_the_names_of_what_waits():
    net = nn.Sequential(nn.Linear(2, 2), nn.LazyLinear(3))
    with pytest.raises(
        RuntimeError, match=r"^state_dict: 1\.weight, 1\.bias: this parameter has no shape yet: run one"
    ):
        net.state_dict()


@pytest.mark.parametrize("pass_on", [lambda net: net, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_lazy_layer_is_moved_before_the_first_batch(pass_on):
    net = pass_on(lazy_net().to("float64").to("numpy"))
    x = Tensor(images(2, 4, 5, 5).numpy().astype(np.float64), backend="numpy")
    assert all(isinstance(p, nn.UninitializedParameter) for p in net.parameters())
    assert net(x).dtype == np.float64
    assert [(p.dtype.name, p.backend.name) for p in net.parameters()] == [("float64", "numpy")] * 4


def test_a_lazy_layer_that_was_moved_takes_a_state_in_its_new_dtype():
    layer = nn.LazyLinear(2).to("float64")
    layer.load_state_dict(nn.Linear(3, 2).state_dict())
    assert type(layer) is nn.Linear and layer.weight.dtype == layer.bias.dtype == np.float64


def test_a_lazy_layer_draws_the_same_values_in_both_dtypes():
    weights = []
    for dtype in ("float32", "float64"):
        manual_seed(0)
        layer = nn.LazyLinear(3).to(dtype)
        layer(images(2, 4).to(dtype))
        weights.append(layer.weight.numpy())
    np.testing.assert_allclose(*weights, rtol=1e-6)


def test_a_first_batch_that_a_lazy_layer_cannot_take_leaves_it_lazy():
    conv = nn.LazyConv2d(6, 3, groups=2)
    with pytest.raises(ValueError, match=r"LazyConv2d: expected input \(N, C, H, W\), got shape \(4, 5\)"):
        conv(images(4, 5))
    with pytest.raises(ValueError, match="LazyConv2d: 3 input channels do not divide into 2 groups"):
        conv(images(2, 3, 5, 5))
    linear = nn.LazyLinear(3)
    with pytest.raises(ValueError, match=r"LazyLinear: expected input \(\.\.\., in_features\), got a 0-d tensor"):
        linear(Tensor(1.0))
    assert type(conv) is nn.LazyConv2d and type(linear) is nn.LazyLinear
    assert conv.in_channels == linear.in_features == 0
    assert conv(images(2, 4, 5, 5)).shape == (2, 6, 3, 3)


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.booleans())
def test_a_lazy_convolution_equals_the_ordinary_one_with_its_weights(out, channels, height, width, bias):
    lazy, x = nn.LazyConv2d(out, (height, width), bias=bias), images(2, channels, 4, 5)
    y = lazy(x)
    plain = nn.Conv2d(channels, out, (height, width), bias=bias)
    plain.load_state_dict(lazy.state_dict())
    np.testing.assert_array_equal(plain(x).numpy(), y.numpy())
