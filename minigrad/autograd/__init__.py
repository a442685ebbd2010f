"""Automatic differentiation: Function (the recording point), the traversal, and the grad modes.

Read function.py first, then engine.py. This table installs on Tensor the methods that differentiate.
"""

from ..tensor import Tensor
from .engine import Step, backward, backward_steps, grad
from .function import Function
from .grad_mode import enable_grad, is_grad_enabled, no_grad
from .hooks import register_hook, retain_grad

TENSOR_METHODS = {
    "backward": backward,
    "backward_steps": backward_steps,
    "register_hook": register_hook,
    "retain_grad": retain_grad,
}

for _name, _method in TENSOR_METHODS.items():
    setattr(Tensor, _name, _method)

__all__ = ["Function", "Step", "enable_grad", "grad", "is_grad_enabled", "no_grad"]
