"""NVIDIA's compiler takes every kernel of the cupy backend, for GPUs from Turing to Hopper.

Needs `pip install '.[test-cuda]'`, and neither a GPU nor a driver.
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NVRTC = Path(__file__).parent / "gpu" / "nvrtc.py"
FILES = {"activation.cu", "conv.cu", "images.cu", "loss.cu", "optimizer.cu", "pool.cu"}
PACKAGES = ("cupy-cuda12x", "cupy-cuda13x")


def installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@pytest.fixture(scope="module")
def compiled() -> list[dict[str, Any]]:
    """What became of each file, by type of numbers and architecture."""
    if not any(map(installed, PACKAGES)):
        pytest.skip("NVRTC is not installed: pip install '.[test-cuda]'")
    run = subprocess.run([sys.executable, NVRTC], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_every_kernel_compiles_without_a_warning_for_each_architecture(compiled: list[dict[str, Any]]) -> None:
    assert {one["file"] for one in compiled} == FILES
    assert {one["architecture"] for one in compiled} == {"sm_75", "sm_80", "sm_90"}
    assert {(one["REAL"], one["INDEX"]) for one in compiled} == {
        (real, index) for real in ("float", "double") for index in ("int", "long long")
    }
    assert all(one["bytes"] for one in compiled), [one for one in compiled if not one["bytes"]]
    assert not [one for one in compiled if one["log"].strip("\n\0")]


def test_kernels_of_float32_compute_nothing_in_double_precision(compiled: list[dict[str, Any]]) -> None:
    scanned = [one["doubles"] for one in compiled if "doubles" in one]
    assert len(scanned) == 2 * len(FILES)  # by the two kinds of counts
    assert not any(scanned), scanned
