"""The stand-in's array: NumPy storage behind what cupy.ndarray offers and refuses.

Whatever gives a view of the same memory costs nothing and is not counted; everything else is one launch.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import cupy_surface as surface
import numpy as np
import stand_in_device as device

DTYPES = "?bBhHiIlLqQefdFD"
IMPLICIT = (
    "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
)

_any_order = np.random.default_rng(0)  # for what CuPy leaves to chance


def device_dtype(dtype: Any) -> np.dtype:
    """The dtype, where CuPy has it: no objects, no text, no long double."""
    dtype = np.dtype(dtype)
    if dtype.char not in DTYPES:
        raise ValueError(f"Unsupported dtype {dtype}")
    return dtype


def poisoned(shape: Any, dtype: Any, order: str = "C") -> np.ndarray:
    """New memory, filled with what nobody takes for a result: NaN, and the largest integers, which are odd."""
    dtype = device_dtype(dtype)
    fill = True if dtype.kind == "b" else np.iinfo(dtype).max if dtype.kind in "iu" else np.nan
    return np.full(shape, fill, dtype, order)


class Flags:
    """As CuPy's: with no `writeable`, for all its arrays are."""

    def __init__(self, array: ndarray) -> None:
        flags = array.storage.flags
        self.c_contiguous, self.f_contiguous, self.owndata = flags.c_contiguous, flags.f_contiguous, array.base is None
        self.forc, self.fnc = flags.forc, flags.fnc


class Capsule:
    """What `__dlpack__` gives for others to read. Only the stand-in's from_dlpack can: it is no GPU's memory."""

    def __init__(self, array: ndarray) -> None:
        self.array = array


class ndarray:
    """An array on the device.

    The constructor gives memory as it was left, as in CuPy. What else makes arrays is in functions.py, and so are the
    methods that cupy has as functions too: `sum`, `clip`, `take`, ...
    """

    __module__ = "cupy"  # which errors show
    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 100

    def __init__(
        self, shape: Any, dtype: Any = float, memptr: None = None, strides: None = None, order: str = "C"
    ) -> None:
        if memptr is not None or strides is not None:
            raise NotImplementedError("the stand-in's ndarray has no memptr and no strides")
        self.storage = poisoned(shape, dtype, order)
        device.allocated(self.nbytes)
        self.base: ndarray | None = None

    # -- facts ---------------------------------------------------------------------------------------------------------

    shape = property(lambda self: self.storage.shape)
    dtype = property(lambda self: self.storage.dtype)
    ndim = property(lambda self: self.storage.ndim)
    size = property(lambda self: self.storage.size)
    strides = property(lambda self: self.storage.strides)
    nbytes = property(lambda self: self.storage.nbytes)
    itemsize = property(lambda self: self.storage.itemsize)
    flags = property(lambda self: Flags(self))
    data = property(lambda self: SimpleNamespace(ptr=self.storage.ctypes.data))
    T = property(lambda self: view(self, self.storage.T))

    def __len__(self) -> int:
        return len(self.storage)

    def __iter__(self) -> Iterator[ndarray]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        strides = None if self.flags.c_contiguous else self.strides
        pointer = (self.storage.ctypes.data, False)  # False: not read-only
        described = {"shape": self.shape, "typestr": self.dtype.str, "data": pointer, "strides": strides}
        return {**described, "stream": 1, "version": 3}

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: bool | None = None
    ) -> Capsule:
        if dl_device not in (None, self.__dlpack_device__()):
            raise NotImplementedError("the stand-in's __dlpack__ moves nothing to another device")
        return Capsule(self)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0  # CUDA's first GPU

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in surface.recorded()["ndarray"].split():
            raise AttributeError(f"'ndarray' object has no attribute {name!r}")
        raise NotImplementedError(
            f"ndarray.{name}: CuPy has it, the stand-in has not yet; see tests/gpu/stand_in_array.py"
        )

    # -- to the host ---------------------------------------------------------------------------------------------------

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise TypeError(IMPLICIT)

    def get(self, stream: Any = None, order: Any = "C", out: np.ndarray | None = None, blocking: bool = True) -> Any:
        if stream is not None or out is not None:
            raise NotImplementedError("the stand-in's get() has no stream and no out")
        device.read_by_host()
        return self.storage.copy(order)

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if arr.dtype != self.dtype or arr.shape != self.shape:
            given = f"{arr.dtype} {arr.shape}, expected {self.dtype} {self.shape}"
            raise ValueError(f"Shape or dtype mismatch: got {given}")
        device.sent_to_device()
        self.storage[...] = arr

    def item(self, *index: Any) -> Any:
        if not index and self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return self.get().item(*index)

    def tolist(self) -> Any:
        return self.get().tolist()

    def tobytes(self, order: Any = "C") -> bytes:
        return self.get().tobytes(order)

    def __bool__(self) -> bool:
        if self.size != 1:
            few = "more than one element" if self.size else "no element"
            raise ValueError(f"The truth value of an array with {few} is ambiguous. Use a.any() or a.all()")
        return bool(self.get())

    def __float__(self) -> float:
        return float(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __complex__(self) -> complex:
        return complex(self.get())

    def __repr__(self) -> str:
        return repr(self.get())

    def __str__(self) -> str:
        return str(self.get())

    def __format__(self, spec: str) -> str:
        return format(self.get(), spec)

    # -- views and copies ----------------------------------------------------------------------------------------------

    def transpose(self, *axes: Any) -> ndarray:
        return view(self, self.storage.transpose(*axes))

    def swapaxes(self, axis1: int, axis2: int) -> ndarray:
        return view(self, self.storage.swapaxes(axis1, axis2))

    def squeeze(self, axis: Any = None) -> ndarray:
        return view(self, self.storage.squeeze(axis))

    def view(self, dtype: Any = None) -> ndarray:
        return view(self, self.storage if dtype is None else self.storage.view(device_dtype(dtype)))

    def reshape(self, *shape: Any, order: Any = "C") -> ndarray:
        return view_or_new("reshape", self.storage.reshape(*shape, order=order), [self])

    def ravel(self, order: Any = "C") -> ndarray:
        return view_or_new("ravel", self.storage.ravel(order), [self])

    def flatten(self, order: Any = "C") -> ndarray:
        return new("flatten", self.storage.flatten(order), self)

    def copy(self, order: Any = "C") -> ndarray:
        return new("copy", self.storage.copy(order), self)

    def astype(
        self, dtype: Any, order: Any = "K", casting: Any = "unsafe", subok: Any = None, copy: bool = True
    ) -> ndarray:
        dtype = device_dtype(dtype)
        if not copy and dtype == self.dtype:
            return self
        with np.errstate(all="ignore"):
            return new("astype", self.storage.astype(dtype, order, casting or "unsafe"), self)

    def __copy__(self) -> ndarray:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> ndarray:
        return self.copy()

    # -- elements ------------------------------------------------------------------------------------------------------

    def fill(self, value: Any) -> None:
        self[...] = value

    def __getitem__(self, index: Any) -> ndarray:
        parts, chooses = host_index(index, self.shape)
        chosen = self.storage[parts]
        if chooses:
            return new("getitem", chosen, view(self, chosen))
        return view(self, chosen if isinstance(chosen, np.ndarray) else self.storage[(*parts, ...)])  # 0-d: a view, too

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim):
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        parts, _ = host_index(index, self.shape)
        value = value.storage if isinstance(value, ndarray) else value
        if not any(isinstance(part, np.ndarray) and part.dtype.kind in "iu" for part in parts):
            self.storage[parts] = value
        else:  # where an element is named twice, any of its values may be the last
            places = np.arange(self.size).reshape(self.shape)[parts]
            values = np.broadcast_to(value, places.shape).ravel()
            order = _any_order.permutation(places.size)
            self.storage.flat[places.ravel()[order]] = values[order]
        values = [value] if isinstance(value, np.ndarray) else []
        device.launched("setitem", np.asarray(self.storage[parts]), *values)


