"""Wrong arguments of all that is public in minigrad.data: what the error is and what it says."""

from __future__ import annotations

import numpy as np
import pytest
from public_names import names, resolve

from minigrad import BackendError, Tensor, data
from minigrad.data import ArrayDataset, DataLoader, Distorted, fashion_mnist

IMAGES = np.zeros((3, 4, 4), np.uint8)  # (N, H, W)
DATASET = ArrayDataset(IMAGES, [0, 1, 0], ["a", "b"])
LABELS_FILE = fashion_mnist.__file__.replace("__init__.py", "t10k-labels-idx1-ubyte.gz")
RAGGED = [[0], [1, 2], [3]]


class Batches:
    """A dataset whose batches are no two arrays."""

    def __init__(self, *batch):
        self._batch = batch

    def __len__(self):
        return 3

    def batch(self, indices):
        return self._batch


NO_TRUTH = r"{}: train must be True \(the training set\) or False \(the test set\), got "
NO_DATASET = r"DataLoader: a dataset has __len__ and batch\(indices\), got "
NO_BATCH = r"DataLoader: batch\(indices\) of Batches must return two NumPy arrays, got "
NO_INDEX = r"a dataset's index is an integer, got .*; see take\(n\) and batch\(indices\)"
NO_INDICES = r"batch: indices must be integers of shape \(B,\), got "

