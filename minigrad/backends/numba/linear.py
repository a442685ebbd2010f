"""Matrix products, and the fully connected layer; the twin of numpy/linear.py.

Behind an image layer the batch lies innermost: the rows of a matrix (N, I) are the images, and its columns lie in
memory as runs of N numbers. Its products are then the loops of sums.py, as a convolution's are, and what comes out has
the batch innermost again. All other products are left to the BLAS, held to one thread.
"""

from __future__ import annotations

import numpy as np

from ..numpy.linear import linear as reference_linear
from ..numpy.linear import matmul as reference_matmul
from .sums import dot_products, weighted_sums
from .threads import one_blas_thread
from .views import outputs_view
from .ways import product_of

ONE_PIXEL = outputs_view((1, 1), (1, 1), (1, 1), (1, 1), (0, 0))


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    way = product_of(a, b)
    if way == "sums":
        return _sums_of_columns(a, b, np.zeros(b.shape[1], a.dtype))
    if way == "dots":
        (O, N), K = a.shape, b.shape[1]  # (O, K) = (O, N) @ (N, K), each a dot product of two runs
        return dot_products(a.reshape(O, 1, 1, N), b.T.reshape(K, 1, 1, N), (1, O, K), ONE_PIXEL)
    with one_blas_thread:
        return reference_matmul(a, b)


def linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    if product_of(x, weight.T) == "sums":
        return _sums_of_columns(x, weight.T, np.zeros(len(weight), x.dtype) if bias is None else bias)
    with one_blas_thread:
        return reference_linear(x, weight, bias)


def _sums_of_columns(a: np.ndarray, b: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """a (N, J), its columns contiguous, b (J, K), bias (K,) -> a b + bias (N, K), its columns contiguous."""
    (N, J), K = a.shape, b.shape[1]
    if b.T.flags.c_contiguous:
        weight, steps = b.T, (0, J, 1)
    else:
        weight, steps = b, (0, 1, K)
    y = weighted_sums(a.T.reshape(J, 1, 1, N), weight, (1, K, J), steps, bias, ONE_PIXEL)
    return y.reshape(K, N).T
