"""The options of a check, and the arguments of the three functions of check.py, checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..autograd import Function
from ..backends import Backend
from ..checks import integer, require
from ..tensor import Tensor


class Options(NamedTuple):
    """What the public functions' docstrings say of them."""

    eps: float | None = None
    atol: float = 1e-5
    rtol: float = 1e-3
    seed: int = 0
    max_elements: int | None = None

    def cotangents(self, outputs: Sequence[np.ndarray], draw: int = 0) -> list[np.ndarray]:
        """Random gradients to arrive at the outputs, by the seed."""
        return draw_cotangents(np.random.default_rng([self.seed, draw]), outputs)


def draw_cotangents(rng: np.random.Generator, outputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Random gradients to arrive at the outputs: of either sign, none near zero, no two alike."""
    drawn = [rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1.0, 1.0], y.shape) for y in outputs]
    return [np.asarray(v, y.dtype) for v, y in zip(drawn, outputs, strict=True)]


def checked_options(caller: str, **given: Any) -> Options:
    """Raises TypeError for unknown options and for no numbers, ValueError for numbers out of range."""
    unknown = sorted(set(given) - set(Options._fields))
    if unknown:
        raise TypeError(f"{caller}: unknown option {unknown[0]!r}; there are {', '.join(Options._fields)}")
    options = Options(**given)
    for name in ("eps", "atol", "rtol"):
        value = getattr(options, name)
        if name == "eps" and value is None:
            continue
        number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        require(number, f"{caller}: {name} must be a number", value)
        if not np.isfinite(value) or value < 0 or (name == "eps" and value == 0):
            raise ValueError(f"{caller}: {name} must be {'above' if name == 'eps' else 'at least'} 0, got {value!r}")
    integer(caller, "seed", options.seed, least=0)
    if options.max_elements is not None:
        integer(caller, "max_elements", options.max_elements, least=1)
    return options


def differentiable(arguments: Sequence[Any]) -> list[int]:
    """Which arguments are checked: the Tensors that require gradients, or else all that is floating."""
    wanted = [i for i, a in enumerate(arguments) if isinstance(a, Tensor) and a.requires_grad]
    floating = [i for i, a in enumerate(arguments) if isinstance(a, (Tensor, np.ndarray)) and a.dtype.kind == "f"]
    if not (wanted or floating):
        kinds = [f"{type(a).__name__} of {a.dtype}" if hasattr(a, "dtype") else type(a).__name__ for a in arguments]
        got = ", ".join(kinds) or "nothing"
        raise TypeError(f"gradcheck: none of the inputs is a floating Tensor or array, got ({got})")
    return wanted or floating


def constant(value: Any, backend: Backend) -> Any:
    """An argument that is not differentiated as the function shall get it: arrays in float64, on the backend."""
    if not isinstance(value, (Tensor, np.ndarray)):
        return value
    array = value.numpy() if isinstance(value, Tensor) else value
    if isinstance(value, np.ndarray) and array.dtype.kind != "f":
        return value.copy()  # an index, which may have to be an array
    return Tensor(array.astype(np.float64) if array.dtype.kind == "f" else array, backend=backend)


def names_of(fn: Callable[..., Any], positions: Sequence[int]) -> list[str]:
    """The names of the function's parameters, or "input 0" and so on."""
    if is_apply(fn):
        fn = fn.__self__().forward  # type: ignore[attr-defined]
    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [named[i] if i < len(named) else f"input {i}" for i in positions]


def title_of(fn: Callable[..., Any]) -> str:
    return fn.__self__.name() if is_apply(fn) else getattr(fn, "__name__", type(fn).__name__)  # type: ignore[attr-defined]


def is_apply(fn: Callable[..., Any]) -> bool:
    """Whether it is the `apply` of a Function."""
    owner = getattr(fn, "__self__", None)
    return isinstance(owner, type) and issubclass(owner, Function) and fn.__name__ == "apply"
