"""What is said where the cupy backend cannot be used, and where a GPU's memory is full."""

from __future__ import annotations

import pickle
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from cupy_backend import fresh_backend
from stand_in import broken, counting, cupy

import minigrad
from minigrad import BackendError, Tensor, optim
from minigrad.backends import Backend

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++ to run CUDA code on the CPU")


@pytest.fixture
def backend() -> Iterator[Backend]:
    with fresh_backend() as backend:
        yield backend


FAULTS = {
    "no driver": "no NVIDIA driver was found; install the one for your GPU",
    "no device": "no NVIDIA GPU is visible; is CUDA_VISIBLE_DEVICES set to hide it?",
    "device too old": "the GPU, of compute capability 9.0, is too old for CuPy .* on CUDA 12; cupy-cuda12x needs",
    "no compiler": r"NVRTC, which compiles kernels, is not installed; pip install 'cupy-cuda12x\[ctk\]' brings it",
    "no cuBLAS": r"cuBLAS, which multiplies matrices, is not installed; pip install 'cupy-cuda12x\[ctk\]' brings it",
    "out of memory": "Out of memory allocating .* are in use.* Try a smaller batch",
}

FIRST_USES: list[Callable[[], Any]] = [
    lambda: minigrad.use_backend("cupy"),
    lambda: Tensor([1.0], backend="cupy"),
    lambda: minigrad.zeros(2, backend="cupy"),
    lambda: Tensor([1.0], backend="numpy").to("cupy"),
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("use", FIRST_USES)
def test_what_is_missing_is_said_in_one_sentence_with_its_cure(fault: str, use: Callable, backend: Backend) -> None:
    before = minigrad.default_backend()
    for _ in range(2):  # and again where nothing has been mended
        with (
            broken(fault),
            pytest.raises(BackendError, match=f"^the cupy backend cannot run its kernels: {FAULTS[fault]}"),
        ):
            use()
    assert minigrad.default_backend() is before
    assert Tensor([1.0], backend="cupy").tolist() == [1.0]  # once it is


@pytest.mark.parametrize("use", FIRST_USES)
def test_where_cupy_is_not_installed_it_is_said_how_to_install_it(use: Callable, backend: Backend, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(
        BackendError, match=r"cannot be used: .*cupy.* Install it with pip install 'cupy-cuda12x\[ctk\]'"
    ):
        use()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        # As CuPy 14 words them.
        (RuntimeError('Failure finding "libnvrtc.so.13 or libnvrtc.so.12": No such file\n'), "NVRTC, which compiles"),
        (ImportError("libcublas.so.12: cannot open shared object file: No such file or directory"), "cuBLAS, which"),
        (ImportError("DLL load failed: cublas64_12.dll"), "cuBLAS, which multiplies"),
        (RuntimeError("nvrtc: error: invalid value for --gpu-architecture (-arch)\n"), "capability 9.0, is too old"),
        (RuntimeError("CUBLAS_STATUS_ARCH_MISMATCH"), "too old"),
        (
            OSError("the moon\n"),
            r"capability 9\.0, could not run a kernel and a matrix product \(OSError: the moon\); does pip install",
        ),
    ],
)
def test_each_error_of_cuda_is_explained(error: Exception, message: str, backend: Backend, monkeypatch) -> None:
    def ones(*args: Any) -> None:
        raise error

    monkeypatch.setattr(cupy, "ones", ones, raising=False)
    with pytest.raises(BackendError, match=message) as caught:
        minigrad.use_backend("cupy")
    assert caught.value.__cause__.__cause__ is error
    assert "\n" not in str(caught.value)


def test_a_driver_too_old_and_a_wrong_result_are_told(backend: Backend, monkeypatch) -> None:
    with broken("no driver"), monkeypatch.context() as context:
        context.setattr(cupy.cuda.runtime, "driverGetVersion", lambda: 11040)
        with pytest.raises(BackendError, match=r"made for CUDA 11\.4, too old for CuPy .*; update it"):
            minigrad.use_backend("cupy")
    with monkeypatch.context() as context:
        context.setattr(cupy.cuda.runtime, "getDeviceCount", lambda: 0)
        with pytest.raises(BackendError, match="no NVIDIA GPU is visible"):
            minigrad.use_backend("cupy")
    for wrong in (np.zeros((2, 2)), np.array([[1, 1], [1, 0]])):  # with the latter only some numbers are wrong
        monkeypatch.setattr(cupy, "ones", lambda *args, wrong=wrong: cupy.asarray(wrong, np.float32), raising=False)
        with pytest.raises(BackendError, match="wrong result"):
            minigrad.use_backend("cupy")


