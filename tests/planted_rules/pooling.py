"""Wrong rules of average and maximum pooling: the loops of a student, over one window after the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minigrad import Function

from .cases import NumpyPair, OnTensors, beside, distinct, normal, wrong

Window = tuple[tuple[int, int], tuple[slice, slice, slice, slice]]


def windows(x: np.ndarray, kernel: tuple[int, int], stride: int) -> Iterator[Window]:
    """For each output pixel its place and its window, an index of x."""
    KH, KW = kernel
    everything = slice(None)
    for p in range((x.shape[2] - KH) // stride + 1):
        for q in range((x.shape[3] - KW) // stride + 1):
            rows, columns = slice(p * stride, p * stride + KH), slice(q * stride, q * stride + KW)
            yield (p, q), (everything, everything, rows, columns)


def pool(x: np.ndarray, kernel: tuple[int, int], stride: int, how: str) -> np.ndarray:
    """The "mean" or the "max" of each window."""
    found = {place: getattr(x[window], how)(axis=(2, 3)) for place, window in windows(x, kernel, stride)}
    y = np.zeros((*x.shape[:2], *(1 + last for last in max(found))))
    for (p, q), value in found.items():
        y[:, :, p, q] = value
    return y


def highest(part: np.ndarray) -> np.ndarray:
    """1 where each image's and channel's maximum is, 0 elsewhere."""
    return (part == part.max(axis=(2, 3), keepdims=True)).astype(float)


@wrong("constant factor")
def average_pooling_that_does_not_divide() -> NumpyPair:
    """Each of the 6 pixels of a window gets the whole gradient, not a sixth of it."""

    def forward(x):
        return pool(x, (2, 3), 2, "mean")

    def backward(grad_output, x):
        dx = np.zeros_like(x)
        for (p, q), window in windows(x, (2, 3), 2):
            dx[window] += grad_output[:, :, p, q, None, None]
        return (dx,)

    return NumpyPair(forward, backward, (normal(210, 2, 1, 4, 7),), factor=6.0)


@wrong("padding or stride not undone")
def average_pooling_with_its_windows_side_by_side() -> OnTensors:
    """The windows lie three pixels apart; the rule spreads their gradients one pixel apart."""

    class AvgPool(Function):
        def forward(self, x):
            return pool(x, (2, 2), 3, "mean")

        def backward(self, dy):
            (x,) = self.inputs
            dx = np.zeros(x.shape)
            for p, q in np.ndindex(*dy.shape[2:]):
                dx[:, :, p : p + 2, q : q + 2] += dy.data[:, :, p, q, None, None] / 4
            return (beside(dx, dy),)

    return OnTensors(lambda x: AvgPool.apply(x).exp(), (normal(211, 2, 2, 5, 8),), culprit="AvgPool")


@wrong("overwritten")
def overlapping_averages_that_are_assigned() -> OnTensors:
    """The windows overlap, and each one's gradient is assigned where it should be added."""

    class OverlappingAvgPool(Function):
        def forward(self, x):
            return pool(x, (3, 2), 1, "mean")

        def backward(self, dy):
            (x,) = self.inputs
            dx = np.zeros(x.shape)
            for (p, q), window in windows(x.data, (3, 2), 1):
                dx[window] = dy.data[:, :, p, q, None, None] / 6
            return (beside(dx, dy),)

    return OnTensors(
        lambda x: OverlappingAvgPool.apply(x).sin(), (normal(212, 1, 2, 5, 4),), culprit="OverlappingAvgPool"
    )


@wrong("overwritten")
def overlapping_maxima_that_are_assigned() -> NumpyPair:
    """A pixel that is the highest of two windows gets the gradient of the second, and where it is not, 0."""

    def forward(x):
        return pool(x, (3, 3), 2, "max")

    def backward(grad_output, x):
        dx = np.zeros_like(x)
        for (p, q), window in windows(x, (3, 3), 2):
            dx[window] = highest(x[window]) * grad_output[:, :, p, q, None, None]
        return (dx,)

    return NumpyPair(forward, backward, (distinct(213, 2, 1, 5, 7),))


@wrong("mask inverted")
def max_pooling_that_pays_all_but_the_highest() -> OnTensors:
    """The mask is 1 where the pixel is lower than the maximum."""

    class MaxPool(Function):
        def forward(self, x):
            return pool(x, (2, 2), 2, "max")

        def backward(self, dy):
            (x,) = self.inputs
            dx = np.zeros(x.shape)
            for (p, q), window in windows(x.data, (2, 2), 2):
                lower = x.data[window] < x.data[window].max(axis=(2, 3), keepdims=True)
                dx[window] += lower * dy.data[:, :, p, q, None, None]
            return (beside(dx, dy),)

    return OnTensors(lambda x: MaxPool.apply(x).tanh(), (distinct(214, 1, 2, 4, 6),), culprit="MaxPool")


@wrong("shifted by one")
def max_pooling_that_pays_the_right_neighbour() -> NumpyPair:
    """The column of the maximum is counted from 1 in the window."""

    def forward(x):
        return pool(x, (2, 2), 2, "max")

    def backward(grad_output, x):
        dx = np.zeros_like(x)
        for (p, q), window in windows(x, (2, 2), 2):
            for n, c in np.ndindex(*x.shape[:2]):
                row, column = divmod(int(x[window][n, c].argmax()), 2)
                dx[n, c, 2 * p + row, 2 * q + column + 1] += grad_output[n, c, p, q]
        return (dx,)

    return NumpyPair(forward, backward, (distinct(215, 2, 1, 4, 7),))


@wrong("upstream gradient ignored")
def max_pooling_that_returns_its_mask() -> OnTensors:
    """The rule returns where the maxima are, and forgets what arrived at them."""

    class MaskPool(Function):
        def forward(self, x):
            return pool(x, (2, 2), 2, "max")

        def backward(self, dy):
            (x,) = self.inputs
            dx = np.zeros(x.shape)
            for _, window in windows(x.data, (2, 2), 2):
                dx[window] += highest(x.data[window])
            return (beside(dx, dy),)

    return OnTensors(lambda x: MaskPool.apply(x) ** 2, (distinct(216, 1, 1, 4, 4),), culprit="MaskPool")


@wrong("batch elements mixed")
def max_pooling_with_the_places_of_the_first_image() -> NumpyPair:
    """Where the maxima are is found for the first image, and used for all."""

    def forward(x):
        return pool(x, (2, 3), 2, "max")

    def backward(grad_output, x):
        dx = np.zeros_like(x)
        for (p, q), window in windows(x, (2, 3), 2):
            dx[window] += highest(x[window])[:1] * grad_output[:, :, p, q, None, None]
        return (dx,)

    return NumpyPair(forward, backward, (distinct(217, 3, 1, 4, 5),))
