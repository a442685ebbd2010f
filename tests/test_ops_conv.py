"""What the table of random inputs seldom reaches: even kernels padded to "same", parts of the convolution's rules."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import reference

import minigrad
from minigrad import Tensor, ops

pytestmark = pytest.mark.usefixtures("on_backend")


def random(*shape: int, requires_grad: bool = False) -> Tensor:
    return Tensor(np.random.default_rng(sum(shape)).standard_normal(shape), requires_grad=requires_grad)


@pytest.mark.parametrize("kernel", [(1, 2), (2, 1), (4, 3), (3, 4), (2, 5), (4, 6)])
@pytest.mark.parametrize("dilation", [(1, 1), (3, 1), (1, 3)])
def test_same_keeps_the_size_for_every_kernel(kernel: tuple[int, int], dilation: tuple[int, int]) -> None:
    x, weight = random(1, 1, 7, 6), random(1, 1, *kernel)
    y = ops.conv2d(x, weight, padding="same", dilation=dilation)
    assert y.shape == x.shape
    expected = reference.conv2d(x.numpy(), weight.numpy(), padding="same", dilation=dilation)
    np.testing.assert_allclose(y.numpy(), expected, atol=1e-12)


def test_integers_are_convolved_as_float32() -> None:
    y = ops.conv2d(Tensor([[[[1, 2]]]]), Tensor([[[[3, 4]]]]), Tensor([5]))
    assert (y.tolist(), y.dtype) == ([[[[16.0]]]], "float32")


@pytest.mark.parametrize("needed", [n for n in itertools.product((True, False), repeat=3) if any(n)])
@pytest.mark.parametrize("first_by", [0, 1])
def test_second_derivatives_are_the_same_when_only_some_are_wanted(first_by: int, needed) -> None:
    """Of the gradient by x, or by the weight, along a direction; by x, weight and the gradient dy that arrives."""

    def second(*flags: bool) -> list[Tensor | None]:
        shapes = [(2, 2, 5, 4), (3, 2, 2, 3), (2, 3, 4, 2)]
        x, weight, dy = (random(*shape, requires_grad=flag) for shape, flag in zip(shapes, flags, strict=True))
        rule = (
            ops.conv.Conv2dGradInput.apply(dy, weight, image=(5, 4), **geometry)
            if first_by == 0
            else ops.conv.Conv2dGradWeight.apply(dy, x, kernel=(2, 3), **geometry)[0]
        )
        if rule.requires_grad:
            (rule * random(*rule.shape)).sum().backward()
        return [x.grad, weight.grad, dy.grad]

    geometry = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    for own, wanted, flag in zip(second(*needed), second(True, True, True), needed, strict=True):
        if flag and wanted is not None:
            np.testing.assert_array_equal(own.numpy(), wanted.numpy())
        else:
            assert own is None


@pytest.mark.parametrize("used", [(0,), (1,), (0, 1)], ids=["weight", "bias", "both"])
def test_gradients_by_weight_and_bias_have_a_gradient_whichever_is_used(used: tuple[int, ...]) -> None:
    geometry = {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 1), "groups": 1}

    def gradients(dy: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        both = ops.conv.Conv2dGradWeight.apply(dy, x, kernel=(2, 3), **geometry)
        return tuple(both[index] for index in used)

    dy, x = (random(*shape, requires_grad=True) for shape in [(2, 3, 3, 2), (2, 2, 5, 4)])
    minigrad.gradcheck(gradients, (dy, x))
    minigrad.gradcheck(gradients, (dy, x), order=2)


@pytest.mark.parametrize("pair", [[2, 1], (np.int64(2), 1), np.array([2, 1]).tolist(), (np.int32(2), np.int64(1))])
def test_pairs_may_be_lists_and_of_numpys_integers(pair) -> None:
    x = random(1, 1, 6, 5)
    assert ops.avg_pool2d(x, pair).tolist() == ops.avg_pool2d(x, (2, 1)).tolist()
    assert ops.avg_pool2d(x, 2, np.int64(1)).tolist() == ops.avg_pool2d(x, 2, 1).tolist()
    assert ops.avg_pool2d(x, 2, [1, 1]).tolist() == ops.avg_pool2d(x, 2, 1).tolist()


def test_numbers_and_arrays_go_to_the_backend_of_the_tensors_beside_them() -> None:
    others = [name for name in minigrad.backend_names() if name != minigrad.backends.default_backend().name]
    x = Tensor._wrap(np.array([1.0, 2.0]), minigrad.backends.get_backend(others[0]))
    for y in (x + np.array([1.0, 2.0]), ops.where(x > 1, 3.0, 4.0), ops.where(x > 1, 1, np.array([3, 4]))):
        assert y.backend is x.backend


def test_a_broken_backend_is_refused_before_anything_is_moved() -> None:
    broken = minigrad.backends.Backend("broken", arrays="numpy", install="nothing")
    broken.__dict__["kernels"] = None
    with pytest.raises(minigrad.BackendError, match="the broken backend cannot run its kernels"):
        ops.to(Tensor([1.0]), broken)
