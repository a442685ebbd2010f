"""What costs time beside the kernels: recording and walking a graph of scalars, the optimizers, the data loader."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from lenet_rows import examples, minigrad_step
from measure import Pair, Step

import minigrad as mg
from minigrad import models, nn, optim
from minigrad.data import DataLoader, FashionMNIST

BATCH = 128


def engine_pairs(torch: Any) -> Iterator[Pair]:
    peer = chain(torch.tensor) if torch else None
    yield Pair("1,000 scalar operations, forward and backward", chain(mg.tensor), peer, 1.0)
    for name in ("SGD", "Adam"):
        own, peer = minigrad_update(name), pytorch_update(torch, name) if torch else None
        yield Pair(f"one step of {name} over LeNet-5's parameters", own, peer, 1.0)


def loader_pairs(torch: Any) -> Iterator[Pair]:
    """The other is not PyTorch here but the training that the epoch's batches are made for."""
    train_set = FashionMNIST()
    loader = DataLoader(train_set, BATCH, shuffle=True)
    steps = len(train_set) / BATCH  # the last of them has fewer images
    training = minigrad_step("book", *examples(BATCH))
    yield Pair("60,000 images, shuffled, batch 128", lambda: deque(loader, maxlen=0), training, 0.05, peer_times=steps)


def chain(tensor: Any) -> Step:
    """500 multiplications and as many additions, one after the other: y = w y + b, again and again."""
    x, w, b = (tensor(value, requires_grad=True) for value in (1.0, 0.999, 0.001))

    def step() -> None:
        y = x
        for _ in range(500):
            y = y * w
            y = y + b
        x.grad = w.grad = b.grad = None
        y.backward()

    return step


def minigrad_update(name: str) -> Step:
    """The gradients are where a backward pass leaves them once the optimizer has made a step."""
    model = models.lenet5()
    optimizer = getattr(optim, name)(model.parameters(), lr=1e-4)
    images, labels = map(mg.tensor, examples(1))
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    return optimizer.step


def pytorch_update(torch: Any, name: str) -> Step:
    from lenet_pytorch import lenet5

    model = lenet5()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    return getattr(torch.optim, name)(model.parameters(), lr=1e-4).step
