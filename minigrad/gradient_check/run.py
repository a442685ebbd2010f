"""A check from its beginning to its end: first what rules a comparison out, then input by input, then the blame."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from ..tensor import Tensor
from .blame import blame
from .examine import (
    DISCONNECTED,
    MUTATES,
    NON_FINITE,
    NONDETERMINISTIC,
    OK,
    SEVERITY,
    WRONG,
    Tolerance,
    curve_of,
    examine_input,
)
from .options import Options, constant
from .report import GradcheckError, InputReport, Report
from .slopes import Arrays, Line, copies, differ
from .subjects import Gradients, SecondOrder, TensorFunction

FLOAT32 = "float32 allows no more than about three digits: tolerances were widened to rtol 1e-2 and atol 1e-3"
FLOAT32_ATOL, FLOAT32_RTOL = 1e-3, 1e-2


class Check:
    """One check under way.

    Args:
        given: the arrays that are differentiated, in the dtypes that the user gave.
        names: of each.
        backend: its name, for the report.
    """

    def __init__(self, subject: Any, given: Arrays, names: list[str], backend: str, options: Options) -> None:
        self.subject, self.given, self.names, self.options = subject, given, names, options
        self.began = time.perf_counter()
        self.report = Report(subject.title, [], backend=backend)

    # -- the order of things -----------------------------------------------------------------------------------------

    @np.errstate(all="ignore")  # steps to where the function is not defined; what is not finite is reported
    def run(self, order: int) -> None:
        arrays = [x.astype(np.float64) if x.dtype.kind == "f" else x for x in self.given]
        try:
            outputs = self.subject.forward(copies(arrays))
        except TypeError:
            # a function that works in float32 alone, such as one that holds float32 weights
            if not any(x.dtype == np.float32 for x in self.given):
                raise
            arrays = list(self.given)
            outputs = self.subject.forward(copies(arrays))
        if any(y.dtype == np.float32 for y in outputs):
            self.report.dtype = "float32"
            self.report.notes.append(FLOAT32)
            atol, rtol = max(self.options.atol, FLOAT32_ATOL), max(self.options.rtol, FLOAT32_RTOL)
            self.options = self.options._replace(atol=atol, rtol=rtol)
        self.arrays = arrays
        self.report.inputs = self.first_order(self.subject, arrays, self.names, order=1)
        if order == 2:
            self.report.order = 2
            self.second_order(outputs)

    def second_order(self, outputs: Arrays) -> None:
        if not self.report:
            self.report.notes.append("the gradient itself is not ok, so the gradient of the gradient was not looked at")
            return
        second = SecondOrder(self.subject, len(self.arrays))
        cotangents = self.options.cotangents(outputs, 1)
        names = [
            *self.names,
            *(f"gradient of output {k}" if len(outputs) > 1 else "gradient of the output" for k in range(len(outputs))),
        ]
        found = self.first_order(second, [*self.arrays, *cotangents], names, order=2)
        for one in found:
            one.name = f"d/d {one.name}"
        self.report.inputs += found

    def first_order(self, subject: Any, arrays: Arrays, names: list[str], order: int) -> list[InputReport]:
        found = [InputReport(name, x.shape) for name, x in zip(names, arrays, strict=True)]
        passed = [subject.backend.from_numpy(x) for x in copies(arrays)]
        outputs = [y.copy() for y in subject.forward(passed)]
        _note_changes(found, arrays, [subject.backend.to_numpy(x) for x in passed], "computing the function")
        for one, x in zip(found, arrays, strict=True):
            if x.dtype.kind == "f" and not np.isfinite(x).all():
                one.verdict, one.detail = NON_FINITE, "it holds values that are not finite itself"
        if not all(np.isfinite(y).all() for y in outputs):
            return _all(found, NON_FINITE, "the function's value is not finite here")
        again = subject.forward(copies(arrays))
        cotangents = self.options.cotangents(outputs, 0)
        try:
            gradients = self._gradients(subject, arrays, cotangents, found)
            repeated = subject.backward(copies(arrays), cotangents)
            scaled = subject.backward(copies(arrays), [-8 * v for v in cotangents])
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            return self._rule_failed(subject, arrays, found, error, order)
        if differ(outputs, again) or differ(gradients, repeated):
            what = "value" if differ(outputs, again) else "gradient"
            detail = f"called twice with the same inputs, its {what} was not the same; fix the seed inside the function"
            return _all(
                found,
                NONDETERMINISTIC,
                f"{detail}, put a module with dropout into eval(), or let no call change what the next one uses",
            )
        if isinstance(subject, TensorFunction) and differ(outputs, subject.recorded(copies(arrays))):
            detail = "its value is another where gradients are recorded than under no_grad()"
            return _all(found, NONDETERMINISTIC, detail)
        line = Line(subject.forward, arrays, cotangents, self.options.eps)
        for i, one in enumerate(found):
            if arrays[i].dtype.kind != "f" or one.verdict != OK:
                one.detail = one.detail or "not floating, so not differentiated"
                continue
            self._examine(one, line, i, gradients[i])
            if one.verdict == OK and differ([scaled[i]], _times(-8, gradients[i : i + 1])):
                one.verdict = WRONG
                one.detail = "what arrives times -8 does not make it -8 times what it was: a derivative is linear"
        if isinstance(subject, TensorFunction):
            self._look_apart(subject, arrays, cotangents, gradients, found)
        if any(one.verdict in (WRONG, DISCONNECTED) for one in found):
            blame(found, subject, arrays, self.options, order)
        return found

    def _gradients(self, subject: Any, arrays: Arrays, cotangents: Arrays, found: list[InputReport]) -> Gradients:
        passed = [subject.backend.from_numpy(x) for x in copies(arrays)]
        gradients = subject.backward(passed, [v.copy() for v in cotangents])
        _note_changes(found, arrays, [subject.backend.to_numpy(x) for x in passed], "computing the gradient")
        return [None if g is None else np.array(g) for g in gradients]

    def _look_apart(
        self,
        subject: TensorFunction,
        arrays: Arrays,
        cotangents: Arrays,
        gradients: Gradients,
        found: list[InputReport],
    ) -> None:
        """A gradient must be the same where it alone is wanted, and where each output is used without the others."""
        if len(arrays) == len(cotangents) == 1:
            return
        try:
            alone, by_output = subject.apart(copies(arrays), cotangents)
        except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as error:
            self.report.notes.append(f"where not all is needed, or not every output used, a rule fails: {error}")
            return
        for one, whole, single, summed in zip(found, gradients, alone, by_output, strict=True):
            if one.verdict == OK and differ([whole], [single]):
                one.verdict, one.detail, one.worst = WRONG, "where it alone needs a gradient, that is another", None
            elif one.verdict == OK and differ([whole], [summed]):
                one.verdict, one.detail, one.worst = (
                    WRONG,
                    "where not all outputs are used, its gradient is another",
                    None,
                )

    def _rule_failed(
        self, subject: Any, arrays: Arrays, found: list[InputReport], error: Exception, order: int
    ) -> list[InputReport]:
        """A rule that raises, or returns what cannot be a gradient, is wrong, if the graph shows which one."""
        _all(found, WRONG, str(error))
        blame(found, subject, arrays, self.options, order)
        if not any(one.operation for one in found):
            raise error
        return found

    def _examine(self, one: InputReport, line: Line, index: int, gradient: np.ndarray | None) -> None:
        x = line.point[index]
        if x.size == 0:
            one.detail = "it has no elements"
            return
        arrived = gradient is not None
        g = np.zeros(x.shape) if gradient is None else np.asarray(gradient)
        if g.dtype.kind not in "fiu" or g.shape != x.shape:
            one.verdict = WRONG
            one.detail = f"its gradient has shape {g.shape} and dtype {g.dtype}, expected {x.shape}, floating"
            return
        g = g.astype(np.float64)
        if not np.isfinite(g).all():
            e = int(np.flatnonzero(~np.isfinite(g))[0])
            where = ", ".join(str(int(i)) for i in np.unravel_index(e, g.shape))
            one.verdict, one.detail = NON_FINITE, f"its gradient is {g.flat[e]} at {one.name}[{where}]"
            return
        tolerance = Tolerance(self.options.atol, self.options.rtol, float(np.abs(g).max()))
        rng = np.random.default_rng([self.options.seed, 2, index])
        elements = examine_input(line, index, g, tolerance, self.options.max_elements, rng)
        one.checked = len(elements)
        worst = max(elements, key=lambda e: (SEVERITY.index(e.verdict), e.off if e.verdict != OK else abs(e.analytic)))
        one.verdict, one.worst = worst.verdict, worst
        if sum(v.size for v in line.cotangents) == 1:  # a reader expects the derivative itself of a loss
            one.worst = worst.divided_by(float(np.concatenate([v.reshape(-1) for v in line.cotangents])[0]))
        else:
            self.report.weighted = True
        e = int(np.ravel_multi_index(worst.index, x.shape)) if x.ndim else 0
        one.curve = curve_of(line, index, e)
        if one.verdict == WRONG and not arrived:
            one.verdict, one.detail = DISCONNECTED, "no gradient arrives, though the function depends on it"
        elif one.verdict == WRONG and g.any() and not _depends(line, index):
            one.verdict, one.detail = DISCONNECTED, "a gradient arrives, though the function does not depend on it"

    # -- another backend ---------------------------------------------------------------------------------------------

    def compare(self, other: TensorFunction) -> None:
        """Adds what differs on another backend."""
        cotangents = self.options.cotangents(self.subject.forward(copies(self.arrays)), 0)
        other.arguments = [constant(a, other.backend) if isinstance(a, Tensor) else a for a in other.arguments]
        both = [
            (s.forward(copies(self.arrays)), s.backward(copies(self.arrays), cotangents)) for s in (self.subject, other)
        ]
        (ours, ours_back), (theirs, theirs_back) = both
        apart = max((_apart(a, b) for a, b in zip(ours, theirs, strict=True)), default=0.0)
        self.report.notes.append(
            f"outputs on {self.report.backend} and {other.backend.name} differ by {apart:.1e} of the largest"
        )
        for one, a, b in zip(self.report.inputs, ours_back, theirs_back, strict=False):
            far = 0.0 if a is None and b is None else np.inf if a is None or b is None else _apart(a, b)
            if max(far, apart) > self.options.rtol:
                one.verdict = WRONG
                one.detail = f"on {other.backend.name}, outputs differ by {apart:.1e} and this gradient by {far:.1e}"

    def finish(self, raise_error: bool) -> Report:
        self.report.seconds = time.perf_counter() - self.began
        if raise_error and not self.report:
            raise GradcheckError(self.report)
        return self.report


def _all(found: list[InputReport], verdict: str, detail: str) -> list[InputReport]:
    """One verdict for all inputs, and the detail where there is none yet."""
    for one in found:
        one.verdict, one.detail = verdict, one.detail or detail
    return found


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    if a.shape != b.shape:
        return np.inf
    return float(np.abs(a - b).max(initial=0.0) / (np.abs(a).max(initial=0.0) or 1.0))


def _times(factor: int, gradients: Gradients) -> Gradients:
    return [None if g is None else factor * g for g in gradients]


def _note_changes(found: list[InputReport], before: Arrays, after: Arrays, doing: str) -> None:
    for one, x, y in zip(found, before, after, strict=True):
        if one.verdict == OK and not np.array_equal(x, y, equal_nan=x.dtype.kind == "f"):
            one.verdict, one.detail = MUTATES, f"{doing} changed it"


def _depends(line: Line, index: int) -> bool:
    """Whether the outputs change when all of the input does."""
    rng = np.random.default_rng(0)
    for width in (1e-3, 1.0, 10.0):
        arrays = copies(line.point)
        x = arrays[index]
        x += (line.scale(index) * width * rng.standard_normal(x.shape)).astype(x.dtype)
        try:
            if any(
                not np.array_equal(a, b, equal_nan=True) for a, b in zip(line.base, line.forward(arrays), strict=True)
            ):
                return True
        except Exception:  # outside of what the function takes: it looks at it
            return True
    return False
