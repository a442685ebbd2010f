"""numba's threads: how many, and how they live beside those of the BLAS, of Python and of a parent process.

They and the BLAS's starve each other: the BLAS's threads keep spinning for a while after each product, on the cores
that numba's need. Measured with two of each on two cores, a product and a sigmoid in turn take 8 ms instead of 1.4.
So matrix products run on the calling thread alone (`one_blas_thread`), and numba's threads are all there are.
"""

from __future__ import annotations

import os
import threading

import numba
import threadpoolctl

from ..numpy import threads as blas


class _NumbaThreads(threading.local):
    """What this Python thread has told numba, whose number of threads is kept for each Python thread apart."""

    number: int | None = None


class Threads:
    """The process's threads for kernels.

    Attributes:
        number: how many kernels use; None as long as nobody has set it.
        told: what this Python thread has told numba of it.
        forked: whether this process was forked from another. GNU OpenMP's threads, which numba uses, do not survive
            that, and kernels then run in the calling thread alone.
        parts: into how many a kernel's tasks are shared out, one for each thread.
        turn: held by the Python thread whose kernel runs. Each kernel uses all cores anyway; and numba's simplest pool
            of threads, the one where there is no OpenMP, ends the process when two callers meet in it. The same thread
            may take it again: in a signal's handler.
    """

    def __init__(self) -> None:
        self.forked = False
        self.turn = threading.RLock()
        self.number = _number_from_environment()  # None: as numba has it
        self.parts = self.number or _most()
        self.told = _NumbaThreads()

    def set(self, number: int) -> None:
        self.number, self.parts = number, 1 if self.forked else number

    def tell_numba(self) -> None:
        """Makes numba use the number that is set, in this Python thread."""
        if self.number is not None:
            numba.set_num_threads(self.number)
            self.told.number = self.number

    def after_fork(self) -> None:
        self.forked, self.parts = True, 1
        self.turn = threading.RLock()


def _number_from_environment() -> int | None:
    """OMP_NUM_THREADS counts for numba too, unless NUMBA_NUM_THREADS says otherwise."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if "NUMBA_NUM_THREADS" in os.environ or not first.isdigit() or int(first) < 1:
        return None
    return min(int(first), _most())


def _most() -> int:
    """How many threads numba has started with."""
    return numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]


threads = Threads()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=threads.after_fork)


def set_num_threads(number: int) -> None:
    most = _most()
    if number > most:
        raise ValueError(
            f"set_num_threads: numba has started with {most} threads and takes no more, got {number}; "
            f"set NUMBA_NUM_THREADS={number} in the environment before Python starts"
        )
    threads.set(number)
    blas.set_num_threads(number)


def get_num_threads() -> int:
    return numba.get_num_threads() if threads.number is None else threads.number


class OneBlasThread:
    """A context in which matrix products run on the calling thread alone."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
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
                for library, number in self._libraries:
                    library.set_num_threads(number)


one_blas_thread = OneBlasThread()
