"""Functions that are awkward at some values: near kinks, at extreme scales, where they are flat or steep."""

from __future__ import annotations

import numpy as np
from planted_rules.cases import NumpyPair, OnTensors, awkward, distinct, normal, off_zero, positive

import minigrad
from minigrad import Function, Tensor

# ------------------------------------------------------------------------------------------------------------- kinks


@awkward
def kinks_off_the_point() -> OnTensors:
    """Kinks of relu, abs, clip and maximum, none within 0.02."""

    def fn(x):
        return x.relu() + abs(x - 0.05) * 2.0 + x.clip(-0.5, 1.0) + minigrad.maximum(x, -x * 0.3)

    return OnTensors(fn, (distinct(300, 4, 6),))


@awkward
def maxima_without_ties() -> OnTensors:
    """The largest of each row, and of each overlapping window, leads by 0.1."""

    def fn(x):
        return x.max(axis=3).sum() * minigrad.max_pool2d(x, 3, stride=2, padding=1)

    return OnTensors(fn, (distinct(301, 2, 1, 5, 4),))


@awkward
def a_thousandth_from_a_kink() -> NumpyPair:
    """relu at 0.001 and -0.001: a step wider than that sees the other side."""

    def backward(grad_output, x):
        return (grad_output * (x > 0),)

    x = np.array([1e-3, -1e-3, 1.0, -1.0, 2e-3])
    return NumpyPair(lambda x: np.maximum(x, 0), backward, (x,))


@awkward
def pieces_near_their_joints() -> OnTensors:
    """Three polynomials that meet without a jump, evaluated 0.001 from where they meet."""

    def fn(x):
        return minigrad.where(x < 0.0, x * x, minigrad.where(x < 1.0, x * 3.0, x**2 + 2.0))

    return OnTensors(fn, (np.array([-1e-3, 1e-3, 0.999, 1.001, -2.0, 3.0]),))


@awkward
def relu_in_the_place_of_the_gradient_given() -> NumpyPair:
    """The rule writes into grad_output, which is right, but changes the caller's array."""

    def backward(grad_output, x):
        grad_output[x <= 0] = 0
        return (grad_output,)

    return NumpyPair(lambda x: np.maximum(x, 0), backward, (off_zero(302, 3, 4),))


@awkward
def units_that_are_all_dead() -> OnTensors:
    """No unit of the layer is active: the gradient is zero for the weight, and for the input."""
    inputs = (positive(303, 4, 3), -positive(304, 2, 3))
    return OnTensors(lambda x, weight: minigrad.linear(x, weight).relu(), inputs)


# ------------------------------------------------------------------------------------------------------------- scales


@awkward
def tiny_inputs() -> OnTensors:
    """Inputs of size 1e-12: a step of 1e-6 is a million times too wide."""

    def fn(x):
        return (x * 1e12).sin() * x

    return OnTensors(fn, (normal(305, 5, scale=1e-12),))


@awkward
def huge_inputs() -> NumpyPair:
    """Inputs of size 1e12: a step of 1e-6 is lost in rounding."""

    def backward(grad_output, x):
        return (grad_output / (2 * np.sqrt(x)),)

    return NumpyPair(np.sqrt, backward, (1e12 * positive(306, 6),))


@awkward
def elements_of_sixteen_orders_of_magnitude() -> OnTensors:
    """The gradient's elements run from 2e-8 to 2e8: compared with the largest, half of them are nothing."""

    x = 10.0 ** np.arange(-8, 9)
    return OnTensors(lambda x: x * x, (x,), analytic=lambda dy, x: (2 * x * dy,))


@awkward
def two_inputs_of_opposite_scales() -> OnTensors:
    """A weight of size 1e-6 beside data of size 1e6."""
    inputs = (normal(307, 4, 3, scale=1e6), normal(308, 3, 2, scale=1e-6))
    return OnTensors(lambda x, w: (x @ w).tanh(), inputs)


