"""Shows what LeNet-5's convolutions make of pullovers and coats: `python examples/activations.py`, or with `--help`.

Two classes that the network takes for each other: their maps side by side, and the difference between the classes'
means. docs/experiments.md says what one sees.
"""

from __future__ import annotations

import argparse
import sys

import clothes
import numpy as np

from minigrad import nn
from minigrad.activations import MapRow
from minigrad.data.fashion_mnist import CLASSES

EXAMPLES = 2  # images of each class that are shown; the means are over all in the test set


def main() -> int:
    parser = clothes.option_parser("Shows what LeNet-5's convolutions see.", epochs=3, out="activations-out")
    clothes.add_weights_option(parser)
    parser.add_argument(
        "--classes", nargs=2, choices=CLASSES, default=["pullover", "coat"], metavar="CLASS", help=", ".join(CLASSES)
    )
    options = parser.parse_args()
    if options.classes[0] == options.classes[1]:
        parser.error(f"--classes must be two different ones, got {' '.join(options.classes)}")
    with clothes.errors_in_one_sentence():
        clothes.prepare(options.out)
        show(*clothes.trained_network(options), options)
    return 0


def show(model: nn.Sequential, source: str, options: argparse.Namespace) -> None:
    _, test = clothes.datasets(options.fast)
    first, second = options.classes
    images = [test.images[test.labels == CLASSES.index(name)] / 255 for name in (first, second)]
    names = [first] * EXAMPLES + [second] * EXAMPLES
    rows = clothes.map_rows(model, names, np.concatenate([group[:EXAMPLES] for group in images]))
    maps = [clothes.maps_of(model, group) for group in images]
    for layer in rows:
        means = [of_class[layer].mean(axis=0) for of_class in maps]
        difference = images[1].mean(axis=0) - images[0].mean(axis=0)
        rows[layer].append(MapRow(f"mean {second}\nminus\nmean {first}", difference, means[1] - means[0]))
        m, row, column = np.unravel_index(np.abs(means[1] - means[0]).argmax(), means[0].shape)
        a, b = (mean[m, row, column] for mean in means)
        print(
            f"{layer} convolution: the most different unit is map {m + 1}'s at ({row}, {column}), "
            f"{a:.2f} for {first}, {b:.2f} for {second}"
        )
    title = f"{source}; means of {len(images[0]):,} and {len(images[1]):,} images"
    clothes.save_maps(rows, model, title, options.out)


if __name__ == "__main__":
    sys.exit(main())
