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
