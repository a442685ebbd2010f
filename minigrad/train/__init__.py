"""Training: a run over epochs, its checkpoints, and what to say when a loss is no longer a number.

`run` has the loop and is read first, `records` what it reports; `evaluation` measures a model; `checkpoint` saves and
resumes a run; `nonfinite` finds the layer where a NaN first appeared; `progress` shows a bar. Pictures of the results
are in plots.py.
"""

from __future__ import annotations

from .evaluation import Evaluation, confusion_matrix, evaluate, predict
from .nonfinite import NonFiniteLoss, first_nonfinite
from .progress import ProgressBar
from .records import Epoch, TrainingStep, save_metrics
from .run import TrainingRun

__all__ = [
    "Epoch",
    "Evaluation",
    "NonFiniteLoss",
    "ProgressBar",
    "TrainingRun",
    "TrainingStep",
    "confusion_matrix",
    "evaluate",
    "first_nonfinite",
    "predict",
    "save_metrics",
]
