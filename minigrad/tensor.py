"""Tensor: an array, its gradient, and the node of the graph that made it.

A tensor knows no operation. The operators and methods declared at the end of the class are installed by
minigrad/ops/__init__.py (arithmetic, `sum`, `reshape`, ...) and minigrad/autograd/__init__.py (`backward`, ...), each
in one visible table. So does interchange.py with what other libraries ask of a tensor, and Python to copy it.

Arrays are values here: nothing in minigrad writes into an array that a tensor holds. An optimizer, an initializer or
`load_state_dict` gives the tensor another array instead, so a graph's saved values can't change under it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import as_result, new_array, type_name
from .backends import SCALARS, Backend, get_backend

if TYPE_CHECKING:
    from .autograd.function import Function
    from .autograd.hooks import RemovableHandle, Requests

float32, float64, int64, bool_ = (np.dtype(name) for name in ("float32", "float64", "int64", "bool"))

_new = object.__new__


class Tensor:
    """An n-dimensional array that remembers how it was computed.

    Args:
        data: a number, nested lists, a NumPy array, a Tensor, or an array of a library that knows DLPack (PyTorch,
            CuPy, ...); it is copied.
        dtype: float32, float64, any integer dtype or bool. By default Python floats become float32, Python integers
            int64, and arrays keep theirs (float16 becomes float32).
        requires_grad: whether `backward` shall compute this tensor's gradient; floating dtypes only.
        backend: where the array lives, by name; by default the one set by `use_backend`, and cupy for data that are
            in a GPU's memory already.

    Attributes:
        data: the array itself, of the backend's kind, not a copy. Assign another of the same shape and dtype to it;
            don't write into it.
        grad: after `backward`, the gradient, a Tensor of the same shape and dtype; None before.
        grad_fn: the node of the graph that made this tensor; None for a leaf, one that the user made.
        backend: the `Backend` its array lives on.

    Raises:
        TypeError: where the data are no numbers, or an integer tensor is asked to require a gradient.
        BackendError: where the backend cannot be used on this machine; the message says what is missing.

    >>> x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    Tensor([[2., 4.],
            [6., 8.]])
    """

    __slots__ = ("__weakref__", "_data", "_requires_grad", "backend", "grad", "grad_fn", "output_index", "requests")
    __array_ufunc__ = None  # numpy_array + tensor is left to the tensor
    __hash__ = object.__hash__  # by identity, since == compares elements

    _data: Any
    _requires_grad: bool
    backend: Backend
    grad: Tensor | None
    grad_fn: Function | None
    output_index: int  # which of grad_fn's outputs this is
    requests: Requests | None  # what is asked of a leaf's gradient; of another tensor's its grad_fn knows

    def __init__(
        self, data: Any, dtype: Any = None, requires_grad: bool = False, backend: str | Backend | None = None
    ) -> None:
        data = data.data if isinstance(data, Tensor) else data
        array, self.backend = new_array(data, dtype, None if backend is None else get_backend(backend))
        self._data = as_result(array[()], self.backend) if array.ndim == 0 else array  # a scalar: see data
        self.grad = self.grad_fn = self.requests = None
        self.output_index, self._requires_grad = 0, False
        self.requires_grad = requires_grad

    @classmethod
    def _wrap(cls, array: Any, backend: Backend, node: Function | None = None, index: int = 0) -> Tensor:
        """The array itself as a tensor, with no copy and no check: for whoever has just made it.

        With a node, it becomes the node's output of that index. Each result of each operation comes through here.
        """
        if type(array) not in backend.result_types:
            array = as_result(array, backend)
        tensor = _new(cls)
        tensor._data, tensor.backend, tensor.output_index = array, backend, index
        tensor.grad = tensor.requests = None
        # SCALARS are floating; an index among the outputs is not, and has no gradient.
        if node is None or (type(array) not in SCALARS and array.dtype.kind != "f"):
            tensor.grad_fn, tensor._requires_grad = None, False
        else:
            tensor.grad_fn, tensor._requires_grad = node, True
        return tensor

    # -- the array ---------------------------------------------------------------------------------------------------

    @property
    def data(self) -> Any:
        if isinstance(self._data, np.generic):  # one of SCALARS, until now
            self._data = np.asarray(self._data)
        return self._data

    @data.setter
    def data(self, array: Any) -> None:
        if isinstance(array, np.generic):
            array = np.asarray(array)  # NumPy makes scalars of 0-d results
        old = self.data
        if type(array) is not type(old):
            hint = "" if isinstance(old, np.ndarray) else "; write x.data = cupy.asarray(array)"
            raise TypeError(f"data: expected a {type_name(old)}, got a {type_name(array)}{hint}")
        if array.shape != old.shape or array.dtype != old.dtype:
            got = f"{array.shape} and {array.dtype}; make a new Tensor for data of another kind"
            raise ValueError(f"data: expected shape {self.shape} and dtype {self.dtype}, got {got}")
        self._data = array

    # As `return self._data.shape` would be, but read in C: every operation asks for some of them.
    shape: tuple[int, ...] = property(attrgetter("_data.shape"), doc="How long each axis is.")  # type: ignore[assignment]
    dtype: np.dtype = property(attrgetter("_data.dtype"), doc="The type of its elements.")  # type: ignore[assignment]
    ndim: int = property(attrgetter("_data.ndim"), doc="How many axes it has.")  # type: ignore[assignment]
    size: int = property(attrgetter("_data.size"), doc="How many elements it has.")  # type: ignore[assignment]

    def numpy(self) -> np.ndarray:
        """A copy of the data as a NumPy array, yours to change.

        >>> Tensor([1.0, 2.0]).numpy()
        array([1., 2.], dtype=float32)
        """
        return np.array(self.backend.to_numpy(self._data))

    def item(self) -> float | int | bool:
        """The one element of a tensor of size 1 as a Python number.

        >>> Tensor([[2.5]]).item()
        2.5
        """
        if self.size != 1:
            raise ValueError(f"item: a tensor of one element is needed, this one has shape {self.shape}")
        return self._data.item()

    def tolist(self) -> Any:
        """The elements as nested Python lists, or one number for a 0-d tensor."""
        return self._data.tolist()

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len: a 0-d tensor has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(f"the truth of a tensor of shape {self.shape} is ambiguous; use .data.any() or .all()")
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.ndim != 0 or self.dtype.kind not in "iu":
            raise TypeError(f"only a 0-d integer tensor can be an index, not {self.dtype} of shape {self.shape}")
        return int(self.item())

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError("tensors are values and take no assignment to elements; build a new one, with where() say")

    def __repr__(self) -> str:
        name = type(self).__name__
        array = np.array2string(self.backend.to_numpy(self._data), separator=", ", prefix=name + "(")
        notes = [] if self.dtype in (float32, int64, bool_) else [f"dtype={self.dtype}"]
        if self.grad_fn is not None:
            notes.append(f"grad_fn={self.grad_fn!r}")
        elif self._requires_grad:
            notes.append("requires_grad=True")
        return f"{name}({', '.join([array, *notes])})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    # -- gradients ---------------------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if not isinstance(wanted, (bool, np.bool_)):
            raise TypeError(f"requires_grad must be True or False, got {wanted!r}")
        if wanted and self.dtype.kind != "f":
            raise TypeError(f"only floating tensors can require a gradient; this one is {self.dtype}: see astype()")
        if self.grad_fn is not None and not wanted:
            raise RuntimeError("requires_grad of a computed tensor can't be turned off; use detach()")
        self._requires_grad = bool(wanted)

    @property
    def is_leaf(self) -> bool:
        """Whether the user made it: no operation on tensors that require gradients did."""
        return self.grad_fn is None

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Sets `requires_grad` of a leaf and returns the tensor itself."""
        self.requires_grad = requires_grad
        return self

    def detach(self) -> Tensor:
        """The same array as a leaf, cut off from the graph."""
        return Tensor._wrap(self.data, self.backend)

    if TYPE_CHECKING:
        # Installed by minigrad.autograd:
        backward: Callable[..., None]
        backward_steps: Callable[..., Iterator[Any]]
        retain_grad: Callable[[], None]
        register_hook: Callable[[Callable[[Tensor], Tensor | None]], RemovableHandle]

        # Installed by minigrad.ops:
        def _unary(self) -> Tensor: ...
        def _binary(self, other: Any) -> Tensor: ...

        __neg__ = __abs__ = __invert__ = _unary
        __add__ = __sub__ = __mul__ = __truediv__ = __pow__ = __matmul__ = __and__ = __or__ = __xor__ = _binary
        __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rpow__ = __rmatmul__ = __rand__ = __ror__ = __rxor__ = _binary
        __iadd__ = __isub__ = __imul__ = __itruediv__ = __ipow__ = __imatmul__ = _binary
        __getitem__ = __lt__ = __le__ = __gt__ = __ge__ = _binary
        __eq__ = __ne__ = _binary  # type: ignore[assignment]
        T: Tensor

        def __getattr__(self, name: str) -> Callable[..., Tensor]: ...  # sum, reshape, exp and the other methods
