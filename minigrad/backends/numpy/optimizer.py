"""The optimizers' updates, of all parameters at once: the arrays are flat, but for the gradients, a list of any."""

from __future__ import annotations

import math

import numpy as np


def sgd(
    w: np.ndarray,
    gradients: list[np.ndarray],
    v: np.ndarray | None,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
) -> tuple[np.ndarray, np.ndarray | None]:
    g = _one_behind_the_other(gradients)
    if weight_decay:
        g = g + weight_decay * w
    if momentum:
        v = g.copy() if v is None else momentum * v + (1 - dampening) * g
        g = g + momentum * v if nesterov else v
    step = lr * g
    return np.subtract(w, step, out=step), v if momentum else None  # w - step, in memory that is at hand


def adam(
    w: np.ndarray,
    gradients: list[np.ndarray],
    m: np.ndarray | None,
    v: np.ndarray | None,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    decoupled: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    g = _one_behind_the_other(gradients)
    if decoupled:
        w = (1 - lr * weight_decay) * w
    elif weight_decay:
        g = g + weight_decay * w
    beta1, beta2 = betas
    m = beta1 * (0.0 if m is None else m) + (1 - beta1) * g
    v = beta2 * (0.0 if v is None else v) + (1 - beta2) * (g * g)
    step_size = lr / (1 - beta1**step)
    return w - step_size * m / (np.sqrt(v) / math.sqrt(1 - beta2**step) + eps), m, v


def _one_behind_the_other(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([array.ravel() for array in arrays])
