"""Wrong backward rules as students write them, a file a family: what a gradient checker must find. WRONG lists them."""

from . import convolution, elementwise, indexing, linear, losses, masks, pooling, recurrent, reductions, second_order
from .cases import CAUSES, UNKNOWN, WRONG, NumpyPair, OnTensors, Wrong

__all__ = ["CAUSES", "UNKNOWN", "WRONG", "NumpyPair", "OnTensors", "Wrong"]
