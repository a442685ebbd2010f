"""Activation functions; the twin of numpy/activation.py. Their kernels are in activation.cu."""

from __future__ import annotations

from collections.abc import Callable

import cupy

from .compiler import kernel
from .layout import elementwise_layout

_sigmoid, _sigmoid_grad = kernel("activation", "sigmoid"), kernel("activation", "sigmoid_grad")
_tanh, _tanh_grad = kernel("activation", "hyperbolic_tangent"), kernel("activation", "hyperbolic_tangent_grad")
_relu, _relu_grad = kernel("activation", "relu"), kernel("activation", "relu_grad")
_leaky_relu, _leaky_relu_grad = kernel("activation", "leaky_relu"), kernel("activation", "leaky_relu_grad")
_softplus = kernel("activation", "softplus")


def sigmoid(x: cupy.ndarray) -> cupy.ndarray:
    return _elementwise(_sigmoid, x)


def sigmoid_grad(dy: cupy.ndarray, y: cupy.ndarray) -> cupy.ndarray:
    return _elementwise(_sigmoid_grad, dy, y)


def tanh(x: cupy.ndarray) -> cupy.ndarray:
    return _elementwise(_tanh, x)


def tanh_grad(dy: cupy.ndarray, y: cupy.ndarray) -> cupy.ndarray:
    return _elementwise(_tanh_grad, dy, y)


def relu(x: cupy.ndarray) -> cupy.ndarray:
    return _elementwise(_relu, x) if x.dtype.kind == "f" else cupy.maximum(x, 0)  # the kernel is for REAL numbers


def relu_grad(dy: cupy.ndarray, y: cupy.ndarray) -> cupy.ndarray:
    return _elementwise(_relu_grad, dy, y)


def leaky_relu(x: cupy.ndarray, negative_slope: float) -> cupy.ndarray:
    return _elementwise(_leaky_relu, x, slope=negative_slope)


def leaky_relu_grad(dy: cupy.ndarray, x: cupy.ndarray, negative_slope: float) -> cupy.ndarray:
    return _elementwise(_leaky_relu_grad, dy, x, slope=negative_slope)


def softplus(x: cupy.ndarray) -> cupy.ndarray:
    return _elementwise(_softplus, x)


def _elementwise(launch: Callable[..., None], *arrays: cupy.ndarray, slope: float | None = None) -> cupy.ndarray:
    arguments, result, y = elementwise_layout(*arrays)
    launch(result.size, *arguments, *(() if slope is None else (float(slope),)), result)
    return y
