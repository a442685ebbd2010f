"""Tensor itself: what it is made of, what it becomes (numbers, arrays, text, copies), what it refuses.

Its operators are tested in test_tensor_operators.py, the functions that make tensors of constants and random numbers in
test_tensor_creation.py.
"""

from __future__ import annotations

import copy
import operator
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, hints
from minigrad.autograd import Function

pytestmark = pytest.mark.usefixtures("on_backend")


# --------------------------------------------------------------------------------------------------- what it is made of


@pytest.mark.parametrize(
    ("data", "dtype", "expected"),
    [
        (1.5, None, "float32"),
        ([1.0, 2.0], None, "float32"),
        ((1, 2.5), None, "float32"),
        (1, None, "int64"),
        ([1, 2], None, "int64"),
        (True, None, "bool"),
        ([True, False], None, "bool"),
        ([], None, "float32"),
        (np.array([1.0]), None, "float64"),
        (np.float64(1.0), None, "float64"),
        (np.array([1.0], np.float32), None, "float32"),
        (np.array([1.0], np.float16), None, "float32"),
        (np.array([1], np.uint8), None, "uint8"),
        (np.array([1], np.int16), None, "int16"),
        (np.array([1.0], ">f4"), None, "float32"),
        (np.array([1], ">i8"), None, "int64"),
        ([1.0], "float64", "float64"),
        ([1], "float32", "float32"),
        ([1.7], "int32", "int32"),
        ([0, 2], bool, "bool"),
        (np.array([1.0]), np.float32, "float32"),
        ([1], float, "float64"),
    ],
)
def test_the_dtype_of_a_new_tensor(data, dtype, expected) -> None:
    x = Tensor(data, dtype)
    assert x.dtype == expected
    assert x.dtype.isnative
    np.testing.assert_array_equal(x.numpy(), np.asarray(data).astype(expected))


def test_a_tensor_of_a_tensor_is_a_copy_of_its_data() -> None:
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    y = Tensor(x)
    assert (y.dtype, y.requires_grad) == ("float64", False)
    assert not x.backend.xp.shares_memory(x.data, y.data)


def test_a_tensor_copies_what_it_is_made_of() -> None:
    array = np.array([1.0, 2.0])
    x = Tensor(array)
    array[0] = 9.0
    assert x.tolist() == [1.0, 2.0]


def test_shape_ndim_and_size() -> None:
    x = Tensor(np.zeros((2, 0, 3)))
    assert (x.shape, x.ndim, x.size, len(x)) == ((2, 0, 3), 3, 0, 2)
    assert (Tensor(1.0).shape, Tensor(1.0).ndim, Tensor(1.0).size) == ((), 0, 1)


# ------------------------------------------------------------------------------------------------------------ the array


def test_the_properties_of_tensors_and_nodes_say_what_they_are() -> None:
    """Also those that C reads, which would have its words."""
    for kind, names in ((Tensor, ("shape", "dtype", "ndim", "size")), (Function, ("xp", "kernels"))):
        assert all(len(vars(kind)[name].__doc__) < 60 for name in names)


def test_numpy_gives_a_copy_to_write_into() -> None:
    for x in (Tensor([1.0, 2.0]), Tensor([1.0]).broadcast_to(2)):
        array = x.numpy()
        array[0] = 9.0
        assert x.tolist()[0] == 1.0
    assert isinstance(Tensor(1.0).numpy(), np.ndarray)


def test_data_is_the_array_itself_even_of_one_number() -> None:
    x = Tensor([1.0, 2.0])
    assert x.data is x.data
    for y in (x.sum(), x[0], x @ x, x.max(), x.sum() * 2, -x.sum(), x.sum() > 0, x.mean().exp()):
        assert isinstance(y.data, y.backend.xp.ndarray)
        assert y.data.shape == ()


def test_another_array_may_take_the_place_of_data() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    array = x.backend.from_numpy(np.array([10.0, 20.0], np.float32))
    x.data = array
    assert x.data is array
    y.backward()
    assert x.requires_grad
    assert x.grad.shape == (2,)


def test_a_numpy_scalar_may_take_the_place_of_a_0d_array() -> None:
    x = Tensor(1.0)
    x.data = x.data * 3  # NumPy makes a scalar of it
    assert isinstance(x.data, x.backend.xp.ndarray)
    assert x.item() == 3.0


@pytest.mark.parametrize(
    ("array", "kind", "message"),
    [
        ([1.0, 2.0], TypeError, "data: expected a (numpy|cupy).ndarray, got a list"),
        (1.0, TypeError, "data: expected a (numpy|cupy).ndarray, got a float"),
        (np.zeros(3, np.float32), ValueError, r"expected shape \(2,\) and dtype float32, got \(3,\) and float32"),
        (np.zeros(2), ValueError, r"expected shape \(2,\) and dtype float32, got \(2,\) and float64"),
        (np.zeros((1, 2), np.float32), ValueError, "make a new Tensor for data of another kind"),
    ],
)
def test_data_refuses_arrays_of_another_kind(array, kind, message) -> None:
    x = Tensor([1.0, 2.0])
    if isinstance(array, np.ndarray):
        array = x.backend.from_numpy(array)
    with pytest.raises(kind, match=message):
        x.data = array
    with pytest.raises(TypeError, match=r"got a minigrad.tensor.Tensor"):
        x.data = x
    assert x.tolist() == [1.0, 2.0]


