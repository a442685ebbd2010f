"""Checks of arguments that several layers share; each message names the value that was given."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np


def require(fits: bool, message: str, value: Any, hint: str = "") -> None:
    """Raises TypeError, with what was given and how to mend it, unless the argument fits."""
    if fits:
        return
    if isinstance(value, type):
        given = f"the class {value.__name__} itself; make one: {value.__name__}(...)"
    elif value is None or isinstance(value, (bool, int, float, str)):
        given = repr(value)
    else:
        given = type(value).__name__
    raise TypeError(f"{message}, got {given}" + (f"; {hint}" if hint else ""))


def integer(caller: str, what: str, value: Any, least: int | None = None) -> int:
    """The value as an int; raises TypeError where it is no integer, ValueError where it is below `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{caller}: {what} must be an integer, got {value!r}")
    if least is not None and value < least:
        raise ValueError(f"{caller}: {what} must be at least {least}, got {value}")
    return int(value)


def instance(caller: str, what: str, value: Any, kind: type, hint: str = "") -> None:
    """Raises TypeError where the value is not of that class."""
    article = "an" if kind.__name__[0] in "AEIOU" else "a"
    require(isinstance(value, kind), f"{caller}: {what} must be {article} {kind.__name__}", value, hint)


def function(caller: str, what: str, value: Any) -> None:
    """Raises TypeError where the value cannot be called, and for a class, which would make an object instead."""
    require(callable(value) and not isinstance(value, type), f"{caller}: {what} must be a function", value)


def path(caller: str, value: Any) -> str:
    """The path as a string; raises TypeError for anything else, a number too, which open() takes for an open file."""
    require(isinstance(value, (str, os.PathLike)), f"{caller}: a path must be a string or a Path", value)
    return os.fspath(value)


def flag(caller: str, what: str, value: Any) -> bool:
    """The value as a bool; raises TypeError for anything else, as "no" and None have a truth that few would guess."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{caller}: {what} must be True or False, got {value!r}")
    return bool(value)


def array(caller: str, what: str, value: Any) -> np.ndarray:
    """The value as a NumPy array; raises TypeError for rows of different lengths."""
    try:
        return np.asarray(value)
    except ValueError:
        raise TypeError(f"{caller}: {what} must be an array, got a list of rows of different lengths") from None


def writable_folder(folder: str | os.PathLike[str]) -> None:
    """Makes the folder where it isn't there; raises OSError where it cannot be made or has no room for a mebibyte.

    For programs that write their results after minutes of work. What is in the folder stays as it is.
    """
    probe = Path(folder, f".{secrets.token_hex(8)}.tmp")
    try:
        with contextlib.suppress(FileExistsError):  # a file in its place: writing below it fails, with a clearer reason
            probe.parent.mkdir(parents=True)
        try:
            probe.write_bytes(bytes(2**20))  # a disk may be full but for a little, in which an empty file finds room
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(f"cannot write results into {os.fspath(folder)}: {error.strerror}") from None
