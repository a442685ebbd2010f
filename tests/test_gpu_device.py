"""What only an NVIDIA GPU can show; everything else runs on it like on any backend. `pytest -m gpu` runs both.

Where no GPU is usable these are skipped, and say why.
"""

from __future__ import annotations

import functools
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import conftest
import numpy as np
import oracle
import pytest
from refusals import REFUSALS, REFUSALS_ON_A_DEVICE, Refusal

import minigrad as mg
from minigrad import models, nn, optim
from minigrad.backends import get_backend

pytestmark = pytest.mark.gpu

MANY = 2**31 + 1000  # more elements than an int counts
PROBE = "from minigrad.backends import get_backend; get_backend('cupy').check_usable()"


@functools.cache
def why_no_gpu() -> str | None:
    """Asked in a process of its own, where no stand-in is."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROBE], capture_output=True, text=True, cwd=Path(__file__).parents[1]
    )
    if run.returncode:
        return run.stderr.strip().splitlines()[-1].partition(": ")[2]
    return "CuPy is a stand-in here, though a GPU is usable" if conftest.ON_STAND_IN else None


@pytest.fixture(autouse=True)
def cupy() -> Iterator[Any]:
    """The real module; its memory is given back, as others need it."""
    if reason := why_no_gpu():
        pytest.skip(reason)
    cupy = importlib.import_module("cupy")
    with mg.use_backend("cupy"):
        yield cupy
    cupy.get_default_memory_pool().free_all_blocks()


@pytest.mark.parametrize("refusal", [*REFUSALS, *REFUSALS_ON_A_DEVICE], ids=lambda refusal: refusal.call)
def test_cupy_refuses_what_the_stand_in_refuses(refusal: Refusal, cupy: Any) -> None:
    assert oracle.refusal_difference(oracle.Package(cupy, cupy.asarray), refusal) is None


def training(steps: int, variant: str) -> tuple[list[float], list[np.ndarray]]:
    """The losses of some steps of LeNet-5, and the parameters after them."""
    mg.manual_seed(0)
    random = np.random.default_rng(0)
    model = models.lenet5(variant)
    sgd = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(steps):
        x, labels = mg.tensor(random.random((64, 1, 28, 28), dtype=np.float32)), mg.tensor(random.integers(0, 10, 64))
        loss = nn.functional.cross_entropy(model(x), labels)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses.append(loss.item())
    return losses, [parameter.numpy() for parameter in model.parameters()]


@pytest.mark.parametrize("variant", models.VARIANTS)
def test_training_gives_the_same_bits_each_time_and_the_reference_s_numbers(variant: str) -> None:
    losses, parameters = training(10, variant)
    for _ in range(3):
        again, others = training(10, variant)
        assert again == losses
        for one, other in zip(parameters, others, strict=True):
            np.testing.assert_array_equal(one, other)
    with mg.use_backend("numpy"):
        expected, _ = training(10, variant)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:cupyx.allow_synchronize will be removed")
def test_a_training_step_never_waits_for_the_device() -> None:
    """CuPy raises an error where it would wait."""
    allow_synchronize = importlib.import_module("cupyx").allow_synchronize
    model = models.lenet5()
    sgd = optim.SGD(model.parameters(), lr=0.1)
    x, labels = mg.tensor(np.ones((8, 1, 28, 28), np.float32)), mg.tensor(np.arange(8))
    for allowed in (True, False):  # the first time compiles
        with allow_synchronize(allowed):
            loss = nn.functional.cross_entropy(model(x), labels)
            sgd.zero_grad()
            loss.backward()
            sgd.step()


@pytest.mark.skipif("CUPY_TF32" in os.environ, reason="CUPY_TF32 asks for less")
@pytest.mark.parametrize("shape", [(64, 64), (2, 64, 64)])
def test_products_of_float32_are_not_rounded_to_tf32(shape: tuple[int, ...]) -> None:
    """TF32 has 11 bits, and would make 1 of 1 + 2^-12."""
    x = mg.full(shape, 1 + 2**-12)
    np.testing.assert_allclose((x @ x).numpy(), 64 * (1 + 2**-12) ** 2, rtol=1e-6)


@pytest.mark.parametrize("name", ["relu", "channel_sum", "avg_pool2d"])
def test_more_elements_than_an_int_counts(name: str, cupy: Any) -> None:
    gib = 2 * MANY * 4 / 2**30
    free, _ = cupy.cuda.runtime.memGetInfo()
    if free / 2**30 < gib + 1:
        pytest.skip(f"needs {gib + 1:.0f} GiB of the GPU's memory, {free / 2**30:.0f} are free")
    kernels = get_backend("cupy").kernels

    def channel_sum(x: Any) -> Any:
        sums = cupy.empty(1, x.dtype)
        kernels.conv._channel_sum(1, x, sums, kernels.compiler.Count(MANY))
        return sums[0]

    calls = {
        "relu": lambda x: kernels.relu(x)[-1],
        "channel_sum": channel_sum,
        "avg_pool2d": lambda x: (
            2 * kernels.avg_pool2d(x.reshape(1, 1, -1, 2), (1, 2), (1, 2), (0, 0), True)[0, 0, -1, 0]
        ),
    }
    x = cupy.zeros(MANY, cupy.float32)
    x[-1] = 3.0
    assert float(calls[name](x)) == 3.0


def test_after_running_out_of_memory_all_works_as_before(cupy: Any) -> None:
    _, total = cupy.cuda.runtime.memGetInfo()
    x = mg.ones((2, 2), requires_grad=True)
    with pytest.raises(cupy.cuda.memory.OutOfMemoryError, match="Out of memory allocating"):
        mg.zeros((2, total // 8))
    (x @ x).sum().backward()
    assert x.grad.tolist() == [[4.0, 4.0], [4.0, 4.0]]
