"""Matrix products, and the fully connected layer; the twin of numpy/linear.py.

Three layouts of two matrices are the loops of sums.py and dots.py, as a convolution's are. Behind an image layer the
batch lies innermost: the columns of a matrix (N, I) lie in memory as runs of N numbers, and what comes out has the
batch innermost again; for the weight's gradient the examples have to become runs first. Small products are done by the
functions below, on one thread, before others would be under way. All else is left to the BLAS, held to one thread,
too. See ways.py.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..numpy.linear import matmul as reference_matmul
from .compiler import SUMS_IN_ANY_ORDER, compiled_function
from .dots import Dots, dot_products, plan_dots, total_of
from .memory import check_shape, contiguous, empty
from .sums import Sums, plan_sums, short_tile_sums, tile_sums, weighted_sums
from .threads import one_blas_thread
from .tile import REGISTER_BYTES, SIX, TWO, WIDE, numbers_of
from .views import outputs_view
from .ways import planned, product_of, weight_gradient_of

ONE_PIXEL = outputs_view((1, 1), (1, 1), (1, 1), (1, 1), (0, 0))


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _product(product_of(a, b), a, b)


def _product(way: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if way == "BLAS":
        with one_blas_thread:
            return reference_matmul(a, b)
    if way == "few columns":
        return _few_sums(a.T, b, None).T
    if way == "few rows":
        return _few_sums(b, a.T, None)
    if way == "loops":
        y = empty((len(a), b.shape[1]), a.dtype)
        _dots(contiguous(a), contiguous(b.T), np.zeros(b.shape[1], a.dtype), y)
        return y
    if way == "columns":  # y.T[k] = sum over j of b[j, k] a.T[j]
        return _sums(a.T, b, None).T
    if way == "rows":  # y[i] = sum over j of a[i, j] b[j]
        return _sums(b, a.T, None)
    return _dots_of_rows(a, b.T)[0]


def linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    by_input = weight.T
    way = product_of(x, by_input)
    if way == "few columns":
        return _few_sums(x.T, by_input, bias).T
    if way == "columns":
        return _sums(x.T, by_input, bias).T
    if way == "loops":
        bias = np.zeros(len(weight), x.dtype) if bias is None else bias
        check_shape("the bias", bias, weight.shape[:1])
        y = empty((len(x), len(weight)), x.dtype)
        _dots(contiguous(x), contiguous(weight), contiguous(bias), y)
        return y
    y = _product(way, x, by_input)
    if bias is not None:
        y += bias
    return y


def linear_grad_weight(dy: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    way = weight_gradient_of(dy, x)
    if way == "few columns":
        dweight, dbias = empty((dy.shape[1], x.shape[1]), dy.dtype), np.zeros(dy.shape[1], dy.dtype)
        _weight_gradients(contiguous(dy.T), contiguous(x), dweight, dbias)
        return dweight, dbias
    if way == "dots":
        return _dots_of_rows(dy.T, x.T)
    if way == "turned columns":
        return _sums_of_examples(dy, x)
    return _product(way, x.T, dy).T, np.add.reduce(dy)  # transposed twice: where x's rows are runs, so are these


def _dots_of_rows(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The dot products of a's rows (I, J) and b's (K, J) -> (I, K), and the sums of a's -> (I,)"""
    (I, J), K = a.shape, len(b)
    sums, totals = dot_products(a.reshape(I, 1, 1, J), b.reshape(K, 1, 1, J), _plan_dots(I, J, K))
    return sums.reshape(I, K), totals


