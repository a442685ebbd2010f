"""The layers: names and shapes of their state, how they start, what they compute, how they are shown, misuse."""

from __future__ import annotations

import math
from collections import OrderedDict

import numpy as np
import pytest

from minigrad import nn
from minigrad.nn import functional as F
from minigrad.random import default_generator, manual_seed
from minigrad.tensor import Tensor


def images(*shape: int) -> Tensor:
    return Tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def lenet5() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10)),
    )


def test_lenet5_has_the_names_shapes_and_number_of_parameters_that_it_has_in_pytorch():
    net = lenet5()
    assert {name: tensor.shape for name, tensor in net.state_dict().items()} == {
        "0.weight": (6, 1, 5, 5),
        "0.bias": (6,),
        "3.weight": (16, 6, 5, 5),
        "3.bias": (16,),
        "7.weight": (120, 400),
        "7.bias": (120,),
        "9.weight": (84, 120),
        "9.bias": (84,),
        "11.weight": (10, 84),
        "11.bias": (10,),
    }
    assert sum(p.size for p in net.parameters()) == 61_706


def test_lenet5_gives_logits_and_a_gradient_for_every_parameter(on_backend):
    net = lenet5()
    logits = net(images(4, 1, 28, 28))
    assert logits.shape == (4, 10) and logits.backend.name == on_backend
    nn.CrossEntropyLoss()(logits, Tensor([1, 2, 3, 4])).backward()
    for parameter in net.parameters():
        assert parameter.grad.shape == parameter.shape and np.abs(parameter.grad.numpy()).max() > 0


def test_other_layers_have_the_state_that_they_have_in_pytorch():
    def shapes(module):
        return {name: (tensor.shape, str(tensor.dtype)) for name, tensor in module.state_dict().items()}

    assert shapes(nn.Conv2d(4, 6, (3, 2), groups=2, bias=False)) == {"weight": ((6, 2, 3, 2), "float32")}
    assert shapes(nn.BatchNorm2d(3)) == {
        "weight": ((3,), "float32"),
        "bias": ((3,), "float32"),
        "running_mean": ((3,), "float32"),
        "running_var": ((3,), "float32"),
        "num_batches_tracked": ((), "int64"),
    }
    assert list(shapes(nn.BatchNorm2d(3, affine=False))) == ["running_mean", "running_var", "num_batches_tracked"]


# -- how layers start --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "fan_in"),
    [
        (lambda: nn.Linear(400, 300), 400),
        (lambda: nn.Conv2d(8, 200, (5, 3)), 120),
        (lambda: nn.Conv2d(8, 200, (5, 3), groups=4), 30),
    ],
)
def test_weights_and_biases_start_uniform_within_one_over_the_root_of_fan_in(layer, fan_in):
    manual_seed(0)
    layer = layer()
    bound = 1 / math.sqrt(fan_in)
    for parameter in (layer.weight, layer.bias):
        values = parameter.numpy().ravel()
        assert np.abs(values).max() <= bound
        assert np.abs(values).max() > 0.95 * bound
        assert abs(values.mean()) < 4 * bound / math.sqrt(3 * values.size)
        assert abs(values.var() - bound**2 / 3) < bound**2 / math.sqrt(values.size)


def test_a_seed_gives_the_same_weights_on_every_backend(on_backend):
    manual_seed(3)
    drawn = default_generator().uniform(-0.5, 0.5, (2, 4)).astype(np.float32)
    manual_seed(3)
    layer = nn.Linear(4, 2)
    np.testing.assert_array_equal(layer.weight.numpy(), drawn)
    assert layer.weight.backend.name == on_backend


def test_reset_parameters_draws_again():
    layer = nn.Linear(4, 2)
    before = layer.state_dict()
    layer.reset_parameters()
    assert layer.weight.tolist() != before["weight"].tolist() and layer.bias.tolist() != before["bias"].tolist()


