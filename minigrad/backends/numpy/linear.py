"""Matrix products, and the fully connected layer."""

from __future__ import annotations

import numpy as np


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a @ b  # (..., I, K) = (..., I, J) @ (..., J, K)


def linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    y = x @ weight.T  # (..., O) = (..., I) @ (I, O)
    if bias is not None:
        y += bias
    return y


def linear_grad_weight(dy: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return dy.T @ x, dy.sum(axis=0)  # (O, I) = (O, R) @ (R, I)
