"""What is asked of a tensor's gradient: to be seen by hooks, to be kept. engine.py does what is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple
from weakref import ref

from ..tensor import Tensor


@dataclass(slots=True)
class Requests:
    """What is asked of one tensor's gradient."""

    hooks: list[Callable[[Tensor], Tensor | None]] = field(default_factory=list)  # in order of registration
    keeper: ref[Tensor] | None = None  # the computed tensor that wants it in its `grad`


class RemovableHandle(NamedTuple):
    """What registering a hook returns: `remove()` takes the hook away, and does nothing when it is away already."""

    remove: Callable[[], None]


def register_hook(self: Tensor, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
    """Calls hook(gradient) in each backward pass, once the tensor's whole gradient of that pass is there; where it
    returns a Tensor, that replaces the gradient. The handle's `remove()` takes the hook away.

    >>> x = Tensor(2.0, requires_grad=True)
    >>> handle = x.register_hook(lambda gradient: gradient * 10.0)
    >>> (x * 3.0).backward()
    >>> x.grad
    Tensor(30.)
    >>> handle.remove()
    """
    if not self.requires_grad:
        raise RuntimeError("register_hook: this tensor requires no gradient, so no hook would ever be called")
    if not callable(hook):
        raise TypeError(f"register_hook: the hook must be callable, got {hook!r}")
    hooks = requests_of(self).hooks
    call = partial(hook)  # an object of its own, also where one hook is registered twice
    hooks.append(call)
    return RemovableHandle(lambda: hooks.remove(call) if call in hooks else None)


def requests_of(tensor: Tensor) -> Requests:
    """A leaf has them itself; those of a computed tensor are its node's, which `backward` meets."""
    if (node := tensor.grad_fn) is None:
        tensor.requests = tensor.requests or Requests()
        return tensor.requests
    node.requests = node.requests or {}
    return node.requests.setdefault(tensor.output_index, Requests())


def retain_grad(self: Tensor) -> None:
    """Makes backward keep this computed tensor's gradient in `grad`, as it does for leaves.

    >>> x = Tensor(2.0, requires_grad=True)
    >>> y = x * 3.0
    >>> y.retain_grad()
    >>> (y * y).backward()
    >>> y.grad
    Tensor(12.)
    """
    if not self.requires_grad:
        raise RuntimeError("retain_grad: this tensor requires no gradient")
    if self.grad_fn is not None:
        # A weak reference: the node must not keep alive the tensor that holds it.
        requests_of(self).keeper = ref(self)
