"""Data races in CUDA C, found by ThreadSanitizer whatever the order in which the threads happen to run.

Two threads race where both touch a number, one of them writes, and no barrier lies between. ThreadSanitizer watches
each access to memory, and knows what must come before what: cuda_host.h tells it which threads there are, and that
barriers are all that orders them. It has to be loaded before everything else, so that launches are watched in a Python
of their own, `python races.py FILE`, which takes about two seconds for any number of them.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from guarded_memory import GuardedMemory
from host_compiler import compiled, launch_shape, why_not

FLAGS = ("-O1", "-g", "-fsanitize=thread", "-Wno-tsan")
MARK = "=== the next launch"
EVERY_RACE = "suppress_equal_stacks=0:suppress_equal_addresses=0"  # also those of an earlier launch

ACCESS = re.compile(
    r"(?P<what>read|write) of size \d+ at 0x\w+ by .*\n(?:(?: *#\d.*\n)*? *#\d.*kernels\.cu:(?P<line>\d+))?",
    re.IGNORECASE,
)


class Launch(NamedTuple):
    """What HostModule and its functions take. A few threads and blocks show all races that many would."""

    code: str
    options: tuple[str, ...]
    name: str
    grid: tuple[int, ...]
    block: tuple[int, ...]
    args: tuple[Any, ...]


def find_races(launches: Sequence[Launch]) -> list[list[str]]:
    """The races of each launch, a line of text each. The arrays stay as they are.

    Raises:
        RuntimeError: where the launches cannot be run to their end, or not be watched (see why_unusable).
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "launches.pickle")
        file.write_bytes(pickle.dumps(list(launches)))
        reports = _watch_elsewhere(file)[:-1]
    if len(reports) < 2 * len(launches):
        name = launches[len(reports) % len(launches)].name
        raise RuntimeError(f"{name} reads or writes outside its arrays, or crashes; HostModule says where")
    in_blocks, between_blocks = reports[: len(launches)], reports[len(launches) :]
    return [
        _races(one, "threads of one block") + _races(two, "threads of two blocks")
        for one, two in zip(in_blocks, between_blocks, strict=True)
    ]


@cache
def why_unusable() -> str | None:
    """Why races cannot be found here, or None where they can."""
    if reason := why_not():
        return reason
    if not shutil.which("setarch"):
        return "needs setarch (of util-linux), to run ThreadSanitizer"
    if not Path(_sanitizer()).is_absolute():
        return "needs libtsan, the library of ThreadSanitizer, which g++ lacks here"
    try:
        find_races([Launch('extern "C" __global__ void nothing() {}', (), "nothing", (1,), (1,), ())])
    except RuntimeError as error:
        return f"ThreadSanitizer does not run here: {error}"
    return None


def _sanitizer() -> str:
    command = ["g++", "-print-file-name=libtsan.so"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _watch_elsewhere(file: Path) -> list[str]:
    """What ThreadSanitizer says of each launch, watching threads; and then of each again, watching blocks."""
    environment = {
        **os.environ,
        "LD_PRELOAD": _sanitizer(),
        "TSAN_OPTIONS": f"exitcode=0:halt_on_error=0:report_thread_leaks=0:{EVERY_RACE}",
        "OPENBLAS_NUM_THREADS": "1",
    }
    # ThreadSanitizer wants memory at certain addresses: setarch -R has the operating system not shuffle them.
    command = ["setarch", "-R", sys.executable, str(Path(__file__)), str(file)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"the launches came to no end:\n{result.stderr[-2000:]}")
    return result.stderr.split(f"{MARK}\n")[1:]


def _races(report: str, whose: str) -> list[str]:
    """The races in a report, each once, in the order in which they were found."""
    races = {}
    for text in report.split("WARNING: ThreadSanitizer: ")[1:]:
        accesses = [f"a {access['what'].lower()} in line {access['line'] or '?'}" for access in ACCESS.finditer(text)]
        races[f"{' and '.join(accesses[:2])}, by {whose}"] = None
    return list(races)


def _watch(launches: Sequence[Launch]) -> None:
    """Run the launches; ThreadSanitizer writes to stderr behind the mark that is written there before each."""
    # All libraries first: ThreadSanitizer looks once which there are, to find the lines of their code.
    kernels = [compiled(launch.code, launch.options, FLAGS)[launch.name] for launch in launches]
    for watch_blocks in (False, True):  # which holds for a library from then on
        for kernel, launch in zip(kernels, launches, strict=True):
            kernel.check(launch.args)
            shape = launch_shape(launch.name, launch.grid, launch.block)
            values = _in_guarded_memory(launch.args)
            if watch_blocks:
                kernel.machine_code.cuda_host_watch_blocks()
            print(MARK, file=sys.stderr, flush=True)
            outcome = kernel.run(shape, values, seed=0)
            if outcome.problem:
                raise RuntimeError(f"{launch.name}: not all threads reach the barrier in line {outcome.line}")
    print(MARK, file=sys.stderr, flush=True)  # none follows: all have come to their end


def _in_guarded_memory(args: Sequence[Any]) -> list[Any]:
    """The arguments, with the address of a copy in place of each array; an array that is passed twice has one copy."""
    addresses: dict[int, int] = {}
    for array in args:
        if isinstance(array, np.ndarray) and id(array) not in addresses:
            room = GuardedMemory()
            room.reserve(array.nbytes)
            addresses[id(array)] = room.address(array.nbytes, at_end=True)
            ctypes.memmove(addresses[id(array)], array.ctypes.data, array.nbytes)
    return [addresses.get(id(arg), arg) for arg in args]


if __name__ == "__main__":
    try:
        _watch(pickle.loads(Path(sys.argv[1]).read_bytes()))
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
