"""Whether a lock is free, which a reentrant one does not tell the thread that holds it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any


def is_free(lock: Any) -> bool:
    """Whether another thread could take it."""

    def take() -> bool:
        if taken := lock.acquire(blocking=False):
            lock.release()
        return taken

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(take).result()
