"""Wrong arguments: for every public operation, what the error is and what it says."""

from __future__ import annotations

import numpy as np
import pytest

from minigrad import Tensor, ops

V = Tensor([1.0, 2.0])
V3 = Tensor([1.0, 2.0, 3.0])
M = Tensor([[1.0, 2.0], [3.0, 4.0]])
I = Tensor([1, 2])
B = Tensor([True, False])
IMAGES = Tensor(np.ones((1, 2, 4, 4), np.float32))  # (N, C, H, W)
WEIGHT = Tensor(np.ones((3, 2, 3, 3), np.float32))  # (O, C, KH, KW)
EMPTY = Tensor(np.ones((0, 2), np.float32))
NO_PIXELS = Tensor(np.ones((1, 2, 0, 4), np.float32))

NOT_A_TENSOR = "{}: expected a Tensor, got str"
NOT_AN_OPERAND = "{}: expected a Tensor, an array or a number, got 'text'"
NO_SUCH_AXIS = "{}: axis 5 is out of range for a tensor of 2 dimensions"
NO_INTEGER_AXIS = "{}: an axis must be an integer, got 0.5"
NOTHING_THERE = r"{}: there is nothing to reduce along axis .* of shape \(0, 2\)"
KEEPDIMS = r"{}: keepdims must be True or False, got 1; several axes are a tuple, axis=\(0, 1\)"
SHAPES = r"{}: operands could not be broadcast together with shapes \(2,\) \(3,\)"

ONE_TENSOR = (
    *("abs", "argmax", "argmin", "clip", "cos", "dropout", "exp", "flatten", "leaky_relu", "log", "log_softmax"),
    *("logical_not", "logsumexp", "max", "mean", "min", "neg", "relu", "reshape", "sigmoid", "sin", "softmax"),
    *("softplus", "sqrt", "squeeze", "sum", "tanh", "transpose", "var"),
)
TWO_OPERANDS = (
    *("add", "div", "equal", "greater", "greater_equal", "less", "less_equal", "maximum", "minimum", "mul"),
    *("not_equal", "pow", "sub"),
)
REDUCTIONS = ("logsumexp", "max", "mean", "min", "sum", "var")

UNTRAINED = (
    ("dropout", lambda f: f(V, training="no")),
    ("batch_norm", lambda f: f(M, None, None, training="no")),
)

