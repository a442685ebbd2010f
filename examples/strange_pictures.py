"""Pictures that no network for clothes was taught: digits drawn in code, and any picture file made like clothes.

strange_inputs.py uses it; there is nothing to run here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

SIZE = 28  # rows and columns of an image
DRAWN = 200  # digits


def drawn_digits(seed: int) -> np.ndarray:
    """Digits of three typefaces, turned and sized at random, light on black."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    generator = np.random.default_rng(seed)
    canvas = FigureCanvasAgg(Figure(figsize=(1, 1), dpi=SIZE))
    text = canvas.figure.text(0.5, 0.5, "", ha="center", va="center", weight="bold")
    images = []
    for number in range(DRAWN):
        family = ("DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono")[number % 3]
        size, rotation = generator.uniform(48, 60), generator.uniform(-15, 15)  # points, degrees
        text.set(text=str(number % 10), family=family, fontsize=size, rotation=rotation)
        canvas.draw()
        images.append(1 - np.asarray(canvas.buffer_rgba())[:, :, 0] / 255)
    return np.array(images)


def read_picture(path: Path) -> np.ndarray:
    """A picture as clothes are, 28 x 28 grey pixels from 0 to 1, light on black; says what was done to it."""
    grey = grey_pixels(path)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    background = float(np.median(border))
    height, width = (max(1, round(SIZE * side / max(grey.shape))) for side in grey.shape)
    top, left = (SIZE - height) // 2, (SIZE - width) // 2
    image = np.full((SIZE, SIZE), background)
    image[top : top + height, left : left + width] = means(grey.shape[0], height) @ grey @ means(grey.shape[1], width).T
    inverted = background > 0.5
    image = background - image if inverted else image - background
    print(
        f"{path.name}: {grey.shape[1]} x {grey.shape[0]} pixels, made grey, {SIZE} x {SIZE}, "
        f"{'inverted, as its background is light, ' * inverted}its background black and its lightest pixel white",
        flush=True,
    )
    return np.clip(image / max(image.max(), 1 / 255), 0, 1)


def grey_pixels(path: Path) -> np.ndarray:
    """A picture file's brightness (H, W), from 0 to 1; what is transparent shows white."""
    try:
        from PIL import Image, ImageOps  # comes with matplotlib
    except ImportError:
        raise ImportError("--image needs matplotlib: pip install matplotlib") from None
    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file)
            if picture.mode[0] in "IF":  # more than 8 bits, on a scale of their own
                pixels = np.asarray(picture, float)
                return pixels / (pixels.max() or 1)
            picture = picture.convert("RGBA")
            white = Image.new("RGBA", picture.size, "white")
            return np.asarray(Image.alpha_composite(white, picture).convert("L")) / 255
    except (Image.DecompressionBombError, OSError, SyntaxError) as error:
        raise ValueError(f"--image {path}: {error}") from None


def means(pixels: int, places: int) -> np.ndarray:
    """The matrix (places, pixels) that divides a line of pixels evenly among places and takes each one's mean."""
    edges = np.linspace(0, pixels, places + 1)
    first = np.arange(pixels)
    overlap = np.minimum(edges[1:, None], first + 1) - np.maximum(edges[:-1, None], first)
    return np.maximum(overlap, 0) * places / pixels
