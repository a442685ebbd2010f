"""Stochastic gradient descent; the update itself is the kernel of that name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from ..nn.checks import finite, flag, not_negative
from ..tensor import Tensor
from .flat import FlatOptimizer


class SGD(FlatOptimizer):
    """Stochastic gradient descent, with momentum where it is not 0.

    w <- w - lr v, where v = g without momentum; v <- momentum v + (1 - dampening) g with it, v = g at the first step;
    and g + momentum v in its place with nesterov: Sutskever et al., "On the importance of initialization and momentum
    in deep learning" (2013), in PyTorch's form, where lr scales the velocity. g includes weight_decay w.

    Args:
        params: Tensors, or groups; see `Optimizer`.
        lr: the learning rate.
        momentum: how much of the velocity is kept from step to step.
        dampening: how much of the gradient does not enter the velocity.
        weight_decay: the strength of an L2 penalty, weight_decay / 2 |w|^2.
        nesterov: whether to look ahead along the velocity.

    >>> from minigrad import Tensor
    >>> x = Tensor([1.0], requires_grad=True)
    >>> optimizer = SGD([x], lr=0.25)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    Tensor([0.5], requires_grad=True)

    Raises ValueError for lr, momentum or weight_decay below 0 or not finite, and nesterov without momentum or with
    dampening, TypeError for what is no number.
    """

    remembered: ClassVar = {"momentum_buffer": Tensor}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov
        )

    def check_options(self, options: Mapping[str, Any]) -> None:
        for option in ("lr", "momentum", "weight_decay"):
            not_negative("SGD", option, options[option])
        momentum, dampening = options["momentum"], finite("SGD", "dampening", options["dampening"])
        if flag("SGD", "nesterov", options["nesterov"]) and not (momentum > 0 and dampening == 0):
            raise ValueError(
                f"SGD: nesterov needs a momentum above 0 and no dampening, "
                f"got momentum {momentum} and dampening {dampening}"
            )

    def update_flat(
        self,
        kernels: Any,
        w: Any,
        gradients: list[Any],
        state: dict[str, Any],
        lr: float,
        momentum: float,
        dampening: float,
        weight_decay: float,
        nesterov: bool,
    ) -> tuple[Any, dict[str, Any]]:
        v = state.get("momentum_buffer")
        w, v = kernels.sgd(w, gradients, v, lr, momentum, dampening, weight_decay, nesterov)
        return w, {"momentum_buffer": v} if momentum else {}
