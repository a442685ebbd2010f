"""Convolution: one bilinear map and its two adjoints. The backward rule of each consists of the other two.

Letters as in backends/contract.py: N batch, C input channels, O output channels, H and W image, KH and KW kernel, OH
and OW output. As everywhere in deep learning, "convolution" means cross-correlation: the kernel is not flipped.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..autograd.function import Function
from ..tensor import Tensor
from .geometry import Pair, check_fits, pair
from .operands import floating, operands
from .shape import broadcast_to, pad, reshape

Shape = tuple[int, ...]


class _Convolution(Function):
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    @property
    def geometry(self) -> dict[str, Any]:
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}


class Conv2d(_Convolution):
    """y = w * x + b

    dL/dx = Conv2dGradInput(dL/dy, w),   (dL/dw, dL/db) = Conv2dGradWeight(dL/dy, x)
    """

    fresh_gradients = True

    def forward(self, x, weight, bias=None):
        return self.kernels.conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def backward(self, dy):
        (x, weight), geometry, needs = self.inputs[:2], self.geometry, self.needs
        dx = dweight = dbias = None
        if needs[0]:
            dx = Conv2dGradInput.apply(dy, weight, image=x.shape[2:], **geometry)
        if True in needs[1:]:  # one kernel for both, so that no bit depends on which are wanted
            dweight, dbias = Conv2dGradWeight.apply(dy, x, kernel=weight.shape[2:], **geometry)
        return (dx, dweight, dbias)[: len(needs)]  # two where there is no bias


class Conv2dGradInput(_Convolution):
    """g(d, w), the adjoint of x -> w * x;   dL/dd = w * dL/dg,   dL/dw = Conv2dGradWeight(d, dL/dg)[0]"""

    image: Pair

    def forward(self, d, weight):
        return self.kernels.conv2d_grad_input(
            d, weight, self.image, self.stride, self.padding, self.dilation, self.groups
        )

    def backward(self, dg):
        d, weight = self.inputs
        return (
            Conv2d.apply(dg, weight, **self.geometry) if self.needs[0] else None,
            Conv2dGradWeight.apply(d, dg, kernel=weight.shape[2:], **self.geometry)[0] if self.needs[1] else None,
        )


class Conv2dGradWeight(_Convolution):
    """(G, g)(d, x), the adjoint of (w, b) -> w * x + b;   g is the sum of each channel of d

    dL/dd = dL/dG * x + dL/dg,   dL/dx = Conv2dGradInput(d, dL/dG)
    """

    kernel: Pair

    def forward(self, d, x):
        return self.kernels.conv2d_grad_weight(d, x, self.kernel, self.stride, self.padding, self.dilation, self.groups)

    def backward(self, dweight, dbias):
        d, x = self.inputs
        if dweight is None:
            return broadcast_to(reshape(dbias, (1, dbias.size, 1, 1)), d.shape), None
        dd = dx = None
        if self.needs[0]:
            dd = Conv2d.apply(x, dweight, *([] if dbias is None else [dbias]), **self.geometry)
        if self.needs[1]:
            dx = Conv2dGradInput.apply(d, dweight, image=x.shape[2:], **self.geometry)
        return dd, dx


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = 1,
    padding: int | Pair | str = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Two-dimensional convolution (cross-correlation) of a batch of images.

    y[n, o, p, q] = bias[o] + sum over c, i, j of weight[o, c, i, j] x[n, c, p SH + i DH - PH, q SW + j DW - PW],
    where x is 0 outside the image. Pictures are in Dumoulin and Visin, "A guide to convolution arithmetic for deep
    learning" (2016).

    Args:
        input: (N, C, H, W), floating.
        weight: (O, C / groups, KH, KW), of the same dtype.
        bias: (O,), or None.
        stride: SH, SW: how far the kernel moves from one output pixel to the next, in pixels.
        padding: PH, PW: zeros on each side of the image; "valid" is 0, and "same" keeps the image's size (stride 1).
        dilation: DH, DW: the distance in pixels between neighbouring taps of the kernel.
        groups: into how many groups the channels are divided; the outputs of a group see the inputs of that group only.

    Returns: (N, O, OH, OW) with OH = (H + 2 PH - DH (KH - 1) - 1) // SH + 1, OW likewise.

    >>> image = Tensor([[[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0], [6.0, 7.0, 8.0]]]])
    >>> conv2d(image, Tensor([[[[0.0, 1.0], [2.0, 3.0]]]]))  # the book's figure 7.2.1
    Tensor([[[[19., 25.],
              [37., 43.]]]])

    Raises ValueError where shapes do not fit each other, and for strides, paddings and groups that are no integers.
    """
    tensors = operands("conv2d", *((input, weight) if bias is None else (input, weight, bias)))
    if tensors[0]._data.dtype.kind != "f":
        tensors = tuple([floating("conv2d", tensor) for tensor in tensors])
    input, weight, *rest = tensors
    x, w, groups = input._data, weight._data, groups if type(groups) is int else _whole(groups)
    check_channels(x.shape, w.shape, rest[0]._data.shape if rest else None, groups)
    kernel = w.shape[2:]
    stride, dilation = pair("conv2d", "stride", stride, 1), pair("conv2d", "dilation", dilation, 1)
    padding = conv_padding("conv2d", padding, stride)
    if isinstance(padding, str):
        input, padding = _named_padding(input, padding, kernel, dilation)
    check_fits("conv2d", input._data.shape[2:], kernel, padding, dilation)
    return Conv2d.apply(input, weight, *rest, stride=stride, padding=padding, dilation=dilation, groups=groups)


