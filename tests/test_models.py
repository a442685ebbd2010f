"""LeNet-5 layer by layer, and summaries that leave what they look at as it was."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, nn
from minigrad.models import evaluation_mode, lenet5, summary
from minigrad.random import default_generator

SHAPES = {
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


# -- LeNet-5 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variant", "activation", "pool"), [("book", "Sigmoid", "AvgPool2d"), ("modern", "ReLU", "MaxPool2d")]
)
def test_lenet5_has_the_books_layers(variant, activation, pool):
    model = lenet5(variant)
    kinds = [type(layer).__name__ for layer in model]
    convolution, linear = ["Conv2d", activation, pool], ["Linear", activation]
    assert kinds == [*convolution, *convolution, "Flatten", *linear, *linear, "Linear"]
    assert {name: tensor.shape for name, tensor in model.state_dict().items()} == SHAPES
    assert sum(parameter.size for parameter in model.parameters()) == 61_706
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("variant", ["book", "modern"])
def test_lenet5_gives_each_image_ten_logits_and_every_parameter_a_gradient(variant):
    model = lenet5(variant)
    images = np.random.default_rng(0).random((3, 1, 28, 28), np.float32)
    logits = model(Tensor(images))
    assert logits.shape == (3, 10) and logits.dtype == np.float32
    minigrad.cross_entropy(logits, Tensor([1, 2, 3])).backward()
    assert all(parameter.grad is not None and (parameter.grad.numpy() != 0).any() for parameter in model.parameters())


def test_lenet5_computes_what_its_layers_say():
    """The book's variant against loops over windows, for one image."""
    model = lenet5()
    weights = {name: tensor.numpy().astype(np.float64) for name, tensor in model.state_dict().items()}
    image = np.random.default_rng(0).random((1, 28, 28))

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def convolution(x, weight, bias):
        O, _, KH, KW = weight.shape
        OH, OW = x.shape[1] - KH + 1, x.shape[2] - KW + 1
        y = np.empty((O, OH, OW))
        for i in range(OH):
            for j in range(OW):
                y[:, i, j] = np.tensordot(weight, x[:, i : i + KH, j : j + KW], 3) + bias
        return y

    def halve(x):
        return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4

    x = np.pad(image, [(0, 0), (2, 2), (2, 2)])
    for layer in ("0", "3"):
        x = halve(sigmoid(convolution(x, weights[f"{layer}.weight"], weights[f"{layer}.bias"])))
    x = x.reshape(400)
    for layer in ("7", "9", "11"):
        x = weights[f"{layer}.weight"] @ x + weights[f"{layer}.bias"]
        x = sigmoid(x) if layer != "11" else x
    np.testing.assert_allclose(model(Tensor(image[None].astype(np.float32))).numpy()[0], x, rtol=1e-4, atol=1e-5)


def test_weights_begin_xavier_uniform_and_biases_as_the_layers_draw_them():
    minigrad.manual_seed(0)
    for name, tensor in lenet5().state_dict().items():
        values = tensor.numpy()
        shape = SHAPES[name.replace("bias", "weight")]
        receptive = int(np.prod(shape[2:]))
        fan_in, fan_out = shape[1] * receptive, shape[0] * receptive
        bound = (6 / (fan_in + fan_out)) ** 0.5 if name.endswith("weight") else fan_in**-0.5
        assert np.abs(values).max() <= bound
        assert np.abs(values).max() > 0.7 * bound and abs(values.mean()) < 0.6 * bound


def test_the_seed_decides_the_weights_and_the_variant_does_not():
    def weights(seed, variant):
        minigrad.manual_seed(seed)
        return np.concatenate([tensor.numpy().ravel() for tensor in lenet5(variant).state_dict().values()])

    np.testing.assert_array_equal(weights(3, "book"), weights(3, "book"))
    np.testing.assert_array_equal(weights(3, "book"), weights(3, "modern"))
    assert (weights(3, "book") != weights(4, "book")).all()


# -- summary -------------------------------------------------------------------------------------------------------