def test_numpy_functions_read_a_tensor_through_a_copy() -> None:
    x = Tensor([1.0, 2.0])
    if x.backend.name == "cupy":  # nothing leaves the device unless it is asked to; see test_gpu_tensors.py
        with pytest.raises(TypeError, match=r"write x\.numpy\(\)"):
            np.asarray(x)
        return
    array = np.asarray(x)
    assert array.dtype == np.float32
    assert not np.shares_memory(array, x.backend.to_numpy(x.data))
    assert np.asarray(x, "float64").dtype == np.float64
    np.testing.assert_array_equal(np.concatenate([x, x]), [1, 2, 1, 2])
    with pytest.raises(ValueError, match="as a copy only"):
        np.asarray(x, copy=False)


# ------------------------------------------------------------------------------------------------ numbers and sequences


def test_item_gives_python_numbers() -> None:
    for data, kind in (([2.5], float), ([[3]], int), (True, bool)):
        value = Tensor(data).item()
        assert type(value) is kind
        assert value == np.ravel(data)[0]
    for data in ([], [1.0, 2.0]):
        with pytest.raises(ValueError, match=r"item: a tensor of one element is needed, this one has shape \(\d,\)"):
            Tensor(data).item()


def test_tolist_nests_as_the_axes_do() -> None:
    assert Tensor([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert Tensor(2.5).tolist() == 2.5
    assert Tensor(np.zeros((2, 0))).tolist() == [[], []]


def test_len_and_iteration_go_over_the_first_axis() -> None:
    x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    assert len(x) == 2
    first, second = x
    assert (first.tolist(), second.tolist()) == ([1.0, 2.0], [3.0, 4.0])
    (second * 3.0).sum().backward()
    assert x.grad.tolist() == [[0.0, 0.0], [3.0, 3.0]]
    for call in (len, iter, list):
        with pytest.raises(TypeError, match="len: a 0-d tensor has no length"):
            call(Tensor(1.0))


def test_the_truth_of_one_element() -> None:
    assert Tensor([2.0])
    assert not Tensor(0)
    assert not Tensor([[False]])
    for data in ([], [True, True]):
        with pytest.raises(
            ValueError, match=r"the truth of a tensor of shape \(\d,\) is ambiguous; use .*any\(\) or .all"
        ):
            bool(Tensor(data))


def test_one_element_becomes_a_number_of_python() -> None:
    assert (float(Tensor([2.5])), int(Tensor([2.5])), float(Tensor(3)), int(Tensor(True))) == (2.5, 2, 3.0, 1)
    for call in (float, int):
        with pytest.raises(ValueError, match="item: a tensor of one element is needed"):
            call(Tensor([1.0, 2.0]))


def test_a_0d_integer_tensor_is_an_index() -> None:
    assert [10, 20, 30][Tensor(1)] == 20
    assert list(range(Tensor(3))) == [0, 1, 2]
    assert np.arange(5)[Tensor(2) : Tensor(4)].tolist() == [2, 3]
    for data in (1.0, [1], True):
        with pytest.raises(TypeError, match="only a 0-d integer tensor can be an index, not"):
            operator.index(Tensor(data))


def test_elements_cannot_be_assigned() -> None:
    x = Tensor([1.0, 2.0])
    with pytest.raises(TypeError, match=r"tensors are values and take no assignment to elements; .*where\(\)"):
        x[0] = 5.0
    with pytest.raises(AttributeError):
        x.colour = "red"


# ----------------------------------------------------------------------------------------------------------------- text


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Tensor(2.0), "Tensor(2.)"),
        (lambda: Tensor([1.0, 2.5]), "Tensor([1. , 2.5])"),
        (lambda: Tensor([[1.0, 2.0], [3.0, 4.0]]), "Tensor([[1., 2.],\n        [3., 4.]])"),
        (lambda: Tensor([1, 2]), "Tensor([1, 2])"),
        (lambda: Tensor([True, False]), "Tensor([ True, False])"),
        (lambda: Tensor([]), "Tensor([])"),
        (lambda: Tensor(np.array([1.0])), "Tensor([1.], dtype=float64)"),
        (lambda: Tensor([1], "uint8"), "Tensor([1], dtype=uint8)"),
        (lambda: Tensor([1.0], requires_grad=True), "Tensor([1.], requires_grad=True)"),
        (lambda: Tensor([1.0], requires_grad=True) * 2.0, "Tensor([2.], grad_fn=<Mul>)"),
        (lambda: Tensor(np.array(1.0), requires_grad=True).exp().log(), "Tensor(1., dtype=float64, grad_fn=<Log>)"),
    ],
)
def test_repr_shows_data_and_what_is_unusual(make, text) -> None:
    assert repr(make()) == text


