"""Wrong rules of elementwise functions."""

from __future__ import annotations

import numpy as np

import minigrad
from minigrad import Function

from .cases import UNKNOWN, NumpyPair, OnTensors, beside, normal, positive, wrong


@wrong("constant factor")
def square_without_its_two() -> OnTensors:
    """The rule of x^2 is dy x: the 2 is forgotten."""

    class Square(Function):
        def forward(self, x):
            return x * x

        def backward(self, dy):
            (x,) = self.inputs
            return (dy * x,)

    return OnTensors(lambda x: minigrad.log(Square.apply(x) + 1.0), (normal(1, 3, 4),), culprit="Square", factor=0.5)


@wrong("constant factor")
def cosine_without_its_minus() -> NumpyPair:
    """The derivative of the cosine is taken for the sine, not minus the sine."""

    def backward(grad_output, x):
        return (grad_output * np.sin(x),)

    return NumpyPair(np.cos, backward, (normal(2, 5),), factor=-1.0)


@wrong("constant factor")
def difference_whose_second_input_lacks_the_minus() -> OnTensors:
    """The rule of a - b passes dy on to both. Values of a million, gradients of one."""

    class Subtract(Function):
        def forward(self, a, b):
            return a - b

        def backward(self, dy):
            return dy, dy

    def distance(a, b):
        difference = Subtract.apply(a, b)
        return (difference * difference).mean()

    inputs = (normal(3, 2, 5, scale=1e6), normal(4, 2, 5, scale=1e6))
    return OnTensors(distance, inputs, input=1, culprit="Subtract", factor=-1.0)


@wrong("upstream gradient ignored")
def exponential_that_returns_its_slope() -> NumpyPair:
    """The backward pass returns the derivative itself, without grad_output."""

    def backward(grad_output, x):
        return (np.exp(x),)

    return NumpyPair(np.exp, backward, (normal(5, 4, 2),))


@wrong("upstream gradient ignored")
def tanh_that_returns_its_slope() -> OnTensors:
    """The rule returns 1 - y^2, which dy should multiply, in the middle of a chain."""

    class Tanh(Function):
        def forward(self, x):
            return np.tanh(x)

        def backward(self, dy):
            (y,) = self.outputs
            return (1.0 - y * y,)

    return OnTensors(lambda x: (Tanh.apply(x * 0.5) * x).sin(), (normal(6, 3, 3),), culprit="Tanh")


@wrong("inputs swapped")
def product_with_each_others_gradient() -> OnTensors:
    """The rule of a b returns dy a for a and dy b for b. a is of size 1e6, b of size 1e-6."""

    class Multiply(Function):
        def forward(self, a, b):
            return a * b

        def backward(self, dy):
            a, b = self.inputs
            return dy * a, dy * b

    inputs = (normal(7, 6, scale=1e6), normal(8, 6, scale=1e-6))
    return OnTensors(lambda a, b: Multiply.apply(a, b).tanh(), inputs, input=1, culprit="Multiply")


@wrong("inputs swapped")
def quotient_with_the_denominator_first() -> NumpyPair:
    """The gradients of a / b come in the order (b, a)."""

    def backward(grad_output, a, b):
        return -grad_output * a / b**2, grad_output / b

    return NumpyPair(np.divide, backward, (normal(9, 2, 3), positive(10, 2, 3)))


@wrong("term missing")
def swish_with_half_a_product_rule() -> NumpyPair:
    """x sigmoid(x) is differentiated as if sigmoid(x) were a constant."""

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def forward(x):
        return x * sigmoid(x)

    def backward(grad_output, x):
        return (grad_output * sigmoid(x),)

    return NumpyPair(forward, backward, (normal(11, 3, 5),))


@wrong("term missing")
def fraction_with_half_a_quotient_rule() -> OnTensors:
    """x / (1 + x^2) is differentiated by the numerator alone. Values of a millionth pass through it as well."""

    class Bump(Function):
        def forward(self, x):
            return x / (1 + x * x)

        def backward(self, dy):
            (x,) = self.inputs
            return (dy / (x * x + 1.0),)

    x = normal(12, 8)
    x[::2] *= 1e-6
    return OnTensors(lambda x: Bump.apply(x * 2.0).exp(), (x,), culprit="Bump")


@wrong("term missing")
def gate_that_was_detached() -> OnTensors:
    """The function itself detaches one factor, for a stable gradient: what it computes still depends on x there."""

    def gated(x):
        gate = minigrad.sigmoid(x * 2.0)
        return x * gate.detach()

    return OnTensors(gated, (normal(13, 4, 3),))


