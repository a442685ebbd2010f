"""examples/mnist.py from its command line: what it leaves with --fast, what it says to wrong options."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from example_runs import run

RESULTS = {"mnist.csv", "errors.png", "distorted.png", "mistakes.png"}


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "mnist.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_both_ways_are_trained_from_each_seed(tmp_path):
    out = run("mnist", tmp_path, "--fast", "--epochs", "2", "--seeds", "0", "7", "--out", "here")
    assert set(os.listdir(tmp_path / "here")) == RESULTS
    for name in RESULTS - {"mnist.csv"}:
        assert (tmp_path / "here" / name).read_bytes().startswith(b"\x89PNG")
    table = rows(tmp_path / "here")
    assert [(row["images"], row["seed"]) for row in table] == [
        *(("plain", "0"), ("plain", "7"), ("distorted", "0"), ("distorted", "7"))
    ]
    for row in table:
        assert float(row["error_percent"]) == pytest.approx(int(row["wrong"]) / 3, abs=0.006)  # of 300 images
        assert int(row["wrong"]) < 240  # better than guessing, 270
    assert out.count("epoch  2") == 4 and out.count("median") == 2


def test_a_seed_gives_the_same_run(tmp_path):
    for name in ("first", "second"):
        run("mnist", tmp_path, "--fast", "--ways", "distorted", "--seeds", "3", "--out", name)
    first, second = (rows(tmp_path / name)[0]["wrong"] for name in ("first", "second"))
    assert first == second


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("--epochs 0", 2, "argument --epochs: must be at least 1, got 0"),
        ("--seeds -1", 2, "argument --seeds: must be at least 0, got -1"),
        ("--seeds 1 2 1", 2, "--seeds must be different ones, got 1 2 1"),
        ("--ways mirrored", 2, "argument --ways: invalid choice: 'mirrored'"),
        ("--fast --out a_file/out", 1, "a_file"),
    ],
)
def test_a_wrong_option_is_named_before_training(tmp_path, arguments, code, message):
    (tmp_path / "a_file").touch()
    error = run("mnist", tmp_path, *arguments.split(), code=code)
    assert message in error and "Traceback" not in error
    assert os.listdir(tmp_path) == ["a_file"]
