"""How long one training step of LeNet-5 takes: forward, backward, SGD update.

    python tests/benchmarks/training_step.py [--batch 128] [--steps 60]

The contestants (minigrad's backends, and PyTorch where it is installed) run in one process and in turn, a few steps at
a time, so that a machine whose speed drifts slows all of them alike. Printed are medians, in milliseconds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

import minigrad as mg
from minigrad import models, nn, optim

TURN = 5  # steps in a row
REST = 0.1  # seconds between turns, in which the threads of the one before stop spinning


def minigrad_step(backend: str, variant: str, images: np.ndarray, labels: np.ndarray) -> Callable[[], None]:
    with mg.use_backend(backend):
        model = models.lenet5(variant)
        x, y = mg.tensor(images), mg.tensor(labels)
    sgd = optim.SGD(model.parameters(), lr=0.1)

    def step() -> None:
        loss = nn.functional.cross_entropy(model(x), y)
        sgd.zero_grad()
        loss.backward()
        sgd.step()

    return step


def pytorch_step(variant: str, images: np.ndarray, labels: np.ndarray) -> Callable[[], None]:
    import torch

    activation, pool = (
        (torch.nn.Sigmoid, torch.nn.AvgPool2d) if variant == "book" else (torch.nn.ReLU, torch.nn.MaxPool2d)
    )
    convolutions = (torch.nn.Conv2d(1, 6, 5, padding=2), activation(), pool(2), torch.nn.Conv2d(6, 16, 5))
    head = (torch.nn.Linear(400, 120), activation(), torch.nn.Linear(120, 84), activation(), torch.nn.Linear(84, 10))
    model = torch.nn.Sequential(*convolutions, activation(), pool(2), torch.nn.Flatten(), *head)
    x, y = torch.tensor(images), torch.tensor(labels)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)

    def step() -> None:
        loss = torch.nn.functional.cross_entropy(model(x), y)
        sgd.zero_grad()
        loss.backward()
        sgd.step()

    return step


def measure(steps: dict[str, Callable[[], None]], count: int) -> dict[str, float]:
    """The median time of a step of each contestant, in milliseconds, after one turn that does not count."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(1 + -(-count // TURN)):
        for name, step in steps.items():
            time.sleep(REST)
            for _ in range(TURN):
                start = time.perf_counter()
                step()
                if turn > 0:
                    times[name].append(time.perf_counter() - start)
    return {name: 1000 * float(np.median(seconds)) for name, seconds in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Time one training step of LeNet-5.")
    parser.add_argument("--batch", type=int, default=128, help="images a step")
    parser.add_argument("--steps", type=int, default=60, help="steps of each contestant")
    parser.add_argument("--backends", nargs="+", default=["numpy", "numba"], help="minigrad's contestants")
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    images = random.random((arguments.batch, 1, 28, 28), dtype=np.float32)
    labels = random.integers(0, 10, arguments.batch)
    for variant in ("book", "modern"):
        steps = {name: minigrad_step(name, variant, images, labels) for name in arguments.backends}
        try:
            steps["PyTorch"] = pytorch_step(variant, images, labels)
        except ImportError:
            print("PyTorch is not installed and is left out")
        medians = measure(steps, arguments.steps)
        for name, milliseconds in medians.items():
            print(f"LeNet-5 {variant:7s} batch {arguments.batch:5d}   {name:8s} {milliseconds:8.2f} ms a step")


if __name__ == "__main__":
    main()
