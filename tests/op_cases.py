"""The table of operations: one row each, with a naive reference and a way to draw inputs. CASES, at the end, is it.

Every generic test runs over every row: test_ops_forward.py, test_ops_derivatives.py, test_ops_table.py. A new operation
needs a row here, a loop in reference.py, and nothing else to be tested. draws.py has what the rows draw with.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import reference
from draws import LAYOUTS, Drawn, Draws, laid_out
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from placing import placed
from reference import elementwise, reduction

from minigrad import Tensor, manual_seed, ops
from minigrad.backends import Backend, get_backend


class Example(NamedTuple):
    arrays: list[Drawn]
    parameters: dict[str, Any]


@dataclass(frozen=True, repr=False)
class Case:
    """A row: the operation as a function of Tensors and parameters, its reference of float64 arrays, and its inputs."""

    name: str
    op: Callable[..., Tensor]
    reference: Callable[..., np.ndarray]
    draw: Callable[[Draws], tuple[list[Drawn], dict[str, Any]]]
    keeps_dtype: bool = True

    def __repr__(self) -> str:
        return f"<row {self.name}>"

    @property
    def operation(self) -> str:
        """The public name in minigrad.ops; an operation may have several rows, `pow[number]` and `pow[tensor]`."""
        return self.name.partition("[")[0]

    def examples(self, smooth: bool) -> st.SearchStrategy[Example]:
        @st.composite
        def examples(draw: Any) -> Example:
            return Example(*self.draw(Draws(draw, smooth)))

        return examples()

    def tensors(self, example: Example, dtype: Any, backend: str, requires_grad: bool = True) -> list[Tensor]:
        """The example's arrays as tensors that keep its strides (the constructor would copy them straight)."""
        tensors = [Tensor._wrap(placed(drawn.array(dtype), backend), get_backend(backend)) for drawn in example.arrays]
        return [tensor.requires_grad_(requires_grad) for tensor in tensors]

    def expected(self, example: Example) -> np.ndarray:
        return np.asarray(self.reference(*(drawn.values for drawn in example.arrays), **example.parameters))


def cotangent(y: Tensor, seed: int) -> Tensor:
    """A random gradient for y, in small binary fractions."""
    values = np.random.default_rng(seed).integers(-64, 65, y.shape) / 64
    return Tensor(values, y.dtype, backend=y.backend)


# ---------------------------------------------------------------------------------------------- what the rows draw from


def one(low: float = -2.0, high: float = 2.0) -> Callable[[Draws], Any]:
    return lambda d: ([d.array(d.shape(), low, high)], {})


def two(d: Draws) -> Any:
    shape = d.shape()
    # On different grids, so that no two elements are within a step of a tie.
    arrays = [d.array(shape), d.array(d.partner(shape), odd=False)]
    return arrays[:: d.choice(1, -1)], {}


def division(d: Draws) -> Any:
    shape = d.shape()
    low, high = d.choice((0.5, 2.0), (-2.0, -0.5))
    return [d.array(d.partner(shape)), d.array(shape, low, high)], {}


def power_of_number(d: Draws) -> Any:
    exponent = d.choice(0, 1, 2, 3, -1, -2, 0.5, 1.5, -0.5, 2.0)
    natural = exponent >= 0 and exponent == int(exponent)
    return [d.array(d.shape(), -2.0 if natural else 0.5, 2.0)], {"exponent": exponent}


def power_of_tensor(d: Draws) -> Any:
    shape = d.shape()
    return [d.array(shape, 0.5, 2.0), d.array(d.partner(shape))], {}


def power_of_base(d: Draws) -> Any:
    return [d.array(d.shape())], {"base": d.choice(2, 0.5, 1.75)}


def leaky(d: Draws) -> Any:
    return [d.array(d.shape())], {"negative_slope": d.choice(0.01, 0.25, 0.0, -0.5)}


def clipping(d: Draws) -> Any:
    low, high = d.choice((-1.0, 0.5), (None, 0.25), (-0.5, None), (0.0, 0.0))
    return [d.array(d.shape(), odd=True)], {"low": low, "high": high}


