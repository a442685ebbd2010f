"""minigrad: a from-scratch autograd engine for people who teach and learn what happens inside backpropagation.

Start reading at tensor.py and autograd/function.py; the map of the whole is in the README.
"""

from importlib import import_module
from typing import Any

from . import nn, optim
from .anomaly import AnomalyError, detect_anomaly, replay
from .autograd import Function, enable_grad, grad, is_grad_enabled, no_grad
from .backends import BackendError, backend_names, default_backend, get_num_threads, set_num_threads, use_backend
from .creation import arange, full, ones, ones_like, rand, randint, randn, tensor, zeros, zeros_like
from .explanation import explain
from .gradient_check import GradcheckError, gradcheck, gradcheck_module, gradcheck_numpy
from .hints import OF_MINIGRAD as _INSTEAD
from .interchange import from_dlpack
from .ops import *  # noqa: F403
from .random import default_generator, manual_seed
from .serialization import load, save
from .tensor import Tensor, bool_, float32, float64, int64

__version__ = "0.1.0"  # a plain string, which setup.cfg reads without importing NumPy

# so that `import minigrad` takes no longer than it must
_AT_FIRST_USE = (
    *("activations", "d2l", "data", "diagnosis", "lenet1998", "models", "plots", "residual", "testing"),
    *("torch_like", "train"),
)


def __getattr__(name: str) -> Any:
    if name in _AT_FIRST_USE:
        return import_module(f"{__name__}.{name}")
    if name == "doctor":
        return import_module(f"{__name__}.diagnosis").doctor
    hint = f"; write {_INSTEAD[name]}" if name in _INSTEAD else ""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_AT_FIRST_USE, "doctor"})
