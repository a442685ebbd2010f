"""Activation functions. Those with kernels have a second Function for the gradient, so that it has a gradient too."""

from __future__ import annotations

from ..autograd.function import Function
from ..tensor import Tensor
from .operands import as_number, as_tensor, floating


class Sigmoid(Function):
    """y = 1 / (1 + exp(-x));   dL/dx = dL/dy y (1 - y)"""

    def forward(self, x):
        return self.kernels.sigmoid(x)

    def backward(self, dy):
        (y,) = self.outputs
        return (SigmoidGrad.apply(dy, y),)


class SigmoidGrad(Function):
    """g = d y (1 - y), bilinear in d and y (1 - y);   dL/dd = dL/dg y (1 - y),   dL/dy = dL/dg d (1 - 2 y)"""

    def forward(self, d, y):
        return self.kernels.sigmoid_grad(d, y)

    def backward(self, dg):
        d, y = self.inputs
        return SigmoidGrad.apply(dg, y), dg * d * (1.0 - 2.0 * y)


class Tanh(Function):
    """y = tanh(x);   dL/dx = dL/dy (1 - y^2)"""

    def forward(self, x):
        return self.kernels.tanh(x)

    def backward(self, dy):
        (y,) = self.outputs
        return (TanhGrad.apply(dy, y),)


class TanhGrad(Function):
    """g = d (1 - y^2);   dL/dd = dL/dg (1 - y^2),   dL/dy = -2 dL/dg d y"""

    def forward(self, d, y):
        return self.kernels.tanh_grad(d, y)

    def backward(self, dg):
        d, y = self.inputs
        return TanhGrad.apply(dg, y), -2.0 * dg * d * y


class Relu(Function):
    """y = max(x, 0);   dL/dx = dL/dy where x > 0, else 0"""

    def forward(self, x):
        return self.kernels.relu(x)

    def backward(self, dy):
        (y,) = self.outputs
        return (ReluGrad.apply(dy, y.detach()),)


class ReluGrad(Function):
    """g = d where y > 0, else 0: linear in d, constant in y almost everywhere"""

    def forward(self, d, y):
        return self.kernels.relu_grad(d, y)

    def backward(self, dg):
        return ReluGrad.apply(dg, self.inputs[1]), None


class LeakyRelu(Function):
    """y = x where x > 0, else slope x;   dL/dx = dL/dy where x > 0, else slope dL/dy"""

    negative_slope: float

    def forward(self, x):
        return self.kernels.leaky_relu(x, self.negative_slope)

    def backward(self, dy):
        (x,) = self.inputs
        return (LeakyReluGrad.apply(dy, x.detach(), negative_slope=self.negative_slope),)


class LeakyReluGrad(Function):
    """g = d where x > 0, else slope d: linear in d, constant in x almost everywhere"""

    negative_slope: float

    def forward(self, d, x):
        return self.kernels.leaky_relu_grad(d, x, self.negative_slope)

    def backward(self, dg):
        return LeakyReluGrad.apply(dg, self.inputs[1], negative_slope=self.negative_slope), None


class Softplus(Function):
    """y = ln(1 + e^x);   dL/dx = dL/dy sigmoid(x)"""

    def forward(self, x):
        return self.kernels.softplus(x)

    def backward(self, dy):
        (x,) = self.inputs
        return (dy * sigmoid(x),)


def sigmoid(x: Tensor) -> Tensor:
    """The logistic sigmoid 1 / (1 + e^-x), element by element, with no overflow for any x.

    >>> sigmoid(Tensor([-1000.0, 0.0, 1000.0]))
    Tensor([0. , 0.5, 1. ])
    """
    return Sigmoid.apply(floating("sigmoid", x))


def tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent, element by element.

    >>> tanh(Tensor([0.0, 1.0])).numpy().round(3)
    array([0.   , 0.762], dtype=float32)
    """
    return Tanh.apply(floating("tanh", x))


def relu(x: Tensor) -> Tensor:
    """max(x, 0), element by element; its gradient at 0 is 0, and a NaN stays a NaN.

    >>> relu(Tensor([-1.0, 2.0]))
    Tensor([0., 2.])
    """
    return Relu.apply(as_tensor("relu", x))


def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x where x > 0, else negative_slope x; its gradient at 0 is negative_slope.

    >>> leaky_relu(Tensor([-1.0, 2.0]), 0.125)
    Tensor([-0.125,  2.   ])
    """
    slope = as_number("leaky_relu", "negative_slope", negative_slope)
    return LeakyRelu.apply(floating("leaky_relu", x), negative_slope=slope)


def softplus(x: Tensor) -> Tensor:
    """ln(1 + e^x), a smooth relu, with no overflow for any x.

    >>> softplus(Tensor([-1000.0, 1000.0]))
    Tensor([   0., 1000.])
    """
    return Softplus.apply(floating("softplus", x))