@wrong("accumulated twice")
def branch_that_passes_on_the_gradient_of_the_skip() -> OnTensors:
    """The branch's rule adds dy for the skip connection, which the addition outside has passed on already."""

    class Branch(Function):
        def forward(self, x):
            return np.tanh(x)

        def backward(self, dy):
            (y,) = self.outputs
            return (dy * (1.0 - y * y) + dy,)

    return OnTensors(lambda x: (x + Branch.apply(x)) * 0.7, (normal(14, 3, 4),), culprit="Branch")


@wrong("overwritten")
def variable_used_twice_and_assigned_twice() -> NumpyPair:
    """x acts through sin(x) and through exp(x), and the second contribution is written over the first."""

    def forward(x):
        return np.sin(x) * np.exp(x)

    def backward(grad_output, x):
        by_sine, by_exponential = grad_output * np.exp(x), grad_output * np.sin(x)
        dx = by_sine * np.cos(x)
        dx = by_exponential * np.exp(x)
        return (dx,)

    return NumpyPair(forward, backward, (normal(15, 6),))


@wrong("saved value changed")
def swish_that_multiplies_what_it_saved() -> OnTensors:
    """The saved sigmoid becomes the output in place, since both names mean one array."""

    class Swish(Function):
        def forward(self, x):
            self.gate = out = 1 / (1 + np.exp(-x))
            out *= x
            return out

        def backward(self, dy):
            (x,) = self.inputs
            gate = beside(self.gate, x)
            return (dy * (gate + x * gate * (1.0 - gate)),)

    return OnTensors(lambda x: Swish.apply(x) * 2.0, (normal(16, 2, 6),), culprit="Swish")


@wrong("saved value changed")
def tanh_with_a_skip_added_in_place() -> NumpyPair:
    """The layer saves tanh(x), and then the skip connection is added to that very array."""

    class Residual:
        def forward(self, x, skip):
            self.y = np.tanh(x)
            out = self.y
            out += skip
            return out

        def backward(self, grad_output, x, skip):
            return grad_output * (1 - self.y**2), grad_output

    layer = Residual()
    return NumpyPair(layer.forward, layer.backward, (normal(17, 3, 4), normal(18, 3, 4)))


@wrong(UNKNOWN)
def sigmoid_of_its_input_in_the_place_of_its_output() -> OnTensors:
    """The rule is dy x (1 - x) where it should be dy y (1 - y)."""

    class Sigmoid(Function):
        def forward(self, x):
            return 1 / (1 + np.exp(-x))

        def backward(self, dy):
            (x,) = self.inputs
            return (dy * x * (1.0 - x),)

    return OnTensors(lambda x: Sigmoid.apply(x) * x, (normal(19, 3, 4),), culprit="Sigmoid")


@wrong(UNKNOWN)
def power_that_keeps_its_exponent() -> NumpyPair:
    """The derivative of x^n is taken for n x^n: the exponent is not lowered."""
    n = 2.5

    def forward(x):
        return x**n

    def backward(grad_output, x):
        return (grad_output * n * x**n,)

    return NumpyPair(forward, backward, (positive(20, 7),))


@wrong(UNKNOWN)
def tanh_with_a_modulus_for_a_square() -> NumpyPair:
    """The derivative of tanh is taken for 1 - |y|."""

    def backward(grad_output, x):
        return (grad_output * (1 - np.abs(np.tanh(x))),)

    return NumpyPair(np.tanh, backward, (normal(21, 2, 4),))


@wrong(UNKNOWN)
def softplus_with_the_wrong_exponent() -> OnTensors:
    """The derivative of log(1 + e^x) is taken for 1 / (1 + e^x): the sign in the exponent is lost."""

    class Softplus(Function):
        def forward(self, x):
            return np.log1p(np.exp(x))

        def backward(self, dy):
            (x,) = self.inputs
            return (dy / (x.exp() + 1.0),)

    return OnTensors(lambda x: Softplus.apply(x).sqrt(), (normal(22, 9),), culprit="Softplus")


@wrong(UNKNOWN)
def gelu_with_a_mistyped_constant() -> OnTensors:
    """In the rule of the tanh form of GELU, 0.044715 is typed as 0.44715."""

    c = np.sqrt(2 / np.pi)

    class GELU(Function):
        def forward(self, x):
            return 0.5 * x * (1 + np.tanh(c * (x + 0.044715 * x**3)))

        def backward(self, dy):
            (x,) = self.inputs
            t = ((x + x**3 * 0.44715) * c).tanh()
            return (dy * 0.5 * (1.0 + t + x * (1.0 - t * t) * c * (1.0 + x * x * 3.0 * 0.44715)),)

    return OnTensors(lambda x: GELU.apply(x), (normal(23, 4, 3),), culprit="GELU")
