"""LeNet-5 among its neighbours, from the command line: what it leaves with --fast, what it says to wrong options."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from example_runs import run

PARAMETERS = {  # 784 10 + 10; 785 256 + 257 10; and as the tests of the networks themselves have them
    "softmax regression": 7_850,
    "MLP": 203_530,
    "LeNet-5": 61_706,
    "modern LeNet-5": 61_706,
    "residual network": 308_074,
}


def table(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "neighbours.csv").read_text().splitlines()))


def test_all_networks_are_trained_and_compared(tmp_path):
    out = run("neighbours", tmp_path, "--fast", "--out", "here")
    assert set(os.listdir(tmp_path / "here")) == {"neighbours.csv", "neighbours.png"}
    assert (tmp_path / "here" / "neighbours.png").read_bytes().startswith(b"\x89PNG")
    assert out.count("epoch  1") == 5
    rows = table(tmp_path / "here")
    assert {row["network"]: int(row["parameters"]) for row in rows} == PARAMETERS
    for row in rows:
        assert 0 < float(row["test_error"]) < 100 and float(row["seconds"]) == float(row["seconds_an_epoch"]) > 0


def test_only_some_in_the_order_of_the_table(tmp_path):
    out = run("neighbours", tmp_path, "--fast", "--out", "here", "--only", "mlp", "softmax")
    assert [row["network"] for row in table(tmp_path / "here")] == ["softmax regression", "MLP"]
    assert "LeNet" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--only transformer", "invalid choice: 'transformer'"),
        ("--only", "expected at least one argument"),
        ("--epochs 0", "argument --epochs: must be at least 1, got 0"),
    ],
)
def test_a_wrong_option_is_named(tmp_path, arguments, message):
    assert message in run("neighbours", tmp_path, *arguments.split(), code=2)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_named_before_anything_is_trained(tmp_path):
    (tmp_path / "a_file").write_text("")
    said = run("neighbours", tmp_path, "--out", "a_file/out", code=1)
    assert said.startswith("neighbours.py: error: ") and "a_file" in said and said.count("\n") == 1
