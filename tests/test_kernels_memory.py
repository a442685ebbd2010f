"""Where the numba backend puts its results, and what it asks of the C library."""

from __future__ import annotations

import threading
import types
import weakref

import numpy as np
import pytest

pytest.importorskip("numba")

from minigrad.backends.numba import copies, loss, memory


@pytest.mark.parametrize("dtype", [np.dtype("float32"), np.dtype("float64"), np.dtype("int32")])
@pytest.mark.parametrize("shape", [(), (0,), (3, 5), (64, 64), (33, 7, 91), (4097,), (2048, 3)])
def test_a_new_array_that_is_not_small_begins_with_a_cache_line(shape: tuple[int, ...], dtype: np.dtype) -> None:
    kept = [memory.empty(shape, dtype) for _ in range(8)]
    for array in kept:
        assert (array.shape, array.dtype) == (shape, dtype)
        assert array.flags.carray
        if array.nbytes >= memory.SMALL:
            assert array.__array_interface__["data"][0] % 64 == 0
    assert not any(np.shares_memory(kept[0], other) for other in kept[1:])


@pytest.mark.parametrize("dtype", [np.dtype("float32"), np.dtype("float64")])
@pytest.mark.parametrize(("nbytes", "beyond"), [(0, None), (2**14 - 8, None), (2**14, 64), (2**20, 64)])
def test_only_what_is_not_small_takes_more_memory_by_a_cache_line(
    nbytes: int, beyond: int | None, dtype: np.dtype
) -> None:
    array = memory.empty((nbytes // dtype.itemsize,), dtype)
    assert (None if array.base is None else array.base.nbytes - nbytes) == beyond


FLOAT32 = np.dtype("float32")
KEPT = 300_000  # numbers whose memory is kept for the next array of that kind


@pytest.fixture
def kept(monkeypatch) -> memory._Kept:
    """What a new thread has kept: nothing."""
    monkeypatch.setattr(memory, "_kept", memory._Kept())
    return memory._kept


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def test_a_result_lies_where_one_of_its_kind_was_and_no_other(kept) -> None:
    first = memory.empty((KEPT,), FLOAT32)
    place = address(first)
    del first
    others = [
        memory.empty((KEPT - 1,), FLOAT32),
        memory.empty((10, KEPT // 10), FLOAT32),
        memory.empty((10, KEPT // 10), FLOAT32, (4, 40)),
        memory.empty((KEPT,), np.dtype("int32")),
    ]
    again = memory.empty((KEPT,), FLOAT32)
    assert address(again) == place
    assert not any(np.shares_memory(again, other) for other in others)
    assert address(memory.empty((KEPT,), FLOAT32)) != place  # which is in use
    assert others[2].strides == (4, 40) and len(kept.of_kind) == 5


@pytest.mark.parametrize(
    "hold", [lambda a: a[7:9], lambda a: a.T, memoryview, np.from_dlpack, lambda a: np.frombuffer(a, np.uint8)]
)
def test_memory_in_which_anything_lies_is_nobody_elses(hold, kept) -> None:
    array = memory.empty((KEPT,), FLOAT32)
    array[:] = 3
    held = hold(array)
    before = bytes(held)
    del array
    for _ in range(3):
        memory.empty((KEPT,), FLOAT32)[:] = 5
    assert bytes(held) == before


@pytest.mark.parametrize(("nbytes", "number"), [(2**14 - 4, 0), (2**14, 1), (2**22, 1), (2**22 + 4, 0)])
def test_memory_is_kept_for_arrays_of_a_middle_size_alone(nbytes: int, number: int, kept) -> None:
    memory.empty((nbytes // 4,), FLOAT32)
    assert (len(kept.of_kind), kept.bytes) == (number, number * nbytes)


def test_unused_memory_is_found_among_much_that_is_in_use(kept) -> None:
    arrays = [memory.empty((KEPT,), FLOAT32) for _ in range(3 * memory.LOOKS)]
    places = {address(arrays.pop()) for _ in range(2)}
    found = [memory.empty((KEPT,), FLOAT32) for _ in range(5)]
    assert places <= {address(array) for array in found}
    assert len(kept.of_kind[(KEPT,), FLOAT32, None]) == len(arrays) + len(found)


def test_no_more_than_some_arrays_are_looked_at_for_an_unused_one(kept) -> None:
    in_use = [memory.empty((KEPT,), FLOAT32) for _ in range(memory.LOOKS)]
    last = address(memory.empty((KEPT,), FLOAT32))
    arrays = [memory.empty((KEPT,), FLOAT32) for _ in range(2)]
    assert [address(array) == last for array in arrays] == [False, True] and len(in_use) == memory.LOOKS


def test_memory_is_given_back_once_there_is_twice_as_much_as_was_in_use(monkeypatch) -> None:
    monkeypatch.setattr(memory, "UNUSED_BYTES", 1000)
    kept = memory._Kept()

    def take(size: int) -> np.ndarray:
        return kept.empty(size, ((size,), memory.BYTE, None))

    def known() -> dict[int, int]:
        return {shape[0]: len(arrays) for (shape, *_), arrays in kept.of_kind.items()}

    in_use = [take(size) for size in (300, 300, 301)]
    unused = [weakref.ref(take(size).base) for size in (40, 59)]
    assert known() == {300: 2, 301: 1, 40: 1, 59: 1}  # up to the limit
    assert (kept.bytes, kept.limit) == (1000, 1000) and all(ref() is not None for ref in unused)
    last = take(10)
    assert [ref() for ref in unused] == [None, None]
    assert known() == {300: 2, 301: 1, 10: 1} and (kept.bytes, kept.limit) == (911, 1822)
    take(911)
    assert known() == {300: 2, 301: 1, 10: 1, 911: 1} and (kept.bytes, kept.limit) == (1822, 1822)
    del in_use
    one = take(1)
    assert known() == {10: 1, 1: 1} and (kept.bytes, kept.limit) == (11, 1000)
    assert len(last) == 10 and len(one) == 1


def test_a_thread_takes_no_memory_of_anothers(kept) -> None:
    array = memory.empty((KEPT,), FLOAT32)
    place, found = address(array), []
    del array
    thread = threading.Thread(target=lambda: found.append(address(memory.empty((KEPT,), FLOAT32))))
    thread.start()
    thread.join()
    assert found != [place] and address(memory.empty((KEPT,), FLOAT32)) == place


def test_what_compiled_code_would_tell_apart_is_copied() -> None:
    x = np.arange(12.0).reshape(3, 4)
    assert memory.contiguous(x) is x
    read_only = x.copy()
    read_only.flags.writeable = False
    shifted = np.frombuffer(bytearray(8 * 12 + 1), np.float64, 12, offset=1)
    for other in (x.T, x[::2], x[:, ::-1], read_only, shifted, np.broadcast_to(x[:1], (3, 4))):
        copy = memory.contiguous(other)
        assert copy.flags.carray
        np.testing.assert_array_equal(copy, other)
    labels = np.arange(12)
    assert loss._int64(labels) is labels
    for others in (labels[::2], labels.astype("int32"), labels.astype("uint8")[::-1]):
        converted = loss._int64(others)
        assert (converted.dtype, converted.flags.carray) == (np.int64, True)
        np.testing.assert_array_equal(converted, others)


def test_the_batch_lies_innermost_as_a_view_where_it_does_already() -> None:
    x = np.arange(120).reshape(2, 3, 4, 5)
    innermost = copies.batch_innermost(x)
    assert innermost.shape == (3, 4, 5, 2)
    assert innermost.flags.carray
    assert innermost[2, 1, 3, 0] == x[0, 2, 1, 3]
    assert np.shares_memory(copies.batch_innermost(innermost.transpose(3, 0, 1, 2)), innermost)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize("batch", [1, 2, 8, 16, 17, 33, 40])
def test_the_batch_is_turned_innermost_for_any_sizes(batch: int, dtype: str) -> None:
    """Sizes below, at and beyond a register's lanes, of a batch and of its images; and memory that is no one run."""
    for pixels in (0, 1, 3, 8, 15, 16, 17, 35):
        images = np.random.default_rng(pixels).integers(-99, 99, (batch, 1, pixels, 2)).astype(dtype)
        for x in (images, images[::-1], np.repeat(images, 2, axis=2)[:, :, ::2]):
            innermost = copies.batch_innermost(x)
            assert innermost.flags.carray
            np.testing.assert_array_equal(innermost, np.moveaxis(x, 0, -1))


def test_glibc_is_asked_to_keep_a_gigabyte_and_to_map_no_blocks(monkeypatch) -> None:
    """With the names and numbers of malloc.h: M_TRIM_THRESHOLD is -1, M_MMAP_MAX is -4."""
    asked = []
    library = types.SimpleNamespace(mallopt=lambda *setting: asked.append(setting))
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: library)
    memory.keep_freed_memory()
    assert asked == [(-1, 2**30), (-4, 0)]
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: types.SimpleNamespace())
    memory.keep_freed_memory()
    assert len(asked) == 2
