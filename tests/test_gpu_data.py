"""A training set that lies on the GPU, over the stand-in: batches are gathered there, and nothing is sent."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import numpy as np
import pytest
from cupy_backend import fresh_backend
from stand_in import counting, cupy

import minigrad
from minigrad.data import ArrayDataset, DataLoader

if shutil.which("g++") is None:
    pytest.skip("needs g++ to run CUDA code on the CPU", allow_module_level=True)


@pytest.fixture(autouse=True)
def cupy_is_there() -> Iterator[None]:
    with fresh_backend():
        yield


def dataset(dtype: str = "uint8") -> ArrayDataset:
    images = np.random.default_rng(0).integers(0, 256, (20, 5, 4))
    return ArrayDataset((images / 256 if dtype == "float32" else images).astype(dtype), np.arange(20))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_batches_made_on_the_gpu_are_those_made_on_the_host(dtype: str) -> None:
    on_host = dataset(dtype)
    on_gpu = on_host.to("cupy")
    for indices in ([3, 0, -1, 3], range(20), []):
        images, labels = on_gpu.batch(indices)
        expected_images, expected_labels = on_host.batch(indices)
        assert isinstance(images, cupy.ndarray) and isinstance(labels, cupy.ndarray)
        np.testing.assert_array_equal(images.get(), expected_images)
        np.testing.assert_array_equal(labels.get(), expected_labels)
    assert isinstance(on_gpu.images, np.ndarray) and on_gpu[3][1] == 3
    assert on_gpu.take(2).backend is on_gpu.backend
    with pytest.raises(IndexError, match="out of range for 20 samples, got 0 to 20"):
        on_gpu.batch([0, 20])


def test_an_epoch_sends_its_order_once_and_each_batch_takes_two_launches() -> None:
    loader = DataLoader(dataset().to("cupy"), 8, shuffle=True, generator=np.random.default_rng(0))
    expected = DataLoader(dataset(), 8, shuffle=True, generator=np.random.default_rng(0))
    with counting() as counts:
        batches = list(loader)
    assert (counts.transfers, counts.synchronisations, counts.launches) == (1, 0, 2 * 3)
    for (images, labels), (wanted_images, wanted_labels) in zip(batches, expected, strict=True):
        assert images.backend.name == labels.backend.name == "cupy"
        np.testing.assert_array_equal(images.numpy(), wanted_images.numpy())
        np.testing.assert_array_equal(labels.numpy(), wanted_labels.numpy())


def test_the_first_convolution_takes_a_batch_as_it_lies() -> None:
    (images, _), weight = next(iter(DataLoader(dataset().to("cupy"), 8))), minigrad.ones(2, 1, 3, 3).to("cupy")
    with counting() as counts:
        minigrad.conv2d(images, weight)
    assert counts.names == ["im2col", "matmul"]
