"""The stand-in makes the views, with the strides and flags, and refuses what the real package CuPy does.

That needs `pip install '.[test-cuda]'`, and neither a GPU nor a driver; that differences are noticed is shown
without.
"""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import oracle
import pytest
import stand_in
from refusals import REFUSALS_ON_A_DEVICE
from stand_in_array import Flags, ndarray, new, view
from test_cuda_nvrtc import PACKAGES, installed

STAND_IN = oracle.Package(stand_in.cupy, stand_in.cupy.asarray)


def test_the_real_package_agrees_with_the_stand_in() -> None:
    if not any(map(installed, PACKAGES)):
        pytest.skip("CuPy is not installed: pip install '.[test-cuda]'")
    run = subprocess.run([sys.executable, "-W", "ignore", oracle.__file__], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert told["compared"] >= 69_000
    assert not told["differences"], "\n".join(told["differences"][:20])


class Planted(oracle.Package):
    """The stand-in with something else in place of one of its methods."""

    def __init__(self, name: str, wrong: Any) -> None:
        super().__init__(stand_in.cupy, stand_in.cupy.asarray)
        object.__setattr__(self, "planted", (name, wrong))

    def told(self, expression: str, x: Any) -> Any:
        with mock.patch.object(ndarray, *self.planted):
            return super().told(expression, x)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("transpose", lambda x, *axes: view(x, x.storage)),
        ("swapaxes", lambda x, *axes: new("swapaxes", np.swapaxes(x.storage, *axes).copy())),
        ("reshape", lambda x, *shape, order="C": new("reshape", x.storage.reshape(*shape, order=order).copy())),
        ("ravel", lambda x, order="C": view(x, x.storage.reshape(-1))),
        ("squeeze", lambda x, axis=None: view(x, x.storage)),
        ("view", lambda x, dtype=None: view(x, x.storage)),
        ("copy", lambda x, order="C": view(x, x.storage)),
        ("flatten", lambda x, order="C": view(x, x.storage.reshape(-1))),
        ("strides", property(lambda x: x.storage.strides[::-1])),
        ("flags", property(lambda x: Flags(SimpleNamespace(storage=x.storage, base=None)))),
        ("__iter__", None),
        ("__hash__", lambda x: 0),
    ],
)
def test_a_method_that_differs_is_noticed(name: str, wrong: Any) -> None:
    assert next(filter(None, oracle.comparisons(STAND_IN, Planted(name, wrong))), None)


def test_a_refusal_in_other_words_or_none_at_all_is_noticed() -> None:
    refusal = REFUSALS_ON_A_DEVICE[0]
    for wrong in (refusal._replace(message="Sorry"), refusal._replace(error=KeyError), refusal._replace(call="x + 1")):
        assert oracle.refusal_difference(STAND_IN, wrong)
    assert oracle.refusal_difference(STAND_IN, refusal) is None
