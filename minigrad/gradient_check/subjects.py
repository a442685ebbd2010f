"""What can be checked, in one form: a function of arrays, and its gradients by a rule that may be wrong.

`forward(arrays)` returns the outputs; `backward(arrays, cotangents)` what the rule says is the gradient of the sum of
cotangents * outputs by each array: an array, whatever its shape, or None. Both compute from scratch each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from ..autograd import Function, enable_grad, grad, no_grad
from ..autograd.engine import sum_to_shape, topological_order
from ..backends import Backend, get_backend
from ..tensor import Tensor
from .options import title_of
from .slopes import Arrays

Gradients = list[np.ndarray | None]


class Subject(Protocol):
    title: str
    backend: Backend  # of arrays that it takes as they are, besides NumPy's, which it copies to a device

    def forward(self, arrays: Arrays) -> Arrays: ...

    def backward(self, arrays: Arrays, cotangents: Arrays) -> Gradients: ...


class TensorFunction:
    """A function of Tensors. Its differentiable inputs come as arrays; all other arguments stay as they were given.

    Args:
        arguments: what the function is called with.
        checked: which of the arguments are differentiated.
    """

    differentiates = False  # whether the function has to be called with recording on

    def __init__(
        self, function: Callable[..., Any], arguments: Sequence[Any], checked: Sequence[int], backend: Backend
    ) -> None:
        self.function, self.arguments, self.checked, self.backend = function, list(arguments), list(checked), backend
        self.title = title_of(function)

    def forward(self, arrays: Arrays) -> Arrays:
        if not self.differentiates:
            try:
                with no_grad():
                    return [self.backend.to_numpy(y.data) for y in self.outputs(self.tensors(arrays))]
            except RuntimeError:
                self.differentiates = True  # perhaps: it may call grad() itself
        return self.recorded(arrays)

    def recorded(self, arrays: Arrays) -> Arrays:
        """The outputs, computed with recording on."""
        tensors = [x.requires_grad_() for x in self.tensors(arrays)]
        with enable_grad():
            return [self.backend.to_numpy(y.data) for y in self.outputs(tensors)]

    def tensors(self, arrays: Arrays) -> list[Tensor]:
        """Arrays of the backend themselves as tensors, so that the caller sees whether the function changes them."""
        return [Tensor._wrap(self.backend.from_numpy(x), self.backend) for x in arrays]

    def outputs(self, tensors: list[Tensor]) -> list[Tensor]:
        """The floating outputs of the function."""
        arguments = list(self.arguments)
        for position, tensor in zip(self.checked, tensors, strict=True):
            arguments[position] = tensor
        result = self.function(*arguments)
        outputs = list(result) if isinstance(result, (tuple, list)) else [result]
        wrong = [y for y in outputs if not isinstance(y, Tensor)]
        if wrong or not outputs:
            got = type(wrong[0]).__name__ if wrong else "an empty tuple"
            raise TypeError(f"gradcheck: {self.title} must return a Tensor or a tuple of them, got {got}")
        floating = [y for y in outputs if y.dtype.kind == "f"]
        if not floating:
            raise TypeError(
                f"gradcheck: {self.title} returned no floating Tensor, so there is nothing to differentiate"
            )
        return floating

    def backward(self, arrays: Arrays, cotangents: Arrays) -> Gradients:
        tensors = [x.requires_grad_() for x in self.tensors(arrays)]
        with enable_grad():
            outputs = self.outputs(tensors)
        return self.gradients(outputs, tensors, cotangents)

    def gradients(self, outputs: list[Tensor], tensors: list[Tensor], cotangents: Arrays) -> Gradients:
        pairs = [(y, Tensor(v, y.dtype, backend=y.backend)) for y, v in zip(outputs, cotangents, strict=True)]
        pairs = [(y, v) for y, v in pairs if y.requires_grad]
        if not pairs:
            return [None] * len(tensors)
        found = grad([y for y, _ in pairs], tensors, [v for _, v in pairs], allow_unused=True, retain_graph=True)
        return [None if g is None else self.backend.to_numpy(g.data) for g in found]

    def apart(self, arrays: Arrays, cotangents: Arrays) -> tuple[Gradients, Gradients]:
        """The same gradients, each computed where it is the only one that is wanted; and all, an output at a time."""
        tensors = [x.requires_grad_() for x in self.tensors(arrays)]
        with enable_grad():
            outputs = self.outputs(tensors)
        leaves = self.leaves(tensors)
        alone = [self.gradients(outputs, [leaf], cotangents)[0] for leaf in leaves]
        by_output = [self.gradients([y], leaves, [v]) for y, v in zip(outputs, cotangents, strict=True)]
        return alone, [_sum(parts) for parts in zip(*by_output, strict=True)]

    def graph(self, arrays: Arrays) -> tuple[list[Tensor], list[Function]]:
        """The leaves, one for each array, and the nodes that one call records, in the order of recording."""
        tensors = [x.requires_grad_() for x in self.tensors(arrays)]
        with enable_grad():
            nodes = topological_order(self.outputs(tensors))
        return self.leaves(tensors), nodes

    def leaves(self, tensors: list[Tensor]) -> list[Tensor]:
        return tensors


def _sum(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    arrived = [g for g in parts if g is not None]
    return sum(arrived[1:], start=arrived[0]) if arrived else None


class SecondOrder(TensorFunction):
    """The gradients of a function, as a function of its inputs and of the cotangents."""

    def __init__(self, first: TensorFunction, inputs: int) -> None:
        self.first, self.inputs, self.backend = first, inputs, first.backend
        self.title = f"the gradient of {first.title}"

    def forward(self, arrays: Arrays) -> Arrays:
        return [self.backend.to_numpy(g.data) for g in self.outputs(self.tensors(arrays))]

    def outputs(self, tensors: list[Tensor]) -> list[Tensor]:
        points, cotangents = tensors[: self.inputs], tensors[self.inputs :]
        with enable_grad():
            points = [x if x.requires_grad else x.detach().requires_grad_() for x in points]
            outputs = self.first.outputs(points)
            pairs = [(y, v) for y, v in zip(outputs, cotangents, strict=True) if y.requires_grad]
            if not pairs:
                return [Tensor(np.zeros(x.shape, x.dtype), backend=self.backend) for x in points]
            found = grad([y for y, _ in pairs], points, [v for _, v in pairs], create_graph=True, allow_unused=True)
        zeros = [Tensor(np.zeros(x.shape, x.dtype), backend=self.backend) for x in points]
        return [zero if g is None else g for g, zero in zip(found, zeros, strict=True)]


class ModuleLoss(TensorFunction):
    """The loss of a module by its parameters, which come first, and by its floating inputs."""

    def __init__(self, model: Any, loss: Callable[[Any, Any], Any], batch: tuple[Any, Any], names: list[str]) -> None:
        self.model, self.loss, self.names = model, loss, names
        self.parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.backend = next(iter(self.parameters.values())).backend
        inputs, self.targets = batch
        self.arguments, self.checked = [inputs], [0] if len(names) > len(self.parameters) else []
        self.title = type(model).__name__

    def outputs(self, tensors: list[Tensor]) -> list[Tensor]:
        for parameter, tensor in zip(self.parameters.values(), tensors, strict=False):
            parameter.data = tensor.data
        inputs = tensors[len(self.parameters)] if self.checked else self.arguments[0]
        value = self.loss(self.model(inputs), self.targets)
        if not isinstance(value, Tensor):
            raise TypeError(f"gradcheck_module: the loss must return a Tensor, got {type(value).__name__}")
        return [value]

    def backward(self, arrays: Arrays, cotangents: Arrays) -> Gradients:
        tensors = [x.requires_grad_() for x in self.tensors(arrays)]
        with enable_grad():
            outputs = self.outputs(tensors)
        return self.gradients(outputs, self.leaves(tensors), cotangents)

    def leaves(self, tensors: list[Tensor]) -> list[Tensor]:
        return [*self.parameters.values(), *tensors[len(self.parameters) :]]


class ArrayFunction:
    """A bare pair of NumPy functions."""

    def __init__(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        self._forward, self._backward, self.backend = forward, backward, get_backend("numpy")
        self.title = getattr(forward, "__name__", type(forward).__name__)

    def forward(self, arrays: Arrays) -> Arrays:
        result = self._forward(*arrays)
        y = np.asarray(result) if not isinstance(result, (tuple, list, dict)) else None
        if y is None or y.dtype.kind not in "fiub":
            got = type(result).__name__ if y is None else f"dtype {y.dtype}"
            raise TypeError(f"gradcheck_numpy: {self.title} must return one array of numbers, got {got}")
        return [y if y.dtype.kind == "f" else y.astype(np.float64)]

    def backward(self, arrays: Arrays, cotangents: Arrays) -> Gradients:
        self._forward(*arrays)  # a layer may have kept something for its backward
        found = self._backward(cotangents[0].copy(), *arrays)
        found = (found,) if isinstance(found, (np.ndarray, np.generic)) and len(arrays) == 1 else found
        if not isinstance(found, (tuple, list)) or len(found) != len(arrays):
            got = f"{len(found)} of them" if isinstance(found, (tuple, list)) else f"a {type(found).__name__}"
            raise TypeError(
                f"gradcheck_numpy: backward must return a gradient for each of {len(arrays)} inputs, got {got}"
            )
        gradients = [None if g is None else np.asarray(g) for g in found]
        for i, g in enumerate(gradients):
            if g is not None and g.dtype.kind not in "fiub":
                raise TypeError(f"gradcheck_numpy: backward returned an array of dtype {g.dtype} for input {i}")
        return gradients


class Node:
    """One node of a graph by itself: its operation, with the parameters that it had there."""

    def __init__(self, node: Function) -> None:
        self.node, self.operation, self.backend = node, type(node), node.backend
        self.parameters = dict(vars(node))
        self.title = node.name()
        self.arrays = [self.backend.to_numpy(x) for x in node._arrays]
        self.wanted = [i for i, x in enumerate(self.arrays) if x.dtype.kind == "f" and node.needs[i]]

    def forward(self, arrays: Arrays) -> Arrays:
        with no_grad():
            return [y for y in self._results(self._apply(arrays, ())) if y.dtype.kind == "f"]

    def backward(
        self, arrays: Arrays, cotangents: Sequence[np.ndarray | None], wanted: Sequence[int] | None = None
    ) -> Gradients:
        """The rule applied as in the graph; or with other inputs wanted, and None for an output that nothing uses."""
        with enable_grad():
            result = self._apply(arrays, self.wanted if wanted is None else wanted)
        node = (result[0] if isinstance(result, tuple) else result).grad_fn
        assert node is not None
        given = iter(cotangents)
        floating = (next(given) if y.dtype.kind == "f" else None for y in self._results(result))
        wrapped = [None if v is None else Tensor(v, backend=self.backend) for v in floating]
        with no_grad():
            gradients = node.backward(*wrapped)
        if not isinstance(gradients, (tuple, list)):
            gradients = (gradients,)
        if len(gradients) != len(arrays):
            raise ValueError(f"it returned {len(gradients)} gradients, and has inputs: {len(arrays)}")
        found: Gradients = [None] * len(arrays)
        for index, (x, g) in enumerate(zip(arrays, gradients, strict=True)):
            if isinstance(g, Tensor):
                g = sum_to_shape(g, x.shape) if self.operation.broadcasts and g.shape != x.shape else g
                found[index] = self.backend.to_numpy(g.data)
        return found

    def _apply(self, arrays: Arrays, wanted: Sequence[int]) -> Any:
        tensors = [Tensor(x, requires_grad=i in wanted, backend=self.backend) for i, x in enumerate(arrays)]
        return self.operation.apply(*tensors, **self.parameters)

    def _results(self, result: Any) -> Arrays:
        results = result if isinstance(result, tuple) else (result,)
        return [self.backend.to_numpy(y.data) for y in results]
