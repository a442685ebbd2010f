"""Adam and AdamW; the update itself is the kernel `adam`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from ..nn.checks import finite, not_negative
from ..tensor import Tensor
from .flat import FlatOptimizer


class Adam(FlatOptimizer):
    """Adam: steps scaled by running means of the gradient and of its square.

    m <- beta1 m + (1 - beta1) g,   v <- beta2 v + (1 - beta2) g^2,   from 0, and at step t = 1, 2, ...
    w <- w - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps);

    Kingma and Ba, "Adam: a method for stochastic optimization" (2015). g includes weight_decay w.

    Args:
        params: Tensors, or groups; see `Optimizer`.
        lr: the learning rate: about how far each element moves in a step.
        betas: beta1 and beta2, how much of the two running means is kept from step to step.
        eps: keeps the quotient finite.
        weight_decay: the strength of an L2 penalty, weight_decay / 2 |w|^2; see AdamW for another kind.

    >>> from minigrad import Tensor
    >>> x = Tensor([1.0], requires_grad=True)
    >>> optimizer = Adam([x], lr=0.25)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    Tensor([0.75], requires_grad=True)

    Raises ValueError for lr, eps or weight_decay below 0 or not finite, and betas outside [0, 1), TypeError for what is
    no number.
    """

    remembered: ClassVar = {"step": int, "exp_avg": Tensor, "exp_avg_sq": Tensor}
    decoupled = False  # whether weights decay by themselves

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def check_options(self, options: Mapping[str, Any]) -> None:
        name, betas = type(self).__name__, options["betas"]
        for option in ("lr", "eps", "weight_decay"):
            not_negative(name, option, options[option])
        two = isinstance(betas, (tuple, list)) and len(betas) == 2
        if not two or not all(0 <= finite(name, "each of betas", beta) < 1 for beta in betas):
            raise ValueError(f"{name}: betas must be two numbers in [0, 1), got {betas!r}")

    def update_flat(
        self,
        kernels: Any,
        w: Any,
        gradients: list[Any],
        state: dict[str, Any],
        lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
    ) -> tuple[Any, dict[str, Any]]:
        step, m, v = state.get("step", 0) + 1, state.get("exp_avg"), state.get("exp_avg_sq")
        w, m, v = kernels.adam(w, gradients, m, v, step, lr, betas, eps, weight_decay, self.decoupled)
        return w, {"step": step, "exp_avg": m, "exp_avg_sq": v}


class AdamW(Adam):
    """Adam with weights that decay by themselves, w <- w - lr weight_decay w, and not through the gradient.

    Loshchilov and Hutter, "Decoupled weight decay regularization" (2019). Takes what Adam takes.

    >>> from minigrad import Tensor
    >>> x = Tensor([1.0], requires_grad=True)
    >>> optimizer = AdamW([x], lr=0.25, weight_decay=0.5)
    >>> (x * 0.0).sum().backward()
    >>> optimizer.step()
    >>> x
    Tensor([0.875], requires_grad=True)
    """

    decoupled = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)