# -- what layers compute -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (nn.Sigmoid(), F.sigmoid),
        (nn.Tanh(), F.tanh),
        (nn.ReLU(), F.relu),
        (nn.LeakyReLU(0.25), lambda x: F.leaky_relu(x, 0.25)),
        (nn.Softplus(), F.softplus),
        (nn.Softmax(), F.softmax),
        (nn.Softmax(1), lambda x: F.softmax(x, 1)),
        (nn.AvgPool2d((2, 3)), lambda x: F.avg_pool2d(x, (2, 3))),
        (nn.AvgPool2d(3, 2, 1, count_include_pad=False), lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)),
        (nn.MaxPool2d(2), lambda x: F.max_pool2d(x, 2)),
        (nn.MaxPool2d((3, 2), 1, (1, 0)), lambda x: F.max_pool2d(x, (3, 2), 1, (1, 0))),
        (nn.Flatten(), lambda x: x.reshape(2, 4 * 6 * 7)),
        (nn.Flatten(0, 1), lambda x: x.reshape(8, 6, 7)),
        (nn.Identity(), lambda x: x),
        (nn.Dropout(0.5).eval(), lambda x: x),
    ],
    ids=lambda value: repr(value) if isinstance(value, nn.Module) else "",
)
def test_a_layer_computes_its_function(layer, function):
    x = images(2, 4, 6, 7)
    np.testing.assert_array_equal(layer(x).numpy(), function(x).numpy())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": (2, 1), "padding": 1, "dilation": (1, 2)},
        {"padding": "same", "groups": 2},
        {"padding": "valid", "bias": False},
    ],
)
def test_conv2d_passes_its_options_on(options):
    layer, x = nn.Conv2d(4, 6, (3, 2), **options), images(2, 4, 6, 7)
    options = {name: value for name, value in options.items() if name != "bias"}
    np.testing.assert_array_equal(layer(x).numpy(), F.conv2d(x, layer.weight, layer.bias, **options).numpy())


def test_linear_works_on_the_last_axis():
    layer, x = nn.Linear(4, 3), images(2, 5, 4)
    product = x.numpy() @ layer.weight.numpy().T
    np.testing.assert_allclose(layer(x).numpy(), product + layer.bias.numpy(), rtol=1e-5, atol=1e-6)
    layer.bias = None
    np.testing.assert_allclose(layer(x).numpy(), product, rtol=1e-5, atol=1e-6)


def test_losses_reduce_as_they_were_told():
    logits, labels = images(3, 4), Tensor([0, 3, 1])
    each = F.cross_entropy(logits, labels, "none").numpy()
    np.testing.assert_allclose(nn.CrossEntropyLoss()(logits, labels).item(), each.mean(), rtol=1e-6)
    np.testing.assert_allclose(nn.CrossEntropyLoss(reduction="sum")(logits, labels).item(), each.sum(), rtol=1e-6)
    np.testing.assert_array_equal(nn.CrossEntropyLoss(reduction="none")(logits, labels).numpy(), each)
    errors = (logits.numpy() - 1.0) ** 2
    ones = Tensor(np.ones((3, 4), np.float32))
    np.testing.assert_allclose(nn.MSELoss()(logits, ones).item(), errors.mean(), rtol=1e-6)
    np.testing.assert_allclose(nn.MSELoss(reduction="none")(logits, ones).numpy(), errors, rtol=1e-6)


def test_dropout_drops_in_training_only():
    manual_seed(0)
    layer, x = nn.Dropout(0.25), Tensor(np.ones(10_000, np.float32))
    y = layer(x).numpy()
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.02
    assert layer.eval()(x) is x


def test_batch_norm_normalises_by_the_batch_in_training_and_by_the_running_values_in_evaluation():
    layer, x = nn.BatchNorm2d(2, eps=0.0, momentum=0.5), images(3, 2, 4, 5)
    nn.init.constant_(layer.weight, 2.0)
    nn.init.constant_(layer.bias, 1.0)
    mean = x.numpy().mean((0, 2, 3))
    unbiased = x.numpy().var((0, 2, 3), ddof=1)
    y = layer(x).numpy()
    np.testing.assert_allclose(y.mean((0, 2, 3)), [1, 1], atol=1e-6)
    np.testing.assert_allclose(y.std((0, 2, 3)), [2, 2], rtol=1e-5)
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.5 * mean, rtol=1e-5)
    np.testing.assert_allclose(layer.running_var.numpy(), 0.5 + 0.5 * unbiased, rtol=1e-5)
    assert layer.num_batches_tracked.item() == 1 and layer.num_batches_tracked.shape == ()

    state = layer.eval().state_dict()
    per_channel = [array.numpy().reshape(1, 2, 1, 1) for array in (layer.running_mean, layer.running_var)]
    expected = (x.numpy() - per_channel[0]) / np.sqrt(per_channel[1]) * 2 + 1
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-4, atol=1e-5)
    assert all(state[name].tolist() == tensor.tolist() for name, tensor in layer.state_dict().items())


def test_the_state_of_a_batch_norm_is_a_snapshot_while_it_goes_on_training():
    layer = nn.BatchNorm2d(2)
    state = layer.state_dict()
    layer(images(3, 2, 4, 5))
    assert state["running_mean"].tolist() == [0.0, 0.0] and state["num_batches_tracked"].item() == 0
    assert layer.running_mean.tolist() != [0.0, 0.0] and layer.num_batches_tracked.item() == 1


