"""The stand-in for the module cupy: what it refuses, what it counts, and that it has no names of its own."""

from __future__ import annotations

import copy
import importlib.util
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import cupy_surface
import launches
import numpy as np
import pytest
from draws import LAYOUTS, laid_out
from placing import placed
from refusals import HOST, REFUSALS, REFUSALS_ON_A_DEVICE, Refusal
from stand_in import MODULES, broken, counting, cupy, installed

from minigrad import Tensor
from minigrad.backends import Backend

NEEDS_GPP = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++ to run CUDA code on the CPU")


def on_device() -> Any:
    return cupy.asarray(np.arange(6, dtype=np.float32).reshape(2, 3))


# ------------------------------------------------------------------------------------------------------ what it refuses


# Where CuPy would go on, or complain in other words.
STRICTER = [
    Refusal("cupy.sum(HOST)", TypeError, "sum: expected cupy.ndarray, got numpy.ndarray"),
    Refusal("cupy.sum([1.0])", TypeError, "sum: expected cupy.ndarray, got builtins.list"),
    Refusal("cupy.concatenate([x, HOST])", TypeError, "concatenate: expected cupy.ndarray"),
    Refusal("cupy.random", NotImplementedError, "cupy.random: CuPy .* has it, the stand-in has not yet"),
    Refusal("x.partition", NotImplementedError, "ndarray.partition: CuPy has it, the stand-in has not yet"),
]


@pytest.mark.parametrize("refusal", [*REFUSALS, *REFUSALS_ON_A_DEVICE, *STRICTER], ids=lambda refusal: refusal.call)
def test_it_refuses_what_cupy_refuses(refusal: Refusal) -> None:
    with pytest.raises(refusal.error, match=refusal.message):
        eval(refusal.call, {"cupy": cupy, "np": np, "HOST": HOST, "x": on_device()})


def test_reductions_and_elements_are_0d_arrays() -> None:
    x = on_device()
    for y in (x.sum(), x.max(), cupy.any(x), x[0, 1], x[0, 1] * 2, np.sum(x), x @ x.T @ x[:, 0] @ x[:, 0]):
        assert type(y) is cupy.ndarray
        assert y.shape == ()
    x[0, 1][...] = 7.0  # a view, even of one element
    assert x.tolist() == [[0.0, 7.0, 2.0], [3.0, 4.0, 5.0]]


def test_numpys_functions_work_on_its_arrays() -> None:
    x = on_device()
    for y in (np.exp(x), np.zeros_like(x), np.isfinite(x), np.float32(2) * x, np.concatenate([x, x])):
        assert type(y) is cupy.ndarray
    assert (np.float32(2) * x).dtype == np.float32


def test_new_memory_is_poisoned() -> None:
    assert np.isnan(cupy.empty((2, 3), np.float32).get()).all()
    assert np.isnan(cupy.empty_like(on_device()).get()).all()
    assert cupy.empty(2, np.int32).tolist() == [2**31 - 1, 2**31 - 1]
    assert cupy.ndarray((1,), np.uint8).tolist() == [255]


def test_what_it_computes_is_row_major_but_for_copies_in_an_order() -> None:
    x = on_device().T
    assert not x.flags.c_contiguous
    for y in (x + x, x * 2.0, x.sum(axis=0, keepdims=True), x.copy(), x[:, ::-1].max(axis=0), cupy.where(x > 0, x, 0)):
        assert y.flags.c_contiguous
    for y in (x.copy(order="K"), x.astype(np.float64), cupy.zeros_like(x)):
        assert y.flags.f_contiguous
        assert y.shape == x.shape


def test_indices_out_of_range_wrap_and_of_a_place_named_twice_any_value_may_stay() -> None:
    x = cupy.arange(3)
    assert x[cupy.asarray([0, 3, -1])].tolist() == [0, 0, 2]
    left = set()
    for _ in range(50):
        x[cupy.asarray([0, 0])] = cupy.asarray([5, 6])
        left.add(int(x[0]))
    assert left == {5, 6}
    cupy.add.at(x, (cupy.asarray([1, 1]),), 10)
    assert x.tolist()[1:] == [21, 2]


def test_integers_to_negative_powers_are_rounded_towards_0() -> None:
    base, exponent = cupy.asarray([-1, 0, 2, 1, -3]), cupy.asarray([-3, -1, -2, -5, 3])
    assert (base**exponent).tolist() == [-1, 0, 0, 1, -27]


