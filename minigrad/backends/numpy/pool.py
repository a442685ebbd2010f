"""Pooling over windows that may overlap: by average and its spreading back, by maximum as a gather and its scatter.

Each kernel visits the taps of the window in turn and handles one tap of every window at once.
"""

from __future__ import annotations

import numpy as np

from .layout import Pair, batch_first, batch_innermost, crop_image, output_size, pad_image, taps


def avg_pool2d(x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool) -> np.ndarray:
    N, C, H, W = x.shape
    output = output_size((H, W), kernel, stride, padding)
    image = pad_image(batch_innermost(x), padding)
    total = np.zeros((C, *output, N), x.dtype)
    for _, _, rows, columns in taps(kernel, stride, output):
        total += image[:, rows, columns]
    total *= _reciprocal_counts((H, W), kernel, stride, padding, count_include_pad, x.dtype)
    return batch_first(total)


def avg_pool2d_grad(
    dy: np.ndarray, image: Pair, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool
) -> np.ndarray:
    (N, C, OH, OW), (H, W), (PH, PW) = dy.shape, image, padding
    share = batch_innermost(dy) * _reciprocal_counts(image, kernel, stride, padding, count_include_pad, dy.dtype)
    padded = np.zeros((C, H + 2 * PH, W + 2 * PW, N), dy.dtype)
    for _, _, rows, columns in taps(kernel, stride, (OH, OW)):
        padded[:, rows, columns] += share
    return batch_first(crop_image(padded, padding))


def _reciprocal_counts(
    image: Pair, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool, dtype: np.dtype
) -> np.ndarray:
    """(OH, OW, 1), one over the number of pixels that each window's sum is divided by."""
    output = output_size(image, kernel, stride, padding)
    inside = pad_image(np.ones((1, *image, 1), dtype), padding, fill=1.0 if count_include_pad else 0.0)
    counts = sum(inside[0, rows, columns] for _, _, rows, columns in taps(kernel, stride, output))
    return np.reciprocal(counts)


def max_pool2d(x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair) -> tuple[np.ndarray, np.ndarray]:
    N, C, H, W = x.shape
    OH, OW = output_size((H, W), kernel, stride, padding)
    image = pad_image(batch_innermost(x), padding, fill=-np.inf)
    best = np.full((C, OH, OW, N), -np.inf, x.dtype)
    for _, _, rows, columns in taps(kernel, stride, (OH, OW)):
        np.maximum(best, image[:, rows, columns], out=best)  # a NaN stays
    winners = np.zeros((C, OH, OW, N), np.int32)
    for i, j, rows, columns in reversed(list(taps(kernel, stride, (OH, OW)))):  # the first maximum has the last word
        value = image[:, rows, columns]
        winners = np.where((value == best) | np.isnan(value), np.int32(i * kernel[1] + j), winners)
    if padding != (0, 0):  # among pixels that are all -infinity, padding might have won
        winners = np.where(best == -np.inf, _first_inside(kernel, stride, padding, (OH, OW)), winners)
    return batch_first(best), batch_first(winners)


def _first_inside(kernel: Pair, stride: Pair, padding: Pair, output: Pair) -> np.ndarray:
    """(OH, OW, 1), the first place in each window that lies inside the image."""
    i, j = (np.maximum(p - s * np.arange(o), 0) for p, s, o in zip(padding, stride, output, strict=True))
    return (i[:, None] * kernel[1] + j[None, :])[..., None].astype(np.int32)


def max_pool2d_gather(x: np.ndarray, winners: np.ndarray, kernel: Pair, stride: Pair, padding: Pair) -> np.ndarray:
    image, winners = pad_image(batch_innermost(x), padding), batch_innermost(winners)
    gathered = np.zeros(winners.shape, x.dtype)
    for i, j, rows, columns in taps(kernel, stride, winners.shape[1:3]):
        gathered = np.where(winners == i * kernel[1] + j, image[:, rows, columns], gathered)
    return batch_first(gathered)


def max_pool2d_scatter(
    dy: np.ndarray, winners: np.ndarray, image: Pair, kernel: Pair, stride: Pair, padding: Pair
) -> np.ndarray:
    (N, C, OH, OW), (H, W), (PH, PW) = dy.shape, image, padding
    dy, winners = batch_innermost(dy), batch_innermost(winners)
    padded = np.zeros((C, H + 2 * PH, W + 2 * PW, N), dy.dtype)
    for i, j, rows, columns in taps(kernel, stride, (OH, OW)):
        padded[:, rows, columns] += np.where(winners == i * kernel[1] + j, dy, 0)
    return batch_first(crop_image(padded, padding))
