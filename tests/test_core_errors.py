"""Wrong arguments of all that is public in the core but the operations: what the error is and what it says."""

from __future__ import annotations

import numpy as np
import pytest
from public_names import names, resolve

import minigrad
from minigrad import Function, Tensor, autograd, backends, nn, ops, serialization, torch_like

F32 = Tensor([1.0, 2.0])
INTEGERS = Tensor([1, 2])
NAN = float("nan")
IN_NO_FOLDER = "no/such/folder/file"


class Triple(Function):
    """y = 3 x;   dL/dx = 3 dL/dy"""

    def forward(self, x):
        return 3 * x

    def backward(self, dy):
        return (3 * dy,)


class NoRule(Function):
    def forward(self, x):
        return x


class NoForward(Function):
    pass


class TwoInAList(Triple):
    def forward(self, x):
        return [x, x]


class GivesTensors(Triple):
    def forward(self, x):
        return Tensor(x)


class ForgotTheComma(Triple):
    def backward(self, dy):
        return 3 * dy


def leaf() -> Tensor:
    return Tensor([1.0, 2.0], requires_grad=True)


def y() -> Tensor:
    return leaf() * 2.0


def used_up() -> Tensor:
    loss = y().sum()
    loss.backward()
    return loss


def hooked(hook) -> Tensor:
    x = leaf()
    x.register_hook(hook)
    return (x * 2.0).sum()


SIZES = "{}: sizes must be integers from 0, got "
NO_DTYPE = "{}: dtype must be float32, float64, an integer dtype or bool, got "
NO_BACKEND = "there is no backend named 'abacus'; there are 'numpy'"
NO_NUMBERS = "Tensor: expected floats, integers or booleans, got a "
NO_FLAG = "requires_grad must be True or False, got 'no'"
LOST = r"Tensor: a list of tensors that require gradients would lose them; use stack\(\), or detach\(\) them"
NO_PATH = "{}: a path must be a string or a Path, got "
NO_GRADIENT = "{}: the gradient must be a Tensor or an array, got "
NO_GRAPH = "{}: this tensor requires no gradient; make its sources with requires_grad=True"
NEEDS_ONE = r"backward: a tensor of shape \(2,\) needs the gradient that arrives at it, of that shape; or reduce .*sum"
FLAGS = "graph flags are True or False, got "
SHAPED = ("zeros", "ones", "rand", "randn")
MAKERS = ("Tensor", "tensor")
BACKWARD = ("Tensor.backward", "Tensor.backward_steps")