def _sums_of_examples(dy: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """dy (N, O), x (N, I) with the batch innermost -> the sums of dy[n, o] x[n], (O, I), and of dy[n], (O,)"""
    dbias = np.empty(dy.shape[1], dy.dtype)
    _totals(contiguous(dy.T), dbias)
    return _sums(x, dy, None, turn=True), dbias


def _sums(rows: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, turn: bool = False) -> np.ndarray:
    """rows (J, length), weight (J, K), bias (K,) -> y (K, length), y[k] = bias[k] + sum of weight[j, k] rows[j]

    The rows lie in memory as runs; or their columns do, and are to be turned around.
    """
    (J, length), K = rows.shape, weight.shape[1]
    plan = _plan_sums(J, length, K, by_output := weight.T.flags.c_contiguous, turn, rows.dtype)
    x = contiguous(rows.T).reshape(1, 1, length, J) if turn else contiguous(rows).reshape(J, 1, 1, length)
    in_memory = weight.T if by_output else weight
    return weighted_sums(x, in_memory, plan.no_bias if bias is None else bias, plan).reshape(K, length)


def _few_sums(rows: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """The same on one thread."""
    K, length, by_output = weight.shape[1], rows.shape[1], weight.flags.f_contiguous
    bias = np.zeros(K, rows.dtype) if bias is None else bias
    check_shape("the bias", bias, (K,))
    y, in_memory = empty((K, length), rows.dtype), contiguous(weight.T if by_output else weight)
    _sums_of_rows(contiguous(rows), in_memory, by_output, contiguous(bias), y)
    return y


@planned
def _plan_sums(J: int, length: int, K: int, by_output: bool, turn: bool, dtype: np.dtype) -> Sums:
    """Of a weight that lies in memory output by output, or input by input."""
    steps = (0, J, 1, 1) if by_output else (0, 1, K, 1)
    return plan_sums((J, 1, 1, length), dtype, (1, K, J), steps, ONE_PIXEL, turn)


@lru_cache(maxsize=1024)
def _plan_dots(I: int, J: int, K: int) -> Dots:
    return plan_dots(J, (1, I, K), (1, 1), ONE_PIXEL)


@compiled_function(SUMS_IN_ANY_ORDER, for_python=True)
def _dots(a, b, bias, y):
    """y[i, k] = bias[k] + sum over j of a[i, j] b[k, j]; for four i at a time, which share what is loaded of b"""
    fours = len(a) // 4 * 4
    for k in range(len(b)):
        right = b[k]
        for i in range(0, fours, 4):
            a0, a1, a2, a3 = a[i], a[i + 1], a[i + 2], a[i + 3]
            y0 = y1 = y2 = y3 = bias[k]
            for j in range(right.size):
                y0 += a0[j] * right[j]
                y1 += a1[j] * right[j]
                y2 += a2[j] * right[j]
                y3 += a3[j] * right[j]
            y[i, k], y[i + 1, k], y[i + 2, k], y[i + 3, k] = y0, y1, y2, y3
        for i in range(fours, len(a)):
            left, total = a[i], bias[k]
            for j in range(right.size):
                total += left[j] * right[j]
            y[i, k] = total


@compiled_function(for_python=True)
def _weight_gradients(dy, x, dweight, dbias):
    """dweight[o] = sum over n of dy[o, n] x[n], and dbias[o] = sum over n of dy[o, n], which is 0 before."""
    _sums_of_rows(x, dy, np.bool_(True), dbias, dweight)
    for o in range(len(dy)):
        dbias[o] = total_of(dy[o])


@compiled_function(for_python=True)
def _sums_of_rows(rows, weight, by_output, bias, y):
    """y[k] = bias[k] + sum over j of w[j, k] rows[j], where the weight is w, or w.T if it lies by output"""
    J, (K, length), lanes = len(rows), y.shape, REGISTER_BYTES // y.itemsize
    zero, one = np.int64(0), np.int64(1)  # no literals: with such, the tiles would be compiled once more
    w_step, w_next = (one, J) if by_output else (K, one)
    work, size = ((one, one, J), np.bool_(False)), len(WIDE) * lanes
    steps = ((zero, zero, length), lanes), ((zero, zero, w_step), w_next), length
    x, weight, bias, sums = numbers_of(rows), numbers_of(weight), numbers_of(bias), numbers_of(y)
    whole = length // size * size
    for t in range(0, whole, size):
        k = tile_sums(SIX, WIDE, zero, K, work, x, weight, bias, sums, (t, zero, t), steps)
        if k < K:
            tile_sums(TWO, WIDE, k, K, work, x, weight, bias, sums, (t, zero, t), steps)
    for t in range(whole, length, lanes):
        n = min(lanes, length - t)
        short_tile_sums(n, lanes, zero, K, work, x, weight, bias, sums, (t, zero, t), steps)


@compiled_function(for_python=True)
def _totals(rows, totals):
    """totals[i] = sum of rows[i]"""
    for i in range(len(rows)):
        totals[i] = total_of(rows[i])
