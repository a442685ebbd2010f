"""Says what can be done when a GPU's memory is full, whoever asks for more: operations, gradients, optimizers, data."""

from __future__ import annotations

from functools import cache
from typing import Any

import cupy

ADVICE = (
    "Try a smaller batch; evaluate under no_grad(), which keeps nothing for a backward pass; del what is no longer "
    "needed, a loss for example, which holds its whole graph; and close other programs on this GPU, or have them call "
    "cupy.get_default_memory_pool().free_all_blocks()"
)


@cache
def explain_full_memory() -> None:
    """Adds to CuPy's error, a MemoryError, in the function that CuPy asks for memory: all of it comes from there.

    Raises ValueError inside `cupy.cuda.using_allocator`, where CuPy lets nobody set another.
    """
    allocate = cupy.cuda.get_allocator()

    def explained(size: int) -> Any:
        try:
            return allocate(size)
        except cupy.cuda.memory.OutOfMemoryError as error:
            free, total = cupy.cuda.runtime.memGetInfo()
            used = f"Of the GPU's {total:,} bytes {total - free:,} are in use, for arrays and by other programs."
            error.args = (f"{error} {used} {ADVICE}",)
            raise

    cupy.cuda.set_allocator(explained)
