"""clip_grad_norm_, where PyTorch has it; minigrad.optim offers it too."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..backends import Backend
from ..ops.operands import as_number
from ..tensor import Tensor
from .checks import all_tensors, listed


def clip_grad_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0) -> Tensor:
    """Scales all gradients by one factor, so that their norm, taken over all of them together, is at most max_norm.

    factor = min(1, max_norm / (norm + 1e-6)); Pascanu et al., "On the difficulty of training recurrent neural networks"
    (2013). Parameters without a gradient are left out. A norm that is infinite or NaN makes the gradients 0 or NaN.

    Args:
        norm_type: p of the p-norm, above 0; `math.inf` for the largest absolute value.

    Returns: the norm before clipping, a 0-d Tensor. On a GPU, to know it means to wait once.

    >>> x = Tensor([3.0, 4.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> clip_grad_norm_([x], max_norm=5.0)
    Tensor(10.)
    >>> [round(g, 3) for g in x.grad.tolist()]
    [3.0, 4.0]

    Raises ValueError for a max_norm below 0 or a norm_type not above 0, TypeError for what are no numbers or Tensors.
    """
    if not as_number("clip_grad_norm_", "max_norm", max_norm) >= 0:
        raise ValueError(f"clip_grad_norm_: max_norm must be 0 or more, got {max_norm}")
    if not as_number("clip_grad_norm_", "norm_type", norm_type) > 0:
        raise ValueError(f"clip_grad_norm_: norm_type must be above 0, got {norm_type}")
    given = [parameters] if isinstance(parameters, Tensor) else listed("clip_grad_norm_", parameters)
    given = all_tensors("clip_grad_norm_", given)
    gradients = [(parameter, parameter.grad) for parameter in given if parameter.grad is not None]
    if not gradients:
        return Tensor(0.0)
    norm = _norm([gradient for _, gradient in gradients], norm_type)
    factor = max_norm / (norm + 1e-6)
    if not factor >= 1:  # NaN included
        for parameter, gradient in gradients:
            parameter.grad = Tensor._wrap(gradient.data * factor, gradient.backend)
    first = gradients[0][1]
    return Tensor(norm, first.dtype, backend=first.backend)


def _norm(gradients: list[Tensor], p: float) -> float:
    """(sum |g|^p)^(1/p) over the elements of all gradients, in float64, where squares of float32 can't overflow."""
    parts: dict[Backend, list[Any]] = {}
    for gradient in gradients:
        if gradient.size:
            magnitudes = abs(gradient.data).astype(np.float64)
            part = magnitudes.max() if p == math.inf else (magnitudes**p).sum()
            parts.setdefault(gradient.backend, []).append(part)
    together = [backend.to_numpy(backend.xp.stack(of_one)) for backend, of_one in parts.items()]  # a GPU's in one wait
    numbers = [number for of_one in together for number in of_one.tolist()]
    return float(np.max([0.0, *numbers])) if p == math.inf else sum(numbers) ** (1 / p)
