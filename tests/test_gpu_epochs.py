"""TrainingRun on a GPU, over the stand-in: losses are read sixteen at a time, and a NaN undoes what came after it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import numpy as np
import pytest
from cupy_backend import fresh_backend
from stand_in import counting

import minigrad
from minigrad import nn, optim
from minigrad.data import ArrayDataset, DataLoader
from minigrad.train import NonFiniteLoss, TrainingRun, TrainingStep

if shutil.which("g++") is None:
    pytest.skip("needs g++ to run CUDA code on the CPU", allow_module_level=True)


@pytest.fixture(autouse=True)
def cupy_is_there() -> Iterator[None]:
    with fresh_backend():
        yield


def training_run(backend: str, images: int = 40 * 4, nan_at: int | None = None) -> TrainingRun:
    """Steps of four images with momentum and dropout; image `nan_at` is NaN."""
    rng = np.random.default_rng(0)
    data = rng.standard_normal((images, 3, 2)).astype("float32")
    if nan_at is not None:
        data[nan_at] = np.nan
    dataset = ArrayDataset(data, rng.integers(0, 3, images)).to(backend)
    with minigrad.use_backend(backend):
        minigrad.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(6, 8), nn.Dropout(0.25), nn.Linear(8, 3))
    sgd = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return TrainingRun(model, sgd, DataLoader(dataset, 4), DataLoader(dataset.take(8), 8))


def steps_of(run: TrainingRun, epochs: int = 1) -> list[TrainingStep]:
    steps: list[TrainingStep] = []
    for _ in run.epochs(epochs, on_step=steps.append):
        pass
    return steps


def weights(run: TrainingRun) -> list[np.ndarray]:
    return [parameter.numpy() for parameter in run.model.parameters()]


def test_every_loss_is_told_and_is_that_of_the_cpu() -> None:
    runs, told = [], []
    for backend in ("numpy", "cupy"):
        runs.append(training_run(backend))
        told.append(steps_of(runs[-1], 2))
    expected, steps = told
    assert [step[:3] for step in steps] == [step[:3] for step in expected]
    np.testing.assert_allclose([step.loss for step in steps], [step.loss for step in expected], rtol=1e-5)
    for actual, wanted in zip(*map(weights, runs), strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-5)
    assert [epoch.train_loss for epoch in runs[1].history] == pytest.approx(
        [epoch.train_loss for epoch in runs[0].history], rel=1e-5
    )


def test_losses_are_read_sixteen_at_a_time() -> None:
    run, told = training_run("cupy"), []
    next(run.epochs(1))
    waits = []
    with counting() as counts:
        for _ in run.epochs(2, on_step=lambda step: (told.append(step.number), waits.append(counts.synchronisations))):
            break
    assert told == list(range(1, 41))
    assert waits == [16] * 16 + [32] * 16 + [40] * 8


@pytest.mark.parametrize("step", [1, 2, 16, 17, 31, 40])
def test_a_nan_ends_the_run_as_on_the_cpu(step: int) -> None:
    runs, states = [], []
    for backend in ("numpy", "cupy"):
        runs.append(run := training_run(backend, nan_at=4 * (step - 1) + 1))
        told: list[int] = []
        with pytest.raises(NonFiniteLoss, match=f"epoch 1, step {step} of 40; .* was in the images of the batch"):
            next(run.epochs(1, on_step=lambda step, told=told: told.append(step.number)))
        assert told == list(range(1, step))
        states.append(minigrad.random.default_generator().bit_generator.state)
        assert all(np.isfinite(values).all() for values in weights(run))
    assert states[0] == states[1]
    for actual, wanted in zip(*map(weights, runs), strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-5)
    momenta = [[v["momentum_buffer"] for v in run.optimizer.state.values()] for run in runs]
    for wanted, actual in zip(*momenta, strict=True):
        np.testing.assert_allclose(actual.get(), wanted, rtol=1e-4, atol=1e-5)
