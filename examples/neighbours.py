"""LeNet-5 among its neighbours, all on Fashion-MNIST: `python examples/neighbours.py`, or with `--help`.

Softmax regression and an MLP come before it in the book, a residual network comes after it. Five networks, ten epochs
each: what each gets wrong, how many parameters it has and how long it takes. docs/neighbours.md says what one sees.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from itertools import accumulate
from typing import Any, NamedTuple

import clothes

import minigrad
from minigrad import nn, plots
from minigrad.data import Distorted
from minigrad.models import lenet5
from minigrad.optim import SGD
from minigrad.optim.lr_scheduler import CosineAnnealingLR
from minigrad.residual import resnet
from minigrad.train import Epoch


class Neighbour(NamedTuple):
    name: str
    make: Callable[[], nn.Module]
    lr: float


NEIGHBOURS = {
    "softmax": Neighbour("softmax regression", lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), 0.1),
    "mlp": Neighbour(
        "MLP", lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10)), 0.1
    ),
    "lenet": Neighbour("LeNet-5", lambda: lenet5("book"), 0.9),
    "modern": Neighbour("modern LeNet-5", lambda: lenet5("modern"), 0.1),
    "resnet": Neighbour("residual network", resnet, 0.1),
}


class Result(NamedTuple):
    """What became of a network: its number of parameters, and its epochs."""

    name: str
    parameters: int
    history: list[Epoch]

    @property
    def errors(self) -> list[float]:
        """The share of the test images taken for something else, after each epoch, in percent."""
        return [100 * (1 - epoch.test_accuracy) for epoch in self.history]

    @property
    def seconds(self) -> list[float]:
        """How long it has been trained after each epoch, tests included."""
        return list(accumulate(epoch.seconds for epoch in self.history))


def main() -> int:
    parser = clothes.option_parser("Compares LeNet-5 with its neighbours.", epochs=10, out="neighbours-out")
    parser.add_argument("--only", nargs="+", choices=NEIGHBOURS, default=list(NEIGHBOURS), help="some of the networks")
    options = parser.parse_args()
    with clothes.errors_in_one_sentence():
        clothes.prepare(options.out)
        save([train(key, options) for key in NEIGHBOURS if key in options.only], options)
    return 0


def train(key: str, options: argparse.Namespace) -> Result:
    name, make, lr = NEIGHBOURS[key]
    minigrad.manual_seed(options.seed)
    model = make()
    parameters = sum(parameter.size for parameter in model.parameters())
    print(f"\n{name}, {parameters:,} parameters", flush=True)
    if key == "resnet":
        return Result(name, parameters, train_as_today(model, lr, options))
    return Result(name, parameters, clothes.train(model, options, lr))


def train_as_today(model: nn.Module, lr: float, options: argparse.Namespace) -> list[Epoch]:
    """Momentum, weight decay, a learning rate that falls to 0, images that are mirrored and moved at random."""
    sgd = SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4, nesterov=True)
    scheduler = CosineAnnealingLR(sgd, T_max=options.epochs)
    training = Distorted(clothes.datasets(options.fast)[0], shift=1, rotation=0, scale=0, flip=True)
    return clothes.fit(model, sgd, options, training, scheduler)


def save(results: list[Result], options: argparse.Namespace) -> None:
    """Prints the table and writes it, with the chart."""
    rows = [(r.name, r.parameters, r.errors[-1], r.seconds[-1], r.seconds[-1] / len(r.history)) for r in results]
    print(f"\n{'network':18}  parameters  test error  seconds  an epoch")
    for name, parameters, error, seconds, an_epoch in rows:
        print(f"{name:18}  {parameters:>10,}  {error:8.2f} %  {seconds:7.1f}  {an_epoch:8.1f}")
    header = ["network", "parameters", "test_error", "seconds", "seconds_an_epoch"]
    clothes.save_table(options.out / "neighbours.csv", header, rows)
    plots.save_figure(plot(results, options), options.out / "neighbours.png")
    print(f"see\n  {options.out / 'neighbours.png'}\n  {options.out / 'neighbours.csv'}")


def plot(results: list[Result], options: argparse.Namespace) -> Any:
    """The error by seconds of training, a dot an epoch, and at the end by the number of parameters."""
    figure = plots.new_figure(10, 4.3)
    by_time, by_size = figure.subplots(1, 2)
    for result, colour in zip(results, plots.SEVERAL_COLOURS, strict=False):
        by_time.plot(result.seconds, result.errors, color=colour, marker="o", markersize=3.5, label=result.name)
        last = result.parameters, result.errors[-1]
        by_size.plot(*last, color=colour, marker="o", markersize=8)
        label = f"{result.name}, {last[1]:.1f} %"
        by_size.annotate(label, last, (0, 8), textcoords="offset points", ha="center", color=colour)
    by_time.set_yscale("log")
    by_time.set_yticks([5, 10, 20, 50, 100])
    for axes, label in ((by_time, "seconds of training, a dot an epoch"), (by_size, "parameters")):
        axes.set_xscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda number, _: f"{number:,.10g}")
            axis.set_minor_formatter(lambda *_: "")
        axes.set_xlabel(label)
        axes.set_ylabel("error (% of the test images)")
        axes.grid(color="#e5e5e5")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    by_time.legend(frameon=False)
    by_size.set_xlim(1_000, 1_000_000)
    by_size.set_ylim(0, 1.2 * max(result.errors[-1] for result in results))
    images = f"{len(clothes.datasets(options.fast)[0]):,} images of Fashion-MNIST"
    epochs = len(results[0].history)
    figure.suptitle(f"{images}, {epochs} epoch{'s' * (epochs > 1)}, batches of 128, seed {options.seed}", fontsize=11)
    return figure


if __name__ == "__main__":
    sys.exit(main())
