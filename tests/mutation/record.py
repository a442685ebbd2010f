"""Which tests run which functions, found out by running them all once: the tests that should notice a mutant."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cuda_operators import functions_of
from mutants import CUDA
from stand_in import counting
from trial import caches, forked

# Slower tests, in seconds and watched, are left out, as are those that fail where nothing is compiled. What counts is
# the processor's time, as others may use the machine too; the clock's ends what waits for other processes.
LONGEST_TEST = {signal.ITIMER_PROF: 1.5, signal.ITIMER_REAL: 6.0}

# The compiled backends, and tests that do not run them, or only run again what other tests run, and slower.
RULES = ("tests/test_ops", "tests/test_autograd")
COMPILED = {
    "numba": (*RULES, "tests/test_gpu"),
    "cupy": (*RULES, "tests/test_kernels_ways", "tests/test_kernels_choices", "tests/test_kernels_memory"),
}


def may_notice(test: str, path: str) -> bool:
    """Whether mutants of the file are tried with the test: those of a backend with the tests of kernels that run on it,
    and everything else on the reference alone."""
    backend = next((backend for backend in COMPILED if f"/{backend}/" in path), "")
    elsewhere = any(f"[{other}" in test for other in COMPILED if other != backend)
    return not elsewhere and not test.startswith(COMPILED.get(backend, ()))


class Record:
    """For each test the seconds it takes; for each function, by file and first line, and each file its tests."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.seconds = {test: seconds for test, (seconds, _) in found.items()}
        self.tests: dict[str, list[str]] = {}
        for test in sorted(found, key=self.seconds.__getitem__):
            functions = found[test][1]
            for place in {*functions, *(function.partition(":")[0] for function in functions)}:
                self.tests.setdefault(place, []).append(test)

    def tests_of(self, path: str, first_line: int) -> list[str]:
        """The tests that run the function, the quickest first; where none does, those that run something in its file,
        and then all others; but what lies in a file of the cupy backend is used in that file alone.
        """
        tests = self.tests.get(f"{path}:{first_line}")
        if tests is None:
            others = () if "/cupy/" in path else self.seconds
            tests = list(dict.fromkeys([*self.tests.get(path, ()), *others]))
        return [test for test in tests if may_notice(test, path)]


def record(session: pytest.Session, root: Path, folder: Path, jobs: int) -> Record:
    """Runs the session's tests, as many processes as there are jobs each a part of them."""
    jobs = min(jobs, len(session.items))
    children = [forked(lambda i=i: _run_part(session, root, i, jobs, folder / f"part{i}.json")) for i in range(jobs)]
    failed = [child for child in children if os.waitpid(child, 0)[1]]
    if failed:
        raise RuntimeError("the tests could not be run to see which functions they run")
    found: dict[str, Any] = {}
    for i in range(jobs):
        found.update(json.loads((folder / f"part{i}.json").read_text()))
    (folder / "record.json").write_text(json.dumps(found))
    return Record(found)


@contextmanager
def functions_run(root: Path) -> Iterator[set[str]]:
    """Fills a set with the functions of the project that run inside, by file and first line."""
    places: set[str] = set()
    codes = set()

    def note(frame: Any, event: str, _: Any) -> None:
        if event == "call":
            codes.add(frame.f_code)

    sys.setprofile(note)
    try:
        yield places
    finally:
        sys.setprofile(None)
        own = (code for code in codes if code.co_filename.startswith(f"{root}/minigrad/"))
        places.update(f"{os.path.relpath(code.co_filename, root)}:{code.co_firstlineno}" for code in own)


def places_of_kernels(root: Path) -> dict[str, str]:
    """By name: the file and the line, as functions have them."""
    files = {str(path.relative_to(root)): path.read_text() for path in (root / "minigrad").rglob(f"*{CUDA}")}
    return {kernel.name: f"{file}:{kernel.line}" for file, text in files.items() for kernel in functions_of(text)}


class TooLong(BaseException):
    """What ends a test that takes too long; nothing in a test catches it."""


class TimeLimit:
    """A plugin that ends tests which take too long; and nothing around them, where pytest would not expect it."""

    def __init__(self) -> None:
        for number in (signal.SIGPROF, signal.SIGALRM):
            signal.signal(number, self.end)

    def end(self, *_: Any) -> None:
        raise TooLong

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Iterator[None]:
        for timer, seconds in LONGEST_TEST.items():
            signal.setitimer(timer, seconds)
        try:
            return (yield)
        except TooLong:  # may come from between two lines, and pytest can't show what has no line
            raise AssertionError("takes too long") from None
        finally:  # should the time end here, what is raised fails the test as well
            for timer in LONGEST_TEST:
                signal.setitimer(timer, 0)


def _run_part(session: pytest.Session, root: Path, part: int, parts: int, result: Path) -> int:
    session.config.pluginmanager.register(TimeLimit())
    found, filled, kernels = {}, caches(), places_of_kernels(root)
    items = session.items[part::parts]
    for item, after in zip(items, [*items[1:], None], strict=True):
        for cache in filled:
            cache.cache_clear()  # so that each test runs what it needs
        failed, start = session.testsfailed, time.perf_counter()
        with functions_run(root) as places, counting() as counts:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        places.update(kernels[name] for name in counts.names if name in kernels)
        if session.testsfailed == failed:
            found[item.nodeid] = time.perf_counter() - start, sorted(places)
    result.write_text(json.dumps(found))
    return 0
