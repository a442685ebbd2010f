"""Module: a function with parameters, and with modules inside it.

A module keeps no lists of its parts: they are the values among its attributes, in the order in which they were set. A
Parameter (parameter.py) is a parameter, a Module a child, and a Tensor named by `register_buffer` a buffer; any other
Tensor is an ordinary attribute. Everything below walks over those. The layers are the neighbours of this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from textwrap import indent
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from ..autograd.hooks import RemovableHandle
from ..tensor import Tensor, float32
from .checks import flag, kind_of
from .parameter import NO_SHAPE_YET, Parameter, UninitializedParameter

if TYPE_CHECKING:
    from typing import Self

T = TypeVar("T")
Hook = Callable[["Module", tuple[Any, ...], Any], Any]


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` found missing in the state, and what it had no use for."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """The base of every layer and network: set parameters and modules as attributes, and define `forward`.

    >>> from minigrad import nn
    >>> class Scaled(nn.Module):
    ...     def __init__(self):
    ...         self.scale = nn.Parameter([2.0])
    ...         self.linear = nn.Linear(3, 1)
    ...     def forward(self, x):
    ...         return self.linear(x) * self.scale
    >>> model = Scaled()
    >>> model(Tensor([[1.0, 2.0, 3.0]])).shape
    (1, 1)
    >>> [name for name, _ in model.named_parameters()]
    ['scale', 'linear.weight', 'linear.bias']

    Attributes:
        training: whether layers that differ between the two (dropout, batch_norm) train; see `train` and `eval`.
    """

    # Defaults for every module, never changed but replaced, so that a subclass need not call super().__init__().
    training: bool = True
    _buffer_names: tuple[str, ...] = ()
    _forward_hooks: tuple[list[Hook], ...] = ()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__}: define forward(self, ...), the computation of this module")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        output = self.forward(*args, **kwargs)
        for (hook,) in self._forward_hooks:
            replacement = hook(self, args, output)
            if replacement is not None:
                output = replacement
        return output

    def register_forward_hook(self, hook: Hook) -> RemovableHandle:
        """Calls hook(module, args, output) after each forward pass, with the positional arguments as a tuple; what it
        returns, unless None, replaces the output. The handle's `remove()` takes the hook away.

        >>> from minigrad import nn
        >>> net = nn.Sequential(nn.Flatten())
        >>> handle = net[0].register_forward_hook(lambda module, args, output: print(module, output.shape))
        >>> y = net(Tensor([[[1.0, 2.0], [3.0, 4.0]]]))
        Flatten(start_dim=1, end_dim=-1) (1, 4)
        >>> handle.remove()
        """
        if not callable(hook):
            raise TypeError(f"register_forward_hook: expected a function (module, args, output), got {hook!r}")
        entry = [hook]  # a list of its own, so that a hook registered twice can be removed once
        self._forward_hooks = (*self._forward_hooks, entry)

        def remove() -> None:
            self._forward_hooks = tuple(other for other in self._forward_hooks if other is not entry)

        return RemovableHandle(remove)

    # -- attributes --------------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets an attribute; refuses to let a parameter, buffer or module vanish behind a value of another kind."""
        old, kind = vars(self).get(name), type(self).__name__
        if isinstance(old, Parameter) and not (value is None or isinstance(value, Parameter)):
            raise TypeError(
                f"{kind}.{name} is a Parameter, got a {type(value).__name__}; "
                f"assign a Parameter, or give this one another array with {name}.data = ..."
            )
        if isinstance(old, Module) and not (value is None or isinstance(value, Module)):
            raise TypeError(f"{kind}.{name} is a Module, got {kind_of(value)}; assign a Module or None")
        if name in self._buffer_names:
            _check_buffer(f"{kind}.{name}", value)
        super().__setattr__(name, value)

    def register_buffer(self, name: str, tensor: Tensor | None) -> None:
        """Sets an attribute that belongs to the module's state but is not trained, such as a running mean.

        Raises TypeError where it is no Tensor, ValueError where the name is taken or no attribute's.
        """
        self._check_name("register_buffer", name)
        _check_buffer(f"register_buffer: {name}", tensor)
        self._buffer_names = (*self._buffer_names, name)
        setattr(self, name, tensor)

    def add_module(self, name: str, module: Module) -> None:
        """Sets a module as an attribute, under a name that may also be a number.

        Raises TypeError where it is no Module, ValueError where the name is taken or no attribute's.
        """
        self._check_name("add_module", name)
        self._check_module(name, module)
        setattr(self, name, module)

    def _check_module(self, name: str, module: Any) -> None:
        if not isinstance(module, Module):
            hint = f"; write {module.__name__}(...)" if isinstance(module, type) else ""
            raise TypeError(f"{type(self).__name__}: {name!r} must be a Module, got {kind_of(module)}{hint}")

    def _check_name(self, caller: str, name: str) -> None:
        if not isinstance(name, str) or not name or "." in name:
            raise ValueError(f"{caller}: a name is a string, not empty and without dots, got {name!r}")
        if hasattr(self, name):
            raise ValueError(f"{caller}: {type(self).__name__} already has an attribute {name!r}")

    # -- walking over the parts --------------------------------------------------------------------------------------

    def _own_parameters(self) -> list[tuple[str, Parameter]]:
        return [(name, value) for name, value in vars(self).items() if isinstance(value, Parameter)]

    def _own_buffers(self) -> list[tuple[str, Tensor]]:
        values = vars(self)
        return [(name, buffer) for name in self._buffer_names if (buffer := values.get(name)) is not None]

    def _own_state(self) -> list[tuple[str, Tensor]]:
        return [*self._own_parameters(), *self._own_buffers()]

    def _paths(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it with the beginning of their parameters' names; a shared one under each name."""
        yield prefix, self
        for name, child in list(vars(self).items()):
            if isinstance(child, Module):
                yield from child._paths(f"{prefix}{name}.")

    def _reached(self, recurse: bool) -> Iterable[tuple[str, Module]]:
        return self._paths() if flag(type(self).__name__, "recurse", recurse) else [("", self)]

    def named_parameters(self, recurse: bool = True) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their names, a shared one once, under its first; without recurse this module's own."""
        return _once((prefix + name, p) for prefix, m in self._reached(recurse) for name, p in m._own_parameters())

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once."""
        return (parameter for _, parameter in self.named_parameters(recurse))

    def named_buffers(self, recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their names, a shared one once."""
        return _once((prefix + name, b) for prefix, m in self._reached(recurse) for name, b in m._own_buffers())

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse))

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module, named "", and all modules below it with their dotted names, a shared one once."""
        return _once((prefix.removesuffix("."), module) for prefix, module in self._paths())

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules that are attributes of this one, with their names, a shared one once."""
        return _once((name, value) for name, value in list(vars(self).items()) if isinstance(value, Module))

    def children(self) -> Iterator[Module]:
        """The modules that are attributes of this one, each once."""
        return (child for _, child in self.named_children())

    # -- doing something to all of them ------------------------------------------------------------------------------

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Calls fn on every module below this one and then on this one, and returns it.

        >>> from minigrad import nn
        >>> def init(module):
        ...     if type(module) is nn.Linear:
        ...         nn.init.xavier_uniform_(module.weight)
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU()).apply(init)
        """
        if not callable(fn):
            raise TypeError(f"apply: expected a function of a module, got {fn!r}")
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Sets `training` of this module and all below it."""
        mode = flag("train", "mode", mode)
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Sets `training` of this module and all below it to False."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forgets the gradients of all parameters: each `grad` is None afterwards."""
        for parameter in self.parameters():
            parameter.grad = None

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Sets whether the parameters are trained; False freezes them."""
        requires_grad = flag("requires_grad_", "requires_grad", requires_grad)
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def to(self, target: Any) -> Self:
        """Moves all parameters, buffers and gradients to a backend, or converts the floating ones to a floating dtype.

        The parameters stay the same objects, so that an optimizer goes on with them; what it remembers of them
        follows at its next step. Lazy layers come to be there at their first batch.

        Args:
            target: a backend's name, or a dtype or its name.

        >>> from minigrad import nn
        >>> nn.Linear(2, 3).to("float64").weight.dtype
        dtype('float64')

        Raises TypeError for a dtype that is not floating, BackendError for a backend that is unknown or cannot be used.
        """
        dtype = Tensor(0.0, float32).to(target).dtype  # a wrong target is refused by a module of no parameters, too
        if dtype.kind != "f":
            raise TypeError(f"to: parameters can be float32 or float64, not {dtype}")
        tensors = [*self.parameters(), *self.buffers()]
        tensors += [t.grad for t in tensors if t.grad is not None]
        arrays = [t.stand_in() if isinstance(t, UninitializedParameter) else t.detach() for t in tensors]
        moves = [(t, array.to(target)) for t, array in zip(tensors, arrays, strict=True)]
        moves = [(t, moved) for t, moved in moves if t.dtype.kind == "f" or moved.dtype == t.dtype]
        for tensor, moved in moves:
            tensor._data, tensor.backend = moved._data, moved.backend
        return self

    # -- state -------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Tensor]:
        """All parameters and buffers by name: a snapshot, which later training does not change.

        A shared one is there under each of its names, as in PyTorch. Raises RuntimeError while a lazy layer waits for
        its first batch.

        >>> from minigrad import nn
        >>> {name: tensor.shape for name, tensor in nn.Linear(2, 3).state_dict().items()}
        {'weight': (3, 2), 'bias': (3,)}
        """
        state = {prefix + name: tensor for prefix, module in self._paths() for name, tensor in module._own_state()}
        waiting = [name for name, tensor in state.items() if isinstance(tensor, UninitializedParameter)]
        if waiting:
            raise RuntimeError(f"state_dict: {', '.join(waiting)}: {NO_SHAPE_YET}")
        return {name: tensor.detach() for name, tensor in state.items()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Gives all parameters and buffers the values of a state.

        Args:
            state: Tensors or NumPy arrays by name, as `state_dict` returns them; they become the parameters' dtypes.
            strict: False allows names that are missing in the state, and names unknown here. Returned are both.

        Raises:
            ValueError: names are missing or unexpected, or a shape or kind of dtype differs; all are listed.
            TypeError: the state is no dict, or a value no Tensor and no array.
            In either case nothing has been changed.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"load_state_dict: expected a dict of Tensors by name, got a {type(state).__name__}")
        strict = flag("load_state_dict", "strict", strict)
        missing: list[str] = []
        unfit: list[str] = []
        known: set[str] = set()
        plan: list[tuple[Module, dict[str, Any]]] = []
        for prefix, module in self._paths():
            arrays = {}
            for name, tensor in module._own_state():
                key = prefix + name
                known.add(key)
                if key not in state:
                    missing.append(key)
                    continue
                value = _as_tensor(key, state[key], tensor)
                shape = module._expected_shape(name, value.shape)
                if value.shape != shape:
                    unfit.append(f"{key} has shape {value.shape}, expected {shape}")
                elif not np.can_cast(value.dtype, tensor.dtype, "same_kind"):
                    unfit.append(f"{key} has dtype {value.dtype}, expected {tensor.dtype}")
                else:
                    arrays[name] = value.to(tensor.backend).to(tensor.dtype).data
            plan.append((module, arrays))
        unexpected = [key for key in state if key not in known]
        if unfit or (strict and (missing or unexpected)):
            raise ValueError(_misfit(type(self).__name__, missing, unexpected, unfit))
        for module, arrays in plan:
            module._load(arrays)
        return IncompatibleKeys(missing, unexpected)

    def _expected_shape(self, name: str, given: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that a loaded value must have; a lazy layer, which has none yet, derives it from the given one."""
        return vars(self)[name].shape

    def _load(self, arrays: Mapping[str, Any]) -> None:
        """Takes over the arrays, which have been checked, for this module's own parameters and buffers."""
        for name, array in arrays.items():
            vars(self)[name].data = array

    # -- how it is shown ---------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What stands between the parentheses of a module without children when it is shown; for layers to define."""
        return ""

    def __repr__(self) -> str:
        options = self.extra_repr()
        children = [f"({name}): {value!r}" for name, value in vars(self).items() if isinstance(value, Module)]
        if not children:
            return f"{type(self).__name__}({options})"
        lines = [options, *children] if options else children
        body = indent("\n".join(lines), "  ")
        return f"{type(self).__name__}(\n{body}\n)"


def _once(named: Iterable[tuple[str, T]]) -> Iterator[tuple[str, T]]:
    """The pairs, without those whose second has come before."""
    seen = set()
    for name, value in named:
        if id(value) not in seen:
            seen.add(id(value))
            yield name, value


def _check_buffer(what: str, value: Any) -> None:
    if isinstance(value, Parameter) or not (value is None or isinstance(value, Tensor)):
        raise TypeError(f"{what} is a buffer: expected a Tensor that is no Parameter, got a {type(value).__name__}")


def _as_tensor(key: str, value: Any, target: Tensor) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, (np.ndarray, np.generic)):
        try:
            return Tensor(value, backend=target.backend)
        except TypeError as error:
            raise TypeError(f"load_state_dict: {key}: {error}") from None
    raise TypeError(f"load_state_dict: {key} must be a Tensor or an array, got a {type(value).__name__}")


def _misfit(kind: str, missing: list[str], unexpected: list[Any], unfit: list[str]) -> str:
    lines = [f"load_state_dict: the state does not fit this {kind}"]
    for what, names in (("missing", missing), ("unexpected", unexpected), ("unfit", unfit)):
        if names:
            lines.append(f"  {what}: {', '.join(map(str, names))}")
    return "\n".join(lines)
