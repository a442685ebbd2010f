"""The optimizers' updates, of all parameters at once; the twin of numpy/optimizer.py."""

from __future__ import annotations

import numpy as np

from ..numpy import optimizer as reference
from ..numpy.optimizer import adam  # as fast as it is rarely used
from .compiler import compiled_function
from .memory import check_shape, contiguous, empty

__all__ = ["adam", "sgd"]


def sgd(
    w: np.ndarray,
    g: np.ndarray,
    v: np.ndarray | None,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
) -> tuple[np.ndarray, np.ndarray | None]:
    if momentum or weight_decay:
        return reference.sgd(w, g, v, lr, momentum, dampening, weight_decay, nesterov)
    check_shape("the gradient", g, w.shape)
    descended = empty(w.shape, w.dtype)
    _descend(contiguous(w), contiguous(g), w.dtype.type(lr), descended)
    return descended, None


@compiled_function(fastmath=frozenset(), for_python=True)
def _descend(w, g, lr, descended):
    """w - lr g in one pass. One core is enough for what is little beside a step."""
    for i in range(w.size):
        descended[i] = w[i] - lr * g[i]
