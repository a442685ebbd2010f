"""The example with CUDA kernels that are wrong, and its page: each mistake is found, and what mends it is right."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from host_compiler import why_not
from races import why_unusable

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "cuda_on_cpu.py"


def run(example: Path, **environment: str) -> subprocess.CompletedProcess:
    paths = os.pathsep.join([str(EXAMPLE.parents[1]), *sys.path])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "", **environment}
    return subprocess.run([sys.executable, "-W", "error", example], env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def output() -> str:
    if reason := why_not():
        pytest.skip(reason)
    result = run(EXAMPLE)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def test_each_mistake_is_found_and_mended(output: str) -> None:
    text = " ".join(output.split())
    assert "KernelError: scatter: argument 1 (x): element" in text
    assert "KernelError: row_sum: argument 1 (sums): element" in text
    assert "argument 0 (y) has 100 elements, and in line 5 thread" in text
    assert text.count("largest difference from") == 3


def test_kernels_print_where_they_are_launched_and_lines_are_short(output: str) -> None:
    lines = output.splitlines()
    printed = [number for number, line in enumerate(lines) if line.endswith("reads 0, adds 1, writes 1")]
    assert len(printed) == 4
    assert lines[printed[0] - 1].endswith("before any of them writes.")
    assert lines[printed[-1] + 2].startswith("Four threads have added 1, and the pixel holds 1.")
    assert not [line for line in lines if len(line) > 100]


def test_the_lines_that_race_are_named(output: str) -> None:
    if reason := why_unusable():
        assert "(not here: " in output
        pytest.skip(reason)
    assert "race: a write in line 10 and a write in line 10, by threads of two blocks" in output
    assert "race: a write in line 9 and a read in line 9, by threads of one block" in output
    assert output.count("no races") == 2


def test_what_is_missing_is_said_in_one_sentence(tmp_path: Path) -> None:
    alone = tmp_path / "examples" / EXAMPLE.name
    alone.parent.mkdir()
    shutil.copy(EXAMPLE, alone)
    without_tests = os.pathsep.join(path for path in sys.path if not path.startswith(str(EXAMPLE.parents[1] / "tests")))
    result = run(alone, PYTHONPATH=os.pathsep.join([str(EXAMPLE.parents[1]), without_tests]))
    assert result.returncode == 1
    assert result.stderr.startswith("cuda_on_cpu.py: error: needs the folder tests/gpu")
    result = run(EXAMPLE, PATH=str(tmp_path))
    assert result.returncode == 1
    assert "needs the compiler g++; install it with `sudo apt install g++`" in result.stderr


def test_a_cache_that_cannot_be_written_is_said_in_one_sentence(tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(reason)
    (tmp_path / "a_file").touch()
    result = run(EXAMPLE, XDG_CACHE_HOME=str(tmp_path / "a_file"))
    assert result.returncode == 1
    assert result.stderr.startswith("cuda_on_cpu.py: error: ") and "a_file" in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_code_in_the_documentation_does_what_it_says(capfd, monkeypatch) -> None:
    if reason := why_unusable():
        pytest.skip(reason)
    monkeypatch.chdir(EXAMPLE.parents[1])
    monkeypatch.setattr(sys, "path", list(sys.path))
    blocks = re.findall(r"```python\n(.*?)```\n+```text\n(.*?)```", Path("docs/cuda.md").read_text(), re.DOTALL)
    assert len(blocks) == 6
    names: dict[str, Any] = {}
    for code, expected in blocks:
        try:
            exec(code, names)
        except (RuntimeError, TypeError) as error:
            print(f"{type(error).__name__}: {error}")
        assert capfd.readouterr().out == expected