ERRORS = [
    # -- files
    ("read_idx", lambda f: f("no/such/file"), FileNotFoundError, "no/such/file"),
    ("read_idx", lambda f: f("."), IsADirectoryError, r"'\.'"),
    ("read_idx", lambda f: f(__file__), ValueError, "test_data_errors.py: not an IDX file: it begins with"),
    ("read_idx", lambda f: f(None), TypeError, "read_idx: a path must be a string or a Path, got None"),
    ("read_idx", lambda f: f(3), TypeError, "read_idx: a path must be a string or a Path, got 3"),
    ("read_idx", lambda f: f(LABELS_FILE, max_label="9"), TypeError, "read_idx: max_label must be an integer, got '9'"),
    ("read_idx", lambda f: f(LABELS_FILE, max_label=9.0), TypeError, r"read_idx: max_label must be an int.* got 9\.0"),
    ("read_idx", lambda f: f(LABELS_FILE, max_label=-1), ValueError, "read_idx: max_label must be at least 0, got -1"),
    (
        "read_idx",
        lambda f: f(LABELS_FILE, max_label=8),
        ValueError,
        "gz: label 9 is out of range: labels go from 0 to 8",
    ),
    ("read_idx", lambda f: f(LABELS_FILE, sha256=3), TypeError, "read_idx: sha256 must be a string .*, got 3"),
    ("read_idx", lambda f: f(LABELS_FILE, sha256="ab"), ValueError, "gz: not the file that was expected: .* not ab"),
    *(
        (name, lambda f, v=v: f(v), TypeError, NO_TRUTH + given)
        for name in ("MNIST", "FashionMNIST")
        for v, given in [("train", "'train'"), (None, "None"), (1, "1"), ("/data", "'/data'")]
    ),
    # -- arrays
    ("ArrayDataset", lambda f: f("images", [0]), TypeError, "ArrayDataset: images must be uint8 .* got <U6: convert"),
    ("ArrayDataset", lambda f: f(None, None), TypeError, "ArrayDataset: images must be uint8 .* got object"),
    (
        "ArrayDataset",
        lambda f: f(RAGGED, [0] * 3),
        TypeError,
        "ArrayDataset: images must be an array, got .*diff.* len",
    ),
    ("ArrayDataset", lambda f: f(IMAGES.astype(int), [0] * 3), TypeError, "images must be uint8 .* got int64: convert"),
    ("ArrayDataset", lambda f: f(IMAGES > 0, [0] * 3), TypeError, "images must be uint8 .* or floating, got bool"),
    ("ArrayDataset", lambda f: f(IMAGES[0], [0] * 4), ValueError, r"\(N, H, W\) or \(N, C, H, W\), got \(4, 4\)"),
    ("ArrayDataset", lambda f: f(IMAGES[:, None, None], [0] * 3), ValueError, r"got \(3, 1, 1, 4, 4\)"),
    ("ArrayDataset", lambda f: f(IMAGES, [0, 1]), ValueError, r"3 images need labels of shape \(3,\), got \(2,\)"),
    ("ArrayDataset", lambda f: f(IMAGES, [[0]] * 3), ValueError, r"labels of shape \(3,\), got \(3, 1\)"),
    ("ArrayDataset", lambda f: f(IMAGES, None), ValueError, r"labels of shape \(3,\), got \(\)"),
    (
        "ArrayDataset",
        lambda f: f(IMAGES, RAGGED),
        TypeError,
        "ArrayDataset: labels must be an array, got .*diff.* lengt",
    ),
    ("ArrayDataset", lambda f: f(IMAGES, [0.0] * 3), TypeError, "ArrayDataset: labels must be integers, got float64"),
    ("ArrayDataset", lambda f: f(IMAGES, [True] * 3), TypeError, "ArrayDataset: labels must be integers, got bool"),
    ("ArrayDataset", lambda f: f(IMAGES, ["a"] * 3), TypeError, "ArrayDataset: labels must be integers, got <U1"),
    ("ArrayDataset", lambda f: f(IMAGES, [0, -1, 2]), ValueError, "ArrayDataset: labels must lie from 0, got -1 to 2"),
    (
        "ArrayDataset",
        lambda f: f(IMAGES, [0, 1, 2], ["a", "b"]),
        ValueError,
        "labels must lie from 0 to 1, .* got 0 to 2",
    ),
    (
        "ArrayDataset",
        lambda f: f(IMAGES, [0, 1, 2], 3),
        TypeError,
        "ArrayDataset: classes must be a list of names, got 3",
    ),
    *(
        ("ArrayDataset.__getitem__", lambda f, v=v: f(DATASET, v), TypeError, NO_INDEX)
        for v in (slice(2), 1.0, "1", None, [1, 2], True)
    ),
    *(
        (
            "ArrayDataset.__getitem__",
            lambda f, v=v: f(DATASET, v),
            IndexError,
            f"out of range for 3 samples, got {v} to",
        )
        for v in (3, -4)
    ),
    (
        "ArrayDataset.batch",
        lambda f: f(DATASET, [0, 3]),
        IndexError,
        "batch: .* out of range for 3 samples, got 0 to 3",
    ),
    (
        "ArrayDataset.batch",
        lambda f: f(DATASET, np.array([2**64 - 1, 0], dtype=np.uint64)),  # -1, were it taken for an int64
        IndexError,
        "batch: .* out of range for 3 samples, got 0 to 18446744073709551615",
    ),
    (
        "ArrayDataset.batch",
        lambda f: f(DATASET, RAGGED),
        TypeError,
        "batch: indices must be an array, got a list of rows",
    ),
    *(
        ("ArrayDataset.batch", lambda f, v=v: f(DATASET, v), TypeError, NO_INDICES + given)
        for v, given in [
            (1, r"int64 of \(\)"),
            ([[1, 2]], r"int64 of \(1, 2\)"),
            ([1.0], "float64"),
            ([True, False, True], "bool"),
            (["1"], "<U1"),
            (None, "object"),
            (np.zeros((0, 2), int), r"int64 of \(0, 2\)"),
        ]
    ),
    ("ArrayDataset.to", lambda f: f(DATASET, "gpu"), BackendError, "there is no backend named 'gpu'; there are "),
    ("ArrayDataset.take", lambda f: f(DATASET, 4), ValueError, "take: n must be from 0 to 3, the number of .*, got 4"),
    ("ArrayDataset.take", lambda f: f(DATASET, -1), ValueError, "take: n must be at least 0, got -1"),
    *(
        ("ArrayDataset.take", lambda f, v=v: f(DATASET, v), TypeError, "take: n must be an integer, got ")
        for v in ("2", 2.0, None, True)
    ),
    # -- distortions
    *(
        ("Distorted", lambda f, v=v: f(v), TypeError, "Distorted: a dataset has __len__ and batch.*, got " + given)
        for v, given in [(IMAGES, "ndarray"), (None, "None"), (ArrayDataset, "the class ArrayDataset itself")]
    ),
    ("Distorted", lambda f: f(DATASET, 1.5), TypeError, r"Distorted: shift must be an integer, got 1\.5"),
    ("Distorted", lambda f: f(DATASET, -1), ValueError, "Distorted: shift must be at least 0, got -1"),
    *(
        (
            "Distorted",
            lambda f, o=o, v=v: f(DATASET, **{o: v}),
            TypeError,
            f"Distorted: {o} must be a number, got {given}",
        )
        for o in ("rotation", "scale")
        for v, given in [("10", "'10'"), (None, "None"), (True, "True"), ([1.0], "list")]
    ),
    *(
        (
            "Distorted",
            lambda f, o=o, v=v: f(DATASET, **{o: v}),
            ValueError,
            f"{o} must be finite and at least 0, got {v}",
        )
        for o in ("rotation", "scale")
        for v in (-0.5, float("inf"), float("nan"))
    ),
    ("Distorted", lambda f: f(DATASET, flip=1), TypeError, "Distorted: flip must be True or False, got 1"),
    ("Distorted", lambda f: f(DATASET, generator=0), TypeError, r"got 0; np.random.default_rng\(seed\) makes one"),
    ("Distorted.batch", lambda f: f(Distorted(DATASET), [3]), IndexError, "out of range for 3 samples"),
    # -- batches
    *(
        ("DataLoader", lambda f, v=v: f(v), TypeError, NO_DATASET + given)
        for v, given in [
            (IMAGES, "ndarray; minigrad.data.ArrayDataset makes one of two arrays"),
            ((IMAGES, [0, 1, 0]), "tuple"),
            (None, "None"),
            (Tensor(IMAGES), "Tensor"),
            (ArrayDataset, r"the class ArrayDataset itself; make one: ArrayDataset\(\.\.\.\)"),
        ]
    ),
    *(
        (
            "DataLoader",
            lambda f, v=v: f(DATASET, v),
            TypeError,
            f"DataLoader: batch_size must be an integer, got {given}",
        )
        for v, given in [("128", "'128'"), (2.0, r"2\.0"), (None, "None"), (True, "True"), (float("nan"), "nan")]
    ),
    ("DataLoader", lambda f: f(DATASET, 0), ValueError, "DataLoader: batch_size must be at least 1, got 0"),
    ("DataLoader", lambda f: f(DATASET, -3), ValueError, "DataLoader: batch_size must be at least 1, got -3"),
    ("DataLoader", lambda f: f(DATASET, 2, 1), TypeError, "DataLoader: shuffle must be True or False, got 1"),
    (
        "DataLoader",
        lambda f: f(DATASET, drop_last="no"),
        TypeError,
        "DataLoader: drop_last must be True or F.* got 'no'",
    ),
    ("DataLoader", lambda f: f(DATASET, generator=0), TypeError, r"got 0; np.random.default_rng\(seed\) makes one"),
    (
        "DataLoader",
        lambda f: f(DATASET, generator=np.random.RandomState(0)),
        TypeError,
        "DataLoader: generator must be a numpy.random.Generator, got RandomState",
    ),
    *(
        ("DataLoader.__iter__", lambda f, b=b: next(f(DataLoader(Batches(*b)))), TypeError, NO_BATCH + given)
        for b, given in [
            (([0.0], [0]), r"\(list, list\)"),
            ((IMAGES,), r"\(ndarray\)"),
            ((IMAGES, Tensor(0)), r"\(ndarray, Tensor\)"),
            ((IMAGES, IMAGES, IMAGES), r"\(ndarray, ndarray, ndarray\)"),
        ]
    ),
]

CANNOT_BE_WRONG = {"Dataset", "Dataset.batch"}  # a protocol: it says what others write, and can't be made


@pytest.mark.parametrize(("name", "call", "kind", "message"), ERRORS, ids=[f"{e[0]}-{e[3]}"[:60] for e in ERRORS])
def test_wrong_arguments_raise_at_once_and_say_what_is_wrong(name, call, kind, message) -> None:
    with pytest.raises(kind, match=message.format(name)) as caught:
        call(resolve(name, data))
    assert type(caught.value) is kind


def test_every_public_name_has_its_wrong_arguments_tested() -> None:
    needed = names(data)
    assert {"read_idx", "MNIST", "DataLoader", "ArrayDataset.take"} <= needed
    assert needed - {name for name, *_ in ERRORS} == CANNOT_BE_WRONG
