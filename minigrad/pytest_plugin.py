"""What pytest loads where minigrad is installed: --gradcheck-seed, for the tests that minigrad.testing makes."""

from __future__ import annotations

from typing import Any

from . import testing


def pytest_addoption(parser: Any) -> None:
    group = parser.getgroup("minigrad")
    group.addoption(
        "--gradcheck-seed",
        type=int,
        default=0,
        help="the seed of drawn inputs, cotangents and sampled elements in gradient checks (default: 0)",
    )


def pytest_configure(config: Any) -> None:
    testing.default_seed = config.getoption("--gradcheck-seed")
