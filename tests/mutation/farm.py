"""Tries mutants: a process that has collected the tests is forked for each, and runs those that should notice."""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import host_compiler
import hypothesis
import hypothesis.extra.numpy
import interpreted
import numba
import pytest
import stand_in
import threadpoolctl
from mutants import CUDA, Mutant
from record import Record, functions_run, may_notice, record
from trial import (
    IMPORT_ANEW,
    KILLED,
    SURVIVED,
    ImportAnew,
    Selection,
    Trial,
    forked,
    import_with,
    outcomes,
    put_into_functions,
    read_with,
    run_items,
)

PRELOADED = (hypothesis.extra.numpy, threadpoolctl)  # imported before the processes are forked, and not in each

TESTS = (
    *("tests/test_ops_*.py", "tests/test_autograd*.py", "tests/test_engine*.py", "tests/test_kernels*.py"),
    *("tests/test_gpu_[!dhs]*.py", "tests/test_optim*.py"),  # not the stand-in itself, and what it runs on
    *("tests/test_core_errors.py", "tests/test_tensor*.py", "tests/test_backends.py", "tests/test_threads.py"),
    *(
        "tests/test_explanation.py",
        "tests/test_anomaly.py",
        "minigrad/ops/*.py",
        "minigrad/autograd/*.py",
        "minigrad/backends/__init__.py",
    ),  # their examples
)
# What can't be shown without compiling has tests of its own, which compile next to nothing.
COMPILED = {
    "minigrad/backends/numba/calls.py": "tests/test_compiler.py",
    "minigrad/backends/numba/tile.py": "tests/test_tile.py",
    "minigrad/backends/numba/vectors.py": "tests/test_tile.py",
    "minigrad/backends/numba/compiler.py": "tests/test_compiler.py",
}
COMPILING = 0.5  # seconds more that a test takes where a kernel has been changed
MEMORY = 16 << 30  # bytes of addresses that a mutant may ask for
PROFILE = "mutants"
OPTIONS = ["-q", "--assert=plain", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
OPTIONS += ["-p", "no:cacheprovider", "-p", "no:minigrad.pytest_plugin"]  # what is tried may have no such plugin

# The same examples each time, and none made smaller that fails.
hypothesis.settings.register_profile(
    PROFILE,
    max_examples=8,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)


def try_all(root: Path, mutants: list[Mutant], jobs: int) -> Iterator[tuple[Mutant, str]]:
    """Tells of each mutant, when it is known, whether it was "killed", "timed out" or "survived"."""
    for compiled in (False, True):
        own = [mutant for mutant in mutants if (mutant.path in COMPILED) == compiled]
        if own:
            with tempfile.TemporaryDirectory() as folder:
                yield from _try_with_tests(root, own, jobs, compiled, Path(folder))


def _try_with_tests(
    root: Path, mutants: list[Mutant], jobs: int, compiled: bool, folder: Path
) -> Iterator[tuple[Mutant, str]]:
    if compiled:
        files = sorted({COMPILED[mutant.path] for mutant in mutants})
    else:
        files = [str(path.relative_to(root)) for pattern in TESTS for path in sorted(root.glob(pattern))]
    server, left = Server(root, mutants, jobs, folder), []
    for mutant, outcome in _results(server, files, compiled):
        if outcome == "import anew":
            left.append(mutant)
        else:
            yield mutant, outcome
    known = Record(json.loads((folder / "record.json").read_text()))
    yield from outcomes((_anew(server, mutant, known, compiled) for mutant in left), jobs)


def _results(server: Server, files: list[str], compiled: bool) -> Iterator[tuple[Mutant, str]]:
    """What the server tells, which runs in a process of its own: this one shall not have imported minigrad."""
    reading, writing = os.pipe()

    def serve() -> int:
        server.answers = os.fdopen(writing, "w")
        prepare(server.root, server.folder, compiled)
        server.import_all()
        return run_pytest(files, server)

    child = forked(serve)
    os.close(writing)
    with os.fdopen(reading) as answers:
        for answer in answers:
            place, outcome = json.loads(answer)
            yield server.mutants[place], outcome
    if os.waitpid(child, 0)[1]:
        log = (server.folder / f"{child}.log").read_text()
        raise RuntimeError(f"the process that tries the mutants has failed:\n{log[-3000:]}")


def prepare(root: Path, folder: Path, compiled: bool) -> None:
    """Makes this process one that runs tests: for good."""
    output = os.open(folder / f"{os.getpid()}.log", os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(root)
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(root))
    stand_in.install()  # for the module cupy
    numba.config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(dir=folder)  # nobody else's
    if compiled:  # conftest.py runs a kernel before the forks
        numba.config.THREADING_LAYER = os.environ["NUMBA_THREADING_LAYER"] = "forksafe"
    else:
        interpreted.install()


def compile_quickly(folder: Path) -> None:
    """For what runs a few times: CUDA C is compiled without -O2 from here on, and kept where the folder is."""
    host_compiler.FLAGS = ("-O0", *host_compiler.TRAPS)
    os.environ["XDG_CACHE_HOME"] = str(folder)


def run_pytest(arguments: list[str], plugin: Any) -> int:
    return int(pytest.main([*OPTIONS, f"--hypothesis-profile={PROFILE}", *arguments], plugins=[plugin]))


def _anew(server: Server, mutant: Mutant, known: Record, compiled: bool) -> Trial:
    tests = known.tests_of(mutant.path, mutant.first_line)
    files = sorted({test.partition("::")[0] for test in tests})

    def run() -> int:
        prepare(server.root, server.folder, compiled)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        import_with(server.root / mutant.path, mutant.apply(server.texts[mutant.path]))
        return run_pytest(["-x", *files], Selection(tests))

    return Trial(mutant, run, _limit(known, tests))


def _limit(known: Record, tests: list[str]) -> float:
    return 10 + 4 * sum(known.seconds[test] for test in tests)


class Server:
    """A plugin of pytest: once the tests are collected, it tries the mutants instead of running the tests."""

    answers: TextIO  # a line for each mutant: its place, and how its trial ended

    def __init__(self, root: Path, mutants: list[Mutant], jobs: int, folder: Path) -> None:
        self.root, self.mutants, self.jobs, self.folder = root, mutants, jobs, folder
        self.texts = {mutant.path: (root / mutant.path).read_text() for mutant in mutants}
        self.run_by_import: set[str] = set()
        self.killers: dict[str, dict[str, None]] = {}  # by file, the latest one last

    def import_all(self) -> None:
        with functions_run(self.root) as self.run_by_import:
            for path in (path for path in self.texts if not path.endswith(CUDA)):
                importlib.import_module(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if any(may_notice(item.nodeid, path) for path in self.texts)]

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.notes = os.open(self.folder / "killers.txt", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self.noted = (self.folder / "killers.txt").open()
        known = record(session, self.root, self.folder, self.jobs)
        items = {item.nodeid: item for item in session.items}
        trials = (self._trial(session, mutant, known, items) for mutant in self.mutants)
        for mutant, outcome in outcomes(trials, self.jobs):
            self.answers.write(json.dumps([self.mutants.index(mutant), outcome]) + "\n")
            self.answers.flush()
        return True

    def _trial(self, session: pytest.Session, mutant: Mutant, known: Record, items: dict[str, pytest.Item]) -> Trial:
        tests = self._killers_first(mutant.path, known.tests_of(mutant.path, mutant.first_line))
        seconds = [known.seconds[test] + COMPILING * mutant.path.endswith(CUDA) for test in tests]

        def run() -> int:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            text = self.texts[mutant.path]
            path, changed = self.root / mutant.path, mutant.apply(text)
            if f"{mutant.path}:{mutant.first_line}" in self.run_by_import:
                return IMPORT_ANEW
            if mutant.path.endswith(CUDA):
                compile_quickly(self.folder)
                read_with(path, changed)
            else:
                import_with(path, changed)  # should a test import it anew
                try:
                    put_into_functions(path, text, changed)
                except ImportAnew:
                    return IMPORT_ANEW
            place = run_items(session, [items[test] for test in tests], seconds)
            if place is None:
                return SURVIVED
            os.write(self.notes, f"{mutant.path} {tests[place]}\n".encode())
            return KILLED

        return Trial(mutant, run, _limit(known, tests))

    def _killers_first(self, path: str, tests: list[str]) -> list[str]:
        """The same tests, those first that killed mutants of the file before: they are likely to do it again."""
        for line in self.noted:
            file, _, test = line.rstrip("\n").partition(" ")
            self.killers.setdefault(file, {}).pop(test, None)
            self.killers[file][test] = None
        places = {test: place for place, test in enumerate(self.killers.get(path, ()))}
        return sorted(tests, key=lambda test: places.get(test, -1), reverse=True)
