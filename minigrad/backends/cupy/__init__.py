"""NVIDIA GPUs: kernels as CUDA C in the .cu files here; matrix products by cuBLAS, normalisation by CuPy itself."""

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
from .device import check_device as check_device
from .images import gather_images
from .linear import linear, linear_grad_weight, matmul
from .loss import softmax_cross_entropy, softmax_cross_entropy_grad
from .normalization import channel_moments, channel_norm, channel_norm_grad
from .optimizer import adam, sgd
from .pool import avg_pool2d, avg_pool2d_grad, max_pool2d, max_pool2d_gather, max_pool2d_scatter

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
