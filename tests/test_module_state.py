"""Module: state_dict and load_state_dict, copies, and moves to another backend or dtype; see test_module.py."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from minigrad import nn
from minigrad.backends import BackendError
from minigrad.tensor import Tensor


class Block(nn.Module):
    """A parameter, a buffer, two children and a plain tensor; it does not call super().__init__(), and need not."""

    def __init__(self):
        self.scale = nn.Parameter([2.0])
        self.fc = nn.Linear(3, 2)
        self.register_buffer("steps", Tensor(0))
        self.act = nn.Tanh()
        self.plain = Tensor([1.0])

    def forward(self, x):
        return self.act(self.fc(x)) * self.scale


class Tied(nn.Module):
    """Two layers that share a weight, and one layer that is there twice."""

    def __init__(self):
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.third = self.first


def images(*shape: int) -> Tensor:
    return Tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def arrays(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


# -- state -------------------------------------------------------------------------------------------------------------


def test_state_dict_holds_parameters_then_buffers_of_each_module_and_no_graph():
    state = nn.Sequential(Block()).state_dict()
    assert list(state) == ["0.scale", "0.steps", "0.fc.weight", "0.fc.bias"]
    assert all(type(tensor) is Tensor and not tensor.requires_grad for tensor in state.values())


def test_state_dict_names_a_shared_tensor_each_time():
    assert list(Tied().state_dict()) == [
        *("first.weight", "first.bias", "second.weight", "second.bias", "third.weight", "third.bias")
    ]


def test_state_dict_is_a_snapshot():
    layer = nn.Linear(3, 2)
    state = layer.state_dict()
    before = {name: tensor.numpy() for name, tensor in state.items()}
    nn.init.constant_(layer.weight, 7.0)
    nn.init.constant_(layer.bias, 7.0)
    for name, tensor in state.items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])


def test_a_loaded_state_makes_another_module_equal_and_reports_nothing():
    one, other = Block(), Block()
    one.steps.data = one.steps.data + 5
    assert other.load_state_dict(one.state_dict()) == ([], [])
    for name, array in arrays(one).items():
        np.testing.assert_array_equal(arrays(other)[name], array)
    assert other.fc.weight.requires_grad and isinstance(other.fc.weight, nn.Parameter)


def test_loading_keeps_the_parameter_objects_and_their_dtypes():
    layer = nn.Linear(2, 1)
    weight = layer.weight
    layer.load_state_dict({"weight": np.array([[1.0, 2.0]], np.float64), "bias": Tensor([3])})
    assert layer.weight is weight and layer.weight.dtype == layer.bias.dtype == np.float32
    assert layer.weight.tolist() == [[1.0, 2.0]] and layer.bias.tolist() == [3.0]


def test_a_loaded_numpy_array_may_be_changed_afterwards():
    layer, weight = nn.Linear(2, 1, bias=False), np.array([[1.0, 2.0]], np.float32)
    layer.load_state_dict({"weight": weight})
    weight[:] = 0
    assert layer.weight.tolist() == [[1.0, 2.0]]


def test_a_state_goes_to_the_backend_of_the_parameters(backend):
    layer = nn.Linear(2, 1, bias=False).to(backend)
    layer.load_state_dict({"weight": Tensor([[1.0, 2.0]], backend="numpy")})
    assert layer.weight.backend.name == backend and layer.weight.tolist() == [[1.0, 2.0]]


def test_a_state_that_does_not_fit_is_refused_with_every_reason_and_changes_nothing():
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm2d(2))
    before = arrays(net)
    state = {**net.state_dict(), "0.weight": np.zeros((2, 4)), "extra": Tensor(1.0), "more": Tensor(1.0)}
    state["0.bias"] = np.ones(2)  # fits, and must not be loaded either
    state["1.num_batches_tracked"] = np.array(0.5)
    del state["1.running_mean"], state["1.running_var"]
    with pytest.raises(ValueError) as caught:
        net.load_state_dict(state)
    assert str(caught.value).splitlines() == [
        "load_state_dict: the state does not fit this Sequential",
        "  missing: 1.running_mean, 1.running_var",
        "  unexpected: extra, more",
        "  unfit: 0.weight has shape (2, 4), expected (2, 3), 1.num_batches_tracked has dtype float64, expected int64",
    ]
    for name, array in arrays(net).items():
        np.testing.assert_array_equal(array, before[name])


def test_without_strict_other_names_are_allowed_and_reported_but_not_other_shapes():
    layer = nn.Linear(2, 1)
    result = layer.load_state_dict({"weight": np.ones((1, 2)), "extra": np.ones(1)}, strict=False)
    assert result.missing_keys == ["bias"] and result.unexpected_keys == ["extra"]
    assert layer.weight.tolist() == [[1.0, 1.0]]
    with pytest.raises(ValueError, match=r"unfit: weight has shape \(2,\), expected \(1, 2\)$"):
        layer.load_state_dict({"weight": np.zeros(2)}, strict=False)
    assert layer.weight.tolist() == [[1.0, 1.0]]


def test_loading_what_is_no_state_says_what_is_expected():
    layer = nn.Linear(2, 1)
    with pytest.raises(TypeError, match="load_state_dict: expected a dict of Tensors by name, got a str"):
        layer.load_state_dict("weights.safetensors")
    before = layer.weight.tolist()
    with pytest.raises(TypeError, match="load_state_dict: bias must be a Tensor or an array, got a list"):
        layer.load_state_dict({"weight": np.ones((1, 2)), "bias": [0.0]})
    assert layer.weight.tolist() == before


# -- copies and moves --------------------------------------------------------------------------------------------------


def test_a_deep_copy_is_equal_independent_and_keeps_sharing():
    tied = Tied()
    tied.first.weight.grad = Tensor(np.ones((3, 3), np.float32))
    twin = copy.deepcopy(tied)
    assert twin.second.weight is twin.first.weight is twin.third.weight and twin.third is twin.first
    assert isinstance(twin.first.weight, nn.Parameter) and twin.first.weight.requires_grad
    assert twin.first.weight.grad.tolist() == tied.first.weight.grad.tolist()
    assert not np.shares_memory(twin.first.weight.grad.data, tied.first.weight.grad.data)
    for name, array in arrays(tied).items():
        np.testing.assert_array_equal(arrays(twin)[name], array)
    before = tied.first.weight.tolist()
    nn.init.zeros_(twin.first.weight)
    assert tied.first.weight.tolist() == before


def test_a_pickled_module_comes_back_with_its_state_and_its_sharing():
    twin = pickle.loads(pickle.dumps(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm2d(2)).eval()))
    assert not twin.training and isinstance(twin[0].weight, nn.Parameter) and twin[0].weight.requires_grad
    assert list(twin.state_dict())[-1] == "1.num_batches_tracked"
    tied = pickle.loads(pickle.dumps(Tied()))
    assert tied.second.weight is tied.first.weight


def test_to_a_dtype_converts_floating_tensors_and_gradients_in_place():
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm2d(2))
    parameters = list(net.parameters())
    net[0](images(4, 3)).sum().backward()
    values = net[0].weight.tolist()
    assert net.to("float64") is net
    assert all(p is q for p, q in zip(net.parameters(), parameters, strict=True))
    assert {name: str(tensor.dtype) for name, tensor in net.named_buffers()} == {
        "1.running_mean": "float64",
        "1.running_var": "float64",
        "1.num_batches_tracked": "int64",
    }
    assert net[0].weight.dtype == net[0].weight.grad.dtype == np.float64
    assert net[0].weight.tolist() == values and net[0].weight.is_leaf and net[0].weight.requires_grad
    net.to(np.float32)
    assert net[0].weight.dtype == np.float32


def test_to_a_backend_moves_every_tensor(backend):
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm2d(2))
    net[0](images(4, 3)).sum().backward()
    net.to("numpy").to(backend)
    assert {tensor.backend.name for tensor in (*net.parameters(), *net.buffers())} == {backend}
    assert net[0].weight.grad.backend.name == backend


def test_to_refuses_other_targets_and_changes_nothing():
    net = nn.Linear(3, 2)
    with pytest.raises(TypeError, match="to: parameters can be float32 or float64, not int64"):
        net.to("int64")
    with pytest.raises(BackendError, match="there is no backend named 'tpu'"):
        net.to("tpu")
    assert net.weight.dtype == np.float32
