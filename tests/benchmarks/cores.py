"""How far apart two cores are: how long a cache line takes from one to the other and back.

On a virtual machine that changes while it runs, as its host puts its cores now here and now there. Where they share no
cache, what one has written takes five times as long to the other, and all work of several threads is slower.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

FEW, MANY = 20, 20_000  # rounds
TOO_LONG = 20_000  # ns for a round of two threads that run one after the other, on one core


def round_trip() -> float | None:
    """Nanoseconds, the least of three tries; None without numba, and where there is one core only."""
    try:
        take_turns = _compiled()
    except ImportError:
        return None
    if (os.cpu_count() or 1) < 2 or _time_of_a_round(take_turns, FEW) > TOO_LONG:
        return None
    return min(_time_of_a_round(take_turns, MANY) for _ in range(3))


def _time_of_a_round(take_turns: Callable[[int, int, int], None], rounds: int) -> float:
    number = np.zeros(1, np.int64)
    other = threading.Thread(target=take_turns, args=(number.ctypes.data, 1, rounds))
    other.start()
    start = time.perf_counter()
    take_turns(number.ctypes.data, 0, rounds)
    other.join()
    return (time.perf_counter() - start) / rounds * 1e9


def _compiled() -> Callable[[int, int, int], None]:
    import numba
    from llvmlite import ir
    from numba.core.types import int64, void
    from numba.extending import intrinsic

    def pointer(builder: Any, address: Any) -> Any:
        return builder.inttoptr(address, ir.IntType(64).as_pointer())

    @intrinsic
    def number_at(_: Any, address: Any) -> Any:  # as it is now: another thread changes it
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.load_atomic(pointer(builder, arguments[0]), "acquire", 8)

        return int64(address), code

    @intrinsic
    def put(_: Any, address: Any, number: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            builder.store_atomic(arguments[1], pointer(builder, arguments[0]), "release", 8)
            return context.get_dummy_value()

        return void(address, number), code

    @numba.njit("void(int64, int64, int64)", nogil=True)
    def take_turns(address, first, rounds):
        for turn in range(first, 2 * rounds, 2):
            while number_at(address) != turn:
                pass
            put(address, turn + 1)

    return take_turns
