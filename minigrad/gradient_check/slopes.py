"""Slopes by differences: how a function of arrays really changes, with the steps swept over decades.

The function is f(t) = the sum of cotangents * outputs at (point + t direction). A central difference,
(f(t) - f(-t)) / 2t, is wrong by O(t^2) where t is too large, and by rounding, O(eps / t), where it is too small.
Between the two lies a plateau: see Press et al., "Numerical Recipes", section 5.7.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

Arrays = list[np.ndarray]

PER_DECADE = 10.0
WIDEST, NARROWEST = 1.0, 1e-13  # steps of a sweep, as shares of the scale of what is moved
SAFELY = 4.0  # times the estimated rounding error


class Difference(NamedTuple):
    """The slopes seen with one step."""

    step: float
    central: float
    left: float  # (f(0) - f(-t)) / t
    right: float  # (f(t) - f(0)) / t
    noise: float  # how far rounding may have moved them

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.central))


class Slope(NamedTuple):
    """What a sweep over decades of steps says."""

    value: float  # the best central difference; nan where none is finite
    error: float  # how far it may be off
    left: float  # the one-sided slopes at the same step
    right: float
    step: float
    shape: str  # "smooth", "kink", "jump", "edge" (one side is not defined), or "undefined"
    curve: tuple[Difference, ...]  # all of them, the largest step first


class Line:
    """The function along directions from one point.

    Args:
        forward: arrays -> a list of floating arrays; is called with arrays of its own each time.
        point: the inputs, each in the floating dtype that forward shall get.
        cotangents: one for each output.
        step: the only step to use, or None for all decades.
    """

    def __init__(
        self,
        forward: Callable[[Arrays], Arrays],
        point: Sequence[np.ndarray],
        cotangents: Arrays,
        step: float | None = None,
    ) -> None:
        self.forward, self.point, self.cotangents, self.step = forward, list(point), cotangents, step
        self.base = forward([x.copy() for x in self.point])
        self.eps = max(float(np.finfo(y.dtype).eps) for y in [*self.base, *self.point] if y.dtype.kind == "f")

    def scale(self, index: int, element: int | None = None) -> float:
        """How large the numbers are that are moved: an element's own size, but no less than what is usual beside it."""
        sizes = np.abs(self.point[index]).astype(np.float64)
        nonzero = sizes[sizes > 0]
        usual = float(np.median(nonzero)) if nonzero.size else 1.0
        return usual if element is None else max(float(sizes.flat[element]), usual)

    def move(self, index: int, where: int | np.ndarray, t: float) -> Difference:
        """The slopes along one element (its flat index) or a direction (an array of the input's shape)."""
        plus, step_right = self._moved(index, where, t)
        minus, step_left = self._moved(index, where, -t)
        rise = drop = size = 0.0
        with np.errstate(all="ignore"):
            for v, y, above, below in zip(self.cotangents, self.base, plus, minus, strict=True):
                changed = (above != y) | (below != y)
                v, y = v[changed], y[changed].astype(np.float64)
                rise += float(np.sum(v * (above[changed] - y)))
                drop += float(np.sum(v * (y - below[changed])))
                size += float(np.sum((v * y) ** 2))
            noise = self.eps * float(np.sqrt(size)) / (step_right + step_left)
            return Difference(t, (rise + drop) / (step_right + step_left), drop / step_left, rise / step_right, noise)

    def _moved(self, index: int, where: int | np.ndarray, t: float) -> tuple[Arrays, float]:
        """The outputs after a step, and how long the step is after rounding."""
        arrays = [x.copy() for x in self.point]
        x = arrays[index]
        if isinstance(where, np.ndarray):
            x += (t * where).astype(x.dtype)
            return self.forward(arrays), abs(t)
        before = float(x.flat[where])
        x.flat[where] = before + t
        return self.forward(arrays), abs(float(x.flat[where]) - before) or abs(t)

    def first_guess(self, index: int, where: int | np.ndarray) -> Difference:
        """The slopes with the step that suits most functions, eps^(1/3) of the scale."""
        scale = self.scale(index, where) if isinstance(where, int) else 1.0
        return self.move(index, where, self.step or scale * self.eps ** (1 / 3))

    def sweep(self, index: int, where: int | np.ndarray, tolerance: float) -> Slope:
        """The slopes over all decades of steps, and the best of them; one-sided slopes that differ by more than the
        tolerance, with smaller steps too, make a kink."""
        if self.step:
            steps = self.step * np.array([10.0, 1.0, 0.1])
        else:
            scale, least = 1.0, 1.0
            if isinstance(where, int):
                scale = self.scale(index, where)
                own = abs(float(self.point[index].flat[where]))
                least = min(1.0, own / scale * 1e3 if own else 1.0)
            decades = int(np.ceil(np.log10(WIDEST / (NARROWEST * least))))
            steps = scale * WIDEST * PER_DECADE ** -np.arange(decades + 1.0)
        return best_of([self.move(index, where, float(step)) for step in steps], tolerance, 1 if self.step else None)


