"""The files of detect_anomaly and replay: each operation comes back as it was, and a damaged file is a clear error."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from op_cases import CASES, Case, cotangent

import minigrad
from minigrad import AnomalyError, Function, Tensor, detect_anomaly, replay
from minigrad.autograd.engine import topological_order


@pytest.fixture
def files(tmp_path) -> Path:
    return tmp_path


def nan_like(y: Tensor) -> Tensor:
    return Tensor(np.full(y.shape, math.nan), y.dtype, backend=y.backend)


def caught_in_backward(y: Tensor, folder: Path, gradient: Tensor) -> AnomalyError:
    with pytest.raises(AnomalyError) as caught, detect_anomaly(folder):
        y.backward(gradient, retain_graph=True)
    assert os.path.dirname(caught.value.path) == str(folder)
    return caught.value


# ------------------------------------------------------------------------------------------------------- there and back


REPEATABLE = [case for case in CASES if case.operation != "to"]  # whose row moves to a backend that a test made up


@pytest.mark.parametrize("case", REPEATABLE, ids=lambda case: case.name)
@settings(max_examples=2, phases=[Phase.generate])
@given(data=st.data())
def test_every_operation_comes_back_with_its_parameters(case: Case, backend: str, data, tmp_path_factory) -> None:
    """Also those that its rule consists of. Each fails because a NaN is sent to it."""
    folder = tmp_path_factory.mktemp("files")
    example = data.draw(case.examples(smooth=True))
    inputs = case.tensors(example, "float64", backend)
    with detect_anomaly():
        y = case.op(*inputs, **example.parameters)
        gradients = minigrad.grad(y, inputs, cotangent(y, 0).requires_grad_(), create_graph=True)
    for node in topological_order([y, *gradients]):
        output = node.outputs[0]
        if output.size == 0:
            continue
        error = caught_in_backward(output, folder, nan_like(output))
        assert error.node is node
        again = replay(error.path)
        assert type(again.node) is type(node)
        assert str(again).splitlines()[:2] == str(error).splitlines()[:2]
        for own, tensor in zip((*again.inputs, *again.outputs), (*node.inputs, *node.outputs), strict=True):
            assert (own.backend, own.dtype) == (tensor.backend, tensor.dtype)
            np.testing.assert_allclose(own.numpy(), tensor.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_conv2d_forward(on_backend, dtype, files) -> None:
    huge = 3e38 if dtype == "float32" else 1e308
    image = Tensor(np.arange(75).reshape(1, 3, 5, 5), dtype)
    weight = Tensor(np.full((2, 3, 3, 2), huge), dtype)
    with pytest.raises(AnomalyError, match="conv2d: its result") as caught, detect_anomaly(files):
        minigrad.conv2d(image, weight, stride=(2, 1), padding=(1, 0), dilation=(1, 2))
    again = replay(caught.value.path)
    assert again.phase == "forward"
    assert again.location == caught.value.location
    assert (again.node.stride, again.node.padding, again.node.dilation, again.node.groups) == (
        (2, 1),
        (1, 0),
        (1, 2),
        1,
    )
    assert np.array_equal(again.inputs[0].numpy(), image.numpy())
    assert np.array_equal(again.inputs[1].numpy(), weight.numpy())
    assert again.outputs[0].backend.name == on_backend
    assert not np.isfinite(again.outputs[0].numpy()).all()
    assert (again.grad_outputs, again.grad_inputs) == ((), ())


@pytest.mark.parametrize("needs", [(True, True, True), (False, True, False)])
def test_conv2d_backward_asks_for_the_gradients_that_were_asked_for(on_backend, needs, files) -> None:
    shapes = ((2, 3, 5, 4), (2, 3, 3, 2), (2,))
    inputs = [minigrad.rand(*shape).requires_grad_(need) for shape, need in zip(shapes, needs, strict=True)]
    with detect_anomaly():
        y = minigrad.conv2d(*inputs, stride=2)
    error = caught_in_backward(y, files, minigrad.full(y.shape, 3e38))
    again = replay(error.path)
    assert again.phase == "backward"
    assert tuple(gradient is not None for gradient in again.grad_inputs) == needs
    assert not np.isfinite(again.grad_inputs[1].numpy()).all()
    assert again.backward_location.source == "y.backward(gradient, retain_graph=True)"


def test_max_pool2d_backward(on_backend, files) -> None:
    x = Tensor(np.pad([[1.0]], ((1, 2), (1, 2)))[None, None], "float32", requires_grad=True)  # four windows' winner
    with detect_anomaly():
        y = minigrad.max_pool2d(x, (3, 2), 1)
    gradient = np.full(y.shape, 3e38, np.float32)
    again = replay(caught_in_backward(y, files, Tensor(gradient)).path)
    assert again.node.kernel == (3, 2)
    assert np.array_equal(again.grad_outputs[0].numpy(), gradient)
    assert not np.isfinite(again.grad_inputs[0].numpy()).all()
    assert "winners=<" not in str(again)


def test_a_transfer(backends, files) -> None:
    x = Tensor(1.0, backend=backends[0], requires_grad=True)
    with detect_anomaly():
        y = x.to(backends[-1])
    again = replay(caught_in_backward(y + 0.0, files, nan_like(y)).path)
    assert again.grad_outputs[0].backend.name == backends[-1]
    if x.backend is not y.backend:
        again = replay(caught_in_backward(y, files, nan_like(y)).path)
        assert again.node.target is y.backend
        assert (again.inputs[0].backend, again.grad_inputs[0].backend) == (x.backend, x.backend)


def test_the_values_can_be_worked_on(files) -> None:
    with pytest.raises(AnomalyError) as caught, detect_anomaly(files):
        minigrad.log(Tensor([1.0, -1.0]))
    again = replay(caught.value.path)
    assert minigrad.log(again.inputs[0].abs()).tolist() == [0.0, 0.0]
    (gradient,) = again.node.backward(Tensor([1.0, 1.0]))
    assert gradient.tolist() == [1.0, -1.0]


def test_a_graph_recorded_outside_is_repeated_too(files) -> None:
    y = minigrad.max_pool2d(minigrad.zeros(1, 1, 4, 4).requires_grad_(), 2)
    again = replay(caught_in_backward(y, files, nan_like(y)).path)
    assert again.outputs[0].shape == (1, 1, 2, 2)


def test_replay_within_the_mode_and_within_no_grad(files) -> None:
    with detect_anomaly(files), minigrad.no_grad():
        with pytest.raises(AnomalyError) as caught:
            minigrad.log(Tensor(-1.0))
        assert math.isnan(replay(caught.value.path).outputs[0].item())
        with pytest.raises(AnomalyError):
            minigrad.log(Tensor(-1.0))


class Sensor(Function):
    """An operation that goes wrong when it's told to."""

    wrong = True

    def forward(self, x, y, **parameters):
        return x * (math.nan if self.wrong else 1.0), y

    def backward(self, dx, dy):
        return dx, dy


