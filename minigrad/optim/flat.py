"""Parameters side by side: an optimizer whose formula works number by number updates all of them by one kernel call.

What is new after a step (parameters, momenta) is one flat array, and each parameter is given its piece of it, a view.
`backward` puts each gradient in its place of such an array, too. So nothing has to be copied together for the next
step, but where a piece is no longer there: a gradient was clipped or summed over several passes, a state was loaded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from operator import is_not
from typing import Any
from weakref import ref

import numpy as np

from ..autograd.hooks import requests_of
from ..backends import Backend
from ..tensor import Tensor
from .optimizer import Optimizer


class Flat:
    """Where arrays of some shapes lie in flat ones; and the last flat array of each kind, with its pieces."""

    def __init__(self, backend: Backend, dtype: np.dtype, shapes: Sequence[tuple[int, ...]]) -> None:
        self.xp, self.dtype, self.shapes = backend.xp, dtype, shapes
        sizes = [math.prod(shape) for shape in shapes]
        self.ranges = [slice(end - size, end) for size, end in zip(sizes, accumulate(sizes), strict=True)]
        self.size = sum(sizes)
        self.latest: dict[str, tuple[Any, list[Any]]] = {}
        self.places: list[Any] = []  # the pieces of the latest array of gradients, None where one has been filled

    def pieces(self, kind: str, whole: Any) -> list[Any]:
        """The pieces of a flat array, by which `whole` knows it from then on."""
        pieces = [
            whole[place] if len(shape) == 1 else whole[place].reshape(shape)  # a bias's piece has its shape already
            for place, shape in zip(self.ranges, self.shapes, strict=True)
        ]
        self.latest[kind] = whole, pieces
        return pieces

    def whole(self, kind: str, arrays: list[Any]) -> Any:
        """The flat array of which these are the pieces; a new one, into which they are copied, where they are not."""
        whole, pieces = self.latest.get(kind, (None, []))
        if not pieces or any(map(is_not, arrays, pieces)):
            whole = self.xp.empty(self.size, self.dtype)
            for piece, array in zip(self.pieces(kind, whole), arrays, strict=True):
                piece[...] = array
        return whole

    def forget_gradients(self) -> None:
        self.latest.pop("gradient", None)
        self.places = []


def _place_gradient(layout: ref[Flat], index: int, gradient: Any) -> Any:
    """A copy of a parameter's gradient, in its place where there is one; in a new flat array if that has one already,
    which somebody may hold: arrays are values."""
    if (flat := layout()) is None:
        return gradient.copy()
    if not flat.places or flat.places[index] is None:
        flat.places = list(flat.pieces("gradient", flat.xp.empty(flat.size, flat.dtype)))
    piece = flat.places[index]
    if gradient.shape != piece.shape or gradient.dtype is not piece.dtype or type(gradient) is not type(piece):
        return gradient.copy()  # the parameter has been moved, or was given another dtype
    flat.places[index] = None
    piece[...] = gradient
    return piece


class FlatOptimizer(Optimizer):
    """The base of SGD and Adam, which define `update_flat`."""

    def __init__(self, params: Any, **options: Any) -> None:
        self._flats: dict[tuple[Any, ...], Flat] = {}  # of the latest step
        super().__init__(params, **options)

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles of the optimizer hold: all but where arrays lie, which its next step finds anew."""
        return {**vars(self), "_flats": {}}

    def update_flat(
        self, kernels: Any, w: Any, g: Any, state: dict[str, Any], *args: Any, **options: Any
    ) -> tuple[Any, dict[str, Any]]:
        """The next array of parameters that lie side by side, and what is remembered of them.

        Args:
            kernels: those of their backend.
            w, g, state: as in `update`; all arrays are flat.
            options: those of the parameters' group.
        """
        raise NotImplementedError(f"{self._name}: define update_flat, the optimizer's formula")

    def zero_grad(self) -> None:
        super().zero_grad()
        for flat in self._flats.values():
            flat.forget_gradients()

    def step(self) -> None:
        before, self._flats = self._flats, {}
        for group in self.param_groups:
            options = self._options(group)
            alike: dict[tuple[Any, ...], list[Tensor]] = {}  # parameters that one kernel call can update
            parameters = self._with_gradients(group)
            for parameter, state in zip(parameters, self._states_of(parameters), strict=True):
                kind = parameter.backend, parameter._data.dtype
                key = (*kind, state.get("step"), *state) if state else kind
                alike.setdefault(key, []).append(parameter)
            for (backend, dtype, *_), members in alike.items():
                place = backend, dtype, *members
                self._flats[place] = flat = before.get(place) or self._lay_out(backend, dtype, members)
                self._update_members(flat, members, options)

    def _lay_out(self, backend: Backend, dtype: np.dtype, members: list[Tensor]) -> Flat:
        flat = Flat(backend, dtype, [parameter.shape for parameter in members])
        for index, parameter in enumerate(members):
            # weakly: without the optimizer nobody needs its arrays
            requests_of(parameter).copy = partial(_place_gradient, ref(flat), index)
        return flat

    def _update_members(self, flat: Flat, members: list[Tensor], options: dict[str, Any]) -> None:
        states = [self.state[parameter] for parameter in members]
        state = {
            name: value if isinstance(value, int) else flat.whole(name, [state[name] for state in states])
            for name, value in states[0].items()
        }
        w = flat.whole("parameter", [parameter._data for parameter in members])
        g = flat.whole("gradient", [parameter.grad._data for parameter in members])  # type: ignore[union-attr]
        new_w, new_state = self.update_flat(members[0].backend.kernels, w, g, state, **options)
        for parameter, piece in zip(members, flat.pieces("parameter", new_w), strict=True):
            parameter._data = piece  # of the same shape and dtype, which `data` would look at
        for name, value in new_state.items():
            pieces = [value] * len(members) if isinstance(value, int) else flat.pieces(name, value)
            for own, piece in zip(states, pieces, strict=True):
                own[name] = piece
