"""The one generator from which weights, shuffles and dropout masks are drawn, on the host whatever the backend."""

from __future__ import annotations

import numpy as np

_generator = np.random.default_rng()


def manual_seed(seed: int) -> np.random.Generator:
    """Starts the global generator anew from a seed and returns it; the same seed gives the same run on every backend.

    >>> first = manual_seed(0).random()
    >>> first == manual_seed(0).random()
    True

    Raises ValueError for a seed below 0, TypeError for one that is no integer.
    """
    global _generator
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"manual_seed: the seed must be an integer, got {seed!r}")
    if seed < 0:
        raise ValueError(f"manual_seed: the seed must be 0 or more, got {seed}")
    _generator = np.random.default_rng(int(seed))
    return _generator


def default_generator() -> np.random.Generator:
    """The global generator; its `bit_generator.state` is what a checkpoint saves."""
    return _generator
