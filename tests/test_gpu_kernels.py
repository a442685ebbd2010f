"""The cupy backend's kernels where those of other backends have no such case: blocks, 64-bit indices, layouts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from cupy_backend import fresh_backend
from hypothesis import given
from hypothesis import strategies as st
from placing import KernelsOnHost
from stand_in import cupy
from test_kernels import KERNELS, arguments, as_arrays

if shutil.which("g++") is None:
    pytest.skip("needs g++ to run CUDA code on the CPU", allow_module_level=True)


@pytest.fixture(scope="module", autouse=True)
def cuda() -> Iterator[ModuleType]:
    """The kernels over the stand-in, where there is a GPU, too."""
    with fresh_backend() as backend:
        yield backend.kernels


def bits(results: Any) -> list[bytes]:
    return [b"" if r is None else r.tobytes() for r in (results if isinstance(results, tuple) else (results,))]


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(data=st.data())
def test_neither_the_size_of_a_block_nor_of_an_index_changes_a_bit(name: str, dtype: str, cuda, data) -> None:
    kernel = getattr(KernelsOnHost("cupy"), name)
    args = as_arrays(data.draw(arguments(KERNELS[name][0])), dtype)
    expected = bits(kernel(*args))
    for changed in ({"THREADS": 3}, {"INT_COUNTS": 0}):
        with pytest.MonkeyPatch.context() as patch:
            for constant, value in changed.items():
                patch.setattr(cuda.compiler, constant, value)
            assert bits(kernel(*args)) == expected


def test_the_relu_of_minus_zero_is_zero() -> None:
    assert not np.signbit(KernelsOnHost("cupy").relu(np.array([-0.0, 0.0]))).any()


def numbers(*shape: int) -> Any:
    return cupy.asarray(np.arange(np.prod(shape), dtype=np.float32).reshape(shape))


def test_activations_lie_in_memory_as_their_first_argument_does(cuda) -> None:
    rows, turned = numbers(2, 3, 4, 5), numbers(3, 4, 5, 2).transpose(3, 0, 1, 2)
    for first in (rows, turned):
        for second in (rows, turned):
            for result in (cuda.relu(first), cuda.relu_grad(first, second), cuda.sigmoid_grad(first, second)):
                assert result.strides == first.strides


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_images_are_gathered_by_every_other_index(dtype: str, cuda) -> None:
    images, indices = numbers(5, 1, 2, 3).astype(dtype), cupy.asarray(np.array([4, 0, 1, 0, 3]))
    batch = cuda.gather_images(images, indices[::2])
    expected = images.get()[[4, 1, 3]] / np.float32(255 if dtype == "uint8" else 1)
    np.testing.assert_array_equal(batch.get(), expected)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "int64"])
def test_indices_of_any_integer_dtype_fetch_the_same_images(dtype: str, cuda) -> None:
    """A kernel would read two indices of 32 bits as one of 64."""
    batch = cuda.gather_images(numbers(5, 1, 2, 3), cupy.asarray(np.array([4, 0, 1], dtype)))
    np.testing.assert_array_equal(batch.get(), numbers(5, 1, 2, 3).get()[[4, 0, 1]])
