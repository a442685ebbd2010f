"""The operations on tiles, compiled, beside their twins in plain NumPy (mutation/interpreted.py), and those with loops.

Arrays are full of NaN wherever an operation has nothing to read, and of -77 where it has nothing to write.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.util import module_from_spec
from typing import Any

import interpreted
import numpy as np
import pytest

pytest.importorskip("numba")

import llvmlite.binding
import numba

from minigrad.backends.numba import tile as compiled

OPERATIONS = tuple(interpreted.TILE_OPERATIONS)
NUMBERS = {"float32": (1, 3, 7, 8), "float64": (1, 3, 4)}  # breadths of tiles that are cut short
VECTORS = (0,), (0, 0), (0,) * 4
SHAPES = [(dtype, breadth) for dtype in NUMBERS for breadth in (*VECTORS, compiled.NARROW, *NUMBERS[dtype])]
each_shape = pytest.mark.parametrize(("dtype", "breadth"), SHAPES)
LARGEST = ("load_tile", "store_tile", "spread_place", "keep_larger")
WINNERS = ("load_tile", "store_tile", "where_won")
BETWEEN = 5  # numbers between those that a tile reads or writes, so that no run lies on a boundary


@pytest.fixture(autouse=True)
def registers_of_this_machine(monkeypatch) -> None:
    monkeypatch.setattr(interpreted, "REGISTER_BYTES", compiled.REGISTER_BYTES)


def length(dtype: str, breadth: Any) -> int:
    lanes = compiled.REGISTER_BYTES // np.dtype(dtype).itemsize
    if breadth == compiled.NARROW:
        return lanes // 2
    return len(breadth) * lanes if isinstance(breadth, tuple) else breadth


def rows_of(count: int, size: int, dtype: str) -> tuple[np.ndarray, int, int]:
    """Rows of random numbers with NaN around each, flat; where the first begins, and how far the next is."""
    step = size + BETWEEN
    array = np.full((count, step), np.nan, dtype)
    array[:, BETWEEN:] = np.random.default_rng(count).integers(-9, 10, (count, size))
    return array.reshape(-1), BETWEEN, step


def target(count: int, size: int, dtype: str) -> np.ndarray:
    return np.full(count * (size + BETWEEN) + BETWEEN, -77, dtype)


def both(make: Callable[..., Callable], *arguments: Any) -> tuple[np.ndarray, np.ndarray]:
    """What a kernel writes into its last argument, as compiled and as its twin has it."""
    results = []
    for operations, decorate in ((compiled, numba.njit), (interpreted, lambda function: function)):
        own = [argument.copy() if isinstance(argument, np.ndarray) else argument for argument in arguments]
        decorate(make(*(getattr(operations, name) for name in OPERATIONS)))(*own)
        results.append(own[-1])
    assert not np.isnan(results[1]).any(), "the twin read what it should not"
    assert (results[1] != arguments[-1]).any(), "nothing was written"
    return results[0], results[1]


def spread_and_store(spread, load_tile, store_tile, *_):
    def kernel(rows, breadth, values, first, step, y_step, y):
        store_tile(spread(rows, breadth, values, first, step), breadth, y, 5, y_step)

    return kernel


def load_and_store(spread, load_tile, store_tile, *others):
    numbers_of = others[OPERATIONS.index("numbers_of") - 3]

    def kernel(rows, breadth, x, at, step, y_step, y):
        store_tile(load_tile(rows, breadth, numbers_of(x), at, step), breadth, numbers_of(y), 5, y_step)

    return kernel


def products(spread, load_tile, store_tile, add_products, *_):
    def kernel(rows, breadth, weight, first, step, x, at, apart, y_step, y):
        tile = spread(rows, breadth, weight, first, step)
        tile = add_products(tile, breadth, weight, first + 1, step, x, at, apart)
        store_tile(add_products(tile, breadth, weight, first, step, x, at, apart), breadth, y, 5, y_step)

    return kernel


def dots(spread, load_tile, store_tile, add_products, no_sums, add_dot_products, add_lanes, *_):
    def kernel(rows, columns, breadth, y, y_at, y_step, x, x_at, x_step, size, steps, sums):
        tile = no_sums(rows, columns, y)
        tile = add_dot_products(tile, breadth, y, y_at, y_step, x, x_at, x_step)
        tile = add_dot_products(tile, breadth, y, y_at, y_step, x, x_at + x_step, 0)
        add_lanes(tile, size, sums, 2, steps)

    return kernel


def largest(*operations):
    load_tile, store_tile, spread_place, keep_larger = (operations[OPERATIONS.index(name)] for name in LARGEST)

    def kernel(breadth, x, at, step, winners, y):
        best = load_tile((0,), breadth, x, at, 0)
        won = spread_place(best, winners, 70)
        best, won = keep_larger(best, won, breadth, x, at + step, 71)
        best, won = keep_larger(best, won, breadth, x, at + 2 * step, 72)
        store_tile(won, breadth, winners, 5, 0)
        store_tile(best, breadth, y, 5, 0)

    return kernel


def winners_get_all(*operations):
    load_tile, store_tile, where_won = (operations[OPERATIONS.index(name)] for name in WINNERS)

    def kernel(breadth, x, at, winners, y):
        numbers = load_tile((0,), breadth, x, at, 0)
        store_tile(where_won(numbers, breadth, winners, 5, 71), breadth, y, 5, 0)

    return kernel


def turning(*operations):
    turn_square = operations[-1]

    def kernel(x, x_at, x_step, y_step, y):
        turn_square(x, x_at, x_step, y, 5, y_step)

    return kernel


@each_shape
def test_numbers_are_spread_over_rows(dtype: str, breadth: Any) -> None:
    size = length(dtype, breadth)
    values, first, step = rows_of(3, 1, dtype)
    actual, expected = both(spread_and_store, (0,) * 3, breadth, values, first, step, size + 2, target(3, size, dtype))
    np.testing.assert_array_equal(actual, expected)


@each_shape
def test_rows_are_loaded_and_stored(dtype: str, breadth: Any) -> None:
    size = length(dtype, breadth)
    x, at, step = rows_of(3, size, dtype)
    actual, expected = both(load_and_store, (0,) * 3, breadth, x, at, step, size + 1, target(3, size, dtype))
    np.testing.assert_array_equal(actual, expected)


@each_shape
def test_products_are_added(dtype: str, breadth: Any) -> None:
    """The vectors of x need not be neighbours."""
    size, vectors = length(dtype, breadth), len(breadth) if isinstance(breadth, tuple) else 1
    weight, first, step = rows_of(6, 2, dtype)
    x, at, apart = rows_of(vectors, size // vectors, dtype)
    arguments = (weight, first, step, x, at, apart, size + 3, target(6, size, dtype))
    actual, expected = both(products, (0,) * 6, breadth, *arguments)
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("size", [(2, 3), (1, 3), (2, 1), (2, 2)])
@pytest.mark.parametrize(("dtype", "breadth"), [shape for shape in SHAPES if shape[1] in ((0,), 1, 3)])
def test_dot_products_are_added_for_as_many_rows_and_columns_as_count(dtype: str, breadth: Any, size) -> None:
    numbers = length(dtype, breadth)
    y, y_at, y_step = rows_of(2, numbers, dtype)
    x, x_at, x_step = rows_of(3, numbers, dtype)
    arguments = (y, y_at, y_step, x, x_at, x_step, size, (10, 3), target(1, 20, dtype))
    actual, expected = both(dots, (0,) * 2, (0,) * 3, breadth, *arguments)
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("operation", ["add_products", "add_dot_products"])
def test_the_loop_around_products_is_not_unrolled(operation: str) -> None:
    def of_products(x, y):
        tile, k = compiled.no_sums((0,) * 3, (0,) * 2, x), 0
        while k < x.size:  # a long one
            tile = compiled.add_products(tile, (0,) * 2, x, k, 1, y, 0, 16)
            k += 64
        compiled.store_tile(tile, (0,) * 2, y, 0, 32)

    def of_dot_products(x, y):
        tile, k = compiled.no_sums((0,) * 3, (0,) * 2, x), 0
        while k < x.size:
            tile = compiled.add_dot_products(tile, (0,), x, k, 1, y, 0, 16)
            k += 64
        compiled.store_tile(tile, (0,) * 2, y, 0, 32)

    kernel = numba.njit(of_products if operation == "add_products" else of_dot_products)
    kernel.compile((numba.float32[::1], numba.float32[::1]))
    (code,) = kernel.inspect_llvm().values()
    assert len(re.findall(r"call .*@llvm.fmuladd", code)) == 6


@each_shape
def test_the_larger_are_kept_and_where_they_come_from(dtype: str, breadth: Any) -> None:
    size = length(dtype, breadth)
    x, at, step = rows_of(3, size, dtype)
    actual = target(1, size, "int32"), target(1, size, dtype)
    numba.njit(largest(*(getattr(compiled, name) for name in OPERATIONS)))(breadth, x, at, step, *actual)
    expected = target(1, size, "int32"), target(1, size, dtype)
    largest(*(getattr(interpreted, name) for name in OPERATIONS))(breadth, x, at, step, *expected)
    rows = x.reshape(3, step)[:, BETWEEN:]
    np.testing.assert_array_equal(expected[0][BETWEEN:-BETWEEN], 70 + rows.argmax(axis=0))
    np.testing.assert_array_equal(expected[1][BETWEEN:-BETWEEN], rows.max(axis=0))
    for own, twin in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(own, twin)


@each_shape
def test_numbers_are_kept_where_a_place_has_won(dtype: str, breadth: Any) -> None:
    size = length(dtype, breadth)
    x, at, _ = rows_of(1, size, dtype)
    winners = target(1, size, "int32")
    winners[5 : 5 + size] = 70 + np.arange(size) % 3
    actual, expected = both(winners_get_all, breadth, x, at, winners, target(1, size, dtype))
    np.testing.assert_array_equal(expected[5 : 5 + size], np.where(np.arange(size) % 3 == 1, x[at : at + size], 0))
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("dtype", NUMBERS)
def test_a_square_is_turned(dtype: str) -> None:
    size = length(dtype, (0,))
    x, at, step = rows_of(size, size, dtype)
    x[:] = np.arange(x.size)
    actual, expected = both(turning, x, at, step, size + BETWEEN, target(size, size, dtype))
    np.testing.assert_array_equal(actual, expected)
    square = actual[BETWEEN:].reshape(size, size + BETWEEN)[:, :size]
    np.testing.assert_array_equal(square, x.reshape(size, step)[:, BETWEEN:].T)


@pytest.mark.parametrize(
    ("features", "register", "wide", "half", "rows"), [({"avx512f": True}, 64, 4, 2, 4), ({"avx2": True}, 32, 2, 1, 2)]
)
def test_shapes_of_tiles_follow_the_registers(monkeypatch, features, register, wide, half, rows) -> None:
    monkeypatch.setattr(llvmlite.binding, "get_host_cpu_features", lambda: features)
    again = module_from_spec(compiled.__spec__)
    again.__loader__.exec_module(again)
    assert again.REGISTER_BYTES == register
    assert [len(shape) for shape in (again.WIDE, again.HALF, again.DOT_ROWS)] == [wide, half, rows]
    shapes = again.TWELVE, again.SIX, again.FIVE, again.FOUR, again.THREE, again.TWO, again.ONE
    assert [len(shape) for shape in shapes] == [12, 6, 5, 4, 3, 2, 1]


def test_a_kernel_may_have_tiles_of_two_dtypes() -> None:
    load_tile, store_tile, add_products = compiled.load_tile, compiled.store_tile, compiled.add_products

    @numba.njit
    def kernel(x, y):  # of each, three numbers and twice themselves behind them
        store_tile(add_products(load_tile((0,), 3, x, 0, 0), 3, x, 1, 0, x, 0, 0), 3, x, 3, 0)
        store_tile(add_products(load_tile((0,), 3, y, 0, 0), 3, y, 1, 0, y, 0, 0), 3, y, 3, 0)

    x, y = np.array([3, 1, 2, 0, 0, 0], "float32"), np.array([5, 1, 4, 0, 0, 0], "float64")
    kernel(x, y)
    assert x.tolist() == [3, 1, 2, 6, 2, 4]
    assert y.tolist() == [5, 1, 4, 10, 2, 8]


def test_the_twins_are_the_sums_that_they_stand_for() -> None:
    """x times the weights, in loops; so that compiled code and twin are not wrong in the same way."""
    weight, x = np.arange(1.0, 5.0), np.arange(40.0)
    y = np.zeros(40)
    lanes = compiled.REGISTER_BYTES // 8
    kernel = products(*(getattr(interpreted, name) for name in OPERATIONS))
    kernel((0, 0), (0, 0), weight, 0, 2, x, 3, lanes + 1, 2 * lanes, y[5 - 5 :])
    for r, v, t in np.ndindex(2, 2, lanes):
        own = x[3 + v * (lanes + 1) + t]
        assert y[5 + r * 2 * lanes + v * lanes + t] == weight[2 * r] + (weight[2 * r + 1] + weight[2 * r]) * own
