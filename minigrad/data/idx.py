"""Reading IDX files, the format of MNIST and its relatives; `fashion_mnist` and `mnist` are the callers.

An IDX file is two zero bytes, a type code, the number of dimensions, each dimension as a big-endian 32-bit integer,
then the elements in C order. These files come from networks and from other people's disks: nothing that one says
about itself is believed before it is checked.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import zlib
from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from ..checks import integer, require
from ..checks import path as checked_path

UNSIGNED_BYTE = 0x08
MAX_DIMENSIONS = 4
MAX_BYTES = 1 << 30
CHUNK_BYTES = 1 << 20


def read_idx(path: str | os.PathLike[str], *, max_label: int | None = None, sha256: str | None = None) -> np.ndarray:
    """Read an IDX file of unsigned bytes, gzipped or plain, into a uint8 array of the shape its header gives.

    Which of the two it is, the first bytes tell, not the name. At most one byte more than the header promises is
    asked of the file, and memory grows with the bytes that are there, so neither a gzip bomb nor a lying header fills
    it; a header that promises more than 1 GiB is refused.

    Args:
        path: the file.
        max_label: if given, the largest value that may occur in it.
        sha256: if given, the hexadecimal digest that the whole decompressed file must have.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not IDX, is not of unsigned bytes, is damaged, has more or fewer bytes than its header
            says, or fails one of the checks asked for. The message begins with the file's path.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "labels-idx1-ubyte")
    ...     with open(path, "wb") as file:
    ...         _ = file.write(bytes([0, 0, 8, 1]) + bytes([0, 0, 0, 3]) + bytes([7, 0, 9]))
    ...     read_idx(path, max_label=9)
    array([7, 0, 9], dtype=uint8)
    """
    path = checked_path("read_idx", path)
    if max_label is not None:
        integer("read_idx", "max_label", max_label, least=0)
    require(
        sha256 is None or isinstance(sha256, str), "read_idx: sha256 must be a string of hexadecimal digits", sha256
    )
    try:
        with _open(path) as stream:
            header = _read_up_to(stream, 4)
            _check_magic(header)
            header += _read_up_to(stream, 4 * header[3])
            shape = _shape(header)
            data = _read_up_to(stream, math.prod(shape))
            if len(data) < math.prod(shape):
                raise ValueError(f"{len(data)} bytes follow the header, but shape {shape} needs {math.prod(shape)}")
            if stream.read(1):
                raise ValueError(f"more bytes follow the header than the {len(data)} that shape {shape} needs")
        array = np.frombuffer(data, dtype=np.uint8).reshape(shape)
        if max_label is not None and array.max() > max_label:
            raise ValueError(f"label {array.max()} is out of range: labels go from 0 to {max_label}")
        if sha256 is not None:
            _check_digest(sha256, header, data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: damaged gzip file: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return array


def read_split(
    dataset: str, read: Callable[[str, int | None], np.ndarray], train: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of a split, under the file names that MNIST and its relatives share.

    `read(name, max_label)` returns the array of the file called `name` or `name + ".gz"`; `dataset` is who asks.
    """
    if not isinstance(train, bool):
        raise TypeError(f"{dataset}: train must be True (the training set) or False (the test set), got {train!r}")
    split = "train" if train else "t10k"
    return read(f"{split}-images-idx3-ubyte", None), read(f"{split}-labels-idx1-ubyte", 9)


def _open(path: str) -> BinaryIO | gzip.GzipFile:
    with open(path, "rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if is_gzip else open(path, "rb")


def _read_up_to(stream: BinaryIO | gzip.GzipFile, count: int) -> bytearray:
    """`count` bytes, or all there are if they are fewer."""
    data = bytearray()
    while chunk := stream.read(min(CHUNK_BYTES, count - len(data))):
        data += chunk
    return data


def _check_magic(magic: bytearray) -> None:
    if not magic:
        raise ValueError("the file is empty")
    if len(magic) < 4:
        raise ValueError(f"the file ends after {len(magic)} bytes, inside the IDX header")
    if magic[:2] != b"\0\0":
        raise ValueError(f"not an IDX file: it begins with bytes 0x{magic.hex()}, IDX files with 0x0000")
    if magic[2] != UNSIGNED_BYTE:
        raise ValueError(f"IDX type code 0x{magic[2]:02x}: only unsigned bytes, 0x{UNSIGNED_BYTE:02x}, are read")
    if not 1 <= magic[3] <= MAX_DIMENSIONS:
        raise ValueError(f"the header names {magic[3]} dimensions: expected 1 to {MAX_DIMENSIONS}")


def _shape(header: bytearray) -> tuple[int, ...]:
    expected = 4 + 4 * header[3]
    if len(header) < expected:
        raise ValueError(f"the file ends after {len(header)} bytes, inside the IDX header of {expected}")
    shape = tuple(np.frombuffer(header, dtype=">u4", offset=4).tolist())
    if 0 in shape:
        raise ValueError(f"the header gives shape {shape}: a dimension of size 0")
    if math.prod(shape) > MAX_BYTES:
        raise ValueError(f"the header gives shape {shape}: more than {MAX_BYTES} bytes")
    return shape


def _check_digest(sha256: str, header: bytearray, data: bytearray) -> None:
    digest = hashlib.sha256(header)
    digest.update(data)
    if digest.hexdigest() != sha256.lower():
        raise ValueError(
            f"not the file that was expected: sha256 of its decompressed bytes is {digest.hexdigest()}, not {sha256}"
        )