def test_copies_and_pickles_are_arrays_of_their_own() -> None:
    x = on_device()
    with installed():
        copies = [x.copy(), copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))]
    x[...] = 0.0
    assert all(type(y) is cupy.ndarray and float(y.sum()) == 15.0 for y in copies)


# ------------------------------------------------------------------------------------------------------- what it counts


@pytest.mark.parametrize(
    ("call", "launches", "transfers", "synchronisations"),
    [
        (lambda x: x + x * 2.0, 2, 0, 0),
        (lambda x: cupy.subtract(x, x, out=x), 1, 0, 0),
        (lambda x: x.__imul__(2.0), 1, 0, 0),
        (lambda x: x.sum(axis=1), 1, 0, 0),
        (lambda x: x @ x.T, 1, 0, 0),
        (lambda x: x.copy(), 1, 0, 0),
        (lambda x: cupy.zeros((2, 3)), 1, 0, 0),
        (lambda x: cupy.empty((2, 3)), 0, 0, 0),
        (lambda x: cupy.zeros((0, 3)), 0, 0, 0),
        (lambda x: (x.T, x[0], x[..., None], x.reshape(3, 2), x.ravel(), cupy.broadcast_to(x, (4, 2, 3))), 0, 0, 0),
        (lambda x: cupy.split(x, 2), 0, 0, 0),
        (lambda x: x.T.reshape(-1), 1, 0, 0),
        (lambda x: cupy.ascontiguousarray(x), 0, 0, 0),
        (lambda x: cupy.ascontiguousarray(x.T), 1, 0, 0),
        (lambda x: cupy.asarray(x), 0, 0, 0),
        (lambda x: cupy.asarray(HOST), 0, 1, 0),
        (lambda x: cupy.asarray(1.0), 0, 1, 0),
        (lambda x: x.set(HOST), 0, 1, 0),
        (lambda x: x.get(), 0, 1, 1),
        (lambda x: x.tolist(), 0, 1, 1),
        (lambda x: repr(x), 0, 1, 1),
        (lambda x: float(x[0, 0]), 0, 1, 1),
        (lambda x: x[0, 0].item(), 0, 1, 1),
        (lambda x: f"{x[0, 0]:.2f}", 0, 1, 1),
        (lambda x: bool((x > 0).all()), 2, 1, 1),
        (lambda x: x[[0, 1]], 1, 1, 0),
        (lambda x: x[np.array([0, 1])], 1, 1, 0),
        (lambda x: x[x > 2], 2, 0, 1),
        (lambda x: cupy.nonzero(x), 2, 0, 1),
        (lambda x: x.__setitem__(0, 1.0), 1, 0, 0),
        (lambda x: cupy.cuda.Device(0).synchronize(), 0, 0, 1),
        (lambda x: cupy.cuda.Stream.null.synchronize(), 0, 0, 1),
    ],
)
def test_it_counts(call: Callable[[Any], Any], launches: int, transfers: int, synchronisations: int) -> None:
    x = on_device()
    with counting() as counts:
        call(x)
    assert (counts.launches, counts.transfers, counts.synchronisations) == (launches, transfers, synchronisations)


def test_counts_say_what_was_launched_and_end_with_their_block() -> None:
    x = on_device()
    with counting() as outer:
        with counting() as inner:
            cupy.exp(x).sum()
        x.copy()
    x.copy()
    assert inner.names == ["exp", "sum"]
    assert outer.names == ["exp", "sum", "copy"]


@pytest.mark.parametrize(
    ("call", "numbers"),
    [
        (lambda x: x + x, 18),
        (lambda x: x + 1.0, 12),
        (lambda x: cupy.add(x, 1.0, out=x), 12),
        (lambda x: x + cupy.broadcast_to(x[0], (2, 3)), 15),
        (lambda x: x.sum(axis=1), 8),
        (lambda x: x @ x.T, 16),
        (lambda x: x.T.reshape(-1), 12),
        (lambda x: x[cupy.asarray([0])], 6),
        (lambda x: x.__setitem__(0, x[1]), 6),
        (lambda x: x.__setitem__(0, 1.0), 3),
        (lambda x: (x.T, x[0], cupy.empty(5)), 0),
    ],
)
def test_it_counts_the_bytes_of_what_a_launch_gets_and_gives(call: Callable[[Any], Any], numbers: int) -> None:
    x = on_device()
    with counting() as counts:
        call(x)
    assert counts.bytes == 4 * numbers


