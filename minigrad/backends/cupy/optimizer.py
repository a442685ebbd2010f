"""The optimizers' updates, a launch each, and one for each gradient; the twin of numpy/optimizer.py. The kernels are in
optimizer.cu."""

from __future__ import annotations

import math

import cupy

from .compiler import kernel
from .layout import contiguous

_sgd, _sgd_with_momentum = kernel("optimizer", "sgd"), kernel("optimizer", "sgd_with_momentum")
_adam = kernel("optimizer", "adam")


def sgd(
    w: cupy.ndarray,
    gradients: list[cupy.ndarray],
    v: cupy.ndarray | None,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
) -> tuple[cupy.ndarray, cupy.ndarray | None]:
    new_w, w, g = cupy.empty(w.shape, w.dtype), contiguous(w), _one_behind_the_other(gradients, w)
    if not momentum:
        _sgd(w.size, w, g, float(lr), float(weight_decay), new_w)
        return new_w, None
    new_v, weight_of_g = cupy.empty(w.shape, w.dtype), 1.0 if v is None else 1.0 - dampening
    v = cupy.zeros(w.shape, w.dtype) if v is None else contiguous(v)
    numbers = float(lr), float(momentum), weight_of_g, float(weight_decay), int(nesterov)
    _sgd_with_momentum(w.size, w, g, v, *numbers, new_w, new_v)
    return new_w, new_v


def adam(
    w: cupy.ndarray,
    gradients: list[cupy.ndarray],
    m: cupy.ndarray | None,
    v: cupy.ndarray | None,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    decoupled: bool,
) -> tuple[cupy.ndarray, cupy.ndarray, cupy.ndarray]:
    m, v = (cupy.zeros(w.shape, w.dtype) if old is None else contiguous(old) for old in (m, v))
    new_w, new_m, new_v = (cupy.empty(w.shape, w.dtype) for _ in range(3))
    beta1, beta2 = betas
    means = beta1, 1 - beta1, beta2, 1 - beta2, math.sqrt(1 - beta2**step)
    decays = (0.0, 1 - lr * weight_decay) if decoupled else (weight_decay, 1.0)
    numbers = [float(number) for number in (lr / (1 - beta1**step), *means, eps, *decays)]
    _adam(w.size, contiguous(w), _one_behind_the_other(gradients, w), m, v, *numbers, new_w, new_m, new_v)
    return new_w, new_m, new_v


def _one_behind_the_other(arrays: list[cupy.ndarray], like: cupy.ndarray) -> cupy.ndarray:
    """cupy.concatenate would send three short lists of addresses and sizes to the GPU first."""
    whole, end = cupy.empty(like.shape, like.dtype), 0
    for array in arrays:
        begin, end = end, end + array.size
        whole[begin:end] = array.ravel()
    return whole
