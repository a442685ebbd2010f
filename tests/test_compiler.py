"""How kernels of the numba backend are compiled, shown on small ones that are made here."""

from __future__ import annotations

import errno
import inspect
import itertools
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from locks import is_free

pytest.importorskip("numba")

import numba
from llvmlite.binding import load_library_permanently
from numba.core import caching
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.cpu_options import ParallelOptions

from minigrad.backends.numba import compiler
from minigrad.backends.numba.compiler import (
    PRANGE_ONLY,
    SUMS_IN_ANY_ORDER,
    compiled_function,
    compiled_kernel,
    is_to_be_compiled,
)
from minigrad.backends.numba.threads import threads


@pytest.fixture(autouse=True)
def kernels(monkeypatch, tmp_path) -> list:
    """The list of kernels, which these here leave again, as they leave no files behind."""
    own: list = []
    monkeypatch.setattr(compiler, "KERNELS", own)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(threads, "parts", 2)  # also where mutants are tried, in forks of a process without threads
    return own


@pytest.fixture(params=["by prange", "by OpenMP"])
def shared_out_anew(request, monkeypatch) -> Callable:
    """What shares tasks out is compiled for this test, too, though conftest.py has run kernels."""
    if request.param == "by prange":
        share_out = compiled_function(parallel=PRANGE_ONLY)(compiler._by_prange.py_func)
    else:
        try:
            load_library_permanently("libgomp.so.1")
        except RuntimeError:
            pytest.skip("there is no GNU OpenMP")
        share_out = compiled_function()(compiler._by_openmp.py_func)
    numba.get_num_threads()  # numba has its threads, as where a kernel is run
    monkeypatch.setattr(compiler, "_sharing", lambda: share_out)
    return share_out


def compiled(function: Callable, *arguments: Any) -> Callable:
    """The kernel, compiled: in a fixture, since a test that compiles counts as slow where mutants are tried."""
    kernel = compiled_kernel()(function)
    kernel(1, *arguments)
    return kernel


def reciprocals(first, last, x, y):
    """y = 1 / x"""
    for i in range(first, last):
        y[i] = 1.0 / x[i]


@pytest.fixture
def reciprocals_kernel(kernels, shared_out_anew) -> Callable:
    return compiled(reciprocals, np.ones(1), np.empty(1))


def bounds(first, last, found, steps, pairs):
    """Writes down which tasks it was called for, and what else it got, beside the first of them."""
    if first < last:
        found[first] = last, steps[0], steps[1][1], pairs[0, 1], pairs.shape[1]


@pytest.fixture
def bounds_kernel(kernels, shared_out_anew) -> Callable:
    return compiled(bounds, np.zeros((1, 5), np.int64), (0, (0, 0)), np.zeros((1, 2), np.int64))


def total(x):
    return x[0] + x[1]


FACTOR = 1.0


def scaled(x):
    """Compiled to the same code of Python whatever the factor is, as a kernel is whatever it calls."""
    return FACTOR * x[0]


def call_anew(function: Callable) -> tuple[float, int]:
    """What another process gets: the result, and how many versions it has read from disk."""
    again = compiled_function(for_python=True)(function)
    return again(np.array([1.0, 2.0])), sum(again.stats.cache_hits.values())


def test_a_kernel_divides_as_numpy_does(reciprocals_kernel, kernels) -> None:
    y = np.empty(3)
    reciprocals_kernel(3, np.array([2.0, 0.0, -0.0]), y)
    assert y.tolist() == [0.5, np.inf, -np.inf]
    assert [len(kernel.signatures) for kernel in kernels] == [1]
    assert (reciprocals_kernel.__name__, reciprocals_kernel.__doc__) == ("reciprocals", "y = 1 / x")


PARTS = {  # by the number of parts and of tasks
    (1, 7): [(0, 7)],
    (2, 7): [(0, 3), (3, 7)],
    (3, 7): [(0, 2), (2, 4), (4, 7)],
    (1, 3): [(0, 3)],
    (2, 3): [(0, 1), (1, 3)],
    (3, 3): [(0, 1), (1, 2), (2, 3)],
    (1, 1): [(0, 1)],
    (0, 0): [],
}


