"""The planted rules are really wrong, and the awkward functions really right: by plain central differences, no checker.

`slopes` walks over every element of an input and moves it by a small part of itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from awkward_functions import AWKWARD, Awkward
from planted_rules import CAUSES, WRONG, NumpyPair, OnTensors, Wrong

import minigrad
from minigrad import Tensor

Arrays = Sequence[np.ndarray]
STEP = 1e-6  # of each element

each_wrong = pytest.mark.parametrize("planted", WRONG, ids=lambda planted: planted.name)


@pytest.fixture(autouse=True)
def numpy_backend() -> Iterator[None]:
    """The rules are student's NumPy; the kernels around them are tested elsewhere."""
    with minigrad.use_backend("numpy"):
        yield


# ---------------------------------------------------------------------------------------------------- values and slopes


def leaves(arrays: Arrays) -> list[Tensor]:
    return [Tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]


def as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def values(case: NumpyPair | OnTensors, arrays: Arrays) -> list[np.ndarray]:
    """The outputs at these inputs."""
    if isinstance(case, NumpyPair):
        return [np.asarray(case.forward(*arrays))]
    return [output.numpy() for output in as_tuple(case.fn(*leaves(arrays)))]


def tensor_gradients(outputs: Any, inputs: list[Tensor], cotangents: Arrays, **flags: bool) -> list[Tensor | None]:
    """One for each input, None where the outputs do not depend on it."""
    pairs = zip(as_tuple(outputs), cotangents, strict=True)
    outputs, seeds = zip(*[(y, dy) for y, dy in pairs if y.requires_grad], strict=True)
    wanted = [x for x in inputs if x.requires_grad]
    found = iter(minigrad.grad(outputs, wanted, seeds, allow_unused=True, **flags))
    return [next(found) if x.requires_grad else None for x in inputs]


def gradients(case: NumpyPair | OnTensors, cotangents: Arrays) -> list[np.ndarray]:
    """By the rule, one for each input: zeros for None."""
    if isinstance(case, NumpyPair):
        case.forward(*case.inputs)
        found = case.backward(*[dy.copy() for dy in cotangents], *case.inputs)
    else:
        inputs = leaves(case.inputs)
        outputs = case.fn(*inputs)
        depends = any(y.requires_grad for y in as_tuple(outputs))
        found = tensor_gradients(outputs, inputs, cotangents) if depends else [None] * len(inputs)
    return filled(found, case.inputs)


def filled(found: Sequence[Any], like: Arrays) -> list[np.ndarray]:
    assert len(found) == len(like)
    return [np.zeros(x.shape) if g is None else np.asarray(g, float) for g, x in zip(found, like, strict=True)]


def second_gradients(case: OnTensors, cotangents: Arrays, directions: Arrays) -> list[np.ndarray]:
    """Of the gradients' sum weighted by the directions."""
    inputs = leaves(case.inputs)
    first = tensor_gradients(case.fn(*inputs), inputs, cotangents, create_graph=True)
    assert None not in first
    if not any(g.requires_grad for g in first):
        return filled([None] * len(inputs), case.inputs)
    return filled(tensor_gradients(tuple(first), inputs, directions), case.inputs)


def slopes(f: Callable[[Arrays], Arrays], arrays: Arrays, which: int, cotangents: Arrays) -> np.ndarray:
    """d(sum of f weighted by the cotangents) / d(arrays[which]), element by element."""
    arrays = [np.array(x) for x in arrays]
    moved, result = arrays[which], np.zeros(arrays[which].shape)
    for index in np.ndindex(*moved.shape):
        at = moved[index].copy()
        h = STEP * (abs(at) or 1.0)
        moved[index] = at + h
        above, up = f(arrays), float(moved[index])
        moved[index] = at - h
        below, down = f(arrays), float(moved[index])
        moved[index] = at
        change = sum(np.sum((a - b) * dy) for a, b, dy in zip(above, below, cotangents, strict=True))
        result[index] = change / (up - down)
    return result


def random_like(arrays: Arrays, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.uniform(0.5, 1.5, x.shape) * rng.choice([-1.0, 1.0], x.shape) for x in arrays]


