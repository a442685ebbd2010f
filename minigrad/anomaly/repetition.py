"""replay: one operation again, from the file that detect_anomaly wrote."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from .. import checks
from ..autograd import enable_grad, grad
from ..autograd.function import Function
from ..backends import get_backend
from ..tensor import Tensor
from .application import Application, Location
from .files import damaged, is_operation, read
from .mode import unwatched
from .page import page


@dataclass(repr=False)
class Replay:
    """An operation repeated from a file; printing it shows what `detect_anomaly` said, for the values of this time.

    Attributes:
        node: the application, as an object: its parameters are attributes.
        inputs, outputs: the Tensors that it was applied to, and those that it returned.
        grad_outputs, grad_inputs: where the anomaly was in its backward rule, the gradients that arrived and those that
            the rule returns, with None where there is none; else empty.
        phase: "forward" or "backward".
        location, backward_location: the lines that called it, and the backward pass, back then.
    """

    node: Function | None
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    grad_outputs: tuple[Tensor | None, ...]
    grad_inputs: tuple[Tensor | None, ...]
    phase: str
    location: Location | None
    backward_location: Location | None
    page: str

    def __repr__(self) -> str:
        return self.page


def replay(path: str | os.PathLike[str], operation: type[Function] | None = None) -> Replay:
    """Repeats the operation that `detect_anomaly` has saved, on the backend it ran on: forward, and where the anomaly
    was in its backward rule, that rule too.

    The file holds arrays and text, and reading it unpickles nothing. The operation is one of minigrad's, or a class of
    a module that you have imported.

    Args:
        path: the file, as AnomalyError.path.
        operation: the class, where it can't be found by its name: one that was defined in a function.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged or no such file, or the operation is not found.
        BackendError: its backend can't be used on this machine.

    >>> import minigrad, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     try:
    ...         with minigrad.detect_anomaly(folder):
    ...             minigrad.log(Tensor([1.0, -2.0], backend="numpy"))
    ...     except minigrad.AnomalyError as error:
    ...         print(replay(error.path))
    log: its result holds the first value that is not finite
      called at     <doctest ...>:4: minigrad.log(Tensor([1.0, -2.0], backend="numpy"))
      backend       numpy
      input 0       (2,) float32: min -2, max 1, mean -0.5
      output 0      (2,) float32: min 0, max 0, mean 0; 1 NaN, 1 zero
      output 0[1] = nan, where input 0 is -2.0
    """
    path = checks.path("replay", path)
    if operation is not None and not is_operation(operation):
        raise TypeError(f"replay: the operation must be a class derived from Function, got {operation!r}")
    found = read(path, operation)
    backend = get_backend(found.backend)
    backend.check_usable()
    # Every floating input requires a gradient, so that there is a node; the rule is asked for those it was asked for.
    inputs = [Tensor._wrap(backend.from_numpy(array), backend) for array in found.inputs]
    inputs = [x.requires_grad_(x.dtype.kind == "f") for x in inputs]
    with unwatched(), enable_grad(), np.errstate(all="ignore"):
        try:
            results = found.operation.apply(*inputs, **found.parameters)
        except Exception as error:
            if not found.operation.__module__.startswith("minigrad."):
                raise  # the user's own code, which may have changed since
            raise damaged(path, f"{found.operation.name()} cannot have had such inputs: {error}") from error
        outputs = results if type(results) is tuple else (results,)
        found.outputs = [_numpy(y) for y in outputs]
        if found.phase == "backward" and not _fit(found.grad_outputs, outputs):
            raise damaged(path, "the gradients that arrived at its backward rule are not like its outputs")
        grad_outputs, grad_inputs = _run_rule(found, inputs, outputs) if found.phase == "backward" else ([], [])
    found.grad_inputs = [None if g is None else _numpy(g) for g in grad_inputs]
    node = next((y.grad_fn for y in outputs if y.grad_fn is not None), None)
    tensors = tuple(inputs), outputs, tuple(grad_outputs), tuple(grad_inputs)
    return Replay(node, *tensors, found.phase, found.location, found.backward_location, page(found))


def _fit(gradients: list[np.ndarray | None], outputs: tuple[Tensor, ...]) -> bool:
    """Whether these can be the gradients of the outputs."""
    return len(gradients) == len(outputs) and all(
        array is None or (y.requires_grad and array.shape == y.shape and array.dtype == y.dtype)
        for array, y in zip(gradients, outputs, strict=True)
    )


def _run_rule(
    found: Application, inputs: list[Tensor], outputs: tuple[Tensor, ...]
) -> tuple[list[Tensor | None], list[Tensor | None]]:
    """The gradients that arrived, and those that the rule returns for the inputs it was asked for."""
    arrived = [
        None if array is None else Tensor._wrap(y.backend.from_numpy(array), y.backend)
        for array, y in zip(found.grad_outputs, outputs, strict=True)
    ]
    roots = [(y, g) for y, g in zip(outputs, arrived, strict=True) if g is not None]
    wanted = [i for i, needed in enumerate(found.needs) if needed]
    gradients = grad(
        [y for y, _ in roots], [inputs[i] for i in wanted], [g for _, g in roots], allow_unused=True, retain_graph=True
    )
    returned: list[Tensor | None] = [None] * len(inputs)
    for i, gradient in zip(wanted, gradients, strict=True):
        returned[i] = gradient
    return arrived, returned


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.backend.to_numpy(tensor.data)