@pytest.mark.parametrize(("parts", "tasks"), [(1, 7), (2, 7), (3, 7), (8, 3), (2, 1), (2, 0)])
def test_each_thread_gets_its_part_of_the_tasks_and_all_arguments(
    parts: int, tasks: int, bounds_kernel, shared_out_anew, monkeypatch
) -> None:
    monkeypatch.setattr(threads, "parts", parts)
    found = np.zeros((8, 5), np.int64)
    bounds_kernel(tasks, found, (5, (6, 7)), np.array([[8, 9]]))
    if shared_out_anew.py_func is compiler._by_openmp.py_func:  # a part for each thread, of as many as numba has
        parts = min(parts, numba.get_num_threads())
    expected = PARTS[min(parts, tasks), tasks]
    assert [(i, row[0]) for i, row in enumerate(found.tolist()) if any(row)] == expected
    assert [row[1:] for row in found.tolist() if any(row)] == [[5, 7, 9, 2]] * len(expected)


def test_the_calling_thread_may_do_all_tasks_alone(bounds_kernel) -> None:
    found = np.zeros((8, 5), np.int64)
    bounds_kernel(7, found, (5, (6, 7)), np.array([[8, 9]]), alone=True)
    assert found[:, 0].tolist() == [7, 0, 0, 0, 0, 0, 0, 0]


def test_no_more_threads_are_taken_than_numba_may_have(bounds_kernel, shared_out_anew) -> None:
    found, before = np.zeros((8, 5), np.int64), numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        bounds_kernel(7, found, (5, (6, 7)), np.array([[8, 9]]))
    finally:
        numba.set_num_threads(before)
    by_openmp = shared_out_anew.py_func is compiler._by_openmp.py_func
    assert [row[0] for row in found.tolist() if any(row)] == ([7] if by_openmp else [3, 7])  # or both parts in turn


@pytest.mark.parametrize(
    ("layer", "vendor", "found", "expected"),
    [
        ("omp", "GNU", True, "_by_openmp"),
        ("omp", "GNU", False, "_by_prange"),
        ("omp", "Intel", True, "_by_prange"),
        ("workqueue", "GNU", True, "_by_prange"),
    ],
)
def test_openmp_is_asked_at_once_where_numbas_threads_are_its_own(
    layer: str, vendor: str, found: bool, expected: str, monkeypatch
) -> None:
    def load(name: str) -> None:
        if not found or name != "libgomp.so.1":
            raise RuntimeError(name)

    started: list[int] = []

    def threading_layer() -> str:
        if not started:
            raise ValueError("Threading layer is not initialized.")
        return layer

    monkeypatch.setattr(numba, "get_num_threads", lambda: started.append(2))
    monkeypatch.setattr(numba, "threading_layer", threading_layer)
    pools = {"numba.np.ufunc.omppool": SimpleNamespace(openmp_vendor=vendor)}
    monkeypatch.setattr(compiler, "import_module", pools.__getitem__)
    monkeypatch.setattr(compiler, "load_library_permanently", load)
    assert compiler._sharing() is getattr(compiler, expected)


@pytest.fixture
def kernel_of_two_inputs(kernels, shared_out_anew) -> Callable:
    kernel = compiled_kernel(inputs=2)(reciprocals)
    for dtypes in itertools.product(("float64", "float32"), repeat=2):
        kernel(1, *(np.ones(1, dtype) for dtype in dtypes))
    return kernel


def test_the_dtypes_of_the_inputs_choose_the_version(kernel_of_two_inputs, kernels) -> None:
    for dtypes in itertools.product(("float64", "float32"), repeat=2):
        y = np.empty(2, dtypes[1])
        kernel_of_two_inputs(2, np.array([3, 4], dtypes[0]), y)
        np.testing.assert_array_equal(y, np.array([1 / 3, 1 / 4], dtypes[1]))
    assert len(kernels[0].signatures) == 4


def sums(first, last, x, y, z):
    for i in range(first, last):
        z[i] = x[i] + y[i]


@pytest.fixture
def kernel_of_three_inputs(kernels, shared_out_anew) -> Callable:
    kernel = compiled_kernel(inputs=3)(sums)
    for dtype in ("float64", "float32"):
        kernel(1, np.ones(1), np.ones(1), np.ones(1, dtype))
    return kernel


