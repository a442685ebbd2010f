"""What a network's layers make of images: their activations, what part of an image each one sees, and pictures.

`activations` runs a model and keeps what its layers return. `receptive_field` says which pixels a unit of a layer sees.
`plot_maps` draws images and maps, a row an image, with each map's strongest unit and its receptive field.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import nn
from .autograd import no_grad
from .checks import array, instance, require
from .models import evaluation_mode
from .ops.geometry import Pair, pair
from .plots import QUIET_COLOUR, TRAIN_COLOUR, new_figure
from .tensor import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Layers whose every unit sees one place of what comes before, in evaluation mode.
POINTWISE = (
    *(nn.BatchNorm2d, nn.Dropout, nn.Identity),
    *(nn.LeakyReLU, nn.ReLU, nn.Sigmoid, nn.Softplus, nn.Tanh),
)


@no_grad()
def activations(model: nn.Module, images: Tensor, layers: Sequence[str]) -> dict[str, np.ndarray]:
    """What layers of the model return for the images, in evaluation mode, each as an array of its own.

    Args:
        model: any; nothing in it changes.
        images: what the model takes, all in one batch.
        layers: names of modules, as `model.named_modules()` has them. Where one is called several times, its last
            output counts.

    >>> from minigrad.models import lenet5
    >>> found = activations(lenet5(), Tensor(np.zeros((2, 1, 28, 28), np.float32)), ["1", "4"])
    >>> {name: maps.shape for name, maps in found.items()}
    {'1': (2, 6, 28, 28), '4': (2, 16, 10, 10)}

    Raises ValueError for a layer that the model doesn't have or didn't call, TypeError for what is no model or no list
    of names, and what the model raises.
    """
    instance("activations", "the model", model, nn.Module)
    message = "activations: layers must be a list of names"
    require(isinstance(layers, (list, tuple)), message, layers, "model.named_modules() has them")
    modules = dict(model.named_modules())
    found: dict[str, np.ndarray] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
            found[name] = output.numpy()

        return hook

    for name in layers:
        _check_name("activations", name, modules)
    handles = [modules[name].register_forward_hook(keep(name)) for name in layers]
    try:
        with evaluation_mode(model):
            model(images)
    finally:
        for handle in handles:
            handle.remove()
    if missing := [name for name in layers if name not in found]:
        raise ValueError(f"activations: the model did not call its layer {missing[0]!r}")
    return {name: found[name] for name in layers}


class ReceptiveField(NamedTuple):
    """Which pixels of an image the units of a layer see; all pairs are (rows, columns), in pixels."""

    size: Pair  # what one unit sees
    step: Pair  # from there to what its neighbour sees
    start: Pair  # where that of the first unit begins; negative, where it begins in the padding

    def of(self, row: int, column: int) -> tuple[int, int]:
        """The first row and the first column of what the unit in that place of a map sees."""
        return self.start[0] + self.step[0] * row, self.start[1] + self.step[1] * column


def receptive_field(model: nn.Module, layer: str) -> ReceptiveField:
    """Which pixels a unit of a layer sees, in a Sequential of convolutions, pooling and activations.

    A window of k taps, d pixels apart, sees d (k - 1) + 1 of the units before it. From layer to layer the size grows by
    d (k - 1) times the step so far, the start goes back by the padding times it, and the stride multiplies it.

    >>> from minigrad.models import lenet5
    >>> receptive_field(lenet5(), "4")
    ReceptiveField(size=(14, 14), step=(2, 2), start=(-2, -2))

    Raises ValueError for a layer that isn't there, and where a layer on the way is of another kind; TypeError for what
    is no model.
    """
    instance("receptive_field", "the model", model, nn.Module)
    leaves = dict(_leaves("", model))
    _check_name("receptive_field", layer, leaves)
    fields = [(1, 1, 0), (1, 1, 0)]  # size, step and start of each axis
    for name, module in leaves.items():
        fields = [
            (size + dilation * (kernel - 1) * step, step * stride, start - padding * step)
            for (size, step, start), (kernel, stride, padding, dilation) in zip(
                fields, _window(name, module), strict=True
            )
        ]
        if name == layer:
            break
    (height, down, top), (width, right, left) = fields
    return ReceptiveField((height, width), (down, right), (top, left))


def _leaves(name: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The layers in a Sequential and in those inside it, in the order in which they run."""
    if not isinstance(module, nn.Sequential):
        yield name, module
        return
    for part, child in module.named_children():
        yield from _leaves(f"{name}.{part}" if name else part, child)


