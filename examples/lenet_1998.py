"""Trains LeNet-5 as published in 1998 on MNIST: `python examples/lenet_1998.py`, or with `--help`.

Read `main` first. The layers, the network and its loss are in minigrad/lenet1998.py; docs/lenet_1998.md has results.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import minigrad
from minigrad import BackendError, nn, no_grad, plots
from minigrad.checks import writable_folder
from minigrad.data import MNIST, ArrayDataset, DataLoader, FashionMNIST
from minigrad.lenet1998 import bitmap_codes, lenet1998, map_loss
from minigrad.models import summary
from minigrad.optim import SGD
from minigrad.optim.lr_scheduler import CosineAnnealingLR
from minigrad.train import Epoch, NonFiniteLoss, TrainingRun, evaluate, predict, save_metrics

PAPER = {
    "LeNet-1": 1.7,
    "LeNet-4": 1.1,
    "SVM, polynomial of degree 4": 1.1,
    "SVM, reduced set, degree 5": 1.0,
    "LeNet-5": 0.95,
    "LeNet-5, distortions": 0.8,
    "SVM, virtual, degree 9, distortions": 0.8,
    "LeNet-4, boosted, distortions": 0.7,
}
"""Test errors on MNIST in percent, from figure 9 of the paper."""

FAST_EPOCHS = 3  # after which --fast has learned

TRAIN_COLOUR, TEST_COLOUR, QUIET_COLOUR = plots.TRAIN_COLOUR, plots.TEST_COLOUR, plots.QUIET_COLOUR


def main() -> int:
    options = parse_options()
    try:
        writable_folder(options.out)
        minigrad.use_backend(options.backend)
        train_set, test_set = datasets(options.fast)
    except (BackendError, ImportError, OSError, ValueError) as error:
        sys.exit(f"lenet_1998.py: error: {error}")
    minigrad.manual_seed(options.seed)
    model = lenet1998()
    print(summary(model, (options.batch_size, 1, 28, 28)))
    sgd = SGD(model.parameters(), lr=options.lr, momentum=0.9)
    run = TrainingRun(
        model,
        sgd,
        DataLoader(train_set, options.batch_size, shuffle=True),
        DataLoader(test_set, batch_size=250),
        scheduler=CosineAnnealingLR(sgd, T_max=options.epochs),
        loss=partial(map_loss, j=options.j),
    )
    try:
        train_errors = list(train(run, options.epochs))
        test_error = 100 * (1 - run.history[-1].test_accuracy)
        if not options.fast:
            print_beside_the_paper(test_error, options)
        save_results(run, train_errors, options)
    except NonFiniteLoss as error:
        sys.exit(f"lenet_1998.py: stopped: {error}; a learning rate below {options.lr:g} may help")
    except OSError as error:  # a full disk
        sys.exit(f"lenet_1998.py: error: {error}")
    except KeyboardInterrupt:
        return 130
    if options.fast and options.epochs >= FAST_EPOCHS and test_error > 50:
        sys.exit(f"lenet_1998.py: after {options.epochs} epochs the test error is still {test_error:.1f} %")
    return 0


def datasets(fast: bool) -> tuple[ArrayDataset, ArrayDataset]:
    """The images to learn from and to test with."""
    if fast:
        print("--fast: 2,000 images of Fashion-MNIST, which ships with minigrad, in place of MNIST's 60,000\n")
        return FashionMNIST().take(2_000), FashionMNIST(train=False).take(1_000)
    return MNIST(), MNIST(train=False)


def train(run: TrainingRun, epochs: int) -> Iterator[float]:
    """Trains, prints, and yields the error on the first of the training images after each epoch, in percent."""
    dataset = run.train_loader.dataset
    assert isinstance(dataset, ArrayDataset)
    some = DataLoader(dataset.take(min(10_000, len(dataset))), batch_size=250)
    for epoch in run.epochs(epochs):
        train_error = 100 * (1 - evaluate(run.model, some, run.loss).accuracy)
        test_error = 100 * (1 - epoch.test_accuracy)
        print(
            f"epoch {epoch.number:2}  loss {epoch.train_loss:7.3f}  training error {train_error:5.2f} %  "
            f"test error {test_error:5.2f} %  {epoch.seconds:4.1f} s",
            flush=True,
        )
        yield train_error


def print_beside_the_paper(error: float, options: argparse.Namespace) -> None:
    rows = {**PAPER, f"this run: seed {options.seed}, {options.epochs} epochs": error}
    print("\ntest error on MNIST (%), the paper's and this run's")
    for name, percent in sorted(rows.items(), key=lambda row: -row[1]):
        print(f"  {name:36}{percent:5.2f}")
    print()


# -- pictures ------------------------------------------------------------------------------------------------------


def save_results(run: TrainingRun, train_errors: list[float], options: argparse.Namespace) -> None:
    dataset = run.test_loader.dataset
    assert isinstance(dataset, ArrayDataset)
    save_metrics(run.history, options.out / "metrics.csv")
    print(f"see {options.out / 'metrics.csv'}")
    title = what_was_run(options)
    try:
        figures = {
            "errors.png": plot_errors(run.history, train_errors, title),
            "connections.png": plot_connections(run.model.C3.connected.numpy()),
            "bitmaps.png": plot_bitmaps(mean_outputs(run.model[:-1], run.test_loader), dataset.classes, title),
            "mistakes.png": plots.plot_mistakes(
                dataset.images, *predict(run.model, run.test_loader)[::-1], dataset.classes, title=title
            ),
        }
    except ImportError as error:
        print(f"no pictures: {error}")
        return
    for name, figure in figures.items():
        plots.save_figure(figure, options.out / name)
        print(f"    {options.out / name}")


def what_was_run(options: argparse.Namespace) -> str:
    data = "2,000 images of Fashion-MNIST" if options.fast else "MNIST"
    return f"LeNet-5 of 1998 on {data}, seed {options.seed}, {options.epochs} epochs"


def plot_errors(history: list[Epoch], train_errors: list[float], title: str) -> Any:
    """Training and test error by epoch, as in figure 5 of the paper."""
    figure = new_figure(6.5, 4)
    axes = figure.subplots()
    epochs = [epoch.number for epoch in history]
    test_errors = [100 * (1 - epoch.test_accuracy) for epoch in history]
    axes.plot(epochs, test_errors, color=TEST_COLOUR, marker="o", markersize=4, label="test images")
    axes.plot(
        epochs, train_errors, color=TRAIN_COLOUR, marker="o", markersize=4, label="training images (the first 10,000)"
    )
    if "Fashion" not in title:
        axes.axhline(0.95, color=QUIET_COLOUR, linewidth=1, linestyle="--", label="the paper's test error, 0.95 %")
    axes.annotate(
        f"{test_errors[-1]:.2f} %", (epochs[-1], test_errors[-1]), (0, 8), textcoords="offset points", ha="center"
    )
    axes.set_ylim(0, 1.1 * max(*test_errors, *train_errors))
    axes.set_xlim(0.5, epochs[-1] + 1)
    axes.set_xlabel("epoch")
    axes.set_ylabel("wrong (%)")
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.grid(color="#e5e5e5")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    axes.set_title(title, fontsize=11)
    return figure


def plot_connections(connected: np.ndarray) -> Any:
    """Which maps of S2 each map of C3 sees: table 1 of the paper, for connections (O, C)."""
    O, C = connected.shape
    figure = new_figure(7, 3.6)
    axes = figure.subplots()
    axes.imshow(connected.T, cmap="Blues", vmin=0, vmax=1.4, aspect="equal")
    axes.set_xticks(range(O))
    axes.set_yticks(range(C))
    axes.set_xticks(np.arange(O - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(C - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="#cccccc", linewidth=1)
    axes.tick_params(which="both", length=0)
    for position in (5.5, 11.5, 14.5):
        axes.axvline(position, color="black", linewidth=1.5)
    for middle, text in ((2.5, "three, contiguous"), (8.5, "four, contiguous"), (13, "four"), (15, "all")):
        axes.text(middle, -0.7, text, ha="center", va="bottom", fontsize=9)
    axes.set_xlabel("map of C3")
    axes.set_ylabel("map of S2")
    axes.set_title(f"{int(connected.sum())} kernels of {O * C}: which maps of S2 a map of C3 sees", fontsize=11, pad=22)
    return figure


def plot_bitmaps(outputs: np.ndarray, names: tuple[str, ...], title: str) -> Any:
    """The codes of the classes as bitmaps, and what the network makes of images of each: means of F6, (10, 84)."""
    figure = new_figure(9, 3.8)
    rows = figure.subplots(2, 10)
    for row, values, label in ((rows[0], bitmap_codes(), "code"), (rows[1], outputs, "F6, mean")):
        for k, axes in enumerate(row):
            image = axes.imshow(values[k].reshape(12, 7), cmap="gray_r", vmin=-1.2, vmax=1.2)
            axes.set_xticks([])
            axes.set_yticks([])
        row[0].set_ylabel(label, fontsize=11)
    for axes, name in zip(rows[0], names, strict=True):
        axes.set_title(name, fontsize=11 if len(name) < 3 else 8)
    figure.colorbar(image, ax=rows, shrink=0.8, ticks=[-1, 0, 1])
    figure.suptitle(f"{title}:\nthe bitmap of each class, and what F6 draws for its test images", fontsize=11)
    return figure


@no_grad()
def mean_outputs(model: nn.Module, loader: DataLoader) -> np.ndarray:
    """The mean output of the model for each of the ten classes, (10, F)."""
    pairs = [(model(images).numpy(), labels.numpy()) for images, labels in loader]
    outputs, labels = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    return np.stack([outputs[labels == k].mean(axis=0) for k in range(10)])


def new_figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("pictures need matplotlib: pip install matplotlib") from None
    return Figure(figsize=(width, height), layout="constrained")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Trains LeNet-5 as published in 1998 on MNIST, and shows its errors.", allow_abbrev=False
    )
    add, default = parser.add_argument, " (default: %(default)s)"
    add("--fast", action="store_true", help="few epochs on 2,000 images of Fashion-MNIST, to see that all works")
    add(
        "--epochs",
        type=int,
        default=None,
        help=f"passes over the training images (default: 20, with --fast {FAST_EPOCHS})",
    )
    add("--lr", type=float, default=1e-3, help="learning rate, which falls to 0 along half a cosine" + default)
    add("--batch-size", type=int, default=32, help="images a step" + default)
    add("--j", type=float, default=10.0, help="the loss's constant: how far wrong classes are pushed away" + default)
    add("--seed", type=int, default=0, help="of weights and shuffles" + default)
    backends = ", ".join(minigrad.backend_names())
    add("--backend", default=minigrad.default_backend().name, help=f"one of {backends}" + default)
    add("--out", type=Path, metavar="DIR", default=Path("lenet-1998-out"), help="for pictures and metrics" + default)
    options = parser.parse_args()
    if options.epochs is None:
        options.epochs = FAST_EPOCHS if options.fast else 20
    for name, least in (("epochs", 1), ("batch_size", 1), ("seed", 0)):
        if getattr(options, name) < least:
            parser.error(f"--{name.replace('_', '-')} must be at least {least}, got {getattr(options, name)}")
    if not 0 < options.lr < math.inf:
        parser.error(f"--lr must be a finite number above 0, got {options.lr:g}")
    if not math.isfinite(options.j):
        parser.error(f"--j must be a finite number, got {options.j:g}")
    return options


if __name__ == "__main__":
    sys.exit(main())
