"""The CUDA kernels' own source, run on the CPU: every one against naive loops, on drawn shapes."""

from __future__ import annotations

import shutil
from types import ModuleType

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from test_kernels import KERNELS, arguments, assert_close, assert_equals_its_loops_and_is_pure, each_dtype

if shutil.which("g++") is None:
    pytest.skip("needs g++ to run CUDA code on the CPU", allow_module_level=True)

from over_numpy import cupy_kernels


@pytest.fixture(scope="module")
def cuda() -> ModuleType:
    return cupy_kernels()


@pytest.mark.parametrize("name", KERNELS)
@each_dtype
@given(data=st.data())
def test_cuda_kernels_equal_their_loops_and_are_pure(name: str, dtype: str, cuda: ModuleType, data) -> None:
    draw, loops = KERNELS[name]
    assert_equals_its_loops_and_is_pure(getattr(cuda, name), loops, data.draw(arguments(draw)), dtype)


@each_dtype
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [((2, 2), (2, 2), (0, 0)), ((3, 2), (1, 2), (1, 1)), ((3, 5), (2, 2), (1, 2)), ((2, 3), (3, 3), (1, 1))],
)
def test_max_pooling_of_ties_nan_and_infinities(dtype: str, kernel, stride, padding, cuda: ModuleType) -> None:
    values = [0.0, 1.0, -np.inf, -np.inf, np.inf, np.nan]
    x = np.random.default_rng(0).choice(values, (9, 2, 5, 7)).astype(dtype)
    y, winners = cuda.max_pool2d(x, kernel, stride, padding)
    expected, places = reference.max_pool2d_with_winners(x.astype(float), kernel, stride, padding)
    np.testing.assert_array_equal(y, expected.astype(dtype))
    np.testing.assert_array_equal(winners, places)


@each_dtype
def test_more_numbers_than_a_block_has_threads(dtype: str, cuda: ModuleType) -> None:
    rng = np.random.default_rng(0)
    x, logits = rng.standard_normal((3, 2, 31, 29)).astype(dtype), rng.standard_normal((5, 70)).astype(dtype)
    assert_close(cuda.relu(x), np.maximum(x, 0), dtype)
    assert_close(cuda.channel_sum(x), x.sum(axis=(0, 2, 3)), dtype)
    losses, probabilities = cuda.softmax_cross_entropy(logits, np.array([0, 69, 5, 33, 1]))
    assert_close(probabilities.sum(axis=1), np.ones(5), dtype)
    assert_close(losses, -np.log(probabilities[np.arange(5), [0, 69, 5, 33, 1]]), dtype)


def test_huge_logits_do_not_overflow(cuda: ModuleType) -> None:
    losses, probabilities = cuda.softmax_cross_entropy(np.array([[1e4, 0.0, -1e4]]), np.array([1]))
    assert losses.tolist() == [1e4]
    assert probabilities.tolist() == [[1.0, 0.0, 0.0]]
