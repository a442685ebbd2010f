"""How the kernels of this backend are compiled, and how its threads live beside those of the BLAS.

`kernel` compiles for one thread or, with parallel=True, for numba's threads: a kernel's `prange` runs over pieces whose
number follows from the sizes alone and no two of which write one element, so results do not depend on the threads.
Multiplications and additions may be contracted into one instruction; nothing may assume NaN and infinity away.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import numba
import threadpoolctl

ROUNDING_ONLY = frozenset({"contract"})
SUMS_IN_ANY_ORDER = frozenset({"contract", "reassoc"})  # lets a sum be kept in several lanes; fixed when compiled


def kernel(fastmath: frozenset[str] = ROUNDING_ONLY, parallel: bool = True) -> Callable[[Callable], Any]:
    """The decorator of every compiled kernel. What it compiles is kept on disk, where there is a folder to write to."""

    def decorate(function: Callable) -> Any:
        compiled = numba.njit(parallel=parallel, fastmath=set(fastmath), error_model="numpy", nogil=True)(function)
        with contextlib.suppress(RuntimeError):  # "no locator available": then each process compiles anew
            compiled.enable_caching()
        return compiled

    return decorate


class OneBlasThread:
    """A context in which matrix products run on the calling thread alone.

    The BLAS's own threads keep spinning for a while after each product, and would starve numba's of their cores:
    measured with two of each on two cores, every kernel then takes ten times as long.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        libraries = threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers
        self._libraries = [(library, library.num_threads) for library in libraries]

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._libraries = [(library, library.get_num_threads()) for library, _ in self._libraries]
                for library, _ in self._libraries:
                    library.set_num_threads(1)

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                for library, threads in self._libraries:
                    library.set_num_threads(threads)


one_blas_thread = OneBlasThread()
