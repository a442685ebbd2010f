"""What a training step asks of a GPU, counted over the stand-in: launches, and nothing that waits or moves an array."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cupy_backend import fresh_backend
from stand_in import counting

import minigrad
from minigrad import Tensor, optim
from minigrad.models import lenet5

if shutil.which("g++") is None:
    pytest.skip("needs g++ to run CUDA code on the CPU", allow_module_level=True)

OPTIMIZERS = {
    "SGD": lambda params: optim.SGD(params, lr=0.1),
    "momentum": lambda params: optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=1e-4),
    "nesterov": lambda params: optim.SGD(params, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda params: optim.Adam(params),
    "AdamW": lambda params: optim.AdamW(params),
}


@pytest.fixture
def cupy_backend() -> Iterator[Any]:
    with fresh_backend(), minigrad.use_backend("cupy") as backend:
        yield backend


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("variant", ["book", "modern"])
def test_a_training_step_of_lenet_is_at_most_60_launches_and_never_waits(variant: str, name: str, cupy_backend) -> None:
    rng = np.random.default_rng(0)
    network = lenet5(variant)
    optimizer = OPTIMIZERS[name](network.parameters())
    images = Tensor(rng.standard_normal((3, 1, 28, 28)), "float32")
    labels = Tensor(rng.integers(0, 10, 3))
    for _ in range(2):  # the first step copies the parameters together, too
        with counting() as counts:
            optimizer.zero_grad()
            loss = minigrad.cross_entropy(network(images), labels)
            loss.backward()
        with counting() as update:
            optimizer.step()
    assert counts.launches + update.launches <= 60, counts.names
    assert update.launches == 10 + 1  # each gradient is copied to its place, and one call updates all
    assert counts.transfers == counts.synchronisations == update.transfers == update.synchronisations == 0


def test_labels_out_of_range_make_the_loss_nan_where_looking_would_wait(cupy_backend) -> None:
    logits = Tensor(np.zeros((3, 4)), "float32", requires_grad=True)
    losses = minigrad.cross_entropy(logits, Tensor([1, 4, -1]), reduction="none")
    np.testing.assert_allclose(losses.numpy(), [np.log(4), np.nan, np.nan], rtol=1e-6)
    with pytest.raises(ValueError, match="labels must lie from 0 to 3, got -1 to 4"):
        minigrad.cross_entropy(logits, np.array([1, 4, -1]))


@pytest.mark.parametrize("norm_type", [2.0, 3.0, np.inf])
def test_clipping_gradients_waits_once(norm_type: float, cupy_backend) -> None:
    network = lenet5()
    minigrad.cross_entropy(network(Tensor(np.ones((3, 1, 28, 28)), "float32")), Tensor([1, 4, 1])).backward()
    expected = np.linalg.norm(np.concatenate([p.grad.numpy().ravel() for p in network.parameters()]), norm_type)
    with counting() as counts:
        norm = optim.clip_grad_norm_(network.parameters(), float("inf"), norm_type)
    assert counts.synchronisations == 1
    np.testing.assert_allclose(norm.item(), expected, rtol=1e-5)
