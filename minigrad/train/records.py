"""What a training run reports: a `TrainingStep` for each batch, an `Epoch` for each pass over the data."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import NamedTuple

from ..checks import instance, require
from ..checks import path as checked_path
from ..serialization import StrPath, write_atomically


class TrainingStep(NamedTuple):
    """One training step: which of how many in its epoch (from 1), its loss, and the number of its images."""

    epoch: int
    number: int
    steps: int
    loss: float
    images: int


class Epoch(NamedTuple):
    """One epoch. Losses are means over all examples, in nats for cross-entropy; accuracy is a share from 0 to 1.

    Each example's training loss is that of the weights its step began with, so it lags behind the test loss, which is
    taken at the end of the epoch.

    >>> print(Epoch(number=3, train_loss=0.6125, test_loss=0.5875, test_accuracy=0.7734, seconds=8.04))
    epoch  3  train loss 0.6125  test loss 0.5875  test accuracy 77.34 %   8.0 s
    """

    number: int
    train_loss: float
    test_loss: float
    test_accuracy: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"epoch {self.number:2}  train loss {self.train_loss:.4f}  test loss {self.test_loss:.4f}  "
            f"test accuracy {100 * self.test_accuracy:5.2f} %  {self.seconds:4.1f} s"
        )


def save_metrics(history: Iterable[Epoch], path: StrPath) -> None:
    """Writes the epochs into a CSV file, atomically, a line each below a line of headings.

    Raises OSError where the file can't be written, TypeError for what is no history or no path.
    """
    path, epochs = checked_path("save_metrics", path), checked_history("save_metrics", history)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *Epoch._fields[1:]])
    writer.writerows(epochs)
    write_atomically(path, text.getvalue().encode())


def checked_history(caller: str, history: Iterable[Epoch]) -> list[Epoch]:
    """The epochs as a list; raises TypeError for anything else."""
    fits = isinstance(history, Iterable) and not isinstance(history, (str, Epoch))
    require(fits, f"{caller}: the history must be a list of Epochs", history, "a TrainingRun has it as run.history")
    epochs = list(history)
    for epoch in epochs:
        instance(caller, "what a history holds", epoch, Epoch)
    return epochs
