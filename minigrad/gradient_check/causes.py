"""Why a gradient is wrong: the slips that people make, each with the trace that it leaves.

A cause is named only where it explains the whole gradient, at two points. Else it is unknown. The questions are asked
in this order because some slips leave the trace of others: all elements of a size-1 input are off by one factor, say.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, permutations
from typing import NamedTuple

import numpy as np

from .evidence import Evidence, close, evidence_near
from .jacobians import (
    accumulated_twice,
    batch_mixed,
    mask_inverted,
    others_left_out,
    overwritten,
    shifted_by_the_stride,
    term_missing,
)
from .slopes import Arrays
from .subjects import Subject

UNKNOWN, NOTHING = "cause unknown", "none of the usual slips explains it"


class Cause(NamedTuple):
    name: str
    explanation: str


def likely_cause(subject: Subject, arrays: Arrays, index: int, seed: int) -> Cause:
    """The cause of the wrong gradient of one input, or "cause unknown"."""
    rng = np.random.default_rng(seed)
    here = evidence_near(subject, arrays, index, rng, 0.0)
    if here.y.size == 0 or here.x.size == 0:
        return Cause(UNKNOWN, NOTHING)
    beside = evidence_near(subject, arrays, index, rng, 0.01)
    for name, question in QUESTIONS:
        explanation = question(here)
        if explanation is not None and question(beside) is not None:
            return Cause(name, explanation)
    return Cause(UNKNOWN, NOTHING if here.small else f"{NOTHING}; more can be told of a smaller input")


# ------------------------------------------------------------------------- questions that are put to the rule itself


def adds_to_what_it_returned(e: Evidence) -> str | None:
    first, second = e.rule()[e.index], e.rule()[e.index]
    if first is None or second is None or close(first, second) or not second.any():
        return None
    return "asked twice, the rule returns more: it adds to what it returned before, and the engine adds that again"


def upstream_ignored(e: Evidence) -> str | None:
    doubled, other = e.rule([2 * v for v in e.cotangents]), e.rule([np.roll(v, 1) * 3 + 0.1 for v in e.cotangents])
    if close(doubled[e.index], e.analytic) and close(other[e.index], e.analytic):
        return "whatever gradient arrives, the rule returns the same: it is not multiplied by the upstream gradient"
    return None


def mask_of_the_gradient(e: Evidence) -> str | None:
    doubled = e.rule([2 * v for v in e.cotangents])[e.index]
    opposite = e.rule([-v for v in e.cotangents])[e.index]
    if close(doubled, 2 * e.analytic) and opposite is not None and not close(opposite, -e.analytic):
        return "the mask is taken from the sign of the gradient that arrives, not from the input"
    return None


def is_linear(e: Evidence) -> bool:
    """Whether the rule is linear in what arrives, as every derivative is."""
    other = [np.roll(v, 1) - 0.3 for v in e.cotangents]
    one, two = e.rule(other)[e.index], e.rule([a + b for a, b in zip(e.cotangents, other, strict=True)])[e.index]
    return one is not None and one.shape == e.analytic.shape and close(two, e.analytic + one)


# ------------------------------------------------------------------------------------ questions of the gradient alone


def constant_factor(e: Evidence) -> str | None:
    if not e.same_shape:
        return None
    a, n = e.analytic.reshape(-1), e.numeric.reshape(-1)
    at = int(np.nanargmax(np.abs(n)))
    factor = float(a[at] / n[at])
    if factor == 0 or abs(factor - 1) < 1e-4 or not close(a, factor * n):
        return None
    # one element, or a function of one number, is off by some factor in any case: only a telling one counts
    telling = _name_of_factor(e, factor)
    if telling is None and _nonzero(n) < 2:
        return None
    return telling or f"it is {factor:.4g} times what it should be everywhere"


def _name_of_factor(e: Evidence, factor: float) -> str | None:
    if abs(factor + 1) < 1e-4:
        return "its sign is wrong"
    for size in dict.fromkeys([*e.x.shape, *e.y.shape, e.x.size, e.y.size, e.x.size // max(e.y.size, 1), 2]):
        if size > 1 and abs(factor - size) < 1e-4 * size:
            return f"it is {size} times too large" + ("" if size == 2 else f": a mean over {size} forgotten?")
        if size > 1 and abs(factor - 1 / size) < 1e-4 / size:
            return f"it is 1/{size} of what it should be" + (
                ": the 2 of a square forgotten?" if size == 2 else f": a sum taken for a mean over {size}?"
            )
    return None


def inputs_swapped(e: Evidence) -> str | None:
    gradients = e.rule()
    for j, other in enumerate(e.arrays):
        if j == e.index or other.dtype.kind != "f" or other.size != e.x.size:
            continue
        numeric = e.numeric_of(j)
        if close(e.analytic.reshape(-1), numeric.reshape(-1)) and not close(numeric.reshape(-1), e.numeric.reshape(-1)):
            back = gradients[j]
            if back is not None and close(np.asarray(back).reshape(-1), e.numeric.reshape(-1)):
                if e.small and mask_inverted(e) is not None:
                    return None  # a choice between the two
                return f"it is the gradient of input {j}, and input {j} has this one's"
    return None


def transposed(e: Evidence) -> str | None:
    a, n = e.analytic, e.numeric
    for axes in _permutations(n.ndim):
        if a.ndim == n.ndim and close(a.transpose(axes), n):
            return f"it is right after transpose{axes}"
        if a.size == n.size and close(a.reshape([n.shape[i] for i in axes]).transpose(np.argsort(axes)), n):
            return f"its numbers lie in the order of axes {axes}: reshape does not transpose"
    for j, other in enumerate(e.arrays):
        if other.ndim == 2 and other.shape[0] == other.shape[1] and other.dtype.kind == "f":
            asked = [x.T if i == j else x for i, x in enumerate(e.arrays)]
            if close(e.rule(arrays=asked)[e.index], n):
                return f"the rule is right if input {j} is transposed"
    if e.v.ndim == 2 and len(e.cotangents) == 1 and e.v.shape[0] == e.v.shape[1] and close(e.rule([e.v.T])[e.index], n):
        return "the rule is right if the gradient that arrives is transposed"
    return None


def _permutations(ndim: int) -> list[tuple[int, ...]]:
    return [axes for axes in permutations(range(ndim)) if axes != tuple(range(ndim))] if 2 <= ndim <= 4 else []


def kernel_not_flipped(e: Evidence) -> str | None:
    for j, other in enumerate(e.arrays):
        for axes in _spatial(other):
            asked = [np.flip(x, axes) if i == j else x for i, x in enumerate(e.arrays)]
            if j != e.index and close(e.rule(arrays=asked)[e.index], e.numeric):
                return f"the rule is right if the kernel, input {j}, is flipped along its axes {axes}"
    several = sum(x.dtype.kind == "f" for x in e.arrays) > 1
    for axes in _spatial(e.x) if several else []:
        if e.same_shape and close(np.flip(e.analytic, axes), e.numeric):
            return f"it is right if flipped along its axes {axes}"
    return None


def _spatial(x: np.ndarray) -> list[tuple[int, ...]]:
    """The last axis, and the last two, where there is something to flip."""
    return [axes for axes in ((-1,), (-2, -1)) if x.ndim >= len(axes) and all(x.shape[a] > 1 for a in axes)]


def shifted(e: Evidence) -> str | None:
    if not e.same_shape:
        return None
    for axis in range(e.x.ndim):
        for step in (1, -1):
            if _moved_by(e.analytic, e.numeric, {axis: step}):
                direction = "towards the end" if step > 0 else "towards the beginning"
                return f"it is right, but shifted by one along axis {axis} {direction}"
    return None


def _moved_by(a: np.ndarray, n: np.ndarray, steps: dict[int, int]) -> bool:
    """Whether a[i + step] == n[i] wherever both exist, which is most of what is not zero."""
    ours, theirs = [slice(None)] * a.ndim, [slice(None)] * a.ndim
    for axis, step in steps.items():
        if abs(step) >= a.shape[axis]:
            return False
        ours[axis] = slice(max(step, 0), a.shape[axis] + min(step, 0))
        theirs[axis] = slice(max(-step, 0), a.shape[axis] + min(-step, 0))
    a, n_inside = a[tuple(ours)], n[tuple(theirs)]
    return bool(_nonzero(n_inside) >= max(3, 0.2 * _nonzero(n))) and close(a, n_inside)


def _nonzero(x: np.ndarray) -> int:
    return int(np.count_nonzero(np.nan_to_num(x)))


def padding_not_undone(e: Evidence) -> str | None:
    a, n = e.analytic, e.numeric
    if a.ndim != n.ndim or a.ndim < 1:
        return None
    if not e.same_shape:
        before = [(p, q - s - p) for q, s in zip(a.shape, n.shape, strict=True) for p in [(q - s) // 2]]
        if all(p >= 0 and q >= 0 for p, q in before):
            inside = tuple(slice(p, p + s) for (p, _), s in zip(before, n.shape, strict=True))
            if close(a[inside], n):
                return f"it has the padded shape {a.shape}, and is right inside: the padding was not cut off"
        return None
    spatial = [axis for axis in (a.ndim - 2, a.ndim - 1) if axis >= 0]
    for p in (1, 2, 3, -1, -2, -3):
        if _moved_by(a, n, dict.fromkeys(spatial, p)):
            return f"it is right, but shifted by {p} along the axes {tuple(spatial)}: the padding is not undone"
        if abs(p) > 1 and _moved_by(a, n, {spatial[-1]: p}):
            return f"it is right, but shifted by {p} along its last axis: the padding is not undone"
    return None


def not_summed(e: Evidence) -> str | None:
    a, n = e.analytic, e.numeric
    if not e.same_shape:
        extra = a.ndim - n.ndim
        if extra < 0:
            return None
        sizes = zip(a.shape, (1,) * extra + n.shape, strict=True)
        axes = tuple(i for i, (of_a, of_n) in enumerate(sizes) if i < extra or of_a != of_n == 1)
        summed = a.sum(axis=axes)
        if summed.size == n.size and close(summed.reshape(n.shape), n):
            return f"it has the shape {a.shape}, and is right when summed over the broadcast axes {axes}"
        for axes in _subsets(a.ndim):
            summed = a.sum(axis=axes)
            if summed.shape == n.shape and close(summed, n):
                return f"it has the shape {a.shape}, and is right when summed over the axes {axes}"
        return None
    if not e.small or not _broadcasts(e.x.shape, e.y.shape) or e.x.size >= e.y.size or len(e.outputs) > 1:
        return None
    parts = e.contributions()
    for axes in _subsets(e.y.ndim):
        if all(e.y.shape[axis] == 1 for axis in axes):
            continue
        for at in (0, -1):
            kept = parts[tuple(at if axis in axes else slice(None) for axis in range(e.y.ndim))]
            kept = kept.sum(axis=tuple(range(e.y.ndim - len(axes))))
            if close(kept.reshape(n.shape), a):
                which = "first" if at == 0 else "last"
                return f"only the {which} of what arrives along the broadcast axes {axes} is taken, not the sum"
    return None


def _subsets(ndim: int) -> list[tuple[int, ...]]:
    return [axes for count in range(1, ndim + 1) for axes in combinations(range(ndim), count)]


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Whether an array of the shape is repeated to give the other, as NumPy does or as a bias of channels is."""
    if len(shape) == 1 and len(to) >= 2 and shape[0] in to:
        return True
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


