"""explain: the kernels an operation runs, and the way they take."""

from __future__ import annotations

import logging

import pytest

import minigrad
from minigrad import nn
from minigrad.backends import get_backend


def kernels_named(text: str) -> list[str]:
    return [line.split()[1] for line in text.splitlines() if line.split()[0] in ("forward", "backward")]


def test_it_names_the_backend_and_each_kernel_with_its_shapes(on_backend) -> None:
    x = minigrad.zeros(64, 3, 9, 8, requires_grad=True)
    weight = minigrad.zeros(4, 3, 3, 3, requires_grad=True)
    text = minigrad.explain(minigrad.conv2d, x, weight, padding=1)
    assert text.splitlines()[0] == f"conv2d on {on_backend}"
    assert "  forward   conv2d (64, 3, 9, 8) (4, 3, 3, 3)" in text
    assert kernels_named(text) == ["conv2d", "conv2d_grad_input", "conv2d_grad_weight"]


def test_only_the_gradients_that_are_wanted_are_computed(on_backend) -> None:
    image, kernel, bias = minigrad.zeros(2, 3, 9, 8), minigrad.zeros(4, 3, 3, 3), minigrad.zeros(4)
    rows, matrix = minigrad.zeros(2, 3), minigrad.zeros(4, 3)
    for operation, inputs, kernels in (
        (minigrad.conv2d, (image, kernel, bias), (["conv2d_grad_input"], *[["conv2d_grad_weight"]] * 2)),
        (minigrad.linear, (rows, matrix, bias), (["matmul"], *[["linear_grad_weight"]] * 2)),
    ):
        for wanted, backward in zip(inputs, kernels, strict=True):
            for tensor in inputs:
                tensor.requires_grad = tensor is wanted
            assert kernels_named(minigrad.explain(operation, *inputs)) == [operation.__name__, *backward]


def test_it_changes_nothing(on_backend) -> None:
    x = minigrad.ones(2, 3, requires_grad=True)
    kernels = get_backend(on_backend).kernels
    log = logging.getLogger("minigrad")
    before = (log.level, log.propagate, list(log.handlers))
    minigrad.explain(minigrad.sigmoid, x)
    with pytest.raises(ValueError, match="reshape"):
        minigrad.explain(minigrad.reshape, x, 7)
    assert x.grad is None
    assert get_backend(on_backend).kernels is kernels
    assert (log.level, log.propagate, list(log.handlers)) == before


def test_it_explains_layers_with_their_parameters(on_backend) -> None:
    text = minigrad.explain(nn.Linear(3, 2), minigrad.ones(4, 3))
    assert text.splitlines()[0] == f"Linear on {on_backend}"
    assert kernels_named(text) == ["linear", "linear_grad_weight"]


def test_an_operation_without_kernels_says_so(on_backend) -> None:
    assert minigrad.explain(minigrad.add, minigrad.ones(2), 1) == f"add on {on_backend}\n  no kernel of minigrad's own"


def test_numba_says_which_way_it_takes_and_why() -> None:
    pytest.importorskip("numba")
    with minigrad.use_backend("numba"):
        weight = minigrad.ones(300, 100, 5, 5)
        many = minigrad.explain(minigrad.conv2d, minigrad.ones(32, 100, 6, 6), weight)
        few = minigrad.explain(minigrad.conv2d, minigrad.ones(1, 100, 6, 6), weight)
    assert "pieces of up to 64 numbers, instead of columns" in many
    assert "im2col and a matrix product, an image at a time; pieces of 2 numbers leave registers empty" in few


def test_numba_says_how_a_weights_gradient_is_summed() -> None:
    pytest.importorskip("numba")
    with minigrad.use_backend("numba"):
        x = minigrad.ones(32, 4, 6, 6)
        many = minigrad.explain(minigrad.conv2d, x, minigrad.ones(40, 4, 3, 3, requires_grad=True))
        few = minigrad.explain(minigrad.conv2d, x, minigrad.ones(4, 4, 3, 3, requires_grad=True))
    assert "outer products of the channels and outputs of each pixel" in many
    assert "pieces of up to 128 numbers" in few
    assert "outer products" not in few