def new(name: str, storage: Any, *arguments: ndarray) -> ndarray:
    """The result of a launch of that name, which read the arguments; a NumPy scalar becomes a 0-d array, as on the
    device."""
    array = object.__new__(ndarray)
    array.storage, array.base = np.asarray(storage), None
    device_dtype(array.dtype)
    device.allocated(array.nbytes)
    if array.size:  # for an empty one nothing is launched
        device.launched(name, array, *arguments)
    return array


def sent(array: np.ndarray) -> ndarray:
    """A copy of a NumPy array, of one order or the other, on the device."""
    device.sent_to_device()
    result = ndarray(array.shape, array.dtype, order="F" if array.flags.fnc else "C")
    result.storage[...] = array
    return result


def view(of: ndarray, storage: np.ndarray) -> ndarray:
    """Another array in the memory of one that exists."""
    array = object.__new__(ndarray)
    array.storage, array.base = storage, of if of.base is None else of.base
    return array


def view_or_new(name: str, storage: np.ndarray, arguments: list[ndarray]) -> ndarray:
    """A view where NumPy could make one of an argument, else the result of a launch."""
    viewed = lender(storage, arguments)
    return new(name, storage, *arguments) if viewed is None else view(viewed, storage)


def lender(storage: Any, arguments: list[ndarray]) -> ndarray | None:
    """The one of some arrays in whose memory this lies, if it does; an array without elements may lie there, too."""
    for argument in arguments:
        if isinstance(storage, np.ndarray) and memory(storage) is memory(argument.storage):
            return argument
    return None


def memory(array: np.ndarray) -> np.ndarray:
    """The array that others are views of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def host_index(index: Any, shape: tuple[int, ...]) -> tuple[tuple[Any, ...], bool]:
    """The index for NumPy, and whether it chooses elements by arrays, so that the result is no view.

    On the device, indices out of range are not found: they wrap around.
    """
    parts = [as_index_array(part) for part in (index if isinstance(index, tuple) else (index,))]
    consumed = [axes_of(part) for part in parts]
    host, axis, chooses = [], 0, False
    for part, axes in zip(parts, consumed, strict=True):
        if part is Ellipsis:
            axes = len(shape) - sum(consumed)
        elif isinstance(part, ndarray):
            chooses = True
            part = part.storage
            if part.dtype == bool:
                device.synchronised()  # to learn how many are true
            elif axis < len(shape) and shape[axis]:
                part = part % shape[axis]
        elif isinstance(part, (bool, np.bool_)):
            chooses = True
        host.append(part)
        axis += axes
    return tuple(host), chooses


def as_index_array(part: Any) -> Any:
    """A part of an index; lists and NumPy arrays are sent to the device, each time anew."""
    if isinstance(part, (list, np.ndarray)):
        part = sent(np.asarray(part))
    if isinstance(part, ndarray) and part.dtype.kind not in "biu":
        kind = part.dtype.type
        raise IndexError(f"arrays used as indices must be of integer or boolean type. (actual: {kind})")
    return part


def axes_of(part: Any) -> int:
    """How many axes a part of an index uses up; an ellipsis takes those that are left."""
    if part is None or part is Ellipsis or isinstance(part, (bool, np.bool_)):
        return 0
    return part.ndim if isinstance(part, ndarray) and part.dtype == bool else 1
