"""No two threads of a CUDA kernel of the cupy backend race: ThreadSanitizer watches each, and finds what is planted.

The kernels are launched as the backend launches them, but with four threads a block where a thread computes an element,
so that a few numbers are several blocks. gpu/races.py says what a race is, and how it is found.
"""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cupy_backend import fresh_backend
from host_compiler import COMMENT, KERNEL
from races import Launch, find_races, why_unusable
from stand_in import cupy

import minigrad

SOURCES = {
    path.stem: path.read_text() for path in sorted((Path(minigrad.__file__).parent / "backends" / "cupy").glob("*.cu"))
}
THREADS = 4  # of a block, where a thread computes an element
TYPES = [("float32", "int"), ("float64", "int"), ("float32", "long long")]
BARRIER = "__syncthreads();"


def call_every_kernel(cuda: Any, dtype: str) -> None:
    """Has each kernel launched. Windows overlap and hang over the edges, so that threads meet where they can."""

    def draw(*shape: int) -> Any:
        return cupy.asarray(np.random.default_rng(0).standard_normal(shape).astype(dtype))

    x, y = draw(9), draw(9)
    for function in (cuda.sigmoid, cuda.tanh, cuda.relu, cuda.softplus):
        function(x)
    for function in (cuda.sigmoid_grad, cuda.tanh_grad, cuda.relu_grad):
        function(x, y)
    cuda.leaky_relu(x, 0.1)
    cuda.leaky_relu_grad(x, y, 0.1)

    images, size, window, stride, padding, dilation = draw(2, 2, 4, 3), (4, 3), (2, 3), (1, 1), (1, 1), (1, 1)
    seen = draw(2, 2, 5, 3)
    seen_by_many = draw(2, 3, 12, 13)  # more numbers a channel than the 256 threads of a block
    cuda.conv2d_grad_weight(seen_by_many, draw(2, 1, 12, 13), (1, 1), (1, 1), (0, 0), (1, 1), groups=1)
    cuda.im2col(images, window, stride, padding, dilation)
    cuda.col2im(draw(2, 2, 3, 5, 3, 2), size, stride, padding, dilation)
    cuda.conv2d(images, draw(3, 2, 2, 3), draw(3), stride, padding, dilation, groups=1)  # the one that adds a bias
    for count_include_pad in (False, True):
        cuda.avg_pool2d(images, window, stride, padding, count_include_pad)
        cuda.avg_pool2d_grad(seen, size, window, stride, padding, count_include_pad)
    winners = cupy.zeros(seen.shape, np.int32)
    cuda.max_pool2d(images, window, stride, padding)
    cuda.max_pool2d_gather(images, winners, window, stride, padding)
    cuda.max_pool2d_scatter(seen, winners, size, window, stride, padding)

    cuda.gather_images(images, cupy.asarray(np.array([1, 0, 1])))
    cuda.gather_images(cupy.zeros(images.shape, np.uint8), cupy.asarray(np.array([1, 0, 1])))
    cuda.sgd(x, [y], None, 0.1, 0.0, 0.0, 0.1, False)
    cuda.sgd(x, [y], x, 0.1, 0.9, 0.0, 0.1, True)
    cuda.adam(x, [y], x, y, 2, 0.1, (0.9, 0.999), 1e-8, 0.1, False)

    labels = cupy.asarray(np.array([0, 39]))  # 40 classes are more than the 32 threads of a block
    cuda.softmax_cross_entropy(draw(2, 40), labels)
    for of_the_losses in (draw(2), draw()):
        cuda.softmax_cross_entropy_grad(of_the_losses, draw(2, 40), labels)


def launches_of_every_kernel(dtype: str, index: str) -> list[Launch]:
    """What the backend asks a GPU to do; nothing runs yet."""
    launches: list[Launch] = []

    def module(code: str, options: tuple[str, ...]) -> SimpleNamespace:
        def launch(name: str, grid: Any, block: Any, args: Any) -> None:
            values = tuple(arg.storage if isinstance(arg, cupy.ndarray) else arg for arg in args)
            launches.append(Launch(code, options, name, grid, block, values))

        return SimpleNamespace(get_function=lambda name: partial(launch, name))

    with fresh_backend() as backend, pytest.MonkeyPatch.context() as patch:
        cuda, compiler = backend.kernels, backend.kernels.compiler
        patch.setattr(cupy, "RawModule", module)
        patch.setattr(compiler, "THREADS", THREADS)
        patch.setattr(compiler, "INT_COUNTS", 0 if index == "long long" else compiler.INT_COUNTS)
        for cached in (compiler._function, compiler._module):
            patch.setattr(compiler, cached.__name__, cache(cached.__wrapped__))
        call_every_kernel(cuda, dtype)
    assert {launch.options[1] for launch in launches} == {f"-DINDEX={index}"}
    return launches


