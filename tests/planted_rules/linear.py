"""Wrong rules of matrix products and linear layers, and of what moves axes."""

from __future__ import annotations

import numpy as np

import minigrad
from minigrad import Function, Tensor

from .cases import NumpyPair, OnTensors, normal, wrong


class Linear(Function):
    """y = x w^T with the right rule: each case changes what it gets wrong."""

    def forward(self, x, weight):
        return x @ weight.T  # (N, O) = (N, I) @ (I, O)

    def backward(self, dy):
        x, weight = self.inputs
        return self.by_input(dy, x, weight), self.by_weight(dy, x, weight)

    def by_input(self, dy: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        return dy @ weight  # (N, I) = (N, O) @ (O, I)

    def by_weight(self, dy: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        return dy.T @ x  # (O, I) = (O, N) @ (N, I)


@wrong("transposed")
def square_weight_with_its_gradient_transposed() -> OnTensors:
    """The weight's gradient is x^T dy, (I, O), and the weight is stored as (O, I): only a square one does not tell."""

    class SquareLinear(Linear):
        def by_weight(self, dy, x, weight):
            return x.T @ dy

    inputs = (normal(70, 5, 4), normal(71, 4, 4))
    return OnTensors(lambda x, weight: SquareLinear.apply(x, weight).relu(), inputs, input=1, culprit="SquareLinear")


@wrong("transposed")
def weight_gradient_of_the_transposed_shape() -> NumpyPair:
    """The same for a weight that is not square, where the shape betrays it."""

    def forward(x, weight):
        return x @ weight.T

    def backward(grad_output, x, weight):
        return grad_output @ weight, x.T @ grad_output

    return NumpyPair(forward, backward, (normal(72, 4, 3), normal(73, 5, 3)), input=1)


@wrong("transposed")
def square_weight_not_transposed_in_the_gradient_of_the_input() -> NumpyPair:
    """For y = x w, the input's gradient is dy w where it should be dy w^T."""

    def backward(grad_output, x, weight):
        return grad_output @ weight, x.T @ grad_output

    return NumpyPair(np.matmul, backward, (normal(74, 2, 3), normal(75, 3, 3)))


@wrong("transposed")
def axes_permuted_once_more_in_place_of_back() -> OnTensors:
    """The rule applies the permutation (1, 2, 0) where it should apply its inverse, (2, 0, 1)."""

    class Permute(Function):
        def forward(self, x):
            return x.transpose(1, 2, 0)

        def backward(self, dy):
            return (dy.transpose(1, 2, 0),)

    return OnTensors(lambda x: (Permute.apply(x) * x).sin(), (normal(76, 3, 3, 3),), culprit="Permute")


@wrong("inputs swapped")
def square_product_with_its_gradients_exchanged() -> NumpyPair:
    """a^T dy is returned for a, and dy b^T for b."""

    def backward(grad_output, a, b):
        return a.T @ grad_output, grad_output @ b.T

    return NumpyPair(np.matmul, backward, (normal(77, 4, 4), normal(78, 4, 4)))


@wrong("inputs swapped")
def gated_unit_with_the_weights_exchanged() -> OnTensors:
    """In (x a) sigmoid(x b), the gradients of the two weights are returned in the wrong order."""

    class GatedLinear(Function):
        def forward(self, x, a, b):
            return (x @ a) / (1 + np.exp(-(x @ b)))

        def backward(self, dy):
            x, a, b = self.inputs
            value, gate = x @ a, minigrad.sigmoid(x @ b)
            dvalue, dgate = dy * gate, dy * value * gate * (1.0 - gate)
            return dvalue @ a.T + dgate @ b.T, x.T @ dgate, x.T @ dvalue

    inputs = (normal(79, 4, 3), normal(80, 3, 5), normal(81, 3, 5))
    return OnTensors(lambda *xab: GatedLinear.apply(*xab).tanh(), inputs, input=2, culprit="GatedLinear")


@wrong("constant factor")
def weight_gradient_averaged_over_the_batch() -> OnTensors:
    """The rule divides by the batch's size, which the mean of the loss has done already."""

    class AveragedLinear(Linear):
        def by_weight(self, dy, x, weight):
            return dy.T @ x / len(x)

    def loss(x, weight):
        return (AveragedLinear.apply(x, weight) ** 2).mean()

    inputs = (normal(82, 6, 3), normal(83, 2, 3))
    return OnTensors(loss, inputs, input=1, culprit="AveragedLinear", factor=1 / 6)


@wrong("upstream gradient ignored")
def linear_layer_that_starts_again_from_ones() -> NumpyPair:
    """The layer was tried out as the last one, and still sets the gradient of its output to ones."""

    def forward(x, weight):
        return x @ weight

    def backward(grad_output, x, weight):
        grad_output = np.ones((len(x), weight.shape[1]))
        return grad_output @ weight.T, x.T @ grad_output

    return NumpyPair(forward, backward, (normal(84, 4, 3), normal(85, 3, 2)), input=1)


@wrong("overwritten")
def tied_weight_with_the_gradient_of_its_second_use() -> NumpyPair:
    """An autoencoder uses w and w^T; the gradient of the encoder is written over that of the decoder."""

    def forward(x, weight):
        return np.tanh(x @ weight) @ weight.T

    def backward(grad_output, x, weight):
        code = np.tanh(x @ weight)
        dweight = grad_output.T @ code  # decoder: (I, K) = (I, N) @ (N, K)
        dcode = (grad_output @ weight) * (1 - code**2)
        dweight = x.T @ dcode  # encoder: (I, K) = (I, N) @ (N, K)
        return dcode @ weight.T, dweight

    return NumpyPair(forward, backward, (normal(86, 5, 4), normal(87, 4, 2)), input=1)


@wrong("batch elements mixed")
def every_example_gets_the_mean_gradient() -> OnTensors:
    """The gradient of the input is averaged over the batch, and each example gets the average."""

    class MeanLinear(Linear):
        def by_input(self, dy, x, weight):
            return (dy @ weight).mean(axis=0, keepdims=True).broadcast_to(x.shape)

    inputs = (normal(88, 4, 3), normal(89, 2, 3))
    return OnTensors(lambda x, weight: MeanLinear.apply(x, weight).sin(), inputs, culprit="MeanLinear")


@wrong("batch elements mixed")
def channels_moved_last_and_reshaped_back() -> NumpyPair:
    """(N, C, H, W) is flattened to (N H W, C); the rule reshapes to (C, N, H, W), so images take others' pixels."""

    def forward(x):
        return x.transpose(0, 2, 3, 1).reshape(-1, x.shape[1])

    def backward(grad_output, x):
        N, C, H, W = x.shape
        return (grad_output.reshape(C, N, H, W).transpose(1, 0, 2, 3),)

    return NumpyPair(forward, backward, (normal(90, 3, 2, 2, 4),))