@NEEDS_GPP
def test_the_launches_of_a_training_step_are_counted_by_part() -> None:
    """In a process of its own, as nothing may have imported the backend before."""
    run = subprocess.run([sys.executable, launches.__file__, "2"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    rows = [line.split() for line in run.stdout.splitlines() if line.startswith(("forward", "update", "a step"))]
    assert [row[0] for row in rows] == ["forward", "update", "a"] * 2
    assert all(0 < int(row[2 if row[0] == "a" else 1]) <= 60 for row in rows)


# ---------------------------------------------------------------------------------------------------- kernels in CUDA C

DOUBLING = """
extern "C" __global__ void doubled(int size, const REAL* x, REAL* y)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size) y[i] = 2 * x[i];
}
"""


@NEEDS_GPP
@pytest.mark.parametrize(("real", "dtype"), [("float", np.float32), ("double", np.float64)])
def test_a_kernel_in_cuda_runs_and_is_counted(real: str, dtype: Any) -> None:
    x = cupy.arange(100, dtype=dtype)
    y = cupy.empty(100, dtype)
    kernel = cupy.RawModule(code=DOUBLING, options=(f"-DREAL={real}",)).get_function("doubled")
    with counting() as counts:
        kernel((4,), (32,), (np.int32(100), x, y))
    assert y.tolist() == [2.0 * i for i in range(100)]
    assert (counts.names, counts.transfers, counts.synchronisations) == (["doubled"], 0, 0)


@NEEDS_GPP
def test_what_a_kernel_leaves_out_is_seen() -> None:
    x, y = cupy.arange(100, dtype=np.float32), cupy.empty(100, np.float32)
    kernel = cupy.RawKernel(DOUBLING, "doubled", ("-DREAL=float",))
    kernel((3,), (32,), (np.int32(100), x, y))
    assert np.isnan(y.get()).tolist() == [False] * 96 + [True] * 4


@pytest.mark.parametrize(
    ("grid", "block", "message"),
    [
        ((0,), (32,), r"the grid \(0,\) has a size below 1"),
        ((1, 65536), (32,), r"the grid \(1, 65536\) has a size below 1 or above CUDA's limits"),
        ((2**31,), (32,), "the grid"),
        ((1,), (0,), r"the block \(0,\)"),
        ((1,), (1025,), r"the block \(1025,\)"),
        ((1,), (64, 32), "has 2048 threads, the limit is 1024"),
        (1, (32,), "the grid must be a tuple of one to three integers, got 1"),
        ((1,), (1, 1, 1, 1), "the block must be a tuple"),
        ((1.0,), (32,), "the grid must be a tuple"),
    ],
)
def test_a_launch_that_no_gpu_takes_is_refused(grid: Any, block: Any, message: str) -> None:
    kernel = cupy.RawKernel(DOUBLING, "doubled", ("-DREAL=float",))
    with pytest.raises((TypeError, ValueError), match=message):
        kernel(grid, block, ())


@NEEDS_GPP
def test_arguments_that_a_kernel_would_misread_are_refused() -> None:
    x, y = cupy.arange(4, dtype=np.float32), cupy.empty(4, np.float32)
    kernel = cupy.RawKernel(DOUBLING, "doubled", ("-DREAL=float",))
    for arguments, message in [
        ((np.int32(4), np.arange(4, dtype=np.float32), y), "argument 1 is a numpy.ndarray"),
        ((np.int32(2), x[::2], y), r"argument 1, of strides \(8,\), is not C-contiguous"),
        ((4, x, y), "is the Python int 4"),
        ((np.int32(4), x.astype(np.float64), y), "float64"),
    ]:
        with pytest.raises((TypeError, ValueError), match=message):
            kernel((1,), (32,), arguments)


def test_options_are_a_tuple() -> None:
    with pytest.raises(TypeError, match="'options' has incorrect type"):
        cupy.RawModule(code=DOUBLING, options=["-DREAL=float"])


# -------------------------------------------------------------------------------------------------- what can be missing


@pytest.mark.parametrize(
    ("fault", "call", "error", "message"),
    [
        ("no driver", lambda: cupy.asarray(HOST), cupy.cuda.runtime.CUDARuntimeError, "cudaErrorInsufficientDriver"),
        ("no driver", lambda: cupy.empty(3), cupy.cuda.runtime.CUDARuntimeError, "cudaErrorInsufficientDriver"),
        ("no device", cupy.cuda.runtime.getDeviceCount, cupy.cuda.runtime.CUDARuntimeError, "cudaErrorNoDevice"),
        ("device too old", lambda: cupy.ones(3), cupy.cuda.runtime.CUDARuntimeError, "NoKernelImage"),
        ("no compiler", lambda: cupy.ones(3) * 2, RuntimeError, "libnvrtc"),
        ("no cuBLAS", lambda: cupy.ones((2, 2)) @ cupy.ones((2, 2)), ImportError, "libcublasLt"),
        ("out of memory", lambda: cupy.zeros(3), cupy.cuda.memory.OutOfMemoryError, "Out of memory allocating"),
    ],
)
def test_a_gpu_can_be_missing_in_each_way(fault: str, call: Callable[[], Any], error: type, message: str) -> None:
    with broken(fault), pytest.raises(error, match=message):
        call()
    call()


def test_without_a_driver_none_is_available() -> None:
    assert cupy.cuda.is_available()
    with broken("no driver"):
        assert not cupy.cuda.is_available()
        assert cupy.cuda.runtime.driverGetVersion() == 0
    with pytest.raises(KeyError), broken("no luck"):
        pass


def test_it_is_what_import_finds_for_a_block() -> None:
    before = sys.modules.get("cupy")
    with installed() as module:
        import cupy as found

        assert found is module is cupy
        assert importlib.util.find_spec("cupy") is not None
    assert sys.modules.get("cupy") is before


# --------------------------------------------------------------------------------------------- minigrad's own calls


@pytest.fixture
def backend_on_stand_in() -> Backend:
    """A backend with arrays and no kernels."""
    backend = Backend("stand-in", arrays="cupy", install="nothing")
    vars(backend).update(xp=cupy, _runs=True)  # which is not tried, having no kernels
    return backend


def test_the_gradient_of_a_maximum_waits_for_nothing(backend_on_stand_in: Backend) -> None:
    x = Tensor([[3.0, 1.0], [2.0, 4.0]], requires_grad=True, backend=backend_on_stand_in)
    with counting() as counts:
        x.max(axis=1).sum().backward()
    assert (counts.transfers, counts.synchronisations) == (0, 0)
    assert x.grad.tolist() == [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize("index", [[0, 2], np.array([-3]), (slice(None), [2]), (..., [[5]]), 2, (0, 2)])
def test_an_index_out_of_range_is_an_error_though_cupy_does_not_see_it(
    backend_on_stand_in: Backend, index: Any
) -> None:
    x = Tensor([[1.0, 2.0], [3.0, 4.0]], backend=backend_on_stand_in)
    with pytest.raises(IndexError, match="out of bounds"):
        x[index]
    assert x[[1, -2], [0, -1]].tolist() == [3.0, 2.0]
    assert x[[]].shape == (0, 2)


def test_placed_arrays_keep_their_strides(backend_on_stand_in: Backend) -> None:
    for layout in LAYOUTS:
        array = laid_out(np.arange(24.0).reshape(2, 3, 4), layout, np.float32)
        moved = placed(array, backend_on_stand_in)
        assert moved.strides == array.strides
        assert moved.tolist() == array.tolist()


# ----------------------------------------------------------------------------------------------------- the real package


def test_it_has_no_names_of_its_own() -> None:
    for name, module in MODULES.items():
        own = {key for key in vars(module) if not key.startswith("_")}
        assert own <= cupy_surface.names(name), name
    own = {name for name in dir(cupy.ndarray) if not name.startswith("_")}
    assert own <= set(cupy_surface.recorded()["ndarray"].split())


def test_the_recorded_names_and_parameters_are_those_of_the_real_package() -> None:
    """In a process of its own, where the stand-in is not in the way. It needs no GPU."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", cupy_surface.__file__, "show"], capture_output=True, text=True
    )
    if "No module named 'cupy'" in run.stderr:
        pytest.skip("CuPy is not installed; make test-cuda does that")
    assert run.returncode == 0, run.stderr
    real, recorded = json.loads(run.stdout), cupy_surface.recorded()
    if real["version"] == recorded["version"]:
        assert real == recorded
    if real["version"].split(".")[0] != recorded["version"].split(".")[0]:
        pytest.skip(f"the names are those of CuPy {recorded['version']}, installed is {real['version']}")
    assert set(recorded["ndarray"].split()) <= set(real["ndarray"].split())
    for name in cupy_surface.MODULES:
        for kind in ("ufuncs", "others"):
            assert set(recorded[name][kind].split()) <= set(real[name][kind].split()), (name, kind)
        found = {function: real[name]["functions"].get(function) for function in recorded[name]["functions"]}
        assert found == recorded[name]["functions"], name
