"""Tensors of the cupy backend, over the stand-in: what moves to the host and back, and what other libraries get."""

from __future__ import annotations

import copy
import pickle
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from cupy_backend import fresh_backend
from stand_in import counting, cupy

import minigrad
from minigrad import Function, Tensor

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++ to run CUDA code on the CPU")


@pytest.fixture(autouse=True)
def _backend() -> Iterator[None]:
    with fresh_backend() as backend:
        backend.check_usable()
        yield


HOST = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], np.float32)


def on_device(requires_grad: bool = False, data: Any = HOST) -> Tensor:
    return Tensor(data, requires_grad=requires_grad, backend="cupy")


def pytorch() -> Any:
    return pytest.importorskip("torch", reason="PyTorch is not installed")


# ------------------------------------------------------------------------------------------------------- what transfers


def test_an_index_that_lies_on_the_device_is_not_looked_at() -> None:
    x, rows = on_device(), Tensor(np.array([1, 0]), backend="cupy")
    for index, expected in ((rows, HOST[::-1]), (rows.data, HOST[::-1]), ((slice(None), rows), HOST[:, [1, 0]])):
        with counting() as counts:
            y = x[index]
        assert (counts.transfers, counts.synchronisations) == (0, 0)
        np.testing.assert_array_equal(y.numpy(), expected)


@pytest.mark.parametrize(
    ("call", "transfers"),
    [
        (lambda x: x.to("numpy"), 1),
        (lambda x: x.numpy(), 1),
        (lambda x: x.tolist(), 1),
        (lambda x: x.sum().item(), 1),
        (lambda x: float(x.sum()), 1),
        (lambda x: bool(x.sum()), 1),
        (lambda x: repr(x), 1),
        (lambda x: f"{x.sum():.2f}", 1),
        (lambda x: Tensor(x, backend="numpy"), 1),
        (lambda x: pickle.dumps(x), 1),
        (lambda x: Tensor(HOST, backend="numpy").to("cupy"), 1),
        (lambda x: x + HOST, 1),
        (lambda x: HOST + x, 1),
        (lambda x: x + HOST.tolist(), 1),
        (lambda x: Tensor(x), 0),
        (lambda x: Tensor(x, "float64", backend="cupy"), 0),
        (lambda x: Tensor(x.data), 0),
        (lambda x: minigrad.from_dlpack(x.data), 0),
        (lambda x: minigrad.from_dlpack(x), 0),
        (lambda x: cupy.from_dlpack(x), 0),
        (lambda x: x.__cuda_array_interface__, 0),
        (lambda x: copy.deepcopy(x), 0),
        (lambda x: x.detach(), 0),
        (lambda x: x.to("cupy"), 0),
        (lambda x: x.to("float64"), 0),
        (lambda x: (x.shape, x.dtype, len(x), x.T, list(x)), 0),
        (lambda x: (x @ x.T).sigmoid().sum(), 0),
    ],
)
def test_only_what_is_asked_for_is_moved(call: Callable[[Tensor], Any], transfers: int) -> None:
    x = on_device()
    with counting() as counts:
        call(x)
    assert counts.transfers == transfers


def test_a_backward_pass_moves_nothing() -> None:
    x = on_device(requires_grad=True)
    with counting() as counts:
        (x @ x.T).sigmoid().sum().backward()
    assert (counts.transfers, counts.synchronisations) == (0, 0)
    assert type(x.grad.data) is cupy.ndarray


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.asarray(x),
        lambda x: np.array(x, copy=True),
        lambda x: np.array([x, x]),
        lambda x: np.concatenate([x, x]),
        lambda x: np.argmax(x),
        lambda x: np.linalg.norm(x),
        lambda x: np.testing.assert_allclose(x, HOST),
        lambda x: HOST.__setitem__(0, x[0]),
    ],
)
def test_numpy_is_told_what_to_write_instead(call: Callable[[Tensor], Any]) -> None:
    x = on_device()
    with counting() as counts, pytest.raises(TypeError, match=r"cupy backend.*write x\.numpy\(\).*or x\.to\('numpy'\)"):
        call(x)
    assert counts.transfers == 0


@pytest.mark.parametrize("call", [np.exp, np.sum, np.mean, lambda x: np.add(HOST, x)])
def test_no_function_of_numpy_moves_a_tensor(call: Callable[[Tensor], Any]) -> None:
    x = on_device()
    with counting() as counts, pytest.raises(TypeError):
        call(x)
    assert counts.transfers == 0


def test_on_the_cpu_numpy_works_as_before() -> None:
    x = Tensor(HOST, backend="numpy")
    np.testing.assert_array_equal(np.asarray(x), HOST)
    assert np.concatenate([x, x]).shape == (4, 3)


