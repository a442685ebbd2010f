"""read_idx: what it reads, and that whatever else a file may hold is a ValueError which names the file."""

from __future__ import annotations

import gzip
import hashlib
import struct
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.data import read_idx
from minigrad.data.idx import MAX_BYTES

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def header(*shape: int, type_code: int = 0x08) -> bytes:
    return bytes([0, 0, type_code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


IDX = header(2, 3, 4) + ARRAY.tobytes()


@pytest.fixture
def write(tmp_path):
    def write(content: bytes, name: str = "some-idx3-ubyte.gz") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def assert_refused(path: Path, *parts: str, **checks) -> None:
    with pytest.raises(ValueError) as caught:
        read_idx(path, **checks)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    for part in parts:
        assert part in message


@pytest.mark.parametrize("shape", [(5,), (3, 2), (2, 3, 4), (2, 3, 4, 5)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("name", ["a-ubyte", "a-ubyte.gz"])
def test_reads_every_number_of_dimensions_gzipped_or_plain_under_either_name(write, shape, pack, name):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    got = read_idx(write(pack(header(*shape) + array.tobytes()), name))
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, array)


def test_reads_a_path_given_as_str(write):
    np.testing.assert_array_equal(read_idx(str(write(IDX))), ARRAY)


def test_reads_more_than_one_chunk(write):
    array = np.random.default_rng(0).integers(0, 256, (3, 1_000_001), dtype=np.uint8)
    path = write(gzip.compress(header(*array.shape) + array.tobytes(), 1))
    np.testing.assert_array_equal(read_idx(path), array)


def test_reads_gzip_of_several_members(write):
    content = b"".join(gzip.compress(part) for part in (IDX[:3], IDX[3:20], b"", IDX[20:]))
    np.testing.assert_array_equal(read_idx(write(content)), ARRAY)


def test_accepts_labels_and_digest_that_agree(write):
    path = write(gzip.compress(IDX))
    np.testing.assert_array_equal(read_idx(path, max_label=23, sha256=hashlib.sha256(IDX).hexdigest()), ARRAY)


def test_missing_file_is_named(tmp_path):
    path = tmp_path / "missing-idx1-ubyte"
    with pytest.raises(FileNotFoundError) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\0", "ends after 1 bytes"),
        (b"\0\0\x08", "ends after 3 bytes"),
        (IDX[:9], "ends after 9 bytes, inside the IDX header of 16"),
        (b"\x89PNG\r\n\x1a\n" + IDX, "not an IDX file: it begins with bytes 0x89504e47"),
        (IDX[1:], "not an IDX file"),
        (header(2, 3, type_code=0x0D) + bytes(24), "type code 0x0d"),
        (header(2, 3, type_code=0x09) + bytes(6), "type code 0x09"),
        (header(), "0 dimensions"),
        (header(1, 1, 1, 1, 1) + bytes(1), "5 dimensions"),
        (bytes([0, 0, 8, 255]) + bytes(2000), "255 dimensions"),
        (header(0), "size 0"),
        (header(2, 0, 4), "shape (2, 0, 4)"),
        (header(2**31, 2**31, 2**31) + bytes(100), "more than 1073741824 bytes"),
        (header(2**32 - 1), "more than 1073741824 bytes"),
        (header(MAX_BYTES) + bytes(100), "100 bytes follow the header"),
        (header(2, 3, 4), "0 bytes follow the header, but shape (2, 3, 4) needs 24"),
        (IDX[:-1], "23 bytes follow the header, but shape (2, 3, 4) needs 24"),
        (IDX + b"\0", "more bytes follow the header than the 24"),
    ],
)
def test_refuses_a_file_that_is_not_what_its_header_says(write, pack, content, reason):
    assert_refused(write(pack(content)), reason)


def damaged_gzips() -> dict[str, bytes]:
    good = gzip.compress(IDX, mtime=0)
    wrong_crc = bytearray(good)
    wrong_crc[-8] ^= 1
    wrong_length = bytearray(good)
    wrong_length[-4] ^= 1
    return {
        "header cut": good[:5],
        "stream cut": good[: len(good) // 2],
        "trailer cut": good[:-3],
        "checksum wrong": bytes(wrong_crc),
        "length wrong": bytes(wrong_length),
        "stream is garbage": good[:10] + b"\xff" * 40,
        "method unknown": good[:2] + b"\x07" + good[3:],
        "garbage behind": good + b"garbage",
    }


@pytest.mark.parametrize("damage", damaged_gzips())
def test_refuses_damaged_gzip(write, damage):
    assert_refused(write(damaged_gzips()[damage]), "damaged gzip file")


def test_refuses_a_second_member_with_more_data(write):
    assert_refused(write(gzip.compress(IDX) + gzip.compress(b"more")), "more bytes")


def test_refuses_labels_out_of_range(write):
    path = write(header(4) + bytes([0, 9, 10, 3]))
    assert_refused(path, "label 10 is out of range", "0 to 9", max_label=9)


def test_refuses_another_digest(write):
    expected = "0" * 64
    assert_refused(write(IDX), expected, hashlib.sha256(IDX).hexdigest(), sha256=expected)


def peak_memory_of_refusing(path: Path) -> int:
    tracemalloc.start()
    try:
        assert_refused(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_gzip_bomb_is_not_unpacked(write):
    bomb = gzip.compress(header(100) + bytes(1 << 26))
    assert peak_memory_of_refusing(write(bomb)) < 1 << 20


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_lying_header_reserves_no_memory(write, pack):
    assert peak_memory_of_refusing(write(pack(header(1 << 10, 1 << 10, 1 << 10) + bytes(100)))) < 3 << 20


@st.composite
def corruptions(draw, content: bytes) -> bytes:
    """The content after one to four edits: bytes changed, removed, put in, repeated, or cut off."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.integers(start, min(len(data), start + 8)))
        edit = draw(st.sampled_from(["replace", "cut", "repeat", "flip"]))
        if edit == "replace":
            data[start:stop] = draw(st.binary(max_size=8))
        elif edit == "cut":
            del data[start:]
        elif edit == "repeat":
            data[start:start] = data[start:stop] * draw(st.integers(1, 3))
        elif start < len(data):
            data[start] ^= 1 << draw(st.integers(0, 7))
    return bytes(data)


@given(st.data(), st.booleans(), st.booleans())
def test_any_corruption_is_refused_or_harmless(data, zipped, with_digest):
    content = data.draw(corruptions(gzip.compress(IDX, mtime=0) if zipped else IDX))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "corrupt-idx3-ubyte")
        path.write_bytes(content)
        tracemalloc.start()
        try:
            array = read_idx(path, sha256=hashlib.sha256(IDX).hexdigest() if with_digest else None)
        except ValueError as error:
            assert str(error).startswith(f"{path}: ")
        else:
            if with_digest:
                np.testing.assert_array_equal(array, ARRAY)
            else:  # nothing tells other pixels from these
                assert array.dtype == np.uint8 and 1 <= array.ndim <= 4
                if not zipped:
                    assert content == header(*array.shape) + array.tobytes()
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < 4 << 20
