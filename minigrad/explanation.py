"""explain: which kernels an operation runs, and which way they go for the shapes at hand."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .autograd import grad
from .backends import Backend
from .checks import function
from .tensor import Tensor


def explain(operation: Callable[..., Any], *arguments: Any, **parameters: Any) -> str:
    """Runs an operation once, forward and backward, and says which kernels it took, for which shapes, and which way.

    Nothing is changed: no `grad` is touched. Elementwise operations and sums need no kernel of minigrad's own; they are
    NumPy's (or CuPy's).

    >>> import minigrad
    >>> x = minigrad.zeros(128, 1, 28, 28, backend="numpy")
    >>> weight = minigrad.zeros(6, 1, 5, 5, backend="numpy", requires_grad=True)
    >>> print(explain(minigrad.conv2d, x, weight, padding=2))
    conv2d on numpy
      forward   conv2d (128, 1, 28, 28) (6, 1, 5, 5)
      backward  conv2d_grad_weight (128, 6, 28, 28) (128, 1, 28, 28)

    Raises TypeError where the operation is no function, and what the operation raises.
    """
    function("explain", "the operation", operation)
    tensors = [value for value in (*arguments, *parameters.values()) if isinstance(value, Tensor)]
    backends = list(dict.fromkeys(tensor.backend for tensor in tensors))
    lines: list[str] = []
    with _recording(backends, "forward ", lines):
        result = operation(*arguments, **parameters)
    tensors += getattr(operation, "parameters", tuple)()  # a layer's
    sources = [tensor for tensor in tensors if tensor.requires_grad]
    if isinstance(result, Tensor) and result.requires_grad and sources:
        seed = Tensor._wrap(result.backend.xp.ones_like(result.data), result.backend)
        with _recording(backends, "backward", lines):
            grad(result, sources, seed, allow_unused=True)
    name = getattr(operation, "__name__", type(operation).__name__)
    title = f"{name} on {' and '.join(backend.name for backend in backends) or 'no backend'}"
    return "\n".join([title, *(lines or ["  no kernel of minigrad's own"])])


@contextmanager
def _recording(backends: list[Backend], direction: str, lines: list[str]) -> Iterator[None]:
    """Writes a line for each kernel that the backends run meanwhile, and below it what it logs about its way."""
    handler = _Lines(lines)
    log = logging.getLogger("minigrad")
    level, propagates = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    log.propagate = False
    kernels = {backend: backend.kernels for backend in backends}
    for backend in backends:
        vars(backend)["kernels"] = _Recorder(backend.kernels, direction, lines)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagates
        for backend, own in kernels.items():
            vars(backend)["kernels"] = own


class _Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"            {record.getMessage()}")


class _Recorder:
    """A backend's kernels, each of which writes a line when it is called."""

    def __init__(self, kernels: Any, direction: str, lines: list[str]) -> None:
        self._kernels, self._direction, self._lines = kernels, direction, lines

    def __getattr__(self, name: str) -> Callable[..., Any]:
        kernel = getattr(self._kernels, name)

        def record(*arguments: Any, **parameters: Any) -> Any:
            shapes = [str(value.shape) for value in arguments if hasattr(value, "shape")]
            self._lines.append(f"  {self._direction}  {name} {' '.join(shapes)}")
            return kernel(*arguments, **parameters)

        return record
