"""How good a model is: loss and accuracy over a dataset, its predictions, and which classes it takes for which.

All of it runs a batch at a time, in evaluation mode and without recording; the model keeps its mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..autograd import no_grad
from ..checks import array, function, instance, integer, require
from ..models import evaluation_mode
from ..nn import Module
from ..ops import cross_entropy, softmax
from ..tensor import Tensor

Batches = Iterable[tuple[Tensor, Tensor]]
Loss = Callable[[Tensor, Tensor], Tensor]


class Evaluation(NamedTuple):
    loss: float
    accuracy: float


@no_grad()
def evaluate(model: Module, loader: Batches, loss: Loss = cross_entropy) -> Evaluation:
    """The mean loss and the share of right predictions, over all examples.

    Args:
        model: images (N, ...) to logits (N, K).
        loader: batches of images and integer labels, a DataLoader for example; batches may differ in size.
        loss: (logits, labels) to the mean over the batch.

    Raises ValueError where there are no examples, TypeError where an argument is not what is said above.
    """
    instance("evaluate", "the model", model, Module)
    function("evaluate", "the loss", loss)
    total_loss, correct, examples = 0.0, 0, 0
    with evaluation_mode(model):
        for images, labels in batches("evaluate", loader):
            logits = model(images)
            total_loss += loss_value(loss(logits, labels)) * len(labels)
            correct += int((logits.data.argmax(axis=1) == labels.data).sum())
            examples += len(labels)
    if examples == 0:
        raise ValueError("evaluate: the loader has no examples")
    return Evaluation(total_loss / examples, correct / examples)


@no_grad()
def predict(model: Module, loader: Batches) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities (N, K) that the model gives each class, by softmax, and the true labels (N,), of all examples.

    Raises ValueError where there are no examples, TypeError for what is no model or no loader.
    """
    instance("predict", "the model", model, Module)
    with evaluation_mode(model):
        pairs = batches("predict", loader)
        results = [(softmax(model(images), axis=1).numpy(), labels.numpy()) for images, labels in pairs]
    if not results:
        raise ValueError("predict: the loader has no examples")
    probabilities, labels = zip(*results, strict=True)
    return np.concatenate(probabilities), np.concatenate(labels)


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """How many examples of each class were taken for each: counts (K, K), a row a true class, a column a prediction.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), classes=2)
    array([[1, 1],
           [0, 1]])

    Raises ValueError where the labels do not lie from 0 to K - 1, or there are not as many of each kind, TypeError
    where they are no integers.
    """
    classes = integer("confusion_matrix", "classes", classes, least=1)
    labels = array("confusion_matrix", "labels", labels)
    predictions = array("confusion_matrix", "predictions", predictions)
    if labels.shape != predictions.shape or labels.ndim != 1:
        raise ValueError(f"confusion_matrix: expected two arrays (N,), got {labels.shape} and {predictions.shape}")
    both = np.concatenate([labels, predictions])
    if both.size and both.dtype.kind not in "iu":
        kinds = f"{labels.dtype} and {predictions.dtype}"
        raise TypeError(f"confusion_matrix: labels and predictions must be integers, got {kinds}; argmax gives them")
    if both.size and not (0 <= both.min() and both.max() < classes):
        raise ValueError(f"confusion_matrix: labels must lie from 0 to {classes - 1}, got {both.min()} to {both.max()}")
    cells = labels.astype(np.int64) * classes + predictions.astype(np.int64)  # K^2 may be more than a byte holds
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def batches(caller: str, loader: Batches) -> Iterator[tuple[Tensor, Tensor]]:
    """The loader's batches, each checked to be a pair of Tensors; raises TypeError for what is no loader or no pair."""
    fits = isinstance(loader, Iterable) and not isinstance(loader, (str, Tensor, Module))
    message = f"{caller}: the loader must give batches of images and labels"
    require(fits, message, loader, "a DataLoader makes them of a dataset")
    for batch in loader:
        if not isinstance(batch, (tuple, list)) or [isinstance(part, Tensor) for part in batch] != [True, True]:
            raise TypeError(f"{message}, two Tensors, got {_kinds(batch)}")
        images, labels = batch
        yield images, labels


def checked_loss(loss: Any) -> Tensor:
    """What a loss function returned; raises TypeError for no Tensor, ValueError where it is more than one number."""
    require(isinstance(loss, Tensor), "the loss function must return a Tensor", loss)
    if loss.size != 1:
        raise ValueError(f"the loss must be one number, got shape {loss.shape}; take its mean over the batch")
    return loss


def loss_value(loss: Any) -> float:
    """The number itself; raises as `checked_loss` does."""
    return checked_loss(loss).item()


def _kinds(batch: Any) -> str:
    if isinstance(batch, (tuple, list)):
        return f"({', '.join(type(part).__name__ for part in batch)})"
    return type(batch).__name__
