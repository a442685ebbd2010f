"""Checks of the arguments that layers are made with, so that a wrong one raises where the layer is written."""

from __future__ import annotations

from typing import Any

import numpy as np


def positive(layer: str, what: str, value: Any) -> int:
    """The value as an int; raises TypeError where it is no integer, ValueError below 1."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{layer}: {what} must be an integer, got {value!r}")
    if value < 1:
        raise ValueError(f"{layer}: {what} must be at least 1, got {value}")
    return int(value)


def one_of(caller: str, what: str, value: Any, choices: tuple[str, ...]) -> str:
    """The value; raises ValueError, with the choices there are, for any other."""
    if value not in choices:
        raise ValueError(f"{caller}: {what} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value
