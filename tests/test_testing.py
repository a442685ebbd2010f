"""minigrad.testing: gradient checks as assertions, and as tests that pytest collects."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad
from minigrad import Function, GradcheckError, Tensor, testing
from minigrad.testing import assert_gradients, gradcheck_cases

pytest_plugins = ["pytester"]

WRONG_SQUARE = """
import minigrad
from minigrad.testing import assert_gradients, gradcheck_cases

class Square(minigrad.Function):
    def forward(self, x):
        return x * x

    def backward(self, dy):
        return (dy * self.inputs[0],)

def test_assertion():
    assert_gradients(Square.apply, minigrad.tensor([1.0, 2.0]))

@gradcheck_cases((3,), ((2, 2),), minigrad.tensor([4.0]))
def test_square(x):
    return Square.apply(x)

@gradcheck_cases((3,), ((2, 3), (3,)), order=2)
def test_exp(x, y=None):
    return minigrad.exp(x) if y is None else x * y
"""


class Half(Function):
    def forward(self, x):
        return 2 * x

    def backward(self, dy):
        return (dy,)


def test_right_gradients_return_their_report() -> None:
    report = assert_gradients(lambda x, y: x * y, np.ones(3), Tensor([1.0, 2.0, 3.0]), order=2)
    assert report
    assert report.order == 2


def test_wrong_ones_fail_with_the_report_as_the_message() -> None:
    with pytest.raises(GradcheckError, match="constant factor"):
        assert_gradients(Half.apply, np.ones(3))


@gradcheck_cases((2, 3), ((2, 5), (5,)), Tensor([0.5, 2.0]), order=2)
def test_a_decorated_function_is_a_test_for_each_case(x, w=None):
    return minigrad.exp(x) if w is None else x * w


@pytest.mark.parametrize("cases", [(), ("3x4",), (3,), ({"x": 1},)])
def test_what_is_no_case_raises_where_it_is_written(cases) -> None:
    with pytest.raises((TypeError, ValueError), match="gradcheck_cases"):
        gradcheck_cases(*cases)


def test_a_suite_of_ones_own(pytester) -> None:
    pytester.makepyfile(WRONG_SQUARE)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, failed=4)
    result.stdout.fnmatch_lines(["*the rule at fault is that of Square*", "*test_square?2x2?*"])


def test_the_plugin_sets_the_seed(pytester) -> None:
    pytester.makepyfile("import minigrad.testing\ndef test_seed(): assert minigrad.testing.default_seed == 7")
    pytester.runpytest_subprocess("-p", "minigrad.pytest_plugin", "--gradcheck-seed", "7").assert_outcomes(passed=1)
    assert testing.default_seed == 0
