"""The registry of backends: where a tensor's arrays live and which kernels work on them.

A backend is one folder beside this file and one line in the registry below. What each must offer is written once, in
contract.py. The numpy backend is the reference: the others may import from it, and from nothing else here.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from functools import cached_property
from types import ModuleType, TracebackType
from typing import Any

import numpy as np

from .. import checks

# NumPy's numbers, as which a 0-d array is kept while only arithmetic wants it: NumPy computes ten times as fast with
# them. See Tensor.data and Function.takes_scalars.
SCALARS = frozenset({np.float32, np.float64})


class BackendError(RuntimeError):
    """A backend that does not exist, or cannot be used on this machine; the message says what is missing."""


class Backend:
    """One place to compute: an array module, and kernels. There is one object for each name.

    Attributes:
        name: the name `use_backend` and `Tensor.to` know it by.
        on_host: whether its arrays are NumPy's own.
        xp: its array module, `numpy` or one with the same functions.
        ndarray: the type of its arrays.
        kernels: its hand-written kernels, imported at first use; see contract.py.
    """

    __slots__ = ("__dict__", "array_type", "result_types")

    array_type: type | None  # ndarray for who asks all the time; None until somebody has asked for that
    result_types: frozenset[type]  # likewise, and SCALARS where they are

    def __init__(self, name: str, arrays: str, install: str) -> None:
        self.name = name
        self._array_module = arrays
        self.on_host = arrays == "numpy"
        self.array_type = np.ndarray if self.on_host else None
        self.result_types = frozenset({np.ndarray, *SCALARS} if self.on_host else {})
        self._install = install
        self._runs = False

    @cached_property
    def xp(self) -> ModuleType:
        return importlib.import_module(self._array_module)

    @cached_property
    def ndarray(self) -> type:
        self.array_type = self.xp.ndarray
        if not self.on_host:
            self.result_types = frozenset({self.array_type})
        return self.xp.ndarray

    @cached_property
    def kernels(self) -> Any:
        try:
            kernels = importlib.import_module(f"{__name__}.{self.name}")
        except ImportError as error:
            raise BackendError(
                f"the {self.name} backend cannot be used: {error}. Install it with {self._install}, "
                f"or choose another with minigrad.use_backend('numpy')"
            ) from error
        if _num_threads is not None:
            _set_num_threads_of(kernels, _num_threads)
        return kernels

    def check_usable(self) -> None:
        """Runs a real kernel, the first time, so that what is missing is found here and not amid a computation.

        Raises BackendError, which says in one sentence what is missing and how to get it.
        """
        if self._runs:
            return
        kernels = self.kernels
        try:
            if hasattr(kernels, "check_device"):  # a CPU is always there
                kernels.check_device()
            kernels.sigmoid(self.xp.ones(1, self.xp.float32))
        except BackendError:
            raise
        except Exception as error:
            raise BackendError(f"the {self.name} backend cannot run its kernels: {error}") from error
        self._runs = True

    def from_numpy(self, array: np.ndarray) -> Any:
        """The array as this backend's own kind; the same object where that is NumPy's."""
        if not self.on_host:
            self.check_usable()  # the first array is where a device is first needed
        return self.xp.asarray(array)

    def full(self, shape: tuple[int, ...], number: float, dtype: np.dtype) -> Any:
        """A new array of one number, made where it shall be: a GPU is sent none."""
        if not self.on_host:
            self.check_usable()
        array = self.xp.empty(shape, dtype)
        array.fill(number)  # as xp.full does, which is Python inside NumPy
        return array

    def to_numpy(self, array: Any) -> np.ndarray:
        """The array as a NumPy array; the same object where it is one."""
        return np.asarray(array) if isinstance(array, (np.ndarray, np.generic)) else array.get()

    def __repr__(self) -> str:
        return f"<backend {self.name}>"

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return get_backend, (self.name,)  # copies and pickles come back as the one object


_REGISTRY = {
    backend.name: backend
    for backend in (
        Backend("numpy", arrays="numpy", install="pip install numpy"),
        Backend("numba", arrays="numpy", install="pip install numba threadpoolctl"),
        Backend("cupy", arrays="cupy", install="pip install 'cupy-cuda12x[ctk]' (or cupy-cuda13x)"),
    )
}


def get_backend(name: str | Backend) -> Backend:
    """The backend of that name.

    >>> get_backend("numpy")
    <backend numpy>

    Raises BackendError, with the names there are, for any other.
    """
    if isinstance(name, Backend):
        return name
    if not isinstance(name, str) or name not in _REGISTRY:
        raise BackendError(f"there is no backend named {name!r}; there are {', '.join(map(repr, _REGISTRY))}")
    return _REGISTRY[name]


def backend_names() -> tuple[str, ...]:
    """The names `use_backend` knows, whether usable on this machine or not."""
    return tuple(_REGISTRY)


def _initial_backend() -> Backend:
    """$MINIGRAD_BACKEND where it is set, else numba where all of it is installed, else numpy."""
    chosen = os.environ.get("MINIGRAD_BACKEND")
    if chosen:
        return get_backend(chosen)
    numba_is_installed = all(importlib.util.find_spec(package) for package in ("numba", "threadpoolctl"))
    return get_backend("numba" if numba_is_installed else "numpy")


_default = _initial_backend()
_num_threads: int | None = None  # None: as many as each library takes by itself


def default_backend() -> Backend:
    """The backend that new tensors get."""
    return _default


class use_backend:
    """Sets the backend that new tensors get: from here on when called, or for the block of a `with`.

    Tensors that exist keep theirs; `Tensor.to` moves one. Raises BackendError where the backend is unknown or cannot
    be used on this machine.

    >>> import minigrad
    >>> with minigrad.use_backend("numpy"):
    ...     minigrad.zeros(2).backend
    <backend numpy>
    """

    def __init__(self, name: str | Backend) -> None:
        global _default
        backend = get_backend(name)
        backend.check_usable()
        self._before, _default = _default, backend

    def __enter__(self) -> Backend:
        return _default

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        global _default
        _default = self._before


def set_num_threads(number: int) -> None:
    """How many threads kernels on the CPU may use, in all: numba's, and those of the matrix products in NumPy.

    By default as many as there are cores, or as OMP_NUM_THREADS says. On numba results are the same, bit for bit, for
    any number.

    >>> import minigrad
    >>> before = minigrad.get_num_threads()
    >>> minigrad.set_num_threads(1)
    >>> minigrad.get_num_threads()
    1
    >>> minigrad.set_num_threads(before)

    Raises ValueError below 1, and above the number that numba has started with; ImportError without threadpoolctl.
    """
    global _num_threads
    number = checks.integer("set_num_threads", "the number", number, 1)
    for backend in reversed(_REGISTRY.values()):  # numba, which may refuse the number, before NumPy
        if backend is _default or "kernels" in vars(backend):  # not numba's import where nobody uses it
            _set_num_threads_of(backend.kernels, number)
    _num_threads = number


def get_num_threads() -> int:
    """How many threads the default backend's kernels may use; 1 where they run elsewhere."""
    kernels = _default.kernels
    return kernels.get_num_threads() if hasattr(kernels, "get_num_threads") else 1


def _set_num_threads_of(kernels: Any, number: int) -> None:
    if hasattr(kernels, "set_num_threads"):  # a GPU has none
        kernels.set_num_threads(number)
