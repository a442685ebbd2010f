"""An application as a file, and back: an .npz of its arrays and one JSON text. Reading one unpickles nothing."""

from __future__ import annotations

import io
import json
import os
import secrets
import sys
from importlib import import_module
from typing import Any

import numpy as np

from ..autograd.function import Function
from ..backends import Backend, get_backend
from ..serialization import write_atomically
from .application import Application, Location

_PACKAGE = __name__.partition(".")[0]
_RESERVED = {"cls", *vars(Function), *Function.__annotations__}  # what a node has besides its parameters


def save(found: Application, directory: str) -> str:
    """Writes the application into a new file of the directory, and returns its path.

    Raises OSError where that can't be, and TypeError where a parameter is of a kind that a file can't hold.
    """
    arrays = {f"input_{i}": array for i, array in enumerate(found.inputs)}
    arrays |= {f"grad_output_{i}": array for i, array in enumerate(found.grad_outputs) if array is not None}
    backend = get_backend(found.backend)
    info = {
        "minigrad": sys.modules[_PACKAGE].__version__,
        "module": found.operation.__module__,
        "qualname": found.operation.__qualname__,
        "phase": found.phase,
        "backend": found.backend,
        "parameters": {name: _encode(name, value, arrays, backend) for name, value in found.parameters.items()},
        "inputs": len(found.inputs),
        "needs": found.needs,
        "grad_outputs": [array is not None for array in found.grad_outputs],
        "allow_infinite": found.allow_infinite,
        "location": found.location,
        "backward_location": found.backward_location,
        "inner": found.inner,
    }
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise TypeError(f"{name} is an array of {array.dtype}, which a file can't hold")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, info=np.array(json.dumps(info)), **arrays)  # type: ignore[arg-type]
    path = os.path.join(directory, f"minigrad-{found.operation.name()}-{secrets.token_hex(4)}.npz")
    write_atomically(path, buffer.getvalue())
    return path


def read(path: str, operation: type[Function] | None) -> Application:
    """The application in a file, without results, of that class or of the one that the file names.

    Raises ValueError where it is no such file, or the class isn't found.
    """
    with open(path, "rb") as file:
        try:
            with np.load(file, allow_pickle=False) as entries:
                arrays = {name: entries[name] for name in entries.files}
            info = json.loads(arrays["info"].item())
            names = str(info["module"]), str(info["qualname"])
            found = _application(info, arrays)
            _check(found)
        except Exception as error:  # a damaged file can lead the readers into any
            raise damaged(path, f"{type(error).__name__}: {error}") from error
    found.operation = _find(path, *names) if operation is None else operation
    return found


def damaged(path: str, what: str) -> ValueError:
    return ValueError(f"{path}: not a file that detect_anomaly wrote, or a damaged one: {what}")


def is_operation(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Function) and value is not Function


def _application(info: dict[str, Any], arrays: dict[str, np.ndarray]) -> Application:
    backend = get_backend(info["backend"])
    return Application(
        operation=Function,  # until it is found
        phase={"forward": "forward", "backward": "backward"}[info["phase"]],
        backend=backend.name,
        parameters={name: _decode(value, arrays, backend) for name, value in info["parameters"].items()},
        needs=tuple(map(bool, info["needs"])),
        inputs=[arrays[f"input_{i}"] for i in range(info["inputs"])],
        outputs=[],
        grad_outputs=[arrays[f"grad_output_{i}"] if there else None for i, there in enumerate(info["grad_outputs"])],
        allow_infinite=bool(info["allow_infinite"]),
        location=_location(info["location"]),
        backward_location=_location(info["backward_location"]),
        inner=None if info["inner"] is None else _inner(*info["inner"]),
    )


def _location(values: Any) -> Location | None:
    if values is None:
        return None
    if not isinstance(values, list) or [type(value) for value in values] != [str, int, str, str]:
        raise ValueError(f"{values!r} is no location, which has a file, a line, its text and what ran there")
    return Location(*values)


def _inner(name: Any, location: Any) -> tuple[str, Location]:
    where = _location(location)
    if not isinstance(name, str) or where is None:
        raise ValueError(f"{[name, location]} is not an operation's name and a location")
    return name, where