def test_arrays_beside_a_tensor_are_taken_to_its_device() -> None:
    for y in (on_device() + HOST, HOST + on_device(), on_device() + HOST.tolist()):
        assert y.backend.name == "cupy"
        np.testing.assert_array_equal(y.numpy(), 2 * HOST)


def test_tensors_of_two_backends_are_not_mixed() -> None:
    message = r"add: its tensors live on different backends, cupy and numpy; move one with \.to\('cupy'\)"
    with pytest.raises(RuntimeError, match=message):
        on_device() + Tensor(HOST, backend="numpy")


# ------------------------------------------------------------------------------------------ copies, pickles, own arrays


def test_copies_and_pickles_stay_on_the_device() -> None:
    x = on_device(requires_grad=True)
    x.sum().backward()
    for y in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert type(y.data) is cupy.ndarray
        assert y.data is not x.data
        assert (y.backend, y.requires_grad) == (x.backend, True)
        np.testing.assert_array_equal(y.numpy(), HOST)
    assert type(copy.deepcopy(x).grad.data) is cupy.ndarray
    assert repr(x) == repr(Tensor(HOST, requires_grad=True))


class OnTheHost(Function):
    def forward(self, x: Any) -> Any:
        return self.result

    def backward(self, dy: Any) -> Any:
        return (dy,)


@pytest.mark.parametrize("requires_grad", [True, False])
@pytest.mark.parametrize("result", [HOST, np.float32(1.0), (HOST, HOST)])
def test_a_forward_that_computes_with_numpy_is_named(requires_grad: bool, result: Any) -> None:
    message = (
        r"^OnTheHost: forward must return .*numpy\.\w+, and those of the cupy backend .* self\.xp in place of numpy"
    )
    with pytest.raises(TypeError, match=message):
        OnTheHost.apply(on_device(requires_grad), result=result)


def test_no_tensor_of_the_backend_holds_a_numpy_array() -> None:
    x = on_device()
    with pytest.raises(TypeError, match="those of the cupy backend are not NumPy's"):
        Tensor._wrap(HOST, x.backend)
    message = r"data: expected a cupy.ndarray, got a numpy.ndarray; write x.data = cupy.asarray\(array\)"
    with pytest.raises(TypeError, match=message):
        x.data = 2 * HOST
    x.data = cupy.asarray(2 * HOST)
    np.testing.assert_array_equal(x.numpy(), 2 * HOST)
    with pytest.raises(TypeError, match=r"data: expected a numpy.ndarray, got a cupy.ndarray"):
        Tensor(HOST, backend="numpy").data = x.data


# ---------------------------------------------------------------------------------- to and from other libraries' arrays


@pytest.mark.parametrize("make", [Tensor, minigrad.tensor, minigrad.from_dlpack])
def test_an_array_on_the_device_becomes_a_tensor_there(make: Callable[[Any], Tensor]) -> None:
    array = cupy.asarray(HOST)
    with minigrad.use_backend("numpy"):
        x = make(array)
    array[...] = 0.0
    assert x.backend.name == "cupy"
    np.testing.assert_array_equal(x.numpy(), HOST)


@pytest.mark.parametrize(
    ("given", "asked", "dtype"),
    [
        ("float32", None, "float32"),
        ("float64", None, "float64"),
        ("float16", None, "float32"),
        ("int32", None, "int32"),
        ("bool", None, "bool"),
        ("float64", "float32", "float32"),
        ("float32", np.int64, "int64"),
    ],
)
def test_dtypes_are_as_for_numpys_arrays(given: str, asked: Any, dtype: str) -> None:
    for array in (cupy.asarray(HOST).astype(given), HOST.astype(given)):
        assert Tensor(array, asked).dtype == dtype
    with pytest.raises(TypeError, match="expected floats, integers or booleans, got a cupy.ndarray of complex64"):
        Tensor(cupy.asarray(HOST).astype("complex64"))
    with pytest.raises(TypeError, match="float16 is not supported"):
        Tensor(cupy.asarray(HOST), "float16")


def test_a_named_backend_is_where_a_tensor_goes() -> None:
    for data in (on_device(), cupy.asarray(HOST)):
        x = Tensor(data, backend="numpy")
        assert (type(x.data), x.backend.name) == (np.ndarray, "numpy")
        np.testing.assert_array_equal(x.numpy(), HOST)


def test_others_get_a_copy_on_the_device() -> None:
    x = on_device()
    assert x.__dlpack_device__() == (2, 0)
    array = cupy.from_dlpack(x)
    array[...] = 0.0
    np.testing.assert_array_equal(x.numpy(), HOST)


