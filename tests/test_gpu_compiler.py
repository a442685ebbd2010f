"""What a launch of the cupy backend asks for: blocks, threads, types (backends/cupy/compiler.py).."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from cupy_backend import fresh_backend
from stand_in import cupy


class Launch(NamedTuple):
    options: tuple[str, ...]
    name: str
    grid: tuple[int, ...]
    block: tuple[int, ...]
    args: tuple[Any, ...]


@pytest.fixture
def compiler() -> Iterator[ModuleType]:
    with fresh_backend():
        from minigrad.backends.cupy import compiler

        yield compiler


@pytest.fixture
def launches(compiler: ModuleType, monkeypatch) -> list[Launch]:
    """Those that are asked for, from here on."""
    launches: list[Launch] = []

    def module(code: str, options: tuple[str, ...]) -> SimpleNamespace:
        def function(name: str) -> Callable[..., None]:
            assert f"void {name}(" in code
            return lambda *launch: launches.append(Launch(options, name, *launch))

        return SimpleNamespace(get_function=function)

    monkeypatch.setattr(cupy, "RawModule", module)
    for cached in (compiler._function, compiler._module):
        monkeypatch.setattr(compiler, cached.__name__, cache(cached.__wrapped__))
    return launches


FLOATS = cupy.zeros(3, np.float32)


def types(values: tuple[Any, ...]) -> list[type]:
    return [type(value) for value in values]


@pytest.mark.parametrize(("size", "blocks"), [(1, 1), (255, 1), (256, 1), (257, 2), (512, 2), (513, 3)])
def test_blocks_have_256_threads_and_as_few_are_launched_as_there_must_be(
    size: int, blocks: int, compiler: ModuleType, launches: list[Launch]
) -> None:
    compiler.kernel("activation", "relu")(size, FLOATS)
    (launch,) = launches
    assert (launch.name, launch.grid, launch.block) == ("relu", (blocks,), (256,))
    assert launch.args == (size, FLOATS)


def test_where_a_block_computes_an_element_there_are_as_many_of_the_given_size(compiler, launches) -> None:
    compiler.block_kernel("loss", "softmax_cross_entropy", threads=32)(5, FLOATS)
    assert launches == [(("-DREAL=float", "-DINDEX=int"), "softmax_cross_entropy", (5,), (32,), (FLOATS,))]


def test_nothing_is_launched_for_no_elements(compiler: ModuleType, launches: list[Launch]) -> None:
    compiler.kernel("activation", "relu")(0, FLOATS)
    compiler.block_kernel("conv", "channel_sum", threads=256)(0, FLOATS)
    assert not launches


def test_numbers_have_the_types_that_kernels_declare(compiler: ModuleType, launches: list[Launch]) -> None:
    given = (np.int64(3), 4, True, 0.5, np.float64(0.5), np.float32(0.5), compiler.Count(7), FLOATS)
    for dtype in (np.float32, np.float64):
        compiler.kernel("activation", "relu")(3, cupy.zeros(2, np.int64), cupy.zeros(1, dtype), *given)
        size, labels, first, *args = launches.pop().args
        assert (type(size), labels.dtype, first.dtype) == (np.int32, np.int64, dtype)
        assert types(tuple(args[:-1])) == [np.int32, np.int32, np.int32, dtype, dtype, dtype, np.int32]
        assert args == list(given)


@pytest.mark.parametrize(("size", "longest", "index"), [(743, 3, "int"), (744, 3, "long long"), (3, 744, "long long")])
def test_elements_are_counted_with_64_bits_where_an_int_cannot_reach_the_last_thread(
    size: int, longest: int, index: str, compiler: ModuleType, launches: list[Launch], monkeypatch
) -> None:
    monkeypatch.setattr(compiler, "INT_COUNTS", 1000)
    count = {"int": np.int32, "long long": np.int64}[index]
    compiler.kernel("conv", "add_bias")(size, FLOATS, cupy.zeros(longest, np.uint8), compiler.Count(5), 5)
    assert launches[0].options == ("-DREAL=float", f"-DINDEX={index}")
    assert types(launches[0].args) == [count, cupy.ndarray, cupy.ndarray, count, np.int32]
    compiler.block_kernel("conv", "channel_sum", threads=256)(size, FLOATS, cupy.zeros(longest, np.uint8))
    assert launches[1].options == ("-DREAL=float", f"-DINDEX={index}")


@pytest.mark.parametrize(("size", "index"), [(2**31 - 257, "int"), (2**31 - 256, "long long")])
def test_an_int_counts_all_threads_of_less_than_two_to_the_31(size: int, index: str, compiler, launches) -> None:
    compiler.kernel("activation", "relu")(size, FLOATS)
    assert launches[0].options == ("-DREAL=float", f"-DINDEX={index}")


def test_each_type_has_its_module_made_once_and_each_kernel_is_found_once(compiler, launches, monkeypatch) -> None:
    made, module = [], cupy.RawModule

    def noted(code: str, options: tuple[str, ...]) -> Any:
        functions = module(code, options)
        made.append(options)
        return SimpleNamespace(get_function=lambda name: made.append(name) or functions.get_function(name))

    monkeypatch.setattr(cupy, "RawModule", noted)
    relu, sigmoid = compiler.kernel("activation", "relu"), compiler.kernel("activation", "sigmoid")
    doubles = cupy.zeros(3, np.float64)
    for launch, array in ((relu, FLOATS), (relu, FLOATS), (sigmoid, FLOATS), (sigmoid, doubles), (sigmoid, doubles)):
        launch(3, array)
    floats, of_doubles = ("-DREAL=float", "-DINDEX=int"), ("-DREAL=double", "-DINDEX=int")
    assert made == [floats, "relu", "sigmoid", of_doubles, "sigmoid"]
    assert len(launches) == 5
