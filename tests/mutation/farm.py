"""Where mutants are tried: copies of the project, in each of which a forked process runs the tests that should notice.

Those are the tests that run the changed function when nothing is changed, the quickest first.
"""

from __future__ import annotations

import compileall
import json
import os
import shutil
import signal
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mutants import Mutant
from trial import Record, Selection, forked

COPIED = ("minigrad", "tests", "setup.cfg", "README.md")
TESTS = (
    *("tests/test_ops_*.py", "tests/test_autograd*.py", "tests/test_engine*.py", "tests/test_kernels*.py"),
    *("tests/test_core_errors.py", "tests/test_tensor*.py", "tests/test_backends.py", "tests/test_explanation.py"),
    *("minigrad/ops/*.py", "minigrad/autograd/*.py", "minigrad/backends/__init__.py"),  # their examples
)
# What can't be shown without compiling has tests of its own, which compile next to nothing.
COMPILED = {
    "minigrad/backends/numba/tile.py": "tests/test_tile.py",
    "minigrad/backends/numba/compiler.py": "tests/test_compiler.py",
}
PROFILE = "--hypothesis-profile=mutants"
ALL_PASSED, ERRORS = 0, {5: "no test was found", 70: "the trial itself failed"}  # pytest's exit status, or ours
PAUSE = 0.005  # seconds between looks at the running processes


class Trial(NamedTuple):
    mutant: Mutant
    folder: Path
    end: float  # when it counts as timed out


class Farm:
    """The copies, for so many trials at a time: the project itself is only read, and only here."""

    def __init__(self, root: Path, folder: Path, jobs: int) -> None:
        self.folder = folder.resolve()
        self.original, *self.copies = (self.folder / f"copy{i}" for i in range(jobs + 1))
        for copy in (self.original, *self.copies):
            for name in COPIED:
                _copy(root / name, copy / name)
            compileall.compile_dir(copy, quiet=1)
        self.seconds: dict[str, float] = {}
        self.tests: dict[str, list[str]] = {}  # by function and by file

    def outcomes(self, mutants: list[Mutant]) -> Iterator[tuple[Mutant, str]]:
        """Tries all, and tells of each when it is known: "killed", "timed out" or "survived"."""
        self._record({mutant.path for mutant in mutants})
        waiting, running, free = deque(mutants), dict[int, Trial](), deque(self.copies)
        while waiting or running:
            while waiting and free:
                mutant = waiting.popleft()
                if tests := self.noticing(mutant):
                    child, trial = self._start(mutant, free.popleft(), tests)
                    running[child] = trial
                else:
                    yield mutant, "survived"
            time.sleep(PAUSE)
            for child, trial in list(running.items()):
                outcome = _outcome(child, trial)
                if outcome is not None:
                    del running[child]
                    _copy(self.original / trial.mutant.path, trial.folder / trial.mutant.path)
                    free.append(trial.folder)
                    yield trial.mutant, outcome

    def noticing(self, mutant: Mutant) -> list[str]:
        """The tests that run the function; where none does, those that run something in its file.

        The numba backend is left to its own mutants: it runs the same rules as the reference, and slower.
        """
        place = f"{mutant.path}:{mutant.first_line}"
        tests = self.tests.get(place) or self.tests.get(mutant.path, [])
        return tests if "numba" in mutant.path else [test for test in tests if "[numba" not in test]

    def _record(self, paths: set[str]) -> None:
        """Finds out, by running them, which tests run which functions of these files."""
        places: dict[str, set[str]] = {}
        compiled = [COMPILED[path] for path in sorted(paths & set(COMPILED))]
        for files, interpreted in ((compiled, False), (self._files(), True)):
            if files and (paths - set(COMPILED) or not interpreted):
                for test, (seconds, found) in self._run_in_parts(files, not interpreted).items():
                    self.seconds[test] = seconds
                    for place in found:
                        path = place.partition(":")[0]
                        if interpreted == (path not in COMPILED):
                            places.setdefault(place, set()).add(test)
                            places.setdefault(path, set()).add(test)
        self.tests = {place: sorted(tests, key=self.seconds.__getitem__) for place, tests in places.items()}

    def _files(self) -> list[str]:
        paths = [path for pattern in TESTS for path in sorted(self.original.glob(pattern))]
        return [str(path.relative_to(self.original)) for path in paths]

    def _run_in_parts(self, files: list[str], compiled: bool) -> dict[str, tuple[float, list[str]]]:
        """Each copy runs a part of the tests: for each test the seconds it takes, and the functions that it runs."""
        parts = range(len(self.copies))
        results, children = [self.folder / f"tests{i}.json" for i in parts], []
        for i in parts:
            record, log = Record(self.copies[i], (i, len(parts)), results[i]), self.folder / f"record{i}.log"
            children.append(forked(self.copies[i], [PROFILE, *files], record, log, compiled))
        for child in children:
            os.waitpid(child, 0)
        return {test: found for result in results for test, found in json.loads(result.read_text()).items()}

    def _start(self, mutant: Mutant, copy: Path, tests: list[str]) -> tuple[int, Trial]:
        (copy / mutant.path).write_text(mutant.apply((self.original / mutant.path).read_text()))
        files = sorted({test.partition("::")[0] for test in tests})
        log, compiled = self.folder / f"{copy.name}.log", mutant.path in COMPILED
        child = forked(copy, ["-x", PROFILE, *files], Selection(tests), log, compiled)
        limit = 5 + 4 * sum(self.seconds[test] for test in tests)
        return child, Trial(mutant, copy, time.monotonic() + limit)


def _outcome(child: int, trial: Trial) -> str | None:
    """None where it is still running."""
    ended, status = os.waitpid(child, os.WNOHANG)
    if not ended:
        if time.monotonic() < trial.end:
            return None
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return "timed out"
    code = os.waitstatus_to_exitcode(status)
    if code in ERRORS:
        raise RuntimeError(f"{ERRORS[code]}, for\n{trial.mutant}")
    return "survived" if code == ALL_PASSED else "killed"


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.nbi", "*.nbc"))
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
