"""nn and optim side by side with PyTorch, where it is installed; minigrad's own tests do not need it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minigrad import nn, optim
from minigrad.random import manual_seed
from minigrad.tensor import Tensor

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")


OPTIONS_NOT_HERE = (  # as PyTorch shows them
    ", dilation=1, ceil_mode=False",
    ", bias=True, track_running_stats=True",
    ", track_running_stats=True",
    "beta=1.0, threshold=20.0",
)


def lenet5(nn_):
    """The book's LeNet-5 of either library."""
    return nn_.Sequential(
        *(nn_.Conv2d(1, 6, 5, padding=2), nn_.Sigmoid(), nn_.AvgPool2d(2)),
        *(nn_.Conv2d(6, 16, 5), nn_.Sigmoid(), nn_.AvgPool2d(2), nn_.Flatten()),
        *(nn_.Linear(400, 120), nn_.Sigmoid(), nn_.Linear(120, 84), nn_.Sigmoid(), nn_.Linear(84, 10)),
    )


def modern(nn_):
    """A network of the other layers of either library."""
    return nn_.Sequential(
        *(nn_.LazyConv2d(8, 3, stride=2, padding=1, bias=False), nn_.BatchNorm2d(8), nn_.ReLU(), nn_.MaxPool2d(2)),
        *(nn_.Conv2d(8, 12, (3, 2), padding="same", dilation=2, groups=4), nn_.LeakyReLU(0.1)),
        *(nn_.AvgPool2d(3, 2, 1), nn_.Flatten(), nn_.LazyLinear(20), nn_.Tanh(), nn_.Linear(20, 10), nn_.Softplus()),
    )


def torch_state(model) -> dict:
    return {name: torch.from_numpy(tensor.numpy()) for name, tensor in model.state_dict().items()}


def batch(n: int = 16):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 1, 28, 28)).astype(np.float32), rng.integers(0, 10, n)


@pytest.mark.parametrize("build", [lenet5, modern])
def test_the_state_has_the_same_names_shapes_and_dtypes_and_is_shown_alike(build):
    x, _ = batch(2)
    ours, theirs = build(nn), build(torch.nn)
    ours(Tensor(x)), theirs(torch.from_numpy(x))

    def described(model):
        return [(k, tuple(v.shape), str(v.dtype).removeprefix("torch.")) for k, v in model.state_dict().items()]

    assert described(ours) == described(theirs)
    assert [name for name, _ in ours.named_modules()] == [name for name, _ in theirs.named_modules()]
    shown = repr(theirs)
    for option in OPTIONS_NOT_HERE:
        shown = shown.replace(option, "")
    assert repr(ours) == shown