RIGHT = {(launch.name, *types): launch for types in TYPES for launch in launches_of_every_kernel(*types)}


# ----------------------------------------------------------------------------------------------------- planted mistakes


def edited(file: str, name: str, *changes: tuple[str, str]) -> Launch:
    """The launch of a kernel in whose file each change has been made, at the only place that there is for it."""
    code = SOURCES[file]
    for old, new in changes:
        assert code.count(old) == 1, f"{file}.cu has {code.count(old)} times {old}"
        code = code.replace(old, new)
    return RIGHT[(name, *TYPES[0])]._replace(code=code)


def without_barrier(file: str, name: str, number: int) -> Launch:
    parts = SOURCES[file].split(BARRIER)
    code = f"{BARRIER.join(parts[:number])};{BARRIER.join(parts[number:])}"
    return RIGHT[(name, *TYPES[0])]._replace(code=code)


# Who waits at the barriers of a file; without any single one of them there must be a race.
WAITING = {"conv": "channel_sum", "loss": "softmax_cross_entropy"}
BARRIERS = [(file, number) for file in SOURCES for number in range(1, SOURCES[file].count(BARRIER) + 1)]
COL2IM_THAT_SCATTERS = edited(
    "conv",
    "im2col",
    ("im2col(INDEX size, const REAL* x, REAL* cols,", "im2col(INDEX size, REAL* x, const REAL* cols,"),
    (
        "cols[i] = inside ? x[((c * H + h) * W + w) * N + n] : 0;",
        "if (inside) x[((c * H + h) * W + w) * N + n] += cols[i];",
    ),
)._replace(grid=(6,), block=(60,))  # so that taps meet in a block, and between blocks
ONE_SUM_FOR_ALL_BLOCKS = edited("conv", "channel_sum", ("sums[blockIdx.x] = partial[0];", "sums[0] += partial[0];"))
PLANTED = {
    "col2im that scatters": COL2IM_THAT_SCATTERS,
    "one sum for all blocks": ONE_SUM_FOR_ALL_BLOCKS,
    **{barrier: without_barrier(barrier[0], WAITING[barrier[0]], barrier[1]) for barrier in BARRIERS},
}


@pytest.fixture(scope="module")
def races() -> dict[Any, list[str]]:
    """Those of every launch, right or wrong: all are watched in one process, since each takes two seconds to start."""
    if reason := why_unusable():
        pytest.skip(reason)
    launches = {**RIGHT, **PLANTED}
    return dict(zip(launches, find_races(list(launches.values())), strict=True))


def test_every_kernel_is_launched() -> None:
    declared = {name for code in SOURCES.values() for name, _ in KERNEL.findall(COMMENT.sub("", code))}
    assert len(declared) > 15
    for types in TYPES:
        launched = {name for name, *others in RIGHT if tuple(others) == types}
        assert launched == declared, f"add to call_every_kernel: {declared - launched}"


@pytest.mark.parametrize("launch", RIGHT, ids=lambda launch: "-".join(launch))
def test_kernels_have_no_races(launch: tuple[str, str, str], races: dict[Any, list[str]]) -> None:
    assert RIGHT[launch].grid > (1,)
    assert races[launch] == []


@pytest.mark.parametrize(("file", "number"), BARRIERS)
def test_each_barrier_is_needed(file: str, number: int, races: dict[Any, list[str]]) -> None:
    found = races[file, number]
    assert found
    assert all(race.endswith("threads of one block") for race in found)


def test_a_col2im_that_scatters_is_caught(races: dict[Any, list[str]]) -> None:
    found = races["col2im that scatters"]
    assert {race.rsplit(", by ")[1] for race in found} == {"threads of one block", "threads of two blocks"}


def test_blocks_that_write_one_number_are_caught(races: dict[Any, list[str]]) -> None:
    assert {race.rsplit(", by ")[1] for race in races["one sum for all blocks"]} == {"threads of two blocks"}