def test_an_operation_that_has_been_mended(files, monkeypatch) -> None:
    with pytest.raises(AnomalyError) as caught, detect_anomaly(files):
        Sensor.apply(Tensor(1.0), Tensor(2.0))
    monkeypatch.setattr(Sensor, "wrong", False)
    assert str(replay(caught.value.path)).startswith("Sensor: no value is not finite this time")


def test_only_the_second_output_received_a_gradient(files) -> None:
    x, y = Tensor(1.0, requires_grad=True), Tensor(2.0, requires_grad=True)
    with pytest.MonkeyPatch.context() as patch, detect_anomaly(files):
        patch.setattr(Sensor, "wrong", False)
        with pytest.raises(AnomalyError) as caught:
            Sensor.apply(x, y)[1].backward(Tensor(math.inf))
        again = replay(caught.value.path)
    assert again.grad_outputs[0] is None
    assert again.grad_inputs[0] is None
    assert again.grad_inputs[1].item() == math.inf


def test_every_kind_of_parameter(files) -> None:
    parameters = {
        "nothing": None,
        "flag": True,
        "number": 0.1,
        "nan": math.nan,
        "text": "é",
        "pair": (1, (2, [3])),
        "table": {"a": (1,), "array": np.arange(3)},
        "index": (slice(None, 2), ..., None, slice(np.int64(1), 5, 2)),
        "scalar": np.float32(0.1),
        "array": np.array([[True], [False]]),
        "kind": np.dtype("float32"),
        "place": minigrad.Tensor(1.0).backend,
    }
    with pytest.raises(AnomalyError) as caught, detect_anomaly(files):
        Sensor.apply(Tensor(1.0), Tensor(1.0), **parameters)
    node = replay(caught.value.path).node
    for name, value in parameters.items():
        actual = getattr(node, name)
        assert type(actual) is type(value)
        assert repr(actual) == repr(value)


