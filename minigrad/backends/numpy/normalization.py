"""Normalisation of channels, by arrays' own methods alone: the cupy backend uses these functions as they are."""

from __future__ import annotations

import numpy as np

AXES = (0, 2, 3)  # of images (N, C, H, W), all but the channels


def channel_moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = x.mean(axis=AXES)
    centred = x - _per_channel(mean)
    return mean, (centred * centred).mean(axis=AXES)


def channel_norm(
    x: np.ndarray, mean: np.ndarray, deviation: np.ndarray, weight: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    return (x - _per_channel(mean)) * _per_channel(weight / deviation) + _per_channel(bias)


def channel_norm_grad(
    dy: np.ndarray, x: np.ndarray, mean: np.ndarray, deviation: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = dy.size // len(mean)
    normal = (x - _per_channel(mean)) / _per_channel(deviation)
    dbias, dweight = dy.sum(axis=AXES), (dy * normal).sum(axis=AXES)
    dx = (dy - _per_channel(dbias / n) - normal * _per_channel(dweight / n)) * _per_channel(weight / deviation)
    return dx, dweight, dbias


def _per_channel(values: np.ndarray) -> np.ndarray:
    return values[:, None, None]