def best_of(curve: list[Difference], tolerance: float, chosen: int | None = None) -> Slope:
    """The best plateau of a sweep, or the chosen one."""
    sides = np.array([(d.left, d.right) for d in curve])
    if not any(d.finite for d in curve):
        one_side = np.isfinite(sides).any(axis=0)
        shape = "edge" if one_side.any() else "undefined"
        at = int(np.flatnonzero(np.isfinite(sides).any(axis=1))[-1]) if one_side.any() else len(curve) - 1
        return Slope(np.nan, np.inf, curve[at].left, curve[at].right, curve[at].step, shape, tuple(curve))
    # outputs that a tiny step does not change seem free of noise: it is what larger steps show
    sizes = [d.noise * d.step for d in curve if d.finite]
    noises = [max(sizes) / d.step for d in curve]
    errors = [_error(curve, j, noises[j]) for j in range(len(curve))]
    best = int(np.argmin(errors)) if chosen is None else chosen
    here = curve[best]
    shape = "smooth"
    if _is_kink(curve, best, noises, tolerance):
        shape = "kink"
    elif _is_jump(curve, noises):
        shape = "jump"
    return Slope(here.central, errors[best], here.left, here.right, here.step, shape, tuple(curve))


def _error(curve: list[Difference], j: int, noise: float) -> float:
    """How far a central difference may be off: a tenth of how far it is from its neighbours, or the rounding."""
    here = curve[j]
    if not here.finite:
        return np.inf
    beside = [curve[k] for k in (j - 1, j + 1) if 0 <= k < len(curve) and curve[k].finite]
    if not beside:
        return np.inf
    return max(noise, *(0.1 * abs(here.central - other.central) for other in beside))


def _is_kink(curve: list[Difference], best: int, noises: list[float], tolerance: float) -> bool:
    """Whether the one-sided slopes differ at the plateau, and as much with a smaller step: f'' t would be a tenth."""
    here, smaller = curve[best], curve[min(best + 1, len(curve) - 1)]
    apart, apart_closer = abs(here.right - here.left), abs(smaller.right - smaller.left)
    large = max(tolerance, 20 * noises[best], 1e-3 * max(abs(here.left), abs(here.right)))
    resolved = noises[min(best + 1, len(curve) - 1)] * 4 < apart
    return apart > large and (not resolved or not smaller.finite or apart_closer > 0.5 * apart)


def _is_jump(curve: list[Difference], noises: list[float]) -> bool:
    """Whether each smaller step shows a slope ten times as steep."""
    slopes = [d.central for d, noise in zip(curve, noises, strict=True) if d.finite and abs(d.central) > 1e3 * noise]
    ratios = [b / a for a, b in zip(slopes[-5:], slopes[-4:], strict=False) if a]
    return len(ratios) == 4 and all(9 < ratio < 11 for ratio in ratios)
