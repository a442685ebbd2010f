"""The operations once more, as plain loops over float64 elements: slow, obvious, and sharing nothing with the kernels.

Letters as in minigrad/backends/contract.py: N batch, C input channels, O output channels, H and W image, KH and KW
kernel, OH and OW output, SH and SW strides, PH and PW padding, DH and DW dilation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

Pair = tuple[int, int]


def elementwise(f: Callable[..., float]) -> Callable[..., np.ndarray]:
    """f on each element of arrays that broadcast; f also takes the parameters."""

    def apply(*arrays: np.ndarray, **parameters: Any) -> np.ndarray:
        tuples = np.broadcast(*arrays) if len(arrays) > 1 else ((x,) for x in arrays[0].flat)
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
        return np.array([f(*(float(x) for x in xs), **parameters) for xs in tuples], float).reshape(shape)

    return apply


def reduction(f: Callable[..., float]) -> Callable[..., np.ndarray]:
    """f on the list of elements that meet in one element of the result, in row-major order."""

    def apply(x: np.ndarray, axis: Any = None, keepdims: bool = False, **parameters: Any) -> np.ndarray:
        axes = axes_of(axis, x.ndim)
        kept = [1 if i in axes else size for i, size in enumerate(x.shape)]
        y = np.empty(kept)
        for index in np.ndindex(*kept):
            block = x[tuple(slice(None) if i in axes else index[i] for i in range(x.ndim))]
            y[index] = f([float(element) for element in block.flat], **parameters)
        return y if keepdims else y.reshape([size for i, size in enumerate(x.shape) if i not in axes])

    return apply


def along_axes(f: Callable[[list[float]], list[float]]) -> Callable[..., np.ndarray]:
    """f from the list of elements along the axes to as many elements in their places."""

    def apply(x: np.ndarray, axis: Any) -> np.ndarray:
        axes = axes_of(axis, x.ndim)
        y = np.empty(x.shape)
        for index in np.ndindex(*(1 if i in axes else size for i, size in enumerate(x.shape))):
            place = tuple(slice(None) if i in axes else index[i] for i in range(x.ndim))
            y[place] = np.reshape(f([float(element) for element in x[place].flat]), np.shape(x[place]))
        return y

    return apply


def axes_of(axis: Any, ndim: int) -> set[int]:
    if axis is None:
        return set(range(ndim))
    return {a % ndim for a in (axis if isinstance(axis, tuple) else (axis,))}


# ------------------------------------------------------------------------------------------------------ scalar formulas


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def softplus(x: float) -> float:
    return math.log(1 + math.exp(x)) if x < 30 else x + math.exp(-x)


def leaky_relu(x: float, negative_slope: float = 0.01) -> float:
    return x if x > 0 else negative_slope * x


def clip(x: float, low: float | None = None, high: float | None = None) -> float:
    if low is not None and x < low:
        return low
    return high if high is not None and x > high else x


def mean(xs: list[float]) -> float:
    return math.fsum(xs) / len(xs)


def var(xs: list[float], ddof: int = 0) -> float:
    center = mean(xs)
    return math.fsum((x - center) ** 2 for x in xs) / (len(xs) - ddof)


def logsumexp(xs: list[float]) -> float:
    largest = max(xs)
    return largest + math.log(math.fsum(math.exp(x - largest) for x in xs))


def softmax(xs: list[float]) -> list[float]:
    return [math.exp(x - logsumexp(xs)) for x in xs]


def log_softmax(xs: list[float]) -> list[float]:
    return [x - logsumexp(xs) for x in xs]


# ------------------------------------------------------------------------------------------------------ moving elements


def reshape(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    flat = [x[index] for index in np.ndindex(*x.shape)]  # row-major, whatever lies in memory
    return np.array(flat, float).reshape(shape)


def flatten(x: np.ndarray, start_dim: int = 0, end_dim: int = -1) -> np.ndarray:
    if x.ndim == 0:
        return reshape(x, (1,))
    start, end = start_dim % x.ndim, end_dim % x.ndim
    return reshape(x, (*x.shape[:start], math.prod(x.shape[start : end + 1]), *x.shape[end + 1 :]))


def transpose(x: np.ndarray, axes: tuple[int, ...] | None = None) -> np.ndarray:
    axes = tuple(range(x.ndim))[::-1] if axes is None else tuple(a % x.ndim for a in axes)
    y = np.empty([x.shape[a] for a in axes])
    for index in np.ndindex(*y.shape):
        source = [0] * x.ndim
        for position, a in enumerate(axes):
            source[a] = index[position]
        y[index] = x[tuple(source)]
    return y


def squeeze(x: np.ndarray, axis: Any = None) -> np.ndarray:
    gone = [i for i, size in enumerate(x.shape) if size == 1] if axis is None else axes_of(axis, x.ndim)
    return reshape(x, tuple(size for i, size in enumerate(x.shape) if i not in gone))


def unsqueeze(x: np.ndarray, axis: int) -> np.ndarray:
    shape = list(x.shape)
    shape.insert(axis % (x.ndim + 1), 1)
    return reshape(x, tuple(shape))


def broadcast_to(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    y = np.empty(shape)
    for index in np.ndindex(*shape):
        own = index[len(shape) - x.ndim :]
        y[index] = x[tuple(0 if size == 1 else i for i, size in zip(own, x.shape, strict=True))]
    return y


def concatenate(*xs: np.ndarray, axis: int) -> np.ndarray:
    axis %= xs[0].ndim
    shape = list(xs[0].shape)
    shape[axis] = sum(x.shape[axis] for x in xs)
    y, start = np.empty(shape), 0
    for x in xs:
        for index in np.ndindex(*x.shape):
            y[(*index[:axis], start + index[axis], *index[axis + 1 :])] = x[index]
        start += x.shape[axis]
    return y


def stack(*xs: np.ndarray, axis: int) -> np.ndarray:
    axis %= xs[0].ndim + 1
    shape = list(xs[0].shape)
    shape.insert(axis, len(xs))
    y = np.empty(shape)
    for k, x in enumerate(xs):
        for index in np.ndindex(*x.shape):
            y[(*index[:axis], k, *index[axis:])] = x[index]
    return y


def pad(x: np.ndarray, pad_width: Any, value: float = 0.0) -> np.ndarray:
    widths = [tuple(pair) for pair in np.broadcast_to(pad_width, (x.ndim, 2))]
    y = np.full([before + size + after for (before, after), size in zip(widths, x.shape, strict=True)], value)
    for index in np.ndindex(*x.shape):
        y[tuple(i + before for i, (before, _) in zip(index, widths, strict=True))] = x[index]
    return y


def where(a: np.ndarray, b: np.ndarray, condition: np.ndarray) -> np.ndarray:
    triples = np.broadcast(condition, a, b)
    return np.array([x if holds else y for holds, x, y in triples], float).reshape(triples.shape)


# ------------------------------------------------------------------------------------------------------- linear algebra


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    left = a[None, :] if a.ndim == 1 else a
    right = b[:, None] if b.ndim == 1 else b
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    left, right = (np.broadcast_to(m, batch + m.shape[-2:]) for m in (left, right))
    (I, J), K = left.shape[-2:], right.shape[-1]
    y = np.zeros((*batch, I, K))
    for *at, i, k in np.ndindex(*y.shape):
        y[(*at, i, k)] = math.fsum(left[(*at, i, j)] * right[(*at, j, k)] for j in range(J))
    if a.ndim == 1:
        y = y[..., 0, :]
    return y[..., 0] if b.ndim == 1 else y


def linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    O, I = weight.shape
    y = np.empty((*x.shape[:-1], O))
    for *row, o in np.ndindex(*y.shape):
        total = math.fsum(x[(*row, i)] * weight[o, i] for i in range(I))
        y[(*row, o)] = total + (0.0 if bias is None else bias[o])
    return y


# -------------------------------------------------------------------------------------------------------------- windows


def as_pair(value: int | Pair) -> Pair:
    return value if isinstance(value, tuple) else (value, value)


def output_size(image: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)) -> Pair:
    """Counts the places where the kernel's first and last tap both lie in the padded image."""
    counts = []
    for size, k, s, p, d in zip(image, kernel, stride, padding, dilation, strict=True):
        counts.append(sum(1 for start in range(-p, size + p, s) if start + d * (k - 1) < size + p))
    return counts[0], counts[1]


