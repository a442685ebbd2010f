"""The optimizers' updates, which are the reference's: they take 1 % of a training step, and compiling them a second."""

from ..numpy.optimizer import adam, sgd

__all__ = ["adam", "sgd"]