@awkward
def a_small_slope_on_a_large_value() -> OnTensors:
    """1e8 + sin(x): a difference quotient has lost half its digits to the 1e8."""

    x = normal(309, 3, 2)
    return OnTensors(lambda x: x.sin() + 1e8, (x,), analytic=lambda dy, x: (dy * np.cos(x),))


@awkward
def steep_exponential() -> OnTensors:
    """exp(30 x): values from 1e-20 to 1e20."""
    return OnTensors(lambda x: (x * 30.0).exp(), (np.linspace(-1.5, 1.5, 7),))


@awkward
def fast_oscillation() -> NumpyPair:
    """sin(1000 x): a step of 0.001 is a sixth of its period."""

    def backward(grad_output, x):
        return (grad_output * 1000 * np.cos(1000 * x),)

    return NumpyPair(lambda x: np.sin(1000 * x), backward, (normal(310, 6),))


@awkward
def roots_of_small_numbers() -> OnTensors:
    """The square root of 1e-8 and of 1e-4, where a step of 1e-6 leads below zero."""
    return OnTensors(lambda x: x.sqrt(), (np.array([1e-8, 3e-8, 1e-4, 0.5]),))


@awkward
def logarithms_near_zero() -> NumpyPair:
    """log(1e-6): its slope is a million."""
    return NumpyPair(np.log, lambda grad_output, x: (grad_output / x,), (np.array([1e-6, 2e-6, 1e-3, 1.0]),))


@awkward
def cube_at_zero() -> NumpyPair:
    """x^3 at 0: the gradient is exactly 0, a difference quotient is h^2."""

    x = np.array([0.0, 1.0, 0.0, -0.5])
    return NumpyPair(lambda x: x**3, lambda grad_output, x: (grad_output * 3 * x**2,), (x,))


# --------------------------------------------------------------------------------------------- saturated and constant


@awkward
def softmax_of_large_logits() -> OnTensors:
    """Logits of size 1000: nearly all probabilities are zero, and so are the gradients."""
    logits = np.array([[1000.0, 1000.7, 0.0, -1000.0], [-800.0, 900.0, 0.0, 1.0], [50.0, 2000.0, 1999.5, 1998.0]])
    return OnTensors(lambda x: x.softmax(axis=1), (logits,))


@awkward
def confident_cross_entropy() -> OnTensors:
    """The right class leads by 40: losses and gradients of 1e-18, but for one row that is wrong."""
    target = np.array([1, 0, 2])
    logits = normal(312, 3, 4)
    logits[[0, 1, 2], [1, 0, 3]] += 40.0
    return OnTensors(lambda x: minigrad.cross_entropy(x, target, reduction="sum"), (logits,))


@awkward
def rounding() -> OnTensors:
    """A staircase: the gradient is zero wherever there is one, and no input is near a jump."""

    class Round(Function):
        def forward(self, x):
            return self.xp.round(x)

        def backward(self, dy):
            return (dy * 0.0,)

    return OnTensors(lambda x: Round.apply(x), (np.array([[0.2, 1.7], [-3.1, 4.4]]),))


@awkward
def constant_output() -> OnTensors:
    """The output is 3 whatever x is, by x * 0 + 3."""
    return OnTensors(lambda x: x * 0.0 + 3.0, (normal(313, 2, 3),))


@awkward
def output_that_requires_no_gradient() -> OnTensors:
    """The output is cut off from the inputs, so it can't even be differentiated."""
    return OnTensors(lambda x: Tensor(np.full(3, 2.0), backend=x.backend), (normal(314, 4),))


@awkward
def unused_input_without_a_gradient() -> OnTensors:
    """The second input is not used: its gradient is None."""
    return OnTensors(lambda a, b: a.tanh() * 2.0, (normal(315, 3), normal(316, 2, 2)))


@awkward
def unused_inputs_by_hand() -> NumpyPair:
    """Of two unused inputs, one has None for its gradient and the other zeros."""

    def backward(grad_output, a, b, c):
        return grad_output * np.cos(a), None, np.zeros_like(c)

    return NumpyPair(lambda a, b, c: np.sin(a), backward, (normal(317, 3), normal(318, 2), normal(319, 2, 2)))