def both(case: NumpyPair | OnTensors, order: int, which: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The gradient by the rule and by differences."""
    cotangents = random_like(values(case, case.inputs), seed)
    if order == 1:
        numeric = slopes(lambda arrays: values(case, arrays), case.inputs, which, cotangents)
        return gradients(case, cotangents)[which], numeric
    directions = random_like(case.inputs, seed + 1)

    def first(arrays: Arrays) -> list[np.ndarray]:
        inputs = leaves(arrays)
        return filled(tensor_gradients(case.fn(*inputs), inputs, cotangents), arrays)

    numeric = slopes(first, case.inputs, which, directions)
    return second_gradients(case, cotangents, directions)[which], numeric


# ------------------------------------------------------------------------------------------------------- the wrong ones


@each_wrong
def test_the_rule_is_noticeably_wrong(planted: Wrong) -> None:
    case = planted.build()
    by_rule, numeric = both(case, case.order, case.input)
    largest = np.abs(numeric).max()
    assert largest > 0
    if by_rule.shape == numeric.shape:
        assert np.abs(by_rule - numeric).max() > 0.01 * largest


@each_wrong
def test_the_factor_is_as_told(planted: Wrong) -> None:
    case = planted.build()
    assert (case.factor is not None) == (planted.cause == "constant factor")
    if case.factor is not None:
        by_rule, numeric = both(case, case.order, case.input)
        np.testing.assert_allclose(by_rule, case.factor * numeric, rtol=1e-5, atol=1e-7 * np.abs(by_rule).max())


@each_wrong
def test_no_other_cause_looks_like_a_factor(planted: Wrong) -> None:
    """One number that would explain the error for one cotangent does not for another; but where all is lost, 0 does."""
    case = planted.build()
    by_rule, numeric = both(case, case.order, case.input)
    if planted.cause == "constant factor" or by_rule.shape != numeric.shape or not by_rule.any():
        return
    factor = np.sum(by_rule * numeric) / np.sum(numeric**2)
    by_rule, numeric = both(case, case.order, case.input, seed=2)
    assert np.abs(by_rule - factor * numeric).max() > 0.01 * np.abs(by_rule).max()


@pytest.mark.parametrize("planted", [p for p in WRONG if p.build().order == 2], ids=lambda planted: planted.name)
def test_what_is_wrong_at_second_order_is_right_at_first(planted: Wrong) -> None:
    case = planted.build()
    for which in range(len(case.inputs)):
        by_rule, numeric = both(case, 1, which)
        np.testing.assert_allclose(by_rule, numeric, rtol=1e-6, atol=1e-8)


@each_wrong
def test_the_culprit_is_in_the_graph(planted: Wrong) -> None:
    case = planted.build()
    if case.culprit is None:
        return
    nodes: set[str] = set()
    inputs = leaves(case.inputs)
    outputs = as_tuple(case.fn(*inputs))
    if case.order == 2:
        cotangents = random_like([y.numpy() for y in outputs], 0)
        first = tensor_gradients(outputs, inputs, cotangents, create_graph=True)
        outputs = (*outputs, *[g for g in first if g.requires_grad])
    stack = [y.grad_fn for y in outputs]
    while stack:
        node = stack.pop()
        if node is not None:
            nodes.add(type(node).__name__)
            stack += [x.grad_fn for x in node.inputs]
    assert case.culprit in nodes


@each_wrong
def test_a_wrong_rule_is_the_same_at_every_call(planted: Wrong) -> None:
    case = planted.build()
    cotangents = random_like(values(case, case.inputs), 0)
    before = [x.copy() for x in case.inputs]
    once, again = gradients(case, cotangents), gradients(case, cotangents)
    for a, b in zip([*once, *before], [*again, *case.inputs], strict=True):
        np.testing.assert_array_equal(a, b)


def test_there_are_enough_of_each_cause() -> None:
    assert len(WRONG) >= 48
    counts = Counter(planted.cause for planted in WRONG)
    assert set(counts) == set(CAUSES)
    assert min(counts.values()) >= 2
    assert counts["cause unknown"] >= 5
    assert sum(planted.build().order == 2 for planted in WRONG) >= 4


def test_each_rule_says_what_it_is() -> None:
    listed = [*WRONG, *AWKWARD]
    assert len({case.name for case in listed}) == len(listed)
    for case in listed:
        docstring = case.build.__doc__
        assert docstring and docstring.endswith(".") and "\n" not in docstring, case.name
    for planted in WRONG:
        assert sum(x.size for x in planted.build().inputs) < 500, planted.name


# ----------------------------------------------------------------------------------------------------- the awkward ones


@pytest.mark.parametrize("planted", AWKWARD, ids=lambda planted: planted.name)
def test_the_awkward_function_is_right(planted: Awkward) -> None:
    case = planted.build()
    cotangents = [dy.astype(y.dtype) for y in values(case, case.inputs) for dy in random_like([y], 0)]
    by_rule = gradients(case, cotangents)
    expected = None if case.analytic is None else filled(case.analytic(*cotangents, *case.inputs), case.inputs)
    for which, x in enumerate(case.inputs):
        if x.dtype.kind != "f":
            continue
        if expected is not None:
            rtol = 1e-5 if x.dtype == np.float32 else 1e-9
            np.testing.assert_allclose(by_rule[which], expected[which], rtol=rtol, atol=0)
        else:
            numeric = slopes(lambda arrays: values(case, arrays), case.inputs, which, cotangents)
            atol = 1e-6 * np.abs(numeric).max(initial=0.0)
            np.testing.assert_allclose(by_rule[which], numeric, rtol=1e-5, atol=atol)


def test_there_are_enough_awkward_functions() -> None:
    assert len(AWKWARD) >= 24
