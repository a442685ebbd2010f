"""gradcheck is never fooled: it catches every planted rule, mostly knows why, and passes what is only awkward."""

from __future__ import annotations

import numpy as np
import pytest
from awkward_functions import AWKWARD, Awkward
from planted_rules import UNKNOWN, WRONG, NumpyPair, OnTensors, Wrong

from minigrad import Tensor, gradcheck, gradcheck_numpy
from minigrad.gradient_check import Report

NAMED = 0.875  # of the causes are the planted ones: 35 of 40


def check(record: NumpyPair | OnTensors, seed: int = 0) -> Report:
    if isinstance(record, NumpyPair):
        return gradcheck_numpy(record.forward, record.backward, record.inputs, seed=seed, raise_error=False)
    inputs = tuple(Tensor(x) if x.dtype.kind != "f" else x for x in record.inputs)
    return gradcheck(record.fn, inputs, order=record.order, seed=seed, raise_error=False)


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.name)
def test_every_planted_rule_is_caught(case: Wrong) -> None:
    report = check(case.build())
    assert not report
    assert {one.verdict for one in report.wrong} <= {"wrong", "disconnected"}


@pytest.mark.parametrize("case", AWKWARD, ids=lambda case: case.name)
def test_what_is_right_but_awkward_passes(case: Awkward) -> None:
    report = check(case.build())
    assert report, report


def test_the_cause_and_the_operation_are_mostly_known() -> None:
    known, misled, planted = [], [], [case for case in WRONG if case.cause != UNKNOWN]
    for case in planted:
        record = case.build()
        report = check(record)
        named = {(one.cause.name, one.operation) for one in report.wrong if one.cause is not None}
        causes = {cause for cause, _ in named}
        if (case.cause, record.culprit) in named or (record.culprit is None and case.cause in causes):
            known.append(case.name)
        elif causes != {UNKNOWN}:
            misled.append((case.name, case.cause, causes))
    assert len(planted) >= 40
    assert len(known) >= NAMED * len(planted)
    assert len(misled) <= 0.05 * len(planted), misled


@pytest.mark.parametrize("case", [case for case in WRONG if case.cause == UNKNOWN], ids=lambda case: case.name)
def test_it_says_that_it_does_not_know_rather_than_guess(case: Wrong) -> None:
    assert {one.cause.name for one in check(case.build()).wrong if one.cause is not None} == {UNKNOWN}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_seed_lets_a_wrong_rule_pass_or_fails_a_right_one(seed: int) -> None:
    assert [case.name for case in WRONG if check(case.build(), seed)] == []
    assert [case.name for case in AWKWARD if not check(case.build(), seed)] == []


def test_planted_rules_do_not_depend_on_who_called_before() -> None:
    case = WRONG[0]
    first, second = check(case.build()).to_dict(), check(case.build()).to_dict()
    first["seconds"] = second["seconds"] = 0.0
    assert np.array_equal(str(first), str(second))
