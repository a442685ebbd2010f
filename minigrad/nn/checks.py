"""Checks of the arguments that layers and optimizers are made with, so that a wrong one raises where it is written."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..checks import flag as flag
from ..checks import integer
from ..ops.operands import as_number
from ..tensor import Tensor


def positive(caller: str, what: str, value: Any) -> int:
    """The value as an int; raises TypeError where it is no integer, ValueError below 1."""
    return integer(caller, what, value, least=1)


def finite(caller: str, what: str, value: Any) -> int | float:
    """The value as a Python number; raises TypeError where it is none or a bool, ValueError for infinity and NaN."""
    if isinstance(value, (bool, np.bool_)):  # a flag where a rate or a probability belongs
        raise TypeError(f"{caller}: {what} must be a number, got {value!r}")
    number = as_number(caller, what, value)
    if not abs(number) <= sys.float_info.max:
        raise ValueError(f"{caller}: {what} must be finite, got {value!r}")
    return number


def not_negative(caller: str, what: str, value: Any) -> int | float:
    """The value as a Python number; raises as `finite` does, and ValueError below 0."""
    number = finite(caller, what, value)
    if number < 0:
        raise ValueError(f"{caller}: {what} must be 0 or more, got {value!r}")
    return number


def one_of(caller: str, what: str, value: Any, choices: tuple[str, ...]) -> str:
    """The value; raises ValueError, with the choices there are, for any other."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{caller}: {what} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def kind_of(value: Any) -> str:
    """What the value is, for a message: a class was often meant to be called."""
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"


def listed(caller: str, given: Any, expected: str = "a list of parameters") -> list[Any]:
    """Parameters, or groups of them, as a list; raises TypeError for a module, one tensor, and what is no list."""
    if isinstance(given, (Tensor, Mapping)) or not isinstance(given, Iterable):
        raise TypeError(
            f"{caller}: expected {expected}, got {kind_of(given)}; "
            "write module.parameters() for a module, [tensor] for one tensor"
        )
    return list(given)


def all_tensors(caller: str, parameters: list[Any]) -> list[Tensor]:
    """The parameters; raises TypeError where one of them is no Tensor."""
    for parameter in parameters:
        if not isinstance(parameter, Tensor):
            raise TypeError(
                f"{caller}: parameters must be Tensors, got {kind_of(parameter)}; a module's are module.parameters()"
            )
    return parameters
