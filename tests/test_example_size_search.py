"""examples/size_search.py: the networks of a size, and the search from its command line, in one process and in two."""

from __future__ import annotations

import csv
import importlib.util
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from example_runs import EXAMPLES, command, environment, run

from minigrad import Tensor, no_grad
from minigrad.models import summary

EXAMPLE = EXAMPLES / "size_search.py"


@pytest.fixture(scope="module")
def search():
    """The example as a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        spec = importlib.util.spec_from_file_location("size_search", EXAMPLE)
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, "size_search", module)
        spec.loader.exec_module(module)
        yield module


# -- sizes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel_size", [1, 3, 7])
@pytest.mark.parametrize("channels", [(), (3,), (6, 16), (2, 3, 4)])
@pytest.mark.parametrize("linear", [(), (11,), (12, 13)])
def test_a_network_has_the_shapes_and_parameters_of_its_size(search, kernel_size, channels, linear):
    model = search.network(search.Size(kernel_size=kernel_size, channels=channels, linear=linear))
    maps = (1, *channels)
    widths = (maps[-1] * (28 // 2 ** len(channels)) ** 2, *linear, 10)
    expected = sum((kernel_size**2 * C + 1) * O for C, O in pairwise(maps))
    expected += sum((i + 1) * o for i, o in pairwise(widths))
    layers = summary(model, (2, 1, 28, 28))
    assert layers.parameters == expected
    pooled = [layer.output_shape for layer in layers.layers if layer.kind == "MaxPool2d"]
    assert pooled == [(2, O, 28 // 2**i, 28 // 2**i) for i, O in enumerate(channels, 1)]
    with no_grad():
        assert model(Tensor(np.zeros((2, 1, 28, 28), np.float32))).shape == (2, 10)


def test_an_image_of_one_pixel_is_not_pooled(search):
    layers = summary(search.network(search.Size(kernel_size=1, channels=(2,) * 6)), (1, 1, 28, 28)).layers
    assert [layer.output_shape[2] for layer in layers if layer.kind == "Conv2d"] == [28, 14, 7, 3, 1, 1]
    assert sum(layer.kind == "MaxPool2d" for layer in layers) == 4


def test_initial_weights_are_those_of_their_name(search):
    xavier, kaiming = (search.network(search.Size(init=init))[7].weight.numpy() for init in ("xavier", "kaiming"))
    assert xavier.shape == kaiming.shape == (120, 784)
    assert 0.99 < np.abs(xavier).max() / np.sqrt(6 / (784 + 120)) <= 1
    assert 0.99 < np.abs(kaiming).max() / np.sqrt(6 / 784) <= 1


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ({"kernel_size": 4}, "kernel_size must be odd, .* got 4"),
        ({"kernel_size": -1}, "kernel_size must be odd, .* got -1"),
        ({"kernel_size": 29}, "the last of 2 convolutions sees 14 x 14 pixels, and its window would have 29 x 29"),
        ({"channels": (4, 4, 4, 4)}, "the last of 4 convolutions sees 3 x 3 pixels, and its window would have 5 x 5"),
        ({"channels": (6, 0)}, r"channels and linear must be at least 1, got \(6, 0\) and \(120, 84\)"),
        ({"linear": (-3,)}, "channels and linear must be at least 1"),
        ({"init": "zeros"}, "init must be one of xavier, kaiming, got 'zeros'"),
    ],
)
def test_an_impossible_size_is_refused(search, size, message):
    with pytest.raises(ValueError, match=message):
        search.Size(**size)


def test_each_change_changes_one_thing(search):
    start = search.Size(epochs=3)
    for size in search.changes(start).values():
        assert sum(value != vars(start)[name] for name, value in vars(size).items()) == 1


def test_what_helped_is_put_together_and_the_better_of_two_rivals_holds(search):
    start = search.Size(epochs=3)
    narrow, wide, long = replace(start, channels=(2,)), replace(start, channels=(9,)), replace(start, epochs=6)
    assert search.together(start, [narrow, long, wide]) == replace(start, channels=(9,), epochs=6)
    assert search.together(start, []) == start


@pytest.mark.parametrize("values", [[5.0, 1.0, 1.0, 1.1, 4.9, 5.0], [0.1] * 12, [6.9] * 12, [3.0] * 40, [3.5]])
def test_labels_keep_their_order_and_their_distance(search, values):
    heights = search.spread(values, 0.0, 7.0)
    ordered = [0.0, *(heights[i] for i in np.argsort(values, kind="stable")), 7.0]
    assert np.diff(ordered).min() >= 7 / max(20, len(values) + 1) - 1e-9


# -- the command line ----------------------------------------------------------------------------------------------


def test_the_outcome_does_not_depend_on_the_number_of_processes(tmp_path):
    rows = []
    for workers in ("1", "2"):
        out = run("size_search", tmp_path, "--fast", "--workers", workers, "--out", workers)
        assert set(os.listdir(tmp_path / workers)) == {"size_search.png", "size_search.csv"}
        assert (tmp_path / workers / "size_search.png").read_bytes().startswith(b"\x89PNG")
        assert "put together: Size(" in out and "  epoch  1  train loss" in out
        with open(tmp_path / workers / "size_search.csv") as file:
            table = list(csv.DictReader(file))
        assert len(table) == 12 and [row["images"] for row in table] == ["held out"] * 11 + ["test"]
        assert len({row["accuracy"] for row in table}) > 6
        rows.append([{**row, "seconds": ""} for row in table])
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--workers 0", "argument --workers: must be at least 1, got 0"),
        ("--workers two", "argument --workers: invalid integer value: 'two'"),
        ("--epochs 0", "argument --epochs: must be at least 1, got 0"),
    ],
)
def test_a_wrong_option_is_named(tmp_path, arguments, message):
    assert message in run("size_search", tmp_path, *arguments.split(), code=2)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_said_in_one_line_before_training(tmp_path):
    (tmp_path / "a_file").touch()
    error = run("size_search", tmp_path, "--fast", "--out", "a_file/out", code=1)
    assert error.startswith("size_search.py: error: ") and "a_file" in error and error.count("\n") == 1


def test_an_error_in_a_process_names_the_network(tmp_path):
    changed = EXAMPLE.read_text().replace("lr=2 * start.lr", "lr=1e30")
    (tmp_path / "size_search.py").write_text(changed)
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    settings = {**environment(), "PYTHONPATH": os.pathsep.join([str(EXAMPLES.parent), str(EXAMPLES)])}
    done = subprocess.run(
        [sys.executable, "size_search.py", "--fast"], cwd=tmp_path, env=settings, capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("size_search.py: error: twice the learning rate, Size(")
    assert "could not be trained: the loss became" in done.stderr


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks for the processes in /proc")
@pytest.mark.parametrize(("sent", "to_all"), [("SIGINT", True), ("SIGINT", False), ("SIGKILL", False)])
def test_no_process_stays_behind(tmp_path, sent, to_all):
    """Ctrl-C goes to all processes of a terminal; `kill` to the one that started the others."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    arguments = command("size_search", "--epochs", "1000", "--workers", "2")
    with subprocess.Popen(
        arguments, cwd=tmp_path, env=environment(), stdout=-1, stderr=-1, text=True, start_new_session=True
    ) as process:
        try:
            wait_until(lambda: len(of_session(process.pid)) == 4, "the two processes and their keeper have begun")
            signals = getattr(signal, sent)
            (os.killpg if to_all else os.kill)(process.pid, signals)
            _, error = process.communicate(timeout=20)
            wait_until(lambda: not of_session(process.pid), "no process is left")
        finally:
            for left in of_session(process.pid):
                os.kill(left, signal.SIGKILL)
    assert process.returncode == (-signal.SIGKILL if sent == "SIGKILL" else 130)
    assert sent == "SIGKILL" or error == ""


def of_session(leader: int) -> list[int]:
    """The processes of a session, but for those that have ended and that nobody has asked about."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, session = (folder / "stat").read_text().rpartition(") ")[2].split()[:4]
        except OSError:  # it has just ended
            continue
        if int(session) == leader and state != "Z":
            found.append(int(folder.name))
    return found


def wait_until(condition, what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"after 20 s it is still not so that {what}"
        time.sleep(0.02)
