"""The names of the real package CuPy and their parameters, recorded in cupy_surface.json.

The stand-in allows these and no others. Where CuPy is installed they can be recorded anew, with no GPU:

    python tests/gpu/cupy_surface.py        records them
    python tests/gpu/cupy_surface.py show   prints them instead
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import sys
from inspect import Parameter
from pathlib import Path
from types import ModuleType
from typing import Any

SURFACE = Path(__file__).with_name("cupy_surface.json")

MODULES = ("cupy", "cupy.cuda", "cupy.cuda.runtime", "cupy.lib.stride_tricks", "cupy.linalg")


def of(cupy: ModuleType) -> dict[str, Any]:
    """The surface of an installed CuPy: its version, the names in each module, and those of its arrays.

    A function's parameters are one string, `a axis= * out=`: with = where there is a default, and stars as Python
    writes them; `?` where the function does not tell.
    """
    modules = {name: _module_surface(importlib.import_module(name), cupy.ufunc) for name in MODULES}
    return {"version": cupy.__version__, "ndarray": " ".join(dir(cupy.ndarray)), **modules}


def _module_surface(module: ModuleType, ufunc: type) -> dict[str, Any]:
    functions, ufuncs, others = {}, [], []
    for name in dir(module):
        value = getattr(module, name, None)
        if name.startswith("_"):
            continue
        if isinstance(value, ufunc):
            ufuncs.append(name)
        elif callable(value) and not isinstance(value, type):
            functions[name] = _written(value)
        else:
            others.append(name)
    return {"functions": functions, "ufuncs": " ".join(ufuncs), "others": " ".join(others)}


STARS = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}


def _written(function: Any) -> str:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return "?"
    words: list[str] = []
    for parameter in parameters:
        if parameter.kind is Parameter.KEYWORD_ONLY and not any(word[0] == "*" for word in words):
            words.append("*")
        default = "" if parameter.default is Parameter.empty else "="
        words.append(STARS.get(parameter.kind, "") + parameter.name + default)
    return " ".join(words)


@functools.cache
def recorded() -> dict[str, Any]:
    """What `of` said of the CuPy that was recorded."""
    return json.loads(SURFACE.read_text())


@functools.cache
def names(module: str) -> frozenset[str]:
    """All public names of a module of the real package."""
    surface = recorded()[module]
    return frozenset([*surface["functions"], *surface["ufuncs"].split(), *surface["others"].split()])


@functools.cache
def signature(module: str, name: str) -> inspect.Signature:
    """The recorded parameters of a function, to check calls against.

    >>> signature("cupy", "argmax")
    <Signature (a, axis=None, dtype=None, out=None, keepdims=None)>
    """
    parameters, kind = [], Parameter.POSITIONAL_OR_KEYWORD
    written = recorded()[module]["functions"][name]
    for word in ("*args **kwargs" if written == "?" else written).split():
        if word.startswith("**"):
            parameters.append(Parameter(word[2:], Parameter.VAR_KEYWORD))
        elif word.startswith("*"):
            kind = Parameter.KEYWORD_ONLY
            parameters += [Parameter(word[1:], Parameter.VAR_POSITIONAL)] if word[1:] else []
        else:
            default = None if word.endswith("=") else Parameter.empty
            parameters.append(Parameter(word.rstrip("="), kind, default=default))
    return inspect.Signature(parameters)


if __name__ == "__main__":
    surface = json.dumps(of(importlib.import_module("cupy")), indent=1) + "\n"
    if sys.argv[1:] == ["show"]:
        print(surface)
    else:
        SURFACE.write_text(surface)
