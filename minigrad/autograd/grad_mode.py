"""Whether operations are recorded: on unless turned off, for each thread on its own."""

from __future__ import annotations

import threading
from contextlib import ContextDecorator
from inspect import isgeneratorfunction
from typing import Any


class _GradMode(threading.local):
    def __init__(self) -> None:  # runs once in each thread
        self.enabled = True
        self.before: list[bool] = []  # what the contexts that are open now found
        # The node whose rule runs now, where fewer gradients may be wanted than were recorded, and which are. That is
        # not kept on the node, as two threads may ask one graph for different gradients at once.
        self.wanted: tuple[Any, tuple[bool, ...]] = None, ()


grad_mode = _GradMode()


class _SetGradMode(ContextDecorator):
    _enabled: bool

    # The object itself keeps nothing, so that a decorated function may call itself, and run in several threads at once.

    def __call__(self, function: Any) -> Any:
        if isgeneratorfunction(function) or not callable(function):
            raise TypeError(f"{type(self).__name__}: expected a function, got {function!r}; in a generator, use with")
        return super().__call__(function)

    def __enter__(self) -> None:
        grad_mode.before.append(grad_mode.enabled)
        grad_mode.enabled = self._enabled

    def __exit__(self, *exception: object) -> None:
        grad_mode.enabled = grad_mode.before.pop()


class no_grad(_SetGradMode):
    """Operations inside are not recorded; a context manager and a decorator.

    >>> import minigrad
    >>> x = minigrad.Tensor(2.0, requires_grad=True)
    >>> with no_grad():
    ...     (x * x).requires_grad
    False
    """

    _enabled = False


class enable_grad(_SetGradMode):
    """Operations inside are recorded, also within `no_grad`; a context manager and a decorator.

    >>> import minigrad
    >>> x = minigrad.Tensor(2.0, requires_grad=True)
    >>> with no_grad(), enable_grad():
    ...     (x * x).requires_grad
    True
    """

    _enabled = True


def is_grad_enabled() -> bool:
    """Whether operations are recorded now, in this thread."""
    return grad_mode.enabled
