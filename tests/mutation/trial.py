"""Tries mutants in forked processes, which have the tests collected already and change the code in memory alone.

A function's new code is put into the functions that are there. What runs when modules are imported (constants, defaults
of arguments, tables) needs a process that imports everything anew: there the tests are collected again.
"""

from __future__ import annotations

import functools
import gc
import importlib.machinery
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import pytest
from mutants import Mutant

SURVIVED, KILLED, IMPORT_ANEW, BROKEN = 0, 1, 71, 70  # a trial's exit status; pytest's others are kills, too
NO_TESTS = 5  # as pytest has it
PAUSE = 0.002  # seconds between looks at the running processes


class Trial(NamedTuple):
    mutant: Mutant
    run: Callable[[], int]  # in a process of its own, which exits with what it returns
    limit: float  # seconds


def outcomes(trials: Iterable[Trial], jobs: int) -> Iterator[tuple[Mutant, str]]:
    """Runs so many trials at a time, and tells of each how it ended."""
    waiting, running = iter(trials), dict[int, tuple[Trial, float]]()
    while True:
        while len(running) < jobs and (trial := next(waiting, None)) is not None:
            running[forked(trial.run)] = trial, time.monotonic() + trial.limit
        if not running:
            return
        time.sleep(PAUSE)
        for child, (trial, end) in list(running.items()):
            outcome = _outcome(child, end)
            if outcome is not None:
                del running[child]
                if outcome == "broken":
                    raise RuntimeError(f"the trial itself failed, of\n{trial.mutant}")
                yield trial.mutant, outcome


def forked(run: Callable[[], int]) -> int:
    """The id of a new process, at the head of a group, that exits with what `run` returns."""
    child = os.fork()
    if child == 0:
        status = BROKEN
        try:
            os.setpgid(0, 0)
            status = run()
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            os._exit(status)
    return child


def _outcome(child: int, end: float) -> str | None:
    """None where it is still running."""
    ended, status = os.waitpid(child, os.WNOHANG)
    if ended:
        code = os.waitstatus_to_exitcode(status)
        special = {
            -signal.SIGALRM: "timed out",
            SURVIVED: "survived",
            IMPORT_ANEW: "import anew",
            BROKEN: "broken",
            NO_TESTS: "broken",
        }
        return special.get(code, "killed")
    if time.monotonic() < end:
        return None
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "timed out"


# ---------------------------------------------------------------------------------------------- code put into functions


class ImportAnew(Exception):
    """The change shows only when modules are imported."""


def put_into_functions(path: Path, before: str, after: str) -> None:
    """Gives a module's functions, where they are alive, the code that they would have had the module this text."""
    alive: dict[CodeType, list[FunctionType]] = {}
    for function in gc.get_objects():
        if type(function) is FunctionType and function.__code__.co_filename == str(path):
            alive.setdefault(function.__code__, []).append(function)
    old, new = (compile(text, str(path), "exec", dont_inherit=True) for text in (before, after))
    if not _put(old, new, alive):
        raise ImportAnew
    for cache in caches():
        cache.cache_clear()


def _put(old: CodeType, new: CodeType, alive: dict[CodeType, list[FunctionType]]) -> bool:
    """Whether all that differs is in functions now. Codes are compared by value, with those inside them."""
    if old == new:
        return True
    for function in alive.get(old, []):
        try:
            function.__code__ = new
        except ValueError:  # another number of variables from outside
            raise ImportAnew from None
    inside, new_inside = ([c for c in code.co_consts if isinstance(c, CodeType)] for code in (old, new))
    if old in alive:
        for a, b in zip(inside, new_inside, strict=False):  # functions made by this one, where they are alive
            _put(a, b, alive)
        return True
    if [c.co_name for c in inside] != [c.co_name for c in new_inside]:
        return False
    same_frame = old == new.replace(co_consts=tuple(_with(new.co_consts, inside)))
    if not same_frame:
        return False
    done = [_put(a, b, alive) for a, b in zip(inside, new_inside, strict=True)]
    return all(done)


def _with(constants: tuple[Any, ...], codes: list[CodeType]) -> Iterator[Any]:
    """The constants, with these code objects in place of those among them."""
    others = iter(codes)
    return (next(others) if isinstance(constant, CodeType) else constant for constant in constants)


def caches() -> list[Any]:
    wrapper = type(functools.lru_cache(lambda: None))
    return [c for c in gc.get_objects() if type(c) is wrapper and (c.__module__ or "").startswith("minigrad")]


def import_with(path: Path, text: str) -> None:
    """From here on, the file is imported as if it held this text."""
    original = importlib.machinery.SourceFileLoader.get_code

    def get_code(self: Any, fullname: str) -> CodeType | None:
        if self.path != str(path):
            return original(self, fullname)
        return compile(text, self.path, "exec", dont_inherit=True)

    importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign]


def read_with(path: Path, text: str) -> None:
    """From here on, the file is read as if it held this text: a kernel's source is, whenever it is compiled."""
    original = Path.read_text

    def read_text(self: Path, *arguments: Any, **keywords: Any) -> str:
        return text if self == path else original(self, *arguments, **keywords)

    Path.read_text = read_text  # type: ignore[method-assign]
    for cache in caches():
        cache.cache_clear()


# -------------------------------------------------------------------------------------------------------- pytest's part


class Selection:
    """A plugin that keeps the given tests, in the given order."""

    def __init__(self, tests: list[str]) -> None:
        self.places = {test: place for place, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self.places), key=lambda i: self.places[i.nodeid])


def run_items(session: pytest.Session, items: list[pytest.Item], seconds: list[float]) -> int | None:
    """Runs tests that are collected, to the first that fails; its place, or None.

    A test that takes far longer than the given seconds ends the process.
    """
    for place, (item, after) in enumerate(zip(items, [*items[1:], None], strict=True)):
        signal.setitimer(signal.ITIMER_REAL, 3 + 10 * seconds[place])
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        if session.testsfailed:
            return place
    signal.setitimer(signal.ITIMER_REAL, 0)
    return None
