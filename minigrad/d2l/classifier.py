"""Classifier: a Module whose loss is cross-entropy and which measures its accuracy; and the book's four of them."""

from __future__ import annotations

from typing import Any

from .. import nn
from ..checks import instance, require
from ..nn.checks import flag, positive
from ..ops import argmax, cross_entropy
from ..random import default_generator
from ..tensor import Tensor, float32
from .module import Batch, Module, split


class Classifier(Module):
    """The base of models that name a class. Set `self.net`, which returns logits (N, K), and `self.lr`.

    >>> from minigrad import nn
    >>> class Linear(Classifier):
    ...     def __init__(self, num_outputs, lr):
    ...         super().__init__()
    ...         self.save_hyperparameters()
    ...         self.net = nn.Sequential(nn.Flatten(), nn.LazyLinear(num_outputs))
    >>> model = Linear(10, lr=0.1)
    >>> model.layer_summary((2, 1, 28, 28))  # doctest: +NORMALIZE_WHITESPACE
    Flatten output shape:	 (2, 784)
    Linear output shape:	 (2, 10)
    """

    def loss(self, Y_hat: Tensor, Y: Tensor, averaged: bool = True) -> Tensor:
        """Cross-entropy of logits (..., K) and labels (...), in nats: the mean, or without averaging each one.

        Raises TypeError for what are no Tensors, ValueError where the shapes do not fit.
        """
        flag("loss", "averaged", averaged)
        return cross_entropy(*_rows("loss", Y_hat, Y), "mean" if averaged else "none")

    def accuracy(self, Y_hat: Tensor, Y: Tensor, averaged: bool = True) -> Tensor:
        """The share of labels (...) that have the largest of the logits (..., K); without averaging 0 or 1 for each.

        >>> from minigrad import Tensor
        >>> Classifier().accuracy(Tensor([[0.1, 0.9], [0.8, 0.2]]), Tensor([1, 1]))
        Tensor(0.5)

        Raises TypeError for what are no Tensors, ValueError where the shapes do not fit.
        """
        flag("accuracy", "averaged", averaged)
        logits, labels = _rows("accuracy", Y_hat, Y)
        right = (argmax(logits, axis=1) == labels).astype(float32)
        return right.mean() if averaged else right

    def validation_step(self, batch: Batch) -> None:
        """Draws the loss and the accuracy of a batch of the validation data, as val_loss and val_acc."""
        inputs, labels = split("validation_step", batch)
        Y_hat = self(*inputs)
        self.plot("loss", self.loss(Y_hat, labels), train=False)
        self.plot("acc", self.accuracy(Y_hat, labels), train=False)

    def layer_summary(self, X_shape: tuple[int, ...]) -> None:
        """Prints the shape that each layer of `net` gives, for random inputs of the shape X_shape.

        Lazy layers learn their shapes from them.

        Raises TypeError or ValueError for what is no shape, AttributeError where there is no `net`, and what the layers
        raise.
        """
        hint = "write (1, 1, 28, 28)"
        require(isinstance(X_shape, (tuple, list)), "layer_summary: the shape must be a tuple", X_shape, hint)
        shape = [positive("layer_summary", "a size", size) for size in X_shape]
        self._expect("net", "set self.net in __init__")
        backend = next((parameter.backend for parameter in self.parameters()), None)
        X = Tensor(default_generator().standard_normal(shape), float32, backend=backend)
        for layer in self.net:  # type: ignore[attr-defined]
            X = layer(X)
            print(layer.__class__.__name__, "output shape:\t", X.shape)


def _rows(caller: str, Y_hat: Tensor, Y: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (N, K) and labels (N,) of logits (..., K) and labels (...)."""
    instance(caller, "Y_hat", Y_hat, Tensor)
    instance(caller, "Y", Y, Tensor)
    if Y_hat.ndim == 0 or Y_hat.shape[:-1] != Y.shape:
        raise ValueError(f"{caller}: expected logits (..., K) and labels (...), got {Y_hat.shape} and {Y.shape}")
    return Y_hat.reshape(-1, Y_hat.shape[-1]), Y.reshape(-1)


class SoftmaxRegression(Classifier):
    """One linear layer, from all pixels to the classes."""

    def __init__(self, num_outputs: int, lr: float) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Flatten(), nn.LazyLinear(num_outputs))


class MLP(Classifier):
    """A multilayer perceptron: one hidden layer, with ReLU."""

    def __init__(self, num_outputs: int, num_hiddens: int, lr: float) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Flatten(), nn.LazyLinear(num_hiddens), nn.ReLU(), nn.LazyLinear(num_outputs))


class LeNet(Classifier):
    """LeNet-5 as the book has it: sigmoids, average pooling, a plain last layer; see `minigrad.models.lenet5`."""

    def __init__(self, lr: float = 0.1, num_classes: int = 10) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.LazyConv2d(6, kernel_size=5, padding=2),
            nn.Sigmoid(),
            nn.AvgPool2d(kernel_size=2, stride=2),
            nn.LazyConv2d(16, kernel_size=5),
            nn.Sigmoid(),
            nn.AvgPool2d(kernel_size=2, stride=2),
            nn.Flatten(),
            nn.LazyLinear(120),
            nn.Sigmoid(),
            nn.LazyLinear(84),
            nn.Sigmoid(),
            nn.LazyLinear(num_classes),
        )


def init_cnn(module: Any) -> None:
    """Draws the weights of a linear or convolution layer by xavier_uniform_, for `apply_init`; others stay."""
    if type(module) is nn.Linear or type(module) is nn.Conv2d:
        nn.init.xavier_uniform_(module.weight)
