"""What the planted rules are written with: the two records, the registries, the names of the causes, and draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from minigrad import Tensor

UNKNOWN = "cause unknown"  # wrong in a way that none of the other names describes
CAUSES = (
    "constant factor",
    "transposed",
    "shifted by one",
    "kernel not flipped",
    "inputs swapped",
    "not summed over a broadcast axis",
    "upstream gradient ignored",
    "accumulated twice",
    "overwritten",
    "term missing",
    "mask inverted",
    "padding or stride not undone",
    "saved value changed",
    "batch elements mixed",
    UNKNOWN,
)

Arrays: TypeAlias = "tuple[np.ndarray, ...]"


@dataclass(frozen=True)
class NumpyPair:
    """A layer by hand, in bare NumPy.

    A layer may keep values from its forward pass for the backward pass, so call forward at the inputs just before
    backward. Both are called with arrays of the inputs' shapes and dtypes.
    """

    forward: Callable[..., np.ndarray]  # forward(*inputs)
    backward: Callable[..., Any]  # backward(grad_output, *inputs): a gradient for each input, or None
    inputs: Arrays
    input: int = 0  # one whose gradient is wrong
    factor: float | None = None  # wrong gradient / right gradient of that input, where it is one number
    analytic = culprit = None
    order = 1


@dataclass(frozen=True)
class OnTensors:
    """A function of Tensors that returns a Tensor, or a tuple of them.

    Inputs of integers become Tensors that require no gradient.
    """

    fn: Callable[..., Any]
    inputs: Arrays
    input: int = 0
    culprit: str | None = None  # the Function whose rule gives a wrong gradient, or whose saved value was changed
    factor: float | None = None
    order: int = 1  # 2 where the gradient is right and the gradient of the gradient is wrong
    analytic: Callable[..., tuple[Any, ...]] | None = None  # analytic(*cotangents, *inputs): right gradients


Record: TypeAlias = "NumpyPair | OnTensors"


class Wrong(NamedTuple):
    name: str
    cause: str
    slip: str  # in one line, what the student did
    build: Callable[[], Record]


class Awkward(NamedTuple):
    name: str
    why: str
    build: Callable[[], Record]


WRONG: list[Wrong] = []
AWKWARD: list[Awkward] = []


def wrong(cause: str) -> Callable[[Callable[[], Record]], Callable[[], Record]]:
    """Registers a function that builds a wrong rule; its docstring says what the slip is."""

    def register(build: Callable[[], Record]) -> Callable[[], Record]:
        WRONG.append(Wrong(build.__name__, cause, build.__doc__ or "", build))
        return build

    return register


def awkward(build: Callable[[], Record]) -> Callable[[], Record]:
    """Registers a function that builds a right but awkward case; its docstring says what is awkward."""
    AWKWARD.append(Awkward(build.__name__, build.__doc__ or "", build))
    return build


def normal(seed: int, *shape: int, scale: float = 1.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).standard_normal(shape)


def positive(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.5, 2.0, shape)


def off_zero(seed: int, *shape: int) -> np.ndarray:
    """No value closer to 0 than 0.1."""
    x = normal(seed, *shape)
    return np.sign(x) * (np.abs(x) + 0.1)


def distinct(seed: int, *shape: int) -> np.ndarray:
    """No two values closer than 0.1, none closer to 0 than 0.025."""
    size = int(np.prod(shape))
    return (np.random.default_rng(seed).permutation(size).reshape(shape) - size // 2) * 0.1 + 0.025


def beside(array: np.ndarray, tensor: Tensor) -> Tensor:
    """What a rule computed with NumPy, as a Tensor on the backend of another."""
    return Tensor(array, backend=tensor.backend)
