"""Parameter: a Tensor that a Module trains; and one with no shape until a lazy layer (lazy.py) has seen a batch."""

from __future__ import annotations

from typing import Any, NoReturn

from ..backends import Backend, default_backend
from ..tensor import Tensor, float32


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

    `materialize(shape)` makes it an ordinary Parameter; it stays the same object.

    >>> weight = UninitializedParameter()
    >>> weight.shape
    Traceback (most recent call last):
    RuntimeError: this parameter has no shape yet: run one batch through the network, or load a state into it, first
    """

    __slots__ = ()
    dtype = float32

    def __init__(self, requires_grad: bool = True) -> None:
        self.backend = default_backend()
        self.grad = self.grad_fn = self.hooks = None
        self.output_index = 0
        self._requires_grad = requires_grad

    @property
    def _data(self) -> NoReturn:
        raise RuntimeError(
            "this parameter has no shape yet: run one batch through the network, or load a state into it, first"
        )

    def materialize(self, shape: tuple[int, ...]) -> None:
        """Becomes a float32 Parameter of that shape, filled with zeros."""
        self.__class__ = Parameter  # type: ignore[assignment]
        self._data = self.backend.xp.zeros(shape, float32)  # type: ignore[misc]

    def __repr__(self) -> str:
        return "UninitializedParameter()"

    def __deepcopy__(self, memo: dict[int, Any]) -> UninitializedParameter:
        copy = memo[id(self)] = _uninitialized(self._requires_grad, self.backend)
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        return _uninitialized, (self._requires_grad, self.backend)


def _uninitialized(requires_grad: bool, backend: Backend) -> UninitializedParameter:
    parameter = UninitializedParameter(requires_grad)
    parameter.backend = backend
    return parameter