@pytest.mark.parametrize(("version", "cuda"), [(12000, 12), (12990, 12), (13000, 13)])
def test_the_package_for_the_version_of_cuda_is_named(version: int, cuda: int, backend: Backend, monkeypatch) -> None:
    monkeypatch.setattr(cupy.cuda.runtime, "runtimeGetVersion", lambda: version)
    with broken("no compiler"), pytest.raises(BackendError, match=rf"pip install 'cupy-cuda{cuda}x\[ctk\]' brings it"):
        minigrad.use_backend("cupy")


def test_it_is_tried_once(backend: Backend) -> None:
    Tensor([1.0], backend="cupy")
    with counting() as counts, minigrad.use_backend("cupy"):
        Tensor([1.0], backend="numpy").to("cupy")
    assert (counts.launches, counts.transfers, counts.synchronisations) == (0, 1, 0)


def test_a_pickled_tensor_says_where_it_can_be_read(backend: Backend) -> None:
    pickled = pickle.dumps(Tensor([1.0], backend="cupy"))
    backend._runs = False
    message = r"was pickled on the cupy backend, and .* no NVIDIA driver .*; or pickle x\.to\('numpy'\)"
    with broken("no driver"), pytest.raises(BackendError, match=message):
        pickle.loads(pickled)


# -------------------------------------------------------------------------------------------------------- out of memory

FULL = (
    r"^Out of memory allocating [\d,]+ bytes .* Of the GPU's 17,179,869,184 bytes 8,589,934,592 are in use.*"
    r"a smaller batch.*no_grad\(\).*del .*cupy\.get_default_memory_pool\(\)\.free_all_blocks\(\)$"
)


def test_full_memory_is_explained_wherever_it_is_asked_for(backend: Backend) -> None:
    weight = Tensor(np.ones((2, 3), np.float32), requires_grad=True, backend="cupy")
    x = Tensor(np.ones((4, 3), np.float32), backend="cupy")
    sgd = optim.SGD([weight], lr=0.1, momentum=0.9)
    loss = (x @ weight.T).sigmoid().sum()
    steps: list[Callable[[], Any]] = [
        lambda: Tensor([1.0], backend="cupy"),
        lambda: x + x,
        lambda: x * 2.0,
        lambda: x.sigmoid(),
        lambda: x @ weight.T,
        lambda: x.detach().data.copy(),
        loss.backward,
    ]
    for step in steps:
        with broken("out of memory"), pytest.raises(MemoryError, match=FULL) as caught:
            step()
        assert isinstance(caught.value, cupy.cuda.memory.OutOfMemoryError)
        assert str(caught.value).count("smaller batch") == 1
    (x @ weight.T).sum().backward()
    with broken("out of memory"), pytest.raises(MemoryError, match=FULL):
        sgd.step()
    sgd.step()


def test_other_errors_and_numpys_stay_as_they_are(backend: Backend) -> None:
    x = Tensor([1.0, 2.0], backend="cupy")
    with (
        broken("no driver"),
        pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="cudaErrorInsufficientDriver: CUDA"),
    ):
        x + x
    with pytest.raises(MemoryError, match="Unable to allocate"):
        Tensor(np.zeros(1), backend="numpy").broadcast_to((1 << 50,)) * 2.0


def test_a_users_own_allocator_is_asked(backend: Backend) -> None:
    sizes = []
    cupy.cuda.set_allocator(sizes.append)
    x = Tensor([1.0, 2.0], backend="cupy")
    before = len(sizes)
    x + x
    assert sizes[before:] == [8]


def test_inside_using_allocator_memory_is_the_users_concern(backend: Backend, monkeypatch) -> None:
    def refuse(allocator: Any) -> None:
        raise ValueError("Can't change the global allocator inside `using_allocator` context manager")

    monkeypatch.setattr(cupy.cuda, "set_allocator", refuse)
    assert Tensor([1.0], backend="cupy").tolist() == [1.0]