ERRORS = [
    # -- new tensors
    *(
        row
        for name in SHAPED
        for row in (
            (name, lambda f: f(-1), ValueError, SIZES + r"\(-1,\)"),
            (name, lambda f: f(2.5), ValueError, SIZES + r"\(2\.5,\)"),
            (name, lambda f: f("2"), ValueError, SIZES + r"\('2',\)"),
            (name, lambda f: f(None), ValueError, SIZES + r"\(None,\)"),
            (name, lambda f: f(True), ValueError, SIZES + r"\(True,\)"),
            (name, lambda f: f((2,), 3), ValueError, SIZES + r"\(\(2,\), 3\)"),
            (name, lambda f: f(INTEGERS), ValueError, SIZES + r"\(Tensor\(\[1, 2\]\),\)"),
            (name, lambda f: f(2, dtype="text"), TypeError, NO_DTYPE + "'text'"),
            (name, lambda f: f(2, dtype="float16"), TypeError, NO_DTYPE + "'float16'"),
            (name, lambda f: f(2, dtype=complex), TypeError, NO_DTYPE + "<class 'complex'>"),
            (name, lambda f: f(2, requires_grad="no"), TypeError, NO_FLAG),
            (name, lambda f: f(2, backend="abacus"), minigrad.BackendError, NO_BACKEND),
        )
    ),
    *(
        (name, lambda f: f(1, dtype=int, requires_grad=True), TypeError, r"only floating .*int64: see astype\(\)")
        for name in ("zeros", "ones")
    ),
    *(
        (name, lambda f, t=t: f(1, dtype=t), TypeError, "{}: dtype must be float32 or float64, got ")
        for name in ("rand", "randn")
        for t in ("int64", bool)
    ),
    *(
        (name, lambda f, data=data: f(data, dtype="float32"), TypeError, "Tensor: expected floats, .*, got a .*" + kind)
        for name in MAKERS
        for data, kind in (
            (None, "NoneType of object"),
            ([None, 1.0], "list of object"),
            (["1.5"], "list of <U3"),
            ({}, "dict of object"),
            ([1 + 2j], "list of complex128"),
            (np.array([1j]), "numpy.ndarray of complex128"),
            (np.array(["2020-01-01"], "datetime64[D]"), r"numpy.ndarray of datetime64\[D\]"),
        )
    ),
    *((name, lambda f: f(leaf(), [None]), TypeError, "expected floats, .* got a list of object") for name in BACKWARD),
    *((name, lambda f: f(leaf(), np.array(1j)), TypeError, "got a numpy.ndarray of complex128") for name in BACKWARD),
    ("from_dlpack", lambda f: f([1.0]), TypeError, "from_dlpack: expected an array with __dlpack__, got list; Tensor"),
    ("full", lambda f: f(2, "x"), TypeError, "full: expected one number, got 'x'"),
    ("full", lambda f: f(2, None), TypeError, "full: expected one number, got None"),
    (
        "full",
        lambda f: f(7, (2, 3)),
        TypeError,
        "full: expected one number, got tuple; broadcast_to repeats a tensor",
    ),
    ("full", lambda f: f(2, leaf()), TypeError, "full: expected one number, got Tensor; broadcast_to repeats"),
    ("full", lambda f: f(-1, 0), ValueError, SIZES + r"\(-1,\)"),
    ("full", lambda f: f("2", 0), ValueError, SIZES + r"\('2',\)"),
    ("full", lambda f: f(2, 1, "text"), TypeError, NO_DTYPE + "'text'"),
    ("full", lambda f: f(2, 300, "int8"), TypeError, "Tensor: .*300 out of bounds for int8"),
    ("zeros_like", lambda f: f(3), TypeError, "zeros_like: expected a Tensor, got 3"),
    ("zeros_like", lambda f: f(np.ones(2)), TypeError, "zeros_like: expected a Tensor, got ndarray"),
    ("zeros_like", lambda f: f(Tensor), TypeError, r"got the class Tensor itself; make one: Tensor\(\.\.\.\)"),
    ("ones_like", lambda f: f([1]), TypeError, "ones_like: expected a Tensor, got list"),
    ("ones_like", lambda f: f(None), TypeError, "ones_like: expected a Tensor, got None"),
    *(
        ("arange", lambda f, v=v: f(v), ValueError, f"arange: expected finite numbers .* got 0, {given}, 1")
        for v, given in [
            ("5", "'5'"),
            (None, "None"),
            (NAN, "nan"),
            (float("inf"), "inf"),
            (5j, "5j"),
            (True, "True"),
            ((5,), r"\(5,\)"),
            (Tensor(5), r"Tensor\(5\)"),
        ]
    ),
    ("arange", lambda f: f(0, 1, 0), ValueError, "arange: .* a step other than 0, got 0, 1, 0"),
    ("arange", lambda f: f(1e20), ValueError, r"arange: Maximum allowed size exceeded, got 0, 1e\+20, 1"),
    ("arange", lambda f: f(3, dtype="text"), TypeError, NO_DTYPE + "'text'"),
    ("randint", lambda f: f(3, 3, 2), ValueError, "randint: low must be an integer below high, got 3 and 3"),
    ("randint", lambda f: f(0.5, 3, 2), ValueError, r"randint: low must be an integer below high, got 0\.5 and 3"),
    ("randint", lambda f: f("0", 3, 2), ValueError, "randint: low must be an integer below high, got '0' and 3"),
    ("randint", lambda f: f(0, 3, -2), ValueError, SIZES + r"\(-2,\)"),
    ("randint", lambda f: f(0, 3, 2, "text"), TypeError, NO_DTYPE + "'text'"),
    (
        "randint",
        lambda f: f(0, 300, 2, "int8"),
        ValueError,
        "randint: the numbers from 0 to 299 do not all fit .* int8",
    ),
    ("randint", lambda f: f(0, 2**70, 2), ValueError, "randint: the numbers from 0 to .* do not all fit into int64"),
    ("manual_seed", lambda f: f(-1), ValueError, "manual_seed: the seed must be 0 or more, got -1"),
    *(
        ("manual_seed", lambda f, v=v: f(v), TypeError, f"manual_seed: the seed must be an integer, got {given}")
        for v, given in [
            ("1", "'1'"),
            (1.0, r"1\.0"),
            (NAN, "nan"),
            (None, "None"),
            (True, "True"),
            (Tensor(1), "Tens"),
        ]
    ),
    *(
        row
        for name in MAKERS
        for row in (
            (name, lambda f: f("text"), TypeError, NO_NUMBERS + "str of <U4"),
            (name, lambda f: f(None), TypeError, NO_NUMBERS + "NoneType of object"),
            (name, lambda f: f({}), TypeError, NO_NUMBERS + "dict of object"),
            (name, lambda f: f(v for v in [1.0]), TypeError, NO_NUMBERS + "generator of object"),
            (name, lambda f: f(["1", "2"]), TypeError, NO_NUMBERS + "list of <U1"),
            (name, lambda f: f(1j), TypeError, NO_NUMBERS + "complex of complex128"),
            (name, lambda f: f(2**70), TypeError, NO_NUMBERS + "int of object"),
            (name, lambda f: f(np.array(0, "datetime64[s]")), TypeError, NO_NUMBERS + r"numpy\.ndarray of datetime64"),
            (name, lambda f: f([1.0], "complex64"), TypeError, NO_NUMBERS + "list of complex64"),
            (name, lambda f: f([1.0], "float16"), TypeError, "Tensor: float16 is not supported; use float32"),
            (
                name,
                lambda f: f([1.0], "text"),
                TypeError,
                "Tensor: cannot make .* list: data type 'text' not understood",
            ),
            (name, lambda f: f([1.0], True), TypeError, "Tensor: cannot make .* 'True' as a data type"),
            (name, lambda f: f(2**70, "int64"), TypeError, "Tensor: cannot make an array of this int: .*too large"),
            (name, lambda f: f(300, "int8"), TypeError, "Tensor: cannot make .* int: .*out of bounds for int8"),
            (name, lambda f: f([NAN], "int64"), TypeError, "Tensor: cannot make .* list: cannot convert float NaN"),
            (
                name,
                lambda f: f([1.0, [2.0]]),
                TypeError,
                "cannot make an array of this list: .*; rows must have one len",
            ),
            (name, lambda f: f([F32, F32[:1]]), TypeError, r"rows must have one length \(stack\(\) joins tensors\)"),
            (name, lambda f: f([leaf(), leaf()]), TypeError, LOST),
            (name, lambda f: f([[0.0, [y().sum()]]]), TypeError, LOST),
            (
                name,
                lambda f: f([1], requires_grad=True),
                TypeError,
                "only floating tensors .* this one is int64: see ast",
            ),
            (name, lambda f: f([1.0], requires_grad="no"), TypeError, NO_FLAG),
            (name, lambda f: f([1.0], requires_grad=None), TypeError, "requires_grad must be True or False, got None"),
            (name, lambda f: f([1.0], backend="abacus"), minigrad.BackendError, NO_BACKEND),
            (name, lambda f: f([1.0], backend=3), minigrad.BackendError, "there is no backend named 3; there are"),
        )
    ),
    # -- attributes and methods of a tensor
    ("Tensor.data", lambda f: f.fset(leaf(), 1.0), TypeError, "data: expected a numpy.ndarray, got a float"),
    (
        "Tensor.data",
        lambda f: f.fset(leaf(), np.ones(2)),
        ValueError,
        r"data: expected .* float32, got \(2,\) and float64",
    ),
    ("Tensor.requires_grad", lambda f: f.fset(leaf(), "no"), TypeError, NO_FLAG),
    ("Tensor.requires_grad", lambda f: f.fset(y(), False), RuntimeError, r"can't be turned off; use detach\(\)"),
    (
        "Tensor.requires_grad_",
        lambda f: f(INTEGERS),
        TypeError,
        "only floating tensors can require a gradient; .*int64",
    ),
    ("Tensor.requires_grad_", lambda f: f(leaf(), "no"), TypeError, NO_FLAG),
    (
        "Tensor.item",
        lambda f: f(F32),
        ValueError,
        r"item: a tensor of one element is needed, this one has shape \(2,\)",
    ),
    (
        "Tensor.__bool__",
        lambda f: f(F32),
        ValueError,
        r"truth of a tensor of shape \(2,\) is ambiguous; use \.data\.any",
    ),
    ("Tensor.__len__", lambda f: f(Tensor(1.0)), TypeError, "len: a 0-d tensor has no length"),
    ("Tensor.__index__", lambda f: f(Tensor(1.0)), TypeError, "only a 0-d integer tensor can be an index, not float32"),
    (
        "Tensor.__setitem__",
        lambda f: f(leaf(), 0, 1.0),
        TypeError,
        r"take no assignment .* build a new one, with where",
    ),
    # -- differentiation
    *(
        row
        for name in BACKWARD
        for row in (
            (name, lambda f: f(F32), RuntimeError, NO_GRAPH.format("backward")),
            (name, lambda f: f(np.ones(2)), TypeError, "backward: expected a Tensor to differentiate, got ndarray"),
            (name, lambda f: f(y()), RuntimeError, NEEDS_ONE),
            (name, lambda f: f(y(), "text"), TypeError, NO_GRADIENT.format("backward") + "'text'"),
            (name, lambda f: f(y().sum(), True), TypeError, "backward: .* got True; name flags: flag=True"),
            (name, lambda f: f(y(), {}), TypeError, NO_GRADIENT.format("backward")),
            (
                name,
                lambda f: f(y(), 1.0),
                RuntimeError,
                r"backward: the gradient given has shape \(\).*expected \(2,\)",
            ),
            (name, lambda f: f(y(), np.ones(3)), RuntimeError, r"backward: the gradient given has shape \(3,\)"),
            (name, lambda f: f(y(), Tensor(np.ones(2))), RuntimeError, "has .*dtype float64 .*expected .*float32"),
            (name, lambda f: f(y(), INTEGERS), RuntimeError, "has .*dtype int64 .*expected .*float32"),
            (name, lambda f: f(y().sum(), None, "yes"), TypeError, FLAGS + "create_graph=False and retain_graph='yes'"),
            (name, lambda f: f(y().sum(), create_graph=1.5), TypeError, FLAGS + r"create_graph=1\.5"),
            (name, lambda f: f(y().sum(), retain_graph=1), TypeError, FLAGS + "create_graph=False and retain_graph=1"),
            (
                name,
                lambda f: f(used_up()),
                RuntimeError,
                "released by an earlier .*; pass retain_graph=True to the ear",
            ),
        )
    ),
    ("grad", lambda f: f(y(), F32), RuntimeError, "grad: input 0 does not require a gradient; make it with requires_g"),
    (
        "grad",
        lambda f: f(y().sum(), [leaf()]),
        RuntimeError,
        "grad: the outputs do not depend on input 0; allow_unused",
    ),
    ("grad", lambda f: f(y(), [leaf(), 3.0]), TypeError, r"grad: input 1 must be a Tensor, got 3\.0"),
    ("grad", lambda f: f(y(), "x"), TypeError, "grad: input 0 must be a Tensor, got 'x'"),
    ("grad", lambda f: f(y(), None), TypeError, "grad: inputs must be a Tensor or several, got None"),
    ("grad", lambda f: f(y(), []), TypeError, r"grad: inputs must be a Tensor or several, got \[\]"),
    ("grad", lambda f: f([], leaf()), TypeError, r"grad: outputs must be a Tensor or several, got \[\]"),
    ("grad", lambda f: f(leaf, leaf()), TypeError, "grad: outputs must be a Tensor or several, got <function leaf"),
    ("grad", lambda f: f([3.0], leaf()), TypeError, "grad: expected a Tensor to differentiate, got float"),
    ("grad", lambda f: f(F32, leaf()), RuntimeError, NO_GRAPH),
    ("grad", lambda f: f(y(), leaf()), RuntimeError, r"grad: a tensor of shape \(2,\) needs the gradient"),
    ("grad", lambda f: f(y(), leaf(), 3.0), RuntimeError, r"grad: the gradient given has shape \(\), "),
    ("grad", lambda f: f([y(), y()], leaf(), [None]), ValueError, "grad: 2 outputs need as many grad_outputs, got 1"),
    ("grad", lambda f: f(y(), leaf(), Tensor([1.0])), RuntimeError, r"grad: the gradient given has shape \(1,\)"),
    ("grad", lambda f: f(y(), leaf(), ["text"]), TypeError, NO_GRADIENT + "'text'"),
    ("grad", lambda f: f(y().sum(), leaf(), create_graph="yes"), TypeError, FLAGS + "create_graph='yes'"),
    ("Tensor.register_hook", lambda f: f(F32, print), RuntimeError, "register_hook: this tensor requires no gradient"),
    ("Tensor.register_hook", lambda f: f(leaf(), "x"), TypeError, "register_hook: the hook must be callable, got 'x'"),
    (
        "Tensor.register_hook",
        lambda f: hooked(lambda g: 3.0).backward(),
        TypeError,
        "a tensor hook must return a Tensor or None, got float",
    ),
    (
        "Tensor.register_hook",
        lambda f: hooked(lambda g: g.sum()).backward(),
        RuntimeError,
        r"returned by a tensor hook has shape \(\).*expected \(2,\)",
    ),
    ("Tensor.retain_grad", lambda f: f(F32), RuntimeError, "retain_grad: this tensor requires no gradient"),
    *(
        (name, lambda f, v=v: f()(v), TypeError, f"{{}}: expected a function, got {given}")
        for name in ("no_grad", "enable_grad")
        for v, given in [("text", "'text'"), (None, "None"), (3, "3")]
    ),
    # -- operations of one's own
    ("Function.apply", lambda f: Triple.apply(), TypeError, r"Triple: expected Tensors, got \(nothing\)"),
    ("Function.apply", lambda f: Triple.apply(np.ones(2)), TypeError, r"Triple: expected Tensors, got \(ndarray\)"),
    (
        "Function.apply",
        lambda f: Triple.apply(F32, 3),
        TypeError,
        r"got \(Tensor, int\); wrap the others in Tensor\(\.\.\.\), or make them parameters, apply\(x, n=3\)",
    ),
    (
        "Function.apply",
        lambda f: TwoInAList.apply(F32),
        TypeError,
        "forward must return an array or a tuple .* got a list",
    ),
    (
        "Function.apply",
        lambda f: GivesTensors.apply(F32),
        TypeError,
        "forward must return an array .* minigrad.tensor.Ten",
    ),
    ("Function.apply", lambda f: f(F32), NotImplementedError, r"function: write its forward\(self, \*arrays\)"),
    ("Function.forward", lambda f: NoForward.apply(F32), NotImplementedError, "NoForward: write its forward"),
    (
        "Function.backward",
        lambda f: NoRule.apply(leaf()).sum().backward(),
        NotImplementedError,
        r"NoRule: to differentiate it, write its backward\(self, \*grad_outputs\)",
    ),
    (
        "Function.backward",
        lambda f: ForgotTheComma.apply(leaf()).sum().backward(),
        RuntimeError,
        "ForgotTheComma: its backward rule must return a tuple of 1 gradients, .*, and returned a Tensor",
    ),
    # -- backends
    *(
        row
        for name in ("use_backend", "get_backend")
        for row in (
            (name, lambda f: f("abacus"), minigrad.BackendError, NO_BACKEND),
            (name, lambda f: f("NumPy"), minigrad.BackendError, "there is no backend named 'NumPy'; there are 'numpy'"),
            (name, lambda f: f(None), minigrad.BackendError, "there is no backend named None; there are 'numpy'"),
            (name, lambda f: f(["numpy"]), minigrad.BackendError, r"there is no backend named \['numpy'\]; there are"),
        )
    ),
    # -- files
    ("save", lambda f: f(F32, "x"), TypeError, "save: expected a mapping .* got Tensor; .* by its state_dict"),
    ("save", lambda f: f("x", {"a": F32}), TypeError, "save: expected a mapping from names to Tensors, got str"),
    (
        "save",
        lambda f: f({"a": np.ones(2)}, "x"),
        TypeError,
        "save: 'a' must be a Tensor, got ndarray; make it one with",
    ),
    ("save", lambda f: f({1: F32}, "x"), TypeError, "save: a tensor's name must be a string, got 1"),
    ("save", lambda f: f({"a": F32}, None), TypeError, NO_PATH + "None"),
    ("save", lambda f: f({"a": F32}, 3), TypeError, NO_PATH + "3"),
    ("save", lambda f: f({"a": F32}, "."), IsADirectoryError, r"cannot write \.: it is a folder; name a file in it"),
    ("save", lambda f: f({"a": F32}, ""), IsADirectoryError, "cannot write '': it is a folder; name a file in it"),
    ("save", lambda f: f({"a": F32}, IN_NO_FOLDER), FileNotFoundError, "there is no folder .*folder; make it first"),
    (
        "save",
        lambda f: f({"a": F32}, "x", {"a": 1}),
        TypeError,
        "save: metadata must be strings, got 'a': 1; json.dumps",
    ),
    *(
        row
        for name in ("load", "load_metadata")
        for row in (
            (name, lambda f: f(None), TypeError, NO_PATH + "None"),
            (name, lambda f: f(0), TypeError, NO_PATH + "0"),
            (name, lambda f: f(IN_NO_FOLDER), FileNotFoundError, IN_NO_FOLDER),
            (name, lambda f: f("."), IsADirectoryError, r"'\.'"),
            (name, lambda f: f(__file__), ValueError, "test_core_errors.py: not a safetensors file, or a damaged one"),
        )
    ),
    ("load", lambda f: f(IN_NO_FOLDER, "abacus"), minigrad.BackendError, NO_BACKEND),
    ("set_num_threads", lambda f: f(0), ValueError, "set_num_threads: the number must be at least 1, got 0"),
    ("set_num_threads", lambda f: f("2"), TypeError, "set_num_threads: the number must be an integer, got '2'"),
    ("set_num_threads", lambda f: f(1.0), TypeError, r"set_num_threads: the number must be an integer, got 1\.0"),
    ("explain", lambda f: f("conv2d"), TypeError, "explain: the operation must be a function, got 'conv2d'"),
    ("explain", lambda f: f(ops.exp, "text"), TypeError, "exp: expected a Tensor, got str"),
    ("gradcheck", lambda f: f("exp", F32), TypeError, "gradcheck: fn must be a function of Tensors, or a Module"),
    ("gradcheck", lambda f: f(ops.exp, INTEGERS), TypeError, r"or array, got \(Tensor of int64\)"),
    ("gradcheck", lambda f: f(ops.exp, F32, order=3), ValueError, "gradcheck: order must be 1 or 2, got 3"),
    ("gradcheck", lambda f: f(ops.exp, F32, eps=0), ValueError, "gradcheck: eps must be above 0, got 0"),
    ("gradcheck", lambda f: f(ops.exp, F32, rtol=NAN), ValueError, "gradcheck: rtol must be at least 0, got nan"),
    ("gradcheck", lambda f: f(ops.exp, F32, atol="1"), TypeError, "gradcheck: atol must be a number, got '1'"),
    ("gradcheck", lambda f: f(ops.exp, F32, against="abacus"), minigrad.BackendError, NO_BACKEND),
    ("gradcheck_module", lambda f: f(ops.exp, ops.exp, F32), TypeError, "gradcheck_module: model must be a Module"),
    ("gradcheck_module", lambda f: f(nn.Linear(2, 1), 3, F32), TypeError, "gradcheck_module: loss must be a function"),
    ("gradcheck_module", lambda f: f(nn.Linear(2, 1), ops.exp, F32), TypeError, r"batch must be a pair \(inputs"),
    ("gradcheck_numpy", lambda f: f(3, np.exp, F32), TypeError, "gradcheck_numpy: forward must be a function, got 3"),
    ("gradcheck_numpy", lambda f: f(np.exp, None, F32), TypeError, "gradcheck_numpy: backward must be a function"),
    ("gradcheck_numpy", lambda f: f(np.exp, np.exp, [1, 2]), TypeError, "none of the inputs is floating"),
    ("gradcheck_numpy", lambda f: f(np.exp, np.exp, np.ones(2), tol=1), TypeError, "unknown option 'tol'; there are"),
    ("detect_anomaly", lambda f: f(1), TypeError, NO_PATH + "1"),
    (
        "detect_anomaly",
        lambda f: f(IN_NO_FOLDER),
        FileNotFoundError,
        "there is no folder .*no/such/folder/file; make it",
    ),
    ("detect_anomaly", lambda f: f(None, 1), TypeError, "detect_anomaly: allow_infinite must be True or False, got 1"),
    ("replay", lambda f: f(None), TypeError, NO_PATH + "None"),
    ("replay", lambda f: f(IN_NO_FOLDER), FileNotFoundError, IN_NO_FOLDER),
    (
        "replay",
        lambda f: f(__file__),
        ValueError,
        "test_core_errors.py: not a file that detect_anomaly wrote, or a dam",
    ),
    ("replay", lambda f: f(__file__, Tensor), TypeError, "replay: the operation must be a class derived from Function"),
    ("replay", lambda f: f(__file__, Function), TypeError, "replay: the operation must be a class derived from Functi"),
    ("write_atomically", lambda f: f("x", "text"), TypeError, "write_atomically: the data must be bytes, got 'text'"),
    ("write_atomically", lambda f: f(None, b""), TypeError, NO_PATH + "None"),
    ("write_atomically", lambda f: f(".", b""), IsADirectoryError, "it is a folder; name a file in it"),
]

