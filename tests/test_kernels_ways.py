"""The numba backend's ways through one kernel (backends/numba/ways.py) give the same, for any sizes and any cuts.

Which way is taken, and into which pieces and tasks the work is cut, is a matter of speed. So each way is taken here for
shapes that it is not made for, and the work of small arrays is cut as that of large ones is.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

pytest.importorskip("numba")

from minigrad.backends import get_backend
from minigrad.backends.numba import activation, conv, dots, memory, sums, ways
from minigrad.backends.numba import tasks as tasks_module
from minigrad.backends.numpy.layout import output_size

linear = importlib.import_module("minigrad.backends.numba.linear")  # which has a function of that name
LOOPS = (tasks_module, sums, dots)  # and how they are cut
numba, reference = get_backend("numba").kernels, get_backend("numpy").kernels

WAYS = {
    "pieces": {"takes_pieces": lambda *_: True, "takes_outer_products": lambda *_: False},
    "columns": {"takes_pieces": lambda *_: False, "takes_outer_products": lambda *_: False},
    "outer products": {"takes_pieces": lambda *_: True, "takes_outer_products": lambda *_: True},
}
# Cuts as of arrays a thousand times as large, and few cuts and the tiles of AVX-512. Those in compiled code are fixed
# when it is compiled, with the first of these; the others hold anyway.
CUTS = {
    "as they are": {},
    "small": {"TASKS": 5, "BAND": 3, "TERMS": 1, "DEPTH": 7, "PIECE": 64},
    "blocks": {"blocks_of": lambda x, itemsize, *_: -(-x[3] * itemsize // 256), "TASKS": 3},
    "packed": {"is_packed": lambda *_: True},
    "large": {"BANDS_SIZE": 1, "PIECE": 1 << 20, "WIDE": (0,) * 4, "HALF": (0,) * 2, "DOT_ROWS": (0,) * 4},
}


class Geometry(NamedTuple):
    N: int
    C: int
    O: int
    groups: int
    image: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)


GEOMETRIES = [
    Geometry(1, 5, 13, 1, (5, 9), (3, 2)),
    Geometry(3, 2, 9, 1, (6, 7), (2, 3), padding=(1, 2)),
    Geometry(8, 3, 7, 1, (7, 6), (4, 3), stride=(2, 1), padding=(1, 1)),
    Geometry(8, 2, 3, 1, (4, 9), (2, 2), stride=(1, 3)),
    Geometry(4, 2, 5, 1, (7, 8), (3, 2), stride=(3, 2), padding=(2, 1), dilation=(1, 3)),
    Geometry(9, 6, 14, 2, (4, 11), (2, 2), padding=(0, 1), dilation=(2, 1)),
    Geometry(27, 3, 21, 3, (3, 10), (2, 1), stride=(1, 2)),
    Geometry(2, 9, 40, 1, (3, 5), (2, 2), stride=(1, 2), padding=(1, 0)),
    Geometry(1, 7, 1, 1, (4, 4), (1, 4), padding=(0, 3)),
    Geometry(70, 1, 2, 1, (3, 3), (2, 2)),
    Geometry(70, 4, 14, 2, (4, 3), (3, 2), stride=(1, 2), padding=(1, 0)),
    Geometry(300, 1, 1, 1, (3, 5), (1, 2), stride=(1, 2)),  # pixels longer than a piece
]
each_geometry = pytest.mark.parametrize("g", GEOMETRIES, ids=lambda g: "-".join(map(str, g[:4])))


@contextlib.contextmanager
def forced(*modules, **names) -> Iterator[None]:
    """Sets names in the modules that have them. What is planned meanwhile is planned so, and forgotten afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in names.items():
            for module in (having := [module for module in modules if hasattr(module, name)]):
                patch.setattr(module, name, value)
            assert having, name
        forget_plans()
        try:
            yield
        finally:
            forget_plans()


def forget_plans() -> None:
    for plan in (conv._plan, conv._plan_grad_input, conv._plan_grad_weight, linear._plan_sums, linear._plan_dots):
        plan.cache_clear()


def numbers(*shape: int, dtype: str) -> np.ndarray:
    """Small binary fractions, so that sums are exact in any order; no two neighbours alike."""
    return (np.random.default_rng(sum(shape)).integers(-32, 33, shape) / 8).astype(dtype)


