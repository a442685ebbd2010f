"""Gradient checks in a test suite: an assertion, and a decorator that makes a test of each case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .checks import function
from .gradient_check import GradcheckError, Report, gradcheck
from .tensor import Tensor

default_seed = 0  # of cotangents, samples and drawn inputs; `pytest --gradcheck-seed` sets it


def assert_gradients(fn: Callable[..., Any], *inputs: Any, **options: Any) -> Report:
    """Fails, with the report as the message, unless all gradients of fn at the inputs are right.

    Args:
        fn, inputs: as `gradcheck` takes them, the inputs one by one.
        options: those of `gradcheck`.

    Returns the report. Raises GradcheckError, an AssertionError.

    >>> import minigrad
    >>> report = assert_gradients(minigrad.exp, minigrad.Tensor([0.0, 1.0]), order=2)
    """
    __tracebackhide__ = True
    options.pop("raise_error", None)
    options.setdefault("seed", default_seed)
    report = gradcheck(fn, inputs, raise_error=False, **options)
    if not report:
        raise GradcheckError(report)
    return report


def gradcheck_cases(*cases: Any, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Makes a pytest test of a function: its gradients are checked at each case.

        @gradcheck_cases((3, 4), ((2, 5), (5,)), Tensor([0.5, 2.0]), order=2)
        def test_my_layer(x, w=None):
            return my_layer(x, w)

    Args:
        cases: one test for each: a shape, for one input drawn from the standard normal distribution; a tuple of shapes,
            Tensors, arrays and anything else, for several inputs; or a Tensor or an array.
        options: those of `gradcheck`.

    Raises ValueError where there is no case, TypeError for what is none.
    """
    import pytest

    if not cases:
        raise ValueError("gradcheck_cases: there are no cases, so the test would check nothing")
    names = [_name(case) for case in cases]
    for case in cases:
        _inputs(case, 0)

    def decorate(fn: Callable[..., Any]) -> Callable[..., None]:
        function("gradcheck_cases", "what is decorated", fn)

        @pytest.mark.parametrize("case", cases, ids=names)
        def test(case: Any) -> None:
            __tracebackhide__ = True
            assert_gradients(fn, *_inputs(case, default_seed), **options)

        test.__name__, test.__doc__, test.__module__ = fn.__name__, fn.__doc__, fn.__module__
        return test

    return decorate


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in value)


def _inputs(case: Any, seed: int) -> tuple[Any, ...]:
    rng = np.random.default_rng([seed, 7])
    if isinstance(case, (Tensor, np.ndarray)) or _is_shape(case):
        case = (case,)
    if not isinstance(case, (tuple, list)):
        raise TypeError(f"gradcheck_cases: a case is a shape, a Tensor, an array or a tuple of these, got {case!r}")
    return tuple(rng.standard_normal(one) if _is_shape(one) else one for one in case)


def _name(case: Any) -> str:
    if isinstance(case, (Tensor, np.ndarray)):
        return "x".join(map(str, case.shape)) or "0-d"
    if _is_shape(case):
        return "x".join(map(str, case)) or "0-d"
    return "-".join(_name(one) for one in case) if isinstance(case, (tuple, list)) else str(case)
