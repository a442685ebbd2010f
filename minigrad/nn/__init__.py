"""Layers, and what they are made of.

Start at module.py: Module finds the parameters among its attributes. parameter.py and lazy.py hold the weights and the
layers that wait for a first batch; containers.py, linear.py, conv.py, pooling.py, activation.py, regularization.py and
loss.py the layers; init.py the starting values; functional.py the operations; utils.py the clipping of gradients.
"""

from . import functional, init, utils
from .activation import LeakyReLU, ReLU, Sigmoid, Softmax, Softplus, Tanh
from .containers import ModuleList, Sequential
from .conv import Conv2d
from .lazy import LazyConv2d, LazyLinear
from .linear import Flatten, Identity, Linear
from .loss import CrossEntropyLoss, MSELoss
from .module import Module
from .parameter import Parameter, UninitializedParameter
from .pooling import AvgPool2d, MaxPool2d
from .regularization import BatchNorm2d, Dropout

__all__ = [
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "Identity",
    "LazyConv2d",
    "LazyLinear",
    "LeakyReLU",
    "Linear",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "ModuleList",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "UninitializedParameter",
    "functional",
    "init",
    "utils",
]
