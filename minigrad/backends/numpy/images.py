"""Batches of images, gathered from all that there are."""

from __future__ import annotations

import numpy as np


def gather_images(images: np.ndarray, indices: np.ndarray) -> np.ndarray:
    chosen = images.take(indices, axis=0)
    return chosen / np.float32(255) if chosen.dtype == np.uint8 else chosen
