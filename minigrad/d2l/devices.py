"""Where to compute, in the book's words. A device here is a backend; what takes one takes its name too."""

from __future__ import annotations

from textwrap import fill

from ..backends import Backend, BackendError, default_backend, get_backend
from ..checks import integer

_said: set[str] = set()


def cpu() -> Backend:
    """The backend that computes on the CPU: the default one, or numpy where the default is a GPU.

    >>> cpu().name in ("numba", "numpy")
    True
    """
    default = default_backend()
    return get_backend("numpy") if default.name == "cupy" else default


def gpu(i: int = 0) -> Backend:
    """The backend of GPUs, cupy. There is one for all, so i must be 0; raises ValueError for another, TypeError for
    what is no integer."""
    if integer("gpu", "the number of a GPU", i, least=0) > 0:
        raise ValueError(f"gpu: minigrad computes on one GPU, number 0, got {i}; choose it with CUDA_VISIBLE_DEVICES")
    return get_backend("cupy")


def num_gpus() -> int:
    """How many GPUs minigrad can use here: 1 or 0."""
    return int(why_no_gpu() is None)


def try_gpu() -> Backend:
    """The GPU where there is one that can be used, else the CPU."""
    return gpu() if num_gpus() else cpu()


def why_no_gpu() -> str | None:
    """What is missing for computing on a GPU; None where nothing is."""
    try:
        gpu().check_usable()
    except BackendError as error:
        return str(error)
    return None


def say_once(text: str) -> None:
    """Prints a line that later calls need not repeat."""
    if text not in _said:
        _said.add(text)
        print(fill(text, 78), flush=True)
