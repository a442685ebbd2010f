"""Two ways of writing a class that the book uses throughout: arguments kept as attributes, methods added later."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from ..checks import require

Added = TypeVar("Added", bound=Callable[..., Any])


class HyperParameters:
    """The base of classes that keep the arguments of their `__init__` as attributes."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...  # the arguments

    def save_hyperparameters(self, ignore: Iterable[str] = ()) -> None:
        """Makes attributes of the local variables of the function that calls it, its arguments above all.

        Args:
            ignore: names to leave out. Left out anyway are `self` and names that begin with an underscore.

        >>> class Net(HyperParameters):
        ...     def __init__(self, lr, num_outputs=10, seed=0):
        ...         self.save_hyperparameters(ignore=["seed"])
        >>> net = Net(0.1)
        >>> net.lr, net.hparams
        (0.1, {'lr': 0.1, 'num_outputs': 10})

        Raises RuntimeError outside a function, TypeError where `ignore` is no list of names.
        """
        fits = isinstance(ignore, Iterable) and not isinstance(ignore, str)
        require(fits, "save_hyperparameters: ignore must be a list of names", ignore, "write ignore=['name']")
        frame = inspect.currentframe()
        caller = frame and frame.f_back
        if caller is None or caller.f_code.co_name == "<module>":
            raise RuntimeError("save_hyperparameters: call it in __init__, whose arguments it keeps")
        left_out = set(ignore)
        self.hparams = {
            name: value
            for name, value in caller.f_locals.items()
            if value is not self and name not in left_out and not name.startswith("_")
        }
        for name, value in self.hparams.items():
            setattr(self, name, value)


def add_to_class(Class: type) -> Callable[[Added], Added]:
    """A decorator that makes a function a method of a class that exists already, also of the objects it has already.

    >>> class Net:
    ...     lr = 0.1
    >>> net = Net()
    >>> @add_to_class(Net)
    ... def halve(self):
    ...     return self.lr / 2
    >>> net.halve()
    0.05

    Raises TypeError for what is no class.
    """
    require(isinstance(Class, type), "add_to_class: expected a class", Class, "write @d2l.add_to_class(SomeClass)")

    def add(function: Added) -> Added:
        setattr(Class, function.__name__, function)
        return function

    return add
