"""Wrong rules where one weight is used at every time step. Letters: T steps, I inputs, K hidden units."""

from __future__ import annotations

import numpy as np

from minigrad import Function

from .cases import NumpyPair, OnTensors, beside, normal, wrong

T, I, K = 4, 3, 2


def inputs(seed: int) -> tuple[np.ndarray, ...]:
    """A sequence (T, I), the weight of the inputs (I, K), and that of the state (K, K)."""
    return normal(seed, T, I), normal(seed + 1, I, K), normal(seed + 2, K, K)


def states(x: np.ndarray, w: np.ndarray, u: np.ndarray) -> np.ndarray:
    """h[t] = tanh(x[t] w + h[t - 1] u), (T, K)."""
    h = np.zeros((len(x) + 1, len(u)))  # the last row is the state before the first step
    for t in range(len(x)):
        h[t] = np.tanh(x[t] @ w + h[t - 1] @ u)
    return h[:-1]


@wrong("overwritten")
def recurrent_weight_with_the_gradient_of_one_step() -> NumpyPair:
    """In the loop back through time, du is assigned where it should be added to."""

    def backward(grad_output, x, w, u):
        h = states(x, w, u)
        dx, dw, du, dh = np.zeros_like(x), np.zeros_like(w), np.zeros_like(u), np.zeros(K)
        for t in reversed(range(T)):
            da = (grad_output[t] + dh) * (1 - h[t] ** 2)
            dx[t] = w @ da
            dw += np.outer(x[t], da)
            if t > 0:
                du = np.outer(h[t - 1], da)
            dh = u @ da
        return dx, dw, du

    return NumpyPair(states, backward, inputs(100), input=2)


@wrong("term missing")
def backward_through_time_that_stops_after_each_step() -> NumpyPair:
    """The gradient that comes from the later states is not carried on: only grad_output[t] counts at t."""

    def backward(grad_output, x, w, u):
        h = states(x, w, u)
        before = np.vstack([np.zeros((1, K)), h[:-1]])
        da = grad_output * (1 - h**2)
        return da @ w.T, x.T @ da, before.T @ da

    return NumpyPair(states, backward, inputs(110))


@wrong("saved value changed")
def states_saved_as_one_array() -> NumpyPair:
    """Each step computes its state in the array of the last one, so all the states saved are the final state."""

    class Recurrent:
        def forward(self, x, w, u):
            self.h, h, outputs = [], np.zeros(K), []
            for row in x:
                np.tanh(row @ w + h @ u, out=h)
                self.h.append(h)
                outputs.append(h.copy())
            return np.array(outputs)

        def backward(self, grad_output, x, w, u):
            dx, dw, du, dh = np.zeros_like(x), np.zeros_like(w), np.zeros_like(u), np.zeros(K)
            for t in reversed(range(T)):
                da = (grad_output[t] + dh) * (1 - self.h[t] ** 2)
                dx[t] = w @ da
                dw += np.outer(x[t], da)
                du += np.outer(self.h[t - 1], da) if t else 0
                dh = u @ da
            return dx, dw, du

    layer = Recurrent()
    return NumpyPair(layer.forward, layer.backward, inputs(120))


@wrong("saved value changed")
def cell_that_saves_into_a_shared_buffer() -> OnTensors:
    """All applications of the cell save their outputs in one array of the class: the last one's are left."""

    class Cell(Function):
        buffer = np.empty(K)

        def forward(self, a):
            self.buffer[...] = np.tanh(a)
            return self.buffer.copy()

        def backward(self, dy):
            y = beside(self.buffer, dy)
            return (dy * (1.0 - y * y),)

    def unrolled(x, w, u):
        h = Cell.apply(x[0] @ w)
        for t in range(1, T):
            h = Cell.apply(x[t] @ w + h @ u)
        return h

    return OnTensors(unrolled, inputs(130), input=1, culprit="Cell")


@wrong("accumulated twice")
def weight_gradient_summed_by_the_rule_and_by_the_engine() -> OnTensors:
    """Each step adds its contribution to one buffer and returns the buffer, and the engine adds what it gets."""

    class Step(Function):
        total: np.ndarray

        def forward(self, h, u):
            return h @ u

        def backward(self, dy):
            h, u = self.inputs
            self.total += np.outer(h.data, dy.data)
            return u @ dy, beside(self.total, dy)

    def unrolled(x, w, u):
        total = np.zeros((K, K))
        h = (x[0] @ w).tanh()
        for t in range(1, T):
            h = (x[t] @ w + Step.apply(h, u, total=total)).tanh()
        return h

    return OnTensors(unrolled, inputs(140), input=2, culprit="Step")