def choosing(d: Draws) -> Any:
    shape = d.shape()
    condition = laid_out(d.booleans(d.partner(shape)), d.choice(*LAYOUTS), bool)
    return [d.array(shape), d.array(d.partner(shape))], {"condition": condition}


def reducing(nonempty: bool = True, distinct: bool = False) -> Callable[[Draws], Any]:
    def draw(d: Draws) -> Any:
        shape = d.shape()
        axis = d.axes(len(shape))
        if nonempty:
            axes = reference.axes_of(axis, len(shape))
            shape = tuple(max(size, 1) if i in axes else size for i, size in enumerate(shape))
        return [d.array(shape, distinct=distinct)], {"axis": axis, "keepdims": d.choice(False, True)}

    return draw


def variance(d: Draws) -> Any:
    arrays, parameters = reducing()(d)
    shape = arrays[0].values.shape
    n = math.prod(shape[i] for i in reference.axes_of(parameters["axis"], len(shape)))
    return arrays, {**parameters, "ddof": d.choice(0, 1) if n > 1 else 0}


def along_axis(d: Draws) -> Any:
    shape = list(d.shape(min_dims=1))
    axis = d.axis(len(shape))
    shape[axis] = max(shape[axis], 1)
    return [d.array(tuple(shape))], {"axis": axis}


def reshaping(d: Draws) -> Any:
    shape = d.shape()
    size = math.prod(shape)
    divisor = d.choice(*[k for k in range(1, size + 1) if size % k == 0] or [1])
    options = [shape[::-1], (size,), (1, size, 1), (divisor, size // divisor)]
    if size:
        options += [(-1,), (divisor, -1), (-1, 1, divisor)]
    if size == 1:
        options.append(())
    return [d.array(shape)], {"shape": d.choice(*options)}


def flattening(d: Draws) -> Any:
    shape = d.shape()
    if not shape:
        return [d.array(shape)], {}
    start = d.integer(0, len(shape) - 1)
    end = d.integer(start, len(shape) - 1)
    return [d.array(shape)], {"start_dim": start, "end_dim": d.choice(end, end - len(shape))}


def permuting(d: Draws) -> Any:
    shape = d.shape(max_dims=4)
    axes = tuple(a - d.choice(0, len(shape)) for a in d.draw(st.permutations(range(len(shape)))))
    return [d.array(shape)], {"axes": d.choice(axes, None) if axes else None}


def squeezing(d: Draws) -> Any:
    shape = tuple(d.choice(1, size) for size in d.shape(max_dims=4))
    ones = [i for i, size in enumerate(shape) if size == 1]
    return [d.array(shape)], {"axis": d.choice(None, tuple(ones), *ones, *(i - len(shape) for i in ones))}


def unsqueezing(d: Draws) -> Any:
    shape = d.shape()
    return [d.array(shape)], {"axis": d.axis(len(shape) + 1)}


def broadcasting(d: Draws) -> Any:
    shape = d.shape()
    return [d.array(d.partner(shape))], {"shape": shape}


def joining(d: Draws) -> Any:
    shape = d.shape(min_dims=1)
    axis = d.axis(len(shape))
    shapes = [list(shape) for _ in range(d.integer(1, 3))]
    for other in shapes[1:]:
        other[axis] = d.size()
    return [d.array(tuple(s)) for s in shapes], {"axis": axis}


def stacking(d: Draws) -> Any:
    shape = d.shape()
    return [d.array(shape) for _ in range(d.integer(1, 3))], {"axis": d.axis(len(shape) + 1)}


def padding(d: Draws) -> Any:
    shape = d.shape()
    pairs = tuple((d.integer(0, 2), d.integer(0, 2)) for _ in shape)
    width = d.choice(d.integer(0, 2), (d.integer(0, 2), d.integer(0, 2)), pairs) if shape else 0
    return [d.array(shape)], {"pad_width": width, "value": d.choice(0.0, 1.5)}


def indexing(d: Draws) -> Any:
    shape = d.shape(min_dims=1)
    kinds = [basic_index, mask_index] + ([integer_index, mixed_index] if 0 not in shape else [])
    index = d.choice(*kinds)(d, shape)
    if d.smooth and np.empty(shape)[index].size == 0:  # nothing read, nothing to differentiate
        index = Ellipsis
    return [d.array(shape)], {"index": index}


def basic_index(d: Draws, shape: tuple[int, ...]) -> Any:
    return d.draw(hnp.basic_indices(shape, max_dims=5, allow_newaxis=True))


def mask_index(d: Draws, shape: tuple[int, ...]) -> Any:
    return d.booleans(shape[: d.integer(1, len(shape))])


def integer_index(d: Draws, shape: tuple[int, ...]) -> Any:
    arrays = d.draw(hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=3)))
    return d.choice(arrays, arrays[0], arrays[0].tolist(), (tuple(arrays[0].ravel().tolist()),))


