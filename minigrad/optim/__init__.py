"""What changes the parameters.

optimizer.py has what all optimizers share: groups, state, the step; flat.py what lets one kernel call update all
parameters. sgd.py and adam.py hold an optimizer each; its formula is a kernel. lr_scheduler.py changes learning rates
from epoch to epoch. Clipping of gradients is nn.utils's, and offered here too.
"""

from ..nn.utils import clip_grad_norm_
from . import lr_scheduler
from .adam import Adam, AdamW
from .lr_scheduler import CosineAnnealingLR, StepLR
from .optimizer import Optimizer
from .sgd import SGD

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "Optimizer",
    "StepLR",
    "clip_grad_norm_",
    "lr_scheduler",
]
