"""Every operation's forward pass against its loop reference, whatever the inputs' shapes, strides and dtype.

The rows are in op_cases.py, the references in reference.py.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from op_cases import CASES, Case, cotangent

import minigrad
from minigrad import Tensor

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def assert_close(actual: np.ndarray, expected: np.ndarray, dtype: str) -> None:
    """Equal to some hundred units in the last place of the largest number around."""
    largest = np.abs(expected).max(initial=1.0)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=256 * np.finfo(dtype).eps * largest)


@each_case
@each_dtype
@given(data=st.data())
def test_forward_equals_the_reference(case: Case, dtype: str, backend: str, data) -> None:
    example = data.draw(case.examples(smooth=False))
    inputs = case.tensors(example, dtype, backend, requires_grad=False)
    y = case.op(*inputs, **example.parameters)
    expected = case.expected(example)
    assert y.shape == expected.shape
    assert not case.keeps_dtype or y.dtype == dtype
    assert_close(y.numpy(), expected, min(dtype, y.dtype.name))


@each_case
@each_dtype
@given(data=st.data())
def test_gradients_keep_shape_and_dtype_and_inputs_keep_their_bytes(case: Case, dtype: str, backend: str, data) -> None:
    example = data.draw(case.examples(smooth=False))
    inputs = case.tensors(example, dtype, backend)
    saved = [tensor.numpy() for tensor in inputs]
    y = case.op(*inputs, **example.parameters)
    seed = cotangent(y, 0)
    output_before, seed_before = y.numpy(), seed.numpy()
    for x, gradient in zip(inputs, minigrad.grad(y, inputs, seed), strict=True):
        assert (gradient.shape, gradient.dtype) == (x.shape, x.dtype)
        assert gradient.backend is x.backend
        assert np.isfinite(gradient.data).all()
    for x, before in zip(inputs, saved, strict=True):
        assert x.numpy().tobytes() == before.tobytes()
    assert y.numpy().tobytes() == output_before.tobytes()
    assert seed.numpy().tobytes() == seed_before.tobytes()


@each_case
@given(data=st.data())
def test_all_backends_agree(case: Case, backends: list[str], data) -> None:
    if len(backends) < 2:
        pytest.skip("there is one backend on this machine")
    example = data.draw(case.examples(smooth=False))
    results = []
    for name in backends:
        inputs = case.tensors(example, "float32", name)
        y = case.op(*inputs, **example.parameters)
        results.append([y, *minigrad.grad(y, inputs, cotangent(y, 0))])
    for other in results[1:]:
        for first, second in zip(results[0], other, strict=True):
            assert_close(second.numpy(), first.numpy(), "float32")


@each_case
@settings(max_examples=4)
@given(data=st.data())
def test_without_inputs_that_require_gradients_nothing_is_recorded(case: Case, backend: str, data) -> None:
    example = data.draw(case.examples(smooth=False))
    y: Tensor = case.op(*case.tensors(example, "float32", backend, requires_grad=False), **example.parameters)
    assert not y.requires_grad
    assert y.grad_fn is None