@pytest.mark.parametrize("build", [lenet5, modern])
def test_a_state_goes_both_ways_and_gives_the_same_logits_in_training_and_evaluation(build):
    x, _ = batch()
    ours, theirs = build(nn), build(torch.nn)
    theirs(torch.from_numpy(x))
    ours.load_state_dict({name: tensor.numpy() for name, tensor in theirs.state_dict().items()})
    theirs.load_state_dict(torch_state(ours))
    for mode in (True, False):
        ours.train(mode), theirs.train(mode)
        expected = theirs(torch.from_numpy(x)).detach().numpy()
        np.testing.assert_allclose(ours(Tensor(x)).numpy(), expected, rtol=1e-4, atol=1e-5)
    for name, tensor in ours.state_dict().items():
        np.testing.assert_allclose(tensor.numpy(), theirs.state_dict()[name].numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("build", [lenet5, modern])
def test_thirty_training_steps_give_the_same_losses(build, on_backend):
    x, labels = batch()
    manual_seed(0)
    ours, theirs = build(nn), build(torch.nn)
    ours(Tensor(x)), theirs(torch.from_numpy(x))
    theirs.load_state_dict(torch_state(ours))
    our_optimizer = optim.SGD(ours.parameters(), lr=0.1, momentum=0.5)
    their_optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.5)
    our_loss, their_loss = nn.CrossEntropyLoss(), torch.nn.CrossEntropyLoss()
    for _ in range(30):
        losses = our_loss(ours(Tensor(x)), labels), their_loss(theirs(torch.from_numpy(x)), torch.from_numpy(labels))
        assert abs(losses[0].item() - losses[1].item()) < 1e-4
        for loss, optimizer in zip(losses, (our_optimizer, their_optimizer), strict=True):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"lr": 0.1}),
        ("SGD", {"lr": 0.1, "weight_decay": 0.01}),
        ("SGD", {"lr": 0.1, "momentum": 0.9}),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.01}),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
        ("Adam", {}),
        ("Adam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.1}),
        ("AdamW", {}),
        ("AdamW", {"lr": 0.01, "weight_decay": 0.3}),
    ],
)
def test_a_hundred_updates_are_equal_to_rounding(name, options, dtype):
    rng = np.random.default_rng(0)
    start = rng.standard_normal((30, 20)).astype(dtype)
    p, q = nn.Parameter(start), torch.nn.Parameter(torch.from_numpy(start.copy()))
    ours, theirs = getattr(optim, name)([p], **options), getattr(torch.optim, name)([q], **options)
    largest = np.abs(start)
    for _ in range(100):
        grad = rng.standard_normal((30, 20)).astype(dtype)
        p.grad, q.grad = Tensor(grad), torch.from_numpy(grad.copy())
        ours.step(), theirs.step()
        largest = np.maximum(largest, np.abs(p.numpy()))
    assert p.dtype == dtype
    # Each step may round by a few units in the last place of the weight.
    assert (np.abs(p.numpy() - q.detach().numpy()) <= 100 * np.finfo(dtype).eps * largest).all()
    group, their_group = (o.state_dict()["param_groups"][0] for o in (ours, theirs))
    assert {name: their_group[name] for name in group} == group
    state = {k: v for k, v in theirs.state_dict()["state"].get(0, {}).items() if v is not None}
    assert set(ours.state_dict()["state"].get(0, {})) == set(state)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("StepLR", {"step_size": 3}),
        ("StepLR", {"step_size": 1, "gamma": 0.9}),
        ("CosineAnnealingLR", {"T_max": 10}),
        ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
    ],
)
def test_schedules_give_the_same_rates_for_fifty_epochs(name, arguments):
    p, q = nn.Parameter([1.0]), torch.nn.Parameter(torch.ones(1))
    ours = getattr(optim, name)(optim.SGD([p], lr=0.3), **arguments)
    their_optimizer = torch.optim.SGD([q], lr=0.3)
    theirs = getattr(torch.optim.lr_scheduler, name)(their_optimizer, **arguments)
    for _ in range(50):
        assert ours.get_last_lr() == pytest.approx(theirs.get_last_lr(), rel=1e-9, abs=1e-12)
        their_optimizer.step()
        ours.step(), theirs.step()


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("max_norm", [0.5, 1e4])
def test_clipping_gives_the_same_norm_and_gradients(norm_type, max_norm):
    rng = np.random.default_rng(0)
    grads = [rng.standard_normal(shape).astype(np.float32) for shape in ((4, 5), (7,), ())]
    ours = [nn.Parameter(np.zeros(g.shape, np.float32)) for g in grads]
    theirs = [torch.nn.Parameter(torch.zeros(g.shape)) for g in grads]
    for p, q, g in zip(ours, theirs, grads, strict=True):
        p.grad, q.grad = Tensor(g), torch.tensor(g)
    norm = optim.clip_grad_norm_(ours, max_norm, norm_type)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert norm.item() == pytest.approx(expected.item(), rel=1e-5)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-5)


@pytest.mark.parametrize("name", ["linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_gains_are_the_same(name):
    assert nn.init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))
    if name == "leaky_relu":
        assert nn.init.calculate_gain(name, 0.3) == pytest.approx(torch.nn.init.calculate_gain(name, 0.3))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("xavier_uniform_", {"gain": 2.0}),
        ("xavier_normal_", {}),
        ("kaiming_uniform_", {"a": 0.5, "mode": "fan_out"}),
        ("kaiming_normal_", {"nonlinearity": "relu"}),
    ],
)
def test_initial_values_have_the_same_spread(name, options):
    manual_seed(0)
    torch.manual_seed(0)
    ours = getattr(nn.init, name)(nn.Parameter(np.zeros((300, 20, 5, 3), np.float32)), **options).numpy()
    theirs = getattr(torch.nn.init, name)(torch.empty(300, 20, 5, 3), **options).numpy()
    assert ours.std() == pytest.approx(theirs.std(), rel=0.02)
    assert abs(ours.mean()) < 0.02 * ours.std()


@pytest.mark.parametrize("make", [lambda nn_: nn_.Linear(50, 400), lambda nn_: nn_.Conv2d(4, 400, 5, groups=2)])
def test_layers_start_with_the_same_spread(make):
    manual_seed(0)
    torch.manual_seed(0)
    ours, theirs = make(nn), make(torch.nn)
    for p, q in ((ours.weight, theirs.weight), (ours.bias, theirs.bias)):
        q = q.detach().numpy()
        assert p.numpy().std() == pytest.approx(q.std(), rel=0.1)
        assert np.abs(p.numpy()).max() == pytest.approx(np.abs(q).max(), rel=0.02)
