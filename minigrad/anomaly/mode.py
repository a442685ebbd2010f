"""detect_anomaly: the mode in which each operation and each backward rule of a thread is looked at.

While a thread is in the mode, `autograd.function.observer` is set; the engine tells it of each result, and lets it run
each backward rule. That is all the engine knows of this folder.
"""

from __future__ import annotations

import os
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import ContextDecorator, contextmanager
from functools import partial
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any, NamedTuple, NoReturn

import numpy as np

from .. import checks
from ..autograd import function
from ..autograd.function import Function
from ..backends import Backend
from ..tensor import Tensor
from .application import Application, Location, anomalies, backward_line, line_in_rule, users_line
from .files import save
from .page import changed_page, leaf_page, page

Gradients = list[Tensor | None]


class AnomalyError(RuntimeError):
    """The first value that is not finite, or a saved array that was changed.

    Attributes:
        operation: the operation's name, such as `log`; `backward` for the gradient that a leaf is to be given.
        node: its application, as an object; None for a leaf's gradient, and in an error that was pickled.
        phase: "forward" or "backward": what was running. A backward pass that adds up gradients applies `add` in it.
        location: the line of code that called it (file, line, source); None where it ran outside the mode.
        backward_location: in a backward pass, the line that started it; else None.
        path: the file that `minigrad.replay` takes; None where none was written.
    """

    def __init__(
        self,
        message: str,
        operation: str,
        node: Function | None,
        phase: str,
        location: Location | None,
        backward_location: Location | None,
        path: str | None = None,
    ) -> None:
        super().__init__(message)
        self.operation, self.node, self.phase = operation, node, phase
        self.location, self.backward_location, self.path = location, backward_location, path

    def __reduce__(self) -> tuple[Any, ...]:
        # Without the node: no graph can be pickled.
        places = self.location, self.backward_location, self.path
        return type(self), (str(self), self.operation, None, self.phase, *places)


class detect_anomaly(ContextDecorator):
    """Inside, the first value that is not finite, and a saved array changed after forward, raise an AnomalyError.

    It names the operation and the line of your code that called it, and shows shapes, statistics and a few offending
    elements. For a value that is not finite it saves a small file, from which `minigrad.replay` repeats that operation
    alone. Looked at are the inputs and results of each operation, the gradients that each backward rule gets and gives,
    those that leaves end up with, and, before a rule runs, a checksum of each array that the operation saved for it,
    also in lists, tuples, dicts and Tensors. That takes time: a step of a small network takes several times as long.
    A context manager and a decorator, for the thread it is used in. NumPy's own warnings about such values are off
    inside.

    Args:
        directory: where files go; by default the system's folder for temporary ones.
        allow_infinite: let infinite values pass, such as the -inf that masks a softmax, and raise for NaN only.

    Raises:
        AnomalyError: see above.
        FileNotFoundError: the directory isn't there.

    >>> import minigrad, tempfile
    >>> with tempfile.TemporaryDirectory() as folder, detect_anomaly(folder):
    ...     minigrad.log(Tensor([1.0, 0.0]))
    Traceback (most recent call last):
    minigrad.anomaly.mode.AnomalyError: log: its result holds the first value that is not finite...
    """

    # The object itself keeps nothing, so that a decorated function may call itself, and run in several threads at once.

    def __init__(self, directory: str | os.PathLike[str] | None = None, allow_infinite: bool = False) -> None:
        self._directory = None if directory is None else os.path.abspath(checks.path("detect_anomaly", directory))
        is_flag = isinstance(allow_infinite, bool)
        checks.require(is_flag, "detect_anomaly: allow_infinite must be True or False", allow_infinite)
        self._allow_infinite = allow_infinite
        if self._directory is not None and not os.path.isdir(self._directory):
            raise FileNotFoundError(f"detect_anomaly: there is no folder {self._directory}; make it first")

    def __call__(self, function: Any) -> Any:
        is_async = iscoroutinefunction(function) or isasyncgenfunction(function)
        if is_async or isgeneratorfunction(function) or not callable(function):
            where = (
                "an async function, use with around code that awaits nothing" if is_async else "a generator, use with"
            )
            raise TypeError(f"detect_anomaly: expected a function, got {function!r}; in {where}")
        return super().__call__(function)

    def __enter__(self) -> None:
        _here.watch = _Watch(self._directory, self._allow_infinite, _here.watch)
        _here.watch.silence.__enter__()
        _count_open(+1)

    def __exit__(self, *exception: Any) -> None:
        _count_open(-1)
        _here.watch.silence.__exit__(*exception)
        _here.watch = _here.watch.outer


