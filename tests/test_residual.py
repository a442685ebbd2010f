"""The residual network: what its layers are, gradients of a block, and the same network in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, gradcheck_module, nn, optim
from minigrad.models import summary
from minigrad.residual import GlobalAveragePool, ResidualBlock, resnet


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


# -- the layers ----------------------------------------------------------------------------------------------------


def test_the_default_has_three_stages_and_the_parameters_that_its_docstring_says():
    table = summary(resnet(), (2, 1, 28, 28))
    ends = [layer.output_shape for layer in table.layers if layer.name.endswith(".relu")]
    assert ends == [(2, 32, 14, 14), (2, 64, 7, 7), (2, 128, 4, 4)]
    assert table.layers[-1].output_shape == (2, 10)
    assert table.parameters == 308_074 and "308,074" in resnet.__doc__


def test_widths_blocks_and_classes_are_as_asked_for():
    model = resnet(widths=(3, 5), blocks=2, classes=4)
    blocks = [layer for layer in model if isinstance(layer, ResidualBlock)]
    assert [block.residual[0].weight.shape[:2] for block in blocks] == [(3, 3), (3, 3), (5, 3), (5, 5)]
    assert [block.residual[0].stride for block in blocks] == [(1, 1), (1, 1), (2, 2), (1, 1)]
    assert [isinstance(block.shortcut, nn.Identity) for block in blocks] == [True, True, False, True]
    assert model(Tensor(np.zeros((2, 1, 33, 20), np.float32))).shape == (2, 4)


def test_a_block_whose_residual_is_zero_hands_on_what_is_positive():
    block = ResidualBlock(3, 3)
    nn.init.zeros_(block.residual[-1].weight)
    x = draw(2, 3, 5, 4).astype(np.float32)
    assert np.array_equal(block(Tensor(x)).numpy(), np.maximum(x, 0))


def test_weights_come_from_the_seed():
    first, second = (minigrad.manual_seed(3) and resnet((2, 4)).state_dict() for _ in range(2))
    assert all(np.array_equal(first[name].numpy(), second[name].numpy()) for name in first)
    # of 9 weights for each of 64 outputs: std = sqrt(2 / (9 64))
    assert resnet((64,))[0].weight.numpy().std() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.1)


@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_of_a_block(on_backend, stride):
    minigrad.manual_seed(0)
    model = nn.Sequential(ResidualBlock(2, 3, stride), GlobalAveragePool())
    assert gradcheck_module(model, minigrad.cross_entropy, (draw(3, 2, 5, 4), np.array([0, 2, 1])))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: resnet(16), TypeError, r"resnet: widths must be a tuple such as \(32, 64, 128\), got 16"),
        (lambda: resnet(()), ValueError, "resnet: widths is empty, there is no stage"),
        (lambda: resnet((16, 0)), ValueError, "resnet: each of widths must be at least 1, got 0"),
        (lambda: resnet(blocks=0), ValueError, "resnet: blocks must be at least 1, got 0"),
        (lambda: resnet(classes="ten"), TypeError, "resnet: classes must be an integer, got 'ten'"),
        (lambda: ResidualBlock(0, 1), ValueError, "ResidualBlock: in_channels must be at least 1, got 0"),
        (lambda: ResidualBlock(1, 1.5), TypeError, "ResidualBlock: out_channels must be an integer, got 1.5"),
        (lambda: ResidualBlock(1, 1, 0), ValueError, "ResidualBlock: stride must be at least 1, got 0"),
        (
            lambda: GlobalAveragePool()(Tensor([1.0])),
            ValueError,
            r"GlobalAveragePool: expected input \(N, C, H, W\), got shape \(1,\)",
        ),
    ],
)
def test_what_does_not_fit_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


# -- beside PyTorch ------------------------------------------------------------------------------------------------


def torch_resnet(torch, widths):
    """The same network in PyTorch, its parameters under the same names."""

    class Block(torch.nn.Module):
        def __init__(self, C, O, stride):
            super().__init__()
            convolution, norm = torch.nn.Conv2d, torch.nn.BatchNorm2d
            self.residual = torch.nn.Sequential(
                *(convolution(C, O, 3, stride, padding=1, bias=False), norm(O), torch.nn.ReLU()),
                *(convolution(O, O, 3, padding=1, bias=False), norm(O)),
            )
            self.shortcut = torch.nn.Identity()
            if stride > 1 or C != O:
                self.shortcut = torch.nn.Sequential(convolution(C, O, 1, stride, bias=False), norm(O))

        def forward(self, x):
            return torch.relu(self.residual(x) + self.shortcut(x))

    class Pool(torch.nn.Module):
        def forward(self, x):
            return x.mean(dim=(2, 3))

    first = widths[0]
    stem = (torch.nn.Conv2d(1, first, 3, padding=1, bias=False), torch.nn.BatchNorm2d(first))
    stages = [Block(C, O, 1 + (C != O)) for C, O in zip((first, *widths), widths, strict=False)]
    head = (Pool(), torch.nn.Linear(widths[-1], 10))
    return torch.nn.Sequential(*stem, torch.nn.ReLU(), torch.nn.MaxPool2d(2), *stages, *head)


def test_five_steps_and_the_test_after_them_are_pytorchs(backends):
    torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    images, labels = draw(5, 12, 1, 14, 14), np.arange(60).reshape(5, 12) * 7 % 10
    options = {"lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4, "nesterov": True}
    for backend in backends:
        with minigrad.use_backend(backend):
            minigrad.manual_seed(1)
            ours, theirs = resnet((4, 6, 8)), torch_resnet(torch, (4, 6, 8))
            theirs.load_state_dict({name: torch.from_numpy(t.numpy()) for name, t in ours.state_dict().items()})
            ours.to("float64")
            theirs.double()
            sgd, their_sgd = optim.SGD(ours.parameters(), **options), torch.optim.SGD(theirs.parameters(), **options)
            for x, y in zip(images, labels, strict=True):
                loss = nn.functional.cross_entropy(ours(Tensor(x)), Tensor(y))
                their_loss = torch.nn.functional.cross_entropy(theirs(torch.from_numpy(x)), torch.from_numpy(y))
                assert loss.item() == pytest.approx(their_loss.item(), rel=1e-9)
                for optimizer, each in ((sgd, loss), (their_sgd, their_loss)):
                    optimizer.zero_grad()
                    each.backward()
                    optimizer.step()
            logits = ours.eval()(Tensor(images[0])).numpy()
            their_logits = theirs.eval()(torch.from_numpy(images[0])).detach().numpy()
            np.testing.assert_allclose(logits, their_logits, rtol=1e-8)
