"""How a tensor asks to see its gradient, or to keep it; engine.py calls the hooks and keeps the gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from weakref import ref

from ..tensor import Tensor


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
    hooks = _hooks_of(self)

    def call(gradient: Tensor) -> Tensor | None:  # an object of its own, also where one hook is registered twice
        return hook(gradient)

    hooks.append(call)
    return RemovableHandle(lambda: hooks.remove(call) if call in hooks else None)


def _hooks_of(tensor: Tensor) -> list[Callable[[Tensor], Tensor | None]]:
    if tensor.grad_fn is None:
        tensor.hooks = tensor.hooks or []
        return tensor.hooks
    tensor.grad_fn.hooks = tensor.grad_fn.hooks or {}
    return tensor.grad_fn.hooks.setdefault(tensor.output_index, [])


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
        self.grad_fn.retained = {**(self.grad_fn.retained or {}), self.output_index: ref(self)}
