"""gradcheck: a function's gradients against its slopes, input by input, with a verdict and a cause for each."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

from ..backends import default_backend, get_backend
from ..checks import function, require
from ..tensor import Tensor
from .options import checked_options, constant, differentiable, names_of
from .report import Report
from .run import Check
from .subjects import ArrayFunction, ModuleLoss, TensorFunction


def gradcheck(
    fn: Callable[..., Any],
    inputs: Any,
    *,
    eps: float | None = None,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    order: int = 1,
    seed: int = 0,
    max_elements: int | None = None,
    raise_error: bool = True,
    against: str | None = None,
) -> Report:
    """Checks the gradients of a function of Tensors against central differences, and says where and why they are wrong.

    The gradient of the sum of v * fn(inputs), for random v, is compared with (f(x + t) - f(x - t)) / 2t, where t is
    swept over decades and the best plateau used. Everything is computed in float64, whatever it is given.

    Args:
        fn: a function of Tensors to a Tensor or a tuple of them; a Module is one.
        inputs: what fn is called with: a Tensor or an array, or a tuple of these and of anything else. Where Tensors
            require gradients, these are checked; else all floating Tensors and arrays.
        eps: the step; None: swept, which is better.
        atol, rtol: |analytic - numeric| <= rtol max(|analytic|, |numeric|) + atol passes. Where a gradient's largest
            element is below 1, atol is a share of that.
        order: 2 also checks the gradient of the gradient.
        seed: of the cotangents, and of the sample of elements.
        max_elements: how many elements of an input are looked at one by one; by default all of up to 200, else 48. All
            elements of a sampled input are also moved together, in random directions.
        raise_error: whether anything but "ok" raises; else it is only reported.
        against: a backend to compare outputs and gradients with.

    Returns: a `Report`, true when all is well.

    Raises:
        GradcheckError: a verdict is not "ok"; it carries the report.
        TypeError, ValueError: there is nothing to check, or fn returns no Tensors.

    >>> import minigrad
    >>> print(gradcheck(minigrad.sigmoid, minigrad.Tensor([0.0, 1.0])))
    gradcheck of sigmoid: ok   (gradient, float64 on ...)
    <BLANKLINE>
      x  (2,)  2 elements  ok
    """
    require(callable(fn) and not isinstance(fn, type), "gradcheck: fn must be a function of Tensors, or a Module", fn)
    options = checked_options("gradcheck", eps=eps, atol=atol, rtol=rtol, seed=seed, max_elements=max_elements)
    if type(order) is not int or order not in (1, 2):
        raise ValueError(f"gradcheck: order must be 1 or 2, got {order!r}")
    arguments = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
    if hasattr(fn, "named_parameters"):
        model: Any = deepcopy(fn)  # whose running statistics shall not change
        fn = model.to("float64")
    checked = differentiable(arguments)
    tensors = [a for a in arguments if isinstance(a, Tensor)]
    backend = tensors[0].backend if tensors else default_backend()
    given = [arguments[i] for i in checked]
    arrays = [value.numpy() if isinstance(value, Tensor) else np.array(value) for value in given]
    constants = [constant(a, backend) for a in arguments]
    check = Check(TensorFunction(fn, constants, checked, backend), arrays, names_of(fn, checked), backend.name, options)
    check.run(order)
    if against is not None:
        check.compare(TensorFunction(fn, constants, checked, get_backend(against)))
    return check.finish(raise_error)


def gradcheck_module(
    model: Any, loss: Callable[[Any, Any], Any], batch: Any, *, raise_error: bool = True, **options: Any
) -> Report:
    """Checks a module's gradients with its loss: every parameter, and the inputs where they are floating, by name.

    The module itself is left as it is: a copy in float64 is checked, in the mode, training or not, that it is in.

    Args:
        model: a Module.
        loss: loss(outputs, targets) -> a Tensor, such as minigrad.cross_entropy.
        batch: (inputs, targets).
        options: eps, atol, rtol, seed, max_elements, as in `gradcheck`.

    Returns, raises: as `gradcheck`; TypeError also where the model has no parameters.

    >>> import minigrad
    >>> from minigrad import nn
    >>> model = nn.Linear(3, 2)
    >>> bool(gradcheck_module(model, minigrad.cross_entropy, (minigrad.randn(4, 3), minigrad.Tensor([0, 1, 1, 0]))))
    True
    """
    require(hasattr(model, "named_parameters"), "gradcheck_module: model must be a Module", model)
    function("gradcheck_module", "loss", loss)
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise TypeError(f"gradcheck_module: batch must be a pair (inputs, targets), got {type(batch).__name__}")
    chosen = checked_options("gradcheck_module", **options)
    model = deepcopy(model).to("float64")
    some = next(model.parameters(), None)
    backend = default_backend() if some is None else some.backend
    inputs, targets = (Tensor(x, backend=backend) if isinstance(x, (list, np.ndarray)) else x for x in batch)
    require(isinstance(inputs, Tensor), "gradcheck_module: inputs must be a Tensor or an array", inputs)
    inputs, targets = constant(inputs, backend), constant(targets, backend)
    model(inputs)  # lazy layers come to be
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not parameters:
        hint = "none that requires a gradient" if some is not None else "no parameters"
        raise TypeError(f"gradcheck_module: the model has {hint}; check it as a function, with gradcheck")
    names = [*parameters, *(["inputs"] if inputs.dtype.kind == "f" else [])]
    arrays = [t.numpy() for t in [*parameters.values(), inputs]][: len(names)]
    subject = ModuleLoss(model, loss, (inputs, targets), names)
    check = Check(subject, arrays, names, backend.name, chosen)
    check.run(1)
    return check.finish(raise_error)


def gradcheck_numpy(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Any,
    *,
    raise_error: bool = True,
    **options: Any,
) -> Report:
    """Checks a layer written by hand in NumPy, which knows nothing of minigrad.

    Args:
        forward: forward(*arrays) -> array.
        backward: backward(grad_output, *arrays) -> a tuple of arrays, one for each input; None for an integer one.
        inputs: an array, or a tuple of arrays. The floating ones are checked, in float64.
        options: eps, atol, rtol, seed, max_elements, as in `gradcheck`.

    Returns, raises: as `gradcheck`.

    >>> def forward(x, w):
    ...     return x @ w
    >>> def backward(grad_output, x, w):
    ...     return grad_output @ w, x.T @ grad_output
    >>> report = gradcheck_numpy(forward, backward, (np.ones((2, 3)), np.arange(9.0).reshape(3, 3)), raise_error=False)
    >>> [(one.verdict, one.cause.name if one.cause else None) for one in report.inputs]
    [('wrong', 'transposed'), ('ok', None)]
    """
    function("gradcheck_numpy", "forward", forward)
    function("gradcheck_numpy", "backward", backward)
    given = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
    arrays = [np.array(x) for x in given]
    if not any(x.dtype.kind == "f" for x in arrays):
        raise TypeError("gradcheck_numpy: none of the inputs is floating, so there is nothing to differentiate")
    names = names_of(forward, range(len(arrays)))
    checked = checked_options("gradcheck_numpy", **options)
    check = Check(ArrayFunction(forward, backward), arrays, names, "numpy", checked)
    check.run(1)
    return check.finish(raise_error)
