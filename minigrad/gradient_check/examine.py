"""One input at a time: does its gradient agree with the slopes?"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    for _ in range(DIRECTIONS):
        signs = rng.choice([-1.0, 1.0], size=size)
        suspect = _search(line, index, signs, np.arange(size), gradient, tolerance)
        if suspect is not None:
            found.append(suspect)
    return found


def examine_element(line: Line, index: int, e: int, gradient: np.ndarray, tolerance: Tolerance) -> Element:
    analytic = float(gradient.flat[e])
    where = tuple(int(i) for i in np.unravel_index(e, gradient.shape))
    first = line.first_guess(index, e)
    allowed = tolerance.of(analytic, first.central)
    if _agrees(first, analytic, allowed):
        return Element(where, OK, analytic, first.central, first.noise, first.left, first.right, "smooth")
    closer = line.move(index, e, 0.1 * first.step)
    if _agrees(first, closer.central, allowed / 10) and _agrees(closer, first.central, allowed / 10):
        # two steps see one slope, and not this one: no doubt that would need a sweep
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
        between = low - tolerance.of(low) <= analytic <= high + tolerance.of(high)
        return KINK if between else WRONG
    if slope.shape in ("jump", "edge"):
        return KINK
    allowed = tolerance.of(analytic, slope.value)
    off = abs(analytic - slope.value)
    # what a slope of this function at this scale could be: an error far below it is none
    natural = max(d.noise * d.step for d in slope.curve) / line.eps / line.scale(index, e)
    natural = max(natural, *(abs(d.central) for d in slope.curve if d.finite))
    if slope.error > max(allowed, tolerance.rtol * 1e-2 * natural):
        return WRONG if off > allowed + 100 * slope.error else PRECISION
    return OK if off <= allowed + SAFELY * slope.error else WRONG


def _search(
    line: Line, index: int, signs: np.ndarray, elements: np.ndarray, gradient: np.ndarray, tolerance: Tolerance
) -> Element | None:
    """The element at fault where a direction's slope is not what the gradient says, by halving; None where all is well.

    Rounding aside, a direction is right only if all its elements are: each moves by its own scale.
    """
    gap, expected = _gap(line, index, signs, elements, gradient)
    if abs(gap) <= DIRECTION_RTOL * abs(expected) + tolerance.of(expected) * 1e-3:
        return None
    while len(elements) > 1:
        halves = np.array_split(elements, 2)
        gaps = [abs(_gap(line, index, signs, half, gradient)[0]) for half in halves]
        elements = halves[int(np.argmax(gaps))]
    found = examine_element(line, index, int(elements[0]), gradient, tolerance)
    return None if found.verdict == OK else found


def _gap(line: Line, index: int, signs: np.ndarray, elements: np.ndarray, gradient: np.ndarray) -> tuple[float, float]:
    """How far the slope along a direction is from what the gradient says, beyond rounding; and what it says."""
    x = line.point[index]
    usual = line.scale(index)
    sizes = np.abs(x).reshape(-1)[elements]
    lengths = np.where(sizes > 0.1 * usual, sizes, usual)
    direction = np.zeros(x.shape)
    direction.flat[elements] = signs[elements] * lengths
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