class _Here(threading.local):
    """What `autograd.function.observer` is while any thread is in the mode: it passes on to this thread's watch."""

    watch: Any = None

    def computed(self, node: Function, parameters: dict[str, Any], inputs: tuple[Tensor, ...], results: Any) -> Any:
        if self.watch is not None:
            self.watch.computed(node, parameters, inputs, results if type(results) is tuple else (results,))
        return results

    def watching(self, apply_rule: Callable[..., Gradients]) -> Callable[..., Gradients]:
        return apply_rule if self.watch is None else partial(self.watch.run_rule, apply_rule)

    def reached_leaf(self, gradient: Tensor) -> Tensor:
        if self.watch is not None:
            self.watch.reached_leaf(gradient)
        return gradient


_here = _Here()
_open, _open_lock = 0, threading.Lock()  # how many contexts are open, in all threads


def _count_open(change: int) -> None:
    global _open
    with _open_lock:
        _open += change
        function.observer = _here if _open else None


@contextmanager
def unwatched() -> Iterator[None]:
    """Turns the mode off in this thread meanwhile."""
    watch, _here.watch = _here.watch, None
    try:
        yield
    finally:
        _here.watch = watch


class _Record(NamedTuple):
    """What the mode keeps on a node that it saw recorded."""

    location: Location
    parameters: tuple[str, ...]  # their names; the values are attributes of the node
    checksums: dict[str, int]


