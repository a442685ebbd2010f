"""That the table in op_cases.py is complete: a public operation without a row, or a rule no row reaches, fails here."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from op_cases import CASES, WITHOUT_GRADIENT, cotangent

import minigrad
from minigrad import Function, Tensor, ops
from minigrad.autograd.engine import topological_order


def functions_of_ops() -> set[type[Function]]:
    """Every operation defined in minigrad.ops; those without a forward pass are only the base of others."""
    found = set()
    for module in pkgutil.iter_modules(ops.__path__, ops.__name__ + "."):
        for _, value in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            own = issubclass(value, Function) and value.__module__ == module.name
            if own and value.forward is not Function.forward:
                found.add(value)
    return found


def recorded(*roots: Tensor) -> Iterator[type[Function]]:
    return (type(node) for node in topological_order(roots))


def differentiate_twice(data) -> set[type[Function]]:
    """The operations recorded by all rows: in the forward pass, the first backward pass and the second."""
    seen: set[type[Function]] = set()
    for case in CASES:
        example = data.draw(case.examples(smooth=True))
        inputs = case.tensors(example, "float64", "numpy")
        y = case.op(*inputs, **example.parameters)
        variables = [*inputs, cotangent(y, 0).requires_grad_()]
        first = minigrad.grad(y, inputs, variables[-1], create_graph=True)
        seeds = [cotangent(g, 1).requires_grad_() for g in first]
        second = minigrad.grad(first, variables, seeds, create_graph=True, allow_unused=True)
        seen.update(recorded(y, *first, *(g for g in second if g is not None)))
    return seen


def test_every_rule_is_reached_by_a_row() -> None:
    reached: set[type[Function]] = set()

    @settings(max_examples=24, database=None, derandomize=True)  # the same examples each time: all rules or never
    @given(data=st.data())
    def collect(data) -> None:
        reached.update(differentiate_twice(data))

    collect()
    everything = functions_of_ops()
    assert len(everything) > 40, "the search for operations found too few of them"
    missing = everything - reached
    assert not missing, f"no row of op_cases.py reaches {sorted(f.__name__ for f in missing)}"


def test_every_public_operation_has_a_row_or_no_gradient() -> None:
    assert {case.operation for case in CASES} | WITHOUT_GRADIENT == set(ops.__all__)
    assert not {case.operation for case in CASES} & WITHOUT_GRADIENT


def test_rows_have_names_of_their_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_operations_without_gradient_give_tensors_that_require_none() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    flags = Tensor([True, False])
    for name in sorted(WITHOUT_GRADIENT):
        operation = getattr(ops, name)
        logical = name.startswith("logical")
        one_operand = name in ("argmax", "argmin", "logical_not")
        y = operation(*[flags if logical else x] * (1 if one_operand else 2))
        assert y.dtype.kind in "bi", name
        assert not y.requires_grad, name
