"""What the search for a cause looks at: a wrong gradient beside the right one, and both Jacobians where they are small.

All of it is computed at one point; a cause has to explain a second point, too (see causes.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from .options import draw_cotangents
from .slopes import Arrays, Line, copies
from .subjects import Subject

SMALL = 1000  # elements of an input, and outputs, up to which a whole Jacobian is taken
SAMPLE = 60  # elements of a larger input at which the right gradient is taken
CLOSE = 1e-5  # two gradients are alike where they differ by less, relative to the largest element


def close(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    """Whether two arrays hold the same numbers, not all zero, wherever the second is known, which is not NaN there."""
    if a is None or b is None or a.shape != b.shape or not np.isfinite(a).all():
        return False
    known = ~np.isnan(b)
    a, b = a[known], b[known]
    largest = max(np.abs(a).max(initial=0.0), np.abs(b).max(initial=0.0))
    return bool(largest > 0 and np.abs(a - b).max(initial=0.0) <= CLOSE * largest)


@dataclass
class Evidence:
    """One point, one cotangent, and the input whose gradient is wrong.

    Attributes:
        arrays, cotangents: where, and what arrives.
        index: the input.
    """

    subject: Subject
    arrays: Arrays
    cotangents: Arrays
    index: int
    columns: dict[int, np.ndarray] = field(default_factory=dict)  # by input: the Jacobians that have been taken

    @property
    def x(self) -> np.ndarray:
        return self.arrays[self.index]

    @cached_property
    def outputs(self) -> Arrays:
        return self.subject.forward(copies(self.arrays))

    @property
    def y(self) -> np.ndarray:
        return self.outputs[0]

    @property
    def v(self) -> np.ndarray:
        return self.cotangents[0]

    def rule(self, cotangents: Arrays | None = None, arrays: Arrays | None = None) -> list[np.ndarray | None]:
        """What the rule says, here or at a place changed for a question."""
        arrays = copies(self.arrays if arrays is None else arrays)
        try:
            with np.errstate(all="ignore"):
                return self.subject.backward(arrays, [v.copy() for v in cotangents or self.cotangents])
        except Exception:  # a question that the rule cannot be asked
            return [None] * len(self.arrays)

    @cached_property
    def analytic(self) -> np.ndarray:
        found = self.rule()[self.index]
        return np.zeros_like(self.x) if found is None else np.asarray(found)

    @property
    def same_shape(self) -> bool:
        return self.analytic.shape == self.x.shape

    @cached_property
    def small(self) -> bool:
        """Whether whole Jacobians can be taken, by every input."""
        sizes = [x.size for x in self.arrays if x.dtype.kind == "f"]
        return max(sizes) <= SMALL and sum(y.size for y in self.outputs) <= SMALL

    def numeric_jacobian(self, index: int) -> np.ndarray:
        """(outputs, elements of that input), by central differences."""
        if index not in self.columns:
            rows = sum(y.size for y in self.outputs)
            found = np.zeros((rows, self.arrays[index].size))
            line = Line(self.subject.forward, self.arrays, self.cotangents)
            for e in range(self.arrays[index].size):
                t = line.scale(index, e) * line.eps ** (1 / 3)
                above, up = line.moved(index, e, t)
                below, down = line.moved(index, e, -t)
                rise = [(a - b).reshape(-1) for a, b in zip(above, below, strict=True)]
                found[:, e] = np.concatenate(rise) / (up + down)
            self.columns[index] = found
        return self.columns[index]

    @cached_property
    def B(self) -> np.ndarray:
        """The true Jacobian by the input, (outputs, elements)."""
        return self._clean(self.numeric_jacobian(self.index))

    @cached_property
    def A(self) -> np.ndarray:
        """The rule's Jacobian: what it says when a 1 arrives at one output, and 0 at all others."""
        rows = []
        for k, y in enumerate(self.outputs):
            for o in range(y.size):
                ones = [np.zeros_like(other) for other in self.outputs]
                ones[k].flat[o] = 1
                row = self.rule(ones)[self.index]
                rows.append(np.zeros(self.x.size) if row is None else np.asarray(row, np.float64).reshape(-1))
        return self._clean(np.stack(rows))

    def _clean(self, J: np.ndarray) -> np.ndarray:
        """Without the rounding errors where the Jacobian is zero."""
        return np.where(np.abs(J) > 1e-7 * np.abs(J).max(initial=0.0), J, 0.0)

    @cached_property
    def numeric(self) -> np.ndarray:
        """The right gradient, of the input's shape; of a large input a sample, the rest being NaN."""
        return self.numeric_of(self.index)

    def numeric_of(self, index: int) -> np.ndarray:
        x = self.arrays[index]
        if self.small:
            v = np.concatenate([c.reshape(-1) for c in self.cotangents])
            return (v @ self.numeric_jacobian(index)).reshape(x.shape)
        known = np.full(x.size, np.nan)
        line = Line(self.subject.forward, self.arrays, self.cotangents)
        for e in self.sample(x.size):
            known[e] = line.first_guess(index, int(e)).central
        return known.reshape(x.shape)

    def sample(self, size: int) -> np.ndarray:
        """Elements of a large input: half of them where the rule's gradient is largest."""
        drawn = np.random.default_rng(size).choice(size, min(size, SAMPLE // 2), replace=False)
        steepest = np.argsort(-np.abs(self.analytic).reshape(-1))[: SAMPLE // 2]
        return np.union1d(drawn, steepest[steepest < size])  # a gradient of the wrong shape may have more elements

    def contributions(self) -> np.ndarray:
        """(outputs' shape, input's shape): what each output adds to the gradient of each element."""
        return (self.v.reshape(-1, 1) * self.B).reshape(*self.y.shape, *self.x.shape)


def evidence_near(subject: Subject, arrays: Arrays, index: int, rng: np.random.Generator, move: float) -> Evidence:
    """Evidence at the point or a little beside it, with a cotangent of its own."""
    moved = [x * (1 + move * rng.uniform(-1, 1, x.shape)) if x.dtype.kind == "f" else x for x in arrays]
    moved = [np.asarray(m, x.dtype) for m, x in zip(moved, arrays, strict=True)]
    return Evidence(subject, moved, draw_cotangents(rng, subject.forward(copies(moved))), index)
