"""Softmax and cross-entropy: a batch of logits is too small for compiled loops to win anything over NumPy's."""

from ..numpy.loss import softmax_cross_entropy, softmax_cross_entropy_grad

__all__ = ["softmax_cross_entropy", "softmax_cross_entropy_grad"]
