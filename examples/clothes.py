"""What the experiments on clothes share: options, the data, a training run, a trained network.

modernise.py, neighbours.py, activations.py, strange_inputs.py and size_search.py use it, mnist.py some of it; there is
nothing to run here.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

import minigrad
from minigrad import BackendError, Tensor, load, nn
from minigrad.activations import MapRow, activations, plot_maps, receptive_field
from minigrad.checks import writable_folder
from minigrad.data import ArrayDataset, DataLoader, Dataset, FashionMNIST
from minigrad.data.fashion_mnist import CLASSES
from minigrad.models import VARIANTS, lenet5
from minigrad.optim import SGD
from minigrad.optim.lr_scheduler import LRScheduler
from minigrad.plots import new_figure, save_figure
from minigrad.serialization import load_metadata, write_atomically
from minigrad.train import Epoch, NonFiniteLoss, ProgressBar, TrainingRun, evaluate, predict

FAST_TRAINING, FAST_TEST = 1000, 300  # images with --fast
CONVOLUTIONS = {"first": "1", "second": "4"}  # the layers of lenet5 that are looked at: behind each, its activation


def option_parser(description: str, epochs: int, out: str) -> argparse.ArgumentParser:
    """The options that all experiments have."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    add, default = parser.add_argument, " (default: %(default)s)"
    add("--epochs", type=at_least(1), default=epochs, help="passes over the training images" + default)
    add("--seed", type=at_least(0), default=0, help="of weights and shuffles" + default)
    add("--fast", action="store_true", help=f"one epoch of {FAST_TRAINING:,} images, to see that it runs")
    add("--out", type=Path, metavar="DIR", default=Path(out), help="for what it writes" + default)
    return parser


def add_weights_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--weights", type=existing_file, metavar="FILE", help="that examples/lenet.py wrote; else trains a network"
    )


def at_least(least: int) -> Callable[[str], int]:
    """A type for argparse: an integer from `least`."""

    def integer(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {value}")
        return value

    return integer


def existing_file(text: str) -> Path:
    """A type for argparse: the path of a file that is there, said before anything is trained or written."""
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text!r}")
    return path


@contextmanager
def errors_in_one_sentence() -> Iterator[None]:
    """Ends the program with a sentence for what a user can mend, and quietly at Ctrl-C."""
    try:
        yield
    except (BackendError, ImportError, NonFiniteLoss, OSError, ValueError) as error:
        sys.exit(f"{Path(sys.argv[0]).name}: error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def prepare(out: Path) -> None:
    """What can go wrong before anything is trained: the folder, and matplotlib."""
    writable_folder(out)
    new_figure(1, 1)


def datasets(fast: bool) -> tuple[ArrayDataset, ArrayDataset]:
    training, test = FashionMNIST(train=True), FashionMNIST(train=False)
    return (training.take(FAST_TRAINING), test.take(FAST_TEST)) if fast else (training, test)


def held_out(training: ArrayDataset) -> tuple[ArrayDataset, ArrayDataset]:
    """The first five sixths to learn from, and the last sixth to judge with."""
    n = len(training) * 5 // 6
    return training.take(n), ArrayDataset(training.images[n:], training.labels[n:], training.classes)


def train(model: nn.Module, options: argparse.Namespace, lr: float = 0.1) -> list[Epoch]:
    """Trains by plain gradient descent, prints the epochs and returns them."""
    return fit(model, SGD(model.parameters(), lr=lr), options)


def fit(
    model: nn.Module,
    sgd: SGD,
    options: argparse.Namespace,
    training: Dataset | None = None,
    scheduler: LRScheduler | None = None,
) -> list[Epoch]:
    """Trains in batches of 128, on the given images or on those of `datasets`, prints the epochs and returns them."""
    images, test = datasets(options.fast)
    run = TrainingRun(
        model,
        sgd,
        DataLoader(images if training is None else training, 128, shuffle=True),
        DataLoader(test, 250),
        scheduler=scheduler,
    )
    try:
        bar = ProgressBar()
    except ImportError:
        bar = None
    with bar or nullcontext():
        for epoch in run.epochs(1 if options.fast else options.epochs, on_step=bar):
            print(epoch, flush=True)
    return run.history


def save_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_atomically(path, table.getvalue().encode())


def trained_network(options: argparse.Namespace) -> tuple[nn.Sequential, str]:
    """The network of the file options.weights, else one trained at once; and where it comes from, in a few words."""
    if options.weights is None:
        minigrad.manual_seed(options.seed)
        model = lenet5("modern")
        epochs = len(train(model, options))
        images = f"{FAST_TRAINING:,} images" if options.fast else "Fashion-MNIST"
        source = f"modern LeNet-5, {epochs} epoch{'s' * (epochs > 1)} on {images}"
    else:
        model, source = loaded_network(options.weights)
    accuracy = evaluate(model, DataLoader(datasets(options.fast)[1], 250)).accuracy
    return model, f"{source}, {100 * accuracy:.1f} % of test images right"


def loaded_network(path: Path) -> tuple[nn.Sequential, str]:
    variant, _, dataset = load_metadata(path).get("network", "").partition(" on ")
    if variant not in VARIANTS or dataset != "fashion-mnist":
        raise ValueError(
            f"{path}: these are not the weights of a LeNet-5 for clothes; examples/lenet.py writes them, "
            f"with --dataset fashion-mnist"
        )
    model = lenet5(variant)
    model.load_state_dict(load(path))
    for name, weights in model.state_dict().items():
        if not np.isfinite(weights.numpy()).all():
            raise ValueError(f"{path}: not all weights are finite, see {name}; take those of a run that learned")
    return model, f"{variant} LeNet-5 from {path.name}"


def judge(model: nn.Module, images: np.ndarray) -> np.ndarray:
    """The probabilities (N, 10) that the model gives the classes for images (N, H, W) from 0 to 1."""
    return predict(model, DataLoader(ArrayDataset(images.astype(np.float32), np.zeros(len(images), int)), 250))[0]


def verdict(probabilities: np.ndarray) -> str:
    """The likeliest of the ten classes and its probability, never rounded up to 100 %."""
    best = int(probabilities.argmax())
    return f"{CLASSES[best]}, {min(99.9, 100 * float(probabilities[best])):.1f} %"


def maps_of(model: nn.Module, images: np.ndarray) -> dict[str, np.ndarray]:
    """What both convolutions' activations make of images (N, H, W): maps (N, C, h, w), by the layer's name."""
    found = activations(model, Tensor(images[:, None].astype(np.float32)), list(CONVOLUTIONS.values()))
    return {name: found[layer] for name, layer in CONVOLUTIONS.items()}


def map_rows(model: nn.Module, names: Sequence[str], images: np.ndarray) -> dict[str, list[MapRow]]:
    """For both convolutions, a row an image, with its name and what the model takes it for."""
    labels = [f"{name},\ntaken for\n{verdict(p)}" for name, p in zip(names, judge(model, images), strict=True)]
    return {layer: list(map(MapRow, labels, images, maps)) for layer, maps in maps_of(model, images).items()}


def save_maps(rows: dict[str, list[MapRow]], model: nn.Module, title: str, out: Path) -> None:
    """A picture of each convolution's rows, first.png and second.png."""
    for name, layer in CONVOLUTIONS.items():
        figure = plot_maps(rows[name], receptive_field(model, layer), f"The {name} convolution of {title}")
        save_figure(figure, out / f"{name}.png")
        print(f"  {out / name}.png", flush=True)
