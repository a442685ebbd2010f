"""The second process that compiles kernels while a program waits for its first step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from minigrad.backends.numba import ahead, dots, pool
from minigrad.backends.numba.threads import threads

FRESH_CACHE = """
import threading
from minigrad.backends.numba import ahead, dots, pool
names = "_dot_products", "_avg_pool2d", "_avg_pool2d_grad_tiled", "_avg_pool2d_grad", "_max_pool2d"
print(*map(ahead.is_to_be_compiled, names))
ahead.compile_ahead("avg_pool2d")
[waiting] = [thread for thread in threading.enumerate() if thread.daemon]
waiting.join()
print(*map(ahead.is_to_be_compiled, names))
"""
DEAF = """
from contextlib import suppress
print("ready", flush=True)
with suppress(BaseException):
    input()
"""


class Started(list):
    """What processes were started, in the place of subprocess.run."""

    def __call__(self, command: list[str], **options: object) -> None:
        self.append((command, options))


@pytest.fixture
def started(monkeypatch) -> Started:
    processes = Started()
    monkeypatch.setattr(subprocess, "run", processes)
    monkeypatch.setattr(threads, "parts", 2)
    monkeypatch.setattr(ahead, "is_to_be_compiled", lambda name: True)
    return processes


def compile_ahead(pooling: str) -> None:
    """As compile_ahead does, and waits for the thread that it starts."""
    before = set(threading.enumerate())
    ahead.compile_ahead(pooling)
    for thread in set(threading.enumerate()) - before:
        assert thread.daemon  # no program has to wait for it at its end
        thread.join(timeout=60)
        assert not thread.is_alive()


@pytest.mark.parametrize("pooling", ahead.POOLINGS)
def test_a_process_is_started_with_one_thread_and_says_nothing(pooling: str, started, monkeypatch) -> None:
    monkeypatch.setattr(sys, "path", [Path("somewhere"), "it's here"])
    compile_ahead(pooling)
    [([python, option, program], options)] = started
    assert (python, option) == (sys.executable, "-c")
    assert "sys.path[:] = ['somewhere', \"it's here\"]\n" in program
    assert program.endswith(f"from minigrad.backends.numba.ahead import compile_now\ncompile_now('{pooling}')\n")
    assert options.pop("env") == {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    assert options == dict.fromkeys(["stdin", "stdout", "stderr"], subprocess.DEVNULL)


def test_no_process_is_started_on_one_core_or_without_python_or_where_the_kernels_are_on_disk(
    started, monkeypatch
) -> None:
    asked = []
    monkeypatch.setattr(ahead, "is_to_be_compiled", asked.append)
    compile_ahead("avg_pool2d")
    assert asked == ["_dot_products"]
    monkeypatch.setattr(ahead, "is_to_be_compiled", lambda name: True)
    monkeypatch.setattr(threads, "parts", 1)
    compile_ahead("avg_pool2d")
    monkeypatch.setattr(threads, "parts", 2)
    monkeypatch.setattr(sys, "executable", None)  # of a program that has Python inside
    compile_ahead("avg_pool2d")
    assert not started


def test_where_no_process_can_be_started_nothing_is_said(started, monkeypatch) -> None:
    def run(*arguments: object, **options: object) -> None:
        raise OSError("no memory")

    said: list = []
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(threading, "excepthook", said.append)
    compile_ahead("max_pool2d")
    assert not said


def test_an_unknown_pooling_is_refused_at_once(started) -> None:
    with pytest.raises(ValueError, match="compile_ahead: pooling must be one of avg_pool2d, max_pool2d, got 'median'"):
        ahead.compile_ahead("median")
    assert not started


@pytest.mark.parametrize(
    ("pooling", "kernels"),
    [
        ("avg_pool2d", ["avg_pool2d", "avg_pool2d_grad_tiled"]),
        ("max_pool2d", ["max_pool2d", "max_pool2d_scatter_tiled"]),
    ],
)
def test_the_process_calls_the_kernels_of_the_way_back(pooling: str, kernels: list[str], monkeypatch) -> None:
    called = []
    pooling_kernels = "avg_pool2d", "avg_pool2d_grad", "avg_pool2d_grad_tiled", "max_pool2d", "max_pool2d_scatter_tiled"
    for module, names in ((dots, ["dot_products"]), (pool, [*pooling_kernels, "choose"])):
        for name in names:

            def record(tasks: int, *arguments: np.ndarray, name: str = name, **_: bool) -> None:
                assert arguments[0].dtype == np.float32
                called.append((name, *(array.shape for array in arguments[:4] if isinstance(array, np.ndarray))))

            monkeypatch.setattr(module, f"_{name}", record)
    ahead.compile_now(pooling)
    images, seen, halves = (6, 8, 10, 8), (6, 4, 6, 8), (6, 4, 5, 8)
    assert [name for name, *_ in called] == ["dot_products", *kernels]
    assert called[0] == ("dot_products", seen, images, (1, 6), (1, 6, 6, 5, 5))
    assert called[1][1] == images
    assert called[2][1] == halves


def test_what_it_compiles_is_found_on_disk(tmp_path) -> None:
    """Wherever it is started: here beside a file that nobody should take for one of Python's modules."""
    (tmp_path / "random.py").write_text("open('imported', 'w')")
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "NUMBA_CACHE_DIR": "cache", "NUMBA_NUM_THREADS": "2"}
    output = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import sys; del sys.path[0]\n" + FRESH_CACHE],
        cwd=tmp_path,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    assert output.splitlines() == ["True True True True True", "False False False True True"]
    assert not (tmp_path / "imported").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_ctrl_c_ends_it_at_once() -> None:
    """Also where KeyboardInterrupt would not come through, as in what LLVM calls."""
    program = ahead.PROGRAM.partition("from")[0].format(path=sys.path) + DEAF
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == -signal.SIGINT