ERRORS = [
    *((name, lambda f: f("text"), TypeError, NOT_A_TENSOR) for name in ONE_TENSOR),
    *((name, lambda f: f(V, "text"), TypeError, NOT_AN_OPERAND) for name in TWO_OPERANDS),
    *((name, lambda f: f("text", V), TypeError, NOT_AN_OPERAND) for name in TWO_OPERANDS),
    *((name, lambda f: f(V, None), TypeError, "{}: .* got None") for name in TWO_OPERANDS),
    *((name, lambda f: f(V, {}), TypeError, "{}: .* got {{}}") for name in TWO_OPERANDS),
    *((name, lambda f: f(V, 1j), TypeError, "{}: complex numbers are not supported") for name in TWO_OPERANDS),
    *((name, lambda f: f(I, 2**70), ValueError, "{}: the number .* does not fit into int64") for name in TWO_OPERANDS),
    *((name, lambda f: f(V, V3), ValueError, SHAPES) for name in TWO_OPERANDS if name != "pow"),
    *((name, lambda f: f(M, 5), ValueError, NO_SUCH_AXIS) for name in REDUCTIONS),
    *((name, lambda f: f(M, 0.5), TypeError, NO_INTEGER_AXIS) for name in REDUCTIONS),
    *((name, lambda f: f(M, True), TypeError, "{}: an axis must be an integer, got True") for name in REDUCTIONS),
    *(
        (name, lambda f: f(M, (0, -2)), ValueError, r"{}: axes \(0, -2\) name one dimension twice")
        for name in REDUCTIONS
    ),
    *((name, lambda f: f(EMPTY), ValueError, NOTHING_THERE) for name in REDUCTIONS if name != "sum"),
    *((name, lambda f: f(EMPTY, 0), ValueError, NOTHING_THERE) for name in REDUCTIONS if name != "sum"),
    *((name, lambda f: f(M, 0, 1), TypeError, KEEPDIMS) for name in REDUCTIONS),
    *(
        (name, lambda f: f(M, 0, "no"), TypeError, "{}: keepdims must be True or False, got 'no'")
        for name in REDUCTIONS
    ),
    *((name, lambda f: f(M, 0, 1), TypeError, "{}: keepdims must .*, got 1") for name in ("argmax", "argmin")),
    ("var", lambda f: f(M, ddof=4), ValueError, "var: ddof 4 needs more than 4 elements"),
    ("var", lambda f: f(M, ddof="one"), TypeError, "var: ddof must be a number, got 'one'"),
    # -- arithmetic and functions of one tensor
    ("pow", lambda f: f(V, V3), ValueError, r"operands could not be broadcast together with shapes \(2,\) \(3,\)"),
    ("pow", lambda f: f(I, -1), ValueError, "pow: integers have no power -1 among the integers; see astype"),
    ("neg", lambda f: f(B), TypeError, "boolean negative"),
    ("sub", lambda f: f(B, B), TypeError, "boolean subtract"),
    ("add", lambda f: f(Tensor([1], "int8"), 300), ValueError, "add: the number 300 does not fit into int8"),
    ("add", lambda f: f(Tensor([1], "int8"), np.int64(300)), ValueError, "add: the number 300 does not fit into int8"),
    ("add", lambda f: f(Tensor([1], "uint64"), I), TypeError, "add: .*int64.* do not mix; convert one"),
    ("astype", lambda f: f(V, "text"), TypeError, "astype: expected a dtype, got 'text'"),
    ("astype", lambda f: f(V, None), TypeError, "astype: expected a dtype, got None"),
    ("astype", lambda f: f(V, "float16"), TypeError, "astype: float16 is not one of float32, float64"),
    ("astype", lambda f: f(V, complex), TypeError, "astype: complex128 is not one of float32, float64"),
    ("astype", lambda f: f("text", "float32"), TypeError, NOT_A_TENSOR),
    ("to", lambda f: f(V, "abacus"), RuntimeError, "there is no backend named 'abacus'; there are 'numpy'"),
    ("to", lambda f: f(V, 3), TypeError, "to: expected the name of a backend, or a dtype, got 3"),
    ("to", lambda f: f(V, None), TypeError, "expected a dtype, got None"),
    ("to", lambda f: f("text", "float32"), TypeError, NOT_A_TENSOR),
    ("leaky_relu", lambda f: f(V, "steep"), TypeError, "leaky_relu: negative_slope must be a number, got 'steep'"),
    ("leaky_relu", lambda f: f(V, 1j), TypeError, "leaky_relu: negative_slope must be a number, got 1j"),
    ("leaky_relu", lambda f: f(V, None), TypeError, "leaky_relu: negative_slope must be a number, got None"),
    ("clip", lambda f: f(V), ValueError, "clip: give at least one of low and high"),
    ("clip", lambda f: f(V, 2, 1), ValueError, "clip: low 2 is above high 1"),
    ("clip", lambda f: f(V, "low"), TypeError, "clip: a bound must be a number, got 'low'"),
    ("clip", lambda f: f(V, V), TypeError, r"clip: a bound must be a number, got Tensor\(\[1\., 2\.\]\)"),
    # -- choosing
    ("where", lambda f: f(V, V, V), TypeError, "where: the condition must be boolean, got float32; compare first"),
    ("where", lambda f: f([1, 0], V, V), TypeError, "where: the condition must be boolean, got int64"),
    ("where", lambda f: f("text", V, V), TypeError, NOT_A_TENSOR),
    ("where", lambda f: f(B, "text", V), TypeError, NOT_AN_OPERAND),
    ("where", lambda f: f(B, V, V3), ValueError, "where: operands could not be broadcast"),
    ("where", lambda f: f([True] * 3, V, V), ValueError, "where: operands could not be broadcast"),
    *((name, lambda f: f(M, 5), ValueError, NO_SUCH_AXIS) for name in ("argmax", "argmin")),
    *((name, lambda f: f(M, -3), ValueError, "{}: axis -3 is out of range for .* 2") for name in ("argmax", "argmin")),
    *((name, lambda f: f(M, 0.5), TypeError, NO_INTEGER_AXIS) for name in ("argmax", "argmin")),
    *((name, lambda f: f(M, (0, 1)), TypeError, r"{}: .* got \(0, 1\)") for name in ("argmax", "argmin")),
    *((name, lambda f: f(EMPTY), ValueError, r"{}: there is nothing .*\(0, 2\)") for name in ("argmax", "argmin")),
    *((name, lambda f: f(EMPTY, 0), ValueError, r"{}: there is nothing .*\(0, 2\)") for name in ("argmax", "argmin")),
    *(
        (f"logical_{name}", lambda f: f(B, V), TypeError, "{}: expected boolean or integer tensors, got float32")
        for name in ("and", "or", "xor")
    ),
    *(
        (f"logical_{name}", lambda f: f(B, [True] * 3), ValueError, r"{}: .* shapes \(2,\) \(3,\)")
        for name in ("and", "or", "xor")
    ),
    ("logical_not", lambda f: f(V), TypeError, "logical_not: expected a boolean tensor, got float32"),
    ("logical_not", lambda f: f(I), TypeError, "logical_not: expected a boolean tensor, got int64"),
    # -- moving elements
    ("reshape", lambda f: f(V, 3), ValueError, r"reshape: 2 elements of shape \(2,\) do not fit into \(3,\)"),
    ("reshape", lambda f: f(V, -1, 3), ValueError, r"reshape: 2 elements of shape \(2,\) do not fit into \(-1, 3\)"),
    ("reshape", lambda f: f(EMPTY, 0, -1), ValueError, r"reshape: 0 elements of shape \(0, 2\) do not fit"),
    ("reshape", lambda f: f(V, -1, -1), ValueError, r"reshape: \(-1, -1\) must have sizes from 0, and -1 at most once"),
    ("reshape", lambda f: f(V, -2), ValueError, r"reshape: \(-2,\) must have sizes from 0"),
    ("reshape", lambda f: f(V, 2.0), TypeError, r"reshape: expected integers, got 2\.0"),
    ("reshape", lambda f: f(V, (2,), 1), TypeError, r"reshape: expected integers, got \(2,\)"),
    ("reshape", lambda f: f(V, True), TypeError, "reshape: expected integers, got True"),
    ("flatten", lambda f: f(M, 1, 0), ValueError, "flatten: start_dim 1 comes after end_dim 0"),
    ("flatten", lambda f: f(M, 5), ValueError, NO_SUCH_AXIS),
    ("flatten", lambda f: f(M, None), TypeError, "flatten: an axis must be an integer, got None"),
    ("transpose", lambda f: f(M, 0), ValueError, r"transpose: \(0,\) is no permutation of the 2 axes"),
    ("transpose", lambda f: f(M, 0, 0), ValueError, r"transpose: axes \(0, 0\) name one dimension twice"),
    ("transpose", lambda f: f(M, 0, 5), ValueError, NO_SUCH_AXIS),
    ("transpose", lambda f: f(M, "a", "b"), TypeError, "transpose: expected integers, got 'a'"),
    ("squeeze", lambda f: f(M, 0), ValueError, "squeeze: axis 0 has size 2, expected 1"),
    ("squeeze", lambda f: f(M, 5), ValueError, NO_SUCH_AXIS),
    ("unsqueeze", lambda f: f(M, 5), ValueError, "unsqueeze: axis 5 is out of range for a tensor of 3 dimensions"),
    ("unsqueeze", lambda f: f(M, None), TypeError, "unsqueeze: an axis must be an integer, got None"),
    ("unsqueeze", lambda f: f("text", 0), TypeError, NOT_A_TENSOR),
    ("broadcast_to", lambda f: f(V, 3), ValueError, r"broadcast_to: shape \(2,\) cannot be repeated to \(3,\)"),
    ("broadcast_to", lambda f: f(M, 2), ValueError, r"broadcast_to: shape \(2, 2\) cannot be repeated to \(2,\)"),
    (
        "broadcast_to",
        lambda f: f(Tensor(1.0), -1),
        ValueError,
        r"broadcast_to: shape \(\) cannot be repeated to \(-1,\)",
    ),
    ("broadcast_to", lambda f: f(V[:1], 3, -1), ValueError, r"broadcast_to: .* cannot be repeated to \(3, -1\)"),
    ("broadcast_to", lambda f: f(V, "two"), TypeError, "broadcast_to: expected integers, got 'two'"),
    ("broadcast_to", lambda f: f("text", 2), TypeError, NOT_A_TENSOR),
    *(
        (name, lambda f: f([]), TypeError, "{}: expected a list or tuple .* an empty one")
        for name in ("concatenate", "stack")
    ),
    *(
        (name, lambda f: f(V), TypeError, "{}: expected a list or tuple .* got Tensor")
        for name in ("concatenate", "stack")
    ),
    *(
        (name, lambda f: f(iter([V])), TypeError, "{}: expected a list or tuple .* got list_iterator")
        for name in ("concatenate", "stack")
    ),
    *((name, lambda f: f([V, "text"]), TypeError, NOT_AN_OPERAND) for name in ("concatenate", "stack")),
    *((name, lambda f: f([V, V], None), TypeError, "{}: .* got None") for name in ("concatenate", "stack")),
    ("concatenate", lambda f: f([M, M], 5), ValueError, NO_SUCH_AXIS),
    ("concatenate", lambda f: f([Tensor(1.0)]), ValueError, "axis 0 is out of range for a tensor of 0 dimensions"),
    ("concatenate", lambda f: f([V, M]), ValueError, "concatenate: .*same number of dimensions"),
    ("concatenate", lambda f: f([M, EMPTY], 1), ValueError, "concatenate: .*must match exactly"),
    ("stack", lambda f: f([V, V], 5), ValueError, "stack: axis 5 is out of range for a tensor of 2 dimensions"),
    ("stack", lambda f: f([V, M]), ValueError, r"stack: all shapes must be equal, got \(2,\) and \(2, 2\)"),
    ("pad", lambda f: f(V, -1), ValueError, "pad: pad_width must hold integers from 0, got -1"),
    ("pad", lambda f: f(V, (-1, 2)), ValueError, r"pad: pad_width must hold integers from 0, got \(-1, 2\)"),
    ("pad", lambda f: f(V, 1.5), ValueError, r"pad: pad_width must hold integers from 0, got 1\.5"),
    ("pad", lambda f: f(V, "text"), ValueError, "pad: pad_width must hold integers from 0, got text"),
    ("pad", lambda f: f(V, [[1, 1]] * 2), ValueError, "pad: pad_width .* does not give a pair for each of 1 axes"),
    ("pad", lambda f: f(V, 1, "text"), TypeError, "pad: value must be a number, got 'text'"),
    ("pad", lambda f: f("text", 1), TypeError, NOT_A_TENSOR),
    ("getitem", lambda f: f(V, 2), IndexError, "index 2 is out of bounds for axis 0 with size 2"),
    ("getitem", lambda f: f(V, (0, 0)), IndexError, "too many indices for array"),
    ("getitem", lambda f: f(V, 0.5), IndexError, "only integers, slices"),
    ("getitem", lambda f: f(V, "text"), IndexError, "only integers, slices"),
    (
        "getitem",
        lambda f: f(V, [0.5]),
        IndexError,
        "indexed by integers, slices or booleans, not by an array of float64",
    ),
    ("getitem", lambda f: f(V, V), IndexError, "indexed by integers, slices or booleans, not by an array of float32"),
    ("getitem", lambda f: f(V, [True] * 3), IndexError, "boolean index did not match"),
    ("getitem", lambda f: f(M, ([0, 1], [0, 1, 0])), IndexError, "shape mismatch"),
    ("getitem", lambda f: f("text", 0), TypeError, NOT_A_TENSOR),
    # -- products
    ("matmul", lambda f: f(M, V3), ValueError, r"matmul: shapes \(2, 2\) and \(3,\) do not fit"),
    ("matmul", lambda f: f(2.0, V), ValueError, r"matmul: shapes \(\) and \(2,\) do not fit"),
    ("matmul", lambda f: f(V, 2.0), ValueError, r"matmul: shapes \(2,\) and \(\) do not fit"),
    (
        "matmul",
        lambda f: f(np.ones((2, 1, 1)), np.ones((3, 1, 1))),
        ValueError,
        r"matmul: the leading axes of \(2, 1, 1\)",
    ),
    ("matmul", lambda f: f(M, "text"), TypeError, NOT_AN_OPERAND),
    (
        "linear",
        lambda f: f(M, V),
        ValueError,
        r"linear: weight must be \(out_features, in_features\), got shape \(2,\)",
    ),
    ("linear", lambda f: f(V3, M), ValueError, r"linear: input \(3,\) has 3 features but weight \(2, 2\) expects 2"),
    ("linear", lambda f: f(Tensor(1.0), M), ValueError, r"linear: input \(\) has no features"),
    ("linear", lambda f: f(M, M, V3), ValueError, r"linear: bias has shape \(3,\), expected \(2,\)"),
    ("linear", lambda f: f(M, "text"), TypeError, NOT_AN_OPERAND),
    # -- images
    ("conv2d", lambda f: f(V, WEIGHT), ValueError, r"conv2d: expected input \(N, C, H, W\).* got \(2,\) and"),
    ("conv2d", lambda f: f(IMAGES, M), ValueError, r"conv2d: expected input \(N, C, H, W\).* and \(2, 2\)"),
    (
        "conv2d",
        lambda f: f(IMAGES, WEIGHT[:, :1]),
        ValueError,
        r"input has 2 channels but weight \(3, 1, 3, 3\) expects 1$",
    ),
    ("conv2d", lambda f: f(IMAGES, WEIGHT, groups=2), ValueError, "2 channels but weight .* expects 4 in 2 groups"),
    (
        "conv2d",
        lambda f: f(IMAGES, WEIGHT[:, :1], groups=2),
        ValueError,
        "3 output channels do not divide into 2 groups",
    ),
    ("conv2d", lambda f: f(IMAGES, WEIGHT, groups=0), ValueError, "conv2d: groups must be an integer from 1, got 0"),
    (
        "conv2d",
        lambda f: f(IMAGES, WEIGHT, groups=1.0),
        ValueError,
        r"conv2d: groups must be an integer from 1, got 1\.0",
    ),
    ("conv2d", lambda f: f(IMAGES, WEIGHT[:0]), ValueError, r"conv2d: weight \(0, 2, 3, 3\) has a dimension of size 0"),
    ("conv2d", lambda f: f(IMAGES, WEIGHT, V), ValueError, r"conv2d: bias has shape \(2,\), expected \(3,\)"),
    (
        "conv2d",
        lambda f: f(IMAGES, WEIGHT, stride=0),
        ValueError,
        "conv2d: stride must be an integer from 1, or a pair",
    ),
    ("conv2d", lambda f: f(IMAGES, WEIGHT, stride=(1.0, 1.0)), ValueError, r"conv2d: stride .* got \(1\.0, 1\.0\)"),
    ("conv2d", lambda f: f(IMAGES, WEIGHT, stride=(1, 0)), ValueError, r"conv2d: stride must be .* got \(1, 0\)"),
    ("conv2d", lambda f: f(IMAGES, WEIGHT, stride=(0, 1)), ValueError, r"conv2d: stride must be .* got \(0, 1\)"),
    ("conv2d", lambda f: f(IMAGES, WEIGHT, stride=(1, 1.5)), ValueError, r"conv2d: stride .* got \(1, 1\.5\)"),
    ("conv2d", lambda f: f(IMAGES, WEIGHT, stride=(1.5, 1)), ValueError, r"conv2d: stride .* got \(1\.5, 1\)"),
    ("conv2d", lambda f: f(IMAGES, WEIGHT, stride=(1,)), ValueError, r"conv2d: stride .* got \(1,\)"),
    ("conv2d", lambda f: f(IMAGES, WEIGHT, stride=[2, 0]), ValueError, r"conv2d: stride .* got \[2, 0\]"),
    ("conv2d", lambda f: f(IMAGES, WEIGHT, stride=[2, True]), ValueError, r"conv2d: stride .* got \[2, True\]"),
    ("conv2d", lambda f: f(IMAGES, WEIGHT, dilation=3, padding=1), ValueError, r"spanning \(7, 7\) .* \(6, 6\)"),
    ("conv2d", lambda f: f(IMAGES, WEIGHT, groups=True), ValueError, "conv2d: groups must be .* got True"),
    ("conv2d", lambda f: f(IMAGES, WEIGHT, stride="x"), ValueError, "conv2d: stride must be .* got 'x'"),
    ("conv2d", lambda f: f(IMAGES, WEIGHT, dilation=0), ValueError, "conv2d: dilation must be an integer from 1"),
    (
        "conv2d",
        lambda f: f(IMAGES, WEIGHT, dilation=2),
        ValueError,
        r"kernel spanning \(5, 5\) does not fit .* \(4, 4\)",
    ),
    ("conv2d", lambda f: f(IMAGES, WEIGHT, padding=-1), ValueError, "conv2d: padding must be an integer from 0"),
    (
        "conv2d",
        lambda f: f(IMAGES, WEIGHT, padding=(1, 2, 3)),
        ValueError,
        r"conv2d: padding must be .* got \(1, 2, 3\)",
    ),
    (
        "conv2d",
        lambda f: f(IMAGES, WEIGHT, padding="full"),
        ValueError,
        "padding must be 'same', 'valid', .* got 'full'",
    ),
    ("conv2d", lambda f: f(IMAGES, WEIGHT, padding="same", stride=2), ValueError, "padding 'same' needs stride 1, got"),
    (
        "conv2d",
        lambda f: f(NO_PIXELS, WEIGHT, padding=2),
        ValueError,
        r"conv2d: an image of size \(0, 4\) has no pixels",
    ),
    ("conv2d", lambda f: f(IMAGES, "text"), TypeError, NOT_AN_OPERAND),
    *(
        row
        for name in ("avg_pool2d", "max_pool2d")
        for row in (
            (name, lambda f: f(V, 2), ValueError, r"{}: expected input \(N, C, H, W\), got shape \(2,\)"),
            (name, lambda f: f(IMAGES, 0), ValueError, "{}: kernel_size must be an integer from 1, or a pair .* got 0"),
            (name, lambda f: f(IMAGES, 2.0), ValueError, r"{}: kernel_size must be .* got 2\.0"),
            (name, lambda f: f(IMAGES, (1, 2, 3)), ValueError, r"{}: kernel_size must be .* got \(1, 2, 3\)"),
            (name, lambda f: f(IMAGES, 2, 0), ValueError, "{}: stride must be an integer from 1"),
            (name, lambda f: f(IMAGES, 2, padding=-1), ValueError, "{}: padding must be an integer from 0"),
            (name, lambda f: f(IMAGES, 2, padding=2), ValueError, r"{}: padding \(2, 2\) is more than half the window"),
            (name, lambda f: f(IMAGES, (2, 4), padding=(2, 0)), ValueError, r"{}: padding \(2, 0\) is more than half"),
            (name, lambda f: f(IMAGES, (4, 2), padding=(0, 2)), ValueError, r"{}: padding \(0, 2\) is more than half"),
            (name, lambda f: f(IMAGES, 9), ValueError, r"{}: a kernel spanning \(9, 9\) does not fit .* \(4, 4\)"),
            (name, lambda f: f(NO_PIXELS, 2, padding=1), ValueError, r"{}: an image of size \(0, 4\) has no pixels"),
            (name, lambda f: f("text", 2), TypeError, NOT_A_TENSOR),
        )
    ),
    # -- softmax, losses, regularization
    *((name, lambda f: f(M, 5), ValueError, NO_SUCH_AXIS) for name in ("softmax", "log_softmax")),
    *((name, lambda f: f(M, "x"), TypeError, "{}: an axis must be .*'x'") for name in ("softmax", "log_softmax")),
    *(
        (name, lambda f: f(Tensor(1.0)), ValueError, "{}: axis -1 is out of range")
        for name in ("softmax", "log_softmax")
    ),
    *((name, lambda f: f(EMPTY, 0), ValueError, NOTHING_THERE) for name in ("softmax", "log_softmax")),
    (
        "cross_entropy",
        lambda f: f(V, [0]),
        ValueError,
        r"expected logits \(N, K\) and labels \(N,\), got \(2,\) and \(1,\)",
    ),
    ("cross_entropy", lambda f: f(np.ones((2, 2, 2)), [0, 1]), ValueError, r"got \(2, 2, 2\) and \(2,\)"),
    ("cross_entropy", lambda f: f(M, [0]), ValueError, r"expected logits \(N, K\) .* got \(2, 2\) and \(1,\)"),
    ("cross_entropy", lambda f: f(M, [0, 2]), ValueError, "labels must lie from 0 to 1, got 0 to 2"),
    ("cross_entropy", lambda f: f(M, [-1, 0]), ValueError, "labels must lie from 0 to 1, got -1 to 0"),
    ("cross_entropy", lambda f: f(M, M), TypeError, "labels must be integers, got float32; argmax turns one-hot rows"),
    ("cross_entropy", lambda f: f(M, B), TypeError, "labels must be integers, got bool"),
    ("cross_entropy", lambda f: f(M, "text"), TypeError, NOT_A_TENSOR),
    ("cross_entropy", lambda f: f("text", [0]), TypeError, NOT_A_TENSOR),
    (
        "cross_entropy",
        lambda f: f(M, [0, 1], "median"),
        ValueError,
        "reduction must be 'mean', 'sum' or 'none', got 'median'",
    ),
    ("cross_entropy", lambda f: f(EMPTY, []), TypeError, "labels must be integers"),
    ("cross_entropy", lambda f: f(EMPTY, np.zeros(0, int)), ValueError, "the mean over an empty batch is undefined"),
    ("cross_entropy", lambda f: f(np.ones((2, 0)), [0, 0]), ValueError, r"logits of shape \(2, 0\) have no classes"),
    ("mse_loss", lambda f: f(V, M), ValueError, r"input \(2,\) and target \(2, 2\) must have the same shape"),
    (
        "mse_loss",
        lambda f: f(V, V, np.array(["mean"])),
        ValueError,
        "reduction must be .mean., .sum. or .none., got array",
    ),
    ("mse_loss", lambda f: f(V, V, "median"), ValueError, "reduction must be 'mean', 'sum' or 'none', got 'median'"),
    ("mse_loss", lambda f: f(EMPTY, EMPTY), ValueError, "the mean over an empty batch is undefined"),
    ("mse_loss", lambda f: f(V, "text"), TypeError, NOT_AN_OPERAND),
    ("dropout", lambda f: f(V, -0.1), ValueError, r"dropout: the probability p must lie in \[0, 1\], got -0\.1"),
    ("dropout", lambda f: f(V, 1.5), ValueError, r"dropout: the probability p must lie in \[0, 1\], got 1\.5"),
    ("dropout", lambda f: f(V, float("nan")), ValueError, r"dropout: the probability p must lie in \[0, 1\], got nan"),
    ("dropout", lambda f: f(V, "half"), TypeError, "dropout: p must be a number, got 'half'"),
    (
        "batch_norm",
        lambda f: f(V, None, None),
        ValueError,
        r"batch_norm: expected input \(N, C, ...\), got shape \(2,\)",
    ),
    ("batch_norm", lambda f: f(M, None, None, eps=-1.0), ValueError, "{}: eps must be 0 or more, got -1.0"),
    *((name, call, TypeError, "{}: training must be True or False, got 'no'") for name, call in UNTRAINED),
    ("avg_pool2d", lambda f: f(IMAGES, 2, count_include_pad="no"), TypeError, "count_include_pad must be .*, got 'no'"),
    ("batch_norm", lambda f: f(M, None, None), ValueError, "without training, running_mean and running_var are needed"),
    ("batch_norm", lambda f: f(M, V, None), ValueError, "without training, running_mean and running_var are needed"),
    ("batch_norm", lambda f: f(M, None, V), ValueError, "without training, running_mean and running_var are needed"),
    ("batch_norm", lambda f: f(M, V3, V), ValueError, r"running_mean has shape \(3,\).* expected \(2,\)"),
    ("batch_norm", lambda f: f(M, V, V, V3), ValueError, r"weight has shape \(3,\).* expected \(2,\)"),
    (
        "batch_norm",
        lambda f: f(M, V, V.to("float64")),
        ValueError,
        "running_var has .* dtype float64, expected .* float32",
    ),
    ("batch_norm", lambda f: f(M, V, [1.0, 2.0]), TypeError, "running_var must be a Tensor or None, got list"),
    ("batch_norm", lambda f: f(M[:1], V, V, training=True), ValueError, "training needs more than one value a channel"),
    ("batch_norm", lambda f: f(M, V, V, eps="small"), TypeError, "batch_norm: eps must be a number, got 'small'"),
    ("batch_norm", lambda f: f(M, V, V, momentum=None), TypeError, "batch_norm: momentum must be a number, got None"),
    ("batch_norm", lambda f: f("text", V, V), TypeError, NOT_A_TENSOR),
]


