"""Wrong arguments: for every optimizer, schedule and their methods, what the error is and what it says."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from test_nn_errors import public_names

from minigrad import Tensor, nn, optim
from minigrad.optim.lr_scheduler import LRScheduler

I = Tensor([1, 2])

MODULES = r"write module\.parameters\(\) for a module, \[tensor\] for one tensor$"
NO_TENSORS = r"parameters must be Tensors, got a {}; a module's are module\.parameters\(\)$"
NOTHING = (
    r"there are no parameters to optimize; a generator, such as module\.parameters\(\), can be gone through only once$"
)
NO_STATE = "^load_state_dict: expected a dict with 'state' and 'param_groups', as state_dict.. returns it$"

# What takes arguments and can be given no wrong one, with the reason.
EXEMPT = {
    "SGD.update_flat": "a formula, called by step() alone, with arrays and options that have been checked",
    "Adam.update_flat": "likewise",
    "FlatOptimizer": "a base class of ours, whose arguments are Optimizer's",
    "FlatOptimizer.update_flat": "a formula that SGD and Adam define",
    "StepLR.rate": "a formula, called by step() and load_state_dict() alone, with numbers that have been checked",
    "CosineAnnealingLR.rate": "likewise",
    "Optimizer.check_options": "takes everything: an optimizer without options out of range",
    "LRScheduler.check_options": "likewise",
}

OPTIMIZERS = ("SGD", "Adam", "AdamW")
SCHEDULES = ("StepLR", "CosineAnnealingLR")


def parameter() -> nn.Parameter:
    return nn.Parameter([1.0, 2.0])


def sgd(**options: Any) -> optim.SGD:
    return optim.SGD([parameter()], **options)


def linear() -> nn.Linear:
    return nn.Linear(2, 3)


def exhausted() -> Any:
    parameters = linear().parameters()
    list(parameters)
    return parameters


def state(**changes: Any) -> dict[str, Any]:
    """An SGD's state with changes to its group."""
    return {"state": {}, "param_groups": [{**sgd().state_dict()["param_groups"][0], **changes}]}


def remembered(values: Any, number: Any = 0) -> dict[str, Any]:
    """An SGD's state with what it remembers of a parameter."""
    return {**state(), "state": {number: values}}


def step_lr() -> optim.StepLR:
    return optim.StepLR(sgd(), 1)


