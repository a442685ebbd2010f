"""Every kernel a backend must offer, once: its signature, the shapes, the formula.

Nothing here runs: a test compares each backend with this file, name by name and argument by argument. A kernel is pure:
it takes arrays of its backend and returns new ones of the same dtype; it never writes into its inputs and takes them
with any strides. What needs no kernel (sums, exponentials, reshapes) operations ask of the backend's array module.

Letters, here and in every backend: N batch, C input channels, O output channels, G groups; H and W the image, KH and
KW the kernel (or pooling window), OH and OW the output, SH and SW strides, PH and PW zeros padded on each side, DH
and DW dilation. Pairs are (height, width). `d` before a name is the gradient that arrived for it.
"""

from __future__ import annotations

from typing import Any

Array = Any
Pair = tuple[int, int]

# -------------------------------------------------------------------------------------------------------- activation.py


def sigmoid(x: Array) -> Array:
    """y = 1 / (1 + exp(-x)), with no overflow for any x."""


def sigmoid_grad(dy: Array, y: Array) -> Array:
    """dx = dy * y * (1 - y), from the sigmoid's output y."""


def tanh(x: Array) -> Array:
    """y = tanh(x)"""


def tanh_grad(dy: Array, y: Array) -> Array:
    """dx = dy * (1 - y^2), from tanh's output y."""


def relu(x: Array) -> Array:
    """y = max(x, 0); a NaN stays a NaN."""


def relu_grad(dy: Array, y: Array) -> Array:
    """dx = dy where y > 0, else 0; from relu's output y."""


def leaky_relu(x: Array, negative_slope: float) -> Array:
    """y = x where x > 0, else negative_slope * x."""


def leaky_relu_grad(dy: Array, x: Array, negative_slope: float) -> Array:
    """dx = dy where x > 0, else negative_slope * dy."""


def softplus(x: Array) -> Array:
    """y = log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)), with no overflow for any x."""


# -------------------------------------------------------------------------------------------------------------- conv.py


