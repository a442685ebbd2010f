"""Parameters side by side: an optimizer whose formula works number by number updates all of them by one kernel call.

What is new after a step (parameters, momenta) is one flat array, and each parameter is given its piece of it, a view.
So for the next step nothing has to be copied together, but where a piece is no longer there: a state was loaded.
"""

from __future__ import annotations

import math
from itertools import accumulate
from operator import is_not
from typing import Any

import numpy as np

from ..backends import Backend
from ..tensor import Tensor
from .optimizer import Optimizer


class Flat:
    """Parameters that are updated together: where their arrays lie in flat ones; and the last flat array of each kind,
    with its pieces."""

    def __init__(self, backend: Backend, dtype: np.dtype, members: list[Tensor]) -> None:
        self.backend, self.xp, self.dtype, self.members = backend, backend.xp, dtype, members
        self.shapes = [parameter.shape for parameter in members]
        sizes = [math.prod(shape) for shape in self.shapes]
        self.ranges = [slice(end - size, end) for size, end in zip(sizes, accumulate(sizes), strict=True)]
        self.size = sum(sizes)
        self.latest: dict[str, tuple[Any, list[Any]]] = {}

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

    def is_as_left(self, parameters: list[Tensor]) -> bool:
        """Whether these are its members, as the last step has left them, each with a gradient of its kind. Then nothing
        about them has to be checked: so it is in training, mostly."""
        _, weights = self.latest.get("parameter", (None, []))
        if not len(parameters) == len(self.members) == len(weights) or any(map(is_not, parameters, self.members)):
            return False
        backend, dtype = self.backend, self.dtype
        for parameter, w in zip(parameters, weights, strict=True):
            if parameter._data is not w or parameter.backend is not backend:
                return False
            if type(grad := parameter.grad) is not Tensor or grad.backend is not backend:
                return False
            if (g := grad._data).shape != w.shape or g.dtype is not dtype:
                return False
        return True


class FlatOptimizer(Optimizer):
    """The base of SGD and Adam, which define `update_flat`."""

    def __init__(self, params: Any, **options: Any) -> None:
        self._flats: dict[int, list[Flat]] = {}  # of the latest step, by the number of the group
        super().__init__(params, **options)

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles of the optimizer hold: all but where arrays lie, which its next step finds anew."""
        return {**vars(self), "_flats": {}}

    def update_flat(
        self, kernels: Any, w: Any, gradients: list[Any], state: dict[str, Any], *args: Any, **options: Any
    ) -> tuple[Any, dict[str, Any]]:
        """The next array of parameters that lie side by side, and what is remembered of them.

        Args:
            kernels: those of their backend.
            w: as in `update`, flat, as all arrays are.
            state: what is remembered of them, which is not written into: all of it is returned, new.
            gradients: the members', as they are; their numbers belong to those of w, one array behind the other.
            options: those of the parameters' group.
        """
        raise NotImplementedError(f"{self._name}: define update_flat, the optimizer's formula")

    def step(self) -> None:
        before, self._flats, updates = self._flats, {}, []
        for number, group in enumerate(self.param_groups):  # all is checked before anything is updated
            options, flats, parameters = self._options(group), before.get(number, []), group["params"]
            remembered = any(map(self.state.get, parameters))
            if remembered or len(flats) != 1 or not flats[0].is_as_left(parameters):
                flats = self._put_together(group, flats)
            self._flats[number] = flats
            updates += [(flat, options) for flat in flats]
        for flat, options in updates:
            self._update_members(flat, options)

    def _put_together(self, group: dict[str, Any], before: list[Flat]) -> list[Flat]:
        """The group's parameters that have a gradient, those that one kernel call can update in one Flat: in the one
        that they had before, where they are the same."""
        parameters = self._with_gradients(group)
        alike: dict[tuple[Any, ...], list[Tensor]] = {}
        for parameter, state in zip(parameters, self._states_of(parameters), strict=True):
            key = parameter.backend, parameter._data.dtype, state.get("step"), *state
            alike.setdefault(key, []).append(parameter)
        known = {(flat.backend, flat.dtype, *flat.members): flat for flat in before}
        return [
            known.get((backend, dtype, *members)) or Flat(backend, dtype, members)
            for (backend, dtype, *_), members in alike.items()
        ]

    def _update_members(self, flat: Flat, options: dict[str, Any]) -> None:
        members = flat.members
        states = [self.state.setdefault(parameter, {}) for parameter in members]
        state = {
            name: value if isinstance(value, int) else flat.whole(name, [state[name] for state in states])
            for name, value in states[0].items()
        }
        w = flat.whole("parameter", [parameter._data for parameter in members])
        gradients = [parameter.grad._data for parameter in members]  # type: ignore[union-attr]
        new_w, new_state = self.update_flat(flat.backend.kernels, w, gradients, state, **options)
        for parameter, piece in zip(members, flat.pieces("parameter", new_w), strict=True):
            parameter._data = piece  # of the same shape and dtype, which `data` would look at
        for name, value in new_state.items():
            pieces = [value] * len(members) if isinstance(value, int) else flat.pieces(name, value)
            for own, piece in zip(states, pieces, strict=True):
                own[name] = piece
