"""Modernises LeNet-5 one change at a time: `python examples/modernise.py`, or with `--help`.

Average pooling becomes max pooling, the sigmoids become ReLUs: four networks, with the same weights at the start and
the same batches. docs/experiments.md says what one sees.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable

import clothes

import minigrad
from minigrad import nn, plots
from minigrad.models import lenet5
from minigrad.train import Epoch

Changes = dict[type, Callable[[], nn.Module]]

MAX_POOLING: Changes = {nn.AvgPool2d: lambda: nn.MaxPool2d(kernel_size=2, stride=2)}
RELU: Changes = {nn.Sigmoid: nn.ReLU}
NETWORKS: dict[str, Changes] = {
    "the book's": {},
    "max pooling": MAX_POOLING,
    "ReLU": RELU,
    "max pooling and ReLU": {**MAX_POOLING, **RELU},
}
LEARNED = math.log(10) - 0.1  # a training loss, in nats, at which a network does better than guess


def main() -> int:
    parser = clothes.option_parser("Modernises LeNet-5 one change at a time.", epochs=10, out="modernise-out")
    parser.add_argument("--lr", type=float, default=0.1, help="learning rate of gradient descent (default: 0.1)")
    options = parser.parse_args()
    if not 0 < options.lr < math.inf:
        parser.error(f"--lr must be a finite number above 0, got {options.lr:g}")
    with clothes.errors_in_one_sentence():
        clothes.prepare(options.out)
        histories = {}
        for name, changes in NETWORKS.items():
            print(f"\n{name}", flush=True)
            minigrad.manual_seed(options.seed)
            histories[name] = clothes.train(network(changes), options, options.lr)
        save(histories, options)
    return 0


def network(changes: Changes) -> nn.Sequential:
    """The book's LeNet-5 with each layer of one class replaced by one of another; weights are drawn before that."""
    return nn.Sequential(*[changes.get(type(layer), lambda layer=layer: layer)() for layer in lenet5("book")])


def save(histories: dict[str, list[Epoch]], options: argparse.Namespace) -> None:
    """Prints the table and writes it, with the curves."""
    rows = [row(name, history) for name, history in histories.items()]
    print(f"\n{'network':20}  learns from epoch  test loss  test accuracy    best")
    for name, start, loss, accuracy, best in rows:
        print(f"{name:20}  {start:>17}  {loss:9.3f}  {accuracy:11.1f} %  {best:.1f} %")
    header = ["network", "learns_from_epoch", "test_loss", "test_accuracy", "best_accuracy"]
    clothes.save_table(options.out / "modernise.csv", header, rows)
    training = f"{len(clothes.datasets(options.fast)[0]):,} images of Fashion-MNIST"
    title = f"LeNet-5, changed; {training}, SGD, learning rate {options.lr:g}, batches of 128, seed {options.seed}"
    plots.save_figure(plots.plot_histories(histories, 10, title), options.out / "modernise.png")
    print(f"see\n  {options.out / 'modernise.png'}\n  {options.out / 'modernise.csv'}")


def row(name: str, history: list[Epoch]) -> tuple[str, str, float, float, float]:
    start = next((str(epoch.number) for epoch in history if epoch.train_loss < LEARNED), "never")
    accuracies = [100 * epoch.test_accuracy for epoch in history]
    return name, start, history[-1].test_loss, accuracies[-1], max(accuracies)


if __name__ == "__main__":
    sys.exit(main())
