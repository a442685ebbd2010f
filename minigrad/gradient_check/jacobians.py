"""Questions that need both Jacobians, (outputs, elements of the input): the true one, B, and the rule's, A."""

from __future__ import annotations

import numpy as np

from .evidence import CLOSE, Evidence


def _equal(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Where both have the same number."""
    return np.abs(A - B) <= 10 * CLOSE * np.abs(B).max(initial=0.0)


def _elementwise(e: Evidence) -> bool:
    """Whether each output depends on the element of its own index alone, and the rule knows that."""
    if e.y.shape != e.x.shape:
        return False
    off = ~np.eye(e.x.size, dtype=bool)
    return not (e.B[off].any() or e.A[off].any())


def mask_inverted(e: Evidence) -> str | None:
    if _elementwise(e):
        return _mask_of_elements(np.diag(e.A), np.diag(e.B))
    return _another_winner(e.A, e.B)


def _mask_of_elements(a: np.ndarray, b: np.ndarray) -> str | None:
    passes, should = a != 0, b != 0
    if (passes != should).all() and should.any() and passes.any():
        return "the gradient passes exactly where it should be stopped: the mask is inverted"
    if passes.all() and should.all():
        ratio = a / b
        high, low = ratio.max(), ratio.min()
        two = np.isclose(ratio, high, 1e-4) | np.isclose(ratio, low, 1e-4)
        if two.all() and high > 1.001 and np.isclose(high * low, 1, 1e-3):
            return "each element has the slope of the other side: the mask is inverted"
        return None
    both = passes & should
    if not _equal(a, b)[both].all() or (passes == should).all() or not both.any():
        return None
    if (passes & ~should).any() and (should & ~passes).any():
        return "some elements pass that should be stopped, others are stopped: the mask is taken from the wrong side"
    if (passes & ~should).any():
        return "the gradient also passes where it should be stopped: one side of the mask is missing"
    if should.any() and len(np.unique(np.round(b[should], 8))) <= 2:
        return "the gradient is stopped where it should pass: the mask is taken from the wrong side"
    return None


def _another_winner(A: np.ndarray, B: np.ndarray) -> str | None:
    """Each output takes one element, and the rule gives its gradient to another one."""
    one_each = np.count_nonzero(B, axis=1) == 1
    a_choice = B.shape[1] > len(B) or (np.count_nonzero(B, axis=0) != 1).any()  # not just another order
    if len(B) == 0 or not one_each.all() or not a_choice:
        return None
    paid = A != 0
    if (
        not (paid & (B != 0)).any()
        and paid.any()
        and _equal(np.where(paid, A, 0), np.where(paid, B.sum(axis=1, keepdims=True), 0)).all()
        and np.count_nonzero(paid, axis=1).max() > 1
    ):
        return "the gradient goes to all but the chosen elements: the mask is inverted"
    if not (np.count_nonzero(A, axis=1) == 1).all():
        return None
    same_size = np.allclose(A.sum(axis=1), B.sum(axis=1), rtol=1e-4)
    moved = A.argmax(axis=1) != B.argmax(axis=1) if (B >= 0).all() else np.zeros(len(B), bool)
    distances = np.unique((np.abs(A).argmax(axis=1) - np.abs(B).argmax(axis=1))[moved])
    if same_size and moved.any() and (len(distances) > 1 or not moved.all()):
        return "the gradient goes to elements that were not chosen: the mask is not that of the winners"
    return None


def shifted_by_the_stride(e: Evidence) -> str | None:
    """Each output's window is right, but lies further off, the further the output: strides were not multiplied."""
    shape = e.x.shape
    axes = [axis for axis in (e.x.ndim - 2, e.x.ndim - 1) if axis >= 0 and shape[axis] > 1]
    if not axes:
        return None
    if e.y.ndim != e.x.ndim:
        return None
    shifts = []
    for a, b in zip(e.A.reshape(-1, *shape), e.B.reshape(-1, *shape), strict=True):
        shift = _shift(a, b, axes)
        if shift is None:
            return None
        shifts.append(shift)
    outputs = np.indices(e.y.shape).reshape(e.y.ndim, -1).T
    for axis in axes:
        moved, at = np.array(shifts)[:, axis], outputs[:, axis]
        further = at > 0
        slope = moved[further][0] - moved[~further][0] if further.any() and (~further).any() else 0
        if not (moved == moved[~further][0] + slope * at).all():
            return None
    if len(set(shifts)) > 1:
        return "the windows are right, but lie elsewhere, the further off the further the output: a stride is missing"
    return None


def _shift(a: np.ndarray, b: np.ndarray, axes: list[int]) -> tuple[int, ...] | None:
    """How far the numbers of b have to be moved along the axes to lie as in a, or None."""
    if not a.any() or not b.any():
        return None
    first = [tuple(int(i.min()) for i in np.nonzero(image)) for image in (a, b)]
    shift = tuple(p - q if axis in axes else 0 for axis, (p, q) in enumerate(zip(*first, strict=True)))
    moved = np.roll(b, shift, range(b.ndim))
    return shift if _equal(a, moved).all() else None


def batch_mixed(e: Evidence) -> str | None:
    if e.x.ndim < 1 or e.y.ndim < 1 or e.x.shape[0] != e.y.shape[0] or e.x.shape[0] < 2:
        return None
    N = e.x.shape[0]
    A, B = (J.reshape(N, e.y.size // N, N, e.x.size // N).transpose(0, 2, 1, 3) for J in (e.A, e.B))
    others = ~np.eye(N, dtype=bool)
    if B[others].any() or not A[others].any():
        return None
    return "the gradient of one element of the batch depends on what arrives at another: batch elements are mixed"


def accumulated_twice(e: Evidence) -> str | None:
    if _elementwise(e):
        if np.allclose(np.diag(e.A) - np.diag(e.B), 1.0, atol=1e-5):
            return "it is right plus once more what arrives, as if the input were also passed on as it is"
        return None
    support = e.B != 0
    if (e.A[~support] != 0).any():
        return None
    times = np.round(np.divide(e.A, e.B, out=np.ones_like(e.A), where=support))
    if (times >= 1).all() and times.max() > 1 and _equal(e.A, times * e.B).all() and (times[support] == 1).any():
        return "some of what arrives is added more than once"
    others = support & ~np.eye(len(support), support.shape[1], dtype=bool)
    if e.x.shape == e.y.shape and others.any() and _equal(e.A, 2 * e.B)[others].all() and _sum_is_missing(e):
        return "the derivative of a sum over the elements (a mean, or a norm) is added twice"
    return None


def _lost(e: Evidence) -> np.ndarray | None:
    """Where the rule has nothing and should have something, if it is right everywhere else."""
    lost = (e.A == 0) & (e.B != 0)
    return lost if lost.any() and e.A.any() and _equal(e.A, e.B)[~lost].all() else None


def others_left_out(e: Evidence) -> str | None:
    """What is kept is the influence of each index of an axis (an element, a time) on the output of the same index."""
    lost = _lost(e)
    if lost is None or e.y.ndim == 0:
        return None
    at_x, at_y = np.indices(e.x.shape).reshape(e.x.ndim, -1), np.indices(e.y.shape).reshape(e.y.ndim, -1)
    for i, j in np.ndindex(e.x.ndim, e.y.ndim):
        same = at_y[j][:, None] == at_x[i]
        if e.x.shape[i] == e.y.shape[j] and not lost[same].any() and not e.A[~same].any():
            return f"only the influence on outputs of the same index along axis {i} is there: a term is missing"
    return None


def overwritten(e: Evidence) -> str | None:
    lost = _lost(e)
    if lost is None or (e.B != 0).sum(axis=0).max() < 2 or lost.any(axis=1).all():
        return None  # what each output lacks is not overwritten
    return "where an element is used more than once, not all that arrives is added up: it is overwritten"


def term_missing(e: Evidence) -> str | None:
    if _elementwise(e):
        return _term_of_elements(e)
    if e.y.size == 1:
        return _target_is_missing(e)
    A_support, B_support = e.A != 0, e.B != 0
    if (B_support & ~A_support).sum() >= 0.3 * B_support.sum() and not (A_support & ~B_support).any():
        return "the influence of elements on other outputs is left out: a term is missing"
    return _sum_is_missing(e)


def _term_of_elements(e: Evidence) -> str | None:
    """A missing term or factor that is one of the quantities at hand, times a constant."""
    a, b = np.diag(e.A), np.diag(e.B)
    y = e.y.reshape(-1)
    quantities = {"1": np.ones_like(y), "y": y, "1 - y": 1 - y, "y (1 - y)": y * (1 - y), "1 - y^2": 1 - y * y}
    for j, other in enumerate(e.arrays):
        if other.dtype.kind == "f" and other.shape == e.x.shape:
            x = other.reshape(-1)
            quantities |= {f"input {j}": x, f"1 / input {j}": 1 / x, f"y / input {j}": y / x}
    for what, quantity in quantities.items():
        if what not in ("y (1 - y)", "1 - y^2") and _proportional(b - a, quantity):
            return f"a term proportional to {what} is missing"
    for what, quantity in quantities.items():
        if what != "1" and "/" not in what and _proportional(b, a * quantity):
            return f"a factor proportional to {what} is missing"
    for what in quantities:
        if what.startswith("y /") and _proportional(a, quantities[what], 1.0):
            return f"it is {what}, as if the other factor of a product were constant: a term is missing"
    return None


def _proportional(a: np.ndarray, b: np.ndarray, factor: float | None = None) -> bool:
    """Whether a is a constant, or that factor, times b, for at least three elements."""
    if np.count_nonzero(b) < 3 or not np.isfinite(b).all():
        return False
    at = int(np.abs(b).argmax())
    factor = a[at] / b[at] if factor is None else factor
    return bool(factor and _equal(factor * b, a).all())


def _sum_is_missing(e: Evidence) -> str | None:
    """What is missing, among elements that depend on each other, is a column times a row, as a sum's derivative is."""
    if e.y.shape != e.x.shape:
        return None
    missing = e.B - e.A
    found = False
    for group in _groups((e.A != 0) | (e.B != 0)):
        block = missing[np.ix_(group, group)]
        if _equal(block, 0 * block).all():
            continue
        sizes = np.linalg.svd(block, compute_uv=False)
        if len(group) < 3 or sizes[1] > 1e-4 * sizes[0]:
            return None
        found = True
    return "the derivative of a sum over the elements (a mean, or a norm) is missing: a term" if found else None


def _groups(depends: np.ndarray) -> list[np.ndarray]:
    """The elements of a square relation in groups that have nothing to do with each other."""
    reach = (depends | depends.T | np.eye(len(depends), dtype=bool)).astype(np.float32)
    while True:
        further = (reach @ reach > 0).astype(np.float32)
        if (further == reach).all():
            break
        reach = further
    return [np.flatnonzero(row) for row in np.unique(reach, axis=0)]


def _target_is_missing(e: Evidence) -> str | None:
    """A loss whose gradient is off by one number, at one element of each row."""
    if e.x.ndim != 2:
        return None
    missing = (e.B - e.A).reshape(e.x.shape)
    off = ~_equal(e.A, e.B).reshape(e.x.shape)
    if (off.sum(axis=1) == 1).all() and np.allclose(missing[off], missing[off][0], rtol=1e-4):
        return "at one element of each row a constant is missing, as where the target is not subtracted: a term"
    return None
