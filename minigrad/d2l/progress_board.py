"""ProgressBoard: a chart that grows while something runs; the book's live chart of training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any, NamedTuple

from ..checks import instance, integer, require
from ..nn.checks import flag
from ..plots import new_figure
from .display import notebook, show
from .hyperparameters import HyperParameters

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Point(NamedTuple):
    x: float
    y: float


class ProgressBoard(HyperParameters):
    """Lines that grow point by point; in a notebook the chart is drawn anew below the cell, in place.

    Args:
        xlabel, ylabel, xlim, ylim, xscale, yscale: of the axes, as matplotlib takes them. They are attributes too, and
            may be changed before anything is drawn.
        ls, colors: styles and colours of the lines, in the order in which they first appear.
        fig, axes: matplotlib's, to draw on; by default new ones.
        figsize: width and height in inches.
        display: False to gather the points and draw nothing.

    Attributes:
        data: the points of each line, by its label.
        title: what stands above the chart; a Trainer writes there what it trains.
        pause: how many seconds pass at least between two drawings.

    Raises TypeError for a `display` that is no bool and `ls` or `colors` that are no lists.

    >>> board = ProgressBoard("x", display=False)
    >>> for x in range(4):
    ...     board.draw(x, x * x, "square", every_n=2)
    >>> board.data["square"]
    [Point(x=0.5, y=0.5), Point(x=2.5, y=6.5)]
    """

    data: dict[str, list[Point]]
    xlabel: str | None
    xlim: Sequence[float] | None

    def __init__(
        self,
        xlabel: str | None = None,
        ylabel: str | None = None,
        xlim: Sequence[float] | None = None,
        ylim: Sequence[float] | None = None,
        xscale: str = "linear",
        yscale: str = "linear",
        ls: Sequence[str] = ("-", "--", "-.", ":"),
        colors: Sequence[str] = ("C0", "C1", "C2", "C3"),
        fig: Any = None,
        axes: Any = None,
        figsize: tuple[float, float] = (4.5, 3.2),
        display: bool = True,
    ) -> None:
        flag("ProgressBoard", "display", display)
        for name, given in (("ls", ls), ("colors", colors)):
            fits = isinstance(given, Sequence) and not isinstance(given, str) and len(given) > 0
            require(fits, f"ProgressBoard: {name} must be a list, not empty", given, "write ['-', '--']")
        self.save_hyperparameters(ignore=["name", "given", "fits"])
        self.title = ""
        self.pause = 0.0
        self.clear()

    def clear(self) -> None:
        """Begins a new chart, without points."""
        self.data = {}
        self._gathered: dict[str, list[tuple[Any, Any]]] = {}
        self._shown_at = float("-inf")
        self._handle: Any = None

    def draw(self, x: Any, y: Any, label: str, every_n: int = 1) -> None:
        """Adds to the line of that label; every n calls make one point, their mean.

        x and y are numbers, or tensors of one element: those on a GPU are read only when a point is made.

        Raises TypeError where label is no string or every_n no integer, ValueError for an every_n below 1.
        """
        instance("draw", "the label", label, str)
        integer("draw", "every_n", every_n, least=1)
        gathered = self._gathered.setdefault(label, [])
        gathered.append((x, y))
        if len(gathered) < every_n:
            return
        xs, ys = ([float(value) for value in values] for values in zip(*gathered, strict=True))
        self.data.setdefault(label, []).append(Point(sum(xs) / len(xs), sum(ys) / len(ys)))
        gathered.clear()
        if self.display and notebook() and time.perf_counter() - self._shown_at >= self.pause:
            self.show()

    def figure(self) -> Figure:
        """The chart as it is now. Raises ImportError where matplotlib is not installed."""
        figure = self.fig or (self.axes.figure if self.axes is not None else new_figure(*self.figsize))
        axes = self.axes if self.axes is not None else figure.gca()
        axes.cla()
        for i, (label, points) in enumerate(self.data.items()):
            style, colour = self.ls[i % len(self.ls)], self.colors[i % len(self.colors)]
            xs, ys = zip(*points, strict=True)
            axes.plot(xs, ys, linestyle=style, color=colour, label=label, marker="." if len(points) == 1 else "")
        axes.set(xscale=self.xscale, yscale=self.yscale, xlabel=self.xlabel or "", ylabel=self.ylabel or "")
        axes.set(**{name: limit for name in ("xlim", "ylim") if (limit := getattr(self, name)) is not None})
        axes.set_title(fill(self.title, 60), fontsize=9)
        axes.grid(color="#e5e5e5")
        axes.set_axisbelow(True)
        if self.data:
            axes.legend(fontsize=9)
        return figure

    def show(self, file: str = "board.png") -> None:
        """Draws the chart: in a notebook in place, elsewhere into the file, whose name is printed.

        Raises ImportError where matplotlib is not installed, OSError where the file can't be written.
        """
        self._handle = show(self.figure(), file, self._handle)
        self._shown_at = time.perf_counter()
