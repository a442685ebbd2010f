"""Function: one operation, and each application of it one node of the graph. `Function.apply` is where it is recorded.

The traversal that calls the backward rules is in engine.py.
"""

from __future__ import annotations

from itertools import count
from operator import attrgetter
from types import ModuleType
from typing import Any

from ..arrays import NotAnArray
from ..backends import SCALARS, Backend
from ..tensor import Tensor
from .grad_mode import grad_mode
from .hooks import Requests

# What is recorded of an application, in one tuple: attributes of objects of many classes take Python long to find.
#   NUMBER   nodes are counted as they are recorded, so those that made the inputs have smaller numbers
#   NEEDS    by input: whether it required a gradient
#   OUTPUTS  how many
#   INPUTS   the edges of the graph; this and what follows is () in a node that has been released
#   ARRAYS   what the inputs held then
#   RESULT   what forward returned: the array of the one output, or a tuple of arrays
NUMBER, NEEDS, OUTPUTS, INPUTS, ARRAYS, RESULT = range(6)

_numbers = count(1)
_wrap = Tensor._wrap
observer: Any = None  # is told of each operation and each rule, in all threads; see minigrad/anomaly/mode.py


class Function:
    """An operation: how to compute it, and the rule for its gradient.

    Write `forward(self, *arrays)`, which takes the inputs' arrays and returns an array or a tuple of them, and
    `backward(self, *grad_outputs)`, which takes one gradient for each output (a Tensor, or None where none arrived) and
    returns a tuple, one gradient for each input (a Tensor, or None for an input that has none). Call it through
    `apply(*tensors, **parameters)`.

    In both, `self` is the node: its parameters are attributes. A rule is written with operations on Tensors, so that it
    can be differentiated again, and reads:

    Attributes:
        inputs: the Tensors it was applied to, with the values that they had then.
        outputs: its results as Tensors that belong to the graph.
        needs: for each input, whether its gradient is wanted; a rule may return None where not. To be read by the
            thread that runs the rule.
        xp, kernels: the array module and the kernels of its backend, for forward.
        broadcasts: set it on the class where inputs broadcast against each other as in NumPy. The rule may then return
            gradients of the broadcast shape; the engine sums them down.
        takes_scalars: set it on a class whose forward treats NumPy's scalars as it does 0-d arrays.
        fresh_gradients: set it on a class whose rule returns new arrays that nobody else holds, each in memory of its
            own. A leaf's `grad` is then the gradient itself, otherwise a copy. Subclasses, which may have a forward and
            a rule of their own, inherit neither of these two.

    A parameter must not be called as one of these, as a method, or `backend` or `requests`.

    >>> class Cube(Function):
    ...     '''y = x^3;   dL/dx = dL/dy 3 x^2'''
    ...     def forward(self, x):
    ...         return x**3
    ...     def backward(self, dy):
    ...         (x,) = self.inputs
    ...         return (dy * 3 * x**2,)
    >>> x = Tensor(2.0, requires_grad=True)
    >>> y = Cube.apply(x)
    >>> y.backward()
    >>> x.grad
    Tensor(12.)
    """

    # Parameters, and what forward sets, are in the node's __dict__; what the engine keeps lies in slots.
    __slots__ = ("__dict__", "_recorded", "backend", "requests")

    broadcasts = _takes_scalars = _fresh_gradients = False

    backend: Backend  # the inputs'; where forward changes it, the results'
    # Properties that are read in C, which is quicker.
    xp: ModuleType = property(attrgetter("backend.xp"), doc="The array module.")  # type: ignore[assignment]
    kernels: Any = property(attrgetter("backend.kernels"), doc="The kernels; see minigrad/backends/contract.py.")
    requests: dict[int, Requests] | None  # by output
    _recorded: tuple[Any, ...]  # see above
    _number = property(lambda self: self._recorded[NUMBER])
    _inputs = property(lambda self: self._recorded[INPUTS])
    _arrays = property(lambda self: self._recorded[ARRAYS])

    def __init_subclass__(cls) -> None:
        cls._takes_scalars = cls.__dict__.get("takes_scalars", False)
        cls._fresh_gradients = cls.__dict__.get("fresh_gradients", False)

    def forward(self, *arrays: Any, **_: Any) -> Any:
        raise NotImplementedError(f"{self.name()}: write its forward(self, *arrays), which returns the result's array")

    def backward(self, *grad_outputs: Any, **_: Any) -> Any:
        raise NotImplementedError(f"{self.name()}: to differentiate it, write its backward(self, *grad_outputs)")

    @property
    def needs(self) -> tuple[bool, ...]:
        node, wanted = grad_mode.wanted
        return wanted if node is self else self._recorded[NEEDS]

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        recorded, index = self._recorded, 0
        inputs = recorded[INPUTS]
        for array in recorded[ARRAYS]:
            if (now := inputs[index]._data) is not array and not _is_scalar_of(array, now):
                # it has been given another since, by an optimizer's step for example
                inputs = (*inputs[:index], AsRecorded.apply(inputs[index], array=array), *inputs[index + 1 :])
            index += 1  # no enumerate: this runs all the time, and it takes half as long again
        return inputs

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        # Made anew on each reading. A node that held its own output tensors would be a reference cycle, and the memory
        # of every graph would wait for the garbage collector.
        result = self._recorded[RESULT]
        if type(result) is not tuple:  # nearly always
            return (_wrap(result, self.backend, self),)
        return tuple([_wrap(array, self.backend, self, index) for index, array in enumerate(result)])

    @classmethod
    def apply(cls, *inputs: Tensor, **parameters: Any) -> Any:
        """Computes the operation on the inputs and, where gradients are on and an input needs one, records it.

        Returns a Tensor, or a tuple of them where `forward` returns a tuple. Raises TypeError for an input that is no
        Tensor, ValueError (with the operation's name) for shapes that `forward` cannot combine, and RuntimeError for
        inputs of different backends.
        """
        node, watcher = cls(), observer
        if parameters:
            node.__dict__.update(parameters)
        try:
            backend = node.backend = inputs[0].backend
            arrays: tuple[Any, ...] = ()
            needs: tuple[bool, ...] = ()
            if two := len(inputs) == 2:  # most often; a loop takes as long as the product of two scalars
                a, b = inputs
                if b.backend is not backend:
                    raise _mixed_backends(cls, inputs)
                arrays, needs = (a._data, b._data), (a._requires_grad, b._requires_grad)
                if not cls._takes_scalars and (type(arrays[0]) in SCALARS or type(arrays[1]) in SCALARS):
                    arrays = a.data, b.data
            else:
                for tensor in inputs:
                    if tensor.backend is not backend:
                        raise _mixed_backends(cls, inputs)
                    scalar = type(tensor._data) in SCALARS and not cls._takes_scalars
                    arrays += (tensor.data if scalar else tensor._data,)
                    needs += (tensor._requires_grad,)
        except (AttributeError, IndexError):
            raise _not_tensors(cls, inputs) from None
        maker = node if True in needs and grad_mode.enabled else None
        try:
            # a star, too, takes as long as the product of two scalars
            result = node.forward(arrays[0], arrays[1]) if two else node.forward(*arrays)
            if type(result) is tuple:
                outputs: Any = tuple([_wrap(array, node.backend, maker, index) for index, array in enumerate(result)])
            else:
                outputs = _wrap(result, node.backend, maker)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{cls.name()}: {error}") from error
        except NotAnArray as error:
            raise TypeError(f"{cls.name()}: {error}") from None
        if maker is not None:
            many = len(result) if type(result) is tuple else 1
            node._recorded, node.requests = (next(_numbers), needs, many, inputs, arrays, result), None
        return outputs if watcher is None else watcher.computed(node, parameters, inputs, outputs)

    @classmethod
    def name(cls) -> str:
        """The operation's name as the user wrote it, for messages: `conv2d` for Conv2d; a user's class as it is."""
        if not cls.__module__.startswith("minigrad."):
            return cls.__name__
        words = "".join(f"_{c.lower()}" if c.isupper() else c for c in cls.__name__)
        return words.strip("_")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class AsRecorded(Function):
    """y = x with an array that x had before;   dL/dx = dL/dy"""

    array: Any

    def forward(self, x: Any) -> Any:
        return self.array

    def backward(self, dy: Tensor) -> tuple[Tensor]:
        return (dy,)


def _is_scalar_of(scalar: Any, array: Any) -> bool:
    """Whether a tensor that held NumPy's scalar has only been asked for its array since: see Tensor.data."""
    return type(scalar) in SCALARS and array.dtype is scalar.dtype and array.tobytes() == scalar.tobytes()


def _not_tensors(cls: type[Function], inputs: tuple[Any, ...]) -> Exception:
    kinds = ", ".join(type(value).__name__ for value in inputs) or "nothing"
    hint = "wrap the others in Tensor(...), or make them parameters, apply(x, n=3)"
    return TypeError(f"{cls.name()}: expected Tensors, got ({kinds}); {hint}")


def _mixed_backends(cls: type[Function], inputs: tuple[Tensor, ...]) -> Exception:
    names = list(dict.fromkeys(tensor.backend.name for tensor in inputs))
    where = f"{' and '.join(names)}; move one with .to({names[0]!r})"
    return RuntimeError(f"{cls.name()}: its tensors live on different backends, {where}")
