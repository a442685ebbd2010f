"""Every kernel of every backend against loops, whatever the strides; what is bilinear also against its adjoints.

The operations in minigrad.ops check their arguments and call these; here they are called as contract.py has them.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import reference
from draws import LAYOUTS, Drawn, Draws, laid_out
from hypothesis import given
from hypothesis import strategies as st
from placing import KernelsOnHost, placed
from reference import elementwise, window

from minigrad.backends import contract, get_backend
from minigrad.backends.numpy import layout

each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


class Geometry(NamedTuple):
    """How a window moves over the images, and the sizes that follow."""

    N: int
    C: int
    image: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    output: tuple[int, int]


def geometry(d: Draws, pooling: bool = False, C: int | None = None) -> Geometry:
    kernel = (d.integer(1, 3), d.integer(1, 3))
    stride = (d.integer(1, 3), d.integer(1, 3))
    dilation = (1, 1) if pooling else (d.integer(1, 2), d.integer(1, 2))
    padding = (
        (d.integer(0, kernel[0] // 2), d.integer(0, kernel[1] // 2)) if pooling else (d.integer(0, 2), d.integer(0, 2))
    )
    spans = [step * (k - 1) + 1 for step, k in zip(dilation, kernel, strict=True)]
    H, W = (max(1, span - 2 * p) + d.integer(0, 3) for span, p in zip(spans, padding, strict=True))
    output = reference.output_size((H, W), kernel, stride, padding, dilation)
    return Geometry(d.choice(1, 2, 3, 0), C or d.choice(1, 2), (H, W), kernel, stride, padding, dilation, output)


# ------------------------------------------------------------------------------------------------- loops of the kernels


def im2col(x, kernel, stride, padding, dilation):
    N, C, *image = x.shape
    OH, OW = reference.output_size(image, kernel, stride, padding, dilation)
    cols = np.zeros((C, *kernel, OH, OW, N))
    for n, c, p, q in np.ndindex(N, C, OH, OW):
        for i, j, h, w in window(p, q, image, kernel, stride, padding, dilation):
            cols[c, i, j, p, q, n] = x[n, c, h, w]
    return cols


def col2im(cols, image, stride, padding, dilation):
    C, KH, KW, OH, OW, N = cols.shape
    x = np.zeros((N, C, *image))
    for n, c, p, q in np.ndindex(N, C, OH, OW):
        for i, j, h, w in window(p, q, image, (KH, KW), stride, padding, dilation):
            x[n, c, h, w] += cols[c, i, j, p, q, n]
    return x


def conv2d_grad_input(dy, weight, image, stride, padding, dilation, groups):
    (N, O, OH, OW), (_, CG, KH, KW) = dy.shape, weight.shape
    dx = np.zeros((N, CG * groups, *image))
    for n, o, p, q in np.ndindex(N, O, OH, OW):
        for i, j, h, w in window(p, q, image, (KH, KW), stride, padding, dilation):
            for c in range(CG):
                dx[n, o // (O // groups) * CG + c, h, w] += dy[n, o, p, q] * weight[o, c, i, j]
    return dx


def conv2d_grad_weight(dy, x, kernel, stride, padding, dilation, groups):
    (N, O, OH, OW), (_, C, *image) = dy.shape, x.shape
    CG = C // groups
    dweight, dbias = np.zeros((O, CG, *kernel)), np.zeros(O)
    for n, o, p, q in np.ndindex(N, O, OH, OW):
        dbias[o] += dy[n, o, p, q]
        for i, j, h, w in window(p, q, image, kernel, stride, padding, dilation):
            for c in range(CG):
                dweight[o, c, i, j] += dy[n, o, p, q] * x[n, o // (O // groups) * CG + c, h, w]
    return dweight, dbias


def avg_pool2d_grad(dy, image, kernel, stride, padding, count_include_pad):
    dx = np.zeros((*dy.shape[:2], *image))
    for n, c, p, q in np.ndindex(*dy.shape):
        pixels = list(window(p, q, image, kernel, stride, padding))
        for _, _, h, w in pixels:
            dx[n, c, h, w] += dy[n, c, p, q] / (math.prod(kernel) if count_include_pad else len(pixels))
    return dx


def winner_pixel(n, c, p, q, winners, kernel, stride, padding) -> tuple[int, int, int, int]:
    i, j = divmod(int(winners[n, c, p, q]), kernel[1])
    return n, c, p * stride[0] + i - padding[0], q * stride[1] + j - padding[1]


def max_pool2d_gather(x, winners, kernel, stride, padding):
    y = np.empty(winners.shape)
    for index in np.ndindex(*winners.shape):
        y[index] = x[winner_pixel(*index, winners, kernel, stride, padding)]
    return y


def max_pool2d_scatter(dy, winners, image, kernel, stride, padding):
    dx = np.zeros((*dy.shape[:2], *image))
    for index in np.ndindex(*winners.shape):
        dx[winner_pixel(*index, winners, kernel, stride, padding)] += dy[index]
    return dx


def softmax_cross_entropy(logits, labels):
    probabilities = np.array([reference.softmax(list(row)) for row in logits], float).reshape(logits.shape)
    return reference.cross_entropy(logits, labels, "none"), probabilities


def softmax_cross_entropy_grad(dlosses, probabilities, labels):
    dlogits, dlosses = np.empty(probabilities.shape), np.broadcast_to(dlosses, len(labels))
    for n, k in np.ndindex(*dlogits.shape):
        dlogits[n, k] = dlosses[n] * (probabilities[n, k] - (1 if k == labels[n] else 0))
    return dlogits


def sgd(w, gradients, v, lr, momentum, dampening, weight_decay, nesterov):
    g = np.array([number for g in gradients for number in g.flat]) + weight_decay * w
    if not momentum:
        return w - lr * g, None
    v = g if v is None else momentum * v + (1 - dampening) * g
    return w - lr * (g + momentum * v if nesterov else v), v


def adam(w, gradients, m, v, step, lr, betas, eps, weight_decay, decoupled):
    new, g = np.empty((3, len(w))), [number for g in gradients for number in g.flat]
    for i in range(len(w)):
        old_m, old_v = (0.0, 0.0) if m is None else (m[i], v[i])
        gradient = g[i] if decoupled else g[i] + weight_decay * w[i]
        weight = w[i] - lr * weight_decay * w[i] if decoupled else w[i]
        mean, square = betas[0] * old_m + (1 - betas[0]) * gradient, betas[1] * old_v + (1 - betas[1]) * gradient**2
        unbiased, unbiased_square = mean / (1 - betas[0] ** step), square / (1 - betas[1] ** step)
        new[:, i] = weight - lr * unbiased / (math.sqrt(unbiased_square) + eps), mean, square
    return tuple(new)


# -------------------------------------------------------------------------------------------- what they are called with


def one(d: Draws) -> list[Any]:
    return [d.array(d.shape(max_dims=4), -8.0, 8.0)]


def two(d: Draws) -> list[Any]:
    shape = d.shape(max_dims=4)
    return [d.array(shape), d.array(shape, -1.0, 1.0)]


def images(d: Draws, g: Geometry) -> Drawn:
    return d.array((g.N, g.C, *g.image))


def results(d: Draws, g: Geometry, channels: int | None = None) -> Drawn:
    return d.array((g.N, channels or g.C, *g.output))


def unrolling(d: Draws) -> list[Any]:
    g = geometry(d)
    return [images(d, g), g.kernel, g.stride, g.padding, g.dilation]


def rolling_up(d: Draws) -> list[Any]:
    g = geometry(d)
    return [d.array((g.C, *g.kernel, *g.output, g.N)), g.image, g.stride, g.padding, g.dilation]


def convolution(d: Draws) -> tuple[Geometry, int, Drawn, Drawn, Drawn]:
    """The geometry, the groups, and x, weight and dy that fit."""
    groups, CG, OG = d.choice(1, 2, 3), d.choice(1, 2), d.choice(1, 2, 3)
    g = geometry(d, C=groups * CG)
    return g, groups, images(d, g), d.array((groups * OG, CG, *g.kernel)), results(d, g, groups * OG)


def forward_convolution(d: Draws) -> list[Any]:
    g, groups, x, weight, _ = convolution(d)
    bias = d.array(weight.values.shape[:1]) if d.choice(True, False) else None
    return [x, weight, bias, g.stride, g.padding, g.dilation, groups]


def convolution_by_input(d: Draws) -> list[Any]:
    g, groups, _, weight, dy = convolution(d)
    return [dy, weight, g.image, g.stride, g.padding, g.dilation, groups]


def convolution_by_weight(d: Draws) -> list[Any]:
    g, groups, x, _, dy = convolution(d)
    return [dy, x, g.kernel, g.stride, g.padding, g.dilation, groups]


def average(d: Draws) -> list[Any]:
    g = geometry(d, pooling=True)
    return [images(d, g), g.kernel, g.stride, g.padding, d.choice(True, False)]


def average_back(d: Draws) -> list[Any]:
    g = geometry(d, pooling=True)
    return [results(d, g), g.image, g.kernel, g.stride, g.padding, d.choice(True, False)]


def maximum(d: Draws) -> list[Any]:
    g = geometry(d, pooling=True)
    return [images(d, g), g.kernel, g.stride, g.padding]


def winners_of(d: Draws, g: Geometry) -> np.ndarray:
    """Some pixel of each window, as the places i KW + j that max_pool2d would return."""
    winners = np.empty((g.N, g.C, *g.output), np.int32)
    rng = np.random.default_rng(d.integer(0, 99))
    for n, c, p, q in np.ndindex(*winners.shape):
        pixels = list(window(p, q, g.image, g.kernel, g.stride, g.padding))
        i, j, _, _ = pixels[rng.integers(len(pixels))]
        winners[n, c, p, q] = i * g.kernel[1] + j
    return winners


def gathering(d: Draws) -> list[Any]:
    g = geometry(d, pooling=True)
    return [images(d, g), winners_of(d, g), g.kernel, g.stride, g.padding]


def scattering(d: Draws) -> list[Any]:
    g = geometry(d, pooling=True)
    return [results(d, g), winners_of(d, g), g.image, g.kernel, g.stride, g.padding]


def matrices(d: Draws) -> list[Any]:
    batch, (I, J, K) = d.shape(max_dims=2), (d.size(), d.size(), d.size())
    return [d.array((*d.partner(batch), I, J)), d.array((*d.partner(batch), J, K))]


def affine(d: Draws) -> list[Any]:
    I, O = d.size(), d.size()
    bias = d.array((O,)) if d.choice(True, False) else None
    return [d.array((*d.shape(max_dims=2), I)), d.array((O, I)), bias]


def affine_back(d: Draws) -> list[Any]:
    R = d.size()
    return [d.array((R, d.size())), d.array((R, d.size()))]


def linear_grad_weight(dy: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return reference.matmul(dy.T, x), reference.reduction(math.fsum)(dy, (0,))


def labels_of(d: Draws, N: int, K: int) -> np.ndarray:
    return np.array([d.integer(0, K - 1) for _ in range(N)], d.choice("int64", "int32", "uint8"))


def classified(d: Draws) -> list[Any]:
    N, K = d.size(), d.integer(1, 5)
    return [d.array((N, K)), labels_of(d, N, K)]


def classified_back(d: Draws) -> list[Any]:
    N, K = d.size(), d.integer(1, 5)
    return [d.array(d.choice((N,), ())), d.array((N, K), 0.0, 1.0), labels_of(d, N, K)]


def some_images(d: Draws) -> tuple[int, int, int, int]:
    return d.integer(1, 3), d.integer(1, 3), d.integer(1, 4), d.integer(1, 4)


def channel_moments(x):
    mean = reference.reduction(math.fsum)(x, (0, 2, 3)) / (x.size // x.shape[1])
    return mean, reference.reduction(math.fsum)((x - mean[:, None, None]) ** 2, (0, 2, 3)) / (x.size // x.shape[1])


def normalizing(d: Draws) -> list[Any]:
    shape = some_images(d)
    C = shape[1]
    return [d.array(shape), d.array((C,)), d.array((C,), 0.5, 2.0), d.array((C,)), d.array((C,))]


def channel_norm(x, mean, deviation, weight, bias):
    y = np.empty(x.shape)
    for n, c, h, w in np.ndindex(*x.shape):
        y[n, c, h, w] = (x[n, c, h, w] - mean[c]) / deviation[c] * weight[c] + bias[c]
    return y


def normalizing_back(d: Draws) -> list[Any]:
    shape = some_images(d)
    C = shape[1]
    return [d.array(shape), d.array(shape), d.array((C,)), d.array((C,), 0.5, 2.0), d.array((C,))]


def channel_norm_grad(dy, x, mean, deviation, weight):
    dx, dweight, dbias, count = np.empty(x.shape), np.zeros(len(mean)), np.zeros(len(mean)), x.size // x.shape[1]
    z = channel_norm(x, mean, deviation, np.ones(len(mean)), np.zeros(len(mean)))
    for n, c, h, w in np.ndindex(*x.shape):
        dweight[c] += dy[n, c, h, w] * z[n, c, h, w]
        dbias[c] += dy[n, c, h, w]
    for n, c, h, w in np.ndindex(*x.shape):
        rest = dy[n, c, h, w] - dbias[c] / count - z[n, c, h, w] * dweight[c] / count
        dx[n, c, h, w] = rest * weight[c] / deviation[c]
    return dx, dweight, dbias


def gathering_images(d: Draws) -> list[Any]:
    D = d.integer(1, 5)
    images = d.array((D, d.integer(1, 3), d.integer(1, 4), d.integer(1, 4)))
    return [images, np.array([d.integer(0, D - 1) for _ in range(d.size())], np.int64)]


def weights_and_gradients(d: Draws) -> tuple[Drawn, list[Drawn]]:
    gradients = [d.array(d.shape()) for _ in range(d.integer(1, 3))]
    return d.array((sum(g.values.size for g in gradients),)), gradients


def descent(d: Draws) -> list[Any]:
    (w, gradients), nesterov = weights_and_gradients(d), d.choice(True, False)
    numbers = (
        [d.choice(0.5, 0.01), 0.9, 0.0] if nesterov else [d.choice(0.5, 0.01), d.choice(0.0, 0.9), d.choice(0.0, 0.25)]
    )
    return [w, gradients, d.choice(d.array(w.values.shape), None), *numbers, d.choice(0.0, 0.125), nesterov]


def adaptive(d: Draws) -> list[Any]:
    (w, gradients), step = weights_and_gradients(d), d.choice(1, 2, 30)
    means = [None, None] if step == 1 else [d.array(w.values.shape), d.array(w.values.shape, 0.0, 4.0)]
    betas = d.choice((0.9, 0.999), (0.5, 0.75), (0.0, 0.0))
    return [w, gradients, *means, step, 0.01, betas, 0.125, d.choice(0.0, 0.125), d.choice(True, False)]


def with_slope(draw: Callable[[Draws], list[Any]]) -> Callable[[Draws], list[Any]]:
    return lambda d: [*draw(d), d.choice(0.01, 0.25, 0.0, -0.5)]


KERNELS: dict[str, tuple[Callable[[Draws], list[Any]], Callable[..., Any]]] = {
    "sigmoid": (one, elementwise(reference.sigmoid)),
    "sigmoid_grad": (two, elementwise(lambda dy, y: dy * y * (1 - y))),
    "tanh": (one, elementwise(math.tanh)),
    "tanh_grad": (two, elementwise(lambda dy, y: dy * (1 - y * y))),
    "relu": (one, elementwise(lambda x: max(x, 0.0))),
    "relu_grad": (two, elementwise(lambda dy, y: dy if y > 0 else 0.0)),
    "leaky_relu": (with_slope(one), lambda x, s: elementwise(lambda e: e if e > 0 else s * e)(x)),
    "leaky_relu_grad": (with_slope(two), lambda dy, x, s: elementwise(lambda d, e: d if e > 0 else s * d)(dy, x)),
    "softplus": (one, elementwise(reference.softplus)),
    "im2col": (unrolling, im2col),
    "col2im": (rolling_up, col2im),
    "conv2d": (forward_convolution, reference.conv2d),
    "conv2d_grad_input": (convolution_by_input, conv2d_grad_input),
    "conv2d_grad_weight": (convolution_by_weight, conv2d_grad_weight),
    "channel_moments": (lambda d: [d.array(some_images(d))], channel_moments),
    "channel_norm": (normalizing, channel_norm),
    "channel_norm_grad": (normalizing_back, channel_norm_grad),
    "avg_pool2d": (average, reference.avg_pool2d),
    "avg_pool2d_grad": (average_back, avg_pool2d_grad),
    "max_pool2d": (maximum, reference.max_pool2d_with_winners),
    "max_pool2d_gather": (gathering, max_pool2d_gather),
    "max_pool2d_scatter": (scattering, max_pool2d_scatter),
    "matmul": (matrices, reference.matmul),
    "linear": (affine, reference.linear),
    "linear_grad_weight": (affine_back, linear_grad_weight),
    "softmax_cross_entropy": (classified, softmax_cross_entropy),
    "softmax_cross_entropy_grad": (classified_back, softmax_cross_entropy_grad),
    "gather_images": (
        gathering_images,
        lambda images, indices: np.array([images[i] for i in indices]).reshape(-1, *images.shape[1:]),
    ),
    "sgd": (descent, sgd),
    "adam": (adaptive, adam),
}


def test_every_kernel_of_the_contract_is_tested() -> None:
    assert set(KERNELS) == {name for name, _ in inspect.getmembers(contract, inspect.isfunction)}


@st.composite
def arguments(draw, of: Callable[[Draws], list[Any]]) -> list[Any]:
    return of(Draws(draw, smooth=False))


def each(value: Any, kind: type, turned: Callable[[Any], Any]) -> Any:
    """The value turned where it is of that kind; in lists each of them."""
    if isinstance(value, list):
        return [each(item, kind, turned) for item in value]
    return turned(value) if isinstance(value, kind) else value


def as_arrays(values: list[Any], dtype: str) -> list[Any]:
    return each(values, Drawn, lambda drawn: drawn.array(dtype))


def as_values(values: list[Any]) -> list[Any]:
    return each(values, Drawn, lambda drawn: drawn.values)


def kernel(backend: str, name: str) -> Callable[..., Any]:
    return getattr(KernelsOnHost(backend), name)


def assert_close(actual: Any, expected: np.ndarray, dtype: str) -> None:
    expected = np.asarray(expected)
    assert actual.shape == expected.shape
    if expected.dtype.kind in "iu":
        np.testing.assert_array_equal(actual, expected)
    else:
        assert actual.dtype == dtype
        largest = np.abs(expected).max(initial=1.0)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=256 * np.finfo(dtype).eps * largest)


@pytest.mark.parametrize("name", KERNELS)
@each_dtype
@given(data=st.data())
def test_kernels_equal_their_loops_and_are_pure(name: str, dtype: str, backend: str, data) -> None:
    draw, loops = KERNELS[name]
    on, drawn = get_backend(backend), data.draw(arguments(draw))
    inputs: list[Any] = []
    args = each(as_arrays(drawn, dtype), np.ndarray, lambda array: placed(array, on))
    each(args, on.xp.ndarray, inputs.append)
    before = [array.tobytes() for array in inputs]

    results = getattr(on.kernels, name)(*args)
    expected = loops(*as_values(drawn))
    if isinstance(expected, tuple):
        assert isinstance(results, tuple)
    else:
        results, expected = (results,), (expected,)
    for actual, wanted in zip(results, expected, strict=True):
        if wanted is None:
            assert actual is None
            continue
        assert_close(on.to_numpy(on.xp.asarray(actual)), wanted, dtype)  # NumPy makes scalars of 0-d results
        assert not any(on.xp.shares_memory(actual, array) for array in inputs), "a result is a view of an input"
    assert [array.tobytes() for array in inputs] == before, "an input was changed"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("D", "C", "H", "W", "N"),
    [
        *((5, 1, 28, 28, 9), (300, 2, 9, 8, 130), (40, 1, 5, 7, 33)),
        *((1, 3, 1, 1, 2), (2, 5, 13, 1, 3), (3, 1, 2, 2, 0)),
        *((40, 1, 3, 3, 33), (20, 1, 7, 10, 16)),  # fewer pixels, or behind the first 64, than registers have lanes
    ],
)
def test_bytes_become_float32_when_gathered(D, C, H, W, N, layout: str, backend: str) -> None:
    rng = np.random.default_rng(0)
    values, indices = rng.integers(0, 256, (D, C, H, W)), rng.integers(0, D, N)
    images = placed(laid_out(values, layout, np.uint8), backend)
    batch = get_backend(backend).to_numpy(kernel(backend, "gather_images")(images, placed(indices, backend)))
    assert batch.dtype == np.float32
    np.testing.assert_array_equal(batch, values[indices].astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("padding", [(0, 0), (1, 0), (0, 2), (2, 3)])
def test_an_image_is_padded_on_each_side_and_cropped_again(padding: tuple[int, int]) -> None:
    x, (PH, PW) = random(2, 3, 4, 5), padding
    padded = layout.pad_image(x, padding, fill=7.0)
    np.testing.assert_array_equal(padded, np.pad(x, ((0, 0), (PH, PH), (PW, PW), (0, 0)), constant_values=7.0))
    np.testing.assert_array_equal(layout.crop_image(padded, padding), x)


# ------------------------------------------------------------------------------------------------------ adjoint kernels


def inner(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    return float(np.sum(a * b))


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape)


geometries = st.composite(lambda draw, pooling=False: geometry(Draws(draw, smooth=True), pooling))


@given(g=geometries())
def test_col2im_is_the_adjoint_of_im2col(backend: str, g: Geometry) -> None:
    """<im2col(x), c> = <x, col2im(c)>"""
    moves = g.stride, g.padding, g.dilation
    x, c = random(g.N, g.C, *g.image), random(g.C, *g.kernel, *g.output, g.N)
    left = inner(kernel(backend, "im2col")(x, g.kernel, *moves), c)
    assert left == pytest.approx(inner(x, kernel(backend, "col2im")(c, g.image, *moves)), rel=1e-10, abs=1e-10)


@given(data=st.data())
def test_the_three_convolutions_are_one_bilinear_map_and_its_adjoints(backend: str, data) -> None:
    """<w * x + b, d> = <x, grad_input(d, w)> + <b, g> = <w, G> + <b, g> with (G, g) = grad_weight(d, x)"""
    g, groups, x, weight, dy = data.draw(st.composite(lambda draw: convolution(Draws(draw, smooth=True)))())
    moves = g.stride, g.padding, g.dilation, groups
    x, w, d = (drawn.array("float64") for drawn in (x, weight, dy))
    bias = random(len(w))
    product = inner(kernel(backend, "conv2d")(x, w, bias, *moves), d)
    dweight, dbias = kernel(backend, "conv2d_grad_weight")(d, x, g.kernel, *moves)
    by_input = inner(x, kernel(backend, "conv2d_grad_input")(d, w, g.image, *moves)) + inner(bias, dbias)
    by_weight = inner(w, dweight) + inner(bias, dbias)
    assert by_input == pytest.approx(product, rel=1e-10, abs=1e-10)
    assert by_weight == pytest.approx(product, rel=1e-10, abs=1e-10)


@given(g=geometries(pooling=True), count_include_pad=st.booleans())
def test_spreading_is_the_adjoint_of_average_pooling(backend: str, g: Geometry, count_include_pad: bool) -> None:
    window_moves = g.kernel, g.stride, g.padding, count_include_pad
    x, d = random(g.N, g.C, *g.image), random(g.N, g.C, *g.output)
    left = inner(kernel(backend, "avg_pool2d")(x, *window_moves), d)
    right = inner(x, kernel(backend, "avg_pool2d_grad")(d, g.image, *window_moves))
    assert left == pytest.approx(right, rel=1e-10, abs=1e-10)


@given(g=geometries(pooling=True))
def test_the_scatter_of_max_pooling_is_the_adjoint_of_its_gather(backend: str, g: Geometry) -> None:
    window_moves = g.kernel, g.stride, g.padding
    x, d = random(g.N, g.C, *g.image), random(g.N, g.C, *g.output)
    y, winners = kernel(backend, "max_pool2d")(x, *window_moves)
    gathered = kernel(backend, "max_pool2d_gather")(x, winners, *window_moves)
    np.testing.assert_array_equal(gathered, y)
    scattered = kernel(backend, "max_pool2d_scatter")(d, winners, g.image, *window_moves)
    assert inner(gathered, d) == pytest.approx(inner(x, scattered), rel=1e-10, abs=1e-10)
