"""Pictures where the reader is: in a notebook below its cell, elsewhere in a file whose name is printed."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import integer, require
from ..nn.checks import finite
from ..plots import new_figure, save_figure
from ..tensor import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def notebook() -> Any | None:
    """The module IPython.display where this runs in a notebook, else None."""
    ipython = sys.modules.get("IPython")  # there if this is one
    shell = ipython.get_ipython() if ipython else None
    return sys.modules.get("IPython.display") if hasattr(shell, "kernel") else None


def show(figure: Figure, file: str, handle: Any = None) -> Any:
    """Shows a figure in the notebook, in place of the one that `handle` stands for; elsewhere writes it into the file.

    Returns a handle to replace it with later; None elsewhere.
    """
    ipython_display = notebook()
    if ipython_display is None:
        save_figure(figure, file)
        print(f"the picture is in {file}", flush=True)
        return None
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=200)
    width = round(100 * figure.get_figwidth())  # half of what it has, for fine screens; the height follows
    image = ipython_display.Image(png.getvalue(), format="png", width=width)
    if handle is None:
        return ipython_display.display(image, display_id=True)
    handle.update(image)
    return handle


def show_images(
    imgs: Any, num_rows: int, num_cols: int, titles: Sequence[str] | None = None, scale: float = 1.5
) -> np.ndarray:
    """Shows images in rows and columns; outside a notebook in the file images.png.

    Args:
        imgs: (N, H, W), a Tensor, an array or a list; those for which there is no place are left out.
        titles: what stands above each.
        scale: the side of each, in inches.

    Returns matplotlib's axes, (num_rows num_cols,).

    Raises ValueError for another shape or a number below 1, TypeError for what is no number, ImportError where
    matplotlib is not installed.
    """
    rows = integer("show_images", "num_rows", num_rows, least=1)
    columns = integer("show_images", "num_cols", num_cols, least=1)
    finite("show_images", "scale", scale)
    images = [np.asarray(image.numpy() if isinstance(image, Tensor) else image) for image in imgs]
    for image in images:
        if image.ndim != 2:
            raise ValueError(f"show_images: expected images (H, W), got shape {image.shape}; see X.squeeze(1)")
    require(titles is None or not isinstance(titles, str), "show_images: titles must be a list of strings", titles)
    figure = new_figure(columns * scale, rows * scale * (1.0 if titles is None else 1.15))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for place in axes:
        place.axis("off")
    for place, image in zip(axes, images, strict=False):
        place.imshow(image, cmap="gray", interpolation="nearest")
    for place, title in zip(axes, titles or (), strict=False):
        place.set_title(title, fontsize=9)
    show(figure, "images.png")
    return axes
