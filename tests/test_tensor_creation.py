"""Functions that make tensors: constants, ranges, random numbers; and the generator that those are drawn from."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad
from minigrad import Tensor

pytestmark = pytest.mark.usefixtures("on_backend")


@pytest.mark.parametrize(
    ("make", "expected", "dtype"),
    [
        (lambda: minigrad.tensor([1.0, 2.0]), [1.0, 2.0], "float32"),
        (lambda: minigrad.tensor([1], "float64"), [1.0], "float64"),
        (lambda: minigrad.zeros(2, 1), [[0.0], [0.0]], "float32"),
        (lambda: minigrad.zeros((2,)), [0.0, 0.0], "float32"),
        (lambda: minigrad.zeros([1, 1]), [[0.0]], "float32"),
        (lambda: minigrad.zeros(), 0.0, "float32"),
        (lambda: minigrad.zeros(0, 2), np.zeros((0, 2)), "float32"),
        (lambda: minigrad.zeros(np.int64(1), dtype="int64"), [0], "int64"),
        (lambda: minigrad.ones(2), [1.0, 1.0], "float32"),
        (lambda: minigrad.ones(1, dtype=bool), [True], "bool"),
        (lambda: minigrad.ones(1, dtype="float64"), [1.0], "float64"),
        (lambda: minigrad.full((2,), 7), [7, 7], "int64"),
        (lambda: minigrad.full((2,), 7.5), [7.5, 7.5], "float32"),
        (lambda: minigrad.full(2, True), [True, True], "bool"),
        (lambda: minigrad.full((), 7, "float64"), 7.0, "float64"),
        (lambda: minigrad.full((1,), np.float64(0.1)), [0.1], "float64"),
        (lambda: minigrad.arange(3), [0, 1, 2], "int64"),
        (lambda: minigrad.arange(1, 7, 2), [1, 3, 5], "int64"),
        (lambda: minigrad.arange(3, 0, -1), [3, 2, 1], "int64"),
        (lambda: minigrad.arange(0), [], "int64"),
        (lambda: minigrad.arange(0.0, 1.0, 0.25), [0.0, 0.25, 0.5, 0.75], "float32"),
        (lambda: minigrad.arange(2, dtype="float64"), [0.0, 1.0], "float64"),
        (lambda: minigrad.zeros_like(Tensor([[1, 2]])), [[0, 0]], "int64"),
        (lambda: minigrad.ones_like(Tensor(np.array([1.0, 2.0]))), [1.0, 1.0], "float64"),
    ],
)
def test_constants_and_ranges(make, expected, dtype) -> None:
    x = make()
    assert x.dtype == dtype
    np.testing.assert_array_equal(x.numpy(), np.array(expected, dtype))
    assert not x.requires_grad


@pytest.mark.parametrize("make", [minigrad.zeros, minigrad.ones, minigrad.rand, minigrad.randn])
def test_creation_takes_requires_grad_dtype_and_backend(make) -> None:
    x = make(2, 3, dtype="float64", requires_grad=True, backend="numpy")
    assert (x.shape, x.dtype, x.requires_grad, x.backend.name) == ((2, 3), "float64", True, "numpy")


def test_likes_take_shape_dtype_and_backend_but_no_gradient() -> None:
    x = Tensor(np.ones((2, 1)), requires_grad=True, backend="numpy")
    for y in (minigrad.zeros_like(x), minigrad.ones_like(x)):
        assert (y.shape, y.dtype, y.backend, y.requires_grad) == ((2, 1), x.dtype, x.backend, False)


# ------------------------------------------------------------------------------------------------------- random numbers


@pytest.mark.parametrize(
    "draw",
    [
        lambda: minigrad.rand(100),
        lambda: minigrad.randn(100),
        lambda: minigrad.randint(0, 1000, 100),
        lambda: minigrad.dropout(minigrad.ones(100)),
    ],
)
def test_a_seed_gives_the_same_numbers_and_the_next_ones_differ(draw) -> None:
    minigrad.manual_seed(7)
    first, second = draw().tolist(), draw().tolist()
    minigrad.manual_seed(7)
    assert draw().tolist() == first
    assert first != second


def test_random_numbers_have_the_distribution_they_promise() -> None:
    minigrad.manual_seed(0)
    uniform, normal, whole = (
        minigrad.rand(100, 100).data,
        minigrad.randn(100, 100).data,
        minigrad.randint(-2, 3, (50, 50)).data,
    )
    assert (uniform.min() >= 0, uniform.max() < 1) == (True, True)
    assert abs(uniform.mean() - 0.5) < 0.02
    assert abs(normal.mean()) < 0.05
    assert abs(normal.std() - 1) < 0.05
    assert set(whole.ravel().tolist()) == {-2, -1, 0, 1, 2}


def test_the_state_of_the_generator_can_be_put_back() -> None:
    minigrad.manual_seed(1)
    state = minigrad.default_generator().bit_generator.state
    first = minigrad.rand(3).tolist()
    minigrad.default_generator().bit_generator.state = state
    assert minigrad.rand(3).tolist() == first


@pytest.mark.parametrize(
    ("seed", "kind", "message"),
    [
        (-1, ValueError, "manual_seed: the seed must be 0 or more, got -1"),
        (1.5, TypeError, r"manual_seed: the seed must be an integer, got 1\.5"),
        (True, TypeError, "manual_seed: the seed must be an integer, got True"),
        ("x", TypeError, "manual_seed: the seed must be an integer, got 'x'"),
    ],
)
def test_wrong_seeds(seed, kind, message) -> None:
    with pytest.raises(kind, match=message):
        minigrad.manual_seed(seed)
