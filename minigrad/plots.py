"""Pictures of training runs and their results: learning curves, the confusion matrix, the most confident mistakes.

Each function returns a matplotlib Figure that belongs to nobody else: no window opens, no global state changes, and no
display is needed. `save_figure` writes one as PNG. The numbers come from train/.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import array, integer, require
from .checks import path as checked_path
from .nn.checks import not_negative
from .serialization import StrPath, write_atomically
from .train import Epoch
from .train.records import checked_history

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRAIN_COLOUR, TEST_COLOUR, QUIET_COLOUR = "#c2571a", "#1f5fa8", "#777777"
SEVERAL_COLOURS = ("#222222", TEST_COLOUR, TRAIN_COLOUR, "#2f8f4e", "#8a4fa3", "#a8842c")
DOTS_PER_INCH = 150


def plot_curves(history: Sequence[Epoch], classes: int, title: str = "") -> Figure:
    """Loss and accuracy over the epochs, with the loss and the accuracy of mere guessing among `classes` classes.

    The title says what was run.

    Raises ValueError for an empty history or a number of classes below 1, TypeError for what is no history, ImportError
    where matplotlib is not installed.
    """
    history = checked_history("plot_curves", history)
    classes = integer("plot_curves", "classes", classes, least=1)
    if not history:
        raise ValueError("plot_curves: the history is empty, there is no epoch to plot")
    figure = new_figure(9, 3.8)
    figure.suptitle(title, fontsize=11)
    losses, accuracies = figure.subplots(1, 2)
    epochs = [epoch.number for epoch in history]
    marker = "o" if len(epochs) <= 30 else ""

    for label, values, colour in (
        ("training", [epoch.train_loss for epoch in history], TRAIN_COLOUR),
        ("test", [epoch.test_loss for epoch in history], TEST_COLOUR),
    ):
        losses.plot(epochs, values, color=colour, marker=marker, markersize=4, label=label)
    chance = float(np.log(classes))
    losses.axhline(
        chance, color=QUIET_COLOUR, linewidth=1, linestyle="--", label=f"guessing, ln {classes} = {chance:.3f}"
    )
    losses.set_ylim(bottom=0)
    losses.set_ylabel("cross-entropy loss (nats)")

    percent = [100 * epoch.test_accuracy for epoch in history]
    accuracies.plot(epochs, percent, color=TEST_COLOUR, marker=marker, markersize=4, label="test")
    accuracies.axhline(
        100 / classes, color=QUIET_COLOUR, linewidth=1, linestyle="--", label=f"guessing, {100 / classes:.3g} %"
    )
    accuracies.annotate(
        f"{percent[-1]:.1f} %",
        (epochs[-1], percent[-1]),
        (6, 8),
        textcoords="offset points",
        ha="right",
        color=TEST_COLOUR,
    )
    accuracies.set_ylim(0, 100)
    accuracies.set_ylabel("accuracy (% of the test images)")

    for axes in (losses, accuracies):
        _over_epochs(axes, epochs[0], epochs[-1])
    losses.legend(frameon=False, loc="best")
    accuracies.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 0.12))  # above it
    return figure


def plot_histories(histories: Mapping[str, Sequence[Epoch]], classes: int, title: str = "") -> Figure:
    """The curves of several runs over each other: training loss, test loss, test accuracy, each on axes of its own.

    Args:
        histories: the name of each run and its epochs; the first is drawn in black, as what the others differ from.
        classes: among how many classes guessing is drawn.
        title: what was run.

    Raises ValueError for no run or more than six, for an empty history and for a number of classes below 1, TypeError
    for what is no history, ImportError where matplotlib is not installed.
    """
    require(isinstance(histories, Mapping), "plot_histories: histories must be a dict of names and epochs", histories)
    if not 1 <= len(histories) <= len(SEVERAL_COLOURS):
        raise ValueError(f"plot_histories: there must be 1 to {len(SEVERAL_COLOURS)} histories, got {len(histories)}")
    runs = {name: checked_history("plot_histories", history) for name, history in histories.items()}
    if empty := [name for name, history in runs.items() if not history]:
        raise ValueError(f"plot_histories: the history of {empty[0]!r} is empty, there is no epoch to plot")
    classes = integer("plot_histories", "classes", classes, least=1)
    chance = float(np.log(classes))
    figure = new_figure(12, 4.3)
    figure.suptitle(title, fontsize=11)
    panels = figure.subplots(1, 3)
    for axes, label, values_of, guessing, limit in zip(
        panels,
        ("training loss (nats)", "test loss (nats)", "test accuracy (%)"),
        (lambda e: e.train_loss, lambda e: e.test_loss, lambda e: 100 * e.test_accuracy),
        (chance, chance, 100 / classes),
        (None, None, 100),
        strict=True,
    ):
        for (name, history), colour in zip(runs.items(), SEVERAL_COLOURS, strict=False):
            epochs, values = [epoch.number for epoch in history], [values_of(epoch) for epoch in history]
            axes.plot(epochs, values, color=colour, marker="o", markersize=3.5, label=name)
        axes.axhline(guessing, color=QUIET_COLOUR, linewidth=1, linestyle="--", label=f"guessing among {classes}")
        axes.set_ylabel(label)
        axes.set_ylim(0, limit or 1.05 * axes.dataLim.ymax)
        _over_epochs(axes, 1, max(history[-1].number for history in runs.values()))
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(runs) + 1, frameon=False
    )
    return figure


def plot_confusion(counts: np.ndarray, names: Sequence[str], title: str = "") -> Figure:
    """A confusion matrix as a coloured table: a row for each true class, a column for each predicted one.

    Args:
        counts: (K, K), how many examples of the row's class were taken for the column's; see train.confusion_matrix.
        names: of the K classes.
        title: what was run.

    Raises ValueError where the shapes do not fit, ImportError where matplotlib is not installed.
    """
    counts, K = array("plot_confusion", "counts", counts), _number_of("plot_confusion", names)
    if counts.shape != (K, K):
        raise ValueError(f"plot_confusion: {K} names need counts of shape ({K}, {K}), got {counts.shape}")
    if counts.dtype.kind not in "iu":
        raise TypeError(f"plot_confusion: counts must be integers, got {counts.dtype}")
    if counts.min() < 0:
        raise ValueError(f"plot_confusion: counts must be at least 0, got {counts.min()}")
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    figure = new_figure(2.2 + 0.62 * K, 1.9 + 0.55 * K)
    axes = figure.subplots()
    image = axes.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[row, column] > 0.55 else "black"
            weight = "bold" if row == column else "normal"
            text = axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=9)
            text.set(fontweight=weight, in_layout=False)  # it lies inside: measuring a hundred would take a while
    axes.set_xticks(range(K), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(K), names)
    axes.set_xticks(np.arange(K - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(K - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    right, total = int(np.trace(counts)), int(counts.sum())
    share = f"{right:,} of {total:,} right ({100 * right / max(total, 1):.1f} %)"
    axes.set_title(f"{title}\n{share}".strip(), fontsize=11, pad=10)
    bar = figure.colorbar(image, ax=axes, shrink=0.85, pad=0.02)
    bar.set_label("share of the true class (%)")
    bar.outline.set_visible(False)
    return figure


def plot_mistakes(
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    names: Sequence[str],
    rows: int = 4,
    columns: int = 5,
    title: str = "",
) -> Figure:
    """The images that the model was most certain about and wrong, with their true and predicted class.

    Args:
        images: (N, H, W), any brightness scale.
        labels: (N,), the true classes.
        probabilities: (N, K), what the model gave each class; see train.predict.
        names: of the K classes.
        rows, columns: of the grid; it is not filled where there are fewer mistakes.
        title: what was run.

    Raises TypeError or ValueError where an argument is not what is said above, ImportError where matplotlib is not
    installed.
    """
    caller = "plot_mistakes"
    images, labels = array(caller, "images", images), array(caller, "labels", labels)
    probabilities = array(caller, "probabilities", probabilities)
    rows, columns = integer(caller, "rows", rows, least=1), integer(caller, "columns", columns, least=1)
    N, K = labels.size, _number_of(caller, names)
    if images.ndim != 3 or len(images) != N or labels.shape != (N,) or probabilities.shape != (N, K):
        raise ValueError(
            f"plot_mistakes: expected images (N, H, W), labels (N,) and probabilities (N, {K}) for {K} names, "
            f"got {images.shape}, {labels.shape} and {probabilities.shape}"
        )
    if images.dtype.kind not in "fiub" or labels.dtype.kind not in "iu" or probabilities.dtype.kind != "f":
        raise TypeError(
            f"plot_mistakes: expected numbers for images, integers for labels and floats for probabilities, "
            f"got {images.dtype}, {labels.dtype} and {probabilities.dtype}"
        )
    if N and not 0 <= labels.min() <= labels.max() < K:
        raise ValueError(f"plot_mistakes: labels must lie from 0 to {K - 1}, got {labels.min()} to {labels.max()}")
    if N and not images.size:
        raise ValueError(f"plot_mistakes: the images have no pixels, their shape is {images.shape}")
    predictions, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predictions != labels)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][: rows * columns]

    cell_width, cell_height, side, top = 2.05, 2.1, 1.55, 0.7  # inches
    width, height = cell_width * columns, top + cell_height * rows
    figure = new_figure(width, height)
    # One pair of axes in inches, from the top left corner: a pair for each image would take longer than all else.
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    H, W = side * np.array(images.shape[1:]) / max(1, *images.shape[1:])
    for place, n in enumerate(worst):
        row, column = divmod(place, columns)
        centre, bottom = (column + 0.5) * cell_width, top + (row + 1) * cell_height - 0.1
        extent = centre - W / 2, centre + W / 2, bottom, bottom - H
        axes.imshow(images[n], cmap="gray_r", interpolation="nearest", extent=extent, aspect="auto")
        taken_for = f"taken for {names[predictions[n]]}, {_percent(confidence[n])}"
        for text, above, colour in ((names[labels[n]], 0.26, TEST_COLOUR), (taken_for, 0.06, TRAIN_COLOUR)):
            axes.text(centre, bottom - H - above, text, ha="center", fontsize=9, color=colour)
    shown = f"{len(wrong):,} mistakes among {N:,} images"
    if len(worst):
        shown += f", and the {len(worst)} that the model was surest of"
    axes.text(width / 2, 0.12, f"{title}\n{shown}".strip(), ha="center", va="top", fontsize=12)
    return figure


def save_figure(figure: Figure, path: StrPath) -> None:
    """Writes the figure as a PNG file, atomically.

    Raises OSError where the file can't be written, TypeError for what is no figure or no path, ValueError for a path
    that does not end in .png.
    """
    hint = "the functions of minigrad.plots make one"
    require(hasattr(figure, "savefig"), "save_figure: the figure must be matplotlib's Figure", figure, hint)
    path = checked_path("save_figure", path)
    if not path.lower().endswith(".png"):
        raise ValueError(f"save_figure: what is written is PNG, so the path must end in .png, got {path!r}")
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=DOTS_PER_INCH)
    write_atomically(path, png.getvalue())


def _number_of(caller: str, names: Sequence[str]) -> int:
    """How many classes there are; raises for what is no list of names, and for none."""
    require(hasattr(names, "__len__"), f"{caller}: names must be a list with the name of each class", names)
    if not len(names):
        raise ValueError(f"{caller}: names is empty, there are no classes")
    return len(names)


def _percent(share: float) -> str:
    """Three digits, but never 100 % for less than that."""
    return f"{min(100 * share, 99.9):.1f} %"


def _over_epochs(axes: Any, first: int, last: int) -> None:
    """Makes the horizontal axis one of whole epochs, and the rest of the axes quiet."""
    axes.set_xlabel("epoch")
    axes.set_xlim(first - 0.5, last + 0.5)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.grid(color="#e5e5e5")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, its size in inches, drawn by Agg.

    Raises TypeError or ValueError where a side is no finite number of 0 or more, ImportError where matplotlib is not
    installed.
    """
    size = not_negative("new_figure", "the width", width), not_negative("new_figure", "the height", height)
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("pictures need matplotlib: pip install matplotlib") from None
    return Figure(figsize=size, layout="constrained")
