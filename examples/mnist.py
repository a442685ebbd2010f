"""Brings MNIST's test error below 1 %, and with distorted images further: `python examples/mnist.py`, or with `--help`.

The modern LeNet-5 is trained from each seed in two ways: with the training images as they are, and with images that are
moved, turned and resized anew each time. docs/mnist.md has the results.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

import clothes
import numpy as np

import minigrad
from minigrad import plots
from minigrad.data import MNIST, ArrayDataset, DataLoader, Distorted
from minigrad.models import lenet5
from minigrad.optim import SGD
from minigrad.optim.lr_scheduler import CosineAnnealingLR
from minigrad.train import TrainingRun, predict

Datasets = tuple[ArrayDataset, ArrayDataset]

EPOCHS = {"plain": 15, "distorted": 20}  # what never comes twice can be learned from for longer
DISTORTIONS: dict[str, Any] = {"shift": 2, "rotation": 10.0, "scale": 0.1}
COLOURS = {"plain": plots.TRAIN_COLOUR, "distorted": plots.TEST_COLOUR}


def main() -> int:
    options = parse_options()
    with clothes.errors_in_one_sentence():
        clothes.prepare(options.out)
        data = datasets(options)
        runs: dict[str, list[TrainingRun]] = {way: [] for way in options.ways}
        for way in options.ways:
            for seed in options.seeds:
                print(f"\n{way}, seed {seed}", flush=True)
                runs[way].append(train(way, seed, data, options))
        save_table(runs, options)
        save_pictures(runs, data, options)
    return 0


def datasets(options: argparse.Namespace) -> Datasets:
    """The images to learn from and to test with."""
    if options.fast:
        print("--fast: the first images of Fashion-MNIST, which ships with minigrad, in place of MNIST")
        return clothes.datasets(fast=True)
    if not options.held_out:
        return MNIST(), MNIST(train=False)
    every = MNIST()
    return clothes.held_out(every)


def train(way: str, seed: int, data: Datasets, options: argparse.Namespace) -> TrainingRun:
    """Trains a network in one of the ways and prints the epochs."""
    training, test = data
    epochs = options.epochs or (1 if options.fast else EPOCHS[way])
    minigrad.manual_seed(seed)
    model = lenet5("modern")
    sgd = SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    images = Distorted(training, **DISTORTIONS) if way == "distorted" else training
    run = TrainingRun(
        model,
        sgd,
        DataLoader(images, 128, shuffle=True),
        DataLoader(test, 250),
        scheduler=CosineAnnealingLR(sgd, T_max=epochs),
    )
    for epoch in run.epochs(epochs):
        print(epoch, flush=True)
    return run


def errors(run: TrainingRun) -> list[float]:
    """The share of test images that were wrong after each epoch, in percent."""
    return [100 * (1 - epoch.test_accuracy) for epoch in run.history]


def seconds(run: TrainingRun) -> float:
    return sum(epoch.seconds for epoch in run.history)


# -- results -------------------------------------------------------------------------------------------------------


def save_table(runs: dict[str, list[TrainingRun]], options: argparse.Namespace) -> None:
    """Prints the table and writes it."""
    rows = []
    print(f"\n{'images':9}  seed    epochs  error   wrong  seconds")
    for way, of_way in runs.items():
        for seed, run in zip(options.seeds, of_way, strict=True):
            error, epochs = errors(run)[-1], len(run.history)
            wrong = round(error / 100 * len(run.test_loader.dataset))
            rows.append([way, seed, epochs, f"{error:.2f}", wrong, f"{seconds(run):.1f}"])
            print(f"{way:9}  {seed:<6}  {epochs:>6}  {error:.2f} %  {wrong:5}  {seconds(run):7.1f}")
        median = statistics.median(errors(run)[-1] for run in of_way)
        print(f"{way:9}  median          {median:.2f} %")
    clothes.save_table(
        options.out / "mnist.csv", ["images", "seed", "epochs", "error_percent", "wrong", "seconds"], rows
    )
    print(f"see\n  {options.out / 'mnist.csv'}")


def save_pictures(runs: dict[str, list[TrainingRun]], data: Datasets, options: argparse.Namespace) -> None:
    """Draws the errors, some distorted images, and what the run of the median error in the last way gets wrong."""
    training, test = data
    way = options.ways[-1]
    middle = sorted(runs[way], key=lambda run: errors(run)[-1])[len(options.seeds) // 2]
    probabilities, labels = predict(middle.model, DataLoader(test, 250))
    seed = options.seeds[runs[way].index(middle)]
    title = f"{what_was_run(options, [seed])}, {way} images"
    mistakes = plots.plot_mistakes(test.images, labels, probabilities, test.classes, title=title)
    figures = {
        "errors.png": plot_errors(runs, options),
        "distorted.png": plot_distorted(training),
        "mistakes.png": mistakes,
    }
    for name, figure in figures.items():
        plots.save_figure(figure, options.out / name)
        print(f"  {options.out / name}")


def plot_errors(runs: dict[str, list[TrainingRun]], options: argparse.Namespace) -> Any:
    """The errors by epoch, a line a seed, and where each way's median ends."""
    figure = plots.new_figure(7, 4)
    axes = figure.subplots()
    for way, of_way in runs.items():
        for n, run in enumerate(of_way):
            epochs, label = range(1, len(run.history) + 1), f"{way} images" if n == 0 else None
            axes.plot(epochs, errors(run), color=COLOURS[way], marker="o", markersize=3, linewidth=1, label=label)
        median = statistics.median(errors(run)[-1] for run in of_way)
        text, end = f"median {median:.2f} %", (len(of_way[0].history), median)
        axes.annotate(text, end, (7, 0), textcoords="offset points", va="center", color=COLOURS[way])
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.set_xlim(0.5, 0.5 + 1.25 * max(len(of_way[0].history) for of_way in runs.values()))
    axes.set_xlabel("epoch")
    axes.set_ylabel("wrong (% of the test images)")
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.grid(color="#e5e5e5", which="both")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    axes.set_title(what_was_run(options, options.seeds), fontsize=11)
    return figure


