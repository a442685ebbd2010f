"""The operators of Tensor, with numbers, arrays and lists on either side."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import minigrad
from minigrad import Tensor

pytestmark = pytest.mark.usefixtures("on_backend")

# A number is no matrix, and floating numbers have no bits.
NUMBERS = [3, 2.5, True, np.float64(2.5), np.float32(2.5), np.int64(3), np.array(2.5)]
ARRAY = np.array([0.5, 4.0])

OPERATORS = {
    **{name: getattr(operator, name) for name in ("add", "sub", "mul", "truediv", "pow", "matmul")},
    **{name: getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge")},
}


@pytest.mark.parametrize(
    ("name", "other"),
    [(name, other) for name in OPERATORS for other in ([ARRAY] if name == "matmul" else [*NUMBERS, ARRAY])],
    ids=lambda value: value if isinstance(value, str) else f"{type(value).__name__} {value}",
)
def test_numbers_and_arrays_on_either_side_of_every_operator(name, other) -> None:
    operation = OPERATORS[name]
    array = np.array([1.5, 2.5])
    for left, right in ((array, other), (other, array)):
        y = operation(*(Tensor(side) if side is array else side for side in (left, right)))
        a, b = np.asarray(left, np.float64), np.asarray(right, np.float64)
        assert isinstance(y, Tensor)
        assert y.dtype == ("bool" if operation(a, b).dtype == bool else "float64")
        np.testing.assert_allclose(y.numpy(), operation(a, b))


@pytest.mark.parametrize("name", ["and_", "or_", "xor"])
@pytest.mark.parametrize(
    "other", [True, 3, np.bool_(False), np.int64(2), np.array([True, False]), [False, False]], ids=str
)
def test_the_logical_operators_take_numbers_and_arrays_on_either_side(name, other) -> None:
    operation, array = getattr(operator, name), np.array([True, False])
    for left, right in ((array, other), (other, array)):
        y = operation(*(Tensor(side) if side is array else side for side in (left, right)))
        expected = operation(np.asarray(left), np.asarray(right))
        assert (y.dtype, y.tolist()) == (expected.dtype, expected.tolist())


def test_lists_count_as_tensors_made_of_them() -> None:
    y = [[1.0], [2.0]] * Tensor([1.0, 2.0]) + (1, 2)
    assert (y.dtype, y.tolist()) == ("float32", [[2.0, 4.0], [3.0, 6.0]])
    assert operator.eq([1, 2], Tensor([1, 3])).tolist() == [True, False]


@pytest.mark.parametrize("number", [3, 2.5, True, np.float64(2.5), np.int64(3), np.bool_(True)])
def test_numbers_take_the_dtype_of_the_tensor_beside_them(number) -> None:
    x = Tensor([1.0, 2.0])
    for y in (x + number, number * x, x / number, number - x, x**number, number**x, minigrad.maximum(number, x)):
        assert y.dtype == "float32"


def test_gradients_flow_through_reflected_operators() -> None:
    x = Tensor(np.array([1.5, 2.5]), requires_grad=True)
    y = (3.0 - x) * 2.0 + 1.0 / x + 2.0**x + np.array([[1.0, 2.0], [3.0, 4.0]]) @ x + np.float64(2.0) * x
    y.sum().backward()
    expected = -2 - 1 / x.numpy() ** 2 + np.log(2) * 2 ** x.numpy() + np.array([4.0, 6.0]) + 2
    np.testing.assert_allclose(x.grad.numpy(), expected)


def test_in_place_operators_make_new_tensors() -> None:
    x = Tensor([1.0, 2.0])
    before, array = x, x.data
    x += 1.0
    assert x is not before
    assert (before.tolist(), array.tolist(), x.tolist()) == ([1.0, 2.0], [1.0, 2.0], [2.0, 3.0])
    numbers = np.array([1.0, 2.0], np.float32)
    with pytest.raises(TypeError, match="does not support ufuncs"):
        numbers += before


def test_in_place_operators_keep_the_order_of_their_operands() -> None:
    x = Tensor([[1.0, 2.0], [3.0, 4.0]])
    y = other = Tensor([[0.5, 1.0], [2.0, 0.25]])
    y -= x
    assert y.tolist() == (other - x).tolist()
    y /= x
    assert y.tolist() == ((other - x) / x).tolist()
    y @= x
    assert y.tolist() == ((other - x) / x @ x).tolist()


def test_in_place_operators_update_a_leaf_under_no_grad_and_refuse_while_recording() -> None:
    w = Tensor([1.0, 2.0], requires_grad=True)
    (w * w).sum().backward()
    before, snapshot = w.data, w.detach()
    with minigrad.no_grad():
        for p in [w]:
            p -= 0.25 * p.grad
    assert w.tolist() == [0.5, 1.0]
    assert w.is_leaf
    assert w.requires_grad
    assert (before.tolist(), snapshot.tolist()) == ([1.0, 2.0], [1.0, 2.0])
    with pytest.raises(RuntimeError, match=r"^add: a leaf that requires a gradient can't be changed while rec"):
        w += 1.0
    total = Tensor(0.0)
    for _ in range(2):
        total += (w * w).sum()
    total.backward()
    assert total.item() == 2.5


def test_unary_operators_and_the_transpose() -> None:
    x = Tensor([[1.0, -2.0]])
    assert (-x).tolist() == [[-1.0, 2.0]]
    assert abs(x).tolist() == [[1.0, 2.0]]
    assert x.T.tolist() == [[1.0], [-2.0]]
    assert (~(x > 0)).tolist() == [[False, True]]


@pytest.mark.parametrize("other", ["text", None, {}, object()])
def test_equality_with_what_is_no_number_is_identity(other) -> None:
    for left, right in ((Tensor([1.0]), other), (other, Tensor([1.0]))):
        assert (left == right) is False
        assert (left != right) is True


@pytest.mark.parametrize("name", sorted(OPERATORS.keys() - {"eq", "ne"}))
@pytest.mark.parametrize("other", ["text", None, {}, object()])
def test_operators_refuse_what_is_no_number(name, other) -> None:
    for left, right in ((Tensor([1.0]), other), (other, Tensor([1.0]))):
        with pytest.raises(TypeError, match="expected a Tensor, an array or a number, got"):
            OPERATORS[name](left, right)


def test_a_float_on_the_left_of_an_integer_tensor_makes_float32() -> None:
    for y, expected in ((1.5 + Tensor([1, 2]), [2.5, 3.5]), (1.5 * Tensor([1, 2]), [1.5, 3.0])):
        assert (y.dtype, y.tolist()) == (np.float32, expected)


@pytest.mark.parametrize(("name", "operation"), [("add", minigrad.add), ("mul", minigrad.mul)])
def test_the_quick_way_of_two_tensors_is_for_one_dtype(name: str, operation) -> None:
    single, double, whole = Tensor([2.0]), Tensor(np.array([3.0])), Tensor([4])
    for a, b in ((single, double), (double, single)):
        with pytest.raises(TypeError, match=f"{name}: float32 and float64 do not mix"):
            operation(a, b)
    for a, b in ((single, whole), (whole, single)):
        assert operation(a, b).dtype == np.float32
