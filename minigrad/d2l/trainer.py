"""Trainer: a model, its data and its optimizer on their way through the epochs, in the book's words.

`minigrad.train.TrainingRun` is minigrad's own loop, with checkpoints and a record. This one asks the model itself what
a step is, and its parts can be overridden one by one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import nn
from ..autograd import no_grad
from ..backends import Backend
from ..checks import integer, require
from ..data import ArrayDataset, DataLoader
from ..nn.checks import not_negative
from ..tensor import Tensor
from ..train import NonFiniteLoss, ProgressBar, TrainingStep, first_nonfinite
from ..train.nonfinite import overflow_ignored
from ..train.run import READ_EVERY
from .data import DataModule
from .devices import cpu, gpu, say_once, why_no_gpu
from .display import notebook
from .hyperparameters import HyperParameters
from .module import Module

SECONDS_BETWEEN_DRAWINGS = 2.0  # as a drawing takes a tenth of one


class Trainer(HyperParameters):
    """Trains a model, and draws its chart: in a notebook while it trains, elsewhere a progress bar, then a file.

    Args:
        max_epochs: passes over the training data.
        num_gpus: 1 to compute on the GPU where there is one that can be used; which it is, is printed once.
        gradient_clip_val: the largest norm of all gradients together; 0 leaves them as they are.

    Attributes:
        epoch, train_batch_idx, val_batch_idx: how many epochs and batches have gone by, from 0.
        num_train_batches, num_val_batches: how many batches there are in an epoch.
        model, optim: what is trained, and the optimizer.

    Raises TypeError, ValueError for numbers that are none of these.

    >>> from minigrad import d2l
    >>> data, model = d2l.FashionMNIST(batch_size=128), d2l.SoftmaxRegression(num_outputs=10, lr=0.1)
    >>> data.train, model.board.display = data.train.take(1280), False
    >>> d2l.Trainer(max_epochs=1).fit(model, data)
    >>> {name: len(points) for name, points in model.board.data.items()}
    {'train_loss': 2, 'val_loss': 1, 'val_acc': 1}
    """

    def __init__(self, max_epochs: int, num_gpus: int = 0, gradient_clip_val: float = 0) -> None:
        integer("Trainer", "max_epochs", max_epochs, least=1)
        integer("Trainer", "num_gpus", num_gpus, least=0)
        not_negative("Trainer", "gradient_clip_val", gradient_clip_val)
        self.save_hyperparameters()
        self.gpus: list[Backend] = []
        if num_gpus > 0:
            reason = why_no_gpu()
            if reason is None:
                self.gpus = [gpu()]
            where = "the GPU" if reason is None else f"the CPU, with the {cpu().name} backend: {reason}"
            say_once(f"training on {where}")

    def fit(self, model: Module, data: DataModule) -> None:
        """Trains the model on the data, from where it stands.

        Raises:
            TypeError: model or data are not what is said above, or what they return isn't.
            NonFiniteLoss: a loss became NaN or infinite.
        """
        self.prepare_data(data)
        self.prepare_model(model)
        model.board.title = _title(model, data)
        self.optim = model.configure_optimizers()
        fits = all(callable(getattr(self.optim, name, None)) for name in ("step", "zero_grad"))
        hint = "an optimizer has step() and zero_grad()"
        require(fits, f"fit: {type(model).__name__}.configure_optimizers must return one", self.optim, hint)
        self.epoch = self.train_batch_idx = self.val_batch_idx = 0
        self._unread: list[Tensor] = []
        with self._shown(model), overflow_ignored():
            for epoch in range(self.max_epochs):
                self.epoch = epoch
                self.fit_epoch()

    def prepare_data(self, data: DataModule) -> None:
        """Makes the two loaders and counts their batches; val_dataloader may be None."""
        require(isinstance(data, DataModule), "Trainer: the data must be a d2l.DataModule", data, "derive from it")
        self.train_dataloader = data.train_dataloader()
        self.val_dataloader = data.val_dataloader()
        require(self.train_dataloader is not None, "fit: there must be training data", None, "see train_dataloader")
        for loader in (self.train_dataloader, self.val_dataloader):
            fits = loader is None or hasattr(loader, "__len__")
            require(fits, "fit: a data loader must have a length", loader, "return one of minigrad.data.DataLoader")
            if self.gpus and isinstance(loader, DataLoader) and isinstance(loader.dataset, ArrayDataset):
                loader.dataset = loader.dataset.to(self.gpus[0])  # once, so that no batch has to be sent
        self.num_train_batches = len(self.train_dataloader)  # type: ignore[arg-type]
        self.num_val_batches = len(self.val_dataloader) if self.val_dataloader is not None else 0  # type: ignore[arg-type]
        if self.num_train_batches == 0:
            raise ValueError("fit: the training data have no batches")

    def prepare_model(self, model: Module) -> None:
        """Moves the model to the GPU where one is used, makes it this Trainer's, and begins a new chart."""
        require(isinstance(model, Module), "Trainer: the model must be a d2l.Module", model, "derive from it")
        model._expect("board", "call super().__init__() first in __init__")
        model.trainer = self
        model.board.clear()
        model.board.xlim = [0, self.max_epochs]
        model.board.pause = SECONDS_BETWEEN_DRAWINGS
        if self.gpus:
            model.to(self.gpus[0])
        self.model = model

    def prepare_batch(self, batch: Any) -> Any:
        """The batch, moved to where the model is."""
        return [part.to(self.gpus[0]) for part in batch] if self.gpus else batch

    def fit_epoch(self) -> None:
        """One pass over the training data, then one over the validation data."""
        self.model.train()
        for batch in self.train_dataloader:
            batch = self.prepare_batch(batch)
            loss = self.model.training_step(batch)
            self._read(loss, batch)
            self.optim.zero_grad()
            loss.backward()
            with no_grad():  # for optimizers that write `param -= self.lr * param.grad`
                if self.gradient_clip_val > 0:
                    self.clip_gradients(self.gradient_clip_val, self.model)
                self.optim.step()
            self.train_batch_idx += 1
        if self.val_dataloader is None:
            return
        self.model.eval()
        with no_grad():
            for batch in self.val_dataloader:
                self.model.validation_step(self.prepare_batch(batch))
                self.val_batch_idx += 1

    def clip_gradients(self, grad_clip_val: float, model: nn.Module) -> None:
        """Makes all gradients smaller by one factor where their common norm is larger than grad_clip_val."""
        nn.utils.clip_grad_norm_(model.parameters(), grad_clip_val)

    def _read(self, loss: Tensor, batch: Any) -> None:
        """Tells the progress bar of the loss, and stops at one that is no number; on a GPU some at a time, as reading
        one means to wait."""
        require(isinstance(loss, Tensor), f"{type(self.model).__name__}.training_step must return the loss", loss)
        self._unread.append(loss.detach())
        number = self.train_batch_idx - self.epoch * self.num_train_batches + 1
        if not (loss.backend.xp is np or len(self._unread) == READ_EVERY or number == self.num_train_batches):
            return
        for step, value in enumerate((t.item() for t in self._unread), number - len(self._unread) + 1):
            if not math.isfinite(value):
                several = "a model of several inputs"
                place = first_nonfinite(self.model, batch[0], batch[1], lambda *_: loss) if len(batch) == 2 else several
                when = f"epoch {self.epoch + 1}, step {step} of {self.num_train_batches}"
                raise NonFiniteLoss(value, when, place or "no layer, when the batch was run once more")
            if self._bar is not None:
                self._bar(TrainingStep(self.epoch + 1, step, self.num_train_batches, value, len(batch[-1])))
        self._unread.clear()

    @contextmanager
    def _shown(self, model: Module) -> Iterator[None]:
        """A progress bar outside notebooks, and at the end, whatever it is, the chart."""
        self._bar: ProgressBar | None = None
        if model.board.display and not notebook():
            try:
                self._bar = ProgressBar()
            except ImportError as error:
                say_once(f"no progress bar: {error}")
        try:
            yield
        finally:
            if self._bar is not None:
                self._bar.close()
            self._bar = None
            if model.board.display and model.board.data:
                try:
                    model.board.show(f"{type(model).__name__}.png")
                except ImportError as error:
                    say_once(f"no chart: {error}")

    def __deepcopy__(self, memo: dict[int, Any]) -> Trainer:
        return self  # a copy of a model has the same trainer: its data need not be copied


def _title(model: Module, data: DataModule) -> str:
    """What a chart is of: the numbers among the hyperparameters of the model and the data."""
    parts = [
        ", ".join(
            f"{name} {value:g}"
            for name, value in getattr(made, "hparams", {}).items()
            if isinstance(value, (int, float))
        )
        for made in (model, data)
    ]
    return f"{type(model).__name__}: " + ";  ".join(filter(None, parts))
