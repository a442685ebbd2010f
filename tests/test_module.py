"""Module: what it finds among its attributes, modes, hooks, wrong use, how it is shown; see test_module_state.py."""

from __future__ import annotations

import numpy as np
import pytest

from minigrad import nn
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


# -- finding the parts -------------------------------------------------------------------------------------------------


def test_parameters_buffers_and_modules_are_found_in_the_order_in_which_they_were_set():
    net = nn.Sequential(Block(), nn.BatchNorm2d(4))
    block, norm = net
    assert [name for name, _ in net.named_parameters()] == [
        "0.scale",
        "0.fc.weight",
        "0.fc.bias",
        "1.weight",
        "1.bias",
    ]
    assert [p is q for p, q in zip(net.parameters(), [block.scale, block.fc.weight], strict=False)] == [True, True]
    assert [name for name, _ in net.named_buffers()] == [
        "0.steps",
        "1.running_mean",
        "1.running_var",
        "1.num_batches_tracked",
    ]
    assert [name for name, _ in net.named_modules()] == ["", "0", "0.fc", "0.act", "1"]
    assert list(net.modules()) == [net, block, block.fc, block.act, norm]
    assert [name for name, _ in block.named_children()] == ["fc", "act"]
    assert list(block.children()) == [block.fc, block.act]


def test_without_recurse_only_a_modules_own_parameters_and_buffers_are_given():
    block = Block()
    assert [name for name, _ in block.named_parameters(recurse=False)] == ["scale"]
    assert list(map(id, block.parameters(recurse=False))) == [id(block.scale)]
    assert [name for name, _ in block.named_buffers(recurse=False)] == ["steps"]
    assert list(map(id, block.buffers(recurse=False))) == [id(block.steps)]
    assert list(nn.Sequential(block).parameters(recurse=False)) == []


def test_shared_parameters_and_modules_are_given_once():
    tied = Tied()
    assert [name for name, _ in tied.named_parameters()] == ["first.weight", "first.bias", "second.bias"]
    assert [name for name, _ in tied.named_modules()] == ["", "first", "second"]
    assert [name for name, _ in tied.named_children()] == ["first", "second"]


def test_a_buffer_may_be_none_and_is_left_out_then():
    module = nn.Module()
    module.register_buffer("mean", None)
    assert list(module.buffers()) == [] and module.state_dict() == {}
    module.mean = Tensor([1.0])
    assert list(module.state_dict()) == ["mean"]


def test_a_deleted_or_replaced_attribute_is_no_part_any_more():
    block = Block()
    del block.fc, block.steps
    block.scale = None
    assert block.state_dict() == {}


def test_call_runs_forward_with_all_arguments():
    class Sum(nn.Module):
        def forward(self, a, b, *, c):
            return a + b + c

    assert Sum()(1, 2, c=3) == 6


def test_apply_reaches_children_before_their_parent_and_returns_the_module():
    net, seen = nn.Sequential(Block(), nn.ReLU()), []
    assert net.apply(lambda module: seen.append(type(module).__name__)) is net
    assert seen == ["Linear", "Tanh", "Block", "ReLU", "Sequential"]


def test_train_and_eval_set_every_module_and_return_it():
    net = nn.Sequential(Block(), nn.Dropout())
    assert all(module.training for module in net.modules())
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    assert net.train() is net
    assert all(module.training for module in net.modules())


def test_zero_grad_forgets_all_gradients():
    block = Block()
    block(images(4, 3)).sum().backward()
    assert all(p.grad is not None for p in block.parameters())
    block.zero_grad()
    assert all(p.grad is None for p in block.parameters())


def test_frozen_parameters_get_no_gradient():
    block = Block()
    assert block.fc.requires_grad_(False) is block.fc
    block(images(4, 3)).sum().backward()
    assert block.fc.weight.grad is None and block.scale.grad is not None
    block.requires_grad_()
    assert all(p.requires_grad for p in block.parameters())


# -- hooks -------------------------------------------------------------------------------------------------------------


def test_forward_hooks_see_module_arguments_and_output_in_order_and_can_be_removed():
    layer, seen = nn.Linear(3, 2), []
    handles = [layer.register_forward_hook(lambda *call, n=n: seen.append((n, *call))) for n in range(2)]
    x = images(1, 3)
    y = layer(x)
    assert [(n, module, args[0] is x, output is y) for n, module, args, output in seen] == [
        (0, layer, True, True),
        (1, layer, True, True),
    ]
    handles[0].remove()
    handles[0].remove()  # removing twice is no error
    layer(x)
    assert [n for n, *_ in seen] == [0, 1, 1]


def test_a_hook_registered_twice_is_removed_once_by_each_handle():
    layer, calls = nn.Identity(), []

    def hook(module, args, output):
        calls.append(output)

    handles = [layer.register_forward_hook(hook) for _ in range(2)]
    handles[0].remove()
    handles[0].remove()
    layer("x")
    assert calls == ["x"]
    handles[1].remove()
    layer("y")
    assert calls == ["x"]