@pytest.fixture(autouse=True, scope="module")
def compiled_as_they_are() -> None:
    """All kernels, before any is called with other cuts: those would be compiled into it, and kept on disk."""
    for dtype, way in itertools.product(("float32", "float64"), WAYS.values()):
        x, weight = numbers(3, 2, 4, 5, dtype=dtype), numbers(3, 2, 2, 2, dtype=dtype)
        moves = (1, 1), (0, 0), (1, 1), 1
        with forced(conv, **way):
            y = numba.conv2d(x, weight, None, *moves)
            numba.conv2d_grad_input(y, weight, (4, 5), *moves)
            numba.conv2d_grad_weight(y, x, (2, 2), *moves)


def as_tuple(results: Any) -> tuple[np.ndarray, ...]:
    return results if isinstance(results, tuple) else (results,)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cuts", CUTS)
@each_geometry
def test_all_ways_of_a_convolution_are_the_reference(g: Geometry, cuts: str, way: str, dtype: str) -> None:
    moves = g.stride, g.padding, g.dilation, g.groups
    output = output_size(g.image, g.kernel, g.stride, g.padding, g.dilation)
    x, weight = numbers(g.N, g.C, *g.image, dtype=dtype), numbers(g.O, g.C // g.groups, *g.kernel, dtype=dtype)
    dy, bias = numbers(g.N, g.O, *output, dtype=dtype), numbers(g.O, dtype=dtype)
    calls = [
        ("conv2d", (x, weight, bias, *moves)),
        ("conv2d", (x, weight, None, *moves)),
        ("conv2d_grad_input", (dy, weight, g.image, *moves)),
        ("conv2d_grad_weight", (dy, x, g.kernel, *moves)),
    ]
    for name, arguments in calls:
        expected = getattr(reference, name)(*arguments)
        with forced(conv, **WAYS[way]), forced(*LOOPS, **CUTS[cuts]):
            actual = getattr(numba, name)(*arguments)
        for own, other in zip(*map(as_tuple, (actual, expected)), strict=True):
            np.testing.assert_array_equal(own, other, name)


@pytest.mark.parametrize("way", WAYS)
def test_a_weight_gradient_lies_in_memory_as_the_weight_does(way: str) -> None:
    x, dy = numbers(2, 3, 5, 4, dtype="float32"), numbers(2, 7, 4, 2, dtype="float32")
    with forced(conv, **WAYS[way]):
        assert numba.conv2d_grad_weight(dy, x, (2, 3), (1, 1), (0, 0), (1, 1), 1)[0].flags.c_contiguous


LAYOUTS = {"rows": lambda a: a, "columns": np.asfortranarray, "reversed": lambda a: a[::-1, ::-1].copy()[::-1, ::-1]}


@pytest.mark.parametrize("way", ["few columns", "few rows", "loops", "columns", "rows", "dots", "BLAS"])
@pytest.mark.parametrize(
    "sizes",
    [
        *((1, 1, 1), (5, 3, 13), (19, 7, 2), (2, 70, 5), (3, 5, 40), (70, 3, 9)),
        *((8, 5, 4), (4, 2, 8)),  # runs of half a register
        *((0, 3, 5), (3, 0, 5), (3, 5, 0)),
    ],
)
def test_all_ways_of_a_product_are_the_reference(sizes: tuple[int, int, int], way: str) -> None:
    (I, J, K), bias = sizes, numbers(sizes[2], dtype="float32")
    for cuts, left, right in itertools.product(CUTS, LAYOUTS.values(), LAYOUTS.values()):
        a, b = left(numbers(I, J, dtype="float32")), right(numbers(J, K, dtype="float32"))
        with forced(linear, product_of=lambda *_: way), forced(*LOOPS, **CUTS[cuts]):
            np.testing.assert_array_equal(numba.matmul(a, b), a @ b, f"cuts: {cuts}")
            np.testing.assert_array_equal(numba.linear(a, b.T, bias), a @ b + bias, f"cuts: {cuts}")
            np.testing.assert_array_equal(numba.linear(a, b.T, None), a @ b, f"cuts: {cuts}")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("way", ["few columns", "loops", "columns", "turned columns", "rows", "dots", "BLAS"])
@pytest.mark.parametrize(
    "sizes", [(1, 1, 1), (5, 3, 13), (19, 7, 2), (2, 70, 5), (4, 6, 8), (0, 3, 5), (33, 20, 150), (70, 7, 130)]
)
def test_all_ways_of_a_linear_layers_gradients_are_the_reference(
    sizes: tuple[int, int, int], way: str, dtype: str
) -> None:
    R, O, I = sizes
    for lie, others in itertools.product(LAYOUTS.values(), repeat=2):
        dy, x = lie(numbers(R, O, dtype=dtype)), others(numbers(R, I, dtype=dtype))
        with forced(linear, weight_gradient_of=lambda *_: way):
            dweight, dbias = numba.linear_grad_weight(dy, x)
        np.testing.assert_array_equal(dweight, dy.T @ x)
        np.testing.assert_array_equal(dbias, dy.sum(axis=0))


@pytest.mark.parametrize("lie", [np.asfortranarray, np.ascontiguousarray])
@pytest.mark.parametrize(("tasks", "sizes"), [(1, (3, 14, 11)), (9, (3, 14, 11)), (9, (3, 14, 3)), (1, (130, 1, 520))])
def test_examples_are_turned_around_block_by_block(
    tasks: int, sizes: tuple[int, int, int], lie: Callable[[np.ndarray], np.ndarray]
) -> None:
    R, O, I = sizes
    dy, x = lie(numbers(R, O, dtype="float32")), np.asfortranarray(numbers(R, I, dtype="float32"))
    unknown = {"empty": lambda shape, dtype: np.full(shape, np.nan, dtype)}
    way, blocks = forced(linear, weight_gradient_of=lambda *_: "turned columns"), forced(ways, BLOCK=16)
    with way, blocks, forced(*LOOPS, TASKS=tasks, **unknown):
        dweight, dbias = numba.linear_grad_weight(dy, x)
        cuts = linear._plan_sums(R, I, O, True, True, dy.dtype).arguments[-1]
    assert cuts == (min(-(-I // 4), 4), 1, 1 if tasks == 1 else 3, True, 0)
    np.testing.assert_array_equal(dweight, dy.T @ x)
    np.testing.assert_array_equal(dbias, dy.sum(axis=0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(7, 3, 2, 5), (300, 2, 2, 3), (50, 80), (7, 3), (3000,), ()])
def test_activations_are_the_reference_however_channels_are_cut(shape: tuple[int, ...], dtype: str) -> None:
    x, dy = numbers(*shape, dtype=dtype), numbers(*shape[::-1], dtype=dtype).reshape(shape)
    turned = np.moveaxis(np.moveaxis(dy, 0, -1).copy(), -1, 0) if shape else dy
    for own in (x, x.T.copy().T, np.moveaxis(np.moveaxis(x, 0, -1).copy(), -1, 0) if shape else x):
        for other in (dy, turned):
            np.testing.assert_allclose(numba.sigmoid(own), reference.sigmoid(x), rtol=1e-6)
            np.testing.assert_array_equal(numba.relu(own), reference.relu(x))
            np.testing.assert_array_equal(numba.relu_grad(other, own), reference.relu_grad(dy, x))
            np.testing.assert_allclose(numba.sigmoid_grad(other, own), reference.sigmoid_grad(dy, x), rtol=1e-6)


@pytest.mark.parametrize("indices", [np.arange(4)[::-1], np.arange(4, dtype=np.int32), np.arange(4)[::2]])
def test_images_are_gathered_by_indices_of_any_kind(indices: np.ndarray) -> None:
    images = np.arange(24, dtype=np.uint8).reshape(4, 1, 2, 3)
    for _ in range(2):
        numba.gather_images(images, np.arange(3))
        np.testing.assert_array_equal(numba.gather_images(images, indices), reference.gather_images(images, indices))


def test_a_file_of_images_mapped_into_memory_is_not_copied_for_a_batch(monkeypatch) -> None:
    images, indices = np.zeros((4000, 1, 28, 28), np.uint8), np.arange(20)
    images[indices, 0, 3, 4] = indices
    images.flags.writeable = False
    numba.gather_images(images, indices)
    monkeypatch.setattr(memory, "_kept", memory._Kept())  # no memory is there for the batch
    tracemalloc.start()
    batch = numba.gather_images(images, indices)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(batch, reference.gather_images(images, indices))
    assert batch.nbytes < most < images.nbytes // 10


def test_kernels_take_arrays_of_other_dtypes_beside_the_first_and_go_on_with_the_usual_ones() -> None:
    y, dy, winners = numbers(5, 2, 4, 4, dtype="float64"), numbers(5, 2, 4, 4, dtype="float64"), np.arange(40) % 4
    winners, window = winners.reshape(5, 2, 2, 2), ((2, 2), (2, 2), (0, 0))
    for kind in (np.int64, np.float32, np.float64):
        np.testing.assert_array_equal(numba.relu_grad(dy.astype(kind), y), np.where(y > 0, dy.astype(kind), 0))
    expected = reference.max_pool2d_gather(y, winners.astype(np.int32), *window)
    for kind in (np.int32, np.int64, np.int32):
        np.testing.assert_array_equal(numba.max_pool2d_gather(y, winners.astype(kind), *window), expected)
        spread = numba.max_pool2d_scatter(expected, winners.astype(kind), (4, 4), *window)
        np.testing.assert_array_equal(numba.max_pool2d_gather(spread, winners.astype(kind), *window), expected)
        assert np.count_nonzero(spread) == np.count_nonzero(expected)
    spread = numba.max_pool2d_scatter(np.ones((5, 2, 2, 2), bool), winners, (4, 4), *window)
    assert spread.dtype == bool
    assert spread.sum() == 40


def test_activations_lie_in_memory_as_their_output_does() -> None:
    rows = numbers(7, 3, 2, 5, dtype="float32")
    turned = np.moveaxis(np.moveaxis(rows, 0, -1).copy(), -1, 0)
    for y, dy in itertools.product((rows, turned), repeat=2):
        for result in (numba.relu(y), numba.relu_grad(dy, y), numba.sigmoid_grad(dy, y)):
            assert result.strides == y.strides


def test_the_relu_of_minus_zero_is_zero() -> None:
    assert not np.signbit(numba.relu(np.full(100, -0.0))).any()


@pytest.mark.parametrize(
    ("size", "expected"), [(0, []), (1, [1]), (1024, [1024]), (1025, [1024, 1]), (2500, [1024, 1024, 452])]
)
def test_a_channel_is_cut_into_pieces_of_1024_numbers_that_do_not_overlap(size: int, expected: list[int]) -> None:
    x, called = numbers(2, size, dtype="float64"), []
    with forced(activation, _relu=lambda tasks, *_: called.append(tasks)):
        numba.relu(x[1])
    for channel in (0, 1):
        pieces = [activation._piece(x.reshape(-1), 2, channel, task, task + 1) for task in range(*called)]
        assert [piece.size for piece in pieces] == expected
        np.testing.assert_array_equal(np.concatenate([[], *pieces]), x[channel])


def test_activations_of_what_lies_batch_innermost_lie_so_too() -> None:
    x = numbers(2, 5, 5, 3, dtype="float32").transpose(3, 0, 1, 2)
    one_pixel = x[:, :, :1, :1] * 1  # whose last axes have strides of their own
    for part in (x, x[:, :, 1:-1, 1:-1], x[:2], x[:, :, ::-1], one_pixel):
        y = numba.relu(part)
        np.testing.assert_array_equal(y, reference.relu(part))
        assert y.transpose(1, 2, 3, 0).flags.c_contiguous
    assert numba.relu(x[:, :, 1:-1, 1:-1]).strides == (4, 108, 36, 12)


@contextlib.contextmanager
def activations_kernels_called() -> Iterator[list[tuple[np.ndarray, ...]]]:
    """The arguments with which relu and its gradient call their kernels, without the number of tasks."""
    calls: list[tuple[np.ndarray, ...]] = []

    def called(tasks: int, *arguments: np.ndarray) -> None:
        calls.append(arguments)

    with forced(activation, _relu=called, _relu_grad=called):
        yield calls


@pytest.mark.parametrize(
    ("shape", "channels"), [((3,), 1), ((4, 5), 1), ((4, 5, 6), 1), ((4, 3, 5, 6), 3), ((1, 3, 1, 2), 3)]
)
def test_activations_copy_nothing_that_is_a_run_of_numbers(shape: tuple[int, ...], channels: int) -> None:
    rows = numbers(*shape, dtype="float32")
    innermost = np.moveaxis(np.moveaxis(rows, 0, -1).copy(), -1, 0) if shape else rows
    for x, expected in ((rows, 1), (innermost, channels)):
        with activations_kernels_called() as calls:
            numba.relu(x)
            numba.relu_grad(x * 2, x)
        for run, *_, count in calls:
            assert np.shares_memory(run, x)
            assert count == expected


def test_activations_copy_what_compiled_code_cannot_take_and_keep_its_channels() -> None:
    x = np.moveaxis(numbers(3, 5, 6, 4, dtype="float32"), -1, 0)
    fixed = x.copy("K")
    fixed.flags.writeable = False
    moved = np.frombuffer(bytes(1) + x.transpose(1, 2, 3, 0).tobytes(), np.float32, offset=1)
    moved = np.moveaxis(moved.reshape(3, 5, 6, 4), -1, 0)
    for own in (x[:, :, 1:], fixed, moved):
        with activations_kernels_called() as calls:
            numba.relu(own)
            numba.relu_grad(own, own)
        for *arrays, count in calls:
            assert count == 3
            assert all(array.flags.carray and array.shape == (own.size,) for array in arrays)
            np.testing.assert_array_equal(arrays[0], own.transpose(1, 2, 3, 0).ravel())


@pytest.mark.parametrize(("size", "parts"), [(1, 1), (511, 1), (512, 2), (16383, 63), (16384, 64), (99999, 64)])
def test_a_channel_is_summed_in_parts_of_256_numbers_or_in_64_larger_ones(size: int, parts: int) -> None:
    with forced(conv, _channel_sum=lambda tasks, x, parts: parts.fill(1)):
        assert conv._channel_sums(numbers(2, size, 1, 1, dtype="float32")).tolist() == [parts, parts]


@pytest.mark.parametrize("size", [1, 255, 700, 1024])
def test_the_parts_of_a_channel_make_up_its_sum(size: int) -> None:
    x = numbers(3, size, 1, 1, dtype="float32")
    np.testing.assert_array_equal(conv._channel_sums(x), x.sum(axis=(1, 2, 3)))


@pytest.mark.parametrize("size", [1, 1024, 1025, 2500])
def test_the_moments_of_a_channel_take_in_each_of_its_numbers(size: int) -> None:
    x = np.zeros((1, 2, size, 1))
    x[0, 1, -1] = size
    mean, variance = numba.channel_moments(x)
    assert mean.tolist() == [0, 1]
    np.testing.assert_allclose(variance, [0, size - 1])


def test_the_variance_of_a_channel_far_from_0_is_that_of_one_near_it() -> None:
    """Its mean is rounded, by more than the variance may be wrong."""
    x = (100 + np.random.default_rng(0).random((1, 1, 1200, 1))).astype(np.float32)
    _, (variance,) = numba.channel_moments(x)
    np.testing.assert_allclose(variance, x.astype(np.float64).var(), rtol=1e-4)


# -------------------------------------------------------------------------------------------------- how the work is cut

SUMS = {"_dot_products": 4, "_outer_products": -1}  # where a kernel's arguments have the sums that it makes


def arguments_of(kernel: str, g: Geometry, **cuts: int) -> tuple[Any, ...]:
    """What a kernel of sums.py or dots.py was given, and what it has made of it."""
    moves = g.stride, g.padding, g.dilation, g.groups
    output = output_size(g.image, g.kernel, *moves[:3])
    x, weight = numbers(g.N, g.C, *g.image, dtype="float32"), numbers(g.O, g.C // g.groups, *g.kernel, dtype="float32")
    dy = numbers(g.N, g.O, *output, dtype="float32")
    run, calls = getattr(dots if kernel == "_dot_products" else sums, kernel), []

    def recorded(*arguments: Any) -> None:
        run(*arguments)
        calls.append(arguments)

    way = WAYS["outer products" if kernel == "_outer_products" else "pieces"]
    with forced(conv, **way), forced(*LOOPS, **{kernel: recorded}, **cuts):
        if kernel == "_weighted_sums":
            numba.conv2d(x, weight, None, *moves)
        else:
            numba.conv2d_grad_weight(dy, x, g.kernel, *moves)
    return calls[0]


@pytest.mark.parametrize(
    ("cuts", "dots", "outer"),
    [
        ({"TASKS": 4}, 4, 4),
        ({"TASKS": 9}, 7, 7),  # there are seven rows
        ({"BANDS_SIZE": 5 * 72}, 5, 5),  # a weight of 2 groups * 3 outputs * 2 channels * 3 * 2 taps
        ({"BANDS_SIZE": 5 * 72 - 1}, 4, 4),
        ({"BANDS_SIZE": 71}, 1, 1),
        ({"TERMS": 93}, 3, 7),  # 8 images * 7 * 5 pixels are 280
        ({"TERMS": 94}, 2, 7),
        ({"BAND": 6720}, 3, 7),  # 280 * 72 are 20160
        ({"BAND": 6721}, 2, 7),
        ({"BAND": 20161}, 1, 7),
    ],
)
def test_rows_are_cut_into_bands_by_their_size(cuts: dict[str, int], dots: int, outer: int) -> None:
    g = Geometry(8, 4, 6, 2, (9, 6), (3, 2))
    kernels = ("_dot_products", "_outer_products")
    own = {"BAND": 1, "TERMS": 1, "TASKS": 16, **cuts}
    assert [len(arguments_of(kernel, g, **own)[SUMS[kernel]]) for kernel in kernels] == [dots, outer]


@pytest.mark.parametrize("kernel", ["_dot_products", "_outer_products"])
def test_each_band_has_sums_of_its_own(kernel: str) -> None:
    """So that no two threads add to one number; on one thread, adding all to the same sums would be right, too."""
    g = Geometry(8, 1, 16, 1, (5, 6), (1, 1))
    x, dy = numbers(8, 1, 5, 6, dtype="float32"), numbers(8, 16, 5, 6, dtype="float32")
    bands = arguments_of(kernel, g, TASKS=2, BAND=1, TERMS=1)[SUMS[kernel]].reshape(2, 16, 1)
    for band, rows in zip(bands, (slice(0, 2), slice(2, 5)), strict=True):
        np.testing.assert_array_equal(band, np.einsum("nohw,nchw->oc", dy[:, :, rows], x[:, :, rows]))
    if kernel == "_dot_products":
        totals = arguments_of(kernel, g, TASKS=2, BAND=1, TERMS=1)[3]
        np.testing.assert_array_equal(totals, [dy[:, :, :2].sum(axis=(0, 2, 3)), dy[:, :, 2:].sum(axis=(0, 2, 3))])


@pytest.mark.parametrize(
    ("kernel", "place", "parts"),
    [("_weighted_sums", -1, (1, 3, 3, False, 0)), ("_dot_products", -1, 6), ("_outer_products", -2, 3)],
)
def test_outputs_are_cut_into_parts_where_there_are_few_other_tasks(kernel: str, place: int, parts: Any) -> None:
    """Each of two groups has three rows, as many bands, 40 channels and 40 outputs."""
    assert arguments_of(kernel, Geometry(1, 80, 80, 2, (3, 1), (1, 1)), TASKS=16, BAND=1, TERMS=1)[place] == parts


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("batch", "channels", "stride"),
    [(48, 2, 2), (32, 2, 3), (16, 1, 2), (24, 2, 2), (40, 1, 2), (8, 2, 2), (33, 1, 2), (32, 60, 3)],
)
def test_packed_tiles_are_the_reference_at_any_distances_of_their_registers(
    dtype: str, batch: int, channels: int, stride: int
) -> None:
    """Pixels of one register or several, which are no neighbours; of 60 channels more terms than are taken at once."""
    x = numbers(channels, 2, 8, batch, dtype=dtype).transpose(3, 0, 1, 2)
    weight, moves = numbers(3, channels, 2, 2, dtype=dtype), ((1, stride), (0, 1), (1, 1), 1)
    with forced(conv, **WAYS["pieces"]), forced(*LOOPS, is_packed=lambda *_: True):
        actual = numba.conv2d(x, weight, None, *moves)
    np.testing.assert_array_equal(actual, reference.conv2d(x, weight, None, *moves))


SMALL_BLOCKS = {"LARGE": 0, "MANY": 0}  # of any batch


def cuts_of(g: Geometry, **names: int) -> tuple[int, ...]:
    """Into how many blocks, bands and parts the weighted sums of a convolution are cut, which are not computed."""
    calls: list[tuple[Any, ...]] = []
    x = np.zeros((g.C, *g.image, g.N), np.float32).transpose(3, 0, 1, 2)  # as it lies innermost, with nothing to copy
    weight = np.zeros((g.O, g.C // g.groups, *g.kernel), np.float32)
    with (
        forced(conv, **WAYS["pieces"]),
        forced(*LOOPS, _weighted_sums=lambda *arguments: calls.append(arguments), **names),
    ):
        numba.conv2d(x, weight, None, g.stride, g.padding, g.dilation, g.groups)
    return calls[0][-1]


@pytest.mark.parametrize(
    ("g", "cuts"),
    [
        (Geometry(1024, 8, 6, 1, (7, 5), (3, 3)), (16, 1, 1)),  # blocks of 64 images, bands of rows, parts
        (Geometry(1025, 8, 6, 1, (7, 5), (3, 3)), (17, 1, 1)),
        (Geometry(1023, 8, 6, 1, (7, 5), (3, 3)), (1, 5, 1)),  # no large batch
        (Geometry(1024, 7, 6, 1, (7, 5), (3, 3)), (1, 5, 1)),  # 63 pieces a sum
        (Geometry(1024, 8, 6, 1, (7, 5), (3, 3), padding=(1, 0)), (16, 1, 1)),  # the rows at the borders see fewer
        (Geometry(1024, 8, 6, 1, (7, 5), (3, 3), padding=(0, 1)), (16, 1, 1)),
        (Geometry(1024, 16, 12, 2, (7, 5), (3, 3)), (16, 1, 1)),  # as many of each group
        (Geometry(1024, 64, 1, 1, (8, 8), (1, 1)), (16, 1, 1)),  # a block is 1 MiB
        (Geometry(1024, 64, 1, 1, (8, 9), (1, 1)), (1, 8, 1)),
    ],
)
def test_a_large_batch_is_cut_into_blocks_where_its_sums_have_many_pieces(g: Geometry, cuts: tuple[int, ...]) -> None:
    with forced(ways, TILE_BYTES=256):  # no narrower than a block
        assert cuts_of(g)[:3] == cuts


@pytest.mark.parametrize(
    ("g", "cuts"),
    [
        (Geometry(256, 8, 6, 1, (7, 5), (3, 3)), (16, 1, 1)),  # blocks of 16 images
        (Geometry(257, 8, 6, 1, (7, 5), (3, 3)), (17, 1, 1)),
        (Geometry(255, 8, 6, 1, (7, 5), (3, 3)), (1, 5, 1)),
        (Geometry(1023, 8, 6, 1, (7, 5), (3, 3)), (64, 1, 1)),
        (Geometry(1024, 8, 6, 1, (7, 5), (3, 3)), (16, 1, 1)),  # a large batch: of 64
        (Geometry(256, 7, 6, 1, (7, 5), (3, 3)), (1, 5, 1)),  # 63 pieces a sum
        (Geometry(1023, 64, 1, 1, (7, 4), (1, 1)), (1, 7, 1)),  # each is seen by one pixel
        (Geometry(256, 32, 1, 1, (8, 8), (2, 1)), (16, 1, 1)),  # a block is 128 KiB
        (Geometry(256, 32, 1, 1, (8, 9), (2, 1)), (1, 7, 1)),
    ],
)
def test_smaller_batches_are_cut_into_blocks_where_tiles_are_narrow(g: Geometry, cuts: tuple[int, ...]) -> None:
    with forced(ways, TILE_BYTES=64):
        assert cuts_of(g, TASKS=8)[:3] == cuts


@pytest.mark.parametrize(
    ("g", "panel"),
    [
        (
            Geometry(32, 8, 24, 1, (8, 4), (4, 4), padding=(3, 1)),
            160,
        ),  # a channel is 4 KiB, a sum has 64 pieces or more
        (Geometry(32, 8, 24, 1, (8, 5), (4, 4), padding=(3, 1)), 0),
        (Geometry(33, 8, 24, 1, (8, 4), (4, 4), padding=(3, 1)), 0),
        (Geometry(64, 8, 24, 1, (8, 2), (4, 4), padding=(3, 1)), 160),
        (Geometry(64, 8, 24, 1, (8, 4), (4, 4), padding=(3, 1)), 160),
        (Geometry(32, 7, 24, 1, (8, 4), (3, 3), padding=(3, 1)), 0),  # 63
        (Geometry(32, 8, 23, 1, (8, 4), (4, 4), padding=(3, 1)), 0),  # few outputs
        (Geometry(32, 16, 48, 2, (8, 4), (4, 4), padding=(3, 1)), 160),  # as many of each group
        (Geometry(32, 16, 46, 2, (8, 4), (4, 4), padding=(3, 1)), 0),
        (Geometry(1, 2, 24, 1, (32, 32), (15, 15)), 225),  # more taps than terms are taken at a time
        (Geometry(1024, 8, 24, 1, (4, 4), (3, 3)), 0),  # blocks are copied anyway
    ],
)
def test_pieces_are_packed_where_those_of_all_channels_have_the_same_places_in_the_cache(g: Geometry, panel) -> None:
    lanes = sums.REGISTER_BYTES // 4
    with forced(*LOOPS, TASKS=1):
        assert cuts_of(g)[-1] == sums.TOGETHER * panel * len(sums.WIDE) * lanes


@pytest.mark.parametrize(
    ("registers", "packed", "runs"), [(1, False, 1), (1, True, 1), (2, False, 4), (2, True, 1), (1.5, True, 4)]
)
def test_pixels_apart_are_one_run_where_each_is_a_register_or_they_are_packed(registers, packed, runs) -> None:
    g = Geometry(int(registers * sums.REGISTER_BYTES // 4), 1, 1, 1, (1, 8), (1, 1), stride=(1, 2))
    x = np.zeros((g.N, g.C, *g.image), np.float32)
    calls: list[tuple[Any, ...]] = []
    with (
        forced(conv, **WAYS["pieces"]),
        forced(*LOOPS, is_packed=lambda *_: packed, _weighted_sums=lambda *arguments: calls.append(arguments)),
    ):
        numba.conv2d(x, np.zeros((1, 1, 1, 1), np.float32), None, g.stride, g.padding, g.dilation, 1)
    assert len(calls[0][-3]) == runs


@pytest.mark.parametrize(("outputs", "packed"), [(48, True), (47, False), (24, False)])
def test_pieces_are_packed_where_each_part_has_many_outputs(outputs: int, packed: bool) -> None:
    with forced(*LOOPS, TASKS=10):  # two parts of five rows
        assert (cuts_of(Geometry(32, 8, outputs, 1, (8, 4), (4, 4), padding=(0, 1)))[-1] > 0) is packed


@pytest.mark.parametrize("tasks", [1, 9])  # a band, or three
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_blocks_of_images_are_convolved_as_the_whole_batch(dtype: str, tasks: int) -> None:
    x, weight = numbers(70, 4, 6, 2, dtype=dtype), numbers(4, 2, 2, 1, dtype=dtype)
    arguments = x, weight, None, (1, 1), (0, 0), (1, 1), 2
    unknown = {"empty": lambda shape, dtype: np.full(shape, np.nan, dtype)}  # and not what was right before
    with forced(conv, **WAYS["pieces"]), forced(ways, **SMALL_BLOCKS), forced(*LOOPS, TASKS=tasks, **unknown):
        np.testing.assert_array_equal(numba.conv2d(*arguments), reference.conv2d(*arguments))


def test_few_blocks_are_cut_into_bands_of_rows_too() -> None:
    g = Geometry(150, 2, 28, 2, (6, 3), (2, 2))
    with forced(ways, **SMALL_BLOCKS):
        found = [cuts_of(g, TASKS=tasks)[:3] for tasks in (6, 7, 18, 30, 60)]
    assert found == [(3, 1, 1), (3, 2, 1), (3, 3, 1), (3, 5, 1), (3, 5, 2)]


@pytest.mark.parametrize(
    ("tasks", "outputs", "parts"),
    [
        (1, 100, 16),
        (1, 90, 15),
        (1, 96, 16),
        (5, 100, 4),
        (15, 100, 2),
        (16, 100, 1),
        (17, 100, 1),
        (5, 13, 3),
        (5, 0, 0),
    ],
)
def test_parts_are_as_many_as_make_enough_tasks_of_whole_tiles(tasks: int, outputs: int, parts: int) -> None:
    with forced(*LOOPS, TASKS=16):
        assert tasks_module.parts_of(tasks, outputs, 6) == parts


def uncompiled(function: Callable) -> Callable:
    return getattr(function, "py_func", function)


@pytest.mark.parametrize(
    ("parts", "outputs", "bounds"),
    [(1, 13, [(0, 13)]), (2, 12, [(0, 6), (6, 12)]), (3, 40, [(0, 12), (12, 24), (24, 40)])],
)
def test_parts_are_whole_tiles_that_follow_each_other(parts: int, outputs: int, bounds: list[tuple[int, int]]) -> None:
    assert [uncompiled(tasks_module.part_of)(part, parts, outputs, 6) for part in range(parts)] == bounds


def test_outputs_go_to_tiles_of_six_and_five_where_that_leaves_none_over() -> None:
    sixes = [uncompiled(sums.in_sixes)(outputs) for outputs in range(23)]
    assert sixes == [0, 0, 0, 0, 0, 0, 6, 6, 6, 6, 0, 6, 12, 12, 12, 0, 6, 12, 18, 18, 0, 6, 12]


def test_columns_are_timed_in_tiles_of_five_and_of_two() -> None:
    """By which it is chosen whether the columns of a tile of dot products are channels or taps."""
    times = [uncompiled(dots._time_of_columns)(count) for count in range(1, 12)]
    assert times == [4, 4, 8, 8, 10, 14, 14, 18, 18, 20, 24]
