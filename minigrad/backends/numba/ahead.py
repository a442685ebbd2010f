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
PROGRAM = """\
import sys
sys.path[:] = {path}
import signal
signal.signal(signal.SIGINT, signal.SIG_DFL)
from {module} import compile_now
compile_now({pooling!r})
"""  # finds modules where this process does, not in the current folder; and Ctrl-C ends it whatever LLVM is at


def compile_ahead(pooling: str) -> None:
    """Has another process compile the gradient of convolutions' weights and a kind of pooling, for float32.

    Returns at once. Nothing happens where that gradient has been compiled before, or could not be kept on disk, or
    where minigrad has one thread only. What the process does not get done is compiled when it is needed, as ever.

    Args:
        pooling: "avg_pool2d" or "max_pool2d". Raises ValueError for anything else.
    """
    if pooling not in POOLINGS:
        raise ValueError(f"compile_ahead: pooling must be one of {', '.join(POOLINGS)}, got {pooling!r}")
    if threads.parts > 1 and is_to_be_compiled("_dot_products") and sys.executable:
        program = PROGRAM.format(path=[*map(str, sys.path)], module=__name__, pooling=pooling)
        one_thread = {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # the others are this process's
        arguments = [sys.executable, "-c", program], {**os.environ, **one_thread}
        threading.Thread(target=_run, args=arguments, daemon=True).start()


def _run(command: list[str], environment: dict[str, str]) -> None:
    none = subprocess.DEVNULL
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
