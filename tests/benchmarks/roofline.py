"""How near LeNet-5's kernels come to what the machine can do: to its arithmetic, or to its memory.

A kernel that does F operations on B bytes cannot be quicker than F / peak or B / bandwidth, whichever is longer. Both
limits are measured here, not read from a data sheet. B are the bytes that have to be moved in any case: every input
read once, every output written once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from measure import REST

import minigrad as mg

BATCH = 128
PRODUCT = 2048  # rows and columns of the matrices that show the peak
MULTIPLY_ADDS, ROUNDS, TERMS = (
    6 << 26,
    1 << 10,
    1 << 5,
)  # in registers, of terms of a sum that are gone through so often
TRIAD = 1 << 25  # numbers in each array of the triad: far more than any cache holds
TURNS, TURN_SECONDS = 12, 0.05


@dataclass(frozen=True)
class Kernel:
    name: str
    operations: float
    bytes: float
    run: Callable[[], Any]


@dataclass(frozen=True)
class Point:
    """A kernel, measured."""

    name: str
    intensity: float  # operations a byte
    gflops: float
    seconds: float


@dataclass(frozen=True)
class Roofline:
    peak: float  # 10^9 operations a second
    bandwidth: float  # 10^9 bytes a second
    threads: int
    points: tuple[Point, ...]


def measure_roofline(threads: int) -> Roofline:
    """Raises ImportError without numba, whose threads draw on the memory."""
    kernels, limits = list(lenet_kernels()), [large_product(), multiply_adds(), large_triad(threads)]
    product, in_registers, triad, *seconds = shortest([*limits, *(kernel.run for kernel in kernels)])
    points = tuple(
        Point(kernel.name, kernel.operations / kernel.bytes, 1e-9 * kernel.operations / taken, taken)
        for kernel, taken in zip(kernels, seconds, strict=True)
    )
    peak = max(2 * PRODUCT**3 / product, 2 * MULTIPLY_ADDS / in_registers)
    return Roofline(1e-9 * peak, 1e-9 * 12 * TRIAD / triad, threads, points)


def large_product() -> Callable[[], object]:
    """A matrix product in float32, on all threads of the BLAS."""
    a = np.random.default_rng(0).random((PRODUCT, PRODUCT), dtype=np.float32)
    b, out = a.T.copy(), np.empty_like(a)
    return lambda: np.matmul(a, b, out=out)


def multiply_adds() -> Callable[[], object]:
    """Nothing but multiply-adds in registers, of numbers that the first-level cache holds: a BLAS that does not know
    the processor may make no use of its widest registers."""
    from minigrad.backends.numba.compiler import compiled_kernel
    from minigrad.backends.numba.tile import REGISTER_BYTES, SIX, WIDE, add_products, no_sums, numbers_of, store_tile

    @compiled_kernel()
    def tiles_of_sums(first, last, x, weight, y):
        terms, size, lanes = len(x), x.shape[1], x.shape[1] // len(WIDE)
        x, weight, y = numbers_of(x), numbers_of(weight), numbers_of(y)
        for task in range(first, last):
            tile = no_sums(SIX, WIDE, x)
            for _ in range(ROUNDS):
                for k in range(terms):
                    tile = add_products(tile, WIDE, weight, k, terms, x, k * size, lanes)
            store_tile(tile, WIDE, y, task * len(SIX) * size, size)

    size = len(WIDE) * REGISTER_BYTES // 4
    tasks = MULTIPLY_ADDS // (len(SIX) * size * ROUNDS * TERMS)
    x, weight, y = (
        np.ones(shape, np.float32) for shape in ((TERMS, size), (len(SIX), TERMS), (tasks * len(SIX), size))
    )
    return lambda: tiles_of_sums(tasks, x, weight, y)


def large_triad(threads: int) -> Callable[[], object]:
    """a = b + s c over arrays that no cache holds, 12 bytes for each number."""
    import numba

    @numba.njit(parallel=True)
    def triad(a, b, c, s):
        for i in numba.prange(a.size):
            a[i] = b[i] + s * c[i]

    numba.set_num_threads(threads)
    a, b, c = (np.full(TRIAD, value, np.float32) for value in (0, 1, 2))
    return lambda: triad(a, b, c, np.float32(3))


def shortest(works: Sequence[Callable[[], object]]) -> list[float]:
    """The shortest time of each, in seconds: limits and kernels are all shown at their best, and in turn, as a machine
    has better and worse minutes."""
    times = [math.inf] * len(works)
    for _ in range(TURNS):
        for place, work in enumerate(works):
            time.sleep(REST)
            end = time.perf_counter() + TURN_SECONDS
            while (start := time.perf_counter()) < end:
                work()
                times[place] = min(times[place], time.perf_counter() - start)
    return times


def lenet_kernels() -> Iterator[Kernel]:
    """The kernels of the book's variant on the default backend, on arrays that lie in memory as they do in training.

    An exponential counts as one operation, so a sigmoid has four: minus, exp, plus, divided by. The first convolution
    has no gradient by its input, which is the images.
    """
    backend = mg.default_backend()
    k, random = backend.kernels, np.random.default_rng(0)

    def numbers(*shape: int) -> Any:
        return backend.from_numpy(random.standard_normal(shape, dtype=np.float32))

    def batch_innermost(images: Any) -> Any:
        return backend.xp.ascontiguousarray(images.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2)

    plain, whole = {"stride": (1, 1), "dilation": (1, 1), "groups": 1}, (2, 2)
    x1, w1, b1, y1 = (
        batch_innermost(numbers(BATCH, 1, 28, 28)),
        numbers(6, 1, 5, 5),
        numbers(6),
        batch_innermost(numbers(BATCH, 6, 28, 28)),
    )
    x2, w2, b2 = batch_innermost(numbers(BATCH, 6, 14, 14)), numbers(16, 6, 5, 5), numbers(16)
    y2 = batch_innermost(numbers(BATCH, 16, 10, 10))
    x3, w3, b3, y3 = y2[:, :, ::2, ::2].reshape(BATCH, 400), numbers(120, 400), numbers(120), numbers(BATCH, 120)
    pooling = {"kernel": whole, "stride": whole, "padding": (0, 0), "count_include_pad": True}

    first, second = 2 * y1.size * 25, 2 * y2.size * 150
    yield Kernel("conv1 forward", first, moved(x1, w1, b1, y1), lambda: k.conv2d(x1, w1, b1, padding=(2, 2), **plain))
    yield Kernel(
        "conv1 gradient by weight",
        first,
        moved(y1, x1, w1),
        lambda: k.conv2d_grad_weight(y1, x1, (5, 5), padding=(2, 2), **plain),
    )
    yield Kernel("conv2 forward", second, moved(x2, w2, b2, y2), lambda: k.conv2d(x2, w2, b2, padding=(0, 0), **plain))
    yield Kernel(
        "conv2 gradient by input",
        second,
        moved(y2, w2, x2),
        lambda: k.conv2d_grad_input(y2, w2, (14, 14), padding=(0, 0), **plain),
    )
    yield Kernel(
        "conv2 gradient by weight",
        second,
        moved(y2, x2, w2),
        lambda: k.conv2d_grad_weight(y2, x2, (5, 5), padding=(0, 0), **plain),
    )
    yield Kernel("linear 400 to 120", 2 * x3.size * 120, moved(x3, w3, b3, y3), lambda: k.linear(x3, w3, b3))
    yield Kernel("sigmoid", 4 * y1.size, moved(y1, y1), lambda: k.sigmoid(y1))
    yield Kernel("sigmoid's gradient", 3 * y1.size, moved(y1, y1, y1), lambda: k.sigmoid_grad(y1, y1))
    yield Kernel("average pooling", 4 * x2.size, moved(y1, x2), lambda: k.avg_pool2d(y1, **pooling))
    yield Kernel("pooling's gradient", x2.size, moved(x2, y1), lambda: k.avg_pool2d_grad(x2, (28, 28), **pooling))


def moved(*arrays: Any) -> int:
    return sum(array.nbytes for array in arrays)
