"""Where the numba backend puts its results, and what it asks of the C library."""

from __future__ import annotations

import types

import numpy as np
import pytest

pytest.importorskip("numba")

from minigrad.backends.numba import memory


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
    y = np.arange(24).reshape(1, 2, 3, 4)
    assert memory.batch_innermost(y).shape == (2, 3, 4, 1)
    assert memory.batch_innermost(y).flags.c_contiguous


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
