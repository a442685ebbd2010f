"""Kernels where small random inputs do not reach: ties, NaN, infinities, arrays larger than a block, threads.

The kernels' ordinary behaviour is tested in test_kernels.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from placing import KernelsOnHost
from test_kernels import adam

from minigrad.backends import get_backend

each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def kernel(backend: str, name: str) -> Callable[..., Any]:
    return getattr(KernelsOnHost(backend), name)


# ---------------------------------------------------------------------------------------------------- hard cases of max


@each_dtype
@pytest.mark.parametrize(
    ("kernel_size", "stride", "padding"),
    [
        *(((2, 2), (2, 2), (0, 0)), ((3, 2), (1, 2), (1, 1)), ((3, 3), (2, 1), (1, 0)), ((3, 5), (2, 2), (1, 2))),
        *(((5, 2), (1, 1), (2, 0)), ((2, 5), (1, 1), (0, 2))),
    ],
)
@pytest.mark.parametrize("images", [9, 72, 100, 141])  # a rest of half a register; 141 are two broad tiles, and a rest
def test_max_pooling_of_ties_nan_and_infinities(
    dtype: str, backend: str, kernel_size, stride, padding, images: int
) -> None:
    values = [0.0, 1.0, -math.inf, -math.inf, math.inf, math.nan]
    x = np.random.default_rng(0).choice(values, (2, 5, 7, images)).astype(dtype).transpose(3, 0, 1, 2)
    y, winners = kernel(backend, "max_pool2d")(x, kernel_size, stride, padding)
    expected, places = reference.max_pool2d_with_winners(x.astype(float), kernel_size, stride, padding)
    np.testing.assert_array_equal(y, expected.astype(dtype))
    np.testing.assert_array_equal(winners, places)
    assert winners.dtype == np.int32


@each_dtype
@pytest.mark.parametrize(
    ("kernel_size", "stride", "padding"),
    [
        *(((2, 2), (2, 2), (0, 0)), ((2, 2), (1, 3), (1, 1)), ((3, 2), (1, 2), (1, 1)), ((2, 3), (2, 1), (1, 0))),
        *(((5, 2), (1, 1), (2, 0)), ((2, 5), (1, 1), (0, 2))),
    ],
)
@pytest.mark.parametrize("images", [9, 72, 100, 141])
def test_averages_of_nan_and_infinities(dtype: str, backend: str, kernel_size, stride, padding, images: int) -> None:
    values = [*np.arange(-8, 9) / 4, math.inf, math.nan]
    x = np.random.default_rng(0).choice(values, (2, 5, 7, images)).astype(dtype).transpose(3, 0, 1, 2)
    for inside in (True, False):
        y = kernel(backend, "avg_pool2d")(x, kernel_size, stride, padding, inside)
        expected = reference.avg_pool2d(x.astype(float), kernel_size, stride, padding, inside)
        assert y.dtype == dtype
        np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)
        assert np.isfinite(y).mean() > 0.1


def test_where_all_is_minus_infinity_the_first_pixel_inside_wins_not_the_padding(backend: str) -> None:
    x = np.full((1, 1, 2, 2), -math.inf)
    y, winners = kernel(backend, "max_pool2d")(x, (2, 2), (1, 1), (1, 1))
    assert (y == -math.inf).all()
    assert winners[0, 0].tolist() == [[3, 2, 2], [1, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize(
    ("kernel_size", "stride", "padding"),
    [((3, 2), (1, 2), (1, 0)), ((2, 3), (2, 1), (0, 1)), ((4, 4), (2, 1), (2, 1)), ((4, 5), (1, 2), (1, 2))],
)
def test_the_first_pixel_inside_is_known_for_every_window(backend: str, kernel_size, stride, padding) -> None:
    x = np.full((2, 1, 5, 6), -math.inf)
    _, winners = kernel(backend, "max_pool2d")(x, kernel_size, stride, padding)
    np.testing.assert_array_equal(winners, reference.max_pool2d_with_winners(x, kernel_size, stride, padding)[1])


@each_dtype
def test_the_gradients_of_a_normalized_channel_are_sums_over_all_of_it(dtype: str, backend: str) -> None:
    """2,500 numbers, which are summed in several pieces; small binary fractions, so that the sums are exact."""
    dy, x = (np.random.default_rng(seed).integers(-8, 9, (2, 25, 20, 5)) / 8 for seed in (0, 1))
    mean, deviation, weight = np.array([[0.25, -0.5], [2.0, 0.5], [1.0, 3.0]]).astype(dtype)
    images = [images.astype(dtype).transpose(3, 0, 1, 2) for images in (dy, x)]
    _, dweight, dbias = kernel(backend, "channel_norm_grad")(*images, mean, deviation, weight)
    np.testing.assert_array_equal(dbias, dy.sum(axis=(1, 2, 3)))
    np.testing.assert_array_equal(dweight, (dy * (x - mean[:, None, None, None])).sum(axis=(1, 2, 3)) / deviation)


@pytest.mark.parametrize(("kernel_size", "stride"), [((3, 5), (1, 2)), ((5, 3), (2, 1)), ((4, 5), (3, 2))])
def test_a_pixel_gets_the_gradients_of_all_windows_that_it_won(backend: str, kernel_size, stride) -> None:
    x, padding = np.random.default_rng(0).permutation(2 * 63).reshape(1, 2, 7, 9).astype(float), (1, 1)
    _, winners = kernel(backend, "max_pool2d")(x, kernel_size, stride, padding)
    dy, expected = np.random.default_rng(1).integers(1, 9, winners.shape).astype(float), np.zeros(x.shape)
    for n, c, p, q in np.ndindex(*winners.shape):
        i, j = divmod(int(winners[n, c, p, q]), kernel_size[1])
        expected[n, c, p * stride[0] + i - padding[0], q * stride[1] + j - padding[1]] += dy[n, c, p, q]
    dx = kernel(backend, "max_pool2d_scatter")(dy, winners, (7, 9), kernel_size, stride, padding)
    np.testing.assert_array_equal(dx, expected)


@each_dtype
@pytest.mark.parametrize("kernel_size", [(2, 2), (1, 2), (2, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize("images", [1, 8, 9, 16, 72, 141])
def test_windows_that_tile_the_image_pass_gradients_on(dtype: str, backend: str, kernel_size, images: int) -> None:
    rng, (KH, KW) = np.random.default_rng(images), kernel_size
    dy = rng.choice([1.5, -0.25, 0.0, math.inf, math.nan], (images, 3, 4, 5)).astype(dtype)
    winners = rng.integers(0, KH * KW, dy.shape, np.int32)
    window, image = (kernel_size, kernel_size, (0, 0)), (4 * KH, 5 * KW)
    everywhere = dy.repeat(KH, axis=2).repeat(KW, axis=3)
    share = np.asarray(1 / (KH * KW), dtype)
    dx = kernel(backend, "avg_pool2d_grad")(dy, image, *window, True)
    np.testing.assert_array_equal(dx, everywhere * share)
    place = np.tile(np.arange(KH * KW).reshape(KH, KW), (4, 5))
    won = winners.repeat(KH, axis=2).repeat(KW, axis=3) == place
    dx = kernel(backend, "max_pool2d_scatter")(dy, winners, image, *window)
    np.testing.assert_array_equal(dx, np.where(won, everywhere, 0))


@pytest.mark.parametrize(
    ("kernel_size", "stride", "padding", "image"),
    [
        *(((2, 3), (2, 3), (0, 0), (3, 3)), ((3, 2), (3, 2), (0, 0), (3, 3)), ((3, 3), (3, 3), (1, 1), (6, 6))),
        *(((3, 2), (3, 2), (1, 0), (6, 4)), ((2, 3), (2, 3), (0, 1), (4, 6)), ((4, 1), (3, 1), (0, 0), (8, 5))),
    ],
)
@pytest.mark.parametrize("padded", [True, False])
def test_windows_that_nearly_tile_the_image(backend: str, kernel_size, stride, padding, image, padded: bool) -> None:
    (KH, KW), window = kernel_size, (kernel_size, stride, padding)
    output = reference.output_size(image, kernel_size, stride, padding, (1, 1))
    dy = np.random.default_rng(0).integers(1, 9, (2, 3, *output)) * 1.0
    average, maximum = np.zeros((2, 3, *image)), np.zeros((2, 3, *image))
    winners = np.empty(dy.shape, np.int32)
    for p, q in np.ndindex(*output):
        top, left = p * stride[0] - padding[0], q * stride[1] - padding[1]
        pixels = [(h, w) for h, w in np.ndindex(*image) if 0 <= h - top < KH and 0 <= w - left < KW]
        for h, w in pixels:
            average[:, :, h, w] += dy[:, :, p, q] / (KH * KW if padded else len(pixels))
        h, w = pixels[-1]
        winners[:, :, p, q] = (h - top) * KW + w - left
        maximum[:, :, h, w] += dy[:, :, p, q]
    np.testing.assert_allclose(kernel(backend, "avg_pool2d_grad")(dy, image, *window, padded), average, rtol=1e-12)
    np.testing.assert_array_equal(kernel(backend, "max_pool2d_scatter")(dy, winners, image, *window), maximum)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softplus", "relu"])
@each_dtype
def test_activations_of_extreme_numbers(name: str, dtype: str, backend: str) -> None:
    tiny = float(np.finfo(dtype).tiny)
    x = np.array([-math.inf, -1e5, -90.0, -tiny, 0.0, tiny, 90.0, 1e5, math.inf, math.nan], dtype)
    y = kernel(backend, name)(x)
    expected = {
        "sigmoid": [0, 0, math.exp(-90), 0.5, 0.5, 0.5, 1, 1, 1, math.nan],
        "tanh": [-1, -1, -1, -tiny, 0, tiny, 1, 1, 1, math.nan],
        "softplus": [0, 0, math.exp(-90), math.log(2), math.log(2), math.log(2), 90, 1e5, math.inf, math.nan],
        "relu": [0, 0, 0, 0, 0, tiny, 90, 1e5, math.inf, math.nan],
    }[name]
    np.testing.assert_allclose(y, np.array(expected, dtype), rtol=1e-5, atol=tiny)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_relu_of_whole_numbers(dtype: str, backend: str) -> None:
    y = kernel(backend, "relu")(np.array([-2, -1, 0, 1, 3], dtype))
    assert (y.dtype, y.tolist()) == (dtype, [0, 0, 0, 1, 3])


def test_cross_entropy_of_huge_logits(backend: str) -> None:
    logits = np.array([[1e4, 0.0], [-1e4, 1e4]], np.float32)
    losses, probabilities = kernel(backend, "softmax_cross_entropy")(logits, np.array([1, 1]))
    assert losses.tolist() == [1e4, 0.0]
    assert probabilities.tolist() == [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize("lie", [np.ascontiguousarray, np.asfortranarray])
@pytest.mark.parametrize("K", [1, 2, 5, 33, 70])
@each_dtype
def test_cross_entropy_of_one_large_logit_wherever_it_is(dtype: str, K: int, lie, backend: str) -> None:
    """Were another one taken for the largest, something would overflow, or all of a row vanish."""
    row_of_each_class, labels = np.eye(K).astype(dtype), np.arange(K)
    for others, largest in ((0.0, 1e4), (-1e4, 0.0), (-2e4, -1e4)):
        logits = lie(np.where(row_of_each_class == 1, largest, others).astype(dtype))
        losses, probabilities = kernel(backend, "softmax_cross_entropy")(logits, labels)
        np.testing.assert_array_equal(probabilities, row_of_each_class)
        assert losses.tolist() == [0] * K


@pytest.mark.parametrize("labels", [(np.arange(8) % 3)[::2], np.arange(4)[::-1]])
def test_labels_may_be_apart_in_memory(labels: np.ndarray, backend: str) -> None:
    logits = np.random.default_rng(0).standard_normal((4, 5))
    for name, first in (("softmax_cross_entropy", ()), ("softmax_cross_entropy_grad", (logits[:, 0],))):
        apart, together = (kernel(backend, name)(*first, logits, given) for given in (labels, labels.copy()))
        np.testing.assert_array_equal(apart[0], together[0])


@pytest.mark.parametrize("weight_decay", [0.0, 0.125])
@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("step", [1, 2])
def test_adam_decays_weights_in_either_way(step: int, decoupled: bool, weight_decay: float, backend: str) -> None:
    w, g, m, v = (np.random.default_rng(seed).standard_normal(5) for seed in range(4))
    means = (None, None) if step == 1 else (m, v * v)
    arguments = (w, [g[:2], g[2:]], *means, step, 0.01, (0.9, 0.999), 0.125, weight_decay, decoupled)
    for new, expected in zip(kernel(backend, "adam")(*arguments), adam(*arguments), strict=True):
        np.testing.assert_allclose(new, expected, rtol=1e-12)


# --------------------------------------------------------------------------------------------------------- large arrays

N, C, O, H, W = 131, 3, 5, 17, 19  # odd sizes, more images than a block, rows longer than one


def large(*shape: int) -> np.ndarray:
    return np.random.default_rng(math.prod(shape)).standard_normal(shape)


MOVES = {"stride": (1, 1), "padding": (2, 1), "dilation": (1, 1), "groups": 1}
POOL = {"kernel": (3, 2), "stride": (2, 2), "padding": (1, 1)}

LARGE = {
    "sigmoid": lambda k: k.sigmoid(large(N, C, H, W)),
    "sigmoid_grad": lambda k: k.sigmoid_grad(large(N, C, H, W), large(N, C, H, W)),
    "tanh": lambda k: k.tanh(large(N, C, H, W)),
    "tanh_grad": lambda k: k.tanh_grad(large(N, C, H, W), large(N, C, H, W)),
    "relu": lambda k: k.relu(large(N, C, H, W)),
    "relu_grad": lambda k: k.relu_grad(large(N, C, H, W), large(N, C, H, W)),
    "leaky_relu": lambda k: k.leaky_relu(large(N, C, H, W), 0.25),
    "leaky_relu_grad": lambda k: k.leaky_relu_grad(large(N, C, H, W), large(N, C, H, W), 0.25),
    "softplus": lambda k: k.softplus(large(N * C * H * W)),
    "conv2d": lambda k: k.conv2d(large(N, C, H, W), large(O, C, 5, 4), large(O), **MOVES),
    "conv2d, strided": lambda k: k.conv2d(large(N, C, H, W), large(O, C, 5, 4), None, **MOVES | {"stride": (2, 3)}),
    "conv2d, dilated": lambda k: k.conv2d(large(N, C, H, W), large(O, C, 3, 4), None, **MOVES | {"dilation": (2, 3)}),
    "conv2d, grouped": lambda k: k.conv2d(large(N, 6, H, W), large(9, 2, 3, 3), large(9), **MOVES | {"groups": 3}),
    "by input": lambda k: k.conv2d_grad_input(large(N, O, 17, 18), large(O, C, 5, 4), (H, W), **MOVES),
    **{
        f"by {what}": lambda k, of=of: k.conv2d_grad_weight(large(N, O, 17, 18), large(N, C, H, W), (5, 4), **MOVES)[of]
        for of, what in enumerate(("weight", "bias"))
    },
    **{
        f"by {what}, many channels": lambda k, of=of: k.conv2d_grad_weight(
            large(6, 70, 9, 7), large(6, 10, H, W), (3, 4), (2, 3), (1, 2), (1, 1), 2
        )[of]
        for of, what in enumerate(("weight", "bias"))
    },
    "channel_moments": lambda k: k.channel_moments(large(N, O, H, W))[1],
    "channel_norm": lambda k: k.channel_norm(large(N, O, H, W), *(large(O) for _ in range(4))),
    "channel_norm_grad": lambda k: k.channel_norm_grad(
        large(N, O, H, W), large(N, O, H, W), *(large(O) for _ in range(3))
    )[0],
    "avg_pool2d": lambda k: k.avg_pool2d(large(N, C, H, W), **POOL, count_include_pad=False),
    "avg_pool2d_grad": lambda k: k.avg_pool2d_grad(large(N, C, 9, 10), (H, W), **POOL, count_include_pad=True),
    "avg_pool2d_grad by pixels inside": lambda k: k.avg_pool2d_grad(
        large(N, C, 9, 7), (H, W), (3, 4), (2, 3), (1, 2), count_include_pad=False
    ),
    "max_pool2d": lambda k: k.max_pool2d(large(N, C, H, W), **POOL)[0],
    "winners": lambda k: k.max_pool2d(large(N, C, H, W), **POOL)[1],
    "matmul": lambda k: k.matmul(large(7, N, 33), large(33, 65)),
    "linear": lambda k: k.linear(large(N, 400), large(120, 400), large(120)),
    "softmax_cross_entropy": lambda k: k.softmax_cross_entropy(large(N, 10), np.arange(N) % 10)[0],
    "sgd": lambda k: k.sgd(large(701), [large(700), large(1)], None, 0.1, 0.0, 0.0, 0.125, False)[0],
    "sgd with momentum": lambda k: k.sgd(large(701), [large(1), large(700)], large(701), 0.1, 0.9, 0.0, 0.125, True)[0],
    "adam": lambda k: k.adam(
        large(701), [large(7, 100), large(1)], None, None, 1, 0.1, (0.9, 0.999), 1e-8, 0.125, False
    )[0],
    "probabilities of many classes": lambda k: k.softmax_cross_entropy(large(5, 70), np.arange(5) * 17)[1],
}


@pytest.mark.parametrize("call", LARGE.values(), ids=LARGE)
def test_blocks_and_remainders_fit_together(call, backends: list[str]) -> None:
    expected = call(get_backend("numpy").kernels)
    for other in backends[1:] or pytest.skip("there is one backend on this machine"):
        np.testing.assert_allclose(call(KernelsOnHost(other)), expected, rtol=1e-9, atol=1e-9)


pairs = {at_least: st.tuples(st.integers(at_least, 3), st.integers(at_least, 3)) for at_least in (0, 1)}


@given(
    sizes=st.tuples(st.sampled_from([1, 2, 5, 16, 33, 64]), st.integers(1, 2), st.integers(3, 9), st.integers(30, 70)),
    moves=st.tuples(pairs[1], pairs[1], pairs[0], pairs[1], pairs[0]),
)
def test_weight_gradients_of_many_channels(backends: list[str], sizes, moves) -> None:
    """They have a way of their own in numba."""
    (N, G, C, O), (kernel_size, stride, padding, dilation, more) = sizes, moves
    spans = [d * (k - 1) + 1 - 2 * p for d, k, p in zip(dilation, kernel_size, padding, strict=True)]
    image = [max(span, 1) + m for span, m in zip(spans, more, strict=True)]
    output = [(size - span) // s + 1 for size, span, s in zip(image, spans, stride, strict=True)]
    dy, x = large(N, G * O, *output), large(N, G * C, *image)
    results = [
        kernel(name, "conv2d_grad_weight")(dy, x, kernel_size, stride, padding, dilation, G) for name in backends
    ]
    for result in results[1:]:
        for own, expected in zip(result, results[0], strict=True):
            np.testing.assert_allclose(own, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("call", LARGE.values(), ids=LARGE)
def test_results_do_not_depend_on_the_number_of_threads(call) -> None:
    numba = pytest.importorskip("numba", reason="the backend with threads of its own needs numba")
    kernels, all_threads = get_backend("numba").kernels, numba.get_num_threads()
    together = call(kernels)
    numba.set_num_threads(1)
    try:
        alone = call(kernels)
    finally:
        numba.set_num_threads(all_threads)
    assert alone.tobytes() == together.tobytes()


def test_the_sigmoid_is_right_to_four_units_in_the_last_place(backend) -> None:
    """In float32, relative to each value, as far down as results are normal numbers."""
    sigmoid = kernel(backend, "sigmoid")
    x = np.linspace(-87, 87, 1_000_001).astype(np.float32)
    expected = 1 / (1 + np.exp(-x.astype(np.float64)))
    difference = np.abs(sigmoid(x) - expected) / np.spacing(expected.astype(np.float32))
    assert difference.max() < 4
    far = np.array([-np.inf, -120, -104, 89, 104, np.inf], np.float32)
    assert sigmoid(far).tolist() == [0, 0, pytest.approx(0, abs=1e-44), 1, 1, 1]


@each_dtype
def test_the_exponential_of_the_sigmoid_is_right_to_a_unit_in_the_last_place(dtype: str) -> None:
    """Everywhere between two powers of two, and for each power."""
    activation = pytest.importorskip("minigrad.backends.numba.activation")
    exponential = getattr(activation, f"_exp_minus_{dtype}")
    ends = {"float32": (-88, 87), "float64": (-709, 708)}[dtype]
    x = np.concatenate([np.linspace(-0.35, 0.35, 701), np.linspace(*ends, 400)]).astype(dtype)
    expected = np.exp(-x.astype(np.longdouble))
    error = np.abs(np.array([exponential(number) for number in x]) - expected) / np.spacing(expected.astype(dtype))
    assert error.max() < 1


POLYNOMIALS = {  # powers of two, ln 2 in two parts, coefficients from the highest one on down, without their signs
    "float32": (
        range(-125, 128),
        (0.693359375, -2.12194440e-4),
        (1.3814541e-3, 8.3687455e-3, 4.1668389e-2, 1.6666521e-1, 4.9999994e-1, 1.0, 1.0),
    ),
    "float64": (
        range(-1020, 1024),
        (6.93147180369123816490e-01, 1.90821492927058770002e-10),
        [1 / math.factorial(k) for k in range(13, -1, -1)],
    ),
}


@each_dtype
def test_the_exponential_of_the_sigmoid_is_its_polynomial_bit_for_bit(dtype: str) -> None:
    """For each power of two, and for many numbers between two of them: a coefficient's last digits are seldom seen."""
    activation, number = pytest.importorskip("minigrad.backends.numba.activation"), np.dtype(dtype).type
    powers, (high, low), coefficients = POLYNOMIALS[dtype]
    in_powers = np.concatenate([np.array(powers) - 0.45, np.array(powers) + 0.45, np.linspace(-0.49, 0.49, 10_000)])
    x, n = (-in_powers * math.log(2)).astype(dtype), np.rint(in_powers).astype(dtype)
    r, p = (x + n * number(high)) + n * number(low), np.zeros_like(x)
    for coefficient in coefficients:
        p = number(coefficient) - p * r
    exponential = getattr(activation, f"_exp_minus_{dtype}")
    np.testing.assert_array_equal([exponential(argument) for argument in x], np.ldexp(p, n.astype(int)))


@pytest.mark.parametrize(("dtype", "lowest"), [("float32", -87), ("float64", -708)])
def test_the_exponential_of_the_sigmoid_falls_no_lower(dtype: str, lowest: int) -> None:
    activation, number = pytest.importorskip("minigrad.backends.numba.activation"), np.dtype(dtype).type
    exponential = getattr(activation, f"_exp_minus_{dtype}")
    assert exponential(number(math.inf)) == exponential(number(-lowest)) > 0
