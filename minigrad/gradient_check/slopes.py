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
TINIEST = 1e-290  # as a share of the scale, the smallest element that still gets smaller steps
SAFELY = 4.0  # times the estimated rounding error


def copies(arrays: Sequence[np.ndarray]) -> Arrays:
    """Of the same layout in memory, which a rule may depend on."""
    return [x.copy(order="K") for x in arrays]


class Difference(NamedTuple):
    """The slopes seen with one step."""

    step: float
    central: float
    left: float  # (f(0) - f(-t)) / t
    right: float  # (f(t) - f(0)) / t
    size: float  # of the outputs that changed: the root of the sum of their squares, each with its cotangent
    moved: int  # how many outputs changed
    noise: float  # how far rounding may have moved the slopes, eps size / 2t

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
        self.base = forward(copies(self.point))
        weighted = [v * y for v, y in zip(cotangents, self.base, strict=True)]
        self.weight = float(np.sqrt(sum(np.sum(v.astype(np.float64) ** 2) for v in cotangents)))
        self.size = float(np.sqrt(sum(np.sum(w.astype(np.float64) ** 2) for w in weighted)))
        self.eps = max(float(np.finfo(y.dtype).eps) for y in [*self.base, *self.point] if y.dtype.kind == "f")

    def scale(self, index: int, element: int | None = None) -> float:
        """How large the numbers are that are moved: an element's own size, but no less than what is usual beside it."""
        sizes = np.abs(self.point[index]).astype(np.float64)
        nonzero = sizes[sizes > 0]
        usual = float(np.median(nonzero)) if nonzero.size else 1.0
        return usual if element is None else max(float(sizes.flat[element]), usual)

    def move(self, index: int, where: int | np.ndarray, t: float) -> Difference:
        """The slopes along one element (its flat index) or a direction (an array of the input's shape)."""
        plus, step_right = self.moved(index, where, t)
        minus, step_left = self.moved(index, where, -t)
        rise = drop = size = 0.0
        moved = 0
        with np.errstate(all="ignore"):
            for v, y, above, below in zip(self.cotangents, self.base, plus, minus, strict=True):
                changed = (above != y) | (below != y)
                moved += int(np.count_nonzero(changed))
                v, y = v[changed], y[changed].astype(np.float64)
                rise += float(np.sum(v * (above[changed] - y)))
                drop += float(np.sum(v * (y - below[changed])))
                size += float(np.sum((v * y) ** 2))
            size, width = float(np.sqrt(size)), step_right + step_left
            return Difference(
                t, (rise + drop) / width, drop / step_left, rise / step_right, size, moved, self.eps * size / width
            )

    def moved(self, index: int, where: int | np.ndarray, t: float) -> tuple[Arrays, float]:
        """The outputs after a step, and how long the step is after rounding."""
        arrays = copies(self.point)
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
                least = max(min(1.0, own / scale * 1e3), TINIEST) if own else 1.0
            decades = int(np.ceil(np.log10(WIDEST / (NARROWEST * least))))
            steps = scale * WIDEST * PER_DECADE ** -np.arange(decades + 1.0)
        curve = [self.move(index, where, float(step)) for step in steps]
        # the only step shows nothing of outputs that it does not change, but that they are not exact
        return best_of(curve, tolerance, self.eps, self.size if self.step else 0.0, 1 if self.step else None)


def best_of(
    curve: list[Difference], tolerance: float, eps: float, size: float = 0.0, chosen: int | None = None
) -> Slope:
    """The best plateau of a sweep, or the chosen one. Outputs have at least the size that is given."""
    sides = np.array([(d.left, d.right) for d in curve])
    if not any(d.finite for d in curve):
        one_side = np.isfinite(sides).any(axis=0)
        shape = "edge" if one_side.any() else "undefined"
        at = int(np.flatnonzero(np.isfinite(sides).any(axis=1))[-1]) if one_side.any() else len(curve) - 1
        return Slope(np.nan, np.inf, curve[at].left, curve[at].right, curve[at].step, shape, tuple(curve))
    # outputs that a tiny step does not change seem free of noise: it is what larger steps show
    size = max(size, *(d.size for d in curve if d.finite))
    noises = [0.5 * eps * size / d.step for d in curve]
    errors = np.array([_error(curve, j, noises[j]) for j in range(len(curve))])
    plausible = np.array([np.inf if _denied(curve, j, noises, errors[j]) else error for j, error in enumerate(errors)])
    trusted = plausible if np.isfinite(plausible).any() else errors
    good = np.flatnonzero(trusted <= 3 * trusted.min())  # of steps as good, the smallest knows the point best
    best = int(good[-1]) if chosen is None else chosen
    here = curve[best]
    shape = "smooth"
    if _is_kink(curve, best, noises, max(tolerance, 20 * float(errors[best]))):
        shape = "kink"
    elif _is_jump(curve, noises):
        shape = "jump"
    return Slope(here.central, float(errors[best]), here.left, here.right, here.step, shape, tuple(curve))


def _error(curve: list[Difference], j: int, noise: float) -> float:
    """How far a central difference may be off: a tenth of how far it is from its neighbours, or the rounding."""
    here = curve[j]
    if not here.finite:
        return np.inf
    beside = [curve[k] for k in (j - 1, j + 1) if 0 <= k < len(curve) and curve[k].finite]
    if not beside:
        return np.inf
    return max(noise, *(0.1 * abs(here.central - other.central) for other in beside))


def _denied(curve: list[Difference], j: int, noises: list[float], error: float) -> bool:
    """Whether a smaller step shows another slope than rounding explains: what looks like a plateau is none."""
    return any(
        abs(curve[k].central - curve[j].central) > 10 * noises[k] + 5 * error
        for k in range(j + 1, len(curve))
        if curve[k].finite
    )


def _is_kink(curve: list[Difference], best: int, noises: list[float], tolerance: float) -> bool:
    """Whether the one-sided slopes differ at the plateau, and as much with a smaller step: f'' t would be a tenth."""
    here, smaller = curve[best], curve[min(best + 1, len(curve) - 1)]
    apart, apart_closer = abs(here.right - here.left), abs(smaller.right - smaller.left)
    large = max(tolerance, 1e-3 * max(abs(here.left), abs(here.right)))
    resolved = noises[min(best + 1, len(curve) - 1)] * 4 < apart
    return apart > large and (not resolved or not smaller.finite or apart_closer > 0.5 * apart)


def _is_jump(curve: list[Difference], noises: list[float]) -> bool:
    """Whether each smaller step shows a slope ten times as steep."""
    slopes = [d.central for d, noise in zip(curve, noises, strict=True) if d.finite and abs(d.central) > 1e3 * noise]
    ratios = [b / a for a, b in zip(slopes[-5:], slopes[-4:], strict=False) if a]
    return len(ratios) == 4 and all(9 < ratio < 11 for ratio in ratios)


def differ(first: Sequence[np.ndarray | None], second: Sequence[np.ndarray | None]) -> bool:
    """Whether two computations of the same thing differ by more than another order of summation would make."""
    for a, b in zip(first, second, strict=True):
        if (a is None) != (b is None):
            return True
        if a is None or b is None:
            continue
        exact = 1e-3 if a.dtype == np.float32 else 1e-9
        if a.shape != b.shape or not np.allclose(a, b, rtol=exact, atol=_largest(a) * exact / 1e3, equal_nan=True):
            return True
    return False


def _largest(x: np.ndarray) -> float:
    return float(np.abs(x[np.isfinite(x)]).max(initial=0.0))