def test_the_summary_of_lenet5_is_the_table_in_the_book():
    table = summary(lenet5(), (1, 1, 28, 28))
    assert table.parameters == 61_706
    assert [(layer.name, layer.output_shape, layer.parameters) for layer in table.layers if layer.parameters] == [
        ("0", (1, 6, 28, 28), 156),
        ("3", (1, 16, 10, 10), 2_416),
        ("7", (1, 120), 48_120),
        ("9", (1, 84), 10_164),
        ("11", (1, 10), 850),
    ]
    lines = str(table).splitlines()
    assert lines[0].split() == ["layer", "kind", "output", "shape", "parameters"]
    assert lines[4] == "2      AvgPool2d  (1, 6, 14, 14)            0"
    assert lines[-1].split() == ["total", "61,706"]
    assert len({len(line) for line in lines}) == 1 and len(lines[0]) < 80


def test_a_summary_leaves_model_and_generator_as_they_were():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5), nn.Flatten(), nn.Linear(72, 3))
    model[2].eval()
    calls = []
    model[0].register_forward_hook(lambda module, args, output: calls.append(module))
    modes = [module.training for module in model.modules()]
    before, state = copy.deepcopy(model.state_dict()), default_generator().bit_generator.state
    parameters = list(model.parameters())

    summary(model, (4, 1, 8, 8))
    assert default_generator().bit_generator.state == state
    assert [module.training for module in model.modules()] == modes
    assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True))
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name].numpy())
    calls.clear()
    model(minigrad.zeros(2, 1, 8, 8))
    assert calls == [model[0]]  # only the user's own hook, on the user's own module


def test_a_lazy_model_can_be_summarised_and_stays_lazy():
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(10))
    state = default_generator().bit_generator.state
    assert summary(model, (1, 2, 8, 8)).parameters == 4 * 2 * 9 + 4 + 144 * 10 + 10
    assert default_generator().bit_generator.state == state
    assert type(model[0]) is nn.LazyConv2d and isinstance(model[2].weight, nn.UninitializedParameter)
    assert summary(model, (1, 1, 8, 8)).parameters == 4 * 9 + 4 + 144 * 10 + 10


def test_nested_models_are_listed_leaf_by_leaf_with_dotted_names():
    model = nn.Sequential(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), nn.ReLU())
    assert [layer[:3] for layer in summary(model, (2, 2, 2)).layers] == [
        ("0.0", "Flatten", (2, 4)),
        ("0.1", "Linear", (2, 3)),
        ("1", "ReLU", (2, 3)),
    ]


def test_parameters_beside_submodules_and_shared_ones_count_once():
    class Scaled(nn.Module):
        def __init__(self):
            self.scale = nn.Parameter([2.0])
            self.linear = nn.Linear(3, 3)

        def forward(self, x):
            return self.linear(self.linear(x)) * self.scale

    table = summary(Scaled(), (5, 3))
    assert [(layer.name, layer.parameters) for layer in table.layers] == [("linear", 12), ("linear", 0), ("Scaled", 1)]
    assert table.parameters == 13


def test_a_summary_takes_the_models_dtype_and_backend():
    model = nn.Sequential(nn.Linear(3, 2)).to("float64").to("numpy")
    seen = []
    model.register_forward_hook(lambda module, args, output: seen.append((output.dtype, output.backend.name)))
    with minigrad.use_backend("numba"):
        summary(model, (1, 3))
    assert seen == [(np.float64, "numpy")]


def test_a_model_without_parameters_or_with_other_outputs_has_a_summary_too():
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    table = summary(Pair(), (1, 3))
    assert table.layers == (("Pair", "Pair", None, 0),) and "-" in str(table).splitlines()[2]


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (lenet5(), (1, 3, 28, 28), "conv2d: .*3 channels"),
        (nn.Sequential(nn.LazyLinear(3), nn.Linear(4, 1)), (1, 2), "linear"),
    ],
)
def test_an_input_shape_that_does_not_fit_is_the_models_own_error(model, shape, message):
    state = default_generator().bit_generator.state
    with pytest.raises(ValueError, match=message):
        summary(model, shape)
    assert default_generator().bit_generator.state == state


# -- evaluation mode -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_evaluation_mode_gives_each_module_its_own_mode_back(error):
    model = nn.Sequential(nn.Dropout(0.5), nn.Sequential(nn.BatchNorm2d(1)))
    model[1].eval()
    modes = [module.training for module in model.modules()]
    assert True in modes and False in modes
    try:
        with evaluation_mode(model):
            assert not any(module.training for module in model.modules())
            if error:
                raise error
    except KeyboardInterrupt:
        pass
    assert [module.training for module in model.modules()] == modes
