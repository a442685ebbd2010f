"""LeNet-5 step by step beside PyTorch: the same weights and batches must give the same losses. Where PyTorch is.

The modern variant's first epoch is chaotic: rounding errors double every few steps, so that in float32 PyTorch on one
thread is 0.1 to 0.5 away from PyTorch on two after some hundred steps. Whether two programs compute the same thing
shows in float64, which has nine digits more to lose; in float32 only the first steps can be compared.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import minigrad
from minigrad import Tensor
from minigrad.data import FashionMNIST
from minigrad.models import lenet5
from minigrad.optim import SGD

pytestmark = pytest.mark.long

EPOCH = 469  # steps of 128 images
LEARNING_RATE = 0.1


def batches(dtype: str, steps: int):
    """The first steps of one epoch in a fixed random order."""
    train_set = FashionMNIST()
    order = np.random.default_rng(1).permutation(len(train_set))
    for step in range(steps):
        images, labels = train_set.batch(order[128 * step : 128 * (step + 1)])
        yield images.astype(dtype), labels


def starting_weights(variant: str) -> dict[str, np.ndarray]:
    minigrad.manual_seed(0)
    return {name: tensor.numpy() for name, tensor in lenet5(variant).state_dict().items()}


@cache
def losses_of_pytorch(variant: str, dtype: str, steps: int) -> np.ndarray:
    import torch
    from torch import nn

    activation, pool = {"book": (nn.Sigmoid, nn.AvgPool2d), "modern": (nn.ReLU, nn.MaxPool2d)}[variant]
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), activation(), pool(2)),
        *(nn.Conv2d(6, 16, 5), activation(), pool(2), nn.Flatten()),
        *(nn.Linear(400, 120), activation(), nn.Linear(120, 84), activation(), nn.Linear(84, 10)),
    )
    model.load_state_dict({name: torch.from_numpy(array) for name, array in starting_weights(variant).items()})
    model.to(getattr(torch, dtype))
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
    losses = []
    for images, labels in batches(dtype, steps):
        loss = nn.functional.cross_entropy(model(torch.from_numpy(images)), torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


def losses_of_minigrad(variant: str, dtype: str, steps: int) -> np.ndarray:
    model = lenet5(variant)
    model.load_state_dict(starting_weights(variant))
    model.to(dtype)
    optimizer = SGD(model.parameters(), lr=LEARNING_RATE)
    losses = []
    for images, labels in batches(dtype, steps):
        loss = minigrad.cross_entropy(model(Tensor(images)), Tensor(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


@pytest.mark.parametrize(
    ("variant", "dtype", "steps", "tolerance"),
    [("book", "float32", EPOCH, 1e-4), ("modern", "float64", EPOCH, 1e-9), ("modern", "float32", 10, 1e-4)],
)
def test_the_loss_of_every_step_is_pytorchs(on_backend, variant, dtype, steps, tolerance):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    expected = losses_of_pytorch(variant, dtype, steps)
    losses = losses_of_minigrad(variant, dtype, steps)
    assert len(losses) == steps and losses.std() > 1e-3
    difference = np.abs(losses - expected)
    print(
        f"{variant}, {dtype}, {on_backend}: largest difference {difference.max():.1e} at step {difference.argmax() + 1}"
    )
    assert difference.max() < tolerance
