"""A progress bar over the steps of an epoch."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import Any

from ..checks import instance
from .records import TrainingStep


class ProgressBar(AbstractContextManager["ProgressBar"]):
    """A bar with the loss and the speed in images a second; give it to `TrainingRun.epochs` as `on_step`.

    It appears on standard error where that is a terminal, and goes away at the end of the epoch. As a context manager
    it also cleans up behind an interrupted epoch.

    Raises ImportError where tqdm is not installed.
    """

    def __init__(self) -> None:
        try:
            from tqdm import tqdm
        except ImportError:
            raise ImportError("a progress bar needs tqdm: pip install tqdm") from None
        self._tqdm = tqdm
        self._bar: Any = None

    def __call__(self, step: TrainingStep) -> None:
        instance("ProgressBar", "what it is called with", step, TrainingStep)
        if self._bar is None:
            self._bar = self._tqdm(
                desc=f"epoch {step.epoch}",
                total=step.steps,
                initial=step.number - 1,
                bar_format="{desc}: {percentage:3.0f} %|{bar}| {n_fmt}/{total_fmt} steps, {remaining} left{postfix}",
                leave=False,
                disable=None,  # where standard error is no terminal
                dynamic_ncols=True,
            )
            self._started, self._images = time.perf_counter(), 0
        if not self._bar.disable:
            self._images += step.images
            speed = self._images / max(time.perf_counter() - self._started, 1e-9)
            self._bar.set_postfix_str(f"loss {step.loss:.3f}, {speed:,.0f} images/s", refresh=False)
            self._bar.update()
        if step.number == step.steps:
            self.close()

    def close(self) -> None:
        """Takes the bar away; the next step makes a new one."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __exit__(self, *exception: object) -> None:
        self.close()
