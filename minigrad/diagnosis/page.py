"""A Diagnosis written down: as a page of text of at most 100 columns, and as HTML for a notebook."""

from __future__ import annotations

import html as markup
import math
from textwrap import fill
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .records import Diagnosis, Finding, LayerReport

WIDTH = 100
MOST_LAYERS = 36  # a longer table shows its beginning and its end
LONGEST_NAME = 24

HEADINGS = ("layer", "kind", "mean", "std", "differs", "units", "gradient", "of last", "update")
LEGEND = (
    "mean, std: of the layer's output; differs: its deviation from example to example. gradient: the norm of its "
    "weight's; of last: as a share of the last layer's. update: lr * gradient / norm of the weight, about 1e-3 in a "
    "healthy network."
)
ALL_IS_WELL = "All is well: nothing was found that would keep this model from learning."
MARKS = {"error": "ERROR", "warning": "WARNING", "note": "NOTE"}
STYLES = {"error": "#b3261e", "warning": "#a15c00", "note": "#555555"}


def text(diagnosis: Diagnosis) -> str:
    """The page, without a line break at its end."""
    facts = _facts(diagnosis)
    width = max(len(label) for label, _ in facts)
    lines = [_title(diagnosis), "=" * len(_title(diagnosis)), ""]
    for label, value in facts:
        lines += [fill(value, WIDTH, initial_indent=f"{label:{width}}  ", subsequent_indent=" " * (width + 2))]
    if diagnosis.layers:
        lines += ["", *_table(diagnosis.layers), fill(LEGEND, WIDTH)]
    lines += ["", *_findings(diagnosis)]
    return "\n".join(line.rstrip() for line in lines)


def html(diagnosis: Diagnosis) -> str:
    """The same as HTML, with styles of its own inside."""
    escape = markup.escape
    facts = "".join(
        f"<tr><th style='text-align:left'>{escape(label)}</th><td style='text-align:left'>{escape(value)}</td></tr>"
        for label, value in _facts(diagnosis)
    )
    head = "".join(f"<th style='text-align:{_side(i)}'>{escape(name)}</th>" for i, name in enumerate(HEADINGS))
    body = "".join(
        "<tr>" + "".join(f"<td style='text-align:{_side(i)}'>{escape(c)}</td>" for i, c in enumerate(row)) + "</tr>"
        for row in map(_cells, diagnosis.layers)
    )
    findings = "".join(
        f"<li><b style='color:{STYLES[f.severity]}'>{f.severity}</b> {escape(f.text)}. <i>{escape(_do(f))}</i></li>"
        for f in diagnosis.findings
    )
    well = f"<p style='color:#1b6e2f'><b>{ALL_IS_WELL}</b></p>" if diagnosis.well else ""
    return (
        f"<div><h4>{escape(_title(diagnosis))}</h4><table>{facts}</table>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"<p><small>{escape(LEGEND)}</small></p>{well}<ul>{findings}</ul></div>"
    )


def _title(diagnosis: Diagnosis) -> str:
    parts = [f"{diagnosis.parameters:,} parameters", _count(diagnosis.examples, "example")]
    if diagnosis.classes is not None:
        parts.append(_count(diagnosis.classes, "class", "classes"))
    return f"{diagnosis.model}: {', '.join(parts)}, learning rate {diagnosis.lr:g}"


def _facts(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    """The three lines above the table: what is asked, and the answer."""
    loss = f"{diagnosis.loss:.4g}"
    if diagnosis.classes is not None:
        loss += f"; guessing among {_count(diagnosis.classes, 'class', 'classes')} costs ln {diagnosis.classes}"
        loss += f" = {diagnosis.expected:.4g}"
    elif diagnosis.expected is not None:
        loss += f"; always predicting the targets' mean costs {diagnosis.expected:.4g}, their variance"
    count = len(diagnosis.missing)
    missing = f"{count or 'none'} of {_count(diagnosis.tensors, 'parameter')}"
    examples = _count(diagnosis.overfit.examples if diagnosis.overfit else 20, "example")
    return [
        ("loss at the start", loss),
        (f"overfits {examples}", _overfit(diagnosis)),
        ("without a gradient", missing),
    ]


def _overfit(diagnosis: Diagnosis) -> str:
    result = diagnosis.overfit
    if result is None:
        return "not tried"
    right = f", {round(result.accuracy * result.examples)} right" if result.accuracy is not None else ""
    steps = f"{result.start:.3g} to {result.end:.3g} in {_count(result.steps, 'step')} of Adam (lr {result.lr:g})"
    return f"{'yes' if result.succeeded else 'no'}; loss {steps}{right}"


def _table(layers: tuple[LayerReport, ...]) -> list[str]:
    rows = [HEADINGS, *map(_cells, layers)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    pads = [str.ljust if _side(column) == "left" else str.rjust for column in range(len(HEADINGS))]
    lines = ["  ".join(pad(cell, w) for pad, cell, w in zip(pads, row, widths, strict=True)) for row in rows]
    rule = "-" * len(lines[0])
    shown = lines[1:]
    if len(shown) > MOST_LAYERS:
        half = MOST_LAYERS // 2
        shown = [*shown[:half], f"... {len(shown) - 2 * half} more ...", *shown[-half:]]
    return [lines[0], rule, *shown, rule]


def _cells(layer: LayerReport) -> tuple[str, ...]:
    units = []
    if layer.saturated is not None:
        units.append(f"{_percent(layer.saturated)} saturated")
    if layer.dead is not None:
        units.append(f"{_percent(layer.dead)} dead")
    if layer.constant:
        units.append("constant")
    return (
        _short(layer.name or "-"),
        _short(layer.kind),
        _number(layer.mean),
        _number(layer.std),
        _number(layer.differs),
        ", ".join(units),
        _number(layer.gradient),
        _number(layer.share),
        "" if layer.update is None else scientific(layer.update),
    )


def _side(column: int) -> str:
    return "left" if HEADINGS[column] in ("layer", "kind", "units") else "right"


def _percent(share: float) -> str:
    """Whole percents, where 0 and 100 mean none and all."""
    return f"{min(max(share, 0.01), 0.99) if 0 < share < 1 else share:.0%}".replace("%", " %")


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if value == 0 or 0.01 <= abs(value) < 1000 else scientific(value)


def scientific(value: float, decimals: int = 1) -> str:
    """A power of ten, as short as can be: 1.8e-3."""
    if not math.isfinite(value):
        return str(value)
    mantissa, exponent = f"{value:.{decimals}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else "..." + name[3 - LONGEST_NAME :]


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _do(finding: Finding) -> str:
    return finding.action[0].upper() + finding.action[1:] + "."


def _findings(diagnosis: Diagnosis) -> list[str]:
    lines = [ALL_IS_WELL] if diagnosis.well else []
    for finding in diagnosis.findings:
        sentence = finding.text[0].upper() + finding.text[1:] + "."
        lines.append(fill(f"{MARKS[finding.severity]:8}{sentence}", WIDTH, subsequent_indent=" " * 8))
        lines.append(fill(_do(finding), WIDTH, initial_indent=" " * 8 + "-> ", subsequent_indent=" " * 11))
    return lines