def test_the_cuda_array_interface_is_a_devices_alone() -> None:
    x = on_device()
    assert x.__cuda_array_interface__ == x.data.__cuda_array_interface__
    assert not hasattr(Tensor(HOST, backend="numpy"), "__cuda_array_interface__")
    with pytest.raises(RuntimeError, match=r"requires a gradient, .* detach\(\) it first"):
        _ = on_device(requires_grad=True).__cuda_array_interface__
    assert on_device(requires_grad=True).detach().__cuda_array_interface__["shape"] == (2, 3)


@pytest.mark.parametrize("device", ["numpy", "cupy"])
def test_a_tensor_that_requires_a_gradient_is_not_given_away(device: str) -> None:
    x = Tensor(HOST, requires_grad=True, backend=device)
    with pytest.raises(BufferError, match=r"__dlpack__: this tensor requires a gradient, .*; detach\(\) it first"):
        x.__dlpack__()
    x.detach().__dlpack__()
    with pytest.raises(BufferError, match=r"as a copy only; pass tensor\.data on"):
        x.detach().__dlpack__(copy=False)


class Elsewhere:
    """An array in the memory of a device of that kind, of which nothing can be read."""

    def __init__(self, kind: int) -> None:
        self.kind = kind

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.kind, 0

    def __dlpack__(self, **_: Any) -> Any:
        raise BufferError("it is stuck")


def test_what_cannot_be_taken_over_is_an_error_that_says_why() -> None:
    message = (
        "Elsewhere are on a device that minigrad has no backend for, 8:0 in DLPack's numbers; copy them to the CPU"
    )
    with pytest.raises(TypeError, match=message):
        Tensor(Elsewhere(8))
    for kind in (1, 2):
        with pytest.raises(TypeError, match="cannot take over this .*Elsewhere: it is stuck"):
            minigrad.from_dlpack(Elsewhere(kind))
    with pytest.raises(TypeError, match="from_dlpack: expected an array with __dlpack__, got list"):
        minigrad.from_dlpack([1.0])


# -------------------------------------------------------------------------------------------------- PyTorch, on the CPU


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("make", [Tensor, minigrad.from_dlpack])
def test_numbers_come_from_pytorch_as_a_copy(make: Callable[[Any], Tensor], dtype: str) -> None:
    torch = pytorch()
    given = torch.arange(6).reshape(2, 3).to(getattr(torch, dtype)).T
    x = make(given)
    assert (x.shape, x.dtype, x.backend) == ((3, 2), dtype, minigrad.default_backend())
    assert x.tolist() == given.tolist()
    given.zero_()
    assert x.tolist() != given.tolist()


def test_a_tensor_of_pytorch_can_go_to_the_device() -> None:
    assert Tensor(pytorch().ones(2), backend="cupy").backend.name == "cupy"


def test_a_tensor_of_pytorch_that_requires_a_gradient_is_refused() -> None:
    torch = pytorch()
    with pytest.raises(TypeError, match=r"cannot take over this torch.Tensor: .*detach\(\)"):
        minigrad.from_dlpack(torch.ones(2, requires_grad=True))
    with pytest.raises(TypeError, match=r"detach\(\)"):
        Tensor([torch.ones((), requires_grad=True)])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("cpu", ["numpy", "default"])
def test_numbers_go_to_pytorch_as_a_copy(dtype: str, cpu: str) -> None:
    torch = pytorch()
    x = Tensor(HOST, dtype, backend=None if cpu == "default" else cpu).T
    given = torch.from_dlpack(x)
    assert given.dtype == getattr(torch, dtype)
    assert given.tolist() == x.tolist()
    before = x.tolist()
    given.zero_()
    assert x.tolist() == before
    with pytest.raises(BufferError, match=r"detach\(\) it first"):
        torch.from_dlpack(Tensor(1.0, requires_grad=True))


def test_numpy_reads_dlpack_of_the_cpu_only() -> None:
    np.testing.assert_array_equal(np.from_dlpack(Tensor(HOST, backend="numpy")), HOST)
    with pytest.raises((BufferError, RuntimeError, TypeError, ValueError)):
        np.from_dlpack(on_device())


def test_constants_are_made_on_the_gpu() -> None:
    with minigrad.use_backend("cupy"), counting() as counts:
        made = [
            minigrad.zeros(2, 3),
            minigrad.ones(2, 3),
            minigrad.full((2, 3), 0.1),
            minigrad.zeros_like(minigrad.ones(2)),
            minigrad.ones_like(minigrad.zeros(2)),
        ]
    assert counts.transfers == 0
    assert [x.numpy().ravel()[0] for x in made] == [0.0, 1.0, np.float32(0.1), 0.0, 1.0]
    assert {x.backend.name for x in made} == {"cupy"}
    assert minigrad.full(2, True).dtype == bool and minigrad.full(2, 7).dtype == np.int64
