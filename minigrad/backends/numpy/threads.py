"""How many threads the BLAS may use; everything else in NumPy runs on the calling one."""

from __future__ import annotations

from typing import Any


def set_num_threads(number: int) -> None:
    _threadpoolctl().threadpool_limits(number, user_api="blas")


def get_num_threads() -> int:
    return max((library["num_threads"] for library in _threadpoolctl().threadpool_info()), default=1)


def _threadpoolctl() -> Any:
    try:
        import threadpoolctl
    except ImportError as error:
        raise ImportError(
            "set_num_threads: threadpoolctl is missing; install it with pip install threadpoolctl, "
            "or set OMP_NUM_THREADS in the environment before Python starts"
        ) from error
    return threadpoolctl