def plot_distorted(dataset: ArrayDataset, columns: int = 10, rows: int = 4) -> Any:
    """The first images of the dataset, and below each what became of it a few times."""
    distorted = Distorted(dataset, **DISTORTIONS, generator=np.random.default_rng(0))
    first = np.arange(columns)
    lines = [dataset.batch(first)[0], *(distorted.batch(first)[0] for _ in range(rows - 1))]
    figure = plots.new_figure(columns, rows + 0.5)
    grid = figure.subplots(rows, columns)
    for line, images in zip(grid, lines, strict=True):
        for axes, image in zip(line, images, strict=True):
            axes.imshow(image[0], cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
    grid[0, 0].set_ylabel("original")
    for line in grid[1:]:
        line[0].set_ylabel("distorted")
    what = ", ".join(f"{name} {value:g}" for name, value in DISTORTIONS.items())
    figure.suptitle(f"The first training images, distorted anew each time: {what}", fontsize=11)
    return figure


def what_was_run(options: argparse.Namespace, seeds: list[int]) -> str:
    data = "Fashion-MNIST" if options.fast else "MNIST"
    test = ", tested on training images held out" if options.held_out else ""
    return f"Modern LeNet-5 on {data}{test}, seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Trains LeNet-5 on MNIST, with and without distorted images.", allow_abbrev=False
    )
    add, default = parser.add_argument, " (default: %(default)s)"
    add(
        "--ways",
        nargs="+",
        choices=EPOCHS,
        default=list(EPOCHS),
        help="images as they are, or distorted (default: both)",
    )
    add(
        "--seeds",
        nargs="+",
        type=clothes.at_least(0),
        default=[0, 1, 2],
        help="of weights, shuffles and distortions (default: 0 1 2)",
    )
    passes = " and ".join(f"{epochs} for {way}" for way, epochs in EPOCHS.items())
    add("--epochs", type=clothes.at_least(1), help=f"passes over the training images (default: {passes} ones)")
    add("--held-out", action="store_true", help="test with the last 10,000 training images, and train without them")
    add("--fast", action="store_true", help="one epoch of 1,000 images of Fashion-MNIST, to see that it runs")
    add("--out", type=Path, metavar="DIR", default=Path("mnist-out"), help="for what it writes" + default)
    options = parser.parse_args()
    for name, values in (("--ways", options.ways), ("--seeds", options.seeds)):
        if len(set(values)) < len(values):
            parser.error(f"{name} must be different ones, got {' '.join(map(str, values))}")
    return options


if __name__ == "__main__":
    sys.exit(main())
