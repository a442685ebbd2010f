"""The vocabulary of the book Dive into Deep Learning, over minigrad: its code runs with other import lines.

    from minigrad import d2l, nn, torch_like as torch

Read module.py and trainer.py first: a Trainer asks a Module for the loss of each batch. data.py has where batches come
from, classifier.py the book's models, progress_board.py and display.py the pictures, hyperparameters.py how all of
them are written. The classes are the book's in name and use (Zhang, Lipton, Li, Smola: Dive into Deep Learning, 2023).
"""

from __future__ import annotations

from typing import Any

from .. import torch_like  # installs PyTorch's names of methods, which the book's code uses
from .classifier import MLP, Classifier, LeNet, SoftmaxRegression, init_cnn
from .data import DataModule, FashionMNIST
from .devices import cpu, gpu, num_gpus, try_gpu
from .display import show_images
from .hyperparameters import HyperParameters, add_to_class
from .module import Module
from .progress_board import ProgressBoard
from .trainer import Trainer

INSTEAD = {
    **dict.fromkeys(("plot", "set_figsize", "plt"), "write import matplotlib.pyplot as plt, and plt.plot(x, y)"),
    **dict.fromkeys(
        ("LinearRegression", "LinearRegressionScratch", "SyntheticRegressionData", "SGD"),
        "type its class from the chapter, it runs",
    ),
    "use_svg_display": "leave it out, the pictures are sharp",
}


def __getattr__(name: str) -> Any:
    if name.startswith("__"):  # what Python itself looks for
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise AttributeError(f"d2l has no {name!r}: {INSTEAD.get(name, 'dir(minigrad.d2l) lists what there is')}")


__all__ = [
    "MLP",
    "Classifier",
    "DataModule",
    "FashionMNIST",
    "HyperParameters",
    "LeNet",
    "Module",
    "ProgressBoard",
    "SoftmaxRegression",
    "Trainer",
    "add_to_class",
    "cpu",
    "gpu",
    "init_cnn",
    "num_gpus",
    "show_images",
    "try_gpu",
]
