"""One application of an operation, and the line of code that asked for it: what is shown, saved and repeated."""

from __future__ import annotations

import contextlib
import linecache
import os
import sys
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from ..autograd.function import Function

_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep
_ENGINE = os.path.join(_PACKAGE, "autograd", "engine.py")
_INSIDE = (_PACKAGE, contextlib.__file__)  # contextlib calls what no_grad() decorates


class Location(NamedTuple):
    """A line of code.

    Attributes:
        file, line, source: its file, its number and its text, empty where the file can't be read.
        during: empty for what the line itself asks for; for what a backward pass does there, in words: `in the backward
            rule of sqrt`.
    """

    file: str
    line: int
    source: str
    during: str = ""

    def __str__(self) -> str:
        file = self.file.removeprefix(os.getcwd() + os.sep)
        parts = f"{file}:{self.line}", self.during and f", {self.during}", self.source and f": {self.source}"
        return "".join(parts)


@dataclass
class Application:
    """One application of an operation, forward or backward, with its arrays as NumPy's.

    The four lists have None where there is no array: no gradient arrived, or none was wanted.
    """

    operation: type[Function]
    phase: str  # forward or backward: what went wrong
    backend: str
    parameters: dict[str, Any]
    needs: tuple[bool, ...]
    inputs: list[np.ndarray]
    outputs: list[np.ndarray]
    grad_outputs: list[np.ndarray | None] = field(default_factory=list)
    grad_inputs: list[np.ndarray | None] = field(default_factory=list)
    allow_infinite: bool = False
    location: Location | None = None  # the line that applied the operation; None where nobody watched then
    backward_location: Location | None = None
    inner: tuple[str, Location] | None = None  # the first operation within the rule whose result is an anomaly

    def given(self) -> dict[str, np.ndarray]:
        """What the operation, or its rule, started from, by name."""
        arrays = named("input", self.inputs)
        if self.phase == "backward":
            arrays |= named("output", self.outputs) | named("grad_output", self.grad_outputs)
        return arrays

    def made(self) -> dict[str, np.ndarray]:
        """What it came to."""
        return named("grad_input", self.grad_inputs) if self.phase == "backward" else named("output", self.outputs)

    def anomalies(self, array: np.ndarray) -> np.ndarray:
        """Which elements are anomalies."""
        return anomalies(np, array, self.allow_infinite)


def anomalies(xp: Any, array: Any, allow_infinite: bool) -> Any:
    """Which elements of an array are NaN or, unless that is allowed, infinite; none of integers and booleans."""
    if array.dtype.kind != "f":
        return xp.zeros(array.shape, bool)
    return xp.isnan(array) if allow_infinite else ~xp.isfinite(array)


def named(kind: str, arrays: list[np.ndarray] | list[np.ndarray | None]) -> dict[str, np.ndarray]:
    return {f"{kind} {i}": array for i, array in enumerate(arrays) if array is not None}


def users_line(rule: Function | None) -> Location:
    """The innermost line outside minigrad that led here, for an operation within that rule, if any."""
    frame, summing = sys._getframe(1), False
    while frame.f_code.co_filename.startswith(_INSIDE) and frame.f_back is not None:
        summing = summing or frame.f_code.co_filename == _ENGINE
        frame = frame.f_back
    if rule is not None:
        return _line(frame, f"in the backward rule of {rule.name()}")
    return _line(frame, "where gradients are added up" if summing else "")


def line_in_rule() -> Location:
    """The line of the running backward rule, minigrad's or the user's, that led here."""
    frame = sys._getframe(1)
    while (caller := frame.f_back) is not None and caller.f_code.co_filename != _ENGINE:
        frame = caller
    return _line(frame)


def backward_line() -> Location:
    """The line outside minigrad that started the running backward pass."""
    return users_line(None)._replace(during="")


def _line(frame: FrameType, during: str = "") -> Location:
    file, line = frame.f_code.co_filename, frame.f_lineno
    return Location(file, line, linecache.getline(file, line, frame.f_globals).strip(), during)
