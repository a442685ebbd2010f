"""Wrong rules of functions that choose: relu, clip, maximum, where, dropout."""

from __future__ import annotations

import numpy as np

from minigrad import Function

from .cases import NumpyPair, OnTensors, beside, distinct, normal, off_zero, wrong


@wrong("mask inverted")
def relu_that_passes_where_it_is_dead() -> OnTensors:
    """The gradient is let through where x < 0."""

    class ReLU(Function):
        def forward(self, x):
            return np.maximum(x, 0)

        def backward(self, dy):
            (x,) = self.inputs
            return (dy * (x < 0.0),)

    return OnTensors(lambda x: ReLU.apply(x) * x, (off_zero(30, 4, 5),), culprit="ReLU")


@wrong("mask inverted")
def leaky_relu_with_its_slopes_exchanged() -> NumpyPair:
    """The slope 0.1 is applied where x > 0."""

    def forward(x):
        return np.where(x > 0, x, 0.1 * x)

    def backward(grad_output, x):
        return (np.where(x > 0, 0.1 * grad_output, grad_output),)

    return NumpyPair(forward, backward, (off_zero(31, 3, 4),))


@wrong("mask inverted")
def dropout_that_drops_the_other_half() -> NumpyPair:
    """The gradient is let through where the value was dropped."""
    mask = np.random.default_rng(32).random((4, 6)) < 0.5

    def forward(x):
        return x * mask / 0.5

    def backward(grad_output, x):
        return (grad_output * ~mask / 0.5,)

    return NumpyPair(forward, backward, (normal(33, 4, 6),))


@wrong("mask inverted")
def clip_that_passes_outside_its_bounds() -> OnTensors:
    """The gradient is let through where the value was clipped."""

    class Clip(Function):
        def forward(self, x):
            return np.clip(x, -0.5, 1.0)

        def backward(self, dy):
            (x,) = self.inputs
            clipped = (x.data < -0.5) | (x.data > 1.0)
            return (dy * beside(clipped, x),)

    return OnTensors(lambda x: Clip.apply(x).exp(), (distinct(34, 3, 8),), culprit="Clip")


@wrong("mask inverted")
def maximum_that_pays_the_smaller() -> OnTensors:
    """The gradient of maximum(a, b) goes to the smaller of the two."""

    class Larger(Function):
        broadcasts = True  # the engine sums the gradients down to the inputs' shapes

        def forward(self, a, b):
            return np.maximum(a, b)

        def backward(self, dy):
            a, b = self.inputs
            return dy * (a < b), dy * (a >= b)

    return OnTensors(lambda a, b: Larger.apply(a, b).sin(), (normal(35, 2, 7), normal(36, 7)), culprit="Larger")


@wrong("mask inverted")
def where_that_pays_the_one_not_taken() -> NumpyPair:
    """The gradient of where(c, a, b) goes to b where c holds, and to a elsewhere. b is one row for all."""
    condition = np.random.default_rng(37).random((3, 5)) < 0.4

    def forward(a, b):
        return np.where(condition, a, b)

    def backward(grad_output, a, b):
        db = np.where(condition, grad_output, 0)
        return np.where(condition, 0, grad_output), db.sum(axis=0)

    return NumpyPair(forward, backward, (normal(38, 3, 5), normal(39, 5)), input=1)


@wrong("mask inverted")
def huber_loss_with_its_two_ranges_exchanged() -> OnTensors:
    """Small errors are paid like large ones, delta sign(e), and large ones like small ones, e."""

    class Huber(Function):
        def forward(self, x, target):
            self.error = x - target
            size = np.abs(self.error)
            return np.where(size <= 1, 0.5 * self.error**2, size - 0.5).sum()

        def backward(self, dy):
            slope = np.where(np.abs(self.error) > 1, self.error, np.sign(self.error))
            return dy * beside(slope, dy), dy * beside(-slope, dy)

    inputs = (normal(40, 3, 3, scale=2.0), normal(41, 3, 3))
    return OnTensors(lambda x, target: Huber.apply(x, target) / 9.0, inputs, culprit="Huber")


@wrong("constant factor")
def dropout_that_forgets_what_it_scaled_by() -> OnTensors:
    """Forward divides what it keeps by 0.8; backward only masks."""
    mask = np.random.default_rng(42).random((5, 4)) < 0.8

    class Dropout(Function):
        def forward(self, x):
            return x * mask / 0.8

        def backward(self, dy):
            return (dy * beside(mask, dy),)

    return OnTensors(lambda x: Dropout.apply(x.tanh()), (normal(43, 5, 4),), culprit="Dropout", factor=0.8)
