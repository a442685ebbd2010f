"""LeNet-5 on an NVIDIA GPU, beside PyTorch on the same one: a training step, its parts, its kernels, its launches.

A step is timed from its first line until the device has done all of it. Kernels are timed many in a row, as one alone
takes less than it takes to wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from lenet_rows import examples
from measure import Pair, Row, Step, take_turns
from roofline import BATCH, lenet_kernels

import minigrad as mg
from minigrad import models, nn, optim
from minigrad.backends import get_backend

BATCHES = (128, 512)
IN_A_ROW = 100  # launches of one kernel that are timed together
STEPS = 20  # of those
NO_PYTORCH = "PyTorch's build for CUDA is not installed"
NO_PROFILER = f"{NO_PYTORCH}, whose profiler counts launches"


def gpu_rows(torch: Any) -> Iterator[Pair | Row]:
    """Where no GPU is usable, one row that says why."""
    try:
        get_backend("cupy").check_usable()
    except mg.BackendError as error:
        yield Row("nothing here", None, reason=f"no GPU: {error}")
        return
    torch = torch if torch and torch.cuda.is_available() else None
    with mg.use_backend("cupy"):
        for batch in BATCHES:
            for variant in models.VARIANTS:
                yield from step_rows(torch, variant, batch)
        yield from kernel_rows(torch)


def step_rows(torch: Any, variant: str, batch: int) -> Iterator[Pair | Row]:
    own, peers = minigrad_parts(variant, batch), pytorch_parts(torch, variant, batch) if torch else {}
    for part, step in own.items():
        yield Pair(f"{variant}, batch {batch}: {part}", step, peers.get(part), None, no_peer=NO_PYTORCH)
    counts = [launches(torch, parts["a step"]) if torch else None for parts in (own, peers)]
    reason = "" if torch else NO_PROFILER
    yield Row(f"{variant}, batch {batch}: launches in a step", *counts, unit="", reason=reason)


def minigrad_parts(variant: str, batch: int) -> dict[str, Step]:
    images, labels = examples(batch)
    model = models.lenet5(variant)
    sgd = optim.SGD(model.parameters(), lr=0.1)
    loss = lambda: nn.functional.cross_entropy(model(x), y)  # noqa: E731
    x, y = mg.tensor(images), mg.tensor(labels)
    return parts(loss, sgd, get_backend("cupy").xp.cuda.Device().synchronize)


def pytorch_parts(torch: Any, variant: str, batch: int) -> dict[str, Step]:
    from lenet_pytorch import lenet5

    images, labels = examples(batch)
    model = lenet5(variant).cuda()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.tensor(images).cuda(), torch.tensor(labels).cuda()
    return parts(lambda: torch.nn.functional.cross_entropy(model(x), y), sgd, torch.cuda.synchronize)


def parts(loss_of: Callable[[], Any], sgd: Any, wait: Step) -> dict[str, Step]:
    """What a training step consists of, and all of it, each until the device is done; the same for both libraries."""
    loss = loss_of()
    loss.backward(retain_graph=True)  # so that the update alone has gradients

    def step() -> None:
        loss = loss_of()
        sgd.zero_grad()
        loss.backward()
        sgd.step()

    def backward() -> None:
        sgd.zero_grad()
        loss.backward(retain_graph=True)

    def waited(work: Step) -> Step:
        return lambda: (work(), wait())

    # In this order: PyTorch cannot go back through a graph whose parameters have been updated.
    works = {"forward": loss_of, "backward": backward, "update": sgd.step, "a step": step}
    return {name: waited(work) for name, work in works.items()}


def launches(torch: Any, step: Step) -> int | None:
    """What a step puts into the device's queue, by whichever library: kernels, copies, fills; None if none is seen."""
    step()
    with torch.profiler.profile() as profile:  # of the processor and, where there is one, of the GPU
        step()
    return sum(event.device_type == torch.autograd.DeviceType.CUDA for event in profile.events()) or None


def kernel_rows(torch: Any) -> Iterator[Row]:
    """Each kernel of the book's variant; behind its name, the bytes that it has to move in any case."""
    peers = pytorch_kernels(torch) if torch else {}
    wait = get_backend("cupy").xp.cuda.Device().synchronize
    for kernel in lenet_kernels():
        contestants = {"minigrad": in_a_row(kernel.run, wait)}
        if torch:
            contestants["peer"] = in_a_row(peers[kernel.name], torch.cuda.synchronize)
        seconds = {name: taken / IN_A_ROW for name, taken in take_turns(contestants, STEPS).items()}
        name = f"{kernel.name}, {kernel.bytes / 1e6:.1f} MB"
        yield Row(name, seconds["minigrad"], seconds.get("peer"), reason="" if torch else NO_PYTORCH)


def in_a_row(work: Step, wait: Step) -> Step:
    def several() -> None:
        for _ in range(IN_A_ROW):
            work()
        wait()

    return several


def pytorch_kernels(torch: Any) -> dict[str, Step]:
    """PyTorch's counterparts, on arrays of the same shapes."""
    F, grad, aten = torch.nn.functional, torch.nn.grad, torch.ops.aten
    random = np.random.default_rng(0)

    def numbers(*shape: int) -> Any:
        return torch.tensor(random.standard_normal(shape, dtype=np.float32)).cuda()

    x1, w1, b1, y1 = numbers(BATCH, 1, 28, 28), numbers(6, 1, 5, 5), numbers(6), numbers(BATCH, 6, 28, 28)
    x2, w2, b2, y2 = numbers(BATCH, 6, 14, 14), numbers(16, 6, 5, 5), numbers(16), numbers(BATCH, 16, 10, 10)
    x3, w3, b3 = numbers(BATCH, 400), numbers(120, 400), numbers(120)
    pooling = ([2, 2], [2, 2], [0, 0], False, True, None)
    return {
        "conv1 forward": lambda: F.conv2d(x1, w1, b1, padding=2),
        "conv1 gradient by weight": lambda: grad.conv2d_weight(x1, w1.shape, y1, padding=2),
        "conv2 forward": lambda: F.conv2d(x2, w2, b2),
        "conv2 gradient by input": lambda: grad.conv2d_input(x2.shape, w2, y2),
        "conv2 gradient by weight": lambda: grad.conv2d_weight(x2, w2.shape, y2),
        "linear 400 to 120": lambda: F.linear(x3, w3, b3),
        "sigmoid": lambda: torch.sigmoid(y1),
        "sigmoid's gradient": lambda: aten.sigmoid_backward(y1, y1),
        "average pooling": lambda: F.avg_pool2d(y1, 2),
        "pooling's gradient": lambda: aten.avg_pool2d_backward(x2, y1, *pooling),
    }