# ---------------------------------------------------------------------------------------------------- what is not saved


@pytest.mark.parametrize("value", [len, Tensor(1.0), {1: 2}, np.array([None])])
def test_a_parameter_that_no_file_can_hold(value, files) -> None:
    message = "not saved for minigrad.replay: .*which a file can't hold"
    with pytest.raises(AnomalyError, match=message) as caught, detect_anomaly(files):
        Sensor.apply(Tensor(1.0), Tensor(1.0), secret=value)
    assert "Sensor: its result holds the first value that is not finite" in str(caught.value)
    assert caught.value.path is None
    assert list(files.iterdir()) == []


def test_a_folder_that_is_gone(files) -> None:
    folder = files / "gone"
    folder.mkdir()
    message = "log: its result(.|\n)*not saved for minigrad.replay: cannot write .* there is no folder"
    with pytest.raises(AnomalyError, match=message), detect_anomaly(folder):
        folder.rmdir()
        minigrad.log(Tensor(-1.0))


def test_a_folder_that_cannot_be_written_to(files, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.replace", refuse)
    message = "log: its result(.|\n)*not saved for minigrad.replay: .*Permission denied"
    with pytest.raises(AnomalyError, match=message) as caught, detect_anomaly(files):
        minigrad.log(Tensor(-1.0))
    assert caught.value.path is None
    assert list(files.iterdir()) == []


# -------------------------------------------------------------------------------------------------------- damaged files


@pytest.fixture
def saved(files) -> Path:
    with pytest.raises(AnomalyError) as caught, detect_anomaly(files):
        minigrad.log(Tensor([1.0, -1.0]))
    return Path(caught.value.path)


def rewrite(path: Path, without: str = "", **info: object) -> None:
    """The file with other information, or without one of its entries or one of its pieces of information."""
    with np.load(path) as file:
        entries = {name: file[name] for name in file.files if name != without}
    if "info" in entries:
        old = {key: value for key, value in json.loads(entries["info"].item()).items() if key != without}
        entries["info"] = np.array(json.dumps({**old, **info}))
    np.savez(path, **entries)


def test_truncated_files(saved) -> None:
    data = saved.read_bytes()
    for size in [*range(0, len(data), 37), len(data) - 1]:
        saved.write_bytes(data[:size])
        with pytest.raises(ValueError, match="not a file that detect_anomaly wrote, or a damaged one"):
            replay(saved)


def test_files_with_a_wrong_byte_are_read_rightly_or_not_at_all(saved) -> None:
    data, before = saved.read_bytes(), repr(replay(saved))
    refused = 0
    for place in range(0, len(data), 7):
        saved.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        try:
            assert repr(replay(saved)) == before
        except ValueError as error:
            assert "or a damaged one" in str(error)
            refused += 1
    assert refused > 20


@pytest.mark.parametrize("entry", ["info", "input_0", "module", "phase", "parameters", "needs", "location"])
def test_a_missing_entry(saved, entry) -> None:
    rewrite(saved, without=entry)
    with pytest.raises(ValueError, match=f"or a damaged one: KeyError.*{entry}"):
        replay(saved)


@pytest.mark.parametrize("info", [{"phase": "sideways"}, {"backend": "abacus"}, {"parameters": {"a": ["code", "1"]}}])
def test_an_entry_of_no_use(saved, info) -> None:
    rewrite(saved, **info)
    with pytest.raises(ValueError, match="or a damaged one"):
        replay(saved)


DAMAGES = {
    "a location of numbers": {"location": [1, 2, 3]},
    "a location of four numbers": {"location": [1, 2, 3, 4]},
    "a location of a text": {"backward_location": "abcd"},
    "an inner location": {"inner": ["div", ["file", "7", "", ""]]},
    "a parameter that hides a method": {"parameters": {"forward": 1}},
    "a parameter that hides the node's own": {"parameters": {"requests": 1}},
    "a parameter that apply has": {"parameters": {"cls": 1}},
    "no inputs": {"inputs": 0, "needs": []},
    "fewer inputs": {"inputs": 1},
    "no needs": {"needs": []},
    "nothing needed": {"needs": [False, False]},
    "a need of integers": {"needs": [True, True]},
    "no gradient": {"grad_outputs": [False]},
    "no list of gradients": {"grad_outputs": []},
    "too many gradients": {"grad_outputs": [True, False]},
}


class Scale(Function):
    """y = n x with an integer n;   dL/dx = n dL/dy"""

    def forward(self, x, n):
        return x * n.astype(x.dtype)

    def backward(self, dy):
        _, n = self.inputs
        return dy * n.astype(dy.dtype), None


@pytest.fixture
def saved_backward(files) -> Path:
    y = Scale.apply(Tensor([1.0, 2.0], requires_grad=True), Tensor([3]))
    return Path(caught_in_backward(y, files, nan_like(y)).path)


@pytest.mark.parametrize("info", DAMAGES.values(), ids=DAMAGES.keys())
def test_pieces_that_do_not_fit(saved_backward, info) -> None:
    rewrite(saved_backward, **info)
    with pytest.raises(ValueError, match="not a file that detect_anomaly wrote, or a damaged one: "):
        replay(saved_backward)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("input_0", np.array(["a", "b"])),
        ("input_0", np.array([1j, 2j])),
        ("grad_output_0", np.ones(3, np.float32)),
        ("grad_output_0", np.ones(2, np.float64)),
        ("grad_output_0", np.array(["a", "b"])),
    ],
)
def test_arrays_that_do_not_fit(saved_backward, name, array) -> None:
    with np.load(saved_backward) as file:
        entries = {**file, name: array}
    np.savez(saved_backward, **entries)
    with pytest.raises(ValueError, match="not a file that detect_anomaly wrote, or a damaged one: "):
        replay(saved_backward)


