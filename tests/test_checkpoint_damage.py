"""Checkpoints that are damaged, or that somebody has made up: `resume` says so, and leaves the run as it was."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, nn, optim
from minigrad.data import ArrayDataset, DataLoader
from minigrad.serialization import load, load_metadata, save
from minigrad.train import TrainingRun, checkpoint

KEY = checkpoint.METADATA_KEY


@pytest.fixture
def run() -> TrainingRun:
    """Of a model with buffers, an optimizer with moments, a scheduler and a generator of its own; two epochs old."""
    minigrad.manual_seed(0)
    data = ArrayDataset(np.random.default_rng(0).random((8, 2, 1, 1), np.float32), np.arange(8) % 2)
    model = nn.Sequential(nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 2))
    adam = optim.Adam(model.parameters(), lr=0.1)
    loader = DataLoader(data, 4, shuffle=True, generator=np.random.default_rng(1))
    run = TrainingRun(model, adam, loader, DataLoader(data), scheduler=optim.StepLR(adam, 1))
    list(run.epochs(2))
    return run


def is_as(run: TrainingRun, before: checkpoint.Checkpoint) -> bool:
    now = checkpoint.capture(run)
    same = {n: t.tolist() for n, t in now.tensors.items()} == {n: t.tolist() for n, t in before.tensors.items()}
    return same and now.document == before.document


def without(document: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != name}


def with_groups(document: dict[str, Any], **options: Any) -> dict[str, Any]:
    groups = [group | options for group in document["optimizer"]["param_groups"]]
    return document | {"optimizer": document["optimizer"] | {"param_groups": groups}}


def with_scheduler(document: dict[str, Any], **values: Any) -> dict[str, Any]:
    return document | {"scheduler": document["scheduler"] | {"state": document["scheduler"]["state"] | values}}


DOCUMENTS = {
    "no JSON": lambda document: "{",
    "nested without end": lambda document: "[" * 100_000,
    "no dict": lambda document: [],
    "only a version": lambda document: {"version": 1},
    "another format": lambda document: document | {"version": 2},
    **{f"no {name}": lambda document, name=name: without(document, name) for name in ("history", "settings")},
    **{f"no {name}": lambda document, name=name: without(document, name) for name in ("optimizer", "generators")},
    "a history of words": lambda document: document | {"history": ["abcde"]},
    "a history that lacks a figure": lambda document: document | {"history": [[1, 0.5, 0.5, 0.5]]},
    "a history that is a number": lambda document: document | {"history": 3},
    "groups without parameters": lambda document: with_groups(document, params=[]),
    "a rate that is no number": lambda document: with_groups(document, lr=float("nan")),
    "a scheduler before the first epoch": lambda document: with_scheduler(document, last_epoch=-1),
    "a scheduler's option that is none": lambda document: with_scheduler(document, gamma="half"),
    "generators without numbers": lambda document: (
        document | {"generators": {name: {"bit_generator": "PCG64"} for name in document["generators"]}}
    ),
}
TENSORS = {
    "weights are missing": lambda tensors: tensors.pop("model.2.bias"),
    "a buffer is missing": lambda tensors: tensors.pop("model.0.running_mean"),
    "weights of another shape": lambda tensors: tensors.update({"model.2.bias": Tensor([1.0])}),
    "weights of another dtype": lambda tensors: tensors.update({"model.2.bias": tensors["model.2.bias"].to("float64")}),
    "a moment of another shape": lambda tensors: tensors.update({"optimizer.0.exp_avg": Tensor([1.0])}),
    "a moment of another dtype": lambda tensors: tensors.update({"optimizer.0.exp_avg": Tensor([1, 2])}),
    "a moment is missing": lambda tensors: tensors.pop("optimizer.0.exp_avg"),
    "a moment of no parameter": lambda tensors: tensors.update({"optimizer.99.exp_avg": Tensor([1.0])}),
    "a moment without a number": lambda tensors: tensors.update({"optimizer.first.exp_avg": Tensor([1.0])}),
}


@pytest.mark.parametrize("damage", DOCUMENTS.values(), ids=list(DOCUMENTS))
def test_a_damaged_document_changes_nothing(damage, run, tmp_path) -> None:
    path = run.save(tmp_path)
    damaged = damage(json.loads(load_metadata(path)[KEY]))
    save(load(path), path, {KEY: damaged if isinstance(damaged, str) else json.dumps(damaged)})
    refuses(run, tmp_path)


@pytest.mark.parametrize("damage", TENSORS.values(), ids=list(TENSORS))
def test_tensors_that_do_not_fit_change_nothing(damage, run, tmp_path) -> None:
    path = run.save(tmp_path)
    tensors, metadata = load(path), load_metadata(path)
    damage(tensors)
    save(tensors, path, metadata)
    refuses(run, tmp_path)


def refuses(run: TrainingRun, folder: Any) -> None:
    list(run.epochs(3))
    before = checkpoint.capture(run)
    with pytest.raises(ValueError, match=r"(?s)checkpoint\.safetensors: .*; nothing has been changed$"):
        run.resume(folder)
    assert is_as(run, before)


def test_an_interrupted_resume_changes_nothing(run, tmp_path, monkeypatch) -> None:
    run.save(tmp_path)
    list(run.epochs(3))
    before = checkpoint.capture(run)

    def interrupted(*_: Any) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(optim.StepLR, "load_state_dict", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.resume(tmp_path)
    assert is_as(run, before)


def test_a_whole_checkpoint_is_resumed(run, tmp_path) -> None:
    saved = checkpoint.capture(run)
    run.save(tmp_path)
    list(run.epochs(3))
    assert not is_as(run, saved)
    run.resume(tmp_path)
    assert is_as(run, saved)
