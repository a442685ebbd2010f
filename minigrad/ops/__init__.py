"""The operations: in each file the formula, the forward pass and the backward rule side by side.

A new one of existing array functions goes into the file of its family, and into the test table tests/op_cases.py. One
with kernels also into backends/contract.py and each backend. The two tables below make operations methods of Tensor.
"""

from collections.abc import Callable
from typing import Any

from ..autograd import is_grad_enabled
from ..tensor import Tensor
from .activation import leaky_relu, relu, sigmoid, softplus, tanh
from .arithmetic import add, div, maximum, minimum, mul, neg, pow, sub
from .conv import conv2d
from .elementwise import abs, astype, cos, exp, log, sin, sqrt, to
from .indexing import getitem
from .linear import linear, matmul
from .loss import cross_entropy, mse_loss
from .operands import is_operand
from .pool import avg_pool2d, max_pool2d
from .reduction import log_softmax, logsumexp, max, mean, min, softmax, sum, var
from .regularization import batch_norm, dropout
from .selection import (
    argmax,
    argmin,
    clip,
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    not_equal,
    where,
)
from .shape import broadcast_to, concatenate, flatten, pad, reshape, squeeze, stack, transpose, unsqueeze


def _in_place(operation: Callable[[Tensor, Any], Tensor]) -> Callable[[Tensor, Any], Tensor]:
    """The operator with `=` behind it: the name is bound to a new tensor, but for a leaf that requires a gradient.

    Under `no_grad`, such a leaf is given the new array, so that `p -= lr * p.grad` is a training step.
    """

    def operator(x: Tensor, other: Any) -> Tensor:
        if not (x.is_leaf and x.requires_grad):
            return operation(x, other)
        if is_grad_enabled():
            raise RuntimeError(
                f"{operation.__name__}: a leaf that requires a gradient can't be changed while recording; "
                f"write x = x + ... for a new tensor, or update it under no_grad()"
            )
        x.data = operation(x, other).data
        return x

    return operator


TENSOR_OPERATORS = {
    "__add__": add,
    "__radd__": lambda b, a: add(a, b),
    "__sub__": sub,
    "__rsub__": lambda b, a: sub(a, b),
    "__mul__": mul,
    "__rmul__": lambda b, a: mul(a, b),
    "__truediv__": div,
    "__rtruediv__": lambda b, a: div(a, b),
    "__pow__": pow,
    "__rpow__": lambda b, a: pow(a, b),
    "__matmul__": matmul,
    "__rmatmul__": lambda b, a: matmul(a, b),
    "__iadd__": _in_place(add),
    "__isub__": _in_place(sub),
    "__imul__": _in_place(mul),
    "__itruediv__": _in_place(div),
    "__ipow__": _in_place(pow),
    "__imatmul__": _in_place(matmul),
    "__neg__": neg,
    "__abs__": abs,
    "__getitem__": getitem,
    "__eq__": lambda a, b: equal(a, b) if is_operand(b) else NotImplemented,  # Python then compares by identity
    "__ne__": lambda a, b: not_equal(a, b) if is_operand(b) else NotImplemented,
    "__lt__": less,
    "__le__": less_equal,
    "__gt__": greater,
    "__ge__": greater_equal,
    "__and__": logical_and,
    "__rand__": lambda b, a: logical_and(a, b),
    "__or__": logical_or,
    "__ror__": lambda b, a: logical_or(a, b),
    "__xor__": logical_xor,
    "__rxor__": lambda b, a: logical_xor(a, b),
    "__invert__": logical_not,
    "T": property(lambda x: transpose(x), doc="The tensor with its axes reversed."),
}

TENSOR_METHODS = (
    *(abs, argmax, argmin, astype, broadcast_to, clip, cos, exp, flatten, leaky_relu, log, log_softmax, logsumexp, max),
    *(
        mean,
        min,
        relu,
        reshape,
        sigmoid,
        sin,
        softmax,
        softplus,
        sqrt,
        squeeze,
        sum,
        tanh,
        to,
        transpose,
        unsqueeze,
        var,
    ),
)

for _name, _operator in TENSOR_OPERATORS.items():
    setattr(Tensor, _name, _operator)
for _method in TENSOR_METHODS:
    setattr(Tensor, _method.__name__, _method)

__all__ = [
    "abs",
    "add",
    "argmax",
    "argmin",
    "astype",
    "avg_pool2d",
    "batch_norm",
    "broadcast_to",
    "clip",
    "concatenate",
    "conv2d",
    "cos",
    "cross_entropy",
    "div",
    "dropout",
    "equal",
    "exp",
    "flatten",
    "getitem",
    "greater",
    "greater_equal",
    "leaky_relu",
    "less",
    "less_equal",
    "linear",
    "log",
    "log_softmax",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logsumexp",
    "matmul",
    "max",
    "max_pool2d",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mse_loss",
    "mul",
    "neg",
    "not_equal",
    "pad",
    "pow",
    "relu",
    "reshape",
    "sigmoid",
    "sin",
    "softmax",
    "softplus",
    "sqrt",
    "squeeze",
    "stack",
    "sub",
    "sum",
    "tanh",
    "to",
    "transpose",
    "unsqueeze",
    "var",
    "where",
]
