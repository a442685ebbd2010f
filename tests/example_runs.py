"""Examples as their users run them: from the command line, in a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def command(example: str, *arguments: str) -> list[str]:
    """What runs an example, with warnings as errors."""
    return [sys.executable, "-W", "error", str(EXAMPLES / f"{example}.py"), *arguments]


def environment() -> dict[str, str]:
    """This process's, with the reference backend, which compiles nothing, on one thread."""
    return {**os.environ, "PYTHONPATH": str(EXAMPLES.parent), "MINIGRAD_BACKEND": "numpy", "OMP_NUM_THREADS": "1"}


def run(example: str, folder: Path, *arguments: str, code: int = 0) -> str:
    """Runs an example in a folder and returns what it printed, on standard error where it is to fail."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    done = subprocess.run(
        command(example, *arguments), cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout
