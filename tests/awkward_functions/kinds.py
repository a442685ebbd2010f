"""Awkward kinds of inputs (integers, 0-d, empty, views, float32) and of functions (deep, in place, random, large)."""

from __future__ import annotations

import numpy as np
from planted_rules.cases import NumpyPair, OnTensors, awkward, distinct, normal, positive

import minigrad
from minigrad import Tensor

# ----------------------------------------------------------------------------------------------------- kinds of inputs


@awkward
def index_beside_a_table() -> OnTensors:
    """The second input holds integers, some of them twice: it can be neither moved nor differentiated."""
    return OnTensors(lambda table, words: table[words].tanh(), (normal(320, 5, 3), np.array([4, 0, 4, 1])))


@awkward
def labels_beside_scores() -> NumpyPair:
    """The first input holds integers, and None is returned for it."""

    def forward(labels, scores):
        return scores[np.arange(len(scores)), labels]

    def backward(grad_output, labels, scores):
        dscores = np.zeros_like(scores)
        dscores[np.arange(len(scores)), labels] = grad_output
        return None, dscores

    return NumpyPair(forward, backward, (np.array([2, 0, 2]), normal(321, 3, 4)))


@awkward
def numbers_without_axes() -> OnTensors:
    """All inputs and the output are 0-d."""
    return OnTensors(lambda a, b: (a * b).exp() / a, (np.array(0.7), np.array(-1.3)))


@awkward
def python_floats_as_gradients() -> NumpyPair:
    """The inputs are 0-d, and the rule returns a list of NumPy's and Python's numbers."""

    def backward(grad_output, a, b):
        return [grad_output * b, float(grad_output * a)]

    return NumpyPair(lambda a, b: a * b, backward, (np.array(2.0), np.array(-0.5)))


@awkward
def empty_input() -> OnTensors:
    """An empty batch of examples is concatenated to one of two."""
    return OnTensors(lambda a, b: minigrad.concatenate([a, b]).sin(), (np.zeros((0, 3)), normal(322, 2, 3)))


@awkward
def nothing_but_empty() -> NumpyPair:
    """Input and output are empty."""
    return NumpyPair(np.sin, lambda grad_output, x: (grad_output * np.cos(x),), (np.zeros((3, 0)),))


@awkward
def single_elements() -> OnTensors:
    """Each axis has size 1, and the two shapes broadcast to a third."""
    return OnTensors(lambda a, b: (a / b).sin(), (normal(323, 1, 1), positive(324, 1, 1, 1)))


@awkward
def inputs_that_lie_askew_in_memory() -> NumpyPair:
    """A transposed, a stepped and a reversed view: reshape(-1) of them is a copy."""

    def backward(grad_output, a, b, c):
        return grad_output * b, grad_output * a, -grad_output

    inputs = (normal(325, 4, 3).T, normal(326, 6, 8)[::2, ::2], normal(327, 3, 4)[::-1, ::-1])
    return NumpyPair(lambda a, b, c: a * b - c, backward, inputs)


@awkward
def read_only_input_with_one_value_repeated() -> NumpyPair:
    """An input from broadcast_to: three rows are one row in memory, and can't be written to."""
    repeated = np.broadcast_to(normal(328, 4), (3, 4))
    return NumpyPair(np.tanh, lambda grad_output, x: (grad_output * (1 - np.tanh(x) ** 2),), (repeated,))


@awkward
def single_precision_inputs() -> OnTensors:
    """float32 in, float32 out: a difference quotient has three digits."""

    def gradient(dy, x):
        x = x.astype(np.float64)
        return (dy * (np.cos(x) * x + np.sin(x)),)

    return OnTensors(lambda x: x.sin() * x, (normal(329, 3, 4).astype(np.float32),), analytic=gradient)


@awkward
def single_precision_weight_inside() -> OnTensors:
    """The function holds a float32 array, and float64 inputs would be an error."""
    weight = normal(330, 3, 2).astype(np.float32)

    def gradient(dy, x):
        y = np.tanh(x.astype(np.float64) @ weight)
        return ((dy * (1 - y * y)) @ weight.T,)

    x = normal(331, 4, 3).astype(np.float32)
    return OnTensors(lambda x: (x @ Tensor(weight, backend=x.backend)).tanh(), (x,), analytic=gradient)


