"""LeNet-5 on the cupy backend learns what it learns on the numpy backend: step by step, and from the example."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import stand_in
from test_example_lenet import RESULTS, few_images, subprocess_of_the_example

import minigrad
from minigrad.data import DataLoader
from minigrad.models import VARIANTS, lenet5
from minigrad.optim import SGD
from minigrad.train import TrainingRun

INSTALL = f"""
import sys
sys.path.insert(0, {str(Path(stand_in.__file__).parent)!r})
import stand_in
stand_in.install()
"""


@pytest.fixture(autouse=True)
def _needs_cupy(backends: list[str]) -> None:
    if "cupy" not in backends:
        pytest.skip("the cupy backend cannot be used on this machine; the report's header says why")


def an_epoch(backend: str, variant: str) -> tuple[list[float], tuple[float, ...]]:
    """The loss of each step, then the epoch's mean loss, and the loss and the accuracy on the test set."""
    with minigrad.use_backend(backend):
        minigrad.manual_seed(0)
        model = lenet5(variant)
        loaders = DataLoader(few_images(True), 20, shuffle=True), DataLoader(few_images(False), 150)
        run = TrainingRun(model, SGD(model.parameters(), lr=0.1), *loaders)
        steps: list[float] = []
        (epoch,) = run.epochs(1, on_step=lambda step: steps.append(step.loss))
    return steps, (epoch.train_loss, epoch.test_loss, epoch.test_accuracy)


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_epoch_has_the_losses_that_it_has_on_the_numpy_backend(variant: str) -> None:
    steps, epoch = an_epoch("cupy", variant)
    expected_steps, expected_epoch = an_epoch("numpy", variant)
    assert len(steps) == 15
    np.testing.assert_allclose(steps, expected_steps, rtol=0, atol=1e-5)
    np.testing.assert_allclose(epoch, expected_epoch, rtol=0, atol=1e-5)


def test_the_example_runs_unchanged_and_ends_where_it_ends_on_the_numpy_backend(tmp_path: Path) -> None:
    over_stand_in = sys.modules["cupy"] is stand_in.cupy
    for backend in ("numpy", "cupy"):
        arguments = f"--backend {backend} --epochs 1 --batch-size 60 --out {backend}"
        prelude = INSTALL if backend == "cupy" and over_stand_in else ""
        process = subprocess_of_the_example(arguments, tmp_path, prelude)
        out, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")
        assert "300 images to train on" in out and "epoch  1  train loss" in out
        assert set(RESULTS) == {path.name for path in (tmp_path / backend).iterdir()}
    on_gpu, expected = (
        np.loadtxt(tmp_path / backend / "metrics.csv", delimiter=",", skiprows=1) for backend in ("cupy", "numpy")
    )
    np.testing.assert_allclose(on_gpu[:4], expected[:4], rtol=0, atol=1e-5)  # all but the seconds