@pytest.mark.parametrize(("name", "call", "kind", "message"), ERRORS, ids=[f"{e[0]}-{e[3]}"[:60] for e in ERRORS])
def test_wrong_arguments_raise_at_once_and_say_what_is_wrong(name, call, kind, message) -> None:
    with pytest.raises(kind, match=message.format(name)) as caught:
        call(getattr(ops, name))
    assert type(caught.value) is kind or kind is RuntimeError


def test_every_public_operation_has_its_wrong_arguments_tested() -> None:
    assert {name for name, *_ in ERRORS} == set(ops.__all__)


def test_a_refused_batch_norm_leaves_the_running_statistics_alone() -> None:
    center, spread = Tensor([0.0, 0.0]), Tensor([1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="running_var has shape"):
        ops.batch_norm(M, center, spread, training=True)
    assert center.tolist() == [0.0, 0.0]


def test_every_function_of_one_tensor_is_a_method() -> None:
    others = {"astype", "broadcast_to", "to", "unsqueeze"}
    wanted = {*ONE_TENSOR, *others} - {"dropout", "neg", "logical_not"}
    assert {method.__name__ for method in ops.TENSOR_METHODS} == wanted


@pytest.mark.parametrize("method", sorted({m.__name__ for m in ops.TENSOR_METHODS}))
def test_methods_of_tensor_are_the_operations_themselves(method: str) -> None:
    assert getattr(Tensor, method) is getattr(ops, method)