PARAMETERS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: None, TypeError, "expected a list of parameters or of groups, got a NoneType; " + MODULES),
    (lambda: 0.1, TypeError, "expected a list of parameters or of groups, got a float; " + MODULES),
    (parameter, TypeError, "expected a list of parameters or of groups, got a Parameter; " + MODULES),
    (linear, TypeError, "expected a list of parameters or of groups, got a Linear; " + MODULES),
    (lambda: nn.Linear, TypeError, "expected a list of parameters or of groups, got the class Linear; " + MODULES),
    (lambda: linear().parameters, TypeError, "expected a list of parameters or of groups, got a method; " + MODULES),
    (lambda: linear().state_dict(), TypeError, "expected a list of parameters or of groups, got a dict; " + MODULES),
    (lambda: nn.Sequential(linear()), TypeError, NO_TENSORS.format("Linear")),
    (lambda: linear().named_parameters(), TypeError, NO_TENSORS.format("tuple")),
    (lambda: [linear().parameters()], TypeError, NO_TENSORS.format("generator")),
    (lambda: "weight", TypeError, NO_TENSORS.format("str")),
    (lambda: [1.0], TypeError, NO_TENSORS.format("float")),
    (lambda: [np.ones(2)], TypeError, NO_TENSORS.format("ndarray")),
    (lambda: [parameter(), {"params": [parameter()]}], TypeError, NO_TENSORS.format("dict")),
    (lambda: [I], ValueError, "parameters must be floating, got int64$"),
    (lambda: [parameter() * 2.0], ValueError, "<Mul> computed one of the parameters; only leaves can be$"),
    (lambda: [parameter()] * 2, ValueError, r"a parameter of shape \(2,\) is given twice$"),
    (list, ValueError, NOTHING),
    (exhausted, ValueError, NOTHING),
    (lambda: nn.ReLU().parameters(), ValueError, NOTHING),
]
GROUPS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: {"param": [parameter()]}, TypeError, "a group is a dict with 'params', got {'param': .Parameter"),
    (lambda: {"params": None}, TypeError, "expected a list of parameters, got a NoneType; " + MODULES),
    (lambda: {"params": linear()}, TypeError, "expected a list of parameters, got a Linear; " + MODULES),
    (lambda: {"params": linear().parameters}, TypeError, "expected a list of parameters, got a method; " + MODULES),
    (lambda: {"params": {"weight": parameter()}}, TypeError, "expected a list of parameters, got a dict; " + MODULES),
    (lambda: {"params": nn.Sequential(linear())}, TypeError, NO_TENSORS.format("Linear")),
    (lambda: {"params": []}, ValueError, NOTHING),
    (lambda: {"params": exhausted()}, ValueError, NOTHING),
    (lambda: {"params": [I]}, ValueError, "parameters must be floating, got int64$"),
    (lambda: {"params": [parameter()], "lr": "fast"}, TypeError, "lr must be a number, got 'fast'$"),
    (lambda: {"params": [parameter()], "lr": -1}, ValueError, "lr must be 0 or more, got -1$"),
    (
        lambda: {"params": [parameter()], "learning_rate": 0.1},
        ValueError,
        r"a group has unknown options \['learning_rate'\]; there are \[.*'lr'",
    ),
    (
        lambda: {"params": [parameter()], "gamma": 1, 3: 4},
        ValueError,
        r"a group has unknown options \[3, 'gamma'\]; there are \[.*'lr'",
    ),
]
NUMBERS: list[tuple[Any, type[Exception], str]] = [
    ("0.1", TypeError, "{} must be a number, got '0.1'$"),
    (None, TypeError, "{} must be a number, got None$"),
    (True, TypeError, "{} must be a number, got True$"),
    (1j, TypeError, "{} must be a number, got 1j$"),
    (Tensor(0.1), TypeError, r"{} must be a number, got Tensor\(0\.1\)$"),
    (nan, ValueError, "{} must be finite, got nan$"),
    (inf, ValueError, "{} must be finite, got inf$"),
]
NOT_NEGATIVE = [*NUMBERS, (-0.5, ValueError, r"{} must be 0 or more, got -0\.5$")]
EPOCHS: list[tuple[Any, type[Exception], str]] = [
    (0, ValueError, "must be at least 1, got 0$"),
    (-1, ValueError, "must be at least 1, got -1$"),
    (1.5, TypeError, r"must be an integer, got 1\.5$"),
    ("1", TypeError, "must be an integer, got '1'$"),
    (True, TypeError, "must be an integer, got True$"),
    (None, TypeError, "must be an integer, got None$"),
]