# -- containers --------------------------------------------------------------------------------------------------------


def test_sequential_is_indexed_sliced_counted_and_iterated():
    layers = [nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)]
    net = nn.Sequential(*layers)
    assert len(net) == 3 and list(net) == layers
    assert net[0] is layers[0] and net[-1] is layers[2] and net[np.int64(1)] is layers[1]
    assert isinstance(net[1:], nn.Sequential) and list(net[1:]) == layers[1:] and list(net[::-2]) == layers[::-2]
    assert list(net[1:].state_dict()) == ["2.weight", "2.bias"]
    x = images(5, 4)
    np.testing.assert_array_equal(net(x).numpy(), net[2](net[:2](x)).numpy())


def test_a_module_of_a_sequential_is_replaced_by_index():
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    net[-1] = nn.Tanh()
    assert [type(layer) for layer in net] == [nn.Linear, nn.Tanh]
    assert [name for name, _ in net.named_children()] == ["0", "1"]


def test_append_finds_a_free_number_after_slicing():
    net = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid())[1:]
    assert net.append(nn.Identity()) is net
    assert [name for name, _ in net.named_children()] == ["1", "2", "3"]


def test_sequential_takes_names_from_a_dict():
    net = nn.Sequential(OrderedDict(hidden=nn.Linear(4, 3), act=nn.ReLU()))
    assert list(net.state_dict()) == ["hidden.weight", "hidden.bias"] and net[0] is net.hidden
    assert net(images(2, 4)).shape == (2, 3)


def test_an_empty_sequential_hands_on_its_input():
    assert nn.Sequential()("x") == "x"


def test_the_parameters_of_a_module_list_are_found():
    layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    layers.append(nn.ReLU())
    assert len(layers) == 4 and len(list(layers.parameters())) == 6
    assert isinstance(layers[1:], nn.ModuleList) and next(iter(layers[1:])) is layers[1]
    with pytest.raises(NotImplementedError, match="ModuleList: define forward"):
        layers(1)


def test_wrong_contents_and_indices_of_a_sequential_say_what_to_write():
    with pytest.raises(TypeError, match=r"got one list; write Sequential\(\*modules\)"):
        nn.Sequential([nn.ReLU(), nn.Tanh()])
    with pytest.raises(TypeError, match=r"Sequential: '1' must be a Module, got the class ReLU; write ReLU\(\.\.\.\)"):
        nn.Sequential(nn.Linear(2, 2), nn.ReLU)
    with pytest.raises(TypeError, match="Sequential: '0' must be a Module, got a function"):
        nn.Sequential(F.relu)
    with pytest.raises(ValueError, match="add_module: Sequential already has an attribute 'append'"):
        nn.Sequential({"append": nn.ReLU()})
    net = nn.Sequential(nn.ReLU())
    with pytest.raises(IndexError, match="Sequential: index 1 is out of range for 1 modules"):
        net[1]
    with pytest.raises(TypeError, match="Sequential: an index must be an integer, or a slice to read, got 'act'"):
        net["act"]
    with pytest.raises(TypeError, match="Sequential: '0' must be a Module, got a int"):
        net[0] = 1


# -- how layers are shown ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "shown"),
    [
        (nn.Conv2d(1, 6, 5), "Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))"),
        (
            nn.Conv2d(4, 6, 5, 1, "same", (1, 2), 2, False),
            "Conv2d(4, 6, kernel_size=(5, 5), stride=(1, 1), padding=same, dilation=(1, 2), groups=2, bias=False)",
        ),
        (nn.Linear(2, 3, bias=False), "Linear(in_features=2, out_features=3, bias=False)"),
        (nn.MaxPool2d((2, 3), 1, 1), "MaxPool2d(kernel_size=(2, 3), stride=1, padding=1)"),
        (nn.LeakyReLU(), "LeakyReLU(negative_slope=0.01)"),
        (nn.Softmax(), "Softmax(axis=-1)"),
        (nn.Dropout(), "Dropout(p=0.5)"),
        (nn.BatchNorm2d(6), "BatchNorm2d(6, eps=1e-05, momentum=0.1, affine=True)"),
        (nn.CrossEntropyLoss(), "CrossEntropyLoss()"),
    ],
)
def test_a_layer_is_shown_with_its_arguments(layer, shown):
    assert repr(layer) == shown


