"""Parameter: a Tensor that a Module trains; and one with no shape until a lazy layer (lazy.py) has seen a batch."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from ..backends import Backend
from ..tensor import Tensor, float32
from .checks import flag, positive

NO_SHAPE_YET = "this parameter has no shape yet: run one batch through the network, or load a state into it, first"


class Parameter(Tensor):
    """A Tensor that requires a gradient and that a Module counts among its parameters where it is an attribute of it.

    Args:
        data: a number, nested lists, a NumPy array or a Tensor; it is copied.
        requires_grad: False for a parameter that stays as it is.

    >>> Parameter([1.0, 2.0])
    Parameter([1., 2.], requires_grad=True)

    Raises TypeError for integers, which have no gradient.
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        backend = data.backend if isinstance(data, Tensor) else None
        super().__init__(data, requires_grad=requires_grad, backend=backend)


class UninitializedParameter(Parameter):
    """A lazy layer's parameter before the first batch: it can be given to an optimizer, but has no shape and no data.

    `materialize(shape)` makes it an ordinary Parameter; it stays the same object. It has a backend and a dtype, which
    `Module.to` changes: those of an empty array that stands in for the data.

    >>> weight = UninitializedParameter()
    >>> weight.shape
    Traceback (most recent call last):
    RuntimeError: this parameter has no shape yet: run one batch through the network, or load a state into it, first
    """

    __slots__ = ()

    def __init__(self, requires_grad: bool = True) -> None:
        flag("UninitializedParameter", "requires_grad", requires_grad)
        super().__init__(np.empty(0, float32), requires_grad)

    @property
    def _data(self) -> NoReturn:
        raise RuntimeError(NO_SHAPE_YET)

    @_data.setter
    def _data(self, stand_in: Any) -> None:
        _SLOT.__set__(self, stand_in)

    def stand_in(self) -> Tensor:
        """An empty tensor of the dtype and on the backend that the parameter will have."""
        return Tensor._wrap(_SLOT.__get__(self), self.backend)

    @property
    def dtype(self) -> np.dtype:  # type: ignore[override]  # a Tensor's is a property, too
        return self.stand_in().dtype

    def materialize(self, shape: tuple[int, ...]) -> None:
        """Becomes a Parameter of that shape, filled with zeros."""
        if not isinstance(shape, (tuple, list)):
            raise TypeError(f"materialize: a shape is a tuple of integers, got {shape!r}")
        zeros = self.backend.xp.zeros([positive("materialize", "a size", size) for size in shape], self.dtype)
        self.__class__ = Parameter  # type: ignore[assignment]
        self._data = zeros

    def __repr__(self) -> str:
        return "UninitializedParameter()"

    def __deepcopy__(self, memo: dict[int, Any]) -> UninitializedParameter:
        copy = memo[id(self)] = _uninitialized(self._requires_grad, self.backend, self.dtype)
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        return _uninitialized, (self._requires_grad, self.backend, self.dtype)


_SLOT = vars(Tensor)["_data"]  # where every other tensor has its array


def _uninitialized(requires_grad: bool, backend: Backend, dtype: np.dtype) -> UninitializedParameter:
    parameter = UninitializedParameter(requires_grad)
    parameter.backend, parameter._data = backend, backend.xp.empty(0, dtype)
    return parameter
