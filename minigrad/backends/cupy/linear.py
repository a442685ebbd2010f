"""Matrix products, by cuBLAS, and the fully connected layer; the twin of numpy/linear.py."""

from __future__ import annotations

import cupy


def matmul(a: cupy.ndarray, b: cupy.ndarray) -> cupy.ndarray:
    return a @ b  # (..., I, K) = (..., I, J) @ (..., J, K)


def linear(x: cupy.ndarray, weight: cupy.ndarray, bias: cupy.ndarray | None) -> cupy.ndarray:
    y = x @ weight.T  # (..., O) = (..., I) @ (I, O)
    if bias is not None:
        y += bias
    return y


def linear_grad_weight(dy: cupy.ndarray, x: cupy.ndarray) -> tuple[cupy.ndarray, cupy.ndarray]:
    return dy.T @ x, dy.sum(axis=0)  # (O, I) = (O, R) @ (R, I)
