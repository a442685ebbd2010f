"""Operations beside PyTorch's, at sizes that loops are too slow for: values, first and second derivatives, in float64.

PyTorch is no dependency of the tests: without it this file is skipped, and nothing else is.
"""

from __future__ import annotations

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, ops

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
F = torch.nn.functional

pytestmark = pytest.mark.usefixtures("on_backend")

LABELS = np.random.default_rng(0).integers(0, 10, 64)


def conv(**parameters):
    return lambda *t: ops.conv2d(*t, **parameters), lambda *t: F.conv2d(*t, **parameters)


def pool(name: str, **parameters):
    return lambda x: getattr(ops, name)(x, **parameters), lambda x: getattr(F, name)(x, **parameters)


IMAGES, KERNELS = (5, 4, 13, 14), (6, 4, 5, 4)

CASES = {
    "conv2d": (*conv(), IMAGES, KERNELS, (6,)),
    "conv2d, padded and strided": (*conv(padding=(2, 1), stride=(2, 3)), IMAGES, KERNELS, (6,)),
    "conv2d, dilated": (*conv(dilation=(2, 3), padding=3), IMAGES, KERNELS),
    "conv2d, grouped": (*conv(groups=2, padding=1), IMAGES, (6, 2, 3, 3), (6,)),
    "conv2d, depthwise": (*conv(groups=4, stride=2), IMAGES, (8, 1, 3, 3)),
    "conv2d, same": (*conv(padding="same", dilation=(1, 2)), IMAGES, KERNELS, (6,)),
    "avg_pool2d": (*pool("avg_pool2d", kernel_size=2), IMAGES),
    "avg_pool2d, overlapping": (*pool("avg_pool2d", kernel_size=(3, 2), stride=(2, 1), padding=(1, 1)), IMAGES),
    "avg_pool2d, padding not counted": (*pool("avg_pool2d", kernel_size=3, padding=1, count_include_pad=False), IMAGES),
    "max_pool2d": (*pool("max_pool2d", kernel_size=2), IMAGES),
    "max_pool2d, overlapping": (*pool("max_pool2d", kernel_size=(3, 2), stride=(2, 1), padding=(1, 1)), IMAGES),
    "linear": (ops.linear, F.linear, (64, 400), (120, 400), (120,)),
    "linear, of a sequence": (ops.linear, F.linear, (8, 7, 30), (12, 30), (12,)),
    "matmul": (ops.matmul, torch.matmul, (3, 1, 20, 30), (4, 30, 10)),
    "matmul, by a vector": (ops.matmul, torch.matmul, (3, 20, 30), (30,)),
    "cross_entropy": (
        lambda z: ops.cross_entropy(z, LABELS),
        lambda z: F.cross_entropy(z, torch.tensor(LABELS)),
        (64, 10),
    ),
    "mse_loss": (ops.mse_loss, F.mse_loss, (64, 10), (64, 10)),
    "batch_norm": (
        lambda x, w, b: ops.batch_norm(x, None, None, w, b, training=True),
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        *(IMAGES, (4,), (4,)),
    ),
    "softmax": (lambda x: ops.softmax(x, 1), lambda x: torch.softmax(x, 1), (16, 10, 3)),
    "log_softmax": (lambda x: ops.log_softmax(x, -1), lambda x: torch.log_softmax(x, -1), (16, 10)),
    "logsumexp": (lambda x: ops.logsumexp(x, (0, 2)), lambda x: torch.logsumexp(x, (0, 2)), (5, 6, 7)),
    "var": (lambda x: ops.var(x, (0, 2), ddof=1), lambda x: torch.var(x, (0, 2)), (5, 6, 7)),
    "sigmoid": (ops.sigmoid, torch.sigmoid, (64, 6, 9)),
    "tanh": (ops.tanh, torch.tanh, (64, 6, 9)),
    "softplus": (ops.softplus, F.softplus, (64, 6, 9)),
    "leaky_relu": (ops.leaky_relu, F.leaky_relu, (64, 6, 9)),
    "indexing": (lambda x: x[[0, 0, 5], ::2, None], lambda x: x[[0, 0, 5], ::2, None], (9, 8, 7)),
}


@pytest.mark.parametrize(("ours", "theirs", "shapes"), [(a, b, s) for a, b, *s in CASES.values()], ids=CASES)
def test_values_and_derivatives_equal_pytorchs(ours, theirs, shapes) -> None:
    rng = np.random.default_rng(sum(shapes[0]))
    arrays = [rng.standard_normal(shape) for shape in shapes]
    x, xt = [Tensor(a, requires_grad=True) for a in arrays], [torch.tensor(a, requires_grad=True) for a in arrays]
    y, yt = ours(*x), theirs(*xt)
    np.testing.assert_allclose(y.numpy(), yt.detach().numpy(), rtol=1e-9, atol=1e-9)

    seed = rng.standard_normal(y.shape)
    dy, dyt = Tensor(seed, requires_grad=True), torch.tensor(seed, requires_grad=True)
    first = minigrad.grad(y, x, dy, create_graph=True)
    first_t = torch.autograd.grad(yt, xt, dyt, create_graph=True)
    assert_equal(first, first_t)

    along = [rng.standard_normal(shape) for shape in shapes]
    second = minigrad.grad(first, [*x, dy], [Tensor(v) for v in along], allow_unused=True)
    second_t = torch.autograd.grad(first_t, [*xt, dyt], [torch.tensor(v) for v in along], allow_unused=True)
    assert_equal(second, second_t)


def assert_equal(ours, theirs) -> None:
    """None, for an input that the outputs do not depend on, is a gradient of zero."""
    assert any(gradient is not None for gradient in ours)
    for gradient, expected in zip(ours, theirs, strict=True):
        wanted = 0.0 if expected is None else expected.detach().numpy()
        np.testing.assert_allclose(0.0 if gradient is None else gradient.numpy(), wanted, rtol=1e-8, atol=1e-8)
