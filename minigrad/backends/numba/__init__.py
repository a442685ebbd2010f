"""The fast CPU backend: kernels compiled by numba, over the same NumPy arrays and in the same files as the reference.

Each kernel's twin in backends/numpy says the same in a few lines of NumPy; read that first. What is not faster here is
the reference's own. Compiled code is kept on disk, so only the first run on a machine waits for the compiler.
"""

from .activation import (
    leaky_relu,
    leaky_relu_grad,
    relu,
    relu_grad,
    sigmoid,
    sigmoid_grad,
    softplus,
    tanh,
    tanh_grad,
)
from .conv import col2im, conv2d, conv2d_grad_input, conv2d_grad_weight, im2col
from .images import gather_images
from .linear import linear, linear_grad_weight, matmul
from .loss import softmax_cross_entropy, softmax_cross_entropy_grad
from .memory import keep_freed_memory
from .normalization import channel_moments, channel_norm, channel_norm_grad
from .optimizer import adam, sgd
from .pool import avg_pool2d, avg_pool2d_grad, max_pool2d, max_pool2d_gather, max_pool2d_scatter
from .threads import get_num_threads as get_num_threads
from .threads import set_num_threads as set_num_threads

keep_freed_memory()

__all__ = [
    "adam",
    "avg_pool2d",
    "avg_pool2d_grad",
    "channel_moments",
    "channel_norm",
    "channel_norm_grad",
    "col2im",
    "conv2d",
    "conv2d_grad_input",
    "conv2d_grad_weight",
    "gather_images",
    "im2col",
    "leaky_relu",
    "leaky_relu_grad",
    "linear",
    "linear_grad_weight",
    "matmul",
    "max_pool2d",
    "max_pool2d_gather",
    "max_pool2d_scatter",
    "relu",
    "relu_grad",
    "sgd",
    "sigmoid",
    "sigmoid_grad",
    "softmax_cross_entropy",
    "softmax_cross_entropy_grad",
    "softplus",
    "tanh",
    "tanh_grad",
]
