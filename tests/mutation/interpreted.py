"""numba's kernels as plain Python: what mutants of them are tested with, as compiling each would take a minute.

`install` replaces what the kernels take from numba before minigrad is imported: njit gives the function back, and the
operations on tiles (backends/numba/tile.py), which are instructions of LLVM, have the twins below. They say in NumPy
what the docstrings there say, and are stricter: what lies outside an array is neither read nor written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock

import numpy as np

REGISTER_BYTES = 32  # on every machine, so that the same mutants survive


def install() -> None:
    import llvmlite.binding
    import numba
    import numba.extending

    llvmlite.binding.get_host_cpu_features = dict
    numba.njit = njit
    numba.threading_layer = lambda: "none"
    numba.extending.intrinsic = lambda function: {**TILE_OPERATIONS, **CALLS}[function.__name__]


def njit(function: Callable | None = None, **_: Any) -> Any:
    if function is None:
        return njit
    function.enable_caching = lambda: None
    function.compile = lambda signature: None
    compiled = MagicMock(entry_point=function)
    compiled.library.get_pointer_to_function.return_value = function
    function.overloads = defaultdict(lambda: compiled)
    return function


def lanes(array: np.ndarray) -> int:
    return REGISTER_BYTES // array.itemsize


def numbers_of(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1)


def length_of(breadth: Any, array: np.ndarray) -> int:
    """How many numbers the row of a tile of such an array has in memory."""
    if not isinstance(breadth, tuple):
        return breadth
    return lanes(array) // 2 if isinstance(breadth[0], float) else len(breadth) * lanes(array)


def run(array: np.ndarray, at: int, breadth: Any) -> np.ndarray:
    """The numbers of a row of a tile, one behind the other."""
    length = length_of(breadth, array)
    if at < 0 or at + length > array.size or not array.flags.c_contiguous:
        raise IndexError(f"{length} numbers at {at} of {array.size}")
    return array.reshape(-1)[at : at + length]


def row(array: np.ndarray, at: int, breadth: Any) -> np.ndarray:
    """The same, and zeros behind them where the breadth is a number."""
    numbers = run(array, at, breadth)
    return numbers if isinstance(breadth, tuple) else np.pad(numbers, (0, lanes(array) - breadth))


def spread(rows: tuple, breadth: Any, values: np.ndarray, first: int, step: int) -> np.ndarray:
    length = length_of(breadth, values) if isinstance(breadth, tuple) else lanes(values)
    scalars = [run(values, first + r * step, 1) for r in range(len(rows))]
    return np.repeat(np.stack(scalars), length, axis=1)


def load_tile(rows: tuple, breadth: Any, array: np.ndarray, at: int, step: int) -> np.ndarray:
    return np.stack([row(array, at + r * step, breadth) for r in range(len(rows))])


def store_tile(tile: np.ndarray, breadth: Any, array: np.ndarray, at: int, step: int) -> None:
    length = tile.shape[1] if isinstance(breadth, tuple) else breadth
    for r, numbers in enumerate(tile):
        run(array, at + r * step, length)[...] = numbers[:length]


def add_products(
    tile: np.ndarray, breadth: Any, weight: np.ndarray, w: int, step: int, x: np.ndarray, at: int, apart: int
) -> np.ndarray:
    if isinstance(breadth, tuple):
        length = length_of(breadth, x) // len(breadth)
        vectors = np.concatenate([run(x, at + v * apart, length) for v in range(len(breadth))])
    else:
        vectors = row(x, at, breadth)
    return tile.reshape(len(tile), -1) + spread((0,) * len(tile), (0,), weight, w, step)[:, :1] * vectors


def no_sums(rows: tuple, columns: Any, array: np.ndarray) -> np.ndarray:
    vectors = len(columns) if isinstance(columns, tuple) else 1
    length = length_of(columns, array) if isinstance(columns, tuple) else lanes(array)
    return np.zeros((len(rows), vectors, length // vectors), array.dtype)


def add_dot_products(
    tile: np.ndarray, breadth: Any, y: np.ndarray, y_at: int, y_step: int, x: np.ndarray, x_at: int, x_step: int
) -> np.ndarray:
    left = np.stack([row(y, y_at + r * y_step, breadth) for r in range(tile.shape[0])])
    right = np.stack([row(x, x_at + c * x_step, breadth) for c in range(tile.shape[1])])
    return tile + left[:, None] * right


def add_lanes(tile: np.ndarray, size: tuple[int, int], sums: np.ndarray, at: int, steps: tuple[int, int]) -> None:
    for r in range(size[0]):
        for c in range(size[1]):
            run(sums, at + r * steps[0] + c * steps[1], 1)[0] += tile[r, c].sum()


def spread_place(like: np.ndarray, array: np.ndarray, place: int) -> np.ndarray:
    return np.full(like.shape, place, array.dtype)


def keep_larger(
    best: np.ndarray, winners: np.ndarray, breadth: Any, x: np.ndarray, at: int, place: int
) -> tuple[np.ndarray, np.ndarray]:
    new = run(x, at, breadth) if isinstance(breadth, tuple) else row(x, at, breadth)
    larger = ~(new <= best) & (best == best)
    return np.where(larger, new, best), np.where(larger, winners.dtype.type(place), winners)


def where_won(tile: np.ndarray, breadth: Any, winners: np.ndarray, at: int, place: int) -> np.ndarray:
    size = tile.shape[1]
    here = run(winners, at, size if isinstance(breadth, tuple) else breadth) == place
    return np.where(np.pad(here, (0, size - len(here))), tile, tile.dtype.type(0))


def turn_square(x: np.ndarray, x_at: int, x_step: int, y: np.ndarray, y_at: int, y_step: int) -> None:
    rows = np.stack([run(x, x_at + r * x_step, lanes(x)) for r in range(lanes(x))])
    for c in range(lanes(x)):
        run(y, y_at + c * y_step, lanes(x))[...] = rows[:, c]


OPERATIONS = (
    *(spread, load_tile, store_tile, add_products, no_sums, add_dot_products, add_lanes),
    *(numbers_of, spread_place, keep_larger, where_won, turn_square),
)
# A kernel's address is the kernel, and the place of its arguments the arguments.
CALLS: dict[str, Callable] = {
    "on_stack": lambda values: values,
    "caller_of": lambda arguments: lambda first, last, place: place[1](first, last, *place[2]),
    "number_at": lambda place: place[0],
    "call_at": lambda function, numbers: function(*numbers),
    "call_in_team": lambda most, caller, tasks, place: caller(0, tasks, place),
}
TILE_OPERATIONS = {operation.__name__: operation for operation in OPERATIONS}
