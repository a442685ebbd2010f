"""Runs the tests in a copy of the project, in a forked process: which tests run what, and whether a mutant survives."""

from __future__ import annotations

import contextlib
import functools
import gc
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import hypothesis.extra.numpy
import hypothesis.strategies
import interpreted
import numba
import pytest
import threadpoolctl

PRELOADED = (hypothesis, numba, threadpoolctl)  # imported here, before the processes are forked, and not in each

MEMORY = 8 << 30  # bytes that a mutant may ask for
LONGEST_TEST = 1.5  # seconds, watched; slower ones are left out, as are those that fail where nothing is compiled
OPTIONS = ["-q", "--assert=plain", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]


def run_tests(folder: Path, arguments: list[str], plugin: Any, log: Path, compiled: bool) -> int:
    """pytest's exit status; for a forked process, which this changes beyond repair."""
    os.setpgid(0, 0)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    sys.stdout.flush()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(folder)
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(folder))
    numba.config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(dir=folder.parent)  # nobody else's
    if not compiled:
        interpreted.install()
    return int(pytest.main([*OPTIONS, *arguments], plugins=[plugin]))


class TooLong(BaseException):
    """What ends a test that takes too long; nothing in a test catches it."""


def _too_long(*_: Any) -> None:
    raise TooLong


class Selection:
    """Keeps the given tests, in the given order."""

    def __init__(self, tests: list[str]) -> None:
        self.places = {test: place for place, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((item for item in items if item.nodeid in self.places), key=self._place)

    def _place(self, item: pytest.Item) -> int:
        return self.places[item.nodeid]


class Record:
    """Notes of each test how long it takes and which functions it runs, by file and first line.

    Attributes:
        part: which of how many parts of the tests are run.
    """

    def __init__(self, folder: Path, part: tuple[int, int], result: Path) -> None:
        self.folder, self.part, self.result = f"{folder}/", part, result
        self.tests: dict[str, Any] = {}
        self.failed: set[str] = set()
        self.caches: list[Any] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        index, parts = self.part
        items[:] = items[index::parts]

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        codes = set()

        def note(frame: Any, event: str, _: Any) -> None:
            if event == "call":
                codes.add(frame.f_code)

        self.caches = self.caches or _caches()
        for cache in self.caches:
            cache.cache_clear()  # so that each test runs what it needs
        start = time.perf_counter()
        signal.signal(signal.SIGALRM, _too_long)
        signal.setitimer(signal.ITIMER_REAL, LONGEST_TEST)
        sys.setprofile(note)
        yield
        sys.setprofile(None)
        signal.setitimer(signal.ITIMER_REAL, 0)
        seconds = time.perf_counter() - start
        own = {code for code in codes if code.co_filename.startswith(self.folder)}
        places = sorted({f"{code.co_filename.removeprefix(self.folder)}:{code.co_firstlineno}" for code in own})
        self.tests[item.nodeid] = (seconds, [place for place in places if place.startswith("minigrad/")])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self.failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        usable = {test: found for test, found in self.tests.items() if test not in self.failed}
        self.result.write_text(json.dumps(usable))


def _caches() -> list[Any]:
    wrapper = type(functools.lru_cache(lambda: None))
    return [c for c in gc.get_objects() if isinstance(c, wrapper) and (c.__module__ or "").startswith("minigrad")]


def forked(*arguments: Any) -> int:
    """The id of a new process that runs the tests and exits with their status."""
    child = os.fork()
    if child == 0:
        status = 70
        with contextlib.suppress(BaseException):
            status = run_tests(*arguments)
        os._exit(status)
    return child
