"""A report on each layer, from what was seen of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..nn import Module, UninitializedParameter
from ..nn.parameter import Parameter
from .records import LayerReport
from .watch import Call, Watched

ACTIVATIONS = {"Sigmoid": "Sigmoid", "Tanh": "Tanh", "Relu": "ReLU"}  # nodes, and the layers that make them


def layer_reports(seen: Watched, lr: float) -> list[LayerReport]:
    """The reports, in the order of the calls; a module that is called again is numbered."""
    reports: list[LayerReport] = []
    times: dict[Module, int] = {}
    functions = _functions(seen)
    for call in seen.calls:
        while functions and call.output.grad_fn is not None and functions[0]._number < call.output.grad_fn._number:
            reports.append(_function_report(functions.pop(0), reports))
        times[call.module] = times.get(call.module, 0) + 1
        reports.append(_call_report(call, times[call.module], seen, lr))
    while functions:
        reports.append(_function_report(functions.pop(0), reports))
    norms = [report.gradient for report in reports if report.gradient is not None]
    last = norms[-1] if norms else None
    return [r._replace(share=r.gradient / last) if last and r.gradient is not None else r for r in reports]


def weight_of(module: Module) -> Parameter | None:
    """The largest of the layer's own parameters."""
    own = [p for p in module.parameters(recurse=False) if not isinstance(p, UninitializedParameter)]
    return max(own, key=lambda parameter: parameter.size, default=None)


def is_constant(y: np.ndarray) -> bool:
    """Whether it is the same for every example, as far as rounding can tell. One example tells nothing."""
    if y.ndim < 1 or len(y) < 2 or not y.size:
        return False
    return bool(np.ptp(y, axis=0).max() <= 1e-6 * np.abs(y).max())


def _functions(seen: Watched) -> list[Any]:
    """The nodes of activations that were called as functions, not as layers."""
    by_layers = {call.output.grad_fn for call in seen.calls if call.is_innermost}
    return [node for node in seen.nodes if type(node).__name__ in ACTIVATIONS and node not in by_layers]


def _call_report(call: Call, time: int, seen: Watched, lr: float) -> LayerReport:
    kind = type(call.module).__name__
    node = call.output.grad_fn
    activation = kind if node is None else ACTIVATIONS.get(type(node).__name__, "")
    report = _report(
        call.name + (f" (call {time})" if time > 1 else ""),
        kind,
        call.output.backend.to_numpy(call.output.data),
        activation if call.is_innermost else "",
    )
    weight = weight_of(call.module)
    gradient = None if weight is None or time > 1 else seen.gradients.get(weight)
    if weight is None or gradient is None:
        return report
    norm, size = _norm(gradient.numpy()), _norm(weight.numpy())
    return report._replace(gradient=norm, update=lr * norm / size if size else None)


def _function_report(node: Any, before: list[LayerReport]) -> LayerReport:
    after = f" after {before[-1].name}" if before and before[-1].name else ""
    y = node.backend.to_numpy(node.outputs[0].data)
    return _report(node.name() + after, "function", y, ACTIVATIONS[type(node).__name__])


def _report(name: str, kind: str, y: np.ndarray, activation: str) -> LayerReport:
    y = y.astype(float) if y.dtype.kind == "b" else y
    saturated = dead = None
    if y.size and activation == "Sigmoid":
        saturated = float(((y < 0.02) | (y > 0.98)).mean())
    elif y.size and activation == "Tanh":
        saturated = float((np.abs(y) > 0.97).mean())
    elif y.size and activation == "ReLU":
        units = 1 if y.ndim == 4 else y.ndim - 1  # the channels of images, else what a row holds
        dead = float((y == 0).all(axis=tuple(axis for axis in range(y.ndim) if axis != units)).mean())
    mean = std = differs = 0.0
    if y.size:
        mean, std = float(y.mean(dtype=float)), float(y.std(dtype=float))
        differs = float(y.std(axis=0, dtype=float).mean()) if y.ndim else 0.0
    return LayerReport(name, kind, y.shape, mean, std, differs, saturated, dead, is_constant(y), None, None, None)


def _norm(array: np.ndarray) -> float:
    return float(np.linalg.norm(array.astype(float)))
