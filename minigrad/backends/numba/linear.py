"""Matrix products, and the fully connected layer; the twin of numpy/linear.py.

Three layouts of two matrices are the loops of sums.py, as a convolution's are. Behind an image layer the batch lies
innermost: the columns of a matrix (N, I) lie in memory as runs of N numbers, and what comes out has the batch
innermost again. All other products are left to the BLAS, held to one thread.
"""

from __future__ import annotations

import numpy as np

from ..numpy.linear import matmul as reference_matmul
from .sums import dot_products, weighted_sums
from .threads import one_blas_thread
from .views import outputs_view
from .ways import product_of

ONE_PIXEL = outputs_view((1, 1), (1, 1), (1, 1), (1, 1), (0, 0))


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    way = product_of(a, b)
    if way == "BLAS":
        with one_blas_thread:
            return reference_matmul(a, b)
    (I, J), K = a.shape, b.shape[1]
    if way == "columns":  # y.T[k] = sum over j of b[j, k] a.T[j]
        return _sums(a.T, b, np.zeros(K, a.dtype)).T
    if way == "rows":  # y[i] = sum over j of a[i, j] b[j]
        return _sums(b, a.T, np.zeros(I, a.dtype))
    sums = dot_products(a.reshape(I, 1, 1, J), b.T.reshape(K, 1, 1, J), (1, I, K), (1, 1), ONE_PIXEL)
    return sums.reshape(I, K)  # y[i, k] = the dot product of a[i] and b.T[k]


def linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    if product_of(x, weight.T) == "columns":
        return _sums(x.T, weight.T, np.zeros(len(weight), x.dtype) if bias is None else bias).T
    y = matmul(x, weight.T)
    if bias is not None:
        y += bias
    return y


def _sums(rows: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """rows (J, length), weight (J, K), bias (K,) -> y (K, length), y[k] = bias[k] + sum of weight[j, k] rows[j]"""
    (J, length), K = rows.shape, weight.shape[1]
    in_memory, steps = (weight.T, (0, J, 1, 1)) if weight.T.flags.c_contiguous else (weight, (0, 1, K, 1))
    y = weighted_sums(rows.reshape(J, 1, 1, length), in_memory, (1, K, J), steps, bias, ONE_PIXEL)
    return y.reshape(K, length)
