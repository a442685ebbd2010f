"""Counts over the stand-in what a training step of LeNet-5 asks of a GPU: launches, bytes, transfers, waits.

    python tests/gpu/launches.py [BATCH]

Needs g++. The bytes are the least that must be moved: each array that a launch gets or gives, once.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import stand_in
from stand_in import Counts, counting

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    stand_in.install()  # before anything imports the backend

import minigrad as mg
from minigrad import models, nn, optim


def step_counts(variant: str, batch: int) -> dict[str, Counts]:
    """What the second step asks for, by part: the first one is no example, as momentum and the like begin in it."""
    random = np.random.default_rng(0)
    model = models.lenet5(variant)
    sgd = optim.SGD(model.parameters(), lr=0.1)
    x = mg.tensor(random.random((batch, 1, 28, 28), dtype=np.float32))
    labels = mg.tensor(random.integers(0, 10, batch))
    counts: dict[str, Counts] = {}

    def counted(part: str, work: Callable[[], Any]) -> Any:
        with counting() as counts[part]:
            return work()

    for _ in range(2):
        logits = counted("forward", lambda: model(x))
        loss = counted("loss", lambda logits=logits: nn.functional.cross_entropy(logits, labels))
        sgd.zero_grad()
        counted("backward", loss.backward)
        counted("update", sgd.step)
    return counts


def table(counts: dict[str, Counts]) -> str:
    lines = [f"{'':10}{'launches':>9}{'MB':>7}{'transfers':>11}{'waits':>7}"]
    for part, count in counts.items():
        asked = f"{count.launches:9}{count.bytes / 1e6:7.1f}{count.transfers:11}{count.synchronisations:7}"
        names = ", ".join(f"{times} {name}" for name, times in Counter(count.names).most_common())
        lines += [f"{part:10}{asked}", f"          {names}"]
    total = sum(count.launches for count in counts.values()), sum(count.bytes for count in counts.values()) / 1e6
    return "\n".join([*lines, f"{'a step':10}{total[0]:9}{total[1]:7.1f}"])


def main() -> None:
    batch = int(sys.argv[1]) if len(sys.argv) > 1 else 128
    with mg.use_backend("cupy"):
        for variant in models.VARIANTS:
            print(f"LeNet-5, {variant}, batch {batch}\n{table(step_counts(variant, batch))}\n")


if __name__ == "__main__":
    main()