# --------------------------------------------------------------------------------------------------------------- copies


def test_a_deep_copy_shares_nothing_that_can_change() -> None:
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    (x * x).sum().backward()
    y = copy.deepcopy(x)
    assert (y.tolist(), y.grad.tolist(), y.requires_grad, y.backend is x.backend) == ([1, 2], [2, 4], True, True)
    assert not x.backend.xp.shares_memory(x.data, y.data)
    (y * 1.0).sum().backward()
    assert (x.grad.tolist(), y.grad.tolist()) == ([2.0, 4.0], [3.0, 5.0])


def test_a_deep_copy_of_a_structure_keeps_what_is_one_tensor_one() -> None:
    x = Tensor([1.0])
    first, second = copy.deepcopy([x, x])
    assert first is second
    assert first is not x


def test_a_pickled_tensor_comes_back(on_backend) -> None:
    x = Tensor(np.array([[1.0, 2.0]], np.float32).T, requires_grad=True)
    y = pickle.loads(pickle.dumps(x))
    assert (y.tolist(), y.dtype, y.requires_grad, y.backend.name) == ([[1.0], [2.0]], "float32", True, on_backend)
    (y * y).sum().backward()
    assert y.grad.tolist() == [[2.0], [4.0]]


@pytest.mark.parametrize("call", [copy.deepcopy, pickle.dumps])
def test_computed_tensors_are_not_copied(call) -> None:
    y = Tensor([1.0], requires_grad=True) * 2.0
    with pytest.raises(RuntimeError, match=r"only leaf tensors can be .*: detach\(\) it first"):
        call(y)
    call(y.detach())


def test_a_subclass_stays_what_it_is_when_copied() -> None:
    class Parameter(Tensor):
        pass

    p = Parameter([1.0], requires_grad=True)
    assert type(copy.deepcopy(p)) is Parameter
    assert repr(p) == "Parameter([1.], requires_grad=True)"


def test_tensors_are_told_apart_by_identity() -> None:
    x, y = Tensor([1.0]), Tensor([1.0])
    assert len({x, y, x}) == 2
    assert {x: "x"}[x] == "x"


def test_a_tensor_of_one_element_takes_a_number_format() -> None:
    assert f"{Tensor(1.23456):.3f} {Tensor([7]):4d}" == "1.235    7"
    assert f"{Tensor([1.0, 2.0])}" == "Tensor([1., 2.])"
    with pytest.raises(ValueError, match="item: a tensor of one element is needed"):
        f"{Tensor([1.0, 2.0]):.3f}"


# -------------------------------------------------------------------------------------------------------- missing names


# In a process of its own, since torch_like, once imported, gives tensors some of these methods.
ASK_FOR_ALL = """\
import minigrad as mg
for x in (mg.tensor(1.0), mg.nn.Parameter(1.0), mg.Tensor):
    for name in mg.hints.OF_TENSORS:
        try:
            getattr(x, name)
        except AttributeError as error:
            print(error)
            assert error.name == name and error.obj in (x, None)
seen = dir(mg.nn.UninitializedParameter())
assert "T" in seen and not {*seen} & {*mg.hints.OF_TENSORS}
"""


def test_an_attribute_that_pytorch_has_is_missing_and_says_what_to_write() -> None:
    done = subprocess.run([sys.executable, "-c", ASK_FOR_ALL], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"'{kind}' object has no attribute '{name}'; write {instead}"
        for kind in ("Tensor", "Parameter", "Tensor")
        for name, instead in hints.OF_TENSORS.items()
    ]


def test_what_a_subclass_gives_its_tensors_is_there() -> None:
    class Placed(Tensor):
        pass

    x = Placed([1.0])
    x.device = "here"
    assert (x.device, "device" in dir(x), "dim" in dir(x)) == ("here", True, False)


@pytest.mark.parametrize("name", hints.OF_MINIGRAD)
def test_a_function_that_pytorch_has_says_what_to_write(name: str) -> None:
    with pytest.raises(AttributeError, match=re.escape(f"no attribute '{name}'; write {hints.OF_MINIGRAD[name]}")):
        getattr(minigrad, name)


def test_hints_are_code_that_runs() -> None:
    x, y = Tensor([[1.0, 2.0]]), Tensor([[3.0], [4.0]])
    names = {"x": x, "y": y, "a": x, "b": y, "minigrad": minigrad, "low": 0, "high": 1, "axes": (1, 0)}
    names |= {"shape": (1, 2), "array": x.data, "tensors": [x, x], "axis": 0}
    for code in [*hints.OF_TENSORS.values(), *hints.OF_MINIGRAD.values()]:
        if code != "x.to('cupy')":
            exec(code, dict(names))
