"""Wrong rules of sums, means, normalisations, softmax, and of what broadcasts."""

from __future__ import annotations

import numpy as np

from minigrad import Function

from .cases import NumpyPair, OnTensors, beside, normal, positive, wrong

EPS = 1e-5


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def standardised(x: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """The values with mean 0 and variance 1 along the axis, and one over their deviation before."""
    scale = 1 / np.sqrt(x.var(axis=axis, keepdims=True) + EPS)
    return (x - x.mean(axis=axis, keepdims=True)) * scale, scale


@wrong("constant factor")
def mean_with_the_rule_of_a_sum() -> OnTensors:
    """Each of the 12 elements gets dy, not dy / 12."""

    class Mean(Function):
        def forward(self, x):
            return x.mean()

        def backward(self, dy):
            (x,) = self.inputs
            return (dy.broadcast_to(x.shape),)

    return OnTensors(lambda x: Mean.apply(x * x).sqrt(), (normal(50, 3, 4),), culprit="Mean", factor=12.0)


@wrong("constant factor")
def sum_with_the_rule_of_a_mean() -> NumpyPair:
    """The gradient is divided by the number of columns, which were summed and not averaged."""

    def forward(x):
        return x.sum(axis=1)

    def backward(grad_output, x):
        return (np.repeat(grad_output[:, None], x.shape[1], axis=1) / x.shape[1],)

    return NumpyPair(forward, backward, (normal(51, 4, 5),), factor=0.2)


@wrong("not summed over a broadcast axis")
def bias_gradient_of_the_first_row() -> OnTensors:
    """The bias is added to each row, and its gradient is that of the first row alone."""

    class AddBias(Function):
        def forward(self, x, bias):
            return x + bias

        def backward(self, dy):
            return dy, dy[0]

    inputs = (normal(52, 4, 3), normal(53, 3))
    return OnTensors(lambda x, bias: AddBias.apply(x, bias).tanh(), inputs, input=1, culprit="AddBias")


@wrong("not summed over a broadcast axis")
def bias_gradient_of_the_shape_of_the_output() -> NumpyPair:
    """The bias gets the whole grad_output, one row for each example."""

    def backward(grad_output, x, bias):
        return grad_output, grad_output

    return NumpyPair(np.add, backward, (normal(54, 4, 3), normal(55, 3)), input=1)


@wrong("not summed over a broadcast axis")
def scale_gradient_of_the_first_column() -> OnTensors:
    """A column of scales multiplies each column of x; only the first column's contribution is passed on."""

    class Scale(Function):
        def forward(self, x, scale):
            return x * scale

        def backward(self, dy):
            x, scale = self.inputs
            return dy * scale, (dy * x)[:, :1]

    inputs = (normal(56, 3, 4), normal(57, 3, 1))
    return OnTensors(lambda x, scale: Scale.apply(x, scale).exp(), inputs, input=1, culprit="Scale")


@wrong("not summed over a broadcast axis")
def channel_scale_summed_over_images_only() -> NumpyPair:
    """The scale of a channel, (1, C, 1, 1), gets the sum over the images of its first pixel."""

    def backward(grad_output, x, gamma):
        dgamma = (grad_output * x).sum(axis=0, keepdims=True)
        return grad_output * gamma, dgamma[:, :, :1, :1]

    return NumpyPair(np.multiply, backward, (normal(58, 2, 3, 4, 2), positive(59, 1, 3, 1, 1)), input=1)


@wrong("transposed")
def column_sums_spread_along_the_rows() -> OnTensors:
    """The gradient of a sum over the rows is repeated along the wrong axis of a square matrix."""

    class ColumnSums(Function):
        def forward(self, x):
            return x.sum(axis=0)

        def backward(self, dy):
            (x,) = self.inputs
            return (dy.reshape(-1, 1).broadcast_to(x.shape),)

    return OnTensors(lambda x: ColumnSums.apply(x).exp(), (normal(60, 4, 4, scale=0.5),), culprit="ColumnSums")


@wrong("shifted by one")
def running_sum_that_leaves_out_the_element_itself() -> NumpyPair:
    """The gradient of element i is summed over the outputs after i, where it should begin with output i."""

    def forward(x):
        return np.cumsum(x)

    def backward(grad_output, x):
        from_the_end = np.cumsum(grad_output[::-1])[::-1]
        return (np.append(from_the_end[1:], 0.0),)

    return NumpyPair(forward, backward, (normal(61, 9),))


@wrong("term missing")
def softmax_with_the_diagonal_alone() -> OnTensors:
    """The rule is that of a sigmoid, dy y (1 - y): how the other elements change is forgotten."""

    class Softmax(Function):
        def forward(self, x):
            return softmax(x)

        def backward(self, dy):
            (y,) = self.outputs
            return (dy * y * (1.0 - y),)

    return OnTensors(lambda x: Softmax.apply(x * 1.5).sqrt(), (normal(62, 3, 4),), culprit="Softmax")


@wrong("term missing")
def layer_norm_with_constant_statistics() -> OnTensors:
    """The mean and the deviation are taken for constants. The inputs are of size 1e6."""

    class LayerNorm(Function):
        def forward(self, x):
            y, self.scale = standardised(x, axis=1)
            return y

        def backward(self, dy):
            return (dy * beside(self.scale, dy),)

    inputs = (normal(63, 3, 5, scale=1e6), positive(64, 5))
    return OnTensors(lambda x, gain: LayerNorm.apply(x) * gain, inputs, culprit="LayerNorm")


@wrong("term missing")
def batch_norm_without_the_deviation() -> NumpyPair:
    """The gradient through the batch's mean is there, that through its variance is not."""

    def forward(x):
        return standardised(x, axis=0)[0]

    def backward(grad_output, x):
        _, scale = standardised(x, axis=0)
        return (scale * (grad_output - grad_output.mean(axis=0)),)

    return NumpyPair(forward, backward, (normal(65, 5, 3),))


@wrong("term missing")
def centring_that_forgets_the_mean() -> NumpyPair:
    """x - mean(x) is differentiated as if the mean did not depend on x. The inputs are of size 1e-6."""

    def forward(x):
        return x - x.mean(axis=1, keepdims=True)

    def backward(grad_output, x):
        return (grad_output,)

    return NumpyPair(forward, backward, (normal(66, 3, 4, scale=1e-6),))


@wrong("accumulated twice")
def unit_vector_that_subtracts_its_projection_twice() -> NumpyPair:
    """dx already holds the gradient through the norm when the loop over the rows adds it."""

    def forward(x):
        return x / np.sqrt((x * x).sum(axis=1, keepdims=True))

    def backward(grad_output, x):
        norm = np.sqrt((x * x).sum(axis=1, keepdims=True))
        y = x / norm
        dx = (grad_output - y * (grad_output * y).sum(axis=1, keepdims=True)) / norm
        for n in range(len(x)):
            dx[n] += -y[n] * np.dot(grad_output[n], y[n]) / norm[n]
        return (dx,)

    return NumpyPair(forward, backward, (normal(67, 4, 3),))


@wrong("batch elements mixed")
def softmax_that_sums_over_the_whole_batch() -> NumpyPair:
    """The sum of dy y in the rule runs over all examples, since its axis is not given."""

    def backward(grad_output, x):
        y = softmax(x)
        return (y * (grad_output - (grad_output * y).sum()),)

    return NumpyPair(softmax, backward, (normal(68, 4, 3),))


@wrong("batch elements mixed")
def layer_norm_that_averages_over_the_batch() -> OnTensors:
    """Forward normalises each example; the rule averages along axis 0, the examples, as batch norm would."""

    class LayerNorm(Function):
        def forward(self, x):
            y, self.scale = standardised(x, axis=1)
            return y

        def backward(self, dy):
            (y,) = self.outputs
            scale = beside(self.scale, dy)
            along = {"axis": 0, "keepdims": True}
            return (scale * (dy - dy.mean(**along) - y * (dy * y).mean(**along)),)

    return OnTensors(lambda x: LayerNorm.apply(x).exp(), (normal(69, 4, 6),), culprit="LayerNorm")