def _check(found: Application) -> None:
    """Raises ValueError where the pieces don't fit each other, so that no operation can have left them."""
    if hidden := [name for name in found.parameters if name in _RESERVED]:
        raise ValueError(f"a parameter can't be called {hidden[0]}: Function has that name")
    if other := [array.dtype for array in found.inputs if array.dtype.kind not in "fiub"]:
        raise ValueError(f"an input is an array of {other[0]}")
    if not found.inputs or len(found.needs) != len(found.inputs):
        raise ValueError(f"{len(found.inputs)} inputs and {len(found.needs)} needs")
    if found.phase == "forward":
        return
    wanted = [array for array, needed in zip(found.inputs, found.needs, strict=True) if needed]
    if not wanted or any(array.dtype.kind != "f" for array in wanted):
        raise ValueError(f"gradients are needed for inputs of {[str(array.dtype) for array in wanted]}")
    if all(array is None for array in found.grad_outputs):
        raise ValueError("no gradient arrived at its backward rule")


def _find(path: str, module: str, qualname: str) -> type[Function]:
    """The class of that name. Of modules, only minigrad's own are imported: a file shall not run code of its choice."""
    where = f"{path}: the operation {module}.{qualname}"
    if module not in sys.modules and module.startswith(f"{_PACKAGE}."):
        try:
            import_module(module)
        except ImportError:
            raise ValueError(f"{where} is not in this version of minigrad") from None
    if "<locals>" in qualname:
        raise ValueError(f"{where} was defined in a function; pass it: replay(path, operation=...)")
    if module not in sys.modules:
        raise ValueError(f"{where} is in a module that is not imported; import {module} first, or pass operation=...")
    found: Any = sys.modules[module]
    for name in qualname.split("."):
        found = getattr(found, "__dict__", {}).get(name)
    if not is_operation(found):
        raise ValueError(f"{where} is not a Function there any more; pass the class: replay(path, operation=...)")
    return found


# ------------------------------------------------------------------------------------------------- parameters as JSON
# Numbers, strings and None stand for themselves; anything else is a pair of a kind and a value.


def _encode(name: str, value: Any, arrays: dict[str, np.ndarray], backend: Backend) -> Any:
    """A parameter as JSON; the arrays in it go into `arrays`. Raises TypeError, with its name, for what can't be."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, (np.ndarray, np.generic, backend.xp.ndarray)):
        kind = (
            "number" if isinstance(value, np.generic) else "array" if isinstance(value, np.ndarray) else "device array"
        )
        key = f"parameter_{len(arrays)}"
        arrays[key] = np.asarray(value) if kind != "device array" else backend.to_numpy(value)
        return [kind, key]
    if type(value) in (list, tuple):
        return [type(value).__name__, [_encode(name, v, arrays, backend) for v in value]]
    if type(value) is dict and all(type(key) is str for key in value):
        return ["dict", {key: _encode(name, v, arrays, backend) for key, v in value.items()}]
    if isinstance(value, slice):
        return ["slice", [_encode(name, v, arrays, backend) for v in (value.start, value.stop, value.step)]]
    if value is Ellipsis:
        return ["ellipsis", None]
    if isinstance(value, np.dtype):
        return ["dtype", value.str]
    if isinstance(value, Backend):
        return ["backend", value.name]
    raise TypeError(f"its parameter {name} is a {type(value).__name__}, which a file can't hold")


def _decode(value: Any, arrays: dict[str, np.ndarray], backend: Backend) -> Any:
    if not isinstance(value, list):
        return value
    kind, content = value
    decode = {
        "array": lambda: arrays[content],
        "device array": lambda: backend.from_numpy(arrays[content]),
        "number": lambda: arrays[content][()],
        "list": lambda: [_decode(v, arrays, backend) for v in content],
        "tuple": lambda: tuple(_decode(v, arrays, backend) for v in content),
        "dict": lambda: {key: _decode(v, arrays, backend) for key, v in content.items()},
        "slice": lambda: slice(*(_decode(v, arrays, backend) for v in content)),
        "ellipsis": lambda: Ellipsis,
        "dtype": lambda: np.dtype(content),
        "backend": lambda: get_backend(content),
    }
    return decode[kind]()
