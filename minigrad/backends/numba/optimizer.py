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
    gradients: list[np.ndarray],
    v: np.ndarray | None,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
) -> tuple[np.ndarray, np.ndarray | None]:
    if momentum or weight_decay:
        return reference.sgd(w, gradients, v, lr, momentum, dampening, weight_decay, nesterov)
    check_shape("the array of weights", w, (sum([g.size for g in gradients]),))
    w, descended, rate, begin = contiguous(w), empty(w.shape, w.dtype), w.dtype.type(lr), 0
    # One by one: put together first, they would take as much more of the second-level cache.
    for g in gradients:
        _descend(w, begin, contiguous(g.ravel()), rate, descended)
        begin += g.size
    return descended, None


@compiled_function(fastmath=frozenset(), for_python=True)
def _descend(w, begin, g, lr, descended):
    """w - lr g for the part of w that begins there. One core is enough for what is little beside a step."""
    w, descended = w[begin : begin + g.size], descended[begin : begin + g.size]
    for i in range(g.size):
        descended[i] = w[i] - lr * g[i]
