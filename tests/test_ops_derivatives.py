"""Every operation's first and second derivatives against differences of function values, in float64.

The functions differentiated are the operations themselves: test_ops_forward.py shows that those are right.
"""

from __future__ import annotations

import numerical
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_cases import CASES, Case, Example, cotangent

import minigrad
from minigrad import Tensor
from minigrad.autograd.engine import topological_order

SMALL = 12  # the largest number of elements for which whole gradients are computed by differences

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def assert_derivative(actual: float, numeric: float, scale: float) -> None:
    assert actual == pytest.approx(numeric, rel=1e-7, abs=1e-8 * max(1.0, abs(scale)))


def as_tensor(array: np.ndarray, like: Tensor) -> Tensor:
    """A leaf with these values, and the dtype and backend of the other."""
    return Tensor(array, like.dtype, requires_grad=True, backend=like.backend)


def directions(arrays: list[np.ndarray], seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(-16, 17, array.shape) / 16 for array in arrays]


def inner(arrays: list[np.ndarray], others: list[np.ndarray]) -> float:
    return float(sum(np.sum(np.asarray(a, float) * b) for a, b in zip(arrays, others, strict=True)))


@each_case
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_first_derivatives(case: Case, backend: str, data, seed: int) -> None:
    example = data.draw(case.examples(smooth=True))
    inputs = case.tensors(example, "float64", backend)
    y = case.op(*inputs, **example.parameters)
    dy = cotangent(y, seed)
    gradients = [gradient.numpy() for gradient in minigrad.grad(y, inputs, dy)]
    assert y.size > 0, "nothing to differentiate: the example is too small"

    def weighted(*arrays: np.ndarray) -> float:
        tensors = [Tensor(array, backend=backend) for array in arrays]
        return inner([case.op(*tensors, **example.parameters).numpy()], [dy.numpy()])

    at = [drawn.values for drawn in example.arrays]
    direction = directions(at, seed)
    numeric = numerical.directional_derivative(weighted, at, direction)
    assert_derivative(inner(gradients, direction), numeric, weighted(*at))
    if sum(x.size for x in at) <= SMALL:
        for gradient, expected in zip(gradients, numerical.gradient(weighted, at), strict=True):
            np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-8 * max(1.0, abs(weighted(*at))))


@each_case
@given(data=st.data(), create_graph=st.booleans())
def test_gradients_share_no_memory(case: Case, backend: str, data, create_graph: bool) -> None:
    """Neither with each other nor with anything that was there before: whoever scales one scales nothing else."""
    example = data.draw(case.examples(smooth=True))
    inputs = case.tensors(example, "float64", backend)
    y = case.op(*inputs, **example.parameters)
    dy = cotangent(y, 0)
    y.backward(dy, retain_graph=True, create_graph=create_graph)
    saved = [array for node in topological_order([y]) for array in (*node._arrays, *(t.data for t in node.outputs))]
    arrays = [dy.data, *saved, *(t.data for x in inputs for t in (x, x.grad))]
    for gradient in (x.grad.data for x in inputs):
        others = [array for array in arrays if array is not gradient]
        assert len(arrays) - len(others) == 1
        assert not any(np.shares_memory(gradient, array) for array in others if type(array) is type(gradient))


@each_case
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_second_derivatives(case: Case, backend: str, data, seed: int) -> None:
    """Of y by x along v, as a function of x and of the cotangent dy: G(x, dy) = <dy, dy/dx v>."""
    example = data.draw(case.examples(smooth=True))
    inputs = case.tensors(example, "float64", backend)
    y = case.op(*inputs, **example.parameters)
    dy = cotangent(y, seed).requires_grad_()
    along = directions([x.data for x in inputs], seed + 1)

    gradients = minigrad.grad(y, inputs, dy, create_graph=True)
    slope = sum_of_products(gradients, along)
    assert slope.requires_grad, "the gradient does not depend on dy, so its rule was not recorded"
    variables = [*inputs, dy]
    second = minigrad.grad(slope, variables, allow_unused=True)
    assert second[-1] is not None
    second_arrays = [np.zeros(x.shape) if g is None else g.numpy() for x, g in zip(variables, second, strict=True)]

    def first_derivative(*arrays: np.ndarray) -> float:
        *xs, seed_array = (as_tensor(array, like) for array, like in zip(arrays, variables, strict=True))
        output = case.op(*xs, **example.parameters)
        return inner([g.numpy() for g in minigrad.grad(output, xs, seed_array.detach())], along)

    at = [*(drawn.values for drawn in example.arrays), dy.numpy().astype(float)]
    direction = directions(at, seed + 2)
    numeric = numerical.directional_derivative(first_derivative, at, direction)
    assert_derivative(inner(second_arrays, direction), numeric, first_derivative(*at))


def sum_of_products(tensors: tuple[Tensor, ...], arrays: list[np.ndarray]) -> Tensor:
    terms = [(t * as_tensor(array, t).detach()).sum() for t, array in zip(tensors, arrays, strict=True)]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_gradients_are_the_same_when_only_some_are_wanted(case: Case, backend: str, data, seed: int) -> None:
    example: Example = data.draw(case.examples(smooth=True))
    everything = case.tensors(example, "float64", backend)
    y = case.op(*everything, **example.parameters)
    expected = minigrad.grad(y, everything, cotangent(y, seed))

    wanted = data.draw(st.lists(st.booleans(), min_size=len(everything), max_size=len(everything)).filter(any))
    inputs = case.tensors(example, "float64", backend, requires_grad=False)
    for tensor, flag in zip(inputs, wanted, strict=True):
        tensor.requires_grad_(flag)
    case.op(*inputs, **example.parameters).backward(cotangent(y, seed))
    for tensor, gradient, flag in zip(inputs, expected, wanted, strict=True):
        if flag:
            np.testing.assert_array_equal(tensor.grad.numpy(), gradient.numpy())
        else:
            assert tensor.grad is None


def test_the_differences_reject_a_wrong_gradient() -> None:
    def f(x: np.ndarray) -> float:
        return float(np.sum(x**3))

    at, direction = [np.array([1.0, 2.0])], [np.array([1.0, -1.0])]
    right = inner([3 * at[0] ** 2], direction)
    assert_derivative(right, numerical.directional_derivative(f, at, direction), f(*at))
    with pytest.raises(AssertionError):
        assert_derivative(1.00001 * right, numerical.directional_derivative(f, at, direction), f(*at))
    np.testing.assert_allclose(numerical.gradient(f, at)[0], 3 * at[0] ** 2, rtol=1e-10)
