"""The arguments that say how a window moves over an image, checked: pairs, padding and output sizes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

Pair = tuple[int, int]


def pair(name: str, what: str, value: Any, at_least: int) -> Pair:
    """One integer for both directions, or two: (height, width)."""
    if type(value) is int and value >= at_least:
        return value, value
    if type(value) is tuple and len(value) == 2:
        height, width = value
        if type(height) is type(width) is int and height >= at_least <= width:
            return value  # as a layer has it
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    whole = all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in values)
    if len(values) != 2 or not whole or min(values) < at_least:
        raise ValueError(f"{name}: {what} must be an integer from {at_least}, or a pair (height, width), got {value!r}")
    return int(values[0]), int(values[1])


@lru_cache(maxsize=1024)
def check_fits(name: str, image: tuple[int, ...], kernel: Pair, padding: Pair, dilation: Pair = (1, 1)) -> None:
    """Raises ValueError where the kernel is larger than the padded image, so that it fits nowhere."""
    for size, k, p, d in zip(image, kernel, padding, dilation, strict=True):
        if size == 0:
            raise ValueError(f"{name}: an image of size {image} has no pixels")
        if d * (k - 1) + 1 > size + 2 * p:
            padded = tuple(size + 2 * p for size, p in zip(image, padding, strict=True))
            spanned = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
            raise ValueError(f"{name}: a kernel spanning {spanned} does not fit into the padded image {padded}")