# -------------------------------------------------------------------------------------------------- kinds of functions


@awkward
def several_outputs() -> OnTensors:
    """A tuple of three outputs of different shapes, one of them a number."""

    def fn(x, w):
        y = x @ w
        return y, (x * x).sum(), y.tanh().sum(axis=0)

    return OnTensors(fn, (normal(332, 3, 4), normal(333, 4, 2)))


@awkward
def in_place_on_a_copy() -> NumpyPair:
    """The layer overwrites, scales and sorts, but a copy, and puts the gradient back in the same way."""

    def forward(x):
        y = x.copy()
        y *= 2
        y[0] = y[1] ** 2
        y.sort(axis=1)
        return y

    def backward(grad_output, x):
        y = 2 * x
        y[0] = y[1] ** 2
        dy = np.empty_like(x)
        np.put_along_axis(dy, y.argsort(axis=1), grad_output, axis=1)
        dy[1] += 2 * y[1] * dy[0]
        dy[0] = 0
        return (2 * dy,)

    return NumpyPair(forward, backward, (distinct(334, 3, 4),))


@awkward
def dropout_with_a_seed() -> OnTensors:
    """The mask is drawn anew at each call, from the same seed."""

    def fn(x):
        minigrad.manual_seed(5)
        return minigrad.dropout(x.tanh(), 0.4)

    return OnTensors(fn, (normal(335, 4, 5),))


@awkward
def dropout_with_a_mask() -> NumpyPair:
    """The mask is fixed, and two thirds of the gradient are zero."""
    mask = (np.random.default_rng(336).random((4, 6)) < 1 / 3) * 3.0
    return NumpyPair(lambda x: x * mask, lambda grad_output, x: (grad_output * mask,), (normal(337, 4, 6),))


@awkward
def batch_norm_that_remembers() -> OnTensors:
    """Each call moves the running statistics, which the output in training does not depend on."""
    mean, variance = Tensor(np.zeros(3)), Tensor(np.ones(3))

    def fn(x, gain, bias):
        return minigrad.batch_norm(x, mean, variance, gain, bias, training=True)

    return OnTensors(fn, (normal(338, 6, 3), positive(339, 3), normal(340, 3)))


@awkward
def tensor_used_many_times() -> OnTensors:
    """One tensor is used forty times, also twice by one operation."""

    def fn(x):
        y = x * x
        for k in range(1, 20):
            y = y * x / k + x
        return y

    return OnTensors(fn, (normal(341, 2, 3),))


@awkward
def chain_of_two_thousand_operations() -> OnTensors:
    """Too deep for a recursion."""

    def fn(x):
        for _ in range(1000):
            x = (x * 1.001).sin()
        return x

    return OnTensors(fn, (normal(342, 3),))


@awkward
def rule_that_returns_one_array_twice() -> NumpyPair:
    """Both inputs get the same array, a view of grad_output."""

    def backward(grad_output, a, b):
        passed_on = grad_output[:]
        return passed_on, passed_on

    return NumpyPair(np.add, backward, (normal(343, 2, 3), normal(344, 2, 3)))


@awkward
def dilated_convolution_in_groups() -> OnTensors:
    """Stride, padding, dilation and groups, each unlike the other."""

    def fn(x, weight, bias):
        return minigrad.conv2d(x, weight, bias, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2)

    return OnTensors(fn, (normal(345, 2, 4, 5, 6), normal(346, 2, 2, 2, 3), normal(347, 2)))


@awkward
def product_of_twenty_thousand_elements() -> OnTensors:
    """Too many inputs to move each of them: some have to do."""
    inputs = (normal(348, 100, 200), normal(349, 200, 3))
    return OnTensors(lambda a, b: a @ b, inputs, analytic=lambda dy, a, b: (dy @ b.T, a.T @ dy))