# Name, call, kind of error, message.
ERRORS: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    # -- optimizers
    *(
        (name, lambda name=name, wrong=wrong: getattr(optim, name)(wrong()), kind, f"^{name}: {message}")
        for name in ("Optimizer", *OPTIMIZERS)
        for wrong, kind, message in PARAMETERS
    ),
    *(
        (name, lambda name=name, wrong=wrong: getattr(optim, name)([wrong()]), kind, f"^{name}: {message}")
        for name in OPTIMIZERS
        for wrong, kind, message in GROUPS
    ),
    *(
        (
            name,
            lambda name=name, option=option, wrong=wrong: getattr(optim, name)([parameter()], **{option: wrong}),
            kind,
            f"^{name}: {message.format(option)}",
        )
        for name, options in (
            ("SGD", ("lr", "momentum", "weight_decay")),
            ("Adam", ("lr", "eps", "weight_decay")),
            ("AdamW", ("lr", "eps", "weight_decay")),
        )
        for option in options
        for wrong, kind, message in NOT_NEGATIVE
    ),
    *(
        ("SGD", lambda wrong=wrong: sgd(dampening=wrong), kind, "^SGD: " + message.format("dampening"))
        for wrong, kind, message in NUMBERS
    ),
    (
        "SGD",
        lambda: sgd(nesterov=True),
        ValueError,
        r"^SGD: nesterov needs a momentum above 0 .* got momentum 0\.0 and ",
    ),
    ("SGD", lambda: sgd(momentum=0.9, dampening=0.1, nesterov=True), ValueError, r"^SGD: nesterov .* dampening 0\.1$"),
    ("SGD", lambda: sgd(momentum=0.9, nesterov="no"), TypeError, "^SGD: nesterov must be True or False, got 'no'$"),
    ("SGD", lambda: sgd(nesterov=None), TypeError, "^SGD: nesterov must be True or False, got None$"),
    ("SGD", lambda: sgd(learning_rate=0.1), TypeError, "got an unexpected keyword argument 'learning_rate'"),
    *(
        (
            name,
            lambda name=name, betas=betas: getattr(optim, name)([parameter()], betas=betas),
            kind,
            f"^{name}: {message}$",
        )
        for name in ("Adam", "AdamW")
        for betas, kind, message in (
            (0.9, ValueError, r"betas must be two numbers in \[0, 1\), got 0\.9"),
            (None, ValueError, r"betas must be two numbers in \[0, 1\), got None"),
            ("ab", ValueError, r"betas must be two numbers in \[0, 1\), got 'ab'"),
            ((0.9,), ValueError, r"betas must be two numbers in \[0, 1\), got \(0\.9,\)"),
            ((0.9, 1.0), ValueError, r"betas must be two numbers in \[0, 1\), got \(0\.9, 1\.0\)"),
            ((-0.1, 0.9), ValueError, r"betas must be two numbers in \[0, 1\), got \(-0\.1, 0\.9\)"),
            ((nan, 0.9), ValueError, "each of betas must be finite, got nan"),
            (("a", 0.9), TypeError, "each of betas must be a number, got 'a'"),
            ((0.9, None), TypeError, "each of betas must be a number, got None"),
            ((True, 0.9), TypeError, "each of betas must be a number, got True"),
        )
    ),
    *(
        ("Optimizer.add_param_group", lambda wrong=wrong: sgd().add_param_group(wrong()), kind, f"^SGD: {message}")
        for wrong, kind, message in (
            *GROUPS,
            (lambda: None, TypeError, "a group is a dict with 'params', got None$"),
            (lambda: [parameter()], TypeError, r"a group is a dict with 'params', got \[Parameter\("),
            (parameter, TypeError, r"a group is a dict with 'params', got Parameter\("),
        )
    ),
    (
        "SGD.check_options",
        lambda: sgd().check_options({**sgd().defaults, "lr": -1}),
        ValueError,
        "^SGD: lr must be 0 or more, got -1$",
    ),
    (
        "Adam.check_options",
        lambda: optim.AdamW([parameter()]).check_options({**optim.Adam([parameter()]).defaults, "eps": None}),
        TypeError,
        "^AdamW: eps must be a number, got None$",
    ),
    (
        "Optimizer.update",
        lambda: optim.Optimizer([parameter()]).update(1.0, 1.0, {}, np),
        NotImplementedError,
        r"^Optimizer: define update\(self, w, g, state, xp, \.\.\.\), the optimizer's formula$",
    ),
    *(
        ("Optimizer.load_state_dict", lambda wrong=wrong: sgd().load_state_dict(wrong()), kind, message)
        for wrong, kind, message in (
            (lambda: None, TypeError, NO_STATE),
            (list, TypeError, NO_STATE),
            (lambda: "sgd.safetensors", TypeError, NO_STATE),
            (dict, TypeError, NO_STATE),
            (sgd, TypeError, NO_STATE),
            (lambda: sgd().state_dict, TypeError, NO_STATE),
            (lambda: linear().state_dict(), TypeError, NO_STATE),
            (lambda: {**state(), "param_groups": None}, TypeError, NO_STATE),
            (lambda: {**state(), "param_groups": {"lr": 0.1}}, TypeError, NO_STATE),
            (lambda: {**state(), "param_groups": [3]}, TypeError, NO_STATE),
            (lambda: {**state(), "param_groups": [{"lr": 0.1}]}, TypeError, NO_STATE),
            (lambda: state(params=3), TypeError, NO_STATE),
            (lambda: {**state(), "state": None}, TypeError, NO_STATE),
            (lambda: {**state(), "state": []}, TypeError, NO_STATE),
            (lambda: remembered(3), TypeError, NO_STATE),
            (
                lambda: {**state(), "param_groups": []},
                ValueError,
                r"^load_state_dict: the state has groups of \[\] param",
            ),
            (lambda: state(params=[0, 1]), ValueError, r"groups of \[2\] parameters, this SGD of \[1\]$"),
            (
                lambda: optim.Adam([parameter()]).state_dict(),
                ValueError,
                "the state is not SGD's: it lacks the options",
            ),
            (lambda: state(lr="fast"), TypeError, "^SGD: lr must be a number, got 'fast'$"),
            (lambda: state(momentum=-1.0), ValueError, r"^SGD: momentum must be 0 or more, got -1\.0$"),
            (
                lambda: remembered({}, 5),
                ValueError,
                "^load_state_dict: .* values for parameter 5, which is in no group$",
            ),
            (lambda: remembered({}, "0"), ValueError, "^load_state_dict: .* for parameter '0', which is in no group$"),
            (
                lambda: remembered({"momentum_buffer": Tensor([1.0])}),
                ValueError,
                r"^load_state_dict: momentum_buffer has shape \(1,\), its parameter \(2,\)$",
            ),
            (
                lambda: remembered({"momentum_buffer": np.ones(2)}),
                TypeError,
                "^load_state_dict: momentum_buffer must be a Tensor or an int, got a numpy.ndarray$",
            ),
        )
    ),
    # -- schedules
    *(
        (name, lambda name=name, wrong=wrong: getattr(optim, name)(wrong(), 1), TypeError, f"^{name}: {message}$")
        for name in SCHEDULES
        for wrong, message in (
            (lambda: None, "expected an Optimizer, got a NoneType"),
            (linear, "expected an Optimizer, got a Linear"),
            (lambda: optim.SGD, "expected an Optimizer, got the class SGD"),
            (lambda: [parameter()], "expected an Optimizer, got a list"),
            (step_lr, "expected an Optimizer, got a StepLR"),
        )
    ),
    *(
        (name, lambda name=name, wrong=wrong: getattr(optim, name)(sgd(), wrong), kind, f"^{name}: {option} {message}")
        for name, option in (("StepLR", "step_size"), ("CosineAnnealingLR", "T_max"))
        for wrong, kind, message in EPOCHS
    ),
    *(
        (
            name,
            lambda name=name, wrong=wrong: getattr(optim, name)(sgd(), 5, wrong),
            kind,
            f"^{name}: {message.format(option)}",
        )
        for name, option in (("StepLR", "gamma"), ("CosineAnnealingLR", "eta_min"))
        for wrong, kind, message in NOT_NEGATIVE
    ),
    ("LRScheduler", lambda: LRScheduler(None), TypeError, "^LRScheduler: expected an Optimizer, got a NoneType$"),
    (
        "LRScheduler",
        lambda: LRScheduler(optim.Adam),
        TypeError,
        "^LRScheduler: expected an Optimizer, got the class Adam$",
    ),
    (
        "LRScheduler.rate",
        lambda: LRScheduler(sgd()),
        NotImplementedError,
        "^LRScheduler: define rate.self, initial, epoch",
    ),
    (
        "StepLR.check_options",
        lambda: step_lr().check_options({"step_size": 0, "gamma": 1.0}),
        ValueError,
        "^StepLR: step_size must be at least 1, got 0$",
    ),
    (
        "CosineAnnealingLR.check_options",
        lambda: optim.CosineAnnealingLR(sgd(), 5).check_options({"T_max": 5, "eta_min": "low"}),
        TypeError,
        "^CosineAnnealingLR: eta_min must be a number, got 'low'$",
    ),
    *(
        ("LRScheduler.load_state_dict", lambda wrong=wrong: step_lr().load_state_dict(wrong()), kind, message)
        for wrong, kind, message in (
            (lambda: None, TypeError, "^load_state_dict: expected a dict, as state_dict.. returns it, got a NoneType$"),
            (
                lambda: "step.json",
                TypeError,
                "^load_state_dict: expected a dict, as state_dict.. returns it, got a str$",
            ),
            (list, TypeError, "^load_state_dict: expected a dict, as state_dict.. returns it, got a list$"),
            (step_lr, TypeError, "^load_state_dict: expected a dict, as state_dict.. returns it, got a StepLR$"),
            (dict, ValueError, r"^load_state_dict: a StepLR has \['base_lrs', .* the state \[\]$"),
            (
                lambda: sgd().state_dict(),
                ValueError,
                r"^load_state_dict: a StepLR has .* the state \['param_groups', 's",
            ),
            (lambda: {**step_lr().state_dict(), 3: 4}, ValueError, r"a StepLR has .* the state \[3, 'base_lrs'"),
            (lambda: {**step_lr().state_dict(), "base_lrs": []}, ValueError, "the state is of 0 groups, there are 1$"),
            (
                lambda: {**step_lr().state_dict(), "base_lrs": 0.1},
                TypeError,
                r"base_lrs must be a list of .* got 0\.1$",
            ),
            (
                lambda: {**step_lr().state_dict(), "base_lrs": ["a"]},
                TypeError,
                "each of base_lrs must be a number, got 'a",
            ),
            (
                lambda: {**step_lr().state_dict(), "last_epoch": 1.5},
                TypeError,
                r"last_epoch must be an integer, got 1\.5",
            ),
            (lambda: {**step_lr().state_dict(), "last_epoch": -1}, ValueError, "last_epoch must be 0 or more, got -1$"),
            (
                lambda: {**step_lr().state_dict(), "step_size": 0},
                ValueError,
                "^StepLR: step_size must be at least 1, got 0",
            ),
            (
                lambda: {**step_lr().state_dict(), "gamma": None},
                TypeError,
                "^StepLR: gamma must be a number, got None$",
            ),
        )
    ),
    # -- clipping, of which test_nn_errors.py has more
    (
        "clip_grad_norm_",
        lambda: optim.clip_grad_norm_(linear(), 1.0),
        TypeError,
        "^clip_grad_norm_: .* got a Linear; write",
    ),
    ("clip_grad_norm_", lambda: optim.clip_grad_norm_([], "1"), TypeError, "^clip_grad_norm_: max_norm .* got '1'$"),
]