def _whole(groups: Any) -> int:
    if isinstance(groups, bool) or not isinstance(groups, (int, np.integer)):
        raise ValueError(f"conv2d: groups must be an integer from 1, got {groups!r}")
    return int(groups)


@lru_cache(maxsize=1024)
def check_channels(input: Shape, weight: Shape, bias: Shape | None, groups: int) -> None:
    """Raises ValueError where shapes do not fit each other."""
    if groups < 1:
        raise ValueError(f"conv2d: groups must be an integer from 1, got {groups!r}")
    if len(input) != 4 or len(weight) != 4:
        raise ValueError(
            f"conv2d: expected input (N, C, H, W) and weight (O, C / groups, KH, KW), got {input} and {weight}"
        )
    C, O = input[1], weight[0]
    if min(weight) == 0:
        raise ValueError(f"conv2d: weight {weight} has a dimension of size 0")
    if weight[1] * groups != C:
        of_groups = f" in {groups} groups" if groups > 1 else ""
        raise ValueError(f"conv2d: input has {C} channels but weight {weight} expects {weight[1] * groups}{of_groups}")
    if O % groups:
        raise ValueError(f"conv2d: {O} output channels do not divide into {groups} groups")
    if bias not in (None, (O,)):
        raise ValueError(f"conv2d: bias has shape {bias}, expected ({O},)")


def conv_padding(name: str, padding: Any, stride: Pair) -> Pair | str:
    """The padding as a pair, or its name; raises ValueError for what cannot be, whatever the image."""
    if not isinstance(padding, str):
        return pair(name, "padding", padding, 0)
    if padding not in ("same", "valid"):
        raise ValueError(f"{name}: padding must be 'same', 'valid', an integer or a pair, got {padding!r}")
    if padding == "same" and stride != (1, 1):
        raise ValueError(f"{name}: padding 'same' needs stride 1, got {stride}")
    return padding


def _named_padding(input: Tensor, name: str, kernel: Pair, dilation: Pair) -> tuple[Tensor, Pair]:
    """The padding of that name; where its two sides differ by one, the last row or column is added to the input."""
    if name == "valid":
        return input, (0, 0)
    total = tuple(d * (k - 1) for d, k in zip(dilation, kernel, strict=True))
    if total[0] % 2 or total[1] % 2:
        input = pad(input, ((0, 0), (0, 0), (0, total[0] % 2), (0, total[1] % 2)))
    return input, (total[0] // 2, total[1] // 2)
