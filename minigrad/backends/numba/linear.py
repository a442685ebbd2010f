"""Matrix products, and the fully connected layer; the twin of numpy/linear.py, with the BLAS held to one thread."""

from __future__ import annotations

import numpy as np

from ..numpy.linear import linear as reference_linear
from ..numpy.linear import matmul as reference_matmul
from .compiler import one_blas_thread


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with one_blas_thread:
        return reference_matmul(a, b)


def linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    with one_blas_thread:
        return reference_linear(x, weight, bias)