MODULES = (minigrad, autograd, serialization, backends)
CANNOT_BE_WRONG = {
    "Step",  # a record that the engine makes, and nobody else
    "Backend",  # made by the registry alone; these four are for those who write a backend
    "Backend.from_numpy",
    "Backend.full",
    "Backend.to_numpy",
}


@pytest.mark.parametrize(("name", "call", "kind", "message"), ERRORS, ids=[f"{e[0]}-{e[3]}"[:60] for e in ERRORS])
def test_wrong_arguments_raise_at_once_and_say_what_is_wrong(name, call, kind, message, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=message.format(name)) as caught:
        call(resolve(name, *MODULES))
    assert type(caught.value) is kind
    assert list(tmp_path.iterdir()) == []


def test_every_public_name_has_its_wrong_arguments_tested() -> None:
    methods = {f"Tensor.{method.__name__}" for method in ops.TENSOR_METHODS}
    methods |= {f"Tensor.{name}" for name in torch_like.TENSOR_METHODS}  # operations too, under PyTorch's names
    needed = names(*MODULES) - set(ops.__all__) - methods  # tests/test_ops_errors.py has the operations
    assert {"Tensor", "Tensor.backward", "Function.apply", "arange", "load_metadata", "use_backend"} <= needed
    assert needed - {name for name, *_ in ERRORS} == CANNOT_BE_WRONG