def _window(name: str, module: nn.Module) -> Iterator[tuple[int, int, int, int]]:
    """For rows and for columns: a layer's kernel size, stride, padding and dilation."""
    if isinstance(module, POINTWISE):
        return iter([(1, 1, 0, 1)] * 2)
    if not isinstance(module, (nn.Conv2d, nn.AvgPool2d, nn.MaxPool2d)):
        raise ValueError(
            f"receptive_field: layer {name!r} is of class {type(module).__name__}, and only those of convolutions, "
            f"pooling and activations are known"
        )
    kernel, stride = (pair("receptive_field", "a size", size, 1) for size in (module.kernel_size, module.stride))
    dilation = module.dilation if isinstance(module, nn.Conv2d) else (1, 1)
    padding = module.padding
    if isinstance(padding, str):
        (KH, KW), (DH, DW) = kernel, dilation
        padding = (DH * (KH - 1) // 2, DW * (KW - 1) // 2) if padding == "same" else 0
    return zip(kernel, stride, pair("receptive_field", "padding", padding, 0), dilation, strict=True)


def _check_name(caller: str, name: str, known: dict[str, nn.Module]) -> None:
    if name not in known:
        names = ", ".join(repr(known_name) for known_name in known if known_name)
        raise ValueError(f"{caller}: the model has no layer {name!r}; it has {names}")


# ------------------------------------------------------------------------------------------------------------- pictures


class MapRow(NamedTuple):
    """An image and what a layer makes of it."""

    label: str  # short lines
    image: np.ndarray  # (H, W)
    maps: np.ndarray  # (C, h, w)


CELL, GAP, LABEL_WIDTH = 1.0, 0.1, 1.7  # in units of 0.72 inches
CAPTION = "0 is white; framed: each map's strongest unit and, above it, what this unit sees of the image"


def plot_maps(rows: Sequence[MapRow], field: ReceptiveField, title: str = "") -> Figure:
    """Images and maps, a column a map: above, the image with the receptive field of the map's strongest unit; below,
    the map, with that unit marked.

    A map has one scale over all rows, white for 0 and black for its largest value. Rows with negative numbers,
    differences for example, have a scale of their own: blue below 0, white, red above it. In these, the strongest unit
    is the one furthest from 0. What a receptive field sees of the padding is not drawn.

    Args:
        rows: at least one; all have as many maps.
        field: of the layer's units, see `receptive_field`.
        title: what was run.

    Raises TypeError or ValueError where an argument is not what is said above, ImportError where matplotlib is not
    installed.
    """
    instance("plot_maps", "the receptive field", field, ReceptiveField)
    rows = [MapRow(label, *(array("plot_maps", "images and maps", a) for a in rest)) for label, *rest in rows]
    shapes = {row.maps.shape for row in rows}
    if len(shapes) != 1 or any(row.image.ndim != 2 or row.maps.ndim != 3 or not row.maps.size for row in rows):
        raise ValueError(f"plot_maps: expected images (H, W) and maps (C, h, w), the same in all rows, got {shapes}")
    C = len(rows[0].maps)
    width, height = LABEL_WIDTH + C * (CELL + GAP), len(rows) * (2 * CELL + 3 * GAP) + 0.4
    inches = 0.72 * width + 0.2
    figure = new_figure(inches, 0.72 * height + 0.9)
    figure.suptitle(textwrap.fill(title, int(11 * inches)), fontsize=11)
    figure.supxlabel(textwrap.fill(CAPTION, int(13 * inches)), fontsize=9)
    axes = figure.subplots()
    scales = np.max([row.maps.max(axis=(1, 2)) for row in rows if row.maps.min() >= 0] or [np.ones(C)], axis=0)
    for m in range(C):
        axes.text(_left(m) + CELL / 2, -0.08, f"map {m + 1}", ha="center", fontsize=8)
    for number, row in enumerate(rows):
        _draw_row(axes, row, number * (2 * CELL + 3 * GAP), field, scales)
    axes.set_xlim(0, width)
    axes.set_ylim(height - 0.4, -0.4)
    axes.set_aspect("equal")
    axes.axis("off")
    return figure


def _left(m: int) -> float:
    return LABEL_WIDTH + m * (CELL + GAP)


def _draw_row(axes: Axes, row: MapRow, top: float, field: ReceptiveField, scales: np.ndarray) -> None:
    axes.text(LABEL_WIDTH - 0.15, top + CELL + GAP / 2, row.label, ha="right", va="center", fontsize=8.5)
    signed = row.maps.min() < 0
    for m, (values, scale) in enumerate(zip(row.maps, scales, strict=True)):
        left, below = _left(m), top + CELL + GAP
        _draw_cell(axes, row.image, left, top, np.abs(row.image).max())
        _draw_cell(axes, values, left, below, np.abs(row.maps).max() if signed else scale)
        if values.any():
            unit = np.unravel_index(np.abs(values).argmax(), values.shape)
            _frame(axes, row.image.shape, left, top, field.of(*map(int, unit)), field.size, TRAIN_COLOUR)
            _frame(axes, values.shape, left, below, unit, (1, 1), TRAIN_COLOUR)


def _draw_cell(axes: Axes, pixels: np.ndarray, left: float, top: float, scale: float) -> None:
    low, colours = (-scale, "RdBu_r") if pixels.min() < 0 else (0, "gray_r")
    place = (left, left + CELL, top + CELL, top)
    axes.imshow(pixels, cmap=colours, vmin=low, vmax=scale or 1, extent=place, interpolation="nearest")
    _frame(axes, (1, 1), left, top, (0, 0), (1, 1), QUIET_COLOUR, 0.5)


def _frame(
    axes: Axes, shape: Pair, left: float, top: float, first: Any, size: Pair, colour: str, line: float = 1.2
) -> None:
    """Draws around a part of a cell of `shape` pixels, from the pixel `first` on; only what is inside the cell."""
    (y0, y1), (x0, x1) = (
        (CELL * max(begin, 0) / whole, CELL * min(begin + extent, whole) / whole)
        for begin, extent, whole in zip(first, size, shape, strict=True)
    )
    axes.plot([left + x for x in (x0, x1, x1, x0, x0)], [top + y for y in (y0, y0, y1, y1, y0)], color=colour, lw=line)
