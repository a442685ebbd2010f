"""Wrong rules of what picks, places, pads and cuts elements."""

from __future__ import annotations

import numpy as np

from minigrad import Function

from .cases import NumpyPair, OnTensors, beside, normal, wrong


@wrong("overwritten")
def embedding_that_assigns_to_repeated_rows() -> OnTensors:
    """Two words occur twice, and `g[words] = dy` keeps their last gradient alone."""
    words = np.array([4, 1, 0, 1, 4, 2])

    class Embedding(Function):
        def forward(self, table):
            return table[words]

        def backward(self, dy):
            (table,) = self.inputs
            g = np.zeros(table.shape)
            g[words] = dy.data
            return (beside(g, dy),)

    return OnTensors(lambda table: Embedding.apply(table).tanh(), (normal(160, 5, 3),), culprit="Embedding")


@wrong("overwritten")
def repeated_rows_added_with_buffered_indexing() -> NumpyPair:
    """`g[index] += dy` adds once to a row that occurs twice: NumPy buffers it. One row of ten is affected."""
    index = np.array([7, 3, 0, 3, 9])

    def forward(x):
        return x[index] ** 2

    def backward(grad_output, x):
        dx = np.zeros_like(x)
        dx[index] += 2 * x[index] * grad_output
        return (dx,)

    return NumpyPair(forward, backward, (normal(161, 10, 2),))


@wrong("accumulated twice")
def repeated_rows_summed_at_each_occurrence() -> NumpyPair:
    """At each occurrence of a row, the loop adds the gradients of all its occurrences."""
    index = np.array([2, 0, 2, 3, 2, 0])

    def forward(x):
        return x[index]

    def backward(grad_output, x):
        dx = np.zeros_like(x)
        for i in index:
            dx[i] += grad_output[index == i].sum(axis=0)
        return (dx,)

    return NumpyPair(forward, backward, (normal(162, 5, 2),))


@wrong("shifted by one")
def slice_put_back_one_place_too_early() -> OnTensors:
    """y = x[2:], and the gradient is put back into g[1:-1]."""

    class Rest(Function):
        def forward(self, x):
            return x[2:]

        def backward(self, dy):
            (x,) = self.inputs
            g = np.zeros(x.shape)
            g[1:-1] = dy.data
            return (beside(g, dy),)

    return OnTensors(lambda x: Rest.apply(x).sin(), (normal(163, 7, 2),), culprit="Rest")


@wrong("shifted by one")
def roll_that_is_not_rolled_back() -> NumpyPair:
    """Forward rolls along the last axis by one; backward passes grad_output on as it is."""

    def forward(x):
        return np.roll(x, 1, axis=-1)

    def backward(grad_output, x):
        return (grad_output,)

    return NumpyPair(forward, backward, (normal(164, 3, 5),))


@wrong("shifted by one")
def words_counted_from_one_and_from_zero() -> NumpyPair:
    """Words are numbered from 1: forward subtracts the 1, backward forgets to."""
    words = np.array([1, 4, 2, 2])

    def forward(table):
        return table[words - 1]

    def backward(grad_output, table):
        dtable = np.zeros_like(table)
        np.add.at(dtable, words, grad_output)
        return (dtable,)

    return NumpyPair(forward, backward, (normal(165, 6, 3),))


@wrong("padding or stride not undone")
def every_second_element_put_back_side_by_side() -> OnTensors:
    """y = x[::2], and the gradient fills the first half of g."""

    class EverySecond(Function):
        def forward(self, x):
            return x[::2]

        def backward(self, dy):
            (x,) = self.inputs
            g = np.zeros(x.shape)
            g[: len(dy)] = dy.data
            return (beside(g, dy),)

    return OnTensors(lambda x: EverySecond.apply(x) ** 2, (normal(166, 9),), culprit="EverySecond")


@wrong("padding or stride not undone")
def padding_cut_from_the_end_alone() -> OnTensors:
    """Two zeros are added before each row and one after it; the rule cuts three from the end."""

    class PadRows(Function):
        def forward(self, x):
            return np.pad(x, ((0, 0), (2, 1)))

        def backward(self, dy):
            (x,) = self.inputs
            return (dy[:, : x.shape[1]],)

    return OnTensors(lambda x, w: PadRows.apply(x) @ w, (normal(167, 3, 4), normal(168, 7, 2)), culprit="PadRows")


@wrong("padding or stride not undone")
def padding_left_in_the_gradient() -> NumpyPair:
    """The gradient is returned with the padding still around it, where the shape betrays it."""

    def forward(x):
        return np.pad(x, 1)

    def backward(grad_output, x):
        return (grad_output,)

    return NumpyPair(forward, backward, (normal(169, 3, 4),))


@wrong("inputs swapped")
def concatenation_cut_into_the_wrong_halves() -> OnTensors:
    """The first input gets the second half of the gradient, and the other way round."""

    class Concatenate(Function):
        def forward(self, a, b):
            return np.concatenate([a, b])

        def backward(self, dy):
            n = len(self.inputs[0])
            return dy[n:], dy[:n]

    inputs = (normal(170, 3, 2), normal(171, 3, 2))
    return OnTensors(lambda a, b: Concatenate.apply(a, b).exp(), inputs, culprit="Concatenate")


@wrong("batch elements mixed")
def scores_paid_in_every_row() -> NumpyPair:
    """Row n picks the column labels[n]; the gradient goes to all picked columns of all rows."""
    labels = np.array([3, 0, 2, 0])

    def forward(x):
        return x[np.arange(len(x)), labels]

    def backward(grad_output, x):
        dx = np.zeros_like(x)
        dx[:, labels] = grad_output[:, None]
        return (dx,)

    return NumpyPair(forward, backward, (normal(172, 4, 5),))
