"""Shows a network for clothes what it was never taught: `python examples/strange_inputs.py`, or with `--help`.

Noise, digits and any picture (`--image FILE`) go through a LeNet-5 that knows ten kinds of clothes; their maps, its
confidence and its entropy stand beside those of real test images. docs/experiments.md says what one sees.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

import clothes
import numpy as np
from strange_pictures import DRAWN, SIZE, drawn_digits, read_picture

from minigrad.data import MNIST
from minigrad.data.fashion_mnist import CLASSES
from minigrad.plots import SEVERAL_COLOURS, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 2  # images of each kind among the maps
NOISE = 1000  # images
OWN = "your picture"


def main() -> int:
    parser = clothes.option_parser("Shows a network for clothes other things.", epochs=3, out="strange-out")
    clothes.add_weights_option(parser)
    picture = "a picture of yours: PNG, JPEG or the like"
    parser.add_argument("--image", type=clothes.existing_file, metavar="FILE", help=picture)
    options = parser.parse_args()
    with clothes.errors_in_one_sentence():
        clothes.prepare(options.out)
        kinds = inputs(options)
        model, source = clothes.trained_network(options)
        judged = {name: clothes.judge(model, images) for name, images in kinds.items()}
        print_table(judged)
        names = [name for name, images in kinds.items() for _ in images[:SHOWN]]
        rows = clothes.map_rows(model, names, np.concatenate([images[:SHOWN] for images in kinds.values()]))
        print("see")
        clothes.save_maps(rows, model, source, options.out)
        save_figure(plot_certainty(judged, f"Confidence and entropy of {source}"), options.out / "certainty.png")
        print(f"  {options.out / 'certainty.png'}")
    return 0


def inputs(options: argparse.Namespace) -> dict[str, np.ndarray]:
    """Images (N, 28, 28) from 0 to 1, by their kind."""
    kinds = {"test image": clothes.datasets(options.fast)[1].images / 255}
    kinds["noise"] = np.random.default_rng(options.seed).random((NOISE, SIZE, SIZE))
    kinds.update(digits(options))
    if options.image:
        kinds[OWN] = read_picture(options.image)[None]
    return kinds


def digits(options: argparse.Namespace) -> dict[str, np.ndarray]:
    """MNIST's test images where they can be had, else digits drawn here."""
    reason = "--fast does not look for them"
    if not options.fast:
        try:
            return {"MNIST digit": MNIST(train=False).images / 255}
        except (ImportError, OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
    print(f"{DRAWN} digits are drawn in place of MNIST's: {reason}", flush=True)
    return {"drawn digit": drawn_digits(options.seed)}


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """-sum p ln p of each row, in nats: 0 for one class alone, ln 10 = 2.303 for ten equal ones."""
    return -(probabilities * np.log(np.maximum(probabilities, 1e-30))).sum(axis=1)


def print_table(judged: dict[str, np.ndarray]) -> None:
    print(f"\n{'kind':12}  images  mean confidence  above 90 %  mean entropy  most often taken for")
    for name, probabilities in judged.items():
        confidence = probabilities.max(axis=1)
        counts = np.bincount(probabilities.argmax(axis=1), minlength=len(CLASSES))
        favourite = f"{CLASSES[counts.argmax()]}, {100 * counts.max() / counts.sum():.0f} %"
        sure, above, nats = 100 * confidence.mean(), 100 * (confidence > 0.9).mean(), entropy(probabilities).mean()
        print(f"{name:12}  {len(confidence):6,}  {sure:13.1f} %  {above:8.1f} %  {nats:7.2f} nats  {favourite}")


def plot_certainty(judged: dict[str, np.ndarray], title: str) -> Figure:
    """The shares of images that the model is so sure of, and so unsure of; a line for the one picture."""
    figure = new_figure(10, 4.4)
    figure.suptitle(title, fontsize=11)
    sure, unsure = figure.subplots(1, 2)
    for (name, probabilities), colour in zip(judged.items(), SEVERAL_COLOURS, strict=False):
        confidence, nats = 100 * probabilities.max(axis=1), entropy(probabilities)
        for axes, values in ((sure, confidence), (unsure, nats)):
            if name == OWN:
                axes.axvline(values[0], color=colour, linestyle="--", label=name)
            else:
                axes.ecdf(values, complementary=axes is sure, color=colour, label=f"{name} ({len(values):,})")
    sure.set(xlabel="confidence: the likeliest class's probability (%)", ylabel="share of images at least as sure")
    unsure.set(
        xlabel="entropy (nats); ten equal classes have ln 10 = 2.303", ylabel="share of images at most as unsure"
    )
    sure.set_xlim(10, 101)
    unsure.set_xlim(-0.02, np.log(10))
    for axes in (sure, unsure):
        axes.grid(color="#e5e5e5")
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*sure.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


if __name__ == "__main__":
    sys.exit(main())
