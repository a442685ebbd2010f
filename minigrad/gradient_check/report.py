"""What a gradient check found: a page of text, a table in notebooks, a dict, and a picture."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any

from .causes import Cause
from .examine import OK, WRONG, Element
from .picture import draw_curves

WEIGHTED = "the numbers are slopes of the sum of all outputs, each with a random weight"

Curve = list[tuple[float, float]]  # (step, how far the slope seen with it is from the best one)


@dataclass
class InputReport:
    """The verdict on one input.

    Attributes:
        name: the parameter's name in the function, or "input 0".
        shape: of the input.
        verdict: "ok", "wrong", "kink", "precision", "nondeterministic", "disconnected", "non-finite" or "mutates its
            input".
        checked: how many elements were looked at one by one; of sampled inputs, all are moved together as well.
        worst: the element where the gradient is furthest off; None where none was looked at.
        cause: for "wrong", its name and an explanation.
        operation: for "wrong", the operation in the graph whose own rule is at fault, or None.
        detail: what else there is to say.
    """

    name: str
    shape: tuple[int, ...]
    verdict: str = OK
    checked: int = 0
    worst: Element | None = None
    cause: Cause | None = None
    operation: str | None = None
    detail: str = ""
    curve: Curve = field(default_factory=list)

    @property
    def size(self) -> int:
        size = 1
        for length in self.shape:
            size *= length
        return size

    @property
    def looked_at(self) -> str:
        if self.checked < self.size:
            return f"{self.checked} of {self.size} elements"
        return "1 element" if self.size == 1 else f"{self.size} elements"

    def lines(self) -> list[str]:
        """What there is to say of it, beyond the verdict."""
        said = []
        if self.detail:
            said.append(self.detail)
        w = self.worst
        if w is not None and self.verdict != OK:
            at = f"{self.name}[{', '.join(map(str, w.index))}]" if w.index else self.name
            says = f"the gradient says {w.analytic + 0.0:.6g}"
            if w.shape == "jump":
                said.append(f"at {at} the function jumps; {says}")
            elif w.shape == "edge":
                side, slope = ("right", w.right) if w.left != w.left else ("left", w.left)
                said.append(f"at {at} the function is defined only on the {side}, with slope {slope:.6g}; {says}")
            elif w.shape == "kink":
                said.append(f"at {at} the slope is {w.left:.6g} on the left, {w.right:.6g} on the right; {says}")
            else:
                said.append(f"at {at} {says}, differences {w.numeric:.6g} (\N{PLUS-MINUS SIGN}{w.error:.0e})")
        if self.operation is not None:
            said.append(f"the rule at fault is that of {self.operation}")
        if self.cause is not None:
            said.append(f"{self.cause.name}: {self.cause.explanation}")
        return said

    def to_dict(self) -> dict[str, Any]:
        w = self.worst
        return {
            "name": self.name,
            "shape": list(self.shape),
            "verdict": self.verdict,
            "checked": self.checked,
            "size": self.size,
            "worst": None if w is None else {name: _json(value) for name, value in asdict(w).items()},
            "cause": None if self.cause is None else self.cause.name,
            "explanation": None if self.cause is None else self.cause.explanation,
            "operation": self.operation,
            "detail": self.detail,
            "curve": [list(point) for point in self.curve],
        }


def _json(value: Any) -> Any:
    """NaN and infinities are no JSON; a tuple is a list there."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return list(value) if isinstance(value, tuple) else value


@dataclass
class Report:
    """The outcome of a gradient check; true where every input's verdict is "ok".

    Attributes:
        title: what was checked.
        inputs: a verdict for each input.
        order: 1, or 2 where the gradient of the gradient was checked, too.
        backend, dtype: where, and in which numbers.
        notes: what else a reader should know.
        weighted: whether slopes are those of a sum of outputs, each with a random weight, and not of a single output.
        seconds: how long it took.
    """

    title: str
    inputs: list[InputReport]
    order: int = 1
    backend: str = "numpy"
    dtype: str = "float64"
    notes: list[str] = field(default_factory=list)
    weighted: bool = False
    seconds: float = 0.0

    def __bool__(self) -> bool:
        return all(one.verdict == OK for one in self.inputs)

    @property
    def wrong(self) -> list[InputReport]:
        """The inputs that are not ok."""
        return [one for one in self.inputs if one.verdict != OK]

    def __str__(self) -> str:
        bad = len(self.wrong)
        outcome = "ok" if not bad else f"{bad} of {len(self.inputs)} gradients not ok"
        what = "gradient" if self.order == 1 else "gradient and gradient of the gradient"
        lines = [f"gradcheck of {self.title}: {outcome}   ({what}, {self.dtype} on {self.backend})", ""]
        rows = [(one.name, str(one.shape), one.looked_at, one.verdict) for one in self.inputs]
        names, shapes, counts = (max([len(row[k]) for row in rows], default=0) for k in range(3))
        for one, (name, shape, count, verdict) in zip(self.inputs, rows, strict=True):
            lines.append(f"  {name:{names}}  {shape:{shapes}}  {count:>{counts}}  {verdict}")
            lines += [f"      {line}" for line in one.lines()]
        if self.weighted and any(one.worst is not None for one in self.wrong):
            lines += ["", f"  {WEIGHTED}"]
        if self.notes:
            lines += ["", *(f"  note: {note}" for note in self.notes)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = []
        for one in self.inputs:
            color = "inherit" if one.verdict == OK else "#b00020" if one.verdict == WRONG else "#a05a00"
            said = "<br>".join(escape(line) for line in one.lines())
            cells = [
                escape(one.name),
                escape(str(one.shape)),
                one.looked_at,
                f'<b style="color:{color}">{one.verdict}</b>',
                said,
            ]
            rows.append("<tr>" + "".join(f'<td style="text-align:left">{cell}</td>' for cell in cells) + "</tr>")
        heads = "".join(f'<th style="text-align:left">{h}</th>' for h in ("input", "shape", "looked at", "verdict", ""))
        weighted = [WEIGHTED] if self.weighted and self.wrong else []
        notes = "".join(f"<p>note: {escape(note)}</p>" for note in [*weighted, *self.notes])
        caption = f"<b>gradcheck of {escape(self.title)}</b> ({self.dtype} on {escape(self.backend)})"
        return f"<p>{caption}</p><table><tr>{heads}</tr>{''.join(rows)}</table>{notes}"

    def to_dict(self) -> dict[str, Any]:
        """All of it as numbers, strings, lists and dicts, which json can write."""
        return {
            "ok": bool(self),
            "title": self.title,
            "order": self.order,
            "backend": self.backend,
            "dtype": self.dtype,
            "inputs": [one.to_dict() for one in self.inputs],
            "notes": list(self.notes),
            "seconds": self.seconds,
        }

    def plot(self) -> Any:
        """Draws how far differences are off for each step: the V that says why a step of 1e-12 fails.

        Returns a matplotlib Figure, which `minigrad.plots.save_figure` writes. Raises ImportError where matplotlib is
        not installed, ValueError where there is no curve to draw.
        """
        return draw_curves(self)


class GradcheckError(AssertionError):
    """A gradient is not right; `report` says which and why, and so does the message."""

    def __init__(self, report: Report) -> None:
        super().__init__(f"\n{report}")
        self.report = report
