"""Normalisation of channels: the reference's, whose arrays' own methods CuPy's arrays have too.

That is some ten launches where one or two would do; no CUDA C has been written for it yet.
"""

from __future__ import annotations

from ..numpy.normalization import channel_moments, channel_norm, channel_norm_grad

__all__ = ["channel_moments", "channel_norm", "channel_norm_grad"]
