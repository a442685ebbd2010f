"""The experiments on clothes from their command lines: what each leaves with --fast, what it says to wrong options."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from example_runs import run

from minigrad import Tensor, save
from minigrad.models import lenet5

RESULTS = {
    "modernise": {"modernise.png", "modernise.csv"},
    "activations": {"first.png", "second.png"},
    "strange_inputs": {"first.png", "second.png", "certainty.png"},
}


def assert_results(example: str, folder: Path) -> None:
    assert set(os.listdir(folder)) == RESULTS[example]
    for path in folder.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def weights(tmp_path: Path) -> str:
    path = tmp_path / "lenet.safetensors"
    save(lenet5().state_dict(), path, {"network": "book on fashion-mnist"})
    return str(path)


def test_modernise_changes_one_thing_at_a_time(tmp_path):
    out = run("modernise", tmp_path, "--fast", "--out", "here")
    assert_results("modernise", tmp_path / "here")
    assert out.count("epoch  1") == 4
    table = (tmp_path / "here" / "modernise.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in table[1:]] == ["the book's", "max pooling", "ReLU", "max pooling and ReLU"]


def test_activations_of_a_network_trained_at_once(tmp_path):
    out = run("activations", tmp_path, "--fast", "--out", "here", "--classes", "sneaker", "ankle boot")
    assert_results("activations", tmp_path / "here")
    assert "epoch  1" in out and "for sneaker" in out and "for ankle boot" in out


def test_activations_of_weights_from_a_file(tmp_path, weights):
    out = run("activations", tmp_path, "--fast", "--out", "here", "--weights", weights)
    assert_results("activations", tmp_path / "here")
    assert "epoch" not in out and "for pullover" in out


@pytest.mark.parametrize(("light", "said"), [(True, "inverted, as its background is light"), (False, "made grey")])
def test_strange_inputs_with_a_picture(tmp_path, weights, light, said):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    from matplotlib.image import imsave

    pixels = np.full((60, 90), 1.0 if light else 0.0)
    pixels[20:50, 30:60] = 0.3
    imsave(tmp_path / "mine.png", pixels, cmap="gray", vmin=0, vmax=1)
    options = ("--fast", "--out", "here", "--weights", weights, "--image", "mine.png")
    out = run("strange_inputs", tmp_path, *options)
    assert_results("strange_inputs", tmp_path / "here")
    assert "mine.png: 90 x 60 pixels" in out and said in out and ("inverted" in out) == light
    assert "200 digits are drawn in place of MNIST's: --fast" in out
    assert [line.split("  ")[0] for line in out.splitlines() if " nats " in line] == [
        *("test image", "noise", "drawn digit", "your picture")
    ]


@pytest.mark.parametrize(
    ("example", "arguments", "message"),
    [
        ("modernise", "--lr 0", "--lr must be a finite number above 0, got 0"),
        ("modernise", "--epochs 0", "argument --epochs: must be at least 1, got 0"),
        ("activations", "--seed -1", "argument --seed: must be at least 0, got -1"),
        ("activations", "--classes coat hat", "invalid choice: 'hat'"),
        ("activations", "--classes coat coat", "--classes must be two different ones, got coat coat"),
        ("strange_inputs", "--epochs ten", "invalid integer value: 'ten'"),
        ("activations", "--weights none", "argument --weights: there is no file 'none'"),
        ("strange_inputs", "--image .", "argument --image: there is no file '.'"),
    ],
)
def test_a_wrong_option_is_named(tmp_path, example, arguments, message):
    assert message in run(example, tmp_path, *arguments.split(), code=2)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("example", "arguments", "message"),
    [
        ("modernise", "--out a_file/out", "a_file"),
        ("activations", "--weights a_file", "a_file: not a safetensors file"),
        (
            "activations",
            "--weights other",
            "other: these are not the weights of a LeNet-5 for clothes; examples/lenet.py",
        ),
        ("strange_inputs", "--image a_file", "a_file"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(tmp_path, example, arguments, message):
    (tmp_path / "a_file").touch()
    save(lenet5().state_dict(), tmp_path / "other", {"network": "book on mnist"})
    error = run(example, tmp_path, "--fast", *arguments.split(), code=1)
    assert error.startswith(f"{example}.py: error: ") and message in error and error.count("\n") == 1


@pytest.mark.parametrize("value", [np.nan, -np.inf])
@pytest.mark.parametrize("example", ["activations", "strange_inputs"])
def test_weights_that_are_no_numbers_are_refused(tmp_path, example, value):
    state = {name: tensor.numpy().copy() for name, tensor in lenet5().state_dict().items()}
    state["3.bias"][3] = value
    save({name: Tensor(array) for name, array in state.items()}, tmp_path / "bad", {"network": "book on fashion-mnist"})
    error = run(example, tmp_path, "--fast", "--weights", "bad", code=1)
    assert error.startswith(f"{example}.py: error: bad: not all weights are finite, see 3.bias; ")
    assert error.count("\n") == 1