def test_so_does_the_dtype_of_a_third_input(kernel_of_three_inputs, kernels) -> None:
    for dtype in ("float64", "float32"):
        z = np.empty(2, dtype)
        kernel_of_three_inputs(2, np.array([1.0, 2.0]), np.array([3.0, 5.0]), z)
        np.testing.assert_array_equal(z, np.array([4, 7], dtype))
    assert len(kernels[0].signatures) == 2


def repeats(first, last, x, y, number):
    for i in range(first, last):
        y[i] = x[0] + number


@pytest.fixture
def kernel_of_one_input(kernels, shared_out_anew) -> Callable:
    kernel = compiled_kernel()(repeats)
    for dtype in ("float64", "float32"):
        kernel(1, np.ones(1, dtype), np.ones(1), 1)
    return kernel


def test_one_input_alone_chooses_the_version(kernel_of_one_input, kernels) -> None:
    for dtype in ("float64", "float32"):
        y = np.empty(2)
        kernel_of_one_input(2, np.array([1 / 3], dtype), y, 1)
        np.testing.assert_array_equal(y, np.repeat(np.array([1 / 3], dtype).astype("float64") + 1, 2))
    assert len(kernels[0].signatures) == 2


def fails(first, last, x):
    if x[first] == 0.0:
        raise ValueError("numba's threads tell nobody")


@pytest.fixture
def failing_kernel(kernels, shared_out_anew) -> Callable:
    return compiled(fails, np.ones(1))


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("place", [0, 1])
def test_a_kernel_that_fails_in_some_thread_is_an_error(parts: int, place: int, failing_kernel, monkeypatch) -> None:
    monkeypatch.setattr(threads, "parts", parts)
    x = np.ones(2)
    failing_kernel(2, x)
    x[place * (parts - 1)] = 0.0
    with pytest.raises(MemoryError, match="a kernel of minigrad's numba backend has found no memory"):
        failing_kernel(2, x)
    assert is_free(threads.turn)
    failing_kernel(2, np.ones(2))


def test_arrays_are_let_go_of(reciprocals_kernel) -> None:
    x, y = np.ones(4), np.empty(4)
    for _ in range(2):
        reciprocals_kernel(4, x, y)
        assert (sys.getrefcount(x), sys.getrefcount(y)) == (2, 2)


def test_many_python_threads_call_one_kernel(reciprocals_kernel) -> None:
    x = np.arange(1.0, 1001.0)

    def call(_: int) -> bool:
        y = np.empty(1000)
        reciprocals_kernel(1000, x, y)
        return np.array_equal(y, 1 / x)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(call, range(200)))


def test_a_kernel_waits_for_its_turn_and_tells_numba_how_many_threads_where_it_does_not_know(
    reciprocals_kernel, monkeypatch
) -> None:
    seen: list[bool] = []
    monkeypatch.setattr(threads, "tell_numba", lambda: seen.append(is_free(threads.turn)))
    for number, told, expected in ((None, None, []), (1, 1, []), (1, None, [False]), (2, 1, [False, False])):
        monkeypatch.setattr(threads, "number", number)
        monkeypatch.setattr(threads.told, "number", told)
        reciprocals_kernel(1, np.ones(1), np.empty(1))
        assert seen == expected
    assert is_free(threads.turn)


def test_a_signals_handler_may_call_a_kernel_while_its_thread_has_the_turn(reciprocals_kernel) -> None:
    y = np.empty(1)

    def handle(*_: Any) -> None:
        assert threads.turn.acquire(blocking=False)  # otherwise the kernel would wait for ever
        threads.turn.release()
        reciprocals_kernel(1, np.array([4.0]), y)

    before = signal.signal(signal.SIGINT, handle)
    try:
        with threads.turn:
            signal.raise_signal(signal.SIGINT)
            assert y.tolist() == [0.25]
            assert not is_free(threads.turn)
    finally:
        signal.signal(signal.SIGINT, before)
    assert is_free(threads.turn)


def test_a_kernel_is_compiled_anew_when_any_file_of_the_backend_has_changed(monkeypatch) -> None:
    """What it calls may be another file's, and is compiled into it."""
    assert [call_anew(total), call_anew(total)] == [(3.0, 0), (3.0, 1)]
    monkeypatch.setattr(compiler, "SOURCES", "others")
    assert [call_anew(total), call_anew(total)] == [(3.0, 0), (3.0, 1)]