def window(
    p: int, q: int, image: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)
) -> Iterator[tuple[int, int, int, int]]:
    """(i, j, h, w) for each tap (i, j) of the kernel at place (p, q) that meets a pixel (h, w) inside the image."""
    for i, j in product(range(kernel[0]), range(kernel[1])):
        h = p * stride[0] + i * dilation[0] - padding[0]
        w = q * stride[1] + j * dilation[1] - padding[1]
        if 0 <= h < image[0] and 0 <= w < image[1]:
            yield i, j, h, w


def conv2d(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    stride: int | Pair = 1,
    padding: int | Pair | str = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> np.ndarray:
    N, (O, CG, KH, KW) = len(x), weight.shape
    stride, dilation = as_pair(stride), as_pair(dilation)
    if padding == "same":  # what is missing to keep the size; the odd pixel goes to the bottom and the right
        total = [d * (k - 1) for d, k in zip(dilation, (KH, KW), strict=True)]
        x = pad(x, ((0, 0), (0, 0), *((t // 2, t - t // 2) for t in total)))
    if isinstance(padding, str):
        padding = 0
    padding = as_pair(padding)
    image = x.shape[2:]
    OH, OW = output_size(image, (KH, KW), stride, padding, dilation)
    y = np.empty((N, O, OH, OW))
    for n, o, p, q in np.ndindex(N, O, OH, OW):
        first = o // (O // groups) * CG  # the first input channel of o's group
        y[n, o, p, q] = 0.0 if bias is None else bias[o]
        for i, j, h, w in window(p, q, image, (KH, KW), stride, padding, dilation):
            for c in range(CG):
                y[n, o, p, q] += weight[o, c, i, j] * x[n, first + c, h, w]
    return y


def avg_pool2d(
    x: np.ndarray,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    count_include_pad: bool = True,
) -> np.ndarray:
    kernel, padding = as_pair(kernel_size), as_pair(padding)
    stride = kernel if stride is None else as_pair(stride)
    N, C, *image = x.shape
    y = np.empty((N, C, *output_size(image, kernel, stride, padding)))
    for n, c, p, q in np.ndindex(*y.shape):
        pixels = [x[n, c, h, w] for _, _, h, w in window(p, q, image, kernel, stride, padding)]
        y[n, c, p, q] = math.fsum(pixels) / (kernel[0] * kernel[1] if count_include_pad else len(pixels))
    return y


def max_pool2d(
    x: np.ndarray, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
) -> np.ndarray:
    return max_pool2d_with_winners(x, kernel_size, stride, padding)[0]


def max_pool2d_with_winners(
    x: np.ndarray, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The maxima, and the place i KW + j of the first in each window; a NaN beats every number, padding nothing."""
    kernel, padding = as_pair(kernel_size), as_pair(padding)
    stride = kernel if stride is None else as_pair(stride)
    N, C, *image = x.shape
    y = np.empty((N, C, *output_size(image, kernel, stride, padding)))
    winners = np.empty(y.shape, int)
    for n, c, p, q in np.ndindex(*y.shape):
        best = None
        for i, j, h, w in window(p, q, image, kernel, stride, padding):
            value = x[n, c, h, w]
            if best is None or value > best or (math.isnan(value) and not math.isnan(best)):
                best, winners[n, c, p, q] = value, i * kernel[1] + j
        y[n, c, p, q] = best
    return y, winners


# ----------------------------------------------------------------------------------------------- losses, regularization


def reduced(losses: np.ndarray, how: str) -> np.ndarray:
    if how == "none":
        return losses
    total = math.fsum(losses.flat)
    return np.array(total / losses.size if how == "mean" else total)


def cross_entropy(logits: np.ndarray, target: np.ndarray, reduction: str = "mean") -> np.ndarray:
    losses = [logsumexp(list(row)) - row[label] for row, label in zip(logits, target, strict=True)]
    return reduced(np.array(losses, float), reduction)


def mse_loss(input: np.ndarray, target: np.ndarray, reduction: str = "mean") -> np.ndarray:
    return reduced(elementwise(lambda a, b: (a - b) ** 2)(input, target), reduction)


def batch_norm(
    x: np.ndarray,
    weight: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    running: tuple[np.ndarray, np.ndarray] | None = None,
    eps: float = 1e-5,
) -> np.ndarray:
    """With `running` (mean, variance) as in evaluation, without as in training."""
    y = np.empty(x.shape)
    for c in range(x.shape[1]):
        channel = [float(element) for element in x[:, c].flat]
        center, spread = (mean(channel), var(channel)) if running is None else (running[0][c], running[1][c])
        scale, shift = 1.0 if weight is None else weight[c], 0.0 if bias is None else bias[c]
        for index in np.ndindex(*x[:, c].shape):
            at = (index[0], c, *index[1:])
            y[at] = (x[at] - center) / math.sqrt(spread + eps) * scale + shift
    return y
