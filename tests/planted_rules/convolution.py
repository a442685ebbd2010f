"""Wrong rules of convolutions. Letters: N batch, C channels, O outputs, H and W image, KH and KW kernel, OH and OW."""

from __future__ import annotations

import numpy as np

import minigrad
from minigrad import Function

from .cases import NumpyPair, OnTensors, beside, normal, wrong


def conv(x: np.ndarray, weight: np.ndarray, stride: int = 1) -> np.ndarray:
    """y[n, o, p, q] = sum over c, i, j of weight[o, c, i, j] x[n, c, p stride + i, q stride + j]."""
    KH, KW = weight.shape[2:]
    windows = np.lib.stride_tricks.sliding_window_view(x, (KH, KW), axis=(2, 3))
    return np.einsum("ncpqij,ocij->nopq", windows[:, :, ::stride, ::stride], weight)


def by_input(dy: np.ndarray, weight: np.ndarray, shape: tuple[int, ...], stride: int = 1) -> np.ndarray:
    """The right gradient of conv by x, tap by tap."""
    dx = np.zeros(shape)
    (KH, KW), (OH, OW) = weight.shape[2:], dy.shape[2:]
    for i in range(KH):
        for j in range(KW):
            rows, columns = slice(i, i + stride * OH, stride), slice(j, j + stride * OW, stride)
            dx[:, :, rows, columns] += np.einsum("nopq,oc->ncpq", dy, weight[:, :, i, j])
    return dx


def by_weight(dy: np.ndarray, x: np.ndarray, shape: tuple[int, ...], stride: int = 1) -> np.ndarray:
    """The right gradient of conv by the weight."""
    windows = np.lib.stride_tricks.sliding_window_view(x, shape[2:], axis=(2, 3))
    return np.einsum("ncpqij,nopq->ocij", windows[:, :, ::stride, ::stride], dy)


def pad(x: np.ndarray, rows: int, columns: int) -> np.ndarray:
    return np.pad(x, ((0, 0), (0, 0), (rows, rows), (columns, columns)))


@wrong("kernel not flipped")
def filter_whose_gradient_uses_it_forwards() -> NumpyPair:
    """A filter of one dimension: backward correlates grad_output with the kernel where it should convolve."""

    def forward(x, kernel):
        return np.correlate(x, kernel, "valid")

    def backward(grad_output, x, kernel):
        return np.correlate(grad_output, kernel, "full"), np.correlate(x, grad_output, "valid")

    return NumpyPair(forward, backward, (normal(180, 9), normal(181, 3)))


@wrong("kernel not flipped")
def same_convolution_with_its_own_kernel_as_the_rule() -> OnTensors:
    """The input's gradient is conv2d(dy, w) with channels exchanged and the taps as they are."""

    class SameConv(Function):
        def forward(self, x, weight):
            return conv(pad(x, 1, 1), weight)

        def backward(self, dy):
            x, weight = self.inputs
            dx = minigrad.conv2d(dy, weight.transpose(1, 0, 2, 3), padding=1)
            dweight = minigrad.conv2d(x.transpose(1, 0, 2, 3), dy.transpose(1, 0, 2, 3), padding=1)
            return dx, dweight.transpose(1, 0, 2, 3)

    inputs = (normal(182, 2, 2, 4, 5), normal(183, 3, 2, 3, 3))
    return OnTensors(lambda x, weight: SameConv.apply(x, weight).tanh(), inputs, culprit="SameConv")


@wrong("kernel not flipped")
def full_convolution_flipped_along_one_axis() -> NumpyPair:
    """The kernel is flipped along its rows and not along its columns."""

    def backward(grad_output, x, weight):
        KH, KW = weight.shape[2:]
        flipped = weight[:, :, ::-1, :].transpose(1, 0, 2, 3)
        return conv(pad(grad_output, KH - 1, KW - 1), flipped), by_weight(grad_output, x, weight.shape)

    return NumpyPair(conv, backward, (normal(184, 1, 2, 5, 4), normal(185, 2, 2, 2, 3)))


@wrong("kernel not flipped")
def true_convolution_with_the_kernel_gradient_of_a_correlation() -> OnTensors:
    """Forward flips the kernel, np.convolve; the kernel's gradient is not flipped back."""

    class Convolve(Function):
        def forward(self, x, kernel):
            return np.convolve(x, kernel, "valid")

        def backward(self, dy):
            x, kernel = (tensor.data for tensor in self.inputs)
            dx, dkernel = np.correlate(dy.data, kernel, "full"), np.correlate(x, dy.data, "valid")
            return beside(dx, dy), beside(dkernel, dy)

    inputs = (normal(186, 10), normal(187, 4))
    return OnTensors(lambda x, kernel: Convolve.apply(x, kernel).sin(), inputs, input=1, culprit="Convolve")


@wrong("padding or stride not undone")
def padding_cut_from_the_wrong_corner() -> OnTensors:
    """Two rows and columns are padded on each side; the gradient is cut to [:H, :W] where it should be [2:-2, 2:-2]."""

    class PaddedConv(Function):
        def forward(self, x, weight):
            return conv(pad(x, 2, 2), weight)

        def backward(self, dy):
            x, weight = (tensor.data for tensor in self.inputs)
            H, W = x.shape[2:]
            padded = pad(x, 2, 2)
            dx = by_input(dy.data, weight, padded.shape)[:, :, :H, :W]
            return beside(dx, dy), beside(by_weight(dy.data, padded, weight.shape), dy)

    inputs = (normal(188, 2, 2, 4, 5), normal(189, 2, 2, 3, 2))
    return OnTensors(lambda x, weight: PaddedConv.apply(x, weight).sigmoid(), inputs, culprit="PaddedConv")


