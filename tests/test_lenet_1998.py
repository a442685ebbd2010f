"""LeNet-5 as published: the paper's numbers, each layer against loops, gradients, and the example that trains it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, gradcheck, gradcheck_module, optim
from minigrad.lenet1998 import (
    C3_INPUTS,
    EuclideanRBF,
    Retina,
    SparseConv2d,
    Squash,
    Subsampling,
    bitmap_codes,
    lenet1998,
    map_loss,
)
from minigrad.models import summary

EXAMPLE = Path(__file__).parent.parent / "examples" / "lenet_1998.py"
PARAMETERS = {"C1": 156, "S2": 12, "C3": 1_516, "S4": 32, "C5": 48_120, "F6": 10_164}
SHAPES = {
    "input": (1, 32, 32),
    "C1": (6, 28, 28),
    "S2": (6, 14, 14),
    "C3": (16, 10, 10),
    "S4": (16, 5, 5),
    "C5": (120, 1, 1),
    "F6": (84,),
    "output": (10,),
}
TABLE_1 = """
X . . . X X X . . X X X X . X X
X X . . . X X X . . X X X X . X
X X X . . . X X X . . X . X X X
. X X X . . X X X X . . X . X X
. . X X X . . X X X X . X X . X
. . . X X X . . X X X X . X X X
"""  # the paper's: a row an input map, a column an output map


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


# -- the network ---------------------------------------------------------------------------------------------------


def test_each_layer_has_the_papers_shape_and_number_of_trained_parameters():
    table = summary(lenet1998(), (2, 1, 28, 28))
    assert {layer.name: layer.parameters for layer in table.layers if layer.parameters} == PARAMETERS
    assert table.parameters == sum(PARAMETERS.values()) == 60_000
    shapes = {layer.name: layer.output_shape for layer in table.layers}
    assert {name: shapes[name] for name in SHAPES} == {name: (2, *shape) for name, shape in SHAPES.items()}


def test_every_parameter_is_trained_and_gets_a_gradient(on_backend):
    model = lenet1998()
    loss = map_loss(model(Tensor(np.random.default_rng(0).random((4, 1, 28, 28), np.float32))), Tensor([3, 1, 4, 1]))
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad and (parameter.grad.numpy() != 0).all(), name


def test_weights_are_drawn_from_the_papers_range():
    """U(-2.4 / F, 2.4 / F): the largest of many values comes close to the bound, and none beyond it."""
    minigrad.manual_seed(0)
    model = lenet1998()
    for layer, fan_in in ((model.C1, 25), (model.S2, 4), (model.S4, 4), (model.C5, 400), (model.F6, 120)):
        for values in map(Tensor.numpy, layer.parameters()):
            bound = 2.4 / fan_in
            assert np.abs(values).max() <= bound * (1 + 1e-6)
            assert values.size < 50 or np.abs(values).max() > 0.95 * bound
    start = 0
    for bias, inputs in zip(model.C3.bias.numpy(), C3_INPUTS, strict=True):
        kernels = model.C3.weight.numpy()[start : start + len(inputs)]
        bound, start = 2.4 / (25 * len(inputs)), start + len(inputs)
        assert 0.9 * bound < np.abs(kernels).max() <= bound * (1 + 1e-6) and abs(bias) <= bound * (1 + 1e-6)


def test_a_seed_gives_the_same_network_again():
    def drawn(seed):
        minigrad.manual_seed(seed)
        return np.concatenate([parameter.numpy().ravel() for parameter in lenet1998().parameters()])

    np.testing.assert_array_equal(drawn(5), drawn(5))
    assert (drawn(5) != drawn(6)).mean() > 0.99


def test_training_steps_lower_the_loss_and_leave_codes_and_connections_as_they_are(on_backend):
    minigrad.manual_seed(0)
    model = lenet1998()
    fixed = {name: buffer.numpy() for name, buffer in model.named_buffers()}
    assert set(fixed) == {"C3.connected", "output.codes"}
    images = Tensor(np.random.default_rng(0).random((10, 1, 28, 28), np.float32))
    sgd = optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-3)
    losses = []
    for _ in range(40):
        loss = map_loss(model(images), Tensor(np.arange(10)))
        losses.append(loss.item())
        sgd.zero_grad()
        loss.backward()
        sgd.step()
    assert losses[-1] < 0.7 * losses[0]
    assert all((buffer.numpy() == fixed[name]).all() for name, buffer in model.named_buffers())
    connected, weight = fixed["C3.connected"], model.C3.dense_weight().numpy()
    assert (weight[~connected] == 0).all() and (weight[connected] != 0).all()


# -- its layers ----------------------------------------------------------------------------------------------------


def test_c3_has_the_connections_of_table_1():
    expected = np.array([[mark == "X" for mark in line.split()] for line in TABLE_1.split("\n") if line]).T
    np.testing.assert_array_equal(lenet1998().C3.connected.numpy(), expected)
    assert expected.shape == (16, 6) and expected.sum() == 60
    contiguous = [{(start + i) % 6 for i in range(n)} for n in (3, 4) for start in range(6)]
    assert [set(inputs) for inputs in C3_INPUTS[:12]] == contiguous
    assert [len(inputs) for inputs in C3_INPUTS[12:]] == [4, 4, 4, 6]
    assert not any(set(inputs) in contiguous for inputs in C3_INPUTS[12:])


def test_a_sparse_convolution_sums_over_its_connections_alone(on_backend):
    inputs = [(2, 0), (1,), (0, 1, 2)]
    layer = SparseConv2d(inputs, kernel_size=3).to("float64")
    x = draw(2, 3, 5, 6)
    expected = np.zeros((2, 3, 3, 4))
    kernels = iter(layer.weight.numpy())
    for o, maps in enumerate(inputs):
        expected[:, o] = layer.bias.numpy()[o]
        for c in sorted(maps):
            kernel = next(kernels)
            for p, q in np.ndindex(3, 4):
                expected[:, o, p, q] += (x[:, c, p : p + 3, q : q + 3] * kernel).sum(axis=(1, 2))
    np.testing.assert_allclose(layer(Tensor(x)).numpy(), expected, rtol=1e-12)


def test_subsampling_sums_scales_and_shifts_each_map(on_backend):
    layer = Subsampling(3).to("float64")
    x = draw(2, 3, 4, 6)
    expected = np.zeros((2, 3, 2, 3))
    for n, c, p, q in np.ndindex(expected.shape):
        total = x[n, c, 2 * p : 2 * p + 2, 2 * q : 2 * q + 2].sum()
        expected[n, c, p, q] = layer.coefficient.numpy()[c] * total + layer.bias.numpy()[c]
    np.testing.assert_allclose(layer(Tensor(x)).numpy(), expected, rtol=1e-12)


def test_the_squashing_function_is_one_at_one_where_its_curvature_is_greatest():
    x = np.linspace(-4, 4, 8001)
    y = Squash()(Tensor(x)).numpy()
    np.testing.assert_allclose(y, 1.7159 * np.tanh(2 * x / 3), rtol=1e-12)
    np.testing.assert_allclose(y[[3000, 5000]], [-1, 1], atol=1e-4)
    assert abs(x[np.abs(np.gradient(np.gradient(y))).argmax()]) == pytest.approx(1, abs=0.02)


def test_the_retina_pads_with_background():
    image = np.random.default_rng(0).random((2, 1, 28, 28), np.float32)
    y = Retina()(Tensor(image)).numpy()
    np.testing.assert_allclose(y[:, :, 2:30, 2:30], image * 1.275 - 0.1, rtol=1e-5)
    assert (y[:, :, :2] == np.float32(-0.1)).all() and (y[:, :, :, 30:] == np.float32(-0.1)).all()


def test_the_codes_are_bitmaps_that_differ():
    codes = bitmap_codes()
    assert codes.shape == (10, 84) and set(codes.ravel()) == {-1.0, 1.0}
    different = (codes[:, None] != codes).sum(axis=2)
    assert different[~np.eye(10, dtype=bool)].min() >= 11


def test_rbf_scores_are_negative_squared_distances(on_backend):
    codes, x = draw(3, 5), draw(4, 5, seed=1)
    expected = [[-sum((a - b) ** 2 for a, b in zip(row, code, strict=True)) for code in codes] for row in x]
    np.testing.assert_allclose(EuclideanRBF(codes)(Tensor(x)).numpy(), expected, rtol=1e-12)


# -- gradients and the loss ----------------------------------------------------------------------------------------


def test_gradients_of_the_layers_are_right(on_backend):
    def loss(outputs, weights):
        return (outputs * weights).sum()

    gradcheck_module(SparseConv2d([(0, 2), (1,), (0, 1, 2)], 3), loss, (draw(2, 3, 4, 5), draw(2, 3, 2, 3, seed=1)))
    gradcheck_module(Subsampling(3), loss, (draw(2, 3, 4, 6), draw(2, 3, 2, 3, seed=1)))
    gradcheck(Squash(), draw(3, 4))
    gradcheck(EuclideanRBF(draw(3, 5)), draw(4, 5, seed=1), order=2)
    gradcheck(Retina(), draw(1, 1, 28, 28), max_elements=20)


def test_gradients_of_the_loss_are_right(on_backend):
    gradcheck(lambda scores: map_loss(scores, [0, 2, 3], j=1.5), -np.abs(draw(3, 3)), order=2)


@pytest.mark.parametrize("j", [0.1, 10.0])
def test_the_loss_is_the_papers_equation_9(on_backend, j):
    penalties, labels = 20 * np.random.default_rng(0).random((6, 10)), [0, 9, 3, 3, 5, 1]
    terms = [y[label] + np.log(np.exp(-j) + np.exp(-y).sum()) for y, label in zip(penalties, labels, strict=True)]
    np.testing.assert_allclose(map_loss(Tensor(-penalties), Tensor(labels), j).item(), np.mean(terms), rtol=1e-12)


def test_the_loss_leaves_alone_what_is_far_away_and_never_overflows():
    scores = Tensor([[-3.0, -5.0, -1e4]], requires_grad=True)
    map_loss(scores, [0], j=4.0).backward()
    right, near, far = scores.grad.numpy()[0]
    assert right < 0 < near and far == 0
    assert map_loss(Tensor([[-1e30, -1e30]]), [0], j=0.5).item() == np.float32(1e30)


# -- wrong arguments -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: Subsampling(0), ValueError, "Subsampling: channels must be at least 1, got 0"),
        (
            lambda: Subsampling(2)(Tensor(draw(1, 3, 4, 4))),
            ValueError,
            r"expected input \(N, 2, H, W\), got shape \(1, 3",
        ),
        (lambda: SparseConv2d([(0,)], 0), ValueError, "SparseConv2d: kernel_size must be at least 1, got 0"),
        (lambda: SparseConv2d([], 3), (TypeError, ValueError), "a list with the input maps of each output map"),
        (lambda: SparseConv2d(3, 3), (TypeError, ValueError), "a list with the input maps of each output map, got 3"),
        (lambda: SparseConv2d([(0, 0)], 3), ValueError, r"a list of different input maps, from 0, got \[0, 0\]"),
        (lambda: SparseConv2d([(0,), ()], 3), ValueError, r"a list of different input maps, from 0, got \[\]"),
        (lambda: SparseConv2d([(-1,)], 3), ValueError, r"a list of different input maps, from 0, got \[-1\]"),
        (lambda: SparseConv2d([(0.5,)], 3), ValueError, r"a list of different input maps, from 0, got \[0.5\]"),
        (lambda: SparseConv2d([0, 1], 3), ValueError, "a list of different input maps, from 0, got 0"),
        (lambda: EuclideanRBF(draw(3)), ValueError, r"EuclideanRBF: expected codes \(K, F\), got shape \(3,\)"),
        (
            lambda: EuclideanRBF(draw(3, 5))(Tensor(draw(2, 4))),
            ValueError,
            r"expected input \(N, 5\), got shape \(2, 4\)",
        ),
        (lambda: Retina()(Tensor(draw(1, 1, 32, 32))), ValueError, r"expected images \(N, 1, 28, 28\), got shape"),
        (lambda: map_loss(draw(2, 3), [0, 1]), TypeError, "map_loss: scores must be a Tensor"),
        (lambda: map_loss(Tensor(draw(3)), [0]), ValueError, r"map_loss: expected scores \(N, K\), got shape \(3,\)"),
        (lambda: map_loss(Tensor(draw(1, 3)), [0], j=np.inf), ValueError, "map_loss: j must be finite, got inf"),
        (lambda: map_loss(Tensor(draw(1, 3)), [4]), ValueError, "labels must lie from 0 to 3, got 4"),
    ],
)
def test_wrong_arguments_raise_and_say_what_is_wrong(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


# -- the example ---------------------------------------------------------------------------------------------------


def run_example(arguments: str, folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE), "--backend", "numpy", *arguments.split()],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(EXAMPLE.parent.parent), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


def test_the_fast_example_learns_and_leaves_its_pictures(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    result = run_example("--fast --out here", tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert "--fast: 2,000 images of Fashion-MNIST, which ships with minigrad" in result.stdout
    lines = [line.split() for line in result.stdout.splitlines() if line.startswith("epoch")]
    assert [line[1] for line in lines] == ["1", "2", "3"] and float(lines[-1][10]) < 50
    names = ["bitmaps.png", "connections.png", "errors.png", "metrics.csv", "mistakes.png"]
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == names


def test_the_fast_example_need_not_learn_in_fewer_epochs(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    result = run_example("--fast --epochs 1 --out here", tmp_path)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("--epochs 0", 2, "--epochs must be at least 1, got 0"),
        ("--lr nan", 2, "--lr must be a finite number above 0, got nan"),
        ("--fast --lr 1e38", 1, "stopped: the loss became nan in epoch 1, step"),
        ("--fast --lr 1e-9", 1, "lenet_1998.py: after 3 epochs the test error is still "),
        ("--j inf", 2, "--j must be a finite number, got inf"),
        ("--fast --backend abacus", 1, "lenet_1998.py: error: there is no backend named 'abacus'"),
    ],
)
def test_a_wrong_option_is_named(tmp_path, arguments, code, message):
    result = run_example(arguments, tmp_path)
    assert result.returncode == code and message in result.stderr and "Traceback" not in result.stderr
