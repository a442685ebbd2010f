"""What the doctor must not say of models that are well, and what it must tell apart: losses, scales, zeros."""

from __future__ import annotations

import numpy as np
import pytest
from test_doctor import blobs
from test_doctor_findings import IMAGES, LABELS, chain, codes

from minigrad import Tensor, cross_entropy, log_softmax, mse_loss, nn, softmax
from minigrad.diagnosis import Diagnosis, Finding, doctor

X, Y = blobs()
rng = np.random.default_rng(0)
INPUTS = rng.normal(size=(40, 5)).astype(np.float32)
TARGETS = (INPUTS[:, :1] - INPUTS[:, 1:2]) / np.sqrt(np.float32(2))


def classifier(seed: int = 0) -> nn.Sequential:
    return chain(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10), seed=seed)


def regressor(*more: nn.Module, seed: int = 0) -> nn.Sequential:
    return chain(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 1), *more, seed=seed)


def found(diagnosis: Diagnosis, code: str) -> Finding:
    (finding,) = [finding for finding in diagnosis.findings if finding.code == code]
    return finding


# -- losses that nothing is known of -------------------------------------------------------------------------------


def test_a_loss_below_0_is_not_learned_at_the_start():
    result = doctor(classifier(), (IMAGES, LABELS), lambda y, t: -softmax(y, axis=1).max(axis=1).mean()).overfit
    assert result.steps > 50 and result.start > -0.5 and result.end < -0.9


def test_a_loss_that_cannot_fall_is_not_learned():
    diagnosis = doctor(chain(nn.Linear(5, 1)), (INPUTS, TARGETS), lambda y, t: y.mean() * 0.0 + 1.0)
    assert not diagnosis.overfit.succeeded and "no-overfit" in codes(diagnosis)
    diagnosis = doctor(chain(nn.Linear(5, 1)), (INPUTS, TARGETS), lambda y, t: y.mean() * 0.0 - 1.0)
    assert not diagnosis.overfit.succeeded and "no-overfit" in codes(diagnosis)


def test_a_loss_without_a_floor_is_on_its_way():
    diagnosis = doctor(chain(nn.Linear(5, 1)), (INPUTS, TARGETS), lambda y, t: y.mean())
    assert not diagnosis.overfit.succeeded and "it is on its way" in found(diagnosis, "no-overfit").action


def smoothed(y: Tensor, t: Tensor) -> Tensor:
    return cross_entropy(y, t) * 0.9 - log_softmax(y, axis=1).mean() * 0.1


@pytest.mark.parametrize("seed", range(3))
def test_a_loss_that_came_to_rest_at_a_floor_above_0_is_learned(seed):
    diagnosis = doctor(regressor(seed=seed), (INPUTS, TARGETS), lambda y, t: mse_loss(y, t) + 1.0)
    assert diagnosis.overfit.succeeded and diagnosis.well, diagnosis
    diagnosis = doctor(classifier(seed), (IMAGES, LABELS), smoothed)
    assert diagnosis.overfit.succeeded and diagnosis.well, diagnosis


@pytest.mark.parametrize("loss", [mse_loss, lambda y, t: mse_loss(y, t)])
@pytest.mark.parametrize("steps", [200, 600])
def test_a_loss_that_stalls_is_not_on_its_way(loss, steps):
    batch = (INPUTS, -np.abs(TARGETS) - 0.5)
    diagnosis = doctor(regressor(nn.ReLU()), batch, loss, overfit_steps=steps)
    assert not diagnosis.overfit.succeeded
    assert "on its way" not in found(diagnosis, "no-overfit").action
