"""The public names of modules that take arguments, found by inspection: what tables of wrong arguments must cover."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any


def names(*modules: ModuleType) -> set[str]:
    """The functions, classes and methods that take an argument, as `name` and `Class.method`.

    A method counts for the class that defines it, or for the public classes below it where that one isn't public.
    """
    values = {name: value for module in modules for name, value in public(module).items()}
    classes = [value for value in values.values() if inspect.isclass(value)]
    found = {name for name, value in values.items() if inspect.signature(value).parameters}
    for cls in classes:
        for name, method in inspect.getmembers(cls, lambda v: inspect.isfunction(v) or inspect.ismethod(v)):
            owner = next(c for c in cls.__mro__ if name in vars(c))
            inherited = owner is not cls and owner in classes
            if name[0] != "_" and is_ours(owner) and not inherited:
                takes_self = inspect.isfunction(vars(owner)[name])
                if len(inspect.signature(method).parameters) > takes_self:
                    found.add(f"{cls.__name__}.{name}")
    return found


def public(module: ModuleType) -> dict[str, Any]:
    """The functions and classes that a module offers: all of a package, and those that a single file defines.

    Not the exceptions: minigrad alone makes them.
    """
    listed = getattr(module, "__all__", None) or [name for name in vars(module) if name[0] != "_"]
    values = {name: getattr(module, name) for name in listed}
    classes = {name: v for name, v in values.items() if inspect.isclass(v) and not issubclass(v, BaseException)}
    routines = {**classes, **{name: v for name, v in values.items() if inspect.isfunction(v)}}
    is_package = hasattr(module, "__path__")
    return {name: v for name, v in routines.items() if (is_ours(v) if is_package else v.__module__ == module.__name__)}


def is_ours(value: Any) -> bool:
    return value.__module__.startswith("minigrad")


def resolve(name: str, *modules: ModuleType) -> Any:
    """What stands behind `name` or `Class.attribute` in the first of the modules that has it."""
    first, *attributes = name.split(".")
    value = next(vars(module)[first] for module in modules if first in vars(module))
    for attribute in attributes:
        value = getattr(value, attribute)
    return value