def mixed_index(d: Draws, shape: tuple[int, ...]) -> Any:
    """For each axis a slice, an integer, or an array of 3 with repeats; a new axis or an ellipsis may stand between."""
    parts: list[Any] = []
    for size in shape[: d.integer(1, len(shape))]:
        array = np.array([d.integer(-size, size - 1) for _ in range(3)])
        parts.append(d.choice(array, slice(None), d.integer(-size, size - 1), slice(None, None, -1), array.tolist()))
    if d.choice(True, False):
        parts.insert(d.integer(0, len(parts)), None)
    if d.choice(True, False):
        parts.append(Ellipsis)
    return tuple(parts)


def matrix_product(d: Draws) -> Any:
    batch = d.shape(max_dims=2)
    I, J, K = d.size(), d.size(), d.size()
    a, b = (*d.partner(batch), I, J), (*d.partner(batch), J, K)
    return [d.array(d.choice(a, a, (J,))), d.array(d.choice(b, b, (J,)))], {}


def fully_connected(d: Draws) -> Any:
    I, O = d.size(), d.size()
    arrays = [d.array((*d.shape(max_dims=2), I)), d.array((O, I)), d.array((O,))]
    return arrays[: d.choice(2, 3)], {}


def image_side(d: Draws, span: int, padding: int) -> int:
    """At least 1, and large enough for a window that spans so many pixels."""
    return max(1, span - 2 * padding) + d.integer(0, 3)


def convolution(d: Draws) -> Any:
    groups = d.choice(1, 1, 2, 3)
    CG, O = d.choice(1, 2), groups * d.choice(1, 2)
    KH, KW = d.choice(1, 2, 3), d.choice(1, 2, 3)
    padding = d.choice(0, d.pair(0, 2), d.pair(0, 2), "same", "valid")
    stride, dilation = 1 if padding == "same" else d.pair(1, 3), d.choice(1, d.pair(1, 2))
    around = reference.as_pair(0 if isinstance(padding, str) else padding)
    spans = [step * (k - 1) + 1 for step, k in zip(reference.as_pair(dilation), (KH, KW), strict=True)]
    H, W = (image_side(d, span, p) for span, p in zip(spans, around, strict=True))
    arrays = [d.array((d.size(), groups * CG, H, W)), d.array((O, CG, KH, KW)), d.array((O,))]
    parameters = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return arrays[: d.choice(2, 3)], parameters


