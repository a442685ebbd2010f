"""What training takes besides the step: import, reading the data, the loader, the optimizers; and its memory.

    python tests/benchmarks/parts.py

Printed are medians in milliseconds. The step itself is timed by training_step.py.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import minigrad as mg
from minigrad import models, optim
from minigrad.data import DataLoader, FashionMNIST

IMPORT = "import time, numpy; start = time.perf_counter(); import minigrad; print(1000 * (time.perf_counter() - start))"
RUN = """\
import resource, sys
import minigrad, minigrad.data, minigrad.models
minigrad.use_backend(sys.argv[1])
run = minigrad.train.TrainingRun(
    model := minigrad.models.lenet5(),
    minigrad.optim.SGD(model.parameters(), lr=0.1),
    minigrad.data.DataLoader(minigrad.data.FashionMNIST(), 128, shuffle=True),
    minigrad.data.DataLoader(minigrad.data.FashionMNIST(False), 250),
)
next(run.epochs(1))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)  # in KiB, on Linux
"""


def milliseconds(work: Callable[[], object], runs: int) -> float:
    """The median time of several runs, after one that does not count."""
    times = []
    for _ in range(1 + runs):
        start = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[1:])


def printed_by(code: str, *arguments: str) -> float:
    output = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True).stdout
    return float(output)


def optimizer_step(kind: Callable[..., optim.optimizer.Optimizer]) -> Callable[[], None]:
    """One update of LeNet-5's ten parameters."""
    model = models.lenet5()
    for parameter in model.parameters():
        parameter.grad = mg.ones_like(parameter)
    return kind(model.parameters(), lr=1e-4).step


def main() -> None:
    loader = DataLoader(FashionMNIST(), batch_size=128, shuffle=True)
    rows = {
        "import minigrad, beyond NumPy's own import": statistics.median(printed_by(IMPORT) for _ in range(7)),
        "read Fashion-MNIST's training set and check its sha256": milliseconds(FashionMNIST, 5),
        "an epoch of the loader, 60,000 images, shuffled, batch 128": milliseconds(lambda: list(map(len, loader)), 5),
        "SGD step over LeNet-5's parameters": milliseconds(optimizer_step(optim.SGD), 200),
        "Adam step over LeNet-5's parameters": milliseconds(optimizer_step(optim.Adam), 200),
    }
    for what, median in rows.items():
        print(f"{what:60s} {median:9.3f} ms")
    for backend in mg.backend_names():
        what = f"peak memory of an epoch of training, {backend}"
        print(f"{what:60s} {printed_by(RUN, backend):9.0f} MiB")


if __name__ == "__main__":
    main()
