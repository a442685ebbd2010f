"""Learning rates that change from epoch to epoch. Call `step()` after each epoch, after the optimizer's last step.

Each rate is a formula of the epoch and of the rate that the optimizer was made with; PyTorch's give the same, but for
rounding. A scheduler overwrites what else is set in its optimizer's groups, so one optimizer has one scheduler.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..checks import integer
from ..nn.checks import kind_of, not_negative, positive
from .optimizer import Optimizer, python_number


class LRScheduler:
    """The base of schedulers. One of your own defines `rate`.

    >>> from minigrad import Tensor, optim
    >>> class Halving(LRScheduler):
    ...     def rate(self, initial, epoch):
    ...         return initial / 2**epoch
    >>> scheduler = Halving(optim.SGD([Tensor([1.0])], lr=1.0))
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]

    Attributes:
        last_epoch: how many times `step` has been called.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__}: expected an Optimizer, got {kind_of(optimizer)}")
        self.check_options(vars(self))
        self.optimizer = optimizer
        self.last_epoch = 0
        self._set_rates()

    def rate(self, initial: float, epoch: int) -> float:
        """The learning rate in that epoch, counted from 0, of a group that began with the initial one."""
        raise NotImplementedError(f"{type(self).__name__}: define rate(self, initial, epoch)")

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Raises ValueError for one out of range; for schedulers that set theirs before super().__init__()."""

    @property
    def base_lrs(self) -> list[float]:
        """The learning rate that each group began with; one that was added since has its present rate until the next
        step, and from there on that of a group which was there from the first epoch."""
        return [group.get("initial_lr", group["lr"]) for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """The present learning rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def step(self) -> None:
        """Goes on to the next epoch."""
        self.last_epoch += 1
        self._set_rates()

    def _set_rates(self) -> None:
        for group in self.optimizer.param_groups:
            # Kept in the group, where a scheduler made for a resumed optimizer finds the first rate, not the last.
            initial = group.setdefault("initial_lr", group["lr"])
            group["lr"] = self.rate(initial, self.last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, as numbers and lists."""
        own = {name: python_number(value) for name, value in vars(self).items() if name != "optimizer"}
        return {**own, "base_lrs": self.base_lrs}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continues from a state that `state_dict` returned, and sets the rates of its epoch.

        Raises, and changes nothing, ValueError where it is another scheduler's, of another number of groups, or a value
        is out of range, TypeError where it is no dict or a value of another kind.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict: expected a dict, as state_dict() returns it, got {kind_of(state_dict)}")
        own, given = self.state_dict(), dict(state_dict)
        if set(given) != set(own):
            names = sorted(own), sorted(given, key=str)
            raise ValueError(f"load_state_dict: a {type(self).__name__} has {names[0]}, the state {names[1]}")
        base_lrs = given.pop("base_lrs")
        if not isinstance(base_lrs, (list, tuple)):
            raise TypeError(f"load_state_dict: base_lrs must be a list of numbers, got {base_lrs!r}")
        if len(base_lrs) != len(self.base_lrs):
            raise ValueError(f"load_state_dict: the state is of {len(base_lrs)} groups, there are {len(self.base_lrs)}")
        for initial in base_lrs:
            not_negative("load_state_dict", "each of base_lrs", initial)
        if integer("load_state_dict", "last_epoch", given["last_epoch"]) < 0:
            raise ValueError(f"load_state_dict: last_epoch must be 0 or more, got {given['last_epoch']}")
        self.check_options(given)
        vars(self).update(given)
        for group, initial in zip(self.optimizer.param_groups, base_lrs, strict=True):
            group["initial_lr"] = initial
        self._set_rates()


class StepLR(LRScheduler):
    """Multiplies the rate by gamma every step_size epochs: initial gamma^(epoch // step_size).

    Raises ValueError for a step_size below 1 or a gamma below 0, TypeError for one that is no number.
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def check_options(self, options: Mapping[str, Any]) -> None:
        positive("StepLR", "step_size", options["step_size"])
        not_negative("StepLR", "gamma", options["gamma"])

    def rate(self, initial: float, epoch: int) -> float:
        return initial * self.gamma ** (epoch // self.step_size)


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from the initial rate down to eta_min in T_max epochs, then back up, and so on:

    eta_min + (initial - eta_min) (1 + cos(pi epoch / T_max)) / 2;

    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts" (2017), without the restarts.

    Raises ValueError for a T_max below 1 or an eta_min below 0, TypeError for one that is no number.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def check_options(self, options: Mapping[str, Any]) -> None:
        positive("CosineAnnealingLR", "T_max", options["T_max"])
        not_negative("CosineAnnealingLR", "eta_min", options["eta_min"])

    def rate(self, initial: float, epoch: int) -> float:
        return self.eta_min + (initial - self.eta_min) * (1 + math.cos(math.pi * epoch / self.T_max)) / 2
