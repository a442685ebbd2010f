"""LeNet-5: a training step (forward, backward, SGD update) and the forward pass alone, for small and large batches.

Each engine gets its images laid out in memory as its own data loader hands them over, minigrad the batch innermost.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from measure import Pair, Step

import minigrad as mg
from minigrad import models, nn, optim

STEP_GOALS = {1: 0.80, 8: 0.50, 32: 0.50, 128: 0.40, 512: 0.50, 2048: 0.50}
FORWARD_GOALS = {1: 1.00, 128: 0.50, 1024: 0.50}


def step_pairs(torch: Any) -> Iterator[Pair]:
    for batch, goal in STEP_GOALS.items():
        for variant in models.VARIANTS:
            images, labels = examples(batch)
            peer = pytorch_step(torch, variant, images, labels) if torch else None
            yield Pair(f"{variant}, batch {batch}", minigrad_step(variant, images, labels), peer, goal)


def forward_pairs(torch: Any) -> Iterator[Pair]:
    for batch, goal in FORWARD_GOALS.items():
        for variant in models.VARIANTS:
            images, _ = examples(batch)
            peer = pytorch_forward(torch, variant, images) if torch else None
            yield Pair(f"{variant}, batch {batch}", minigrad_forward(variant, images), peer, goal)


def examples(batch: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.random((batch, 1, 28, 28), dtype=np.float32), random.integers(0, 10, batch)


def batch_innermost(images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(images.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2)


def minigrad_step(variant: str, images: np.ndarray, labels: np.ndarray) -> Step:
    model, x, y = models.lenet5(variant), mg.tensor(batch_innermost(images)), mg.tensor(labels)
    sgd = optim.SGD(model.parameters(), lr=0.1)

    def step() -> None:
        loss = nn.functional.cross_entropy(model(x), y)
        sgd.zero_grad()
        loss.backward()
        sgd.step()

    return step


def pytorch_step(torch: Any, variant: str, images: np.ndarray, labels: np.ndarray) -> Step:
    from lenet_pytorch import lenet5

    model, x, y = lenet5(variant), torch.tensor(images), torch.tensor(labels)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)

    def step() -> None:
        loss = torch.nn.functional.cross_entropy(model(x), y)
        sgd.zero_grad()
        loss.backward()
        sgd.step()

    return step


def minigrad_forward(variant: str, images: np.ndarray) -> Step:
    model, x = models.lenet5(variant), mg.tensor(batch_innermost(images))
    return mg.no_grad()(lambda: model(x))


def pytorch_forward(torch: Any, variant: str, images: np.ndarray) -> Step:
    from lenet_pytorch import lenet5

    model, x = lenet5(variant), torch.tensor(images)
    return torch.no_grad()(lambda: model(x))
