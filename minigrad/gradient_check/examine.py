"""One input at a time: does its gradient agree with the slopes?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .slopes import SAFELY, Difference, Line, Slope

OK, WRONG, KINK, PRECISION = "ok", "wrong", "kink", "precision"
NONDETERMINISTIC, DISCONNECTED = "nondeterministic", "disconnected"
NON_FINITE, MUTATES = "non-finite", "mutates its input"

EVERY, SAMPLE = 200, 48  # elements up to which each is looked at; how many of more are
DIRECTIONS = 2  # in which all elements of a sampled input are moved at once
DIRECTION_RTOL = 1e-6  # what a direction may be off before the element at fault is searched
SEVERITY = (OK, PRECISION, KINK, NON_FINITE, WRONG)


class Tolerance(NamedTuple):
    """|analytic - numeric| <= rtol max(|analytic|, |numeric|) + atol, atol as a share of the gradient's largest element
    where that is below 1: in units so small that all is within 1e-5, a wrong gradient is as wrong."""

    atol: float
    rtol: float
    largest: float

    def of(self, *values: float) -> float:
        return self.rtol * max(abs(v) for v in values) + self.atol * min(1.0, self.largest)


@dataclass(frozen=True)
class Element:
    """What was found at one element of an input."""

    index: tuple[int, ...]
    verdict: str
    analytic: float
    numeric: float
    error: float  # how far the numeric value may be off
    left: float
    right: float
    shape: str  # of the function there: see Slope

    def divided_by(self, weight: float) -> Element:
        """The same of a function without the weight that its output had."""
        numbers = {name: getattr(self, name) / weight for name in ("analytic", "numeric", "left", "right")}
        return replace(self, **numbers, error=self.error / abs(weight))

    @property
    def off(self) -> float:
        """How wrong it is, relative to its size."""
        return abs(self.analytic - self.numeric) / (max(abs(self.analytic), abs(self.numeric)) or 1.0)


def examine_input(
    line: Line, index: int, gradient: np.ndarray, tolerance: Tolerance, limit: int | None, rng: np.random.Generator
) -> list[Element]:
    """Looks at every element, or at a seeded sample and in directions that move all of them.

    Args:
        gradient: what the rule says, of the input's shape.
        limit: how many elements at most are looked at one by one.
    """
    size = gradient.size
    most, sample = (EVERY, SAMPLE) if limit is None else (limit, limit)
    if size <= most:
        return [examine_element(line, index, e, gradient, tolerance) for e in range(size)]
    elements = np.sort(rng.choice(size, size=sample, replace=False))
    found = [examine_element(line, index, int(e), gradient, tolerance) for e in elements]
    if any(one.verdict == WRONG for one in found):
        return found
    for group in _alike(line, index, gradient):
        for _ in range(DIRECTIONS):
            signs = rng.choice([-1.0, 1.0], size=size)
            suspect = _search(line, index, signs, group, gradient, tolerance)
            if suspect is not None:
                return [*found, suspect]
    return found


def _alike(line: Line, index: int, gradient: np.ndarray) -> list[np.ndarray]:
    """The elements in groups that contribute alike to a slope, so that none hides the others."""
    shares = np.abs(gradient).reshape(-1) * _lengths(line, index)
    largest = shares.max() or 1.0
    decades = np.clip(np.floor(np.log10(np.maximum(shares / largest, 1e-9))), -8, 0)
    return [np.flatnonzero(decades == decade) for decade in np.unique(decades)]


def _lengths(line: Line, index: int) -> np.ndarray:
    """How far each element moves in a direction: by its own size."""
    sizes = np.abs(line.point[index]).reshape(-1).astype(np.float64)
    return np.where(sizes > 0, sizes, line.scale(index))


def examine_element(line: Line, index: int, e: int, gradient: np.ndarray, tolerance: Tolerance) -> Element:
    analytic = float(gradient.flat[e])
    where = tuple(int(i) for i in np.unravel_index(e, gradient.shape))
    first = line.first_guess(index, e)
    if first.moved or not _depends_on(line, index, e):
        if _agrees(first, analytic, tolerance.of(analytic, first.central) + _rounding(line, index, e, first.size)):
            return Element(where, OK, analytic, first.central, first.noise, first.left, first.right, "smooth")
        closer, farther = line.move(index, e, 0.1 * first.step), line.move(index, e, 10 * first.step)
        allowed = 0.1 * tolerance.rtol * max(abs(first.central), abs(closer.central))
        # a small step may leave outputs as they are that depend on the element all the same
        far = abs(first.central - analytic) > 20 * (allowed + closer.noise + line.eps * line.size / closer.step)
        alike = _agrees(first, closer.central, allowed) and _agrees(closer, first.central, allowed)
        if far and closer.moved and alike and abs(farther.central - first.central) <= allowed:
            # three steps see one slope, and not this one: no doubt that would need a sweep
            error = max(abs(first.central - closer.central), first.noise)
            return Element(where, WRONG, analytic, first.central, error, first.left, first.right, "smooth")
    slope = line.sweep(index, e, tolerance.of(analytic))
    return Element(
        where,
        verdict_of(slope, analytic, tolerance, line, index, e),
        analytic,
        slope.value,
        slope.error,
        slope.left,
        slope.right,
        slope.shape,
    )


def _depends_on(line: Line, index: int, e: int) -> bool:
    """Whether larger steps change the outputs, where the usual one does not."""
    if line.step:
        return True
    scale = line.scale(index, e)
    return any(line.move(index, e, share * scale).moved for share in (1.0, 0.01))


def _rounding(line: Line, index: int, e: int, size: float) -> float:
    """How far off a right rule may be by its own rounding, where large terms cancel."""
    return 64 * line.eps * (size or line.size) / line.scale(index, e)


def _agrees(seen: Difference, analytic: float, allowed: float) -> bool:
    if not (np.isfinite(seen.left) and np.isfinite(seen.right)):
        return False
    margin = allowed + SAFELY * seen.noise
    # a rounding error as large as the tolerance decides nothing
    return (
        abs(seen.central - analytic) <= margin
        and abs(seen.right - seen.left) <= 2 * margin
        and seen.noise <= max(allowed, 1e-9)
    )


def verdict_of(slope: Slope, analytic: float, tolerance: Tolerance, line: Line, index: int, e: int) -> str:
    """What a sweep says of an analytic slope."""
    if slope.shape == "undefined" or not np.isfinite(analytic):
        return NON_FINITE
    low, high = min(slope.left, slope.right), max(slope.left, slope.right)
    if slope.shape == "kink":
        if _supported(slope.curve, analytic, tolerance.of(analytic)):
            return OK
        between = low - tolerance.of(low) <= analytic <= high + tolerance.of(high)
        return KINK if between else WRONG
    if slope.shape in ("jump", "edge"):
        return KINK
    size = max(d.size for d in slope.curve if d.finite)
    if any(d.finite and not d.moved for d in slope.curve[: len(slope.curve) // 2]):
        size = max(size, line.weight)  # outputs that stay as they are come from numbers of which small parts are lost
    steepest = max((abs(d.central) for d in slope.curve if d.finite and abs(d.central) > 10 * d.noise), default=0.0)
    rounding = _rounding(line, index, e, size) + 1e-12 * steepest
    allowed = tolerance.of(analytic, slope.value) + rounding
    off = abs(analytic - slope.value)
    if _supported(slope.curve, analytic, allowed) or (off <= allowed and slope.error <= 0.2 * abs(slope.value)):
        return OK
    if slope.error > max(allowed, 2 * rounding):
        return WRONG if off > allowed + 100 * slope.error else PRECISION
    if off <= allowed + SAFELY * slope.error:
        return OK
    # where larger steps show another slope than smaller ones, and nearly this one, none can be trusted
    return PRECISION if _supported(slope.curve, analytic, 10 * allowed) else WRONG


def _supported(curve: tuple[Difference, ...], analytic: float, allowed: float) -> bool:
    """Whether three steps in a row show this slope, with sides that come together as those of a smooth function do.

    Smaller steps may show another one all the same, where rounding within the function keeps outputs as they are.
    """
    most = max(d.moved for d in curve)
    for three in zip(curve, curve[1:], curve[2:], strict=False):
        apart = [abs(d.right - d.left) for d in three]
        closer = all(b <= max(0.3 * a, 10 * allowed) for a, b in pairwise(apart))
        if closer and all(abs(d.central - analytic) <= allowed and d.moved == most > 0 for d in three):
            return True
    return False


def _search(
    line: Line, index: int, signs: np.ndarray, elements: np.ndarray, gradient: np.ndarray, tolerance: Tolerance
) -> Element | None:
    """The element at fault where a direction's slope is not what the gradient says, by halving; None where all is well.

    Rounding aside, a direction is right only if all its elements are: each moves by its own scale.
    """
    contributions = gradient.reshape(-1)[elements] * _lengths(line, index)[elements]
    usual = float(np.sqrt(np.sum(contributions**2)))
    gap, _ = _gap(line, index, signs, elements, gradient)
    if abs(gap) <= DIRECTION_RTOL * usual + 1e-3 * tolerance.of(usual):
        return None
    while len(elements) > 1:
        halves = np.array_split(elements, 2)
        gaps = [abs(_gap(line, index, signs, half, gradient)[0]) for half in halves]
        elements = halves[int(np.argmax(gaps))]
    found = examine_element(line, index, int(elements[0]), gradient, tolerance)
    return None if found.verdict == OK else found


def _gap(line: Line, index: int, signs: np.ndarray, elements: np.ndarray, gradient: np.ndarray) -> tuple[float, float]:
    """How far the slope along a direction is from what the gradient says, beyond rounding; and what it says."""
    direction = np.zeros(gradient.shape)
    direction.flat[elements] = signs[elements] * _lengths(line, index)[elements]
    expected = float(np.sum(gradient * direction))
    seen = line.first_guess(index, direction)
    if seen.finite and abs(seen.central - expected) <= DIRECTION_RTOL * abs(expected) + SAFELY * seen.noise:
        return 0.0, expected
    slope = line.sweep(index, direction, abs(expected) * DIRECTION_RTOL)
    if not np.isfinite(slope.value):
        return 0.0, expected
    return max(0.0, abs(slope.value - expected) - 10 * slope.error), expected


def curve_of(line: Line, index: int, e: int) -> list[tuple[float, float]]:
    """(step, how far its slope is from the best one), for the picture."""
    slope = line.sweep(index, e, np.inf)
    return [(d.step, abs(d.central - slope.value)) for d in slope.curve if d.finite]