@wrong("padding or stride not undone")
def strided_convolution_with_the_rule_of_stride_one() -> NumpyPair:
    """The outputs' gradients are put back side by side, not two pixels apart."""

    def forward(x, weight):
        return conv(x, weight, stride=2)

    def backward(grad_output, x, weight):
        return by_input(grad_output, weight, x.shape, stride=1), by_weight(grad_output, x, weight.shape, stride=2)

    return NumpyPair(forward, backward, (normal(190, 2, 1, 7, 5), normal(191, 2, 1, 3, 3)))


@wrong("overwritten")
def grouped_weight_with_the_gradient_of_the_last_image() -> OnTensors:
    """The loop over the images assigns each one's gradient to dw[group]."""
    groups = 2

    class GroupedConv(Function):
        def forward(self, x, weight):
            parts = zip(np.split(x, groups, axis=1), np.split(weight, groups), strict=True)
            return np.concatenate([conv(*part) for part in parts], axis=1)

        def backward(self, dy):
            x, weight = (tensor.data for tensor in self.inputs)
            dx, dw = np.zeros(x.shape), np.zeros(weight.shape)
            C, O = x.shape[1] // groups, len(weight) // groups
            for g in range(groups):
                c, o = slice(g * C, (g + 1) * C), slice(g * O, (g + 1) * O)
                dx[:, c] = by_input(dy.data[:, o], weight[o], x[:, c].shape)
                for n in range(len(x)):
                    dw[o] = by_weight(dy.data[n : n + 1, o], x[n : n + 1, c], weight[o].shape)
            return beside(dx, dy), beside(dw, dy)

    inputs = (normal(192, 3, 4, 4, 3), normal(193, 4, 2, 2, 2))
    return OnTensors(lambda x, weight: GroupedConv.apply(x, weight).tanh(), inputs, input=1, culprit="GroupedConv")


@wrong("shifted by one")
def depthwise_convolution_with_taps_counted_from_one() -> NumpyPair:
    """The loop over the taps runs from 1 to KW, and so do the columns it adds to."""

    def forward(x, weight):  # each channel of (C, W) has a kernel of its own, (C, KW)
        windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[1], axis=1)
        return np.einsum("cqj,cj->cq", windows, weight)

    def backward(grad_output, x, weight):
        OW, KW = grad_output.shape[1], weight.shape[1]
        wide = np.zeros((len(x), x.shape[1] + 1))
        dweight = np.zeros_like(weight)
        for j in range(1, KW + 1):
            wide[:, j : j + OW] += grad_output * weight[:, j - 1 : j]
            dweight[:, j - 1] = (grad_output * x[:, j - 1 : j - 1 + OW]).sum(axis=1)
        return wide[:, : x.shape[1]], dweight

    return NumpyPair(forward, backward, (normal(194, 3, 8), normal(195, 3, 3)))


@wrong("not summed over a broadcast axis")
def convolution_bias_of_the_first_image() -> OnTensors:
    """The bias's gradient is summed over the pixels and not over the images."""

    class BiasedConv(Function):
        def forward(self, x, weight, bias):
            return conv(x, weight) + bias[:, None, None]

        def backward(self, dy):
            x, weight, _ = (tensor.data for tensor in self.inputs)
            dx, dweight = by_input(dy.data, weight, x.shape), by_weight(dy.data, x, weight.shape)
            return beside(dx, dy), beside(dweight, dy), dy.sum(axis=(2, 3))[0]

    inputs = (normal(196, 3, 1, 4, 3), normal(197, 2, 1, 2, 2), normal(198, 2))
    return OnTensors(lambda *xwb: BiasedConv.apply(*xwb).tanh(), inputs, input=2, culprit="BiasedConv")


@wrong("transposed")
def kernel_gradient_with_rows_for_columns() -> NumpyPair:
    """The taps of a square kernel come out as (KW, KH)."""

    def backward(grad_output, x, weight):
        windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(2, 3))
        dweight = np.einsum("ncpqij,nopq->ocji", windows, grad_output)
        return by_input(grad_output, weight, x.shape), dweight

    return NumpyPair(conv, backward, (normal(199, 2, 2, 5, 4), normal(200, 2, 2, 3, 3)), input=1)


@wrong("batch elements mixed")
def columns_of_all_images_reshaped_in_the_wrong_order() -> OnTensors:
    """im2col gives (N OH OW, C KH KW), and dy is flattened as (OH OW N, O): images get each other's pixels."""

    class Im2colConv(Function):
        def forward(self, x, weight):
            return conv(x, weight)

        def backward(self, dy):
            x, weight = (tensor.data for tensor in self.inputs)
            N, O, OH, OW = dy.shape
            rows = dy.data.transpose(2, 3, 0, 1).reshape(-1, O)
            columns = rows @ weight.reshape(O, -1)  # (N OH OW, C KH KW) = (N OH OW, O) @ (O, C KH KW)
            dx = np.zeros(x.shape)
            columns = columns.reshape(N, OH, OW, *weight.shape[1:])
            for p, q in np.ndindex(OH, OW):
                dx[:, :, p : p + weight.shape[2], q : q + weight.shape[3]] += columns[:, p, q]
            return beside(dx, dy), beside(by_weight(dy.data, x, weight.shape), dy)

    inputs = (normal(201, 3, 2, 3, 4), normal(202, 2, 2, 2, 2))
    return OnTensors(lambda x, weight: Im2colConv.apply(x, weight).tanh(), inputs, culprit="Im2colConv")