def test_each_function_is_kept_in_files_of_its_own(tmp_path) -> None:
    for function in (total, scaled):
        call_anew(function)
    names = sorted(path.name.partition("-")[0] for path in tmp_path.rglob("*.nb?"))
    assert names == ["test_compiler.scaled"] * 2 + ["test_compiler.total"] * 2


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "without its end": lambda content: content[:-1],
    "zeros": lambda content: bytes(len(content)),
    "zeros inside": lambda content: content[: len(content) // 2] + bytes(64) + content[len(content) // 2 + 64 :],
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("files", ["*.nbi", "*.nbc", "*.nb?"])
def test_a_damaged_file_on_disk_counts_as_not_there_and_is_replaced(files: str, damage: str, tmp_path) -> None:
    assert call_anew(total) == (3.0, 0)
    damaged = list(tmp_path.rglob(files))
    assert len(damaged) == (2 if files == "*.nb?" else 1)
    for path in damaged:
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert [call_anew(total), call_anew(total)] == [(3.0, 0), (3.0, 1)]


def test_a_file_that_may_not_be_read_counts_as_not_there(tmp_path) -> None:
    assert call_anew(total) == (3.0, 0)
    for path in list(tmp_path.rglob("*.nb?")):
        path.unlink()
        path.mkdir()  # for the superuser, too
    assert [call_anew(total), call_anew(total)] == [(3.0, 0)] * 2


def no_space_for(ending: str, monkeypatch) -> None:
    """The disk is full when a file of such a name is written."""
    replace = os.replace

    def replace_or_fail(source: str, target: str) -> None:
        if target.endswith(ending):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_or_fail)


@pytest.mark.parametrize("ending", [".nbi", ".nbc"])
def test_what_cannot_be_written_is_left_out_until_there_is_space(ending: str, monkeypatch, tmp_path) -> None:
    with monkeypatch.context() as full:
        no_space_for(ending, full)
        assert [call_anew(total), call_anew(total)] == [(3.0, 0)] * 2
    assert [call_anew(total), call_anew(total)] == [(3.0, 0), (3.0, 1)]
    assert sorted(path.suffix for path in tmp_path.rglob("*") if path.is_file()) == [".nbc", ".nbi"]


def test_a_damaged_index_that_cannot_be_replaced_stops_nothing(monkeypatch, tmp_path) -> None:
    assert call_anew(total) == (3.0, 0)
    (index,) = tmp_path.rglob("*.nbi")
    index.write_bytes(b"")
    no_space_for(".nbi", monkeypatch)
    assert [call_anew(total), call_anew(total)] == [(3.0, 0)] * 2


def test_a_folder_that_cannot_be_written_to_any_more_stops_nothing(monkeypatch) -> None:
    def fail(**_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    function = compiled_function(for_python=True)(total)
    monkeypatch.setattr(caching.tempfile, "TemporaryFile", fail)
    assert function(np.array([1.0, 2.0])) == 3.0


def test_older_code_is_not_run_where_the_newer_one_could_not_be_written(monkeypatch) -> None:
    """The index is the newer one then, and names a file that has been there before."""
    assert call_anew(scaled) == (1.0, 0)
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 5.0)
    monkeypatch.setattr(compiler, "SOURCES", "others")
    with monkeypatch.context() as full:
        no_space_for(".nbc", full)
        assert call_anew(scaled) == (5.0, 0)
    assert [call_anew(scaled), call_anew(scaled)] == [(5.0, 0), (5.0, 1)]


def test_code_of_another_version_is_not_run_in_its_place(tmp_path) -> None:
    function = compiled_function(for_python=True)(total)
    assert function(np.array([1.0, 2.0])) == 3.0
    (first,) = tmp_path.rglob("*.nbc")
    assert function(np.array([1, 2])) == 3
    (second,) = set(tmp_path.rglob("*.nbc")) - {first}
    first.write_bytes(second.read_bytes())
    assert call_anew(total) == (3.0, 0)


