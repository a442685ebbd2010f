"""A training run as one safetensors file, and back: what `TrainingRun.save` and `.resume` do.

The file's tensors are `model.<name>` and `optimizer.<index>.<name>`. All else is one JSON document in its metadata:
the optimizer's and the scheduler's numbers, the states of the generators, the history and the settings.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..checks import path as checked_path
from ..random import default_generator
from ..serialization import StrPath, load, load_metadata, save
from ..tensor import Tensor
from .records import Epoch

if TYPE_CHECKING:
    from .run import TrainingRun

FILE_NAME = "checkpoint.safetensors"
METADATA_KEY = "minigrad.checkpoint"
VERSION = 1
_MISSING = object()


class Checkpoint(NamedTuple):
    """A run at the end of an epoch. Arrays are values, so holding on to them is a copy that costs nothing."""

    tensors: dict[str, Tensor]
    document: str


def capture(run: TrainingRun) -> Checkpoint:
    """The run as it is now; what it does later leaves the checkpoint as it is."""
    tensors = {f"model.{name}": tensor.detach() for name, tensor in run.model.state_dict().items()}
    optimizer = run.optimizer.state_dict()
    numbers: dict[int, dict[str, Any]] = {}
    for index, values in optimizer["state"].items():
        numbers[index] = {name: value for name, value in values.items() if not isinstance(value, Tensor)}
        tensors.update({f"optimizer.{index}.{k}": v.detach() for k, v in values.items() if isinstance(v, Tensor)})
    document = {
        "version": VERSION,
        "settings": run.settings,
        "history": run.history,
        "optimizer": {"kind": _kind(run.optimizer), "state": numbers, "param_groups": optimizer["param_groups"]},
        "scheduler": {"kind": _kind(run.scheduler), "state": run.scheduler and run.scheduler.state_dict()},
        "generators": {name: generator.bit_generator.state for name, generator in _generators(run).items()},
    }
    return Checkpoint(tensors, json.dumps(document, default=_to_json))


def write(checkpoint: Checkpoint, folder: StrPath) -> Path:
    """Writes the checkpoint into the folder, atomically; returns the file's path."""
    path = Path(checked_path("TrainingRun.save", folder), FILE_NAME)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(f"TrainingRun.save: {path.parent} is a file; name a folder") from None
    save(checkpoint.tensors, path, {METADATA_KEY: checkpoint.document})
    return path


def restore(run: TrainingRun, folder: StrPath) -> None:
    """Puts the run into the state of the checkpoint in the folder, or leaves it as it is; see `TrainingRun.resume`."""
    path = Path(checked_path("TrainingRun.resume", folder), FILE_NAME)
    if not path.is_file():
        hint = f"; {path.parent} is a file, name its folder" if path.parent.is_file() else ""
        raise FileNotFoundError(f"there is nothing to resume: no file {path}{hint}")
    metadata = load_metadata(path)
    if METADATA_KEY not in metadata:
        raise ValueError(f"{path}: holds tensors, but is no checkpoint of a training run")
    tensors = load(path, backend=next(run.model.parameters()).backend)
    before = capture(run)
    try:
        document = json.loads(metadata[METADATA_KEY])
        _check_fits(run, document)
        _put(run, tensors, document)
        _check_dtypes(tensors, capture(run).tensors)
    except BaseException as error:  # a damaged file can lead the readers into any
        _put(run, before.tensors, json.loads(before.document))
        if not isinstance(error, Exception):
            raise
        what = str(error) if type(error) is ValueError else f"a damaged checkpoint: {type(error).__name__}: {error}"
        raise ValueError(f"{path}: {what}; nothing has been changed") from error


def _put(run: TrainingRun, tensors: dict[str, Tensor], document: dict[str, Any]) -> None:
    history = [_epoch(values) for values in document["history"]]
    run.model.load_state_dict(_with_prefix("model.", tensors))
    run.optimizer.load_state_dict(_optimizer_state(document["optimizer"], _with_prefix("optimizer.", tensors)))
    if run.scheduler is not None:
        run.scheduler.load_state_dict(document["scheduler"]["state"])
    for name, generator in _generators(run).items():
        generator.bit_generator.state = document["generators"][name]
    run.history = history


def _epoch(values: Any) -> Epoch:
    number, *figures = values
    if type(number) is not int or any(type(figure) not in (int, float) for figure in figures):
        raise ValueError(f"the history holds {values!r}, which is no epoch")
    return Epoch(*values)


def _check_dtypes(read: dict[str, Tensor], put: dict[str, Tensor]) -> None:
    """Raises ValueError where a tensor was of another dtype, which the run does not take as it is."""
    for name, tensor in read.items():
        if name in put and tensor.dtype != put[name].dtype:
            raise ValueError(f"{name} has dtype {tensor.dtype}, expected {put[name].dtype}")


def _check_fits(run: TrainingRun, document: dict[str, Any]) -> None:
    if document["version"] != VERSION:
        raise ValueError(f"checkpoint format {document['version']}, but this minigrad reads format {VERSION}")
    generators = {name: generator.bit_generator.state["bit_generator"] for name, generator in _generators(run).items()}
    saved_generators = {name: state["bit_generator"] for name, state in document["generators"].items()}
    saved = {
        **document["settings"],
        "optimizer": document["optimizer"]["kind"],
        "scheduler": document["scheduler"]["kind"],
        "random generators": saved_generators,
    }
    now = {
        **json.loads(json.dumps(run.settings, default=_to_json)),
        "optimizer": _kind(run.optimizer),
        "scheduler": _kind(run.scheduler),
        "random generators": generators,
    }
    different = [
        f"{name} was {saved.get(name, 'not set')!r} and is {now.get(name, 'not set')!r}"
        for name in {**saved, **now}
        if saved.get(name, _MISSING) != now.get(name, _MISSING)
    ]
    if different:
        raise ValueError(f"it belongs to a run with other settings: {'; '.join(different)}")


def _optimizer_state(saved: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    """The optimizer's state_dict() again, its tensors among its numbers; JSON made strings of the indices."""
    state = {int(index): dict(numbers) for index, numbers in saved["state"].items()}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        state[int(index)][name] = tensor
    return {"state": state, "param_groups": saved["param_groups"]}


def _with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _generators(run: TrainingRun) -> dict[str, np.random.Generator]:
    """The generators that a run draws from: the global one, and those of loaders that have their own."""
    generators = {"global": default_generator()}
    for name, loader in (("training data", run.train_loader), ("test data", run.test_loader)):
        if loader.generator is not default_generator():
            generators[name] = loader.generator
    return generators


def _kind(value: Any) -> str | None:
    return None if value is None else type(value).__name__


def _to_json(value: Any) -> Any:
    """What json.dumps cannot write by itself: the numbers and arrays of NumPy."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a checkpoint's settings and states must be numbers, strings, lists and dicts, not {value!r}")