# -- wrong arguments ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Linear(2.0, 3), TypeError, "Linear: in_features must be an integer, got 2.0"),
        (lambda: nn.Linear(2, True), TypeError, "Linear: out_features must be an integer, got True"),
        (lambda: nn.Linear(2, 0), ValueError, "Linear: out_features must be at least 1, got 0"),
        (lambda: nn.LazyLinear("10"), TypeError, "LazyLinear: out_features must be an integer, got '10'"),
        (lambda: nn.Conv2d(0, 6, 5), ValueError, "Conv2d: in_channels must be at least 1, got 0"),
        (lambda: nn.Conv2d(1, -6, 5), ValueError, "Conv2d: out_channels must be at least 1, got -6"),
        (lambda: nn.Conv2d(1, 6, 0), ValueError, r"Conv2d: kernel_size must be an integer from 1, or a pair .* got 0"),
        (lambda: nn.Conv2d(1, 6, (5, 5, 5)), ValueError, r"Conv2d: kernel_size .* got \(5, 5, 5\)"),
        (lambda: nn.Conv2d(1, 6, 5, stride=0), ValueError, "Conv2d: stride must be an integer from 1"),
        (lambda: nn.Conv2d(1, 6, 5, padding=-1), ValueError, "Conv2d: padding must be an integer from 0"),
        (
            lambda: nn.Conv2d(1, 6, 5, padding="full"),
            ValueError,
            "Conv2d: padding must be 'same', 'valid', an integer or a pair, got",
        ),
        (lambda: nn.Conv2d(1, 6, 5, 2, "same"), ValueError, "Conv2d: padding 'same' needs stride 1, got .2, 2."),
        (lambda: nn.Conv2d(1, 6, 5, dilation=0), ValueError, "Conv2d: dilation must be an integer from 1"),
        (lambda: nn.Conv2d(3, 6, 5, groups=2), ValueError, "Conv2d: 3 input channels do not divide into 2 groups"),
        (lambda: nn.Conv2d(4, 3, 5, groups=2), ValueError, "Conv2d: 3 output channels do not divide into 2 groups"),
        (lambda: nn.Conv2d(4, 3, 5, groups=1.0), TypeError, "Conv2d: groups must be an integer, got 1.0"),
        (lambda: nn.AvgPool2d(0), ValueError, "AvgPool2d: kernel_size must be an integer from 1"),
        (lambda: nn.AvgPool2d(2, 0), ValueError, "AvgPool2d: stride must be an integer from 1"),
        (lambda: nn.MaxPool2d(2, 2, -1), ValueError, "MaxPool2d: padding must be an integer from 0"),
        (
            lambda: nn.MaxPool2d(3, 2, (1, 2)),
            ValueError,
            r"MaxPool2d: padding .1, 2. is more than half the window .3, 3.",
        ),
        (lambda: nn.Dropout(1.5), ValueError, r"Dropout: the probability p must lie in \[0, 1\], got 1.5"),
        (lambda: nn.BatchNorm2d(0), ValueError, "BatchNorm2d: num_features must be at least 1, got 0"),
        (lambda: nn.BatchNorm2d(2, eps=-1.0), ValueError, "BatchNorm2d: eps must be 0 or more, got -1.0"),
        (lambda: nn.BatchNorm2d(2, momentum=2.0), ValueError, r"BatchNorm2d: momentum must lie in \[0, 1\], got 2.0"),
        (
            lambda: nn.CrossEntropyLoss(reduction="avg"),
            ValueError,
            "CrossEntropyLoss: reduction must be 'mean', 'sum' or 'no",
        ),
        (
            lambda: nn.MSELoss(reduction="avg"),
            ValueError,
            "MSELoss: reduction must be 'mean', 'sum' or 'none', got",
        ),
    ],
)
def test_a_wrong_argument_is_named_when_the_layer_is_made(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_batch_of_other_channels_is_refused_by_the_layer():
    with pytest.raises(ValueError, match=r"BatchNorm2d: expected input \(N, 2, H, W\), got shape \(3, 4, 5, 5\)"):
        nn.BatchNorm2d(2)(images(3, 4, 5, 5))
    with pytest.raises(ValueError, match=r"BatchNorm2d: expected input \(N, 2, H, W\), got shape \(3, 2\)"):
        nn.BatchNorm2d(2)(images(3, 2))
    with pytest.raises(ValueError, match=r"conv2d: input has 3 channels but weight \(6, 1, 5, 5\) expects 1"):
        nn.Conv2d(1, 6, 5)(images(2, 3, 8, 8))
    with pytest.raises(ValueError, match=r"linear: input \(2, 5\) has 5 features but weight \(3, 4\) expects 4"):
        nn.Linear(4, 3)(images(2, 5))