Question = Callable[[Evidence], "str | None"]


def _where(condition: Callable[[Evidence], bool], question: Question) -> Question:
    return lambda e: question(e) if condition(e) else None


def _of_one_shape(e: Evidence) -> bool:
    return e.small and e.same_shape and is_linear(e) and len(e.outputs) == 1


QUESTIONS: list[tuple[str, Question]] = [
    ("accumulated twice", adds_to_what_it_returned),
    ("upstream gradient ignored", upstream_ignored),
    ("mask inverted", mask_of_the_gradient),
    ("not summed over a broadcast axis", not_summed),
    ("constant factor", _where(is_linear, constant_factor)),
    ("inputs swapped", inputs_swapped),
    ("kernel not flipped", kernel_not_flipped),
    ("transposed", transposed),
    ("shifted by one", shifted),
    ("padding or stride not undone", padding_not_undone),
    ("padding or stride not undone", _where(_of_one_shape, shifted_by_the_stride)),
    ("batch elements mixed", _where(_of_one_shape, batch_mixed)),
    ("mask inverted", _where(_of_one_shape, mask_inverted)),
    ("accumulated twice", _where(_of_one_shape, accumulated_twice)),
    ("term missing", _where(_of_one_shape, others_left_out)),
    ("overwritten", _where(_of_one_shape, overwritten)),
    ("term missing", _where(_of_one_shape, term_missing)),
]