@pytest.mark.parametrize(("name", "call", "kind", "message"), ERRORS, ids=[f"{e[0]}-{e[3]}"[:70] for e in ERRORS])
def test_wrong_arguments_raise_at_once_and_say_what_is_wrong(name, call, kind, message) -> None:
    with pytest.raises(kind, match=message) as caught:
        call()
    assert type(caught.value) is kind


def test_every_public_name_has_its_wrong_arguments_tested() -> None:
    names, tested = public_names(optim), {name for name, *_ in ERRORS}
    assert tested | set(EXEMPT) == names
    assert not tested & set(EXEMPT)


def test_the_walk_over_public_names_sees_each_kind() -> None:
    names = public_names(optim)
    assert {"SGD", "Optimizer.add_param_group", "LRScheduler.load_state_dict", "clip_grad_norm_"} <= names
    assert not names & {"Optimizer.step", "LRScheduler.step", "Optimizer._check_groups", "SGD.add_param_group"}


def test_a_refused_group_is_not_added() -> None:
    optimizer = sgd()
    for wrong, kind, _ in GROUPS:
        with pytest.raises(kind):
            optimizer.add_param_group(wrong())
    assert len(optimizer.param_groups) == 1


def test_numpys_numbers_are_taken_for_rates_and_epochs() -> None:
    scheduler = optim.StepLR(sgd(lr=np.float32(0.5), momentum=np.float64(0.9)), np.int64(2), np.float32(0.5))
    for _ in range(2):
        scheduler.step()
    assert scheduler.get_last_lr() == [0.25]
    assert [type(value) for value in scheduler.state_dict().values()] == [int, float, int, list]
