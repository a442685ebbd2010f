"""How the tests draw arrays: their shapes, their values, and above all how they lie in memory.

All values are multiples of 1/64, so that float32 holds them exactly. Arrays for derivatives are `smooth`: their values
are odd multiples of 1/64 and the functions have their kinks (0 of relu, the bounds of clip) at even ones, so that no
kink lies within a step of numerical.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

GRID = 1 / 64
LAYOUTS = ("row-major", "column-major", "batch innermost", "stepped", "reversed", "repeated")


class Drawn(NamedTuple):
    """An array before its dtype is chosen: float64 values, and how they shall lie in memory."""

    values: np.ndarray
    layout: str

    def array(self, dtype: Any) -> np.ndarray:
        return laid_out(self.values, self.layout, dtype)


def laid_out(values: np.ndarray, layout: str, dtype: Any) -> np.ndarray:
    """The values as an array that lies in memory in the given way."""
    values = values.astype(dtype)
    if values.ndim == 0:
        return values
    if layout == "column-major":
        return np.asfortranarray(values)
    if layout == "batch innermost":
        last = np.ascontiguousarray(np.moveaxis(values, 0, -1))
        return np.moveaxis(last, -1, 0)
    if layout == "stepped":
        wide = np.full([2 * size + 1 for size in values.shape], np.array(-77).astype(dtype))
        view = wide[(slice(1, None, 2),) * values.ndim]
        view[...] = values
        return view
    if layout == "reversed":
        back = (slice(None, None, -1),) * values.ndim
        return values[back].copy()[back]
    if layout == "repeated":  # stride 0 along each axis where all values are equal
        for axis in range(values.ndim):
            if values.shape[axis] > 1 and (values == values.take([0], axis)).all():
                values = np.broadcast_to(values.take([0], axis), values.shape)
        return values
    return values


class Draws:
    """What the draw functions of the rows are written with."""

    def __init__(self, draw: Callable[..., Any], smooth: bool) -> None:
        self.draw, self.smooth = draw, smooth

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def choice(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def size(self, empty: bool = True) -> int:
        """A side of a shape; 0 now and then, where there is something to compute without it."""
        return self.choice(*([1, 2, 3, 4] if self.smooth or not empty else [1, 2, 3, 4, 2, 3, 0]))

    def shape(self, min_dims: int = 0, max_dims: int = 3, empty: bool = True) -> tuple[int, ...]:
        return tuple(self.size(empty) for _ in range(self.integer(min_dims, max_dims)))

    def partner(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A shape that broadcasts with the given one: shorter, or with some sides 1."""
        return tuple(self.choice(1, size, size) for size in shape[self.integer(0, len(shape)) :])

    def array(
        self, shape: tuple[int, ...], low: float = -2.0, high: float = 2.0, distinct: bool = False, odd: bool = True
    ) -> Drawn:
        """Values between low and high; if smooth and `distinct`, all different, from -8 to 8. `odd`: see the top."""
        rng = np.random.default_rng(self.integer(0, 2**32 - 1))
        layout = self.choice(*LAYOUTS)
        if self.smooth and distinct:
            values = (2 * rng.permutation(512)[: math.prod(shape)].reshape(shape) - 511) * GRID
            return Drawn(values, layout)
        source = shape
        if layout == "repeated" and shape:
            axis = self.integer(0, len(shape) - 1)
            source = (*shape[:axis], min(1, shape[axis]), *shape[axis + 1 :])
        spacing = 2 if self.smooth or self.choice(False, True) else 64  # whole numbers make ties
        steps = rng.integers(round(low / GRID) // spacing, round(high / GRID) // spacing, source)
        values = (steps * spacing + (1 if self.smooth and odd else 0)) * GRID
        return Drawn(np.broadcast_to(np.maximum(values, low), shape).copy(), layout)

    def booleans(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.random.default_rng(self.integer(0, 2**32 - 1)).random(shape) < 0.5

    def axis(self, ndim: int) -> int:
        return self.integer(-ndim, ndim - 1)

    def axes(self, ndim: int) -> Any:
        """None, an axis, or a tuple of them in any order, some negative."""
        if ndim == 0 or self.choice(True, False, False):
            return self.choice(None, ())
        if self.choice(True, False):
            return self.axis(ndim)
        chosen = self.draw(st.lists(st.integers(0, ndim - 1), unique=True))
        return tuple(self.choice(a, a - ndim) for a in chosen)

    def pair(self, low: int, high: int) -> Any:
        """A number for both directions, or a pair."""
        return self.choice(self.integer(low, high), (self.integer(low, high), self.integer(low, high)))
