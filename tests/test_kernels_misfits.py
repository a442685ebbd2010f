"""Arrays that do not fit each other, handed to the kernels: by an operation of the user's own, or a made-up file.

The operations of minigrad check their arguments before. Compiled code does not, and would read and write behind what is
too short.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, conv2d, cross_entropy, replay
from minigrad.anomaly import files
from minigrad.anomaly.application import Application
from minigrad.backends import get_backend
from minigrad.ops.loss import CrossEntropyGrad

PLAIN = (1, 1), (0, 0), (1, 1), 1  # stride, padding, dilation, groups
WINDOW = (2, 2), (2, 2), (0, 0)


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def labels(*values: int) -> np.ndarray:
    return np.array(values)


MISFITS = [
    ("conv2d", ones(64, 1, 8, 8), ones(5, 3, 1, 1), None, *PLAIN),
    ("conv2d", ones(64, 3, 8, 8), ones(6, 1, 1, 1), None, (1, 1), (0, 0), (1, 1), 5),
    ("conv2d", ones(64, 4, 8, 8), ones(3, 2, 1, 1), None, (1, 1), (0, 0), (1, 1), 2),
    ("conv2d", ones(64, 1, 8, 8), ones(5, 1, 1, 1), ones(4), *PLAIN),
    ("conv2d_grad_input", ones(64, 5, 8, 8), ones(4, 1, 1, 1), (8, 8), *PLAIN),
    ("conv2d_grad_input", ones(64, 5, 9, 8), ones(5, 1, 1, 1), (8, 8), *PLAIN),
    ("conv2d_grad_input", ones(64, 5, 8, 8), ones(5, 1, 1, 1), (8, 8), (1, 1), (0, 0), (1, 1), 2),
    ("conv2d_grad_weight", ones(64, 5, 8, 8), ones(32, 1, 8, 8), (1, 1), *PLAIN),
    ("conv2d_grad_weight", ones(64, 5, 9, 8), ones(64, 1, 8, 8), (1, 1), *PLAIN),
    ("conv2d_grad_weight", ones(64, 5, 8, 8), ones(64, 4, 8, 8), (1, 1), (1, 1), (0, 0), (1, 1), 2),
    ("conv2d_grad_weight", ones(64, 4, 8, 8), ones(64, 5, 8, 8), (1, 1), (1, 1), (0, 0), (1, 1), 2),
    ("linear", ones(4, 5), ones(3, 6), None),
    ("linear", ones(4, 5), ones(3, 5), ones(2)),
    ("linear", np.asfortranarray(ones(64, 50)), ones(30, 50), ones(20)),
    ("linear_grad_weight", ones(4, 3), ones(5, 2)),
    ("linear_grad_weight", np.asfortranarray(ones(64, 50)), np.asfortranarray(ones(63, 50))),
    ("matmul", ones(4, 5), ones(6, 3)),
    ("sigmoid_grad", ones(4, 5), ones(6, 5)),
    ("relu_grad", ones(4, 5), ones(6, 5)),
    ("avg_pool2d_grad", ones(4, 5, 4, 4), (4, 4), *WINDOW, True),
    ("max_pool2d_scatter", ones(4, 5, 2, 2), np.zeros((4, 5, 2, 1), np.int32), (4, 4), *WINDOW),
    ("max_pool2d_scatter", ones(4, 5, 3, 2), np.zeros((4, 5, 3, 2), np.int32), (4, 4), *WINDOW),
    ("max_pool2d_gather", ones(4, 5, 4, 4), np.zeros((4, 3, 2, 2), np.int32), *WINDOW),
    ("max_pool2d_gather", ones(4, 5, 4, 4), np.zeros((4, 5, 2, 1), np.int32), *WINDOW),
    ("softmax_cross_entropy", ones(4, 5), labels(0, 1)),
    ("softmax_cross_entropy_grad", ones(4), ones(4, 5), labels(0, 1)),
    ("softmax_cross_entropy_grad", ones(3), ones(4, 5), labels(0, 1, 2, 3)),
    *(("channel_norm", ones(4, 3, 2, 2), *(ones(3 - (i == short)) for i in range(4))) for short in (0, 3)),
    ("channel_norm", ones(4, 3, 2, 2), ones(3), ones(2), ones(2), ones(3)),
    *(
        ("channel_norm_grad", ones(4, 3, 2, 2), ones(4, 3, 2, 2), *(ones(3 - (i == short)) for i in range(3)))
        for short in range(3)
    ),
    ("channel_norm_grad", ones(4, 3, 2, 1), ones(4, 3, 2, 2), ones(3), ones(3), ones(3)),
    *(("sgd", ones(5), [ones(3), ones(n)], None, 0.1, 0.0, 0.0, 0.0, False) for n in (1, 3)),
    ("gather_images", np.zeros((5, 1, 4, 4), np.uint8), labels(0, 1).reshape(2, 1)),
]


@pytest.mark.parametrize(("name", "arguments"), [(n, a) for n, *a in MISFITS], ids=[misfit[0] for misfit in MISFITS])
def test_arrays_that_do_not_fit_are_refused(name: str, arguments: list[Any]) -> None:
    pytest.importorskip("numba")
    with pytest.raises(ValueError, match="shape|matrices") as caught:
        getattr(get_backend("numba").kernels, name)(*arguments)
    if "groups" in str(caught.value):
        shapes = f"{arguments[0].shape} and {arguments[1].shape}"
        assert str(caught.value) == f"shapes {shapes} do not fit each other, with {arguments[-1]} groups"


@pytest.mark.parametrize("window", [((2.0, 2.0), (0, 0)), ((2, 2), (0.0, 0.0))])
def test_a_table_of_who_sees_whom_is_of_integers(window) -> None:
    """Of sizes that no other test has: tables are kept, and 2.0 finds those of 2."""
    pytest.importorskip("numba")
    kernels, (stride, padding) = get_backend("numba").kernels, window
    with pytest.raises(TypeError, match="float"):
        kernels.avg_pool2d(ones(2, 3, 35, 37), (2, 2), stride, padding, True)
    with pytest.raises(TypeError, match="float"):
        winners = np.zeros((2, 3, 17, 19), np.int32)
        kernels.max_pool2d_scatter(ones(*winners.shape), winners, (34, 38), (2, 2), stride, padding)


@pytest.mark.parametrize("label", [3, 10**12])
@pytest.mark.parametrize("backend", ["numpy", "numba"])  # a GPU is not waited for: the loss is NaN there
def test_a_label_that_is_none_is_refused_even_where_it_became_so_since(backend: str, label: int) -> None:
    pytest.importorskip(backend)
    x, target = Tensor(ones(1, 3), requires_grad=True, backend=backend), Tensor([0], backend=backend)
    loss = cross_entropy(x, target)
    target.data[:] = label  # which nobody should do
    with pytest.raises(IndexError):
        loss.backward()


def test_no_label_is_counted_from_the_end() -> None:
    pytest.importorskip("numba")
    kernels = get_backend("numba").kernels
    for label in (-1, 3):
        with pytest.raises(IndexError, match="a label is not the number of a class"):
            kernels.softmax_cross_entropy(ones(1, 3), labels(label))
        with pytest.raises(IndexError, match="a label is not the number of a class"):
            kernels.softmax_cross_entropy_grad(ones(1), ones(1, 3), labels(label))


def made_up(folder: Any, operation: type, *inputs: np.ndarray, **parameters: Any) -> str:
    needs = tuple(x.dtype.kind == "f" for x in inputs)
    return files.save(Application(operation, "forward", "numba", parameters, needs, list(inputs), []), str(folder))


CONVOLUTION = type(conv2d(Tensor(ones(1, 1, 2, 2), requires_grad=True), Tensor(ones(1, 1, 1, 1))).grad_fn)
GEOMETRY = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}


@pytest.mark.parametrize(
    ("operation", "inputs", "parameters"),
    [
        (CrossEntropyGrad, (ones(), ones(1, 3)), {"labels": labels(7), "reduction": "sum"}),
        (CrossEntropyGrad, (ones(), ones(1, 3)), {"reduction": "sum"}),
        (CONVOLUTION, (ones(64, 1, 8, 8), ones(5, 3000, 1, 1)), GEOMETRY),
        (CONVOLUTION, (ones(64, 3, 8, 8), ones(5, 3, 1, 1)), {**GEOMETRY, "groups": 5}),
        (CONVOLUTION, (ones(64, 1, 8, 8), ones(5, 1, 1, 1)), {**GEOMETRY, "stride": (0, 0)}),
        (CONVOLUTION, (ones(64, 1, 8, 8).astype(np.float16), ones(5, 1, 1, 1)), GEOMETRY),
        (CONVOLUTION, (ones(64, 1, 8, 8).astype(np.float64), ones(5, 1, 1, 1)), GEOMETRY),
        (CONVOLUTION, (ones(64, 1, 8, 8), ones(5, 1, 1, 1).astype(np.int8)), GEOMETRY),
        (CONVOLUTION, (ones(),), GEOMETRY),
    ],
)
def test_a_made_up_file_is_not_replayed(operation, inputs, parameters, tmp_path) -> None:
    pytest.importorskip("numba")
    path = made_up(tmp_path, operation, *inputs, **parameters)
    with pytest.raises(ValueError, match=r"\.npz: not a file that detect_anomaly wrote, or a damaged one: "):
        replay(path)
