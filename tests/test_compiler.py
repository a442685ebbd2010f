"""How kernels of the numba backend are compiled, shown on small ones that are made here."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

import numba
from numba import prange
from numba.core.caching import NullCache
from numba.core.cpu_options import ParallelOptions

from minigrad.backends.numba import compiler
from minigrad.backends.numba.compiler import SUMS_IN_ANY_ORDER, compiled_function, compiled_kernel
from minigrad.backends.numba.threads import threads


@pytest.fixture(autouse=True)
def kernels(monkeypatch, tmp_path) -> list:
    """The list of compiled kernels, which these here leave again, as they leave no files behind."""
    own: list = []
    monkeypatch.setattr(compiler, "KERNELS", own)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(threads, "forked", False)  # also where mutants are tried, in forks of a process without threads
    return own


def reciprocals(x, y):
    """y = 1 / x"""
    for i in prange(len(x)):
        y[i] = 1.0 / x[i]


def total(x):
    return x[0] + x[1]


def test_a_kernel_runs_threaded_and_divides_as_numpy_does(kernels) -> None:
    kernel, y = compiled_kernel()(reciprocals), np.empty(3)
    kernel(np.array([2.0, 0.0, -0.0]), y)
    assert y.tolist() == [0.5, np.inf, -np.inf]
    (threaded,) = kernels
    assert len(threaded.signatures) == 1
    assert (kernel.__name__, kernel.__doc__) == ("reciprocals", "y = 1 / x")


def test_after_a_fork_it_runs_without_threads(kernels, monkeypatch) -> None:
    kernel, y = compiled_kernel()(reciprocals), np.empty(1)
    monkeypatch.setattr(threads, "forked", True)
    kernel(np.array([4.0]), y)
    assert y.tolist() == [0.25]
    assert kernels[0].signatures == [], "the threaded version was called"


def test_a_kernel_waits_for_its_turn_and_tells_numba_how_many_threads(monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(threads, "tell_numba", lambda: seen.append(threads.turn.locked()))
    kernel = compiled_kernel()(reciprocals)
    for number in (None, 1):  # with none set, there is nothing to tell
        monkeypatch.setattr(threads, "number", number)
        kernel(np.ones(1), np.empty(1))
    assert seen == [True]
    assert not threads.turn.locked()


def test_a_kernel_is_compiled_anew_when_any_file_of_the_backend_has_changed(monkeypatch) -> None:
    """What it calls may be another file's, and is compiled into it."""

    def hits() -> int:
        function = compiled_function(for_python=True)(total)
        function(np.ones(2))
        return sum(function.stats.cache_hits.values())

    assert [hits(), hits()] == [0, 1]
    monkeypatch.setattr(compiler, "SOURCES", "others")
    assert [hits(), hits()] == [0, 1]


def test_only_loops_over_prange_are_parallel_and_only_rounding_is_free(kernels) -> None:
    kernel = compiled_kernel()(reciprocals)
    for dtype in ("float32", "float64"):  # numba has changed the options that it was given
        kernel(np.ones(1, dtype), np.empty(1, dtype))
        options = kernels[0].targetoptions
        parallel = dict(part.split("=") for part in ParallelOptions(options["parallel"]).encode().split(", "))
        assert {name for name, value in parallel.items() if value == "True"} == {"enabled", "prange"}
    assert options["fastmath"] == {"contract"}
    assert options["nogil"]
    assert options["no_cfunc_wrapper"]
    assert not options["no_cpython_wrapper"]


def test_what_kernels_call_is_compiled_for_them_alone() -> None:
    options = compiled_function(SUMS_IN_ANY_ORDER)(total).targetoptions
    assert options["fastmath"] == {"contract", "reassoc"}
    assert options["no_cfunc_wrapper"]
    assert options["no_cpython_wrapper"]
    assert not options["parallel"]
    assert compiled_function(for_python=True)(total)(np.array([1.0, 2.0])) == 3.0


def test_both_versions_are_kept_on_disk_under_names_of_their_own(kernels) -> None:
    kernel = compiled_kernel()(reciprocals)
    versions = [c.cell_contents for c in kernel.__closure__ if hasattr(c.cell_contents, "py_func")]
    assert kernels[0] in versions
    assert not any(isinstance(version._cache, NullCache) for version in versions)
    names = {(version.py_func.__name__, version.py_func.__qualname__) for version in versions}
    assert names == {("reciprocals", "reciprocals"), ("reciprocals_unthreaded", "reciprocals_unthreaded")}
    assert {version.py_func.__module__ for version in versions} == {__name__}


def test_a_function_of_no_file_is_compiled_though_it_cannot_be_kept() -> None:
    names: dict = {}
    exec("def product(x):\n    return x[0] * x[1]", names)
    product = compiled_function(for_python=True)(names["product"])
    assert isinstance(product._cache, NullCache)
    assert product(np.array([2.0, 3.0])) == 6.0
