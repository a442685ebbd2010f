"""The book's run in PyTorch, for comparison with examples/lenet.py: `python tests/benchmarks/lenet_pytorch.py --help`.

As one writes it when the data fit into memory: no workers, no files a batch, the images kept as bytes and turned into
floats a batch at a time. Everything else is examples/lenet.py's: the model and how it is initialised, plain SGD, the
batches of 128 in a new order each epoch, the test on all 10,000 images after each epoch.
"""

from __future__ import annotations

import argparse
import gzip
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

DATA = Path(__file__).parents[2] / "minigrad" / "data" / "fashion_mnist"


def lenet5(variant: str = "book") -> nn.Sequential:
    activation, pool = {"book": (nn.Sigmoid, nn.AvgPool2d), "modern": (nn.ReLU, nn.MaxPool2d)}[variant]
    model = nn.Sequential(
        nn.Conv2d(1, 6, kernel_size=5, padding=2),
        activation(),
        pool(kernel_size=2, stride=2),
        nn.Conv2d(6, 16, kernel_size=5),
        activation(),
        pool(kernel_size=2, stride=2),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120),
        activation(),
        nn.Linear(120, 84),
        activation(),
        nn.Linear(84, 10),
    )
    for layer in model:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
    return model


def fashion_mnist(split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The images (N, 1, 28, 28) as bytes, and the labels."""
    pixels = gzip.decompress((DATA / f"{split}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((DATA / f"{split}-labels-idx1-ubyte.gz").read_bytes())
    images = np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 1, 28, 28)
    return torch.tensor(images), torch.tensor(np.frombuffer(labels, np.uint8, offset=8), dtype=torch.int64)


def train_epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, images: torch.Tensor, labels: torch.Tensor, batch_size: int
) -> float:
    model.train()
    total = 0.0
    for chosen in torch.randperm(len(images)).split(batch_size):
        loss = nn.functional.cross_entropy(model(images[chosen].float() / 255), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(chosen)
    return total / len(images)


@torch.no_grad()
def evaluate(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    model.eval()
    total, right = 0.0, 0
    for pixels, wanted in zip(images.split(250), labels.split(250), strict=True):
        logits = model(pixels.float() / 255)
        total += nn.functional.cross_entropy(logits, wanted, reduction="sum").item()
        right += int((logits.argmax(dim=1) == wanted).sum())
    return total / len(images), right / len(images)


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains LeNet-5 on Fashion-MNIST with PyTorch.")
    parser.add_argument("--variant", choices=("book", "modern"), default="book")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    train_set, test_set = fashion_mnist("train"), fashion_mnist("t10k")
    model = lenet5(options.variant)
    optimizer = torch.optim.SGD(model.parameters(), lr=options.lr)
    for epoch in range(1, options.epochs + 1):
        started = time.perf_counter()
        train_loss = train_epoch(model, optimizer, *train_set, options.batch_size)
        test_loss, accuracy = evaluate(model, *test_set)
        seconds = time.perf_counter() - started
        print(
            f"epoch {epoch:2}: training loss {train_loss:.4f}, test loss {test_loss:.4f}, "
            f"accuracy {100 * accuracy:.2f} %, {seconds:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
