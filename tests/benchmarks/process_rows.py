"""What is measured in processes of their own: starting, memory, and the whole run from the shell."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import NO_PYTORCH, Row

import minigrad as mg

ROOT = Path(__file__).parents[2]
EXAMPLE, PYTORCH_EXAMPLE = ROOT / "examples" / "lenet.py", ROOT / "tests" / "benchmarks" / "lenet_pytorch.py"


class ProcessFailed(RuntimeError):
    """The message ends with the last line of what the process had to say."""


TO_THE_FIRST_STEP = """\
import contextlib, importlib.util, os, sys, time
spec = importlib.util.spec_from_file_location("lenet", sys.argv[1])
lenet = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lenet)
imported = time.time()
def first_step(step):
    print(f"\\n{imported} {time.time()}", flush=True)
    os._exit(0)
lenet.progress_bar = lambda: contextlib.nullcontext(first_step)
sys.argv = sys.argv[1:]
sys.exit(lenet.main())
"""
IMPORT = "import time, numpy; start = time.perf_counter(); import minigrad; print(time.perf_counter() - start)"
READING = """\
import time; from minigrad.data import FashionMNIST
start = time.perf_counter(); FashionMNIST(); print(time.perf_counter() - start)
"""
PEAK_MEMORY = """\
import pathlib, resource, sys
import minigrad, minigrad.data, minigrad.models, minigrad.train
minigrad.use_backend(sys.argv[1])
run = minigrad.train.TrainingRun(
    model := minigrad.models.lenet5(),
    minigrad.optim.SGD(model.parameters(), lr=0.1),
    minigrad.data.DataLoader(minigrad.data.FashionMNIST(), 128, shuffle=True),
    minigrad.data.DataLoader(minigrad.data.FashionMNIST(False), 250),
)
next(run.epochs(1))
try:  # Linux's ru_maxrss would count what the process was forked from, a large one
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
except (OSError, StopIteration):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 ** (2 if sys.platform == "darwin" else 1)
print(peak)
"""


def start_rows(torch: Any) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        cache = {"NUMBA_CACHE_DIR": str(Path(folder, "cache"))}
        first, _ = to_the_first_step(folder, cache)
        yield Row("lenet.py to its first step, first time", first, goal=20.0, alone=True)
        later = statistics.median(to_the_first_step(folder, cache)[1] for _ in range(3))
        yield Row("the same later, after the imports", later, goal=1.5, alone=True)
    yield Row("import minigrad, beyond NumPy's own import", median_printed(IMPORT), alone=True)
    yield Row("read the training images, check their sha256", median_printed(READING), alone=True)


def memory_rows(torch: Any) -> Iterator[Row]:
    name, unit = "peak of an epoch of training, batch 128", "MiB"
    try:
        import resource  # noqa: F401
    except ImportError:
        yield Row(name, None, unit=unit, goal=350, alone=True, reason="Python has no module resource on this system")
        return
    # The second time: the compiler needs memory as well, at the first run on a machine.
    peak = [float(output_of("-c", PEAK_MEMORY, mg.default_backend().name)) for _ in range(2)][-1]
    yield Row(name, peak, unit=unit, goal=350, alone=True)


def run_rows(torch: Any) -> Iterator[Row]:
    """Each program makes one epoch first that does not count: kernels are compiled, and files come into the cache.
    Then they run in turn, three times, and the medians count."""
    with tempfile.TemporaryDirectory() as folder:
        programs = [[str(EXAMPLE), "--backend", mg.default_backend().name, "--out", folder]]
        programs += [[str(PYTORCH_EXAMPLE)]] if torch else []
        for program in programs:
            output_of(*program, "--epochs", "1")
        seconds = [[seconds_of(*program, "--epochs", "10") for program in programs] for _ in range(3)]
    medians = [statistics.median(runs) for runs in zip(*seconds, strict=True)]
    peer, reason = (medians[1], "") if torch else (None, NO_PYTORCH)
    yield Row("lenet.py, 10 epochs with evaluation", medians[0], peer, goal=0.40, reason=reason)


def to_the_first_step(folder: str, cache: dict[str, str]) -> tuple[float, float]:
    """Seconds from the start of the process, and from the end of the example's imports, to its first training step."""
    start = time.time()
    options = ["--backend", mg.default_backend().name, "--out", folder]
    output = output_of("-c", TO_THE_FIRST_STEP, str(EXAMPLE), *options, **cache)
    imported, stepped = map(float, output.splitlines()[-1].split())
    return stepped - start, stepped - imported


def median_printed(code: str) -> float:
    return statistics.median(float(output_of("-c", code)) for _ in range(7))


def seconds_of(*arguments: str) -> float:
    start = time.perf_counter()
    output_of(*arguments)
    return time.perf_counter() - start


def output_of(*arguments: str, **environment: str) -> str:
    """What a Python process prints. It has as many threads as this one, and finds minigrad where this one does."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(mg.get_num_threads()), **environment}
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise ProcessFailed(f"a process ended with {done.returncode}: {last}")
    return done.stdout
