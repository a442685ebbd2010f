"""Modules that hold modules in order: Sequential runs them one after the other, ModuleList leaves that to you."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from operator import index as as_index
from typing import TYPE_CHECKING, Any

from .checks import kind_of
from .module import Module

if TYPE_CHECKING:
    from typing import Self


class _Ordered(Module):
    """The base of both."""

    def _empty(self) -> _Ordered:
        """A container of the same kind for the modules of a slice."""
        raise NotImplementedError(
            f"{type(self).__name__}: define _empty(self), which returns a container without modules"
        )

    def _add(self, modules: Mapping[str, Module] | Iterable[Module]) -> None:
        if isinstance(modules, Mapping):
            for name, module in modules.items():
                self.add_module(name, module)
        else:
            for module in modules:
                self.append(module)

    def append(self, module: Module) -> Self:
        """Adds a module at the end, named by its number, and returns the container."""
        number = next(i for i in count(len(self)) if str(i) not in vars(self))
        self.add_module(str(number), module)
        return self

    def _names(self) -> list[str]:
        return [name for name, value in vars(self).items() if isinstance(value, Module)]

    def _name(self, index: int) -> str:
        names = self._names()
        if isinstance(index, bool) or not hasattr(index, "__index__"):
            raise TypeError(f"{type(self).__name__}: an index must be an integer, or a slice to read, got {index!r}")
        index = as_index(index)
        if not -len(names) <= index < len(names):
            raise IndexError(f"{type(self).__name__}: index {index} is out of range for {len(names)} modules")
        return names[index]

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            try:
                names = self._names()[index]
            except (TypeError, ValueError) as error:
                raise type(error)(f"{type(self).__name__}: {error}") from None
            part = self._empty()
            part._add({name: vars(self)[name] for name in names})
            return part
        return vars(self)[self._name(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        name = self._name(index)
        self._check_module(name, module)
        setattr(self, name, module)

    def __len__(self) -> int:
        return len(self._names())

    def __iter__(self) -> Iterator[Module]:
        return iter([value for value in vars(self).values() if isinstance(value, Module)])


class Sequential(_Ordered):
    """Modules that each take what the one before returned. They are numbered, or named by the keys of a dict.

    Indexing gives a module, slicing a Sequential of the same modules under the same names.

    >>> from minigrad import nn
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    >>> net.append(nn.Linear(3, 2))
    Sequential(
      (0): Linear(in_features=4, out_features=3, bias=True)
      (1): ReLU()
      (2): Linear(in_features=3, out_features=2, bias=True)
    )
    >>> list(net[:2].state_dict())
    ['0.weight', '0.bias']
    >>> nn.Sequential({"hidden": nn.Linear(4, 3), "act": nn.ReLU()})
    Sequential(
      (hidden): Linear(in_features=4, out_features=3, bias=True)
      (act): ReLU()
    )

    Raises TypeError for anything that is no Module, ValueError for a name that is taken or holds a dot.
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        if len(modules) == 1 and isinstance(modules[0], (list, tuple, Iterator)):
            kind = type(modules[0]).__name__
            raise TypeError(f"Sequential: modules are separate arguments, got one {kind}; write Sequential(*modules)")
        named = len(modules) == 1 and isinstance(modules[0], Mapping)
        self._add(modules[0] if named else modules)  # type: ignore[arg-type]

    def _empty(self) -> Sequential:
        return Sequential()

    def forward(self, input: Any) -> Any:
        for module in self:
            input = module(input)
        return input


class ModuleList(_Ordered):
    """A list of modules whose parameters are found; for a forward of your own to use.

    >>> from minigrad import nn
    >>> layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
    >>> len(layers), len(list(layers.parameters()))
    (3, 6)

    Raises TypeError for anything that is no Module.
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        if not isinstance(modules, Iterable):
            raise TypeError(f"ModuleList: expected a list of modules, got {kind_of(modules)}; write ModuleList([...])")
        self._add(modules)

    def _empty(self) -> ModuleList:
        return ModuleList()
