"""A second process that compiles while a program waits for its first step: `compile_ahead`.

numba compiles one function at a time, on one core. Half of what LeNet-5's first step waits for are the convolutions'
sums, which come first; so the second process begins with what comes last. Each looks on disk before it compiles:

    the program         sums, sigmoid, [pooling, read from disk] linear layers, loss, [what is left of the way back]
    the other process   dot products, pooling and its way back
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress

import numpy as np

from . import avg_pool2d, avg_pool2d_grad, conv2d_grad_weight, max_pool2d, max_pool2d_scatter
from .compiler import is_to_be_compiled
from .threads import threads

POOLINGS = ("avg_pool2d", "max_pool2d")


def compile_ahead(pooling: str) -> None:
    """Has another process compile the gradient of convolutions' weights and a kind of pooling, for float32.

    Returns at once. Nothing happens where the gradient lies on disk already or could not be kept there, or where
    minigrad has one thread only. What that process does not get done is compiled when it is needed, as ever.

    Args:
        pooling: "avg_pool2d" or "max_pool2d". Raises ValueError for anything else.
    """
    if pooling not in POOLINGS:
        raise ValueError(f"compile_ahead: pooling must be one of {', '.join(POOLINGS)}, got {pooling!r}")
    if threads.parts > 1 and is_to_be_compiled("_dot_products"):
        threading.Thread(target=_wait_for_process, args=(pooling,), daemon=True).start()


def _wait_for_process(pooling: str) -> None:
    one_thread = {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # the others are the program's
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **one_thread}
    command, none = [sys.executable, "-m", __name__, pooling], subprocess.DEVNULL
    with suppress(OSError):  # no memory for another process, say
        subprocess.run(command, env=environment, stdin=none, stdout=none, stderr=none)


def compile_now(pooling: str) -> None:
    """What the other process does: it calls each kernel once, with 8 small images of any numbers."""
    x, windows = np.empty((6, 8, 10, 8), np.float32).transpose(3, 0, 1, 2), ((2, 2), (2, 2), (0, 0))
    conv2d_grad_weight(x[:, :, :4, :6], x, (5, 5), (1, 1), (0, 0), (1, 1), 1)
    if pooling == "avg_pool2d":
        avg_pool2d_grad(avg_pool2d(x, *windows, True), (8, 10), *windows, True)
    else:
        max_pool2d_scatter(*max_pool2d(x, *windows), (8, 10), *windows)


if __name__ == "__main__":
    compile_now(sys.argv[1])
