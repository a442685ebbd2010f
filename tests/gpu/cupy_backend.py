"""The cupy backend over the stand-in, as if it were used for the first time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from stand_in import cupy, installed

from minigrad.backends import Backend, get_backend

PACKAGE = "minigrad.backends.cupy"


@contextmanager
def fresh_backend() -> Iterator[Backend]:
    """For the block, the registry's backend with nothing imported or checked yet; afterwards it is as it was before."""
    backend = get_backend("cupy")
    state = dict(vars(backend))
    modules = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(PACKAGE)}
    allocator = cupy.cuda.get_allocator()
    cupy.cuda.set_allocator(None)
    vars(backend).update(vars(Backend("cupy", arrays="cupy", install=state["_install"])))
    for cached in ("xp", "ndarray", "kernels"):
        vars(backend).pop(cached, None)
    try:
        with installed():
            yield backend
    finally:
        vars(backend).clear()
        vars(backend).update(state)
        for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
            del sys.modules[name]
        sys.modules.update(modules)
        cupy.cuda.set_allocator(allocator)