def pooling(distinct: bool) -> Callable[[Draws], Any]:
    def draw(d: Draws) -> Any:
        kernel_size = d.pair(1, 3)
        KH, KW = reference.as_pair(kernel_size)
        PH, PW = d.integer(0, KH // 2), d.integer(0, KW // 2)
        shape = (d.size(), d.choice(1, 2), image_side(d, KH, PH), image_side(d, KW, PW))
        parameters = {"kernel_size": kernel_size, "stride": d.choice(None, d.pair(1, 3)), "padding": (PH, PW)}
        if not distinct:
            parameters["count_include_pad"] = d.choice(True, False)
        return [d.array(shape, distinct=distinct)], parameters

    return draw


def classification(d: Draws) -> Any:
    how = d.choice("mean", "sum", "none")
    N, K = d.size(empty=how != "mean"), d.integer(1, 5)
    labels = np.array([d.integer(0, K - 1) for _ in range(N)], d.choice("int64", "int32", "uint8"))
    return [d.array((N, K))], {"target": labels, "reduction": how}


def regression(d: Draws) -> Any:
    how = d.choice("mean", "sum", "none")
    shape = d.shape(empty=how != "mean")
    return [d.array(shape), d.array(shape)], {"reduction": how}


def dropping(d: Draws) -> Any:
    return [d.array(d.shape())], {"p": d.choice(0.5, 0.25, 0.0, 1.0), "seed": d.integer(0, 99)}


def training_norm(d: Draws) -> Any:
    C = d.choice(1, 2, 3)
    shape = (d.choice(2, 3), C, *d.shape(max_dims=2, empty=False))
    arrays = [d.array(shape, distinct=True), d.array((C,)), d.array((C,))]
    return arrays[: d.choice(1, 2, 3)], {"eps": 0.25 if d.smooth else 1e-5}


def evaluation_norm(d: Draws) -> Any:
    C = d.choice(1, 2, 3)
    shape = (d.size(), C, *d.shape(max_dims=2))
    return [d.array(shape), d.array((C,)), d.array((C,), 0.5, 2.0), d.array((C,)), d.array((C,))], {}


# -------------------------------------------------------------------------- operations whose parameters are no keywords


def _reshape(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    return ops.reshape(x, shape)


def _transpose(x: Tensor, axes: tuple[int, ...] | None) -> Tensor:
    return ops.transpose(x, axes)


def _broadcast_to(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    return ops.broadcast_to(x, shape)


def _where(a: Tensor, b: Tensor, condition: np.ndarray) -> Tensor:
    return ops.where(Tensor._wrap(placed(condition, a.backend), a.backend), a, b)


def _concatenate(*xs: Tensor, axis: int) -> Tensor:
    return ops.concatenate(xs, axis)


def _stack(*xs: Tensor, axis: int) -> Tensor:
    return ops.stack(xs, axis)


def _dropout(x: Tensor, p: float, seed: int) -> Tensor:
    manual_seed(seed)
    return ops.dropout(x, p)


def _dropout_reference(x: np.ndarray, p: float, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).random(x.shape)
    return np.array([0.0 if u < p else e / (1 - p) for e, u in zip(x.flat, drawn.flat, strict=True)]).reshape(x.shape)


def _batch_norm(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, *, eps: float) -> Tensor:
    return ops.batch_norm(x, None, None, weight, bias, training=True, eps=eps)


def _batch_norm_reference(x: np.ndarray, center: np.ndarray, spread: np.ndarray, *affine: np.ndarray) -> np.ndarray:
    return reference.batch_norm(x, *affine, running=(center, spread))


def _other_dtype(x: Tensor) -> Tensor:
    return ops.astype(x, "float32" if x.dtype == "float64" else "float64")


ELSEWHERE = Backend("elsewhere", arrays="numpy", install="nothing")  # a second backend on every machine
ELSEWHERE.__dict__["kernels"] = get_backend("numpy").kernels


def _elsewhere(x: Tensor) -> Tensor:
    return ops.to(x, ELSEWHERE)


def _same(x: np.ndarray) -> np.ndarray:
    return x


CASES = [
    Case("abs", ops.abs, elementwise(abs), one()),
    Case("add", ops.add, elementwise(lambda a, b: a + b), two),
    Case("astype", _other_dtype, _same, one(), keeps_dtype=False),
    Case("avg_pool2d", ops.avg_pool2d, reference.avg_pool2d, pooling(distinct=False)),
    Case("batch_norm[evaluation]", ops.batch_norm, _batch_norm_reference, evaluation_norm),
    Case("batch_norm[training]", _batch_norm, reference.batch_norm, training_norm),
    Case("broadcast_to", _broadcast_to, reference.broadcast_to, broadcasting),
    Case("clip", ops.clip, elementwise(reference.clip), clipping),
    Case("concatenate", _concatenate, reference.concatenate, joining),
    Case("conv2d", ops.conv2d, reference.conv2d, convolution),
    Case("cos", ops.cos, elementwise(math.cos), one()),
    Case("cross_entropy", ops.cross_entropy, reference.cross_entropy, classification),
    Case("div", ops.div, elementwise(lambda a, b: a / b), division),
    Case("dropout", _dropout, _dropout_reference, dropping),
    Case("exp", ops.exp, elementwise(math.exp), one()),
    Case("flatten", ops.flatten, reference.flatten, flattening),
    Case("getitem", ops.getitem, lambda x, index: x[index], indexing),
    Case("leaky_relu", ops.leaky_relu, elementwise(reference.leaky_relu), leaky),
    Case("linear", ops.linear, reference.linear, fully_connected),
    Case("log", ops.log, elementwise(math.log), one(0.5, 4.0)),
    Case("log_softmax", ops.log_softmax, reference.along_axes(reference.log_softmax), along_axis),
    Case("logsumexp", ops.logsumexp, reduction(reference.logsumexp), reducing()),
    Case("matmul", ops.matmul, reference.matmul, matrix_product),
    Case("max", ops.max, reduction(max), reducing(distinct=True)),
    Case("max_pool2d", ops.max_pool2d, reference.max_pool2d, pooling(distinct=True)),
    Case("maximum", ops.maximum, elementwise(max), two),
    Case("mean", ops.mean, reduction(reference.mean), reducing()),
    Case("min", ops.min, reduction(min), reducing(distinct=True)),
    Case("minimum", ops.minimum, elementwise(min), two),
    Case("mse_loss", ops.mse_loss, reference.mse_loss, regression),
    Case("mul", ops.mul, elementwise(lambda a, b: a * b), two),
    Case("neg", ops.neg, elementwise(lambda x: -x), one()),
    Case("pad", ops.pad, reference.pad, padding),
    Case("pow[base]", lambda x, base: ops.pow(base, x), elementwise(lambda x, base: base**x), power_of_base),
    Case(
        "pow[number]",
        lambda x, exponent: ops.pow(x, exponent),
        elementwise(lambda x, exponent: x**exponent),
        power_of_number,
    ),
    Case("pow[tensor]", ops.pow, elementwise(lambda a, b: a**b), power_of_tensor),
    Case("relu", ops.relu, elementwise(lambda x: max(x, 0.0)), one()),
    Case("reshape", _reshape, reference.reshape, reshaping),
    Case("sigmoid", ops.sigmoid, elementwise(reference.sigmoid), one(-8.0, 8.0)),
    Case("sin", ops.sin, elementwise(math.sin), one()),
    Case("softmax", ops.softmax, reference.along_axes(reference.softmax), along_axis),
    Case("softplus", ops.softplus, elementwise(reference.softplus), one(-8.0, 8.0)),
    Case("sqrt", ops.sqrt, elementwise(math.sqrt), one(0.5, 4.0)),
    Case("squeeze", ops.squeeze, reference.squeeze, squeezing),
    Case("stack", _stack, reference.stack, stacking),
    Case("sub", ops.sub, elementwise(lambda a, b: a - b), two),
    Case("sum", ops.sum, reduction(math.fsum), reducing(nonempty=False)),
    Case("tanh", ops.tanh, elementwise(math.tanh), one(-4.0, 4.0)),
    Case("to", _elsewhere, _same, one()),
    Case("transpose", _transpose, reference.transpose, permuting),
    Case("unsqueeze", ops.unsqueeze, reference.unsqueeze, unsqueezing),
    Case("var", ops.var, reduction(reference.var), variance),
    Case("where", _where, reference.where, choosing),
]

# Public operations that have no gradient: their results are integers and booleans.
WITHOUT_GRADIENT = {
    *("argmax", "argmin"),
    *("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
    *("logical_and", "logical_not", "logical_or", "logical_xor"),
}
