"""What the doctor is given, checked: a copy of the model, the batch as Tensors, the loss and what is known of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..backends import default_backend
from ..checks import function, require
from ..nn import CrossEntropyLoss, Module, MSELoss
from ..ops import cross_entropy, mse_loss
from ..tensor import Tensor, float32


class Loss(NamedTuple):
    """A loss function of outputs and targets; "cross-entropy" and "squared error" are known, by their means."""

    function: Callable[[Tensor, Tensor], Tensor]
    kind: str


def copied(model: Module) -> Module:
    """A copy, without gradients."""
    kept = [value for module in model.modules() for value in vars(module).values() if isinstance(value, Tensor)]
    computed = {id(tensor): tensor.detach() for tensor in kept if not tensor.is_leaf}  # from an earlier forward
    try:
        patient = copy.deepcopy(model, computed)
    except (TypeError, RuntimeError) as error:
        raise TypeError(f"doctor: works on a copy of the model, which cannot be copied: {error}") from error
    patient.zero_grad()
    return patient


def checked_loss(loss: Any) -> Loss:
    """The loss; None stands for the cross-entropy."""
    if loss is None or loss is cross_entropy:
        return Loss(cross_entropy, "cross-entropy")
    if loss is mse_loss:
        return Loss(mse_loss, "squared error")
    function("doctor", "the loss", loss)
    mean = getattr(loss, "reduction", None) == "mean"
    kinds = {CrossEntropyLoss: "cross-entropy", MSELoss: "squared error"}
    return Loss(loss, kinds.get(type(loss), "other") if mean else "other")


def checked_batch(batch: Any, model: Module, loss: Loss) -> tuple[Tensor, Tensor]:
    """The inputs and the targets as Tensors; arrays go to the model's backend, floating ones become its dtype.

    Raises TypeError for what is no pair, or labels that are no integers, ValueError for shapes that do not fit.
    """
    fits = isinstance(batch, (tuple, list)) and len(batch) == 2
    hint = "a DataLoader gives one: next(iter(loader))"
    require(fits, "doctor: the batch must be a pair (images, labels)", batch, hint)
    first = next(model.parameters(), None)
    backend, dtype = (default_backend(), float32) if first is None else (first.backend, first.dtype)

    def as_tensor(value: Any) -> Tensor:
        if isinstance(value, Tensor):
            return value.detach()
        tensor = Tensor(value, backend=backend)
        return tensor.to(dtype) if tensor.dtype.kind == "f" else tensor

    images, targets = as_tensor(batch[0]), as_tensor(batch[1])
    if not images.ndim or not len(images):
        raise ValueError(f"doctor: the batch has no examples: its images have the shape {images.shape}")
    if not targets.ndim or len(targets) != len(images):
        raise ValueError(f"doctor: {len(images)} images need as many labels, got labels of shape {targets.shape}")
    if loss.kind == "cross-entropy":
        _check_labels(targets)
    return images, targets


def _check_labels(labels: Tensor) -> None:
    if labels.ndim == 2 and labels.shape[1] > 1:
        hint = "one-hot rows become labels by argmax(axis=1)"
        raise ValueError(f"doctor: labels for cross-entropy have the shape (N,), got {labels.shape}; {hint}")
    if labels.ndim != 1:
        hint = "reshape(-1) makes them one row"
        raise ValueError(f"doctor: labels for cross-entropy have the shape (N,), got {labels.shape}; {hint}")
    if labels.dtype.kind not in "iu":
        hint = "astype('int64') makes them so; for numbers to be predicted, pass loss=mse_loss"
        raise TypeError(f"doctor: labels for cross-entropy are integers, got {labels.dtype}; {hint}")
    if labels.data.min() < 0:
        raise ValueError(f"doctor: labels count from 0, got {labels.data.min()}")


def check_outputs(outputs: Any, targets: Tensor, loss: Loss) -> None:
    """Raises TypeError or ValueError where the model's outputs cannot be compared with the targets."""
    require(isinstance(outputs, Tensor), "doctor: the model must return one Tensor", outputs)
    if loss.kind != "cross-entropy":
        return
    if outputs.ndim != 2 or len(outputs) != len(targets):
        expected = f"logits of shape ({len(targets)}, number of classes)"
        raise ValueError(f"doctor: the model must return {expected}, got {outputs.shape}; is a Flatten missing?")
    K, highest = outputs.shape[1], targets.data.max()
    if highest >= K:
        hint = "the last layer needs an output for each class, and labels count from 0"
        raise ValueError(
            f"doctor: {K} outputs need labels from 0 to {K - 1}, got {targets.data.min()} to {highest}; {hint}"
        )


def guessing(targets: Tensor, outputs: Tensor, loss: Loss) -> float | None:
    """What the loss is for one who knows nothing: each class equally likely, or always the targets' mean."""
    if loss.kind == "cross-entropy":
        return float(np.log(outputs.shape[1]))
    return float(targets.numpy().astype(float).var(axis=0).mean()) if loss.kind == "squared error" else None
