"""The pictures: how minigrad's times compare with PyTorch's, and how near its kernels are to the machine's limits.

Like those of minigrad.plots, each is a matplotlib Figure of its own; `minigrad.plots.save_figure` writes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from measure import Row
from report import Sections, quantity, two_digits
from roofline import Point, Roofline

from minigrad.plots import QUIET_COLOUR, TEST_COLOUR, TRAIN_COLOUR

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REACHED_COLOUR, MISSED_COLOUR = TEST_COLOUR, TRAIN_COLOUR
ROW_INCHES = 0.23


def plot_ratios(sections: Sections, subtitle: str = "") -> Figure:
    """A bar for each row that PyTorch has a time for, from 1, where the two are equally fast; to the left is faster.

    Raises ValueError where there is no such row, ImportError where matplotlib is not installed.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    lines = _chart_lines(sections)
    places = [y for y, (row, _) in enumerate(lines) if row]
    if not places:
        raise ValueError("plot_ratios: no row has a time of PyTorch's")
    figure = Figure(figsize=(9.5, 1.9 + ROW_INCHES * len(lines)), layout="constrained")
    axes = figure.subplots()
    axes.set_xscale("log")
    margin = axes.get_yaxis_transform()  # x from 0, the left edge, to 1
    extremes = [1.0]
    for y, (row, text) in enumerate(lines):
        if row is None or row.ratio is None:
            axes.text(-0.01, y, text, transform=margin, ha="right", va="center", weight="bold")
            continue
        colour = MISSED_COLOUR if row.holds is False else REACHED_COLOUR
        axes.barh(y, row.ratio - 1, left=1, height=0.66, color=colour, alpha=0.85)
        axes.text(1.015, y, two_digits(row.ratio), transform=margin, va="center", color=colour, fontsize=9)
        extremes.append(row.ratio)
        if row.goal is not None:
            axes.vlines(row.goal, y - 0.46, y + 0.46, color="black", linewidth=1.8, zorder=3)  # above the line at 1
            extremes.append(row.goal)
    axes.set_yticks(places, [lines[y][1] for y in places], fontsize=9)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.set_xlim(0.85 * min(extremes), 1.18 * max(extremes))
    _plain_ticks(axes)
    axes.axvline(1, color=QUIET_COLOUR, linewidth=1.2)
    axes.grid(axis="x", color="#e5e5e5")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel("time of minigrad / time of PyTorch (1: equally fast; to the left minigrad is faster)")
    legend = [
        Patch(color=REACHED_COLOUR, alpha=0.85, label="goal reached"),
        Patch(color=MISSED_COLOUR, alpha=0.85, label="not reached"),
        Line2D([], [], color="black", linewidth=1.8, label="goal: no further right than this"),
        Line2D([], [], color=QUIET_COLOUR, linewidth=1.2, label="PyTorch"),
    ]
    figure.legend(handles=legend, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    figure.suptitle(f"minigrad beside PyTorch\n{subtitle}".strip(), fontsize=11)
    return figure


def _chart_lines(sections: Sections) -> list[tuple[Row | None, str]]:
    """From top to bottom, with their texts: each section's title, and below it its rows."""
    lines: list[tuple[Row | None, str]] = []
    for title, rows in sections.items():
        shown = [row for row in rows if row.ratio is not None and row.against == "PyTorch"]
        lines += [(None, title), *((row, row.name) for row in shown)] if shown else []
    return lines


def _plain_ticks(axes: Axes) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = axes.get_xlim()
    ticks = [m * 10.0**e for e in range(-4, 4) for m in (1, 2, 5)]
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def plot_roofline(roofline: Roofline, subtitle: str = "") -> Figure:
    """Operations a second over operations a byte, both axes logarithmic, under the two limits of the machine.

    Raises ImportError where matplotlib is not installed.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    peak, bandwidth, points = roofline.peak, roofline.bandwidth, roofline.points
    figure = Figure(figsize=(11, 5.6), layout="constrained")
    axes, beside = figure.subplots(1, 2, width_ratios=(1.55, 1))
    axes.set_xscale("log")
    axes.set_yscale("log")
    ridge = peak / bandwidth
    left = 0.5 * min(point.intensity for point in points)
    right = 2.5 * max([ridge, *(point.intensity for point in points)])
    bottom = 0.5 * min([left * bandwidth, *(point.gflops for point in points)])
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, 2 * max([peak, *(point.gflops for point in points)]))
    corners, roof = [left, ridge, right], [left * bandwidth, peak, peak]
    axes.plot(corners, roof, color=QUIET_COLOUR, linewidth=2)
    axes.fill_between(corners, roof, bottom, color=QUIET_COLOUR, alpha=0.07, linewidth=0)
    axes.annotate(
        f"multiply-adds, {peak:.0f} GFLOP/s",
        (right, peak),
        (0, 5),
        textcoords="offset points",
        ha="right",
    )
    axes.text(
        ridge / 4,
        1.12 * bandwidth * ridge / 4,  # along the line, a little above it
        f"memory, {bandwidth:.1f} GB/s",
        ha="center",
        va="bottom",
        rotation=np.degrees(np.arctan(bandwidth)),
        rotation_mode="anchor",
        transform_rotates_text=True,
    )
    figure.draw_without_rendering()  # so that the places in the picture are known
    _number_points(axes, points)
    _list_points(beside, roofline)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("operations per byte that has to be moved")
    axes.set_ylabel("GFLOP/s (10$^9$ operations a second)")
    axes.grid(color="#e5e5e5")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    title = f"LeNet-5's kernels under this machine's limits, batch 128, {roofline.threads} threads"
    figure.suptitle(f"{title}\n{subtitle}".strip(), fontsize=11)
    return figure


def _number_points(axes: Axes, points: Sequence[Point]) -> None:
    """Each point with its number beside it: to the right, to the left, or higher, where nothing stands yet."""
    radius, gap, high = 5, 8, 12  # of a point; from its middle to its number; a number's height; all in 1/72 inch
    places = 72 / axes.figure.dpi * axes.transData.transform([(point.intensity, point.gflops) for point in points])
    taken = [(x - radius, x + radius, y) for x, y in places]
    for index in np.argsort(places[:, 1]):
        number, point, (x, y) = str(index + 1), points[index], places[index]
        axes.plot(point.intensity, point.gflops, "o", color=_colour(point), markersize=7, alpha=0.9)
        wide = 8 * len(number)
        shifts = ((across, up) for up in range(0, 400, 2) for across in (gap, -gap - wide))
        for across, up in shifts:
            left, right, middle = x + across, x + across + wide, y + up
            if not any(left < r and right > l and abs(middle - m) < high for l, r, m in taken):
                break
        taken.append((left, right, middle))
        axes.annotate(
            number,
            (point.intensity, point.gflops),
            (across, up),
            textcoords="offset points",
            va="center",
            color=_colour(point),
            fontsize=10,
            weight="bold",
            arrowprops={"arrowstyle": "-", "color": _colour(point), "linewidth": 0.8} if up else None,
        )


def _list_points(axes: Axes, roofline: Roofline) -> None:
    """The table beside the picture: what the numbers stand for."""
    axes.axis("off")
    columns = ((0.05, "right"), (0.10, "left"), (0.76, "right"), (1.0, "right"))
    lines = [("", "kernel", "time", "of the limit")]
    for number, point in enumerate(roofline.points, 1):
        limit = min(roofline.peak, point.intensity * roofline.bandwidth)
        lines.append((str(number), point.name, quantity(point.seconds, "s"), f"{100 * point.gflops / limit:.0f} %"))
    for y, texts in enumerate(lines):
        colour = _colour(roofline.points[y - 1]) if y else "black"
        for (x, side), text in zip(columns, texts, strict=True):
            weight = "bold" if y == 0 or x < 0.1 else "normal"
            axes.text(x, 0.97 - 0.065 * y, text, ha=side, color=colour, weight=weight, transform=axes.transAxes)
    note = (
        "The limit: what the memory delivers or what\nthe cores compute, whichever is less. Arrays\n"
        "that stay in the cache can exceed the memory's."
    )
    axes.text(0.05, 0.93 - 0.065 * len(lines), note, va="top", fontsize=9, color=QUIET_COLOUR, transform=axes.transAxes)


def _colour(point: Point) -> str:
    """Products, which the cores limit, and the rest, which the memory does."""
    return REACHED_COLOUR if point.name.startswith(("conv", "linear")) else MISSED_COLOUR