def test_code_of_another_numba_is_not_run(monkeypatch) -> None:
    assert call_anew(total) == (3.0, 0)
    monkeypatch.setattr(numba, "__version__", "0")
    with monkeypatch.context() as full:
        no_space_for(".nbc", full)
        assert call_anew(total) == (3.0, 0)
    assert [call_anew(total), call_anew(total)] == [(3.0, 0), (3.0, 1)]


@pytest.mark.parametrize("step", ["_reduce", "_rebuild"])
def test_an_error_that_is_not_of_files_is_raised(step: str, monkeypatch) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("numba's own")

    if step == "_rebuild":
        call_anew(total)
    monkeypatch.setattr(CompileResult, step, fail)
    with pytest.raises(ValueError, match="numba's own"):
        call_anew(total)


def test_an_error_of_the_compiler_is_raised_whatever_its_kind(monkeypatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError("the compiler's own")

    function = compiled_function(for_python=True)(total)
    monkeypatch.setattr(function._compiler, "compile", fail)
    with pytest.raises(OSError, match="the compiler's own"):
        function(np.ones(2))


def test_only_the_loop_that_shares_tasks_out_is_parallel_and_only_rounding_is_free(kernels) -> None:
    compiled_kernel()(reciprocals)
    options = kernels[0].targetoptions
    assert options["fastmath"] == {"contract"}
    assert options["nogil"]
    assert options["no_cfunc_wrapper"]
    assert options["no_cpython_wrapper"]
    assert not options["parallel"]
    assert compiled_kernel(fastmath=SUMS_IN_ANY_ORDER)(total)
    assert kernels[1].targetoptions["fastmath"] == {"contract", "reassoc"}
    parallel = compiler._by_prange.targetoptions["parallel"]
    parts = dict(part.split("=") for part in ParallelOptions(parallel).encode().split(", "))
    assert {name for name, value in parts.items() if value == "True"} == {"enabled", "prange"}


def test_what_kernels_call_is_compiled_for_them_alone() -> None:
    options = compiled_function(SUMS_IN_ANY_ORDER)(total).targetoptions
    assert options["fastmath"] == {"contract", "reassoc"}
    assert options["no_cfunc_wrapper"]
    assert options["no_cpython_wrapper"]
    assert not options["parallel"]
    assert compiled_function(for_python=True)(total)(np.array([1.0, 2.0])) == 3.0


def test_what_calls_a_kernel_is_kept_on_disk_under_the_kernels_name(
    reciprocals_kernel, kernels, shared_out_anew
) -> None:
    run = inspect.getclosurevars(reciprocals_kernel).nonlocals["run"]
    assert (run.py_func.__name__, run.py_func.__qualname__) == ("run_test_compiler_reciprocals",) * 2
    for function in (kernels[0], run, shared_out_anew):
        assert not isinstance(function._cache, NullCache)


def test_a_function_of_no_file_is_compiled_though_it_cannot_be_kept(kernels) -> None:
    names: dict = {}
    exec("def product(x):\n    return x[0] * x[1]", names)
    product = compiled_function(for_python=True)(names["product"])
    assert isinstance(product._cache, NullCache)
    kernels.append(product)
    assert not is_to_be_compiled("product")  # for no other process could make it sooner
    assert product(np.array([2.0, 3.0])) == 6.0


def test_a_kernel_is_to_be_compiled_until_it_is_on_disk() -> None:
    kernel = compiled_kernel()(reciprocals)
    assert is_to_be_compiled("reciprocals")
    kernel(1, np.ones(1), np.empty(1))
    compiled_kernel()(bounds)
    assert (is_to_be_compiled("reciprocals"), is_to_be_compiled("bounds")) == (False, True)


def test_nothing_is_kept_by_a_numba_that_cannot_be_told_of_the_other_files(monkeypatch) -> None:
    class OtherIndex(caching.IndexDataCacheFile):
        _source_stamp = property(None, lambda self, stamp: None)

    assert not isinstance(compiled_function()(reciprocals)._cache, NullCache)
    monkeypatch.setattr(caching, "IndexDataCacheFile", OtherIndex)
    assert isinstance(compiled_function()(reciprocals)._cache, NullCache)


def test_nothing_is_kept_by_a_numba_whose_files_are_made_otherwise(monkeypatch) -> None:
    monkeypatch.setattr(compiler, "_Files", lambda path: None)
    assert isinstance(compiled_function()(reciprocals)._cache, NullCache)
