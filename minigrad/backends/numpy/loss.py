"""Softmax and cross-entropy as one kernel, so that neither can overflow."""

from __future__ import annotations

import numpy as np


def softmax_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    totals = exponentials.sum(axis=1, keepdims=True)
    losses = np.log(totals[:, 0]) - shifted[rows, labels]
    return losses, exponentials / totals


def softmax_cross_entropy_grad(dlosses: np.ndarray, probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    dlogits = probabilities * dlosses[..., None]
    dlogits[np.arange(len(labels)), labels] -= dlosses
    return dlogits
