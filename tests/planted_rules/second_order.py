"""Rules that are right, and that cannot be differentiated again: the gradient of the gradient is wrong."""

from __future__ import annotations

import numpy as np

from minigrad import Function, Tensor

from .cases import OnTensors, beside, normal, off_zero, wrong
from .reductions import softmax


@wrong("term missing")
def cube_whose_rule_detaches_its_input() -> OnTensors:
    """The rule reads x.detach(), so its gradient does not depend on x at all."""

    class Cube(Function):
        def forward(self, x):
            return x**3

        def backward(self, dy):
            (x,) = self.inputs
            return (dy * 3.0 * x.detach() ** 2,)

    return OnTensors(lambda x: Cube.apply(x), (normal(240, 5),), culprit="Cube", order=2)


@wrong("term missing")
def tanh_whose_rule_reads_a_saved_array() -> OnTensors:
    """The rule makes a new Tensor of the output that forward saved; the terms of the chain around it are there."""

    class Tanh(Function):
        def forward(self, x):
            self.y = np.tanh(x)
            return self.y

        def backward(self, dy):
            y = beside(self.y, dy)
            return (dy * (1.0 - y * y),)

    return OnTensors(lambda x: Tanh.apply(x * x) * x, (normal(241, 2, 3),), culprit="Tanh", order=2)


@wrong("term missing")
def product_whose_rule_reads_arrays() -> OnTensors:
    """dy is multiplied with b.data and a.data: the mixed second derivative, 1, is lost."""

    class Product(Function):
        def forward(self, a, b):
            return a * b

        def backward(self, dy):
            a, b = self.inputs
            return dy * beside(b.data, dy), dy * beside(a.data, dy)

    inputs = (normal(242, 4), normal(243, 4))
    return OnTensors(lambda a, b: Product.apply(a.sin(), b), inputs, input=1, culprit="Product", order=2)


@wrong("term missing")
def matrix_product_whose_rule_is_bare_numpy() -> OnTensors:
    """The rule computes with arrays from beginning to end, so nothing that arrives is differentiated either."""

    class Product(Function):
        def forward(self, a, b):
            return a @ b

        def backward(self, dy):
            a, b = self.inputs
            return beside(dy.data @ b.data.T, dy), beside(a.data.T @ dy.data, dy)

    inputs = (normal(244, 2, 3), normal(245, 3, 4))
    return OnTensors(lambda a, b: Product.apply(a, b).exp(), inputs, culprit="Product", order=2)


@wrong("term missing")
def softmax_whose_rule_takes_its_output_for_a_constant() -> OnTensors:
    """The first derivative is written with a detached y."""

    class Softmax(Function):
        def forward(self, x):
            return softmax(x)

        def backward(self, dy):
            y = self.outputs[0].detach()
            return (y * (dy - (dy * y).sum(axis=-1, keepdims=True)),)

    return OnTensors(lambda x: Softmax.apply(x) ** 2, (normal(246, 2, 4),), culprit="Softmax", order=2)


@wrong("constant factor")
def cube_whose_square_forgets_its_two() -> OnTensors:
    """The rule of x^3 is dy 3 Square(x), which is right; the rule of Square is not."""

    class Square(Function):
        def forward(self, x):
            return x * x

        def backward(self, dy):
            (x,) = self.inputs
            return (dy * x,)

    class Cube(Function):
        def forward(self, x):
            return x**3

        def backward(self, dy):
            (x,) = self.inputs
            return (dy * 3.0 * Square.apply(x),)

    return OnTensors(lambda x: Cube.apply(x), (normal(247, 3, 2),), culprit="Square", factor=0.5, order=2)


@wrong("mask inverted")
def squared_relu_with_a_wrong_relu_in_its_rule() -> OnTensors:
    """The rule of max(x, 0)^2 is dy 2 Positive(x), which is right; the rule of Positive lets through where x < 0."""

    class Positive(Function):
        def forward(self, x):
            return np.maximum(x, 0)

        def backward(self, dy: Tensor):
            (x,) = self.inputs
            return (dy * (x < 0.0),)

    class SquaredReLU(Function):
        def forward(self, x):
            return np.maximum(x, 0) ** 2

        def backward(self, dy: Tensor):
            (x,) = self.inputs
            return (dy * 2.0 * Positive.apply(x),)

    return OnTensors(lambda x: SquaredReLU.apply(x), (off_zero(248, 3, 3),), culprit="Positive", order=2)