def im2col(x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """x (N, C, H, W) -> cols (C, KH, KW, OH, OW, N), the pixel under each tap of the kernel at each place it stands:

    cols[c, i, j, p, q, n] = x[n, c, p SH + i DH - PH, q SW + j DW - PW], or 0 outside the image.
    """


def col2im(cols: Array, image: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """cols (C, KH, KW, OH, OW, N) -> (N, C, H, W), the adjoint of im2col: a pixel sums the entries copied from it."""


def conv2d(
    x: Array, weight: Array, bias: Array | None, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """x (N, C, H, W), weight (O, C/G, KH, KW), bias (O,) or None -> y (N, O, OH, OW), a cross-correlation:

    y[n, o, p, q] = bias[o] + sum over c, i, j of weight[o, c, i, j] x[n, c, p SH + i DH - PH, q SW + j DW - PW]

    where c runs over the C/G channels of o's group.
    """


def conv2d_grad_input(
    dy: Array, weight: Array, image: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """dy (N, O, OH, OW), weight (O, C/G, KH, KW) -> dx (N, C, H, W), the adjoint of conv2d in x."""


def conv2d_grad_weight(
    dy: Array, x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> tuple[Array, Array]:
    """dy (N, O, OH, OW), x (N, C, H, W) -> dweight (O, C/G, KH, KW) and dbias (O,), the adjoint of conv2d in the weight
    and the bias; dbias is the sum of dy over batch and image."""


# ----------------------------------------------------------------------------------------------------- normalization.py


def channel_moments(x: Array) -> tuple[Array, Array]:
    """x (N, C, H, W) -> mean (C,) and variance (C,) of each channel, the latter sum (x - mean)^2 / (N H W)."""


def channel_norm(x: Array, mean: Array, deviation: Array, weight: Array, bias: Array) -> Array:
    """x (N, C, H, W), all others (C,) -> y (N, C, H, W), y = (x - mean) / deviation weight + bias."""


def channel_norm_grad(dy: Array, x: Array, mean: Array, deviation: Array, weight: Array) -> tuple[Array, Array, Array]:
    """dy and x (N, C, H, W), all others (C,) -> dx (N, C, H, W), dweight (C,), dbias (C,), for mean and deviation that
    are x's own, deviation = sqrt(variance + eps). With z = (x - mean) / deviation, and sums over the channel:

    dbias = sum of dy;   dweight = sum of dy z;   dx = (dy - dbias / (N H W) - z dweight / (N H W)) weight / deviation
    """


# -------------------------------------------------------------------------------------------------------------- pool.py


def avg_pool2d(x: Array, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool) -> Array:
    """x (N, C, H, W) -> y (N, C, OH, OW), each window's sum over its size, or over its pixels inside the image where
    count_include_pad is false."""


def avg_pool2d_grad(
    dy: Array, image: Pair, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool
) -> Array:
    """dy (N, C, OH, OW) -> dx (N, C, H, W), the adjoint of avg_pool2d: each gradient is spread over its window."""


def max_pool2d(x: Array, kernel: Pair, stride: Pair, padding: Pair) -> tuple[Array, Array]:
    """x (N, C, H, W) -> y (N, C, OH, OW) and winners (N, C, OH, OW) int32.

    A winner is the place i KW + j in its window of the first maximum in row-major order; padding never wins, and a NaN
    beats every number.
    """


def max_pool2d_gather(x: Array, winners: Array, kernel: Pair, stride: Pair, padding: Pair) -> Array:
    """x (N, C, H, W), winners (N, C, OH, OW) -> (N, C, OH, OW), the pixel of x that each winner points at."""


def max_pool2d_scatter(dy: Array, winners: Array, image: Pair, kernel: Pair, stride: Pair, padding: Pair) -> Array:
    """dy (N, C, OH, OW), winners likewise -> dx (N, C, H, W), the adjoint of the gather: winners sum their dy."""


# ------------------------------------------------------------------------------------------------------------ linear.py


def matmul(a: Array, b: Array) -> Array:
    """a (..., I, J), b (..., J, K) -> y (..., I, K), the matrix product over the last two axes; others broadcast."""


def linear(x: Array, weight: Array, bias: Array | None) -> Array:
    """x (..., I), weight (O, I), bias (O,) or None -> y (..., O), y = x weight^T + bias."""


def linear_grad_weight(dy: Array, x: Array) -> tuple[Array, Array]:
    """dy (R, O), x (R, I) -> dweight (O, I) = dy^T x and dbias (O,), the sum of dy's rows: the adjoint of linear in
    weight and bias."""


# -------------------------------------------------------------------------------------------------------------- loss.py


def softmax_cross_entropy(logits: Array, labels: Array) -> tuple[Array, Array]:
    """logits (N, K), labels (N,) integers in [0, K) -> losses (N,) and probabilities (N, K).

    losses[n] = log(sum over k of exp(logits[n, k])) - logits[n, labels[n]], probabilities = softmax(logits); both are
    computed from logits less their row's maximum, so nothing overflows.
    """


def softmax_cross_entropy_grad(dlosses: Array, probabilities: Array, labels: Array) -> Array:
    """dlogits (N, K) = dlosses[n] * (probabilities[n, k] - (1 if k is labels[n] else 0))

    dlosses: (N,), or () where it is the same for all rows.
    """


# ------------------------------------------------------------------------------------------------------------ images.py


def gather_images(images: Array, indices: Array) -> Array:
    """images (D, C, H, W), indices (N,) int64 in [0, D) -> the batch (N, C, H, W), batch[n] = images[indices[n]].

    Bytes become float32, divided by 255; floating images keep their dtype.
    """


# --------------------------------------------------------------------------------------------------------- optimizer.py


def sgd(
    w: Array,
    gradients: list[Array],
    v: Array | None,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
) -> tuple[Array, Array | None]:
    """Weights w, velocities v (P,) and gradients g, P numbers in arrays of any shapes -> the next w and v; v is None
    before the first step, and None comes back where momentum is 0.

    g' = g + weight_decay w;   v' = momentum v + (1 - dampening) g', at the first step g'
    w' = w - lr v', with nesterov w - lr (g' + momentum v'), with no momentum w - lr g'
    """


def adam(
    w: Array,
    gradients: list[Array],
    m: Array | None,
    v: Array | None,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    decoupled: bool,
) -> tuple[Array, Array, Array]:
    """Weights w, gradients g as above, running means m of g and v of g^2 (P,) -> the next w, m and v; m and v are None,
    for 0, before the first step, which is step 1.

    g' = g + weight_decay w, or where decoupled g and w becomes (1 - lr weight_decay) w
    m' = beta1 m + (1 - beta1) g';   v' = beta2 v + (1 - beta2) g'^2
    w' = w - lr m' / (1 - beta1^step) / (sqrt(v' / (1 - beta2^step)) + eps)
    """
