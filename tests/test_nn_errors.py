"""Wrong arguments: for every layer, its methods, the initialisers and nn.utils, what the error is and what it says."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from math import inf, nan
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, nn, ops
from minigrad.backends import BackendError

V = Tensor([1.0, 2.0])
M = Tensor([[1.0, 2.0], [3.0, 4.0]])
I = Tensor([[1, 2], [3, 4]])
IMAGES = Tensor(np.ones((1, 2, 4, 4), np.float32))  # (N, C, H, W)
DOUBLES = Tensor(np.ones((1, 2, 4, 4)))
NO_CHANNELS = Tensor(np.ones((1, 0, 4, 4), np.float32))

PAIR = "must be an integer from {}, or a pair .height, width., got "
MODULES = r"write module\.parameters\(\) for a module, \[tensor\] for one tensor"
NO_SHAPE = "this parameter has no shape yet: run one batch through the network, or load a state into it, first"

# What takes arguments and can be given no wrong one, with the reason.
EXEMPT = {
    "Identity.forward": "hands on whatever it is given",
    "UninitializedParameter.__deepcopy__": "called by copy.deepcopy alone",
}


def linear() -> nn.Linear:
    return nn.Linear(2, 3)


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU())


def state(**changes: Any) -> dict[str, Any]:
    return {**linear().state_dict(), **changes}


ACTIVATIONS = {"LeakyReLU": "leaky_relu", "ReLU": "relu", "Sigmoid": "sigmoid", "Softmax": "softmax"}
ACTIVATIONS |= {"Softplus": "softplus", "Tanh": "tanh"}
POOLS = {"AvgPool2d": "avg_pool2d", "MaxPool2d": "max_pool2d"}
LOSSES = ("CrossEntropyLoss", "MSELoss")
INITS = ("uniform_", "normal_", "zeros_", "ones_", "xavier_uniform_", "xavier_normal_")
INITS += ("kaiming_uniform_", "kaiming_normal_")
SCALED = ("xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_")

# Name, call, kind of error, message.
ERRORS: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    # -- layers with weights
    ("Linear", lambda: nn.Linear("2", 3), TypeError, "^Linear: in_features must be an integer, got '2'$"),
    ("Linear", lambda: nn.Linear(2.0, 3), TypeError, r"^Linear: in_features must be an integer, got 2\.0$"),
    ("Linear", lambda: nn.Linear(0, 3), ValueError, "^Linear: in_features must be at least 1, got 0$"),
    ("Linear", lambda: nn.Linear(2, -1), ValueError, "^Linear: out_features must be at least 1, got -1$"),
    ("Linear", lambda: nn.Linear(2, True), TypeError, "^Linear: out_features must be an integer, got True$"),
    ("Linear", lambda: nn.Linear(2, None), TypeError, "^Linear: out_features must be an integer, got None$"),
    ("Linear", lambda: nn.Linear(2, 3, "no"), TypeError, "^Linear: bias must be True or False, got 'no'$"),
    ("Linear", lambda: nn.Linear(2, 3, None), TypeError, "^Linear: bias must be True or False, got None$"),
    ("Linear", lambda: nn.Linear(2, 3, V), TypeError, "^Linear: bias must be True or False, got Tensor"),
    ("Linear.forward", lambda: linear()("text"), TypeError, "^linear: expected a Tensor, .* got 'text'$"),
    ("Linear.forward", lambda: linear()(None), TypeError, "^linear: expected a Tensor, .* got None$"),
    ("Linear.forward", lambda: linear()(3.0), ValueError, r"^linear: input \(\) has no features but weight \(3, 2\)"),
    ("Linear.forward", lambda: linear()(IMAGES), ValueError, r"^linear: input \(1, 2, 4, 4\) has 4 features but .* 2$"),
    ("Linear.forward", lambda: linear()(DOUBLES), TypeError, "^linear: float32 and float64 do not mix; convert one"),
    ("Conv2d", lambda: nn.Conv2d("2", 3, 3), TypeError, "^Conv2d: in_channels must be an integer, got '2'$"),
    ("Conv2d", lambda: nn.Conv2d(0, 3, 3), ValueError, "^Conv2d: in_channels must be at least 1, got 0$"),
    ("Conv2d", lambda: nn.Conv2d(2, 3.0, 3), TypeError, r"^Conv2d: out_channels must be an integer, got 3\.0$"),
    ("Conv2d", lambda: nn.Conv2d(2, 3, 0), ValueError, "^Conv2d: kernel_size " + PAIR.format(1) + "0$"),
    ("Conv2d", lambda: nn.Conv2d(2, 3, 2.5), ValueError, "^Conv2d: kernel_size " + PAIR.format(1) + r"2\.5$"),
    ("Conv2d", lambda: nn.Conv2d(2, 3, None), ValueError, "^Conv2d: kernel_size " + PAIR.format(1) + "None$"),
    ("Conv2d", lambda: nn.Conv2d(2, 3, (3,) * 3), ValueError, "^Conv2d: kernel_size " + PAIR.format(1) + r"\(3, 3, 3"),
    ("Conv2d", lambda: nn.Conv2d(2, 3, (0, 3)), ValueError, "^Conv2d: kernel_size " + PAIR.format(1) + r"\(0, 3\)$"),
    ("Conv2d", lambda: nn.Conv2d(2, 3, (3, 0)), ValueError, "^Conv2d: kernel_size " + PAIR.format(1) + r"\(3, 0\)$"),
    ("Conv2d", lambda: nn.Conv2d(2, 3, 3, 0), ValueError, "^Conv2d: stride " + PAIR.format(1) + "0$"),
    ("Conv2d", lambda: nn.Conv2d(2, 3, 3, 1, -1), ValueError, "^Conv2d: padding " + PAIR.format(0) + "-1$"),
    ("Conv2d", lambda: nn.Conv2d(2, 3, 3, 1, None), ValueError, "^Conv2d: padding " + PAIR.format(0) + "None$"),
    (
        "Conv2d",
        lambda: nn.Conv2d(2, 3, 3, 1, "full"),
        ValueError,
        "^Conv2d: padding must be 'same', 'valid', an integer or a pair, g",
    ),
    (
        "Conv2d",
        lambda: nn.Conv2d(2, 3, 3, 2, "same"),
        ValueError,
        "^Conv2d: padding 'same' needs stride 1, got .2, 2.$",
    ),
    ("Conv2d", lambda: nn.Conv2d(2, 3, 3, dilation="1"), ValueError, "^Conv2d: dilation " + PAIR.format(1) + "'1'$"),
    ("Conv2d", lambda: nn.Conv2d(2, 4, 3, groups=0), ValueError, "^Conv2d: groups must be at least 1, got 0$"),
    ("Conv2d", lambda: nn.Conv2d(2, 4, 3, groups=1.0), TypeError, r"^Conv2d: groups must be an integer, got 1\.0$"),
    ("Conv2d", lambda: nn.Conv2d(2, 3, 3, groups=2), ValueError, "^Conv2d: 3 output channels do not divide into 2"),
    ("Conv2d", lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "^Conv2d: 3 input channels do not divide into 2"),
    ("Conv2d", lambda: nn.Conv2d(2, 3, 3, bias="false"), TypeError, "^Conv2d: bias must be True or False, got 'false'"),
    ("Conv2d.forward", lambda: nn.Conv2d(2, 3, 3)("text"), TypeError, "^conv2d: expected a Tensor, .* got 'text'$"),
    (
        "Conv2d.forward",
        lambda: nn.Conv2d(2, 3, 3)(M),
        ValueError,
        r"^conv2d: expected input \(N, C, H, W\) .* \(2, 2\)",
    ),
    (
        "Conv2d.forward",
        lambda: nn.Conv2d(3, 3, 3)(IMAGES),
        ValueError,
        "^conv2d: input has 2 channels but weight .* 3$",
    ),
    ("Conv2d.forward", lambda: nn.Conv2d(2, 3, 5)(IMAGES), ValueError, r"^conv2d: a kernel spanning \(5, 5\) does not"),
    (
        "Conv2d.forward",
        lambda: nn.Conv2d(2, 3, 3)(DOUBLES),
        TypeError,
        "^conv2d: float32 and float64 do not mix; conve",
    ),
    # -- lazy layers
    ("LazyLinear", lambda: nn.LazyLinear(0), ValueError, "^LazyLinear: out_features must be at least 1, got 0$"),
    ("LazyLinear", lambda: nn.LazyLinear("3"), TypeError, "^LazyLinear: out_features must be an integer, got '3'$"),
    ("LazyLinear", lambda: nn.LazyLinear(3, 4), TypeError, "^LazyLinear: bias must be True or False, got 4$"),
    ("LazyLinear.forward", lambda: nn.LazyLinear(3)("text"), TypeError, "^LazyLinear: expected a Tensor, got str$"),
    ("LazyLinear.forward", lambda: nn.LazyLinear(3)(None), TypeError, "^LazyLinear: expected a Tensor, got NoneType$"),
    ("LazyLinear.forward", lambda: nn.LazyLinear(3)(1.0), ValueError, r"^LazyLinear: expected input \(\.\.\., in_feat"),
    ("LazyLinear.forward", lambda: nn.LazyLinear(3)(np.ones((2, 0))), ValueError, "^LazyLinear: in_features .* got 0$"),
    ("LazyConv2d", lambda: nn.LazyConv2d(0, 3), ValueError, "^LazyConv2d: out_channels must be at least 1, got 0$"),
    ("LazyConv2d", lambda: nn.LazyConv2d(3, 0), ValueError, "^LazyConv2d: kernel_size " + PAIR.format(1) + "0$"),
    ("LazyConv2d", lambda: nn.LazyConv2d(3, 3, 1, "full"), ValueError, "^LazyConv2d: padding must be 'same', "),
    ("LazyConv2d", lambda: nn.LazyConv2d(3, 3, groups=2), ValueError, "^LazyConv2d: 3 output channels do not divide"),
    ("LazyConv2d", lambda: nn.LazyConv2d(3, 3, bias=0), TypeError, "^LazyConv2d: bias must be True or False, got 0$"),
    ("LazyConv2d.forward", lambda: nn.LazyConv2d(3, 3)("text"), TypeError, "^LazyConv2d: expected a Tensor, got str$"),
    ("LazyConv2d.forward", lambda: nn.LazyConv2d(3, 3)(V), ValueError, r"^LazyConv2d: expected input \(N, C, H, W\)"),
    ("LazyConv2d.forward", lambda: nn.LazyConv2d(3, 3)(NO_CHANNELS), ValueError, "^LazyConv2d: in_channels .* got 0$"),
    ("LazyConv2d.forward", lambda: nn.LazyConv2d(9, 3, groups=3)(IMAGES), ValueError, "^LazyConv2d: 2 input channels"),
    # -- parameters
    ("Parameter", lambda: nn.Parameter("text"), TypeError, "Tensor: .*<U4"),
    ("Parameter", lambda: nn.Parameter(None), TypeError, "Tensor: "),
    ("Parameter", lambda: nn.Parameter([1, 2]), TypeError, "only floating tensors can require a gradient; .* int64"),
    ("Parameter", lambda: nn.Parameter([[1.0], [1.0, 2.0]]), TypeError, "Tensor: cannot make an array of this list: "),
    (
        "Parameter",
        lambda: nn.Parameter([1.0], "float64"),
        TypeError,
        "requires_grad must be True or False, got 'float6",
    ),
    (
        "UninitializedParameter",
        lambda: nn.UninitializedParameter((2, 3)),
        TypeError,
        r"^UninitializedParameter: requires_grad must be True or False, got \(2, 3\)$",
    ),
    *(
        ("UninitializedParameter.materialize", call, kind, "^materialize: " + message)
        for call, kind, message in (
            (lambda: nn.UninitializedParameter().materialize(3), TypeError, "a shape is a tuple of integers, got 3$"),
            (lambda: nn.UninitializedParameter().materialize("32"), TypeError, "a shape is a tuple .* got '32'$"),
            (
                lambda: nn.UninitializedParameter().materialize((2, 0.5)),
                TypeError,
                r"a size must be an integer, .* 0\.5$",
            ),
            (
                lambda: nn.UninitializedParameter().materialize((2, -1)),
                ValueError,
                "a size must be at least 1, got -1$",
            ),
        )
    ),
    # -- layers without weights
    *(
        (
            f"{layer}.forward",
            lambda layer=layer, wrong=wrong: getattr(nn, layer)()(wrong),
            TypeError,
            f"^{f}: {message}",
        )
        for layer, f in ACTIVATIONS.items()
        for wrong, message in (("text", "expected a Tensor, got str$"), (None, "expected a Tensor, got NoneType$"))
    ),
    ("LeakyReLU", lambda: nn.LeakyReLU("s"), TypeError, "^LeakyReLU: negative_slope must be a number, got 's'$"),
    ("LeakyReLU", lambda: nn.LeakyReLU(None), TypeError, "^LeakyReLU: negative_slope must be a number, got None$"),
    ("LeakyReLU", lambda: nn.LeakyReLU(True), TypeError, "^LeakyReLU: negative_slope must be a number, got True$"),
    ("LeakyReLU", lambda: nn.LeakyReLU(V), TypeError, "^LeakyReLU: negative_slope must be a number, got Tensor"),
    ("LeakyReLU", lambda: nn.LeakyReLU(nan), ValueError, "^LeakyReLU: negative_slope must be finite, got nan$"),
    ("Softmax", lambda: nn.Softmax("x"), TypeError, "^Softmax: axis must be an integer, got 'x'$"),
    ("Softmax", lambda: nn.Softmax(1.5), TypeError, r"^Softmax: axis must be an integer, got 1\.5$"),
    ("Softmax", lambda: nn.Softmax(None), TypeError, "^Softmax: axis must be an integer, got None$"),
    ("Softmax", lambda: nn.Softmax((0, 1)), TypeError, r"^Softmax: axis must be an integer, got \(0, 1\)$"),
    ("Softmax.forward", lambda: nn.Softmax(2)(M), ValueError, "^softmax: axis 2 is out of range for a tensor of 2 dim"),
    ("Flatten", lambda: nn.Flatten("1"), TypeError, "^Flatten: start_dim must be an integer, got '1'$"),
    ("Flatten", lambda: nn.Flatten(1, None), TypeError, "^Flatten: end_dim must be an integer, got None$"),
    ("Flatten", lambda: nn.Flatten(2, 1), ValueError, "^Flatten: start_dim 2 comes after end_dim 1$"),
    ("Flatten", lambda: nn.Flatten(-1, -2), ValueError, "^Flatten: start_dim -1 comes after end_dim -2$"),
    ("Flatten.forward", lambda: nn.Flatten()(V), ValueError, "^flatten: axis 1 is out of range for a tensor of 1 dim"),
    ("Flatten.forward", lambda: nn.Flatten(1, -2)(M), ValueError, "^flatten: start_dim 1 comes after end_dim -2$"),
    ("Flatten.forward", lambda: nn.Flatten()("text"), TypeError, "^flatten: expected a Tensor, got str$"),
    *(
        (layer, lambda layer=layer, wrong=wrong: getattr(nn, layer)(*wrong), ValueError, f"^{layer}: {message}")
        for layer in POOLS
        for wrong, message in (
            ((0,), "kernel_size " + PAIR.format(1) + "0$"),
            ((2.0,), "kernel_size " + PAIR.format(1) + r"2\.0$"),
            (("2",), "kernel_size " + PAIR.format(1) + "'2'$"),
            (((1, 2, 3),), "kernel_size " + PAIR.format(1) + r"\(1, 2, 3\)$"),
            ((2, 0), "stride " + PAIR.format(1) + "0$"),
            ((2, 2, -1), "padding " + PAIR.format(0) + "-1$"),
            ((2, 2, 2), "padding .2, 2. is more than half the window .2, 2.$"),
        )
    ),
    *(
        (f"{layer}.forward", lambda layer=layer, wrong=wrong: getattr(nn, layer)(5)(wrong), kind, f"^{f}: {message}")
        for layer, f in POOLS.items()
        for wrong, kind, message in (
            ("text", TypeError, "expected a Tensor, got str$"),
            (None, TypeError, "expected a Tensor, got NoneType$"),
            (V, ValueError, r"expected input \(N, C, H, W\), got shape \(2,\)$"),
            (IMAGES, ValueError, r"a kernel spanning \(5, 5\) does not fit into the padded image \(4, 4\)$"),
        )
    ),
    (
        "AvgPool2d",
        lambda: nn.AvgPool2d(2, count_include_pad="no"),
        TypeError,
        "^AvgPool2d: count_include_pad must be True or False, got 'no'$",
    ),
    # -- regularisation
    ("Dropout", lambda: nn.Dropout(-0.1), ValueError, r"^Dropout: the probability p must lie in \[0, 1\], got -0\.1$"),
    ("Dropout", lambda: nn.Dropout(50), ValueError, r"^Dropout: the probability p must lie in \[0, 1\], got 50$"),
    ("Dropout", lambda: nn.Dropout(nan), ValueError, "^Dropout: p must be finite, got nan$"),
    ("Dropout", lambda: nn.Dropout("half"), TypeError, "^Dropout: p must be a number, got 'half'$"),
    ("Dropout", lambda: nn.Dropout(None), TypeError, "^Dropout: p must be a number, got None$"),
    ("Dropout", lambda: nn.Dropout(True), TypeError, "^Dropout: p must be a number, got True$"),
    ("Dropout.forward", lambda: nn.Dropout()("text"), TypeError, "^dropout: expected a Tensor, got str$"),
    ("Dropout.forward", lambda: nn.Dropout().eval()(None), TypeError, "^dropout: expected a Tensor, got NoneType$"),
    ("BatchNorm2d", lambda: nn.BatchNorm2d(0), ValueError, "^BatchNorm2d: num_features must be at least 1, got 0$"),
    ("BatchNorm2d", lambda: nn.BatchNorm2d("2"), TypeError, "^BatchNorm2d: num_features must be an integer, got '2'$"),
    (
        "BatchNorm2d",
        lambda: nn.BatchNorm2d(2.0),
        TypeError,
        r"^BatchNorm2d: num_features must be an integer, got 2\.0$",
    ),
    ("BatchNorm2d", lambda: nn.BatchNorm2d(2, -1), ValueError, "^BatchNorm2d: eps must be 0 or more, got -1$"),
    ("BatchNorm2d", lambda: nn.BatchNorm2d(2, inf), ValueError, "^BatchNorm2d: eps must be finite, got inf$"),
    ("BatchNorm2d", lambda: nn.BatchNorm2d(2, True), TypeError, "^BatchNorm2d: eps must be a number, got True$"),
    (
        "BatchNorm2d",
        lambda: nn.BatchNorm2d(2, 0.1, 2),
        ValueError,
        r"^BatchNorm2d: momentum must lie in \[0, 1\], got 2$",
    ),
    ("BatchNorm2d", lambda: nn.BatchNorm2d(2, 0.1, nan), ValueError, "^BatchNorm2d: momentum must be finite, got nan$"),
    (
        "BatchNorm2d",
        lambda: nn.BatchNorm2d(2, 0.1, None),
        TypeError,
        "^BatchNorm2d: momentum must be a number, got None$",
    ),
    (
        "BatchNorm2d",
        lambda: nn.BatchNorm2d(2, affine="no"),
        TypeError,
        "^BatchNorm2d: affine must be True or False, got",
    ),
    ("BatchNorm2d.forward", lambda: nn.BatchNorm2d(2)("text"), TypeError, "^BatchNorm2d: expected a Tensor, got str$"),
    (
        "BatchNorm2d.forward",
        lambda: nn.BatchNorm2d(2)(None),
        TypeError,
        "^BatchNorm2d: expected a Tensor, got NoneType",
    ),
    (
        "BatchNorm2d.forward",
        lambda: nn.BatchNorm2d(2)(M),
        ValueError,
        r"^BatchNorm2d: .*\(N, 2, H, W\), got .*\(2, 2\)$",
    ),
    ("BatchNorm2d.forward", lambda: nn.BatchNorm2d(3)(IMAGES), ValueError, r"^BatchNorm2d: expected .*\(N, 3, H, W\)"),
    ("BatchNorm2d.forward", lambda: nn.BatchNorm2d(2)(DOUBLES), ValueError, "^batch_norm: .* and float64$"),
    (
        "BatchNorm2d.forward",
        lambda: nn.BatchNorm2d(2)(IMAGES[:, :, :1, :1]),
        ValueError,
        r"^batch_norm: training needs more than one value a channel, got shape \(1, 2, 1, 1\)$",
    ),
    # -- losses
    *(
        (loss, lambda loss=loss, wrong=wrong: getattr(nn, loss)(reduction=wrong), ValueError, f"^{loss}: {message}")
        for loss in LOSSES
        for wrong, message in (
            ("avg", "reduction must be 'mean', 'sum' or 'none', got 'avg'$"),
            (None, "reduction must be 'mean', 'sum' or 'none', got None$"),
            (V, "reduction must be 'mean', 'sum' or 'none', got Tensor"),
        )
    ),
    ("CrossEntropyLoss.forward", lambda: nn.CrossEntropyLoss()("text", [0]), TypeError, "^cross_entropy: .* got str$"),
    ("CrossEntropyLoss.forward", lambda: nn.CrossEntropyLoss()(M, None), TypeError, "^cross_entropy: .* got NoneType$"),
    (
        "CrossEntropyLoss.forward",
        lambda: nn.CrossEntropyLoss()(M, M),
        TypeError,
        "^cross_entropy: labels must be integ",
    ),
    ("CrossEntropyLoss.forward", lambda: nn.CrossEntropyLoss()(M, [0]), ValueError, r"^cross_entropy: expected logits"),
    (
        "CrossEntropyLoss.forward",
        lambda: nn.CrossEntropyLoss()(M, [0, 2]),
        ValueError,
        "^cross_entropy: .* from 0 to 1,",
    ),
    ("MSELoss.forward", lambda: nn.MSELoss()(V, "text"), TypeError, "^mse_loss: expected a Tensor, .* got 'text'$"),
    ("MSELoss.forward", lambda: nn.MSELoss()(None, V), TypeError, "^mse_loss: expected a Tensor, .* got None$"),
    ("MSELoss.forward", lambda: nn.MSELoss()(V, M), ValueError, r"^mse_loss: input \(2,\) and target \(2, 2\) must"),
    (
        "MSELoss.forward",
        lambda: nn.MSELoss()(V, V.to("float64")),
        TypeError,
        "^mse_loss: float32 and float64 do not mix",
    ),
    # -- containers
    (
        "Sequential",
        lambda: nn.Sequential(nn.ReLU),
        TypeError,
        r"^Sequential: '0' .* the class ReLU; write ReLU\(\.\.\.\)$",
    ),
    ("Sequential", lambda: nn.Sequential([nn.ReLU()]), TypeError, r"got one list; write Sequential\(\*modules\)$"),
    ("Sequential", lambda: nn.Sequential(iter([nn.ReLU()])), TypeError, r"got one .*; write Sequential\(\*modules\)$"),
    (
        "Sequential",
        lambda: nn.Sequential(nn.ReLU(), None),
        TypeError,
        "^Sequential: '1' must be a Module, got a NoneType",
    ),
    ("Sequential", lambda: nn.Sequential(ops.relu), TypeError, "^Sequential: '0' must be a Module, got a function$"),
    ("Sequential", lambda: nn.Sequential("relu"), TypeError, "^Sequential: '0' must be a Module, got a str$"),
    (
        "Sequential",
        lambda: nn.Sequential({"a": nn.ReLU}),
        TypeError,
        "^Sequential: 'a' must be a Module, got the class R",
    ),
    ("Sequential", lambda: nn.Sequential({"a.b": nn.ReLU()}), ValueError, r"a name is a string, .* got 'a\.b'$"),
    ("Sequential", lambda: nn.Sequential({1: nn.ReLU()}), ValueError, "a name is a string, .* got 1$"),
    (
        "Sequential",
        lambda: nn.Sequential({"train": nn.ReLU()}),
        ValueError,
        "Sequential already has an attribute 'train'$",
    ),
    ("Sequential.forward", lambda: net()("text"), TypeError, "^linear: expected a Tensor, .* got 'text'$"),
    ("Sequential.forward", lambda: net()(IMAGES), ValueError, r"^linear: input \(1, 2, 4, 4\) has 4 features but"),
    (
        "ModuleList",
        lambda: nn.ModuleList(nn.ReLU()),
        TypeError,
        r"^ModuleList: expected .* a ReLU; write ModuleList\(\[",
    ),
    (
        "ModuleList",
        lambda: nn.ModuleList(nn.ReLU),
        TypeError,
        "^ModuleList: expected a list of modules, got the class Re",
    ),
    ("ModuleList", lambda: nn.ModuleList(None), TypeError, "^ModuleList: expected a list of modules, got a NoneType; "),
    (
        "ModuleList",
        lambda: nn.ModuleList([nn.ReLU]),
        TypeError,
        "^ModuleList: '0' must be a Module, got the class ReLU;",
    ),
    *(
        (f"{type(make()).__name__}.{method}", lambda make=make, call=call: call(make()), kind, message)
        for make in (net, lambda: nn.ModuleList([nn.Linear(2, 3), nn.ReLU()]))
        for method, call, kind, message in (
            (
                "append",
                lambda c: c.append(nn.ReLU),
                TypeError,
                r"'2' must be a Module, got the class ReLU; write ReLU\(",
            ),
            ("append", lambda c: c.append(None), TypeError, "'2' must be a Module, got a NoneType$"),
            ("append", lambda c: c.append([nn.ReLU()]), TypeError, "'2' must be a Module, got a list$"),
            ("__getitem__", lambda c: c[2], IndexError, "index 2 is out of range for 2 modules$"),
            ("__getitem__", lambda c: c[-3], IndexError, "index -3 is out of range for 2 modules$"),
            ("__getitem__", lambda c: c["0"], TypeError, "an index must be an integer, or a slice to read, got '0'$"),
            ("__getitem__", lambda c: c[0.0], TypeError, r"an index must be an integer, or a slice to read, got 0\.0$"),
            ("__getitem__", lambda c: c[True], TypeError, "an index must be an integer, or a slice to read, got True$"),
            ("__getitem__", lambda c: c[V], TypeError, r"only a 0-d integer tensor can be an index, not float32"),
            ("__getitem__", lambda c: c["a":], TypeError, "^(Sequential|ModuleList): slice indices must be integers"),
            ("__getitem__", lambda c: c[::0], ValueError, "^(Sequential|ModuleList): slice step cannot be zero$"),
            ("__setitem__", lambda c: c.__setitem__(0, None), TypeError, "'0' must be a Module, got a NoneType$"),
            (
                "__setitem__",
                lambda c: c.__setitem__(0, nn.ReLU),
                TypeError,
                "'0' must be a Module, got the class ReLU; wr",
            ),
            (
                "__setitem__",
                lambda c: c.__setitem__(2, nn.ReLU()),
                IndexError,
                "index 2 is out of range for 2 modules$",
            ),
            ("__setitem__", lambda c: c.__setitem__("0", nn.ReLU()), TypeError, "an index must be an integer, .* '0'$"),
            ("__setitem__", lambda c: c.__setitem__(slice(1), nn.ReLU()), TypeError, "an index .* got slice"),
        )
    ),
    # -- Module
    ("Module.__call__", lambda: linear()(), TypeError, r"forward\(\) missing 1 required positional argument: 'input'$"),
    ("Module.__call__", lambda: net()(M, M), TypeError, r"forward\(\) takes 2 positional arguments but 3 were given$"),
    (
        "Module.forward",
        lambda: nn.Module()(V),
        NotImplementedError,
        r"^Module: define forward\(self, \.\.\.\), the comp",
    ),
    ("Module.forward", lambda: nn.ModuleList()(V), NotImplementedError, r"^ModuleList: define forward\(self, \.\.\.\)"),
    (
        "Module.__setattr__",
        lambda: setattr(linear(), "weight", V),
        TypeError,
        r"^Linear\.weight is a Parameter, got a Ten",
    ),
    (
        "Module.__setattr__",
        lambda: setattr(net(), "0", nn.ReLU),
        TypeError,
        r"^Sequential\.0 is a Module, got the class R",
    ),
    (
        "Module.__setattr__",
        lambda: setattr(nn.BatchNorm2d(2), "running_var", [1.0]),
        TypeError,
        "running_var is a buffer",
    ),
    (
        "Module.register_buffer",
        lambda: linear().register_buffer("a.b", V),
        ValueError,
        r"^register_buffer: .* got 'a\.b'",
    ),
    (
        "Module.register_buffer",
        lambda: linear().register_buffer(3, V),
        ValueError,
        "^register_buffer: a name .* got 3$",
    ),
    (
        "Module.register_buffer",
        lambda: linear().register_buffer("bias", V),
        ValueError,
        "already has an attribute 'bias'",
    ),
    (
        "Module.register_buffer",
        lambda: linear().register_buffer("m", [1.0]),
        TypeError,
        "m is a buffer: .* got a list$",
    ),
    ("Module.register_buffer", lambda: linear().register_buffer("m", nn.Parameter(V)), TypeError, "got a Parameter$"),
    (
        "Module.add_module",
        lambda: linear().add_module("x", nn.ReLU),
        TypeError,
        "^Linear: 'x' must be a Module, got the c",
    ),
    (
        "Module.add_module",
        lambda: linear().add_module("x", None),
        TypeError,
        "^Linear: 'x' must be a Module, got a NoneT",
    ),
    ("Module.add_module", lambda: linear().add_module("", nn.ReLU()), ValueError, "^add_module: a name is .* got ''$"),
    ("Module.add_module", lambda: linear().add_module(nn.ReLU(), "x"), ValueError, r"^add_module: .* got ReLU\(\)$"),
    (
        "Module.add_module",
        lambda: linear().add_module("bias", nn.ReLU()),
        ValueError,
        "already has an attribute 'bias'$",
    ),
    *(
        ("Module.register_forward_hook", call, TypeError, "^register_forward_hook: expected a function .* got " + wrong)
        for call, wrong in (
            (lambda: linear().register_forward_hook(3), "3$"),
            (lambda: linear().register_forward_hook(None), "None$"),
        )
    ),
    *(
        (f"Module.{method}", lambda method=method, wrong=wrong: getattr(linear(), method)(wrong), TypeError, message)
        for method in ("parameters", "named_parameters", "buffers", "named_buffers")
        for wrong, message in (
            ("layer1.", r"^Linear: recurse must be True or False, got 'layer1\.'$"),
            (None, "^Linear: recurse must be True or False, got None$"),
        )
    ),
    ("Module.apply", lambda: net().apply(3), TypeError, "^apply: expected a function of a module, got 3$"),
    ("Module.apply", lambda: net().apply(None), TypeError, "^apply: expected a function of a module, got None$"),
    (
        "Module.apply",
        lambda: net().apply(nn.init.zeros_),
        TypeError,
        r"^zeros_: .*such as layer\.weight, got a Linear$",
    ),
    ("Module.train", lambda: net().train(1), TypeError, "^train: mode must be True or False, got 1$"),
    ("Module.train", lambda: net().train("yes"), TypeError, "^train: mode must be True or False, got 'yes'$"),
    ("Module.train", lambda: nn.ReLU().train(None), TypeError, "^train: mode must be True or False, got None$"),
    ("Module.requires_grad_", lambda: net().requires_grad_("no"), TypeError, "^requires_grad_: .* or False, got 'no'$"),
    ("Module.requires_grad_", lambda: nn.ReLU().requires_grad_(None), TypeError, "^requires_grad_: .* got None$"),
    ("Module.to", lambda: net().to("int64"), TypeError, "^to: parameters can be float32 or float64, not int64$"),
    ("Module.to", lambda: net().to("float16"), TypeError, "float16 is not one of float32, float64"),
    ("Module.to", lambda: net().to(None), TypeError, "expected a dtype, got None$"),
    ("Module.to", lambda: net().to(3), TypeError, "^to: expected the name of a backend, or a dtype, got 3$"),
    ("Module.to", lambda: net().to("cuda"), BackendError, "there is no backend named 'cuda'; there are 'numpy'"),
    ("Module.to", lambda: nn.ReLU().to("cuda"), BackendError, "there is no backend named 'cuda'; there are 'numpy'"),
    ("Module.to", lambda: nn.ReLU().to("int64"), TypeError, "^to: parameters can be float32 or float64, not int64$"),
    (
        "Module.to",
        lambda: nn.LazyLinear(3).to("int64"),
        TypeError,
        "^to: parameters can be float32 or float64, not int64",
    ),
    ("Module.to", lambda: nn.LazyLinear(3).to("cuda"), BackendError, "there is no backend named 'cuda'; there are"),
    *(
        ("Module.load_state_dict", lambda wrong=wrong: linear().load_state_dict(wrong()), kind, message)
        for wrong, kind, message in (
            (
                lambda: "weights.safetensors",
                TypeError,
                "^load_state_dict: expected a dict of Tensors by name, got a str$",
            ),
            (lambda: None, TypeError, "^load_state_dict: expected a dict of Tensors by name, got a NoneType$"),
            (linear, TypeError, "^load_state_dict: expected a dict of Tensors by name, got a Linear$"),
            (
                lambda: linear().state_dict,
                TypeError,
                "^load_state_dict: expected a dict of Tensors by name, got a method$",
            ),
            (
                lambda: {"weight": M},
                ValueError,
                r"^load_state_dict: .* fit this Linear\n  missing: bias\n  unfit: weight",
            ),
            (lambda: state(bias=V), ValueError, r"  unfit: bias has shape \(2,\), expected \(3,\)$"),
            (lambda: state(more=V), ValueError, "  unexpected: more$"),
            (lambda: {**state(), 3: V}, ValueError, "  unexpected: 3$"),
            (
                lambda: state(bias=[0.0] * 3),
                TypeError,
                "^load_state_dict: bias must be a Tensor or an array, got a list$",
            ),
            (
                lambda: state(bias=None),
                TypeError,
                "^load_state_dict: bias must be a Tensor or an array, got a NoneType$",
            ),
            (lambda: state(bias=np.ones(3) * 1j), TypeError, "^load_state_dict: bias: .*complex128"),
            (lambda: state(bias=np.array(list("abc"))), TypeError, "^load_state_dict: bias: .*<U1"),
        )
    ),
    (
        "Module.load_state_dict",
        lambda: linear().load_state_dict(state(), strict="no"),
        TypeError,
        "^load_state_dict: strict must be True or False, got 'no'$",
    ),
    # -- initialisers
    *(
        (f"init.{name}", lambda name=name, wrong=wrong: getattr(nn.init, name)(wrong), TypeError, f"^{name}: {message}")
        for name in INITS
        for wrong, message in (
            (None, r"expected a Tensor, such as layer\.weight, got a NoneType$"),
            (np.ones((2, 2)), r"expected a Tensor, such as layer\.weight, got a ndarray$"),
            (nn.Linear(2, 2), r"expected a Tensor, such as layer\.weight, got a Linear$"),
            (I, "expected a floating tensor, got int64$"),
        )
    ),
    *(
        (f"init.{n}", lambda n=n: getattr(nn.init, n)(nn.UninitializedParameter()), RuntimeError, NO_SHAPE)
        for n in INITS
    ),
    *(
        (
            f"init.{name}",
            lambda name=name: getattr(nn.init, name)(V),
            ValueError,
            f"^{name}: needs .* shape .2,.; a bias",
        )
        for name in SCALED
    ),
    *(
        (
            f"init.{name}",
            lambda f=name, wrong=wrong: getattr(nn.init, f)(M, wrong),
            kind,
            f"^{name}: gain must be {message}$",
        )
        for name in ("xavier_uniform_", "xavier_normal_")
        for wrong, kind, message in (
            ("relu", TypeError, "a number, got 'relu'"),
            (None, TypeError, "a number, got None"),
            (-1, ValueError, "0 or more, got -1"),
            (nan, ValueError, "finite, got nan"),
            (inf, ValueError, "finite, got inf"),
        )
    ),
    *(
        (f"init.{name}", lambda f=name, wrong=wrong: getattr(nn.init, f)(M, *wrong), kind, f"^{name}: {message}$")
        for name in ("kaiming_uniform_", "kaiming_normal_")
        for wrong, kind, message in (
            (("fan_out",), TypeError, "a must be a number, got 'fan_out'"),
            ((nan,), ValueError, "a must be finite, got nan"),
            ((0, "fan"), ValueError, "mode must be one of 'fan_in', 'fan_out', got 'fan'"),
            ((0, None), ValueError, "mode must be one of 'fan_in', 'fan_out', got None"),
            ((0, "fan_in", "swish"), ValueError, "nonlinearity must be one of 'linear', .* got 'swish'"),
            ((0, "fan_in", nn.ReLU), ValueError, "nonlinearity must be one of 'linear', .* got <class .*ReLU'>"),
        )
    ),
    ("init.uniform_", lambda: nn.init.uniform_(V, "a"), TypeError, "^uniform_: a must be a number, got 'a'$"),
    ("init.uniform_", lambda: nn.init.uniform_(V, 0, None), TypeError, "^uniform_: b must be a number, got None$"),
    ("init.uniform_", lambda: nn.init.uniform_(V, 1, 0), ValueError, "^uniform_: a must not be above b, got 1 and 0$"),
    ("init.uniform_", lambda: nn.init.uniform_(V, nan), ValueError, "^uniform_: a must be finite, got nan$"),
    ("init.uniform_", lambda: nn.init.uniform_(V, 0, inf), ValueError, "^uniform_: b must be finite, got inf$"),
    ("init.normal_", lambda: nn.init.normal_(V, "m"), TypeError, "^normal_: mean must be a number, got 'm'$"),
    ("init.normal_", lambda: nn.init.normal_(V, nan), ValueError, "^normal_: mean must be finite, got nan$"),
    ("init.normal_", lambda: nn.init.normal_(V, 0, -1), ValueError, "^normal_: std must be 0 or more, got -1$"),
    ("init.normal_", lambda: nn.init.normal_(V, 0, 1j), TypeError, "^normal_: std must be a number, got 1j$"),
    ("init.normal_", lambda: nn.init.normal_(V, 0, inf), ValueError, "^normal_: std must be finite, got inf$"),
    ("init.constant_", lambda: nn.init.constant_(V, "x"), TypeError, "^constant_: val must be a number, got 'x'$"),
    ("init.constant_", lambda: nn.init.constant_(V, None), TypeError, "^constant_: val must be a number, got None$"),
    ("init.constant_", lambda: nn.init.constant_(V, V), TypeError, "^constant_: val must be a number, got Tensor"),
    (
        "init.constant_",
        lambda: nn.init.constant_(I, 0),
        TypeError,
        "^constant_: expected a floating tensor, got int64$",
    ),
    ("init.constant_", lambda: nn.init.constant_([1.0], 0), TypeError, "^constant_: expected a Tensor, .* got a list$"),
    ("init.calculate_gain", lambda: nn.init.calculate_gain("swish"), ValueError, "^calculate_gain: .* got 'swish'$"),
    (
        "init.calculate_gain",
        lambda: nn.init.calculate_gain(None),
        ValueError,
        "^calculate_gain: nonlinearity must be one",
    ),
    (
        "init.calculate_gain",
        lambda: nn.init.calculate_gain(nn.ReLU()),
        ValueError,
        r"^calculate_gain: .* got ReLU\(\)$",
    ),
    (
        "init.calculate_gain",
        lambda: nn.init.calculate_gain("relu", "a"),
        TypeError,
        "^calculate_gain: param .* got 'a'$",
    ),
    (
        "init.calculate_gain",
        lambda: nn.init.calculate_gain("leaky_relu", nan),
        ValueError,
        "param must be finite, got nan",
    ),
    # -- utils
    *(
        (
            "utils.clip_grad_norm_",
            lambda args=args: nn.utils.clip_grad_norm_(*args()),
            kind,
            "^clip_grad_norm_: " + message,
        )
        for args, kind, message in (
            (lambda: (None, 1.0), TypeError, "expected a list of parameters, got a NoneType; " + MODULES),
            (lambda: (linear(), 1.0), TypeError, "expected a list of parameters, got a Linear; " + MODULES),
            (lambda: (linear().parameters, 1.0), TypeError, "expected a list of parameters, got a method; " + MODULES),
            (lambda: (state(), 1.0), TypeError, "expected a list of parameters, got a dict; " + MODULES),
            (
                lambda: (net(), 1.0),
                TypeError,
                r"parameters must be Tensors, got a Linear; a module's are module\.param",
            ),
            (lambda: ([1.0], 1.0), TypeError, "parameters must be Tensors, got a float; a module's are"),
            (lambda: ([np.ones(2)], 1.0), TypeError, "parameters must be Tensors, got a ndarray; a module's are"),
            (
                lambda: (linear().named_parameters(), 1.0),
                TypeError,
                "parameters must be Tensors, got a tuple; a module's",
            ),
            (lambda: (1.0, linear().parameters()), TypeError, "max_norm must be a number, got <generator"),
            (lambda: ([V], "1"), TypeError, "max_norm must be a number, got '1'$"),
            (lambda: ([V], None), TypeError, "max_norm must be a number, got None$"),
            (lambda: ([V], -1.0), ValueError, r"max_norm must be 0 or more, got -1\.0$"),
            (lambda: ([V], nan), ValueError, "max_norm must be 0 or more, got nan$"),
            (lambda: ([V], 1.0, 0), ValueError, "norm_type must be above 0, got 0$"),
            (lambda: ([V], 1.0, "inf"), TypeError, "norm_type must be a number, got 'inf'$"),
        )
    ),
]


@pytest.mark.parametrize(("name", "call", "kind", "message"), ERRORS, ids=[f"{e[0]}-{e[3]}"[:70] for e in ERRORS])
def test_wrong_arguments_raise_at_once_and_say_what_is_wrong(name, call, kind, message) -> None:
    with pytest.raises(kind, match=message) as caught:
        call()
    assert type(caught.value) is kind


# -- that nothing is left out ------------------------------------------------------------------------------------------


def public_names(module: ModuleType, prefix: str = "") -> set[str]:
    """What a module offers that takes an argument: functions, classes for their constructors, and Class.method.

    The operations in nn.functional are not among them: they have their rows in test_ops_errors.py.
    """
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    names: set[str] = set()
    for name in getattr(module, "__all__", [name for name in own if not name.startswith("_")]):
        value = getattr(module, name)
        if inspect.ismodule(value):
            names |= public_names(value, f"{name}.")
        elif inspect.isclass(value):
            names.update(methods(value))
        elif inspect.isfunction(value) and value is not getattr(ops, name, None):
            names.add(prefix + name)
    return names


def methods(cls: type) -> Iterator[str]:
    """The methods with an argument, under the class that defines them, or under this one where that is private."""
    for base in cls.__mro__:
        if not base.__module__.startswith(("minigrad.nn.", "minigrad.optim.")):
            continue
        owner = cls if base.__name__.startswith("_") else base
        for name, value in vars(base).items():
            private = name.startswith("_") and not name.startswith("__")
            if inspect.isfunction(value) and not private and len(inspect.signature(value).parameters) > 1:
                yield owner.__name__ if name == "__init__" else f"{owner.__name__}.{name}"


def test_every_public_name_has_its_wrong_arguments_tested() -> None:
    names, tested = public_names(nn), {name for name, *_ in ERRORS}
    assert tested | set(EXEMPT) == names
    assert not tested & set(EXEMPT)


def test_the_walk_over_public_names_sees_each_kind() -> None:
    names = public_names(nn)
    assert {"Conv2d", "Conv2d.forward", "init.uniform_", "utils.clip_grad_norm_", "Module.load_state_dict"} <= names
    assert {"Sequential.append", "ModuleList.__setitem__", "LazyLinear.forward", "Parameter"} <= names  # inherited, too
    assert not names & {"ReLU", "Module.state_dict", "Linear.train", "functional.conv2d", "Module._check_name"}
