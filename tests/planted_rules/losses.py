"""Wrong rules of losses: their outputs are one number, so that the arriving gradient is one number, too."""

from __future__ import annotations

import numpy as np

from minigrad import Function

from .cases import NumpyPair, OnTensors, beside, normal, wrong
from .reductions import softmax

TARGET = np.array([2, 0, 3, 0, 1])
ROWS = np.arange(len(TARGET))


def cross_entropy(logits: np.ndarray) -> np.ndarray:
    return -np.log(softmax(logits)[ROWS, TARGET]).mean()


class CrossEntropy(Function):
    """The mean of -log softmax(x)[target]; each case has its own rule."""

    def forward(self, logits):
        self.probabilities = softmax(logits)
        return -np.log(self.probabilities[ROWS, TARGET]).mean()


@wrong("constant factor")
def squared_error_without_its_two() -> OnTensors:
    """The rule of the mean of (x - t)^2 is dy (x - t) / n. The values are of size 1e6."""

    class MSE(Function):
        def forward(self, x, target):
            return ((x - target) ** 2).mean()

        def backward(self, dy):
            x, target = self.inputs
            slope = (x - target) / x.size
            return dy * slope, -(dy * slope)

    inputs = (normal(220, 4, 3, scale=1e6), normal(221, 4, 3, scale=1e6))
    return OnTensors(lambda x, target: MSE.apply(x, target).sqrt(), inputs, culprit="MSE", factor=0.5)


@wrong("constant factor")
def squared_error_that_forgets_the_mean() -> NumpyPair:
    """The loss is averaged over the 10 errors, its gradient is not. The values are of size 1e-6."""

    def forward(x, target):
        return ((x - target) ** 2).mean()

    def backward(grad_output, x, target):
        dx = grad_output * 2 * (x - target)
        return dx, -dx

    return NumpyPair(forward, backward, (normal(222, 2, 5, scale=1e-6), normal(223, 2, 5, scale=1e-6)), factor=10.0)


@wrong("constant factor")
def likelihood_that_is_not_negative() -> OnTensors:
    """The gradient of the negative log-likelihood is +1 / N at the targets: the minus is forgotten."""

    class NLL(Function):
        def forward(self, log_probabilities):
            return -log_probabilities[ROWS, TARGET].mean()

        def backward(self, dy):
            (x,) = self.inputs
            slope = np.zeros(x.shape)
            slope[ROWS, TARGET] = 1 / len(TARGET)
            return (dy * beside(slope, dy),)

    return OnTensors(lambda x: NLL.apply(x.log_softmax(axis=1)), (normal(224, 5, 4),), culprit="NLL", factor=-1.0)


@wrong("upstream gradient ignored")
def cross_entropy_that_takes_itself_for_the_last() -> NumpyPair:
    """(p - onehot) / N is returned whatever arrives: right only where the loss is not weighted."""

    def backward(grad_output, logits):
        p = softmax(logits)
        p[ROWS, TARGET] -= 1
        return (p / len(logits),)

    return NumpyPair(cross_entropy, backward, (normal(225, 5, 4),))


@wrong("upstream gradient ignored")
def penalty_that_ignores_its_weight() -> OnTensors:
    """The loss is data + 0.01 penalty, and the penalty's rule returns 2 w whatever arrives."""

    class Penalty(Function):
        def forward(self, w):
            return (w * w).sum()

        def backward(self, dy):
            (w,) = self.inputs
            return (w * 2.0,)

    def loss(w, x):
        return ((x @ w) ** 2).mean() + Penalty.apply(w) * 0.01

    return OnTensors(loss, (normal(226, 3), normal(227, 5, 3)), culprit="Penalty")


@wrong("term missing")
def cross_entropy_without_the_target() -> OnTensors:
    """The rule returns p / N: the 1 at the target is not subtracted."""

    class ProbabilitiesOnly(CrossEntropy):
        def backward(self, dy):
            return (dy * beside(self.probabilities / len(TARGET), dy),)

    return OnTensors(lambda x: ProbabilitiesOnly.apply(x * 2.0), (normal(228, 5, 4),), culprit="ProbabilitiesOnly")


@wrong("batch elements mixed")
def cross_entropy_that_subtracts_every_target_everywhere() -> NumpyPair:
    """`p[:, target] -= 1` subtracts the targets of all examples from each row."""

    def backward(grad_output, logits):
        p = softmax(logits)
        p[:, TARGET] -= 1
        return (grad_output * p / len(logits),)

    return NumpyPair(cross_entropy, backward, (normal(229, 5, 4),))


@wrong("saved value changed")
def cross_entropy_that_sorts_what_it_saved() -> OnTensors:
    """After the loss, the saved probabilities are sorted in place for the top-two accuracy."""

    class Sorting(CrossEntropy):
        def forward(self, logits):
            loss = super().forward(logits)
            ranked = self.probabilities
            ranked.sort(axis=1)
            self.second_best = ranked[:, -2]
            return loss

        def backward(self, dy):
            slope = self.probabilities.copy()
            slope[ROWS, TARGET] -= 1
            return (dy * beside(slope / len(TARGET), dy),)

    return OnTensors(lambda x: Sorting.apply(x) * 3.0, (normal(230, 5, 4),), culprit="Sorting")
