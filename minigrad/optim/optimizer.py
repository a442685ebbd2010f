"""Optimizer: parameters in groups, what is remembered of each, and the step. SGD and Adam are in sgd.py and adam.py.

An update is a pure function of arrays: it makes the parameter's next array, which the parameter is then given. Nothing
is written into, and no graph records it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import is_not
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from ..arrays import new_array, type_name
from ..nn.checks import all_tensors, listed
from ..tensor import Tensor


class Optimizer:
    """The base of optimizers. One of your own defines `update`, and passes its options with their defaults on:

    >>> class SignDescent(Optimizer):
    ...     def __init__(self, params, lr=0.1):
    ...         super().__init__(params, lr=lr)
    ...     def update(self, w, g, state, xp, lr):
    ...         return w - lr * xp.sign(g)
    >>> x = Tensor([3.0, -2.0], requires_grad=True)
    >>> optimizer = SignDescent([x])
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x.data
    array([ 2.9, -1.9], dtype=float32)

    Args:
        params: the Tensors to optimize, or groups, {"params": Tensors, option: value, ...}, with options of their own.
        options: the options of `update` and their defaults.

    Attributes:
        param_groups: a dict for each group, with "params" and every option; options may be changed between steps, and
            the next one raises as the constructor does.
        state: what is remembered of each parameter from step to step: arrays of its shape, and integers, by name.
        remembered: set it on the class to the names of these, each with Tensor or int; a state without one is refused.

    Raises:
        TypeError: something among the parameters is no Tensor, or an option no number.
        ValueError: there are no parameters, one is given twice, computed or not floating, or an option is out of range.
    """

    remembered: ClassVar[Mapping[str, type] | None] = None

    def __init__(self, params: Iterable[Any], **options: Any) -> None:
        self.defaults = options
        self._checked: tuple[Any, ...] = (self,) * len(options)  # the latest values found right; no option's yet
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        groups = listed(self._name, params, "a list of parameters or of groups")
        if not groups or not isinstance(groups[0], Mapping):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def update(self, w: Any, g: Any, state: dict[str, Any], xp: ModuleType, *args: Any, **options: Any) -> Any:
        """The next array of a parameter: the formula.

        Args:
            w, g: the arrays of the parameter and of its gradient; not to be written into.
            state: what is remembered of this parameter, empty before the first step; to be given new arrays.
            xp: the array module, numpy or one with the same functions.
            options: those of the parameter's group.
        """
        raise NotImplementedError(f"{self._name}: define update(self, w, g, state, xp, ...), the optimizer's formula")

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Raises ValueError for an option out of range; for optimizers to define."""

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Adds parameters with options of their own: {"params": Tensors, option: value, ...}.

        Raises as the constructor does, and has added nothing then.
        """
        if not isinstance(group, Mapping) or "params" not in group:
            raise TypeError(f"{self._name}: a group is a dict with 'params', got {group!r}")
        unknown = sorted(set(group) - {"params", *self.defaults}, key=str)
        if unknown:
            raise ValueError(f"{self._name}: a group has unknown options {unknown}; there are {sorted(self.defaults)}")
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else listed(self._name, params)
        if not params:
            raise ValueError(
                f"{self._name}: there are no parameters to optimize; a generator, such as module.parameters(), "
                "can be gone through only once"
            )
        self._check_parameters(all_tensors(self._name, params))
        options = {name: group.get(name, default) for name, default in self.defaults.items()}
        self.check_options(options)
        self.param_groups.append({"params": params, **options})

    def _check_parameters(self, params: list[Tensor]) -> None:
        taken = {id(parameter) for parameter in self._parameters()}
        for parameter in params:
            if parameter.dtype.kind != "f":
                raise ValueError(f"{self._name}: parameters must be floating, got {parameter.dtype}")
            if not parameter.is_leaf:
                raise ValueError(
                    f"{self._name}: {parameter.grad_fn!r} computed one of the parameters; only leaves can be"
                )
            if id(parameter) in taken:
                raise ValueError(f"{self._name}: a parameter of shape {parameter.shape} is given twice")
            taken.add(id(parameter))

    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    @property
    def _name(self) -> str:
        return type(self).__name__

    # -- training ----------------------------------------------------------------------------------------------------

    def zero_grad(self) -> None:
        """Forgets the gradients of all parameters: each `grad` is None afterwards."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def step(self) -> None:
        """Updates every parameter that has a gradient; the gradients stay as they are.

        Raises ValueError or TypeError, and has updated nothing then, where an option has been changed to one that the
        constructor refuses, or a gradient is not one of its parameter's.
        """
        groups = [(self._options(group), self._with_gradients(group)) for group in self.param_groups]
        for options, parameters in groups:  # checked, before anything is updated
            for parameter, state in zip(parameters, self._states_of(parameters), strict=True):
                arrays = parameter.data, parameter.grad.data  # type: ignore[union-attr]
                parameter.data = self.update(*arrays, state, parameter.backend.xp, **options)

    def _states_of(self, parameters: list[Tensor]) -> list[dict[str, Any]]:
        """What is remembered of each parameter; its arrays follow one that has been moved to another backend."""
        states = []
        for parameter in parameters:
            states.append(state := self.state.setdefault(parameter, {}))
            for name, value in state.items():
                if not isinstance(value, (int, parameter.backend.ndarray)):
                    state[name], _ = new_array(value, parameter.dtype, parameter.backend)
        return states

    def _options(self, group: dict[str, Any]) -> dict[str, Any]:
        options = {name: python_number(group[name]) for name in self.defaults}
        if any(map(is_not, options.values(), self._checked)):
            self.check_options(options)
            self._checked = tuple(options.values())
        return options

    def _with_gradients(self, group: dict[str, Any]) -> list[Tensor]:
        """The group's parameters that have a gradient, which is one of theirs."""
        parameters = []
        for parameter in group["params"]:
            if (grad := parameter.grad) is None:
                continue
            w = parameter._data
            if not isinstance(grad, Tensor) or grad._data.shape != w.shape:
                raise ValueError(f"{self._name}: a parameter of shape {w.shape} has the gradient {grad!r}")
            g = grad._data  # of the same dtype object, mostly: NumPy takes longer to compare two
            if (g.dtype is not w.dtype and g.dtype != w.dtype) or grad.backend is not parameter.backend:
                is_, has = (f"{t.dtype} on the {t.backend.name} backend" for t in (parameter, grad))
                raise ValueError(f"{self._name}: a parameter is {is_}, its gradient {has}; the two must be alike")
            parameters.append(parameter)
        return parameters

    # -- state -------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs, with the parameters replaced by their numbers: a snapshot, as in PyTorch.

        {"state": {number: {name: Tensor or int}}, "param_groups": [{"params": [number, ...], option: value, ...}]}

        >>> from minigrad import optim
        >>> optim.SGD([Tensor([1.0])], lr=0.5, momentum=0.9).state_dict()["param_groups"][0]["params"]
        [0]
        """
        numbers = {parameter: number for number, parameter in enumerate(self._parameters())}
        remembered = [parameter for parameter, values in self.state.items() if values]
        return {
            "state": {
                numbers[parameter]: {
                    name: value if isinstance(value, int) else Tensor._wrap(value, parameter.backend)
                    for name, value in state.items()
                }
                for parameter, state in zip(remembered, self._states_of(remembered), strict=True)
            },
            "param_groups": [{**group, "params": [numbers[p] for p in group["params"]]} for group in self.param_groups],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continues from a state that `state_dict` returned, options and remembered arrays.

        Raises:
            TypeError: it is nothing that `state_dict` returns.
            ValueError: it belongs to another optimizer, or to parameters of another number or shape.
            In either case nothing has been changed.
        """
        if not _has_the_form_of_a_state(state_dict):
            raise TypeError(
                "load_state_dict: expected a dict with 'state' and 'param_groups', as state_dict() returns it"
            )
        groups = [
            {name: tuple(value) if isinstance(value, list) else value for name, value in group.items()}
            for group in state_dict["param_groups"]
        ]
        self._check_groups(groups)
        saved_numbers = [number for group in groups for number in group["params"]]
        by_number = dict(zip(saved_numbers, self._parameters(), strict=True))
        state = {}
        for number, values in state_dict["state"].items():
            if number not in by_number:
                raise ValueError(
                    f"load_state_dict: the state has values for parameter {number!r}, which is in no group"
                )
            parameter = by_number[number]
            state[parameter] = {name: _restored(name, value, parameter) for name, value in values.items()}
            self._check_remembered(values)
        self.state = state
        for own, saved in zip(self.param_groups, groups, strict=True):
            own.update({**saved, "params": own["params"]})

    def _check_groups(self, groups: list[dict[str, Any]]) -> None:
        own, saved = [len(g["params"]) for g in self.param_groups], [len(g["params"]) for g in groups]
        if own != saved:
            raise ValueError(f"load_state_dict: the state has groups of {saved} parameters, this {self._name} of {own}")
        for group in groups:
            missing = sorted(set(self.defaults) - set(group))
            if missing:
                raise ValueError(f"load_state_dict: the state is not {self._name}'s: it lacks the options {missing}")
            self.check_options(group)

    def _check_remembered(self, values: Mapping[str, Any]) -> None:
        if not values or self.remembered is None:
            return
        if missing := sorted(set(self.remembered) - set(values)):
            raise ValueError(f"load_state_dict: the state is not {self._name}'s: it lacks {missing}")
        for name, kind in self.remembered.items():
            if not isinstance(values[name], kind) or (kind is int and values[name] < 1):
                expected = "an int from 1" if kind is int else "a Tensor"
                raise ValueError(f"load_state_dict: {name} must be {expected}, got {values[name]!r}")

    def __repr__(self) -> str:
        groups = [
            ", ".join(
                [f"{len(group['params'])} parameters", *(f"{k}={v!r}" for k, v in group.items() if k != "params")]
            )
            for group in self.param_groups
        ]
        return f"{self._name}({'; '.join(groups)})"


def _has_the_form_of_a_state(given: Any) -> bool:
    if not isinstance(given, Mapping) or not {"state", "param_groups"} <= set(given):
        return False
    groups, state = given["param_groups"], given["state"]
    return (
        isinstance(groups, (list, tuple))
        and all(isinstance(group, Mapping) and isinstance(group.get("params"), (list, tuple)) for group in groups)
        and isinstance(state, Mapping)
        and all(isinstance(values, Mapping) for values in state.values())
    )


def python_number(value: Any) -> Any:
    """Python's number for NumPy's, which would make float64 of float32 arrays."""
    return value.item() if isinstance(value, np.generic) else value


def _restored(name: str, value: Any, parameter: Tensor) -> Any:
    if isinstance(value, int):
        return value
    if not isinstance(value, Tensor):
        raise TypeError(f"load_state_dict: {name} must be a Tensor or an int, got a {type_name(value)}")
    if value.shape != parameter.shape:
        raise ValueError(f"load_state_dict: {name} has shape {value.shape}, its parameter {parameter.shape}")
    return value.detach().to(parameter.backend).to(parameter.dtype).data