def test_another_file(files) -> None:
    np.save(files / "a.npy", np.ones(3))
    np.savez(files / "b.npz", np.ones(3))
    np.save(files / "pickle.npy", np.array([print], dtype=object), allow_pickle=True)
    for name in ("a.npy", "b.npz", "pickle.npy"):
        with pytest.raises(ValueError, match="not a file that detect_anomaly wrote, or a damaged one"):
            replay(files / name)


def test_a_pickle_inside_is_not_read(saved) -> None:
    with np.load(saved) as file:
        entries = dict(file)
    entries["input_0"] = np.array([Exploding()], dtype=object)
    np.savez(saved, **entries)
    with pytest.raises(ValueError, match="or a damaged one"):
        replay(saved)


class Exploding:
    def __reduce__(self):
        return (pytest.fail, ("it was unpickled",))


# ------------------------------------------------------------------------------------------------------------ its class


def test_a_class_defined_in_a_function_has_to_be_passed(files) -> None:
    class Local(Function):
        def forward(self, x):
            return x * math.inf

        def backward(self, dy):
            return (dy,)

    with pytest.raises(AnomalyError) as caught, detect_anomaly(files):
        Local.apply(Tensor(1.0))
    with pytest.raises(
        ValueError, match=r"<locals>.Local was defined in a function; pass it: replay\(path, operation="
    ):
        replay(caught.value.path)
    assert type(replay(caught.value.path, operation=Local).node) is Local


def test_a_class_of_a_module_that_is_not_imported(saved) -> None:
    for module in ("antigravity", "no.such.module"):
        rewrite(saved, module=module, qualname="Sensor")
        with pytest.raises(ValueError, match=f"is in a module that is not imported; import {module} first"):
            replay(saved)
        assert module not in sys.modules


def test_a_module_of_minigrad_is_imported(saved) -> None:
    rewrite(saved, module="minigrad.no_such_module")
    with pytest.raises(ValueError, match="is not in this version of minigrad"):
        replay(saved)
    code = f"import minigrad; print(minigrad.replay({str(saved)!r}))"
    rewrite(saved, module="minigrad.ops.elementwise")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.startswith("log: its result holds the first value")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("minigrad.ops.elementwise", "Gone"),
        ("minigrad.ops.elementwise", "log"),
        ("minigrad.ops.elementwise", "Log.forward"),
        ("minigrad.ops.elementwise", "np.ndarray"),
        ("minigrad.autograd.function", "Function"),
        ("os", "system"),
    ],
)
def test_a_name_that_is_no_operation(saved, module, name) -> None:
    rewrite(saved, module=module, qualname=name)
    with pytest.raises(ValueError, match="is not a Function there any more; pass the class"):
        replay(saved)