def test_what_a_forward_hook_returns_replaces_the_output_for_the_next_hook_too():
    layer = nn.Identity()
    layer.register_forward_hook(lambda module, args, output: output + 1)
    layer.register_forward_hook(lambda module, args, output: output * 10)
    assert layer(1) == 20


def test_a_hook_may_remove_itself_while_it_runs():
    layer, calls = nn.Identity(), []

    def once(module, args, output):
        calls.append("once")
        handle.remove()

    handle = layer.register_forward_hook(once)
    layer.register_forward_hook(lambda module, args, output: calls.append("other"))
    layer(0)
    layer(0)
    assert calls == ["once", "other", "other"]


# -- wrong use ---------------------------------------------------------------------------------------------------------


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match=r"Block2: define forward\(self, ...\)"):
        type("Block2", (nn.Module,), {})()(1)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "scale",
            Tensor([1.0]),
            r"Block\.scale is a Parameter, got a Tensor; assign a Parameter, or .* scale\.data = ",
        ),
        ("scale", 1.0, r"Block\.scale is a Parameter, got a float"),
        ("fc", Tensor([1.0]), r"Block\.fc is a Module, got a Tensor; assign a Module or None"),
        ("steps", 1, r"Block\.steps is a buffer: expected a Tensor that is no Parameter, got a int"),
        ("steps", nn.Parameter([1.0]), r"Block\.steps is a buffer: expected a Tensor .* got a Parameter"),
    ],
)
def test_a_part_is_not_replaced_by_a_value_of_another_kind(name, value, message):
    block = Block()
    before = vars(block)[name]
    with pytest.raises(TypeError, match=message):
        setattr(block, name, value)
    assert vars(block)[name] is before


def test_names_and_kinds_of_buffers_and_modules_are_checked():
    block = Block()
    with pytest.raises(
        ValueError, match=r"register_buffer: a name is a string, not empty and without dots, got 'a\.b'"
    ):
        block.register_buffer("a.b", Tensor(1.0))
    with pytest.raises(ValueError, match="add_module: a name is a string, not empty and without dots, got ''"):
        block.add_module("", nn.ReLU())
    with pytest.raises(ValueError, match="add_module: Block already has an attribute 'fc'"):
        block.add_module("fc", nn.ReLU())
    with pytest.raises(ValueError, match="register_buffer: Block already has an attribute 'forward'"):
        block.register_buffer("forward", Tensor(1.0))
    with pytest.raises(TypeError, match="register_buffer: mean is a buffer: expected a Tensor .* got a float"):
        block.register_buffer("mean", 1.0)
    with pytest.raises(TypeError, match="Block: 'act2' must be a Module, got a function"):
        block.add_module("act2", images)
    with pytest.raises(TypeError, match=r"'act2' must be a Module, got the class ReLU; write ReLU\(\.\.\.\)"):
        block.add_module("act2", nn.ReLU)


def test_modes_and_hooks_are_checked():
    with pytest.raises(TypeError, match="train: mode must be True or False, got 1"):
        nn.ReLU().train(1)
    with pytest.raises(TypeError, match=r"register_forward_hook: expected a function .* got 3"):
        nn.ReLU().register_forward_hook(3)


def test_integers_are_no_parameters():
    with pytest.raises(TypeError, match="only floating tensors can require a gradient; this one is int64"):
        nn.Parameter([1, 2])


def test_a_parameter_of_a_tensor_is_a_leaf_on_its_backend(backend):
    source = Tensor([1.0], requires_grad=True, backend=backend) * 2.0
    parameter = nn.Parameter(source)
    assert parameter.is_leaf and parameter.requires_grad and parameter.backend.name == backend
    assert not nn.Parameter([1.0], requires_grad=False).requires_grad


# -- how it is shown ---------------------------------------------------------------------------------------------------


def test_a_network_is_shown_as_pytorch_shows_it():
    net = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2)),
        nn.Flatten(),
        nn.LazyLinear(10, bias=False),
    )
    assert repr(net).splitlines() == [
        "Sequential(",
        "  (0): Sequential(",
        "    (0): Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))",
        "    (1): Sigmoid()",
        "    (2): AvgPool2d(kernel_size=2, stride=2, padding=0)",
        "  )",
        "  (1): Flatten(start_dim=1, end_dim=-1)",
        "  (2): LazyLinear(in_features=0, out_features=10, bias=False)",
        ")",
    ]


def test_a_module_with_options_and_children_shows_both():
    class Scaled(Block):
        def extra_repr(self):
            return "factor=2"

    assert repr(Scaled()).splitlines()[:3] == [
        "Scaled(",
        "  factor=2",
        "  (fc): Linear(in_features=3, out_features=2, bias=True)",
    ]
    assert repr(nn.Sequential()) == "Sequential()"
