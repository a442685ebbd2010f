"""The picture of a report: how far a difference is off, for each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .report import Report

COLUMNS, WIDTH, HEIGHT = 3, 3.6, 2.9  # inches for each input
COLOURS = {"ok": "#1f5fa8", "wrong": "#b00020"}
OTHERWISE = "#a05a00"


def draw_curves(report: Report) -> Any:
    """One panel for each input with something to draw; see Report.plot."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("pictures need matplotlib: pip install matplotlib") from None
    shown = [one for one in report.inputs if one.curve]
    if not shown:
        raise ValueError("plot: the report holds no curve, for no input could be compared with differences")
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure((WIDTH * columns + 0.5, HEIGHT * rows + 0.7), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True).reshape(-1)
    for one, axes in zip(shown, panels, strict=False):
        steps = [step for step, gap in one.curve if gap > 0]
        gaps = [gap for _, gap in one.curve if gap > 0]
        colour = COLOURS.get(one.verdict, OTHERWISE)
        if not steps:
            axes.annotate("exact with every step", (0.5, 0.5), xycoords="axes fraction", ha="center", fontsize=8)
        axes.loglog(steps, gaps, marker="o", markersize=3.5, color=colour, label="difference - best difference")
        gap = abs(one.worst.analytic - one.worst.numeric) if one.worst is not None else 0.0
        if gap and one.verdict != "ok":
            axes.axhline(gap, color=colour, linewidth=1, linestyle="--")
            axes.annotate(
                "how far the gradient is off",
                (1, gap),
                (-4, 3),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                ha="right",
                fontsize=7,
                color=colour,
            )
        axes.set_title(f"{one.name}: {one.verdict}", fontsize=9)
        axes.grid(color="#e5e5e5")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    figure.supxlabel("step t   (too small: rounding; too large: curvature)", fontsize=9)
    figure.supylabel("how far (f(x+t) - f(x-t)) / 2t is off", fontsize=9)
    return figure
