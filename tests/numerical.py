"""Derivatives by differences of function values, in float64: what the backward rules are checked against."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

STEP = 2.0**-10  # a power of two: small binary fractions, as op_cases draws them, are moved without rounding


def directional_derivative(f: Callable[..., float], at: Sequence[np.ndarray], direction: Sequence[np.ndarray]) -> float:
    """d/dt f(at + t direction) at t = 0, by central differences of two widths: wrong by STEP^4 f''''' / 30.

    Both widths are one formula: (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12 h.
    """

    def moved(t: float) -> float:
        return f(*(x + t * u for x, u in zip(at, direction, strict=True)))

    near = moved(STEP) - moved(-STEP)
    far = moved(2 * STEP) - moved(-2 * STEP)
    return (8 * near - far) / (12 * STEP)


def gradient(f: Callable[..., float], at: Sequence[np.ndarray]) -> list[np.ndarray]:
    """df/dx for each array, one element after the other."""
    gradients = [np.empty(x.shape) for x in at]
    for k, x in enumerate(at):
        for index in np.ndindex(*x.shape):
            unit = [np.zeros(other.shape) for other in at]
            unit[k][index] = 1.0
            gradients[k][index] = directional_derivative(f, at, unit)
    return gradients
