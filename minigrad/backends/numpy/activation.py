"""Activation functions and their gradients, each from whichever of input and output makes it cheapest."""

from __future__ import annotations

import numpy as np


def sigmoid(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # exp(-x) may reach infinity, and 1 / (1 + infinity) is the right answer, 0
        return 1 / (1 + np.exp(-x))


def sigmoid_grad(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    return dy * (y * (1 - y))


def tanh(x: np.ndarray) -> np.ndarray:
    return np.tanh(x)


def tanh_grad(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    return dy * (1 - y * y)


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def relu_grad(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.where(y > 0, dy, 0)


def leaky_relu(x: np.ndarray, negative_slope: float) -> np.ndarray:
    return np.where(x > 0, x, negative_slope * np.minimum(x, 0))


def leaky_relu_grad(dy: np.ndarray, x: np.ndarray, negative_slope: float) -> np.ndarray:
    return np.where(x > 0, dy, negative_slope * dy)


def softplus(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