class _Watch:
    """One open context."""

    def __init__(self, directory: str | None, allow_infinite: bool, outer: _Watch | None) -> None:
        self.directory, self.allow_infinite, self.outer = directory, allow_infinite, outer
        self.silence = np.errstate(divide="ignore", over="ignore", invalid="ignore")
        self.rule: Function | None = None  # whose rule is running
        self.inner: tuple[str, Location] | None = None  # the first operation in it with an anomaly, and its line

    def computed(
        self, node: Function, parameters: dict[str, Any], inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]
    ) -> None:
        """An operation has run."""
        if any(y.grad_fn is node for y in outputs):
            record = _Record(users_line(self.rule), tuple(parameters), _checksums(node))
            node.__dict__["_anomaly_record"] = record
        if self.rule is not None:  # what matters is what the rule returns; this may tell why
            if self.inner is None and self._any(outputs):
                self.inner = (node.name(), line_in_rule())
        elif self._any(inputs) or self._any(outputs):
            location = users_line(None)
            found = Application(
                operation=type(node),
                phase="forward",
                backend=inputs[0].backend.name,
                parameters=parameters,
                needs=tuple(x.requires_grad for x in inputs),
                inputs=_arrays(inputs),
                outputs=_arrays(outputs),
                allow_infinite=self.allow_infinite,
                location=location,
                backward_location=location._replace(during="") if location.during else None,
            )
            self._fail(found, node)

    def run_rule(
        self, apply_rule: Callable[..., Gradients], node: Function, grad_outputs: Gradients, needs: tuple[bool, ...]
    ) -> Gradients:
        """Runs a node's backward rule: looks at what it is to be given, and at what it has returned."""
        self._check_unchanged(node)
        if self._any(grad_outputs):
            self._fail_in_backward(node, grad_outputs, [], needs, None)
        outer, self.rule, self.inner = (self.rule, self.inner), node, None
        try:
            grad_inputs = apply_rule(node, grad_outputs, needs)
            inner = self.inner
        finally:
            self.rule, self.inner = outer
        if self._any(grad_inputs):
            self._fail_in_backward(node, grad_outputs, grad_inputs, needs, inner)
        return grad_inputs

    def reached_leaf(self, gradient: Tensor) -> None:
        """A leaf is to be given the gradient, or `grad` to return it: no rule gave it, if it isn't finite."""
        if self.rule is None and self._any([gradient]):
            here = backward_line()
            message = leaf_page(gradient.backend.to_numpy(gradient._data), self.allow_infinite, here)
            raise AnomalyError(message, "backward", None, "backward", None, here)

    def _any(self, tensors: Any) -> bool:
        """Whether one of the tensors holds an anomaly."""
        return any(
            bool(anomalies(t.backend.xp, t._data, self.allow_infinite).any())
            for t in tensors
            if t is not None and t._data.dtype.kind == "f"
        )

    def _check_unchanged(self, node: Function) -> None:
        record = node.__dict__.get("_anomaly_record")
        if record is None:
            return
        now = _checksums(node)
        changed = [name for name, checksum in record.checksums.items() if now.get(name, checksum) != checksum]
        if changed:
            here = backward_line()
            saved = _saved(node)
            message = changed_page(node.name(), record.location, here, {name: saved[name] for name in changed})
            raise AnomalyError(message, node.name(), node, "backward", record.location, here)

    def _fail_in_backward(
        self, node: Function, grad_outputs: Gradients, grad_inputs: Gradients, needs: tuple[bool, ...], inner: Any
    ) -> NoReturn:
        record = node.__dict__.get("_anomaly_record")
        names = record.parameters if record is not None else _attributes(node)
        found = Application(
            operation=type(node),
            phase="backward",
            backend=node._inputs[0].backend.name,
            parameters={name: vars(node)[name] for name in names},
            needs=needs,
            inputs=[node.backend.to_numpy(array) for array in node._arrays],
            outputs=[node.backend.to_numpy(y.data) for y in node.outputs],
            grad_outputs=_arrays(grad_outputs),
            grad_inputs=_arrays(grad_inputs),
            allow_infinite=self.allow_infinite,
            location=None if record is None else record.location,
            backward_location=backward_line(),
            inner=inner,
        )
        self._fail(found, node)

    def _fail(self, found: Application, node: Function) -> NoReturn:
        path = None
        try:
            path = save(found, self.directory or tempfile.gettempdir())
            note = f"saved in {path}; minigrad.replay(path) repeats this operation alone"
        except (OSError, TypeError) as error:
            note = f"not saved for minigrad.replay: {error}"
        message = f"{page(found)}\n  {note}"
        phase = "forward" if found.backward_location is None else "backward"
        raise AnomalyError(message, node.name(), node, phase, found.location, found.backward_location, path)


def _arrays(tensors: Any) -> list[Any]:
    return [None if t is None else t.backend.to_numpy(t._data) for t in tensors]


def _attributes(node: Function) -> list[str]:
    """The names of a node's parameters, and of what its forward has set, where the mode did not see it recorded."""
    return [name for name in vars(node) if name[0] != "_"]


def _saved(node: Function) -> dict[str, np.ndarray]:
    """The arrays that the node keeps for its rule, by name; those in its attributes also within containers."""
    saved = {f"input {i}": node.backend.to_numpy(array) for i, array in enumerate(node._arrays)}
    saved |= {f"output {i}": node.backend.to_numpy(y.data) for i, y in enumerate(node.outputs)}
    seen: set[int] = set()
    for name, value in vars(node).items():
        saved |= _arrays_within(name, value, node.backend, seen)
    return {name: array for name, array in saved.items() if not array.dtype.hasobject}


def _arrays_within(name: str, value: Any, backend: Backend, seen: set[int]) -> dict[str, np.ndarray]:
    """The array that the value is, or that a Tensor, list, tuple or dict holds, each with its place in the name."""
    if isinstance(value, Tensor):
        return {name: value.backend.to_numpy(value._data)}
    if isinstance(value, backend.xp.ndarray):
        return {name: backend.to_numpy(value)}
    if not isinstance(value, (list, tuple, dict)) or id(value) in seen:
        return {}
    seen.add(id(value))
    found: dict[str, np.ndarray] = {}
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        found |= _arrays_within(f"{name}[{key!r}]", item, backend, seen)
    return found


def _checksums(node: Function) -> dict[str, int]:
    """Of the arrays that the node keeps, each read in the order in which it lies in memory."""
    return {name: zlib.crc32(array.ravel(order="K").data) for name, array in _saved(node).items()}
