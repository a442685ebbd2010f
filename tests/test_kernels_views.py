"""The tables of who sees whom (backends/numba/views.py), which all kernels of windows follow."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

pytest.importorskip("numba")

from minigrad.backends.numba.views import View, inputs_view, outputs_view


def seen_by_outputs(q: int, of: int, taps: int, stride: int, padding: int, dilation: int) -> list[tuple[int, int]]:
    """(tap, pixel) for each tap through which output pixel q sees a pixel."""
    seen = [(j, q * stride + j * dilation - padding) for j in range(taps)]
    return [(j, w) for j, w in seen if 0 <= w < of]


def seen_by_inputs(w: int, of: int, taps: int, stride: int, padding: int, dilation: int) -> list[tuple[int, int]]:
    """(tap, pixel) for each tap through which pixel w of the image is seen."""
    return [(j, q) for j in range(taps) for q in range(of) if q * stride + j * dilation - padding == w]


@pytest.mark.parametrize("to", [1, 9])
@pytest.mark.parametrize(
    ("view_of", "seen_by", "through_tap_0"),
    [
        (outputs_view, seen_by_outputs, lambda q, stride, padding: q * stride - padding),
        (inputs_view, seen_by_inputs, lambda w, stride, padding: (w + padding) // stride),
    ],
)
def test_a_view_tells_of_each_pixel_what_it_sees_and_through_which_taps(
    view_of: Callable[..., View], seen_by: Callable[..., list[tuple[int, int]]], through_tap_0: Callable, to: int
) -> None:
    for of, taps, stride, padding, dilation in product((1, 2, 5), (1, 2, 6), range(1, 7), range(4), range(1, 5)):
        sizes = (of, taps, stride, padding, dilation)
        view = view_of((1, to), *((1, size) for size in (of, taps, stride)), (0, padding), (1, dilation))
        assert (view.columns.shape, view.columns.dtype) == ((to, 3), np.int64)
        tap_step, pixel_step = view.steps[1]
        for place, (tap, number, pixel) in enumerate(view.columns.tolist()):
            seen = seen_by(place, *sizes)
            assert seen == [(tap + k * tap_step, pixel + k * pixel_step) for k in range(number)], (place, sizes)
            assert seen or (tap, number, pixel) == (0, 0, through_tap_0(place, stride, padding)), (place, sizes)


@pytest.mark.parametrize(
    ("view_of", "to", "of", "taps", "stride", "dilation"),
    [
        (outputs_view, 99_501, 100_000, 500, 1, 1),
        (inputs_view, 100_000, 99_501, 500, 1, 1),
        (inputs_view, 65_536, 1, 65_536, 65_536, 1),
        (inputs_view, 65_536, 2, 32_768, 32_767, 1),
        (inputs_view, 65_536, 30, 1_000, 1_009, 36),
    ],
)
def test_a_view_takes_memory_for_its_pixels_however_many_taps_there_are(
    view_of: Callable[..., View], to: int, of: int, taps: int, stride: int, dilation: int
) -> None:
    view_of.cache_clear()
    tracemalloc.start()
    view = view_of((1, to), *((1, size) for size in (of, taps, stride)), (0, 0), (1, dilation))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert view.columns.nbytes <= peak < 200 * to
