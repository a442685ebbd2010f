"""LeNet-5 in two variants, and `summary`, the table of a model's layers.

A model here is an nn.Sequential or another nn.Module (see nn/); train/ trains it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from . import nn
from .autograd import no_grad
from .backends import default_backend
from .checks import instance, integer, require
from .random import default_generator
from .tensor import Tensor, float32

VARIANTS = {
    "book": (nn.Sigmoid, nn.AvgPool2d),
    "modern": (nn.ReLU, nn.MaxPool2d),
}


def lenet5(variant: str = "book") -> nn.Sequential:
    """LeNet-5 for ten classes of 28 x 28 images of one channel: (N, 1, 28, 28) to logits (N, 10), 61,706 parameters.

    The layers of LeCun et al., "Gradient-based learning applied to document recognition" (1998), as simplified in
    Zhang et al., "Dive into Deep Learning", chapter 7.6: a plain last layer, pooling without weights. Weights are drawn
    by xavier_uniform_ from the global generator (see `minigrad.manual_seed`), biases as each layer draws its own.

    Args:
        variant: "book", with sigmoids and average pooling as in 1998; or "modern", with ReLU and max pooling.

    >>> lenet5()(Tensor(np.zeros((2, 1, 28, 28), np.float32))).shape
    (2, 10)

    Raises ValueError for another variant.
    """
    if not isinstance(variant, str) or variant not in VARIANTS:
        raise ValueError(f"lenet5: there is no variant {variant!r}; there are {', '.join(map(repr, VARIANTS))}")
    activation, pool = VARIANTS[variant]
    model = nn.Sequential(
        nn.Conv2d(1, 6, kernel_size=5, padding=2),
        activation(),
        pool(kernel_size=2, stride=2),
        nn.Conv2d(6, 16, kernel_size=5),
        activation(),
        pool(kernel_size=2, stride=2),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120),
        activation(),
        nn.Linear(120, 84),
        activation(),
        nn.Linear(84, 10),
    )
    for layer in model:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
    return model


class Layer(NamedTuple):
    """One line of a summary: a module that was called, what it returned, and the parameters it holds itself."""

    name: str
    kind: str
    output_shape: tuple[int, ...] | None
    parameters: int


class Summary(NamedTuple):
    """The layers of a model in the order they were called; prints as a table."""

    layers: tuple[Layer, ...]
    parameters: int

    def __repr__(self) -> str:
        rows = [("layer", "kind", "output shape", "parameters")]
        rows += [(name, kind, str(shape or "-"), f"{count:,}") for name, kind, shape, count in self.layers]
        rows += [("total", "", "", f"{self.parameters:,}")]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join([*map(str.ljust, row[:3], widths), row[3].rjust(widths[3])]) for row in rows]
        rule = "-" * len(lines[0])
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def summary(model: nn.Module, input_shape: tuple[int, ...]) -> Summary:
    """The table of a model's layers: name, kind, output shape, number of parameters, and the total.

    It is found by running zeros of `input_shape`, batch size included, through a copy of the model in evaluation mode,
    so neither the model nor the global generator changes. Layers are listed as they are called; a parameter that two
    layers share counts once.

    >>> summary(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), (1, 1, 28, 28))
    layer  kind     output shape  parameters
    ----------------------------------------
    0      Flatten  (1, 784)               0
    1      Linear   (1, 10)            7,850
    ----------------------------------------
    total                              7,850

    Raises what the model raises for an input of that shape, TypeError or ValueError for what is no model or no shape.
    """
    instance("summary", "the model", model, nn.Module)
    require(
        isinstance(input_shape, (tuple, list)), "summary: input_shape must be a tuple such as (1, 784)", input_shape
    )
    input_shape = tuple(integer("summary", "a size of input_shape", size, least=0) for size in input_shape)
    generator = default_generator()
    state = generator.bit_generator.state  # a lazy layer draws its weights at the first call
    model = copy.deepcopy(model).eval()
    layers: list[Layer] = []
    counted: set[int] = set()

    def record(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        own = [p for _, p in module.named_parameters(recurse=False) if id(p) not in counted]
        counted.update(map(id, own))
        if own or not list(module.children()):
            shape = getattr(output, "shape", None)
            layers.append(Layer(names[module], type(module).__name__, shape, sum(p.size for p in own)))

    names = {module: name or type(module).__name__ for name, module in model.named_modules()}
    for module in names:
        module.register_forward_hook(record)
    first = next(model.parameters(), None)
    backend = default_backend() if first is None else first.backend
    try:
        with no_grad():
            model(Tensor(np.zeros(input_shape), float32 if first is None else first.dtype, backend=backend))
    finally:
        generator.bit_generator.state = state
    return Summary(tuple(layers), sum(p.size for p in model.parameters()))


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Puts a model into evaluation mode and, at the end, each of its modules back into the mode it was in."""
    instance("evaluation_mode", "the model", model, nn.Module)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
