"""Tensors to files and back, in the safetensors format: `save` and `load`, and `write_atomically` for any file.

A safetensors file is a JSON header followed by raw numbers: reading one runs no code, as reading a pickle would, and
PyTorch's, JAX's and everybody's safetensors read and write the same files. Training checkpoints, built on these
functions, are in train/checkpoint.py.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Mapping
from glob import escape
from pathlib import Path
from types import ModuleType

import numpy as np

from .backends import Backend, default_backend, get_backend
from .checks import path as checked_path
from .checks import require
from .tensor import Tensor

StrPath = str | os.PathLike[str]

# By their names in safetensors headers. The half precisions are read too: see _decode.
DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


def save(tensors: Mapping[str, Tensor], path: StrPath, metadata: Mapping[str, str] | None = None) -> None:
    """Writes named tensors, of any shape and dtype, into a safetensors file.

    The file appears whole or not at all (see `write_atomically`). Whether a tensor requires a gradient is not stored.

    Args:
        tensors: for example a model's `state_dict()`.
        path: the file; one that is there is replaced. Its folder must exist.
        metadata: strings to store beside the tensors; `load_metadata` reads them.

    Raises:
        TypeError, ValueError: an argument is not what is said above; nothing is written.
        ImportError: safetensors is not installed.
        OSError: the file cannot be written; what was there is still there.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/w.safetensors"
    ...     save({"weight": Tensor([1.0, 2.0]), "steps": Tensor(7)}, path, {"made by": "a doctest"})
    ...     load(path), load_metadata(path)
    ({'steps': Tensor(7), 'weight': Tensor([1., 2.])}, {'made by': 'a doctest'})
    """
    _check_arguments(tensors, metadata)
    path = checked_path("save", path)
    _safetensors()
    from safetensors.numpy import save as serialize

    # The serializer reads raw memory: it would write a transposed array untransposed.
    arrays = {name: np.asarray(t.backend.to_numpy(t.data), order="C") for name, t in tensors.items()}
    write_atomically(path, serialize(arrays, None if metadata is None else dict(metadata)))


def load(path: StrPath, backend: str | Backend | None = None) -> dict[str, Tensor]:
    """Reads the tensors of a safetensors file, whoever wrote it, by name.

    float16 and bfloat16, which minigrad does not compute with, become float32, exactly.

    Args:
        path: the file.
        backend: where the tensors shall live, by name; by default the one set by `use_backend`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, is no safetensors file, or holds a dtype that minigrad doesn't have.
        ImportError: safetensors is not installed.
    """
    path = checked_path("load", path)
    backend = default_backend() if backend is None else get_backend(backend)
    safetensors = _safetensors()
    with open(path, "rb") as file:
        data = file.read()
    try:
        entries = safetensors.deserialize(data)
    except safetensors.SafetensorError as error:
        raise _not_readable(path, error) from error
    arrays = {}
    for name, entry in entries:
        numbers = _decode(path, name, entry["dtype"], entry["data"])
        try:
            arrays[name] = numbers.reshape(entry["shape"])
        except ValueError as error:  # more axes, or longer ones, than NumPy has
            raise _not_readable(path, error) from error
    return {name: Tensor._wrap(backend.from_numpy(arrays[name]), backend) for name in sorted(arrays)}


def load_metadata(path: StrPath) -> dict[str, str]:
    """The strings that were stored beside the tensors of a safetensors file; raises as `load` does."""
    path = checked_path("load_metadata", path)
    safetensors = _safetensors()
    with open(path, "rb"):  # raises an error that is clearer than safe_open's
        pass
    try:
        with safetensors.safe_open(path, framework="np") as file:
            return file.metadata() or {}
    except safetensors.SafetensorError as error:
        raise _not_readable(path, error) from error


def write_atomically(path: StrPath, data: bytes) -> None:
    """Writes a file so that at any moment, through crashes and power cuts, it is the old one or the new one, whole.

    The bytes go to a temporary file beside it, reach the disk, and only then take the name and the old file's
    permissions; a failure leaves the old file alone and no temporary one behind. What a killed process left behind, the
    next write of that path removes.

    Raises OSError where the file can't be written, FileNotFoundError where its folder isn't there.
    """
    path = checked_path("write_atomically", path)
    require(isinstance(data, (bytes, bytearray)), "write_atomically: the data must be bytes", data)
    target = Path(os.path.realpath(path))  # through a symbolic link, as open() would go
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {target.parent}; make it first")
    if target.is_dir():
        raise IsADirectoryError(f"cannot write {path or repr(path)}: it is a folder; name a file in it")
    if target.exists() and not target.is_file():
        raise OSError(f"cannot write {path}: it is a device or a pipe, which a new file would replace")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            with contextlib.suppress(OSError):  # there is none yet, or the disk knows no permissions
                shutil.copymode(target, temporary)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _rename(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):  # a full disk has no name for what did not fit, others have the temporary one
            error.filename = path
            del error.filename2
        raise
    for leftover in target.parent.glob(f".{escape(target.name)}.{'[0-9a-f]' * 8}.tmp"):
        with contextlib.suppress(OSError):  # another process may be just as far
            leftover.unlink()
    with contextlib.suppress(OSError):  # not every system can open and sync a folder
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _check_arguments(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None) -> None:
    if not isinstance(tensors, Mapping):
        raise TypeError(
            f"save: expected a mapping from names to Tensors, got {type(tensors).__name__}; "
            "a module is saved by its state_dict()"
        )
    for name, tensor in tensors.items():
        if not isinstance(name, str):
            raise TypeError(f"save: a tensor's name must be a string, got {name!r}")
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"save: {name!r} must be a Tensor, got {type(tensor).__name__}; make it one with Tensor(...)"
            )
    if "__metadata__" in tensors:
        raise ValueError("save: the name '__metadata__' is reserved by the file format")
    if metadata is None:
        return
    if not isinstance(metadata, Mapping):
        raise TypeError(f"save: metadata must be a mapping from strings to strings, got {type(metadata).__name__}")
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"save: metadata must be strings, got {key!r}: {value!r}; json.dumps makes them")


def _rename(temporary: Path, target: Path) -> None:
    try:
        os.replace(temporary, target)
    except FileNotFoundError:
        # Another writer of the same path, finished in the meantime, took our file for a leftover. Had we been a moment
        # faster, its file would have replaced ours: the outcome is the same.
        if not target.is_file():
            raise


def _decode(path: StrPath, name: str, dtype: str, data: bytes | bytearray) -> np.ndarray:
    """The raw little-endian bytes of a tensor as a flat array of this machine's byte order."""
    if dtype == "F16":
        return np.frombuffer(data, "<f2").astype(np.float32)
    if dtype == "BF16":  # the upper half of a float32's bits
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    if dtype not in DTYPES:
        known = ", ".join(["F16", "BF16", *DTYPES])
        raise ValueError(f"{os.fspath(path)}: tensor {name!r} has dtype {dtype}, which is none of {known}")
    native = np.dtype(DTYPES[dtype])
    return np.frombuffer(data, native.newbyteorder("<")).astype(native)


def _not_readable(path: StrPath, error: Exception) -> ValueError:
    return ValueError(f"{os.fspath(path)}: not a safetensors file, or a damaged one: {error}")


def _safetensors() -> ModuleType:
    try:
        import safetensors
    except ImportError:
        raise ImportError("saving and loading tensors needs safetensors: pip install safetensors") from None
    return safetensors
