"""TrainingRun: a model, its optimizer and its data on their way through the epochs. The training loop is here.

checkpoint.py turns a run into a file and back; nonfinite.py is asked when a loss is no number.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..checks import function, instance, integer, require
from ..data import DataLoader
from ..models import evaluation_mode
from ..nn import Module
from ..ops import cross_entropy
from ..optim import Optimizer
from ..optim.lr_scheduler import LRScheduler
from ..random import default_generator
from ..serialization import StrPath
from ..tensor import Tensor
from . import checkpoint
from .evaluation import Evaluation, Loss, checked_loss, evaluate
from .nonfinite import NonFiniteLoss, first_nonfinite, overflow_ignored
from .records import Epoch, TrainingStep

READ_EVERY = 16  # losses at a time from a GPU, as reading one means to wait for all that was asked of it before


class _BegunStep(NamedTuple):
    """A training step whose loss has not been read, and how things were before it. Arrays are values: no copies."""

    number: int
    images: Tensor
    labels: Tensor
    loss: Tensor
    weights: list[tuple[Tensor, Any]]
    state: dict[Tensor, dict[str, Any]]  # the optimizer's
    drawn: Mapping[str, Any]  # the generator's state


class TrainingRun:
    """Trains a model epoch by epoch, keeps the record, and can be saved after any epoch and resumed exactly.

    Args:
        model: images to logits.
        optimizer: of the model's parameters.
        train_loader, test_loader: batches of images and labels to learn from and to measure with.
        scheduler: stepped once after each epoch.
        loss: (logits, labels) to the mean over the batch.
        settings: what the run depends on besides (learning rate, seed, ...), as JSON has it. They are stored in
            checkpoints, and a checkpoint made with others is not resumed.

    Attributes:
        history: the list of `Epoch` records so far; its length is the number of whole epochs made.

    Raises TypeError where an argument is not what is said above, ValueError where the optimizer is another model's.

    >>> import numpy as np
    >>> import minigrad
    >>> from minigrad import nn, optim
    >>> from minigrad.data import ArrayDataset
    >>> generator = minigrad.manual_seed(0)
    >>> images = np.linspace(0, 1, 64, dtype=np.float32).reshape(64, 1, 1, 1)
    >>> dataset = ArrayDataset(images, (images > 0.5).ravel().astype(int))
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    >>> sgd = optim.SGD(model.parameters(), lr=1.0)
    >>> run = TrainingRun(model, sgd, DataLoader(dataset, 8, shuffle=True), DataLoader(dataset))
    >>> for epoch in run.epochs(20):
    ...     if epoch.number % 10 == 0:
    ...         print(f"{epoch.number:2}: {epoch.test_loss < 0.4}, {epoch.test_accuracy > 0.9}")
    10: True, True
    20: True, True
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        train_loader: DataLoader,
        test_loader: DataLoader,
        *,
        scheduler: LRScheduler | None = None,
        loss: Loss = cross_entropy,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self._check_arguments(model, optimizer, train_loader, test_loader, scheduler, loss, settings)
        self.model = model
        self.optimizer = optimizer
        self.train_loader = train_loader
        self.test_loader = test_loader
        self.scheduler = scheduler
        self.loss = loss
        self.settings = dict(settings or {})
        self.history: list[Epoch] = []
        self._tensors = self._find_tensors()
        self._last_good = self._weights()  # at the last finite loss
        self._whole_epochs = checkpoint.capture(self)

    @staticmethod
    def _check_arguments(
        model: Any, optimizer: Any, train_loader: Any, test_loader: Any, scheduler: Any, loss: Any, settings: Any
    ) -> None:
        name = "TrainingRun"
        instance(name, "the model", model, Module)
        instance(name, "the optimizer", optimizer, Optimizer)
        instance(name, "train_loader", train_loader, DataLoader)
        instance(name, "test_loader", test_loader, DataLoader)
        function(name, "the loss", loss)
        own = {id(parameter) for parameter in model.parameters()}
        if own.isdisjoint(id(parameter) for group in optimizer.param_groups for parameter in group["params"]):
            raise ValueError(f"{name}: the optimizer has none of the model's parameters; give it model.parameters()")
        if scheduler is not None:
            hint = "see minigrad.optim.lr_scheduler"
            require(isinstance(scheduler, LRScheduler), f"{name}: expected a scheduler", scheduler, hint)
            if scheduler.optimizer is not optimizer:
                raise ValueError(f"{name}: the scheduler is another optimizer's; make it with this one")
        if settings is not None:
            fits = isinstance(settings, Mapping) and all(isinstance(key, str) for key in settings)
            require(fits, f"{name}: settings must be a dict with strings for keys", settings)

    def epochs(self, until: int, on_step: Callable[[TrainingStep], None] | None = None) -> Iterator[Epoch]:
        """Trains until `until` epochs are made, those before a resume included, and yields each one's record.

        `on_step` is called after each training step; on a GPU, where reading a loss means waiting, after every 16, for
        each of them.

        Raises:
            TypeError, ValueError: `until` is no integer from 1, `on_step` no function, or a loader has no batches.
            NonFiniteLoss: a loss became NaN or infinite. The model then has the last weights that gave a finite one.
        """
        until = integer("epochs", "the number of epochs", until, least=1)
        if on_step is not None:
            function("epochs", "on_step", on_step)
        for name, loader in (("training", self.train_loader), ("test", self.test_loader)):
            if len(loader) == 0:
                raise ValueError(f"epochs: the {name} loader has no batches; its data set or its batch_size is wrong")
        return self._epochs(until, on_step)

    def _epochs(self, until: int, on_step: Callable[[TrainingStep], None] | None) -> Iterator[Epoch]:
        while len(self.history) < until:
            started = time.perf_counter()
            train_loss = self._train_epoch(on_step)
            test_loss, accuracy = self._evaluate()
            if self.scheduler is not None:
                self.scheduler.step()
            number = len(self.history) + 1
            self.history.append(Epoch(number, train_loss, test_loss, accuracy, time.perf_counter() - started))
            self._whole_epochs = checkpoint.capture(self)
            yield self.history[-1]

    def _train_epoch(self, on_step: Callable[[TrainingStep], None] | None) -> float:
        total_loss, examples = 0.0, 0
        for step in self._steps():
            total_loss += step.loss * step.images
            examples += step.images
            if on_step is not None:
                on_step(step)
        return total_loss / examples

    def _steps(self) -> Iterator[TrainingStep]:
        """Makes the steps of an epoch, and yields each once it is made and its loss has been read."""
        self.model.train()
        begun: list[_BegunStep] = []
        read: list[TrainingStep] = []
        for number, (images, labels) in enumerate(self.train_loader, 1):
            begun.append(self._begin(number, images, labels))
            loss = begun[-1].loss
            if loss.backend.xp is np or len(begun) == READ_EVERY or number == len(self.train_loader):
                try:
                    while begun:
                        read.append(self._read(begun.pop(0)))
                except NonFiniteLoss:
                    yield from read  # the way to it
                    raise
            with overflow_ignored():
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
            yield from read
            read.clear()

    def _begin(self, number: int, images: Tensor, labels: Tensor) -> _BegunStep:
        drawn = default_generator().bit_generator.state
        with overflow_ignored():
            loss = checked_loss(self.loss(self.model(images), labels))
        if number == 1:  # once, as a walk takes time; behind a forward pass, in which lazy layers get their arrays
            self._tensors = self._find_tensors()
        state = {parameter: dict(values) for parameter, values in self.optimizer.state.items()}
        return _BegunStep(number, images, labels, loss, self._weights(), state, drawn)

    def _read(self, step: _BegunStep) -> TrainingStep:
        """The step with its loss, after which its weights count as good. Raises NonFiniteLoss, with all as it was
        before."""
        epoch, steps, value = len(self.history) + 1, len(self.train_loader), step.loss.item()
        if not math.isfinite(value):
            default_generator().bit_generator.state = step.drawn  # dropout shall drop the same again
            self.optimizer.state = step.state
            for tensor, array in step.weights:
                tensor.data = array
            when = f"epoch {epoch}, step {step.number} of {steps}"
            raise self._stop(value, when, [(step.images, step.labels)])
        self._last_good = step.weights
        return TrainingStep(epoch, step.number, steps, value, len(step.labels))

    def _weights(self) -> list[tuple[Tensor, Any]]:
        """The model's tensors, each with the array it has now."""
        return [(tensor, tensor.data) for tensor in self._tensors]

    def _find_tensors(self) -> list[Tensor]:
        return [*self.model.parameters(), *self.model.buffers()]

    def _evaluate(self) -> Evaluation:
        with overflow_ignored():
            result = evaluate(self.model, self.test_loader, self.loss)
            if not math.isfinite(result.loss):
                with evaluation_mode(self.model):
                    raise self._stop(result.loss, f"the test after epoch {len(self.history) + 1}", self.test_loader)
        return result

    def _stop(self, loss: float, when: str, batches: Iterable[tuple[Tensor, Tensor]]) -> NonFiniteLoss:
        """Finds where the loss stopped being a number, puts the last good weights back, and returns the error."""
        places = (first_nonfinite(self.model, images, labels, self.loss) for images, labels in batches)
        place = next(filter(None, places), "no layer, when the batch was run once more")
        for tensor, array in self._last_good:
            tensor.data = array
        return NonFiniteLoss(loss, when, place)

    # -- files -------------------------------------------------------------------------------------------------------

    def save(self, folder: StrPath) -> Path:
        """Writes `checkpoint.safetensors` into the folder: the run as it was after its last whole epoch.

        That holds in the middle of an epoch too, and before the first: what is resumed continues exactly. The file is
        written atomically; the folder is made where it isn't there. Returns the file's path.

        Raises OSError where it can't be written, ImportError where safetensors is not installed.
        """
        return checkpoint.write(self._whole_epochs, folder)

    def resume(self, folder: StrPath) -> None:
        """Puts this run, made with the same arguments, into the state that a checkpoint in the folder holds.

        That is: the model's weights, the optimizer's and the scheduler's state, the history, and the states of the
        generators, so that the epochs to come are, bit for bit, those of a run that was never interrupted.

        Raises:
            FileNotFoundError: there is no checkpoint.
            ValueError: it is damaged, or belongs to a run with other settings, another optimizer or model. Nothing has
                been changed then.
        """
        checkpoint.restore(self, folder)
        self._tensors = self._find_tensors()
        self._last_good = self._weights()
        self._whole_epochs = checkpoint.capture(self)
