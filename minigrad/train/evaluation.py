"""How good a model is: loss and accuracy over a dataset, its predictions, and which classes it takes for which.

All of it runs a batch at a time, in evaluation mode and without recording; the model keeps its mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from ..autograd import no_grad
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

    Raises ValueError where there are no examples.
    """
    total_loss, correct, examples = 0.0, 0, 0
    with evaluation_mode(model):
        for images, labels in loader:
            logits = model(images)
            total_loss += loss(logits, labels).item() * len(labels)
            correct += int((logits.data.argmax(axis=1) == labels.data).sum())
            examples += len(labels)
    if examples == 0:
        raise ValueError("evaluate: the loader has no examples")
    return Evaluation(total_loss / examples, correct / examples)


@no_grad()
def predict(model: Module, loader: Batches) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities (N, K) that the model gives each class, by softmax, and the true labels (N,), of all examples.

    Raises ValueError where there are no examples.
    """
    with evaluation_mode(model):
        results = [(softmax(model(images), axis=1).numpy(), labels.numpy()) for images, labels in loader]
    if not results:
        raise ValueError("predict: the loader has no examples")
    probabilities, labels = zip(*results, strict=True)
    return np.concatenate(probabilities), np.concatenate(labels)


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """How many examples of each class were taken for each: counts (K, K), a row a true class, a column a prediction.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), classes=2)
    array([[1, 1],
           [0, 1]])

    Raises ValueError where the labels do not lie from 0 to K - 1, or there are not as many of each kind.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape or labels.ndim != 1:
        raise ValueError(f"confusion_matrix: expected two arrays (N,), got {labels.shape} and {predictions.shape}")
    both = np.concatenate([labels, predictions])
    if both.size and not (0 <= both.min() and both.max() < classes):
        raise ValueError(f"confusion_matrix: labels must lie from 0 to {classes - 1}, got {both.min()} to {both.max()}")
    return np.bincount(labels * classes + predictions, minlength=classes * classes).reshape(classes, classes)
