"""The book's LeNet chapter in the words of its readers, and each of the methods that they override."""

from __future__ import annotations

import copy
import inspect
import math
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import minigrad
from minigrad import d2l, nn
from minigrad import torch_like as torch
from minigrad.d2l.display import notebook
from minigrad.data import ArrayDataset, DataLoader
from minigrad.data import FashionMNIST as Clothes
from minigrad.models import lenet5
from minigrad.nn import functional as F
from minigrad.train import NonFiniteLoss, TrainingRun

pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def clothes():
    return d2l.FashionMNIST(batch_size=128)


@pytest.fixture
def few(clothes):
    """The first 640 and 256 of them: five batches and two."""
    data = copy.copy(clothes)
    data.train, data.val = data.train.take(640), data.val.take(256)
    return data


# ------------------------------------------------------------------------------------------------------ the chapter


def init_cnn(module):
    """Initialize weights for CNNs."""
    if type(module) == nn.Linear or type(module) == nn.Conv2d:  # noqa: E721
        nn.init.xavier_uniform_(module.weight)


class LeNet(d2l.Classifier):
    """The LeNet-5 model."""

    def __init__(self, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.LazyConv2d(6, kernel_size=5, padding=2),
            nn.Sigmoid(),
            nn.AvgPool2d(kernel_size=2, stride=2),
            nn.LazyConv2d(16, kernel_size=5),
            nn.Sigmoid(),
            nn.AvgPool2d(kernel_size=2, stride=2),
            nn.Flatten(),
            nn.LazyLinear(120),
            nn.Sigmoid(),
            nn.LazyLinear(84),
            nn.Sigmoid(),
            nn.LazyLinear(num_classes),
        )


SHAPES = """\
Conv2d output shape:\t (1, 6, 28, 28)
Sigmoid output shape:\t (1, 6, 28, 28)
AvgPool2d output shape:\t (1, 6, 14, 14)
Conv2d output shape:\t (1, 16, 10, 10)
Sigmoid output shape:\t (1, 16, 10, 10)
AvgPool2d output shape:\t (1, 16, 5, 5)
Flatten output shape:\t (1, 400)
Linear output shape:\t (1, 120)
Sigmoid output shape:\t (1, 120)
Linear output shape:\t (1, 84)
Sigmoid output shape:\t (1, 84)
Linear output shape:\t (1, 10)
"""


def test_the_chapter_runs_cell_by_cell(few, capsys, monkeypatch) -> None:
    before = d2l.Classifier.layer_summary
    monkeypatch.setattr(d2l.Classifier, "layer_summary", before)  # which puts it back afterwards

    @d2l.add_to_class(d2l.Classifier)
    def layer_summary(self, X_shape):
        X = torch.randn(*X_shape)
        for layer in self.net:
            X = layer(X)
            print(layer.__class__.__name__, "output shape:\t", X.shape)

    model = LeNet()
    model.layer_summary((1, 1, 28, 28))
    assert capsys.readouterr().out == SHAPES

    trainer = d2l.Trainer(max_epochs=2, num_gpus=1)
    data = few
    model = LeNet(lr=0.1)
    model.apply_init([next(iter(data.get_dataloader(True)))[0]], init_cnn)
    trainer.fit(model, data)

    lines = model.board.data
    assert list(lines) == ["train_loss", "val_loss", "val_acc"]
    assert [point.x for point in lines["train_loss"]] == pytest.approx([0.1, 0.5, 0.9, 1.3, 1.7])
    assert [point.x for point in lines["val_acc"]] == [1, 2]
    assert lines["val_loss"][-1].y == pytest.approx(math.log(10), abs=0.05), "the plateau"
    assert (trainer.epoch, trainer.train_batch_idx, trainer.val_batch_idx) == (1, 10, 4)
    assert model.board.title == "LeNet: lr 0.1, num_classes 10;  batch_size 128"
    assert Path("LeNet.png").read_bytes().startswith(b"\x89PNG")
    assert "the picture is in LeNet.png" in capsys.readouterr().out


def test_the_layers_print_as_the_book_prints_them(capsys) -> None:
    d2l.LeNet().layer_summary((1, 1, 28, 28))
    assert capsys.readouterr().out == SHAPES


def test_the_gpu_is_used_where_there_is_one_and_what_is_used_is_said_once(few, capsys, monkeypatch) -> None:
    monkeypatch.setattr("minigrad.d2l.devices._said", set())
    trainers = [d2l.Trainer(max_epochs=1, num_gpus=1) for _ in range(2)]
    out = capsys.readouterr().out
    assert out.count("training on the") == 1
    assert [bool(trainer.gpus) for trainer in trainers] == [bool(d2l.num_gpus())] * 2
    assert d2l.try_gpu() is (d2l.gpu() if d2l.num_gpus() else d2l.cpu())
    model = d2l.SoftmaxRegression(10, lr=0.1)
    model.board.display = False
    trainers[0].fit(model, few)
    assert {parameter.backend for parameter in model.parameters()} == {d2l.try_gpu()}


def test_without_a_gpu_the_processor_is_taken_and_the_reason_given(capsys, monkeypatch) -> None:
    monkeypatch.setattr("minigrad.d2l.devices._said", set())
    monkeypatch.setattr("minigrad.d2l.trainer.why_no_gpu", lambda: "no driver")
    assert d2l.Trainer(max_epochs=1, num_gpus=1).gpus == []
    assert capsys.readouterr().out == f"training on the CPU, with the {d2l.cpu().name} backend: no driver\n"
    d2l.Trainer(max_epochs=1)
    assert capsys.readouterr().out == ""


def test_the_trainer_makes_the_steps_that_a_training_run_makes(few) -> None:
    """The same weights, bit for bit, from the same seed."""
    minigrad.manual_seed(0)
    run_model = lenet5()
    start = run_model.state_dict()
    run = TrainingRun(
        run_model,
        torch.optim.SGD(run_model.parameters(), lr=0.5),
        DataLoader(few.train, 128, shuffle=True),
        few.val_dataloader(),
    )
    minigrad.manual_seed(1)
    (epoch,) = run.epochs(1)

    model = d2l.LeNet(lr=0.5)
    model.board.display = False
    model.net.load_state_dict(start)
    minigrad.manual_seed(1)
    d2l.Trainer(max_epochs=1).fit(model, few)
    for name, weight in run_model.state_dict().items():
        assert np.array_equal(weight.numpy(), model.net.state_dict()[name].numpy()), name
    (accuracy,) = model.board.data["val_acc"]
    assert accuracy.y == pytest.approx(epoch.test_accuracy)


@pytest.mark.parametrize(
    ("make", "least"),
    [
        (lambda: d2l.SoftmaxRegression(num_outputs=10, lr=0.1), 0.70),
        (lambda: d2l.MLP(num_outputs=10, num_hiddens=256, lr=0.1), 0.70),
    ],
    ids=["softmax regression", "multilayer perceptron"],
)
def test_the_books_linear_networks_learn(clothes, make, least) -> None:
    minigrad.manual_seed(0)
    data = copy.copy(clothes)
    data.train, data.val = data.train.take(6000), data.val.take(2000)
    model = make()
    d2l.Trainer(max_epochs=3).fit(model, data)
    assert model.board.data["val_acc"][-1].y > least


@pytest.mark.long
@pytest.mark.parametrize(
    ("make", "batch_size", "low", "high"),
    [
        (lambda: d2l.LeNet(lr=0.1), 128, 0.70, 0.76),
        (lambda: d2l.LeNet(lr=0.9), 128, 0.82, 1.0),
        (lambda: d2l.MLP(num_outputs=10, num_hiddens=256, lr=0.1), 256, 0.825, 0.855),
        (lambda: d2l.SoftmaxRegression(num_outputs=10, lr=0.1), 256, 0.815, 0.845),
    ],
    ids=["LeNet", "LeNet with 0.9", "multilayer perceptron", "softmax regression"],
)
def test_ten_epochs_reach_what_the_book_shows(make, batch_size, low, high) -> None:
    minigrad.manual_seed(0)
    data, model = d2l.FashionMNIST(batch_size=batch_size), make()
    if isinstance(model, d2l.LeNet):
        model.apply_init([next(iter(data.get_dataloader(True)))[0]], d2l.init_cnn)
    d2l.Trainer(max_epochs=10).fit(model, data)
    assert low <= model.board.data["val_acc"][-1].y <= high


# ------------------------------------------------------------------------------------------- overriding, part by part


def test_a_classifiers_methods_can_be_written_as_the_book_writes_them(few) -> None:
    called = set()

    class Written(d2l.Classifier):
        def __init__(self, num_inputs, num_outputs, lr, sigma=0.01):
            super().__init__()
            self.save_hyperparameters()
            self.W = nn.Parameter(torch.normal(0, sigma, size=(num_inputs, num_outputs)))
            self.b = nn.Parameter(torch.zeros(num_outputs))

        def forward(self, X):
            called.add("forward")
            X = X.reshape((-1, self.W.shape[0]))
            X_exp = torch.exp(torch.matmul(X, self.W) + self.b)
            return X_exp / X_exp.sum(1, keepdims=True)

        def loss(self, y_hat, y):
            called.add("loss")
            return -torch.log(y_hat[list(range(len(y_hat))), y]).mean()

        def accuracy(self, Y_hat, Y, averaged=True):
            called.add("accuracy")
            Y_hat = Y_hat.reshape((-1, Y_hat.shape[-1]))
            preds = Y_hat.argmax(axis=1).type(Y.dtype)
            compare = (preds == Y.reshape(-1)).type(torch.float32)
            return compare.mean() if averaged else compare

        def training_step(self, batch):
            called.add("training_step")
            l = self.loss(self(*batch[:-1]), batch[-1])
            self.plot("loss", l, train=True)
            return l

        def validation_step(self, batch):
            called.add("validation_step")
            Y_hat = self(*batch[:-1])
            self.plot("error", 1 - self.accuracy(Y_hat, batch[-1]), train=False)

        def configure_optimizers(self):
            called.add("configure_optimizers")
            return torch.optim.SGD([self.W, self.b], lr=self.lr)

        def plot(self, key, value, train):
            called.add("plot")
            super().plot(key, value.to(d2l.cpu()).detach().numpy(), train)

    model = Written(784, 10, lr=0.1)
    d2l.Trainer(max_epochs=2).fit(model, few)
    assert called == {
        *("forward", "loss", "accuracy", "training_step", "validation_step", "configure_optimizers", "plot")
    }
    assert list(model.board.data) == ["train_loss", "val_error"]
    losses = [point.y for point in model.board.data["train_loss"]]
    assert losses[-1] < losses[0]


class FromScratch(d2l.HyperParameters):
    """Minibatch stochastic gradient descent, as the book writes it."""

    def __init__(self, params, lr):
        self.save_hyperparameters()

    def step(self):
        for param in self.params:
            param -= self.lr * param.grad

    def zero_grad(self):
        for param in self.params:
            if param.grad is not None:
                param.grad.zero_()


def test_an_optimizer_from_scratch_makes_the_steps_that_sgd_makes(few) -> None:
    class Scratch(d2l.SoftmaxRegression):
        def configure_optimizers(self):
            return FromScratch(list(self.parameters()), self.lr)

    weights = []
    for kind in (Scratch, d2l.SoftmaxRegression):
        minigrad.manual_seed(0)
        model = kind(10, lr=0.1)
        model.board.display = False
        d2l.Trainer(max_epochs=2).fit(model, few)
        weights.append(model.net[1].weight.numpy())
    assert np.allclose(*weights, atol=1e-6)


def test_an_epoch_can_be_written_from_scratch(few) -> None:
    class Trainer(d2l.Trainer):
        def fit_epoch(self):
            self.model.train()
            for batch in self.train_dataloader:
                loss = self.model.training_step(self.prepare_batch(batch))
                self.optim.zero_grad()
                with torch.no_grad():
                    loss.backward()
                    if self.gradient_clip_val > 0:
                        self.clip_gradients(self.gradient_clip_val, self.model)
                    self.optim.step()
                self.train_batch_idx += 1

    class MLP(d2l.MLP):
        def configure_optimizers(self):
            return FromScratch(list(self.parameters()), self.lr)

    model = MLP(10, 16, lr=0.1)
    trainer = Trainer(max_epochs=3, gradient_clip_val=1)
    trainer.fit(model, few)
    losses = [point.y for point in model.board.data["train_loss"]]
    assert losses[-1] < losses[0]
    norm = math.sqrt(sum(float((p.grad * p.grad).sum()) for p in model.parameters()))
    assert norm <= 1 + 1e-5


def test_a_data_module_can_be_made_of_tensors_and_a_model_be_no_classifier() -> None:
    class Line(d2l.DataModule):
        def __init__(self, w, b, num_train=200, num_val=100, batch_size=32):
            super().__init__()
            self.save_hyperparameters()
            n = num_train + num_val
            self.X = torch.randn(n, len(w))
            self.y = torch.matmul(self.X, w.reshape((-1, 1))) + b + torch.randn(n, 1) * 0.01

        def get_dataloader(self, train):
            i = slice(0, self.num_train) if train else slice(self.num_train, None)
            return self.get_tensorloader((self.X, self.y), train, i)

    class Regression(d2l.Module):
        def __init__(self, lr):
            super().__init__()
            self.save_hyperparameters()
            self.net = nn.LazyLinear(1)
            self.net.weight.requires_grad_()

        def loss(self, y_hat, y):
            return F.mse_loss(y_hat, y)

    minigrad.manual_seed(0)
    data = Line(w=torch.tensor([2, -3.4]), b=4.2)
    assert [len(data.train_dataloader()), len(data.val_dataloader())] == [7, 4]
    assert data.train_dataloader().shuffle and not data.val_dataloader().shuffle
    model = Regression(lr=0.1)
    d2l.Trainer(max_epochs=5).fit(model, data)
    assert np.allclose(model.net.weight.numpy(), [[2, -3.4]], atol=0.05)
    assert list(model.board.data) == ["train_loss", "val_loss"]


def test_a_trainer_needs_no_validation_data(few) -> None:
    class NoValidation(d2l.FashionMNIST):
        def val_dataloader(self):
            return None

    few.__class__ = NoValidation
    model = d2l.SoftmaxRegression(10, lr=0.1)
    d2l.Trainer(max_epochs=1).fit(model, few)
    assert list(model.board.data) == ["train_loss"]


def test_a_loss_that_is_no_number_stops_the_training_and_the_chart_is_drawn_still(few) -> None:
    model = d2l.MLP(10, 16, lr=1e30)
    with pytest.raises(NonFiniteLoss, match=r"in epoch 1, step \d of 5; .* layer net\.\d \(\w+\)"):
        d2l.Trainer(max_epochs=1).fit(model, few)
    assert model.trainer.train_batch_idx < 5


def test_a_model_of_several_inputs_is_trained_and_stopped_too() -> None:
    class Pairs(d2l.DataModule):
        def train_dataloader(self):
            return [(torch.ones(2, 1), torch.ones(2, 1), torch.ones(2, 1))] * 3

        def val_dataloader(self):
            return None

    class Product(d2l.Module):
        def __init__(self, lr):
            super().__init__()
            self.save_hyperparameters()
            self.w = nn.Parameter([1.5])

        def forward(self, a, b):
            return a * b * self.w

        def loss(self, y_hat, y):
            return F.mse_loss(y_hat, y)

    model = Product(lr=0.5)
    d2l.Trainer(max_epochs=1).fit(model, Pairs())
    assert model.w.item() == pytest.approx(1)
    with pytest.raises(NonFiniteLoss, match="a model of several inputs"):
        d2l.Trainer(max_epochs=1).fit(Product(lr=1e30), Pairs())


def test_pictures_and_progress_bars_may_be_missing(few, capsys, monkeypatch) -> None:
    monkeypatch.setattr("minigrad.d2l.devices._said", set())
    for package in ("matplotlib.figure", "tqdm"):
        monkeypatch.setitem(sys.modules, package, None)
    for _ in range(2):
        d2l.Trainer(max_epochs=1).fit(d2l.SoftmaxRegression(10, lr=0.1), few)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["no progress bar", "no chart"]


def test_a_copy_of_a_trained_model_does_not_copy_the_data(few) -> None:
    model = d2l.SoftmaxRegression(10, lr=0.1)
    trainer = d2l.Trainer(max_epochs=1)
    trainer.fit(model, few)
    assert copy.deepcopy(model).trainer is trainer


# ------------------------------------------------------------------------------------------------ what they are made of


def test_hyperparameters_are_attributes_but_those_ignored() -> None:
    class B(d2l.HyperParameters):
        def __init__(self, a, b, c):
            self.save_hyperparameters(ignore=["c"])
            self.d = self.a + self.b

    made = B(a=1, b=2, c=3)
    assert (made.a, made.b, made.d, made.hparams) == (1, 2, 3, {"a": 1, "b": 2})
    assert not hasattr(made, "c")


def test_a_method_added_later_is_there_in_objects_made_before() -> None:
    class A:
        def __init__(self):
            self.b = 1

    a = A()

    @d2l.add_to_class(A)
    def do(self):
        return self.b

    assert a.do() == 1


def test_a_board_draws_means_of_points_and_each_line_in_its_colour() -> None:
    board = d2l.ProgressBoard("x", yscale="log", xlim=[0, 10])
    for x in np.arange(0, 10, 0.1):
        board.draw(x, np.sin(x) + 2, "sin", every_n=2)
        board.draw(x, torch.tensor(np.cos(x) + 2), "cos", every_n=10)
    assert {label: len(points) for label, points in board.data.items()} == {"sin": 50, "cos": 10}
    assert board.data["cos"][0].x == pytest.approx(0.45)
    (axes,) = board.figure().axes
    assert [line.get_label() for line in axes.lines] == ["sin", "cos"]
    assert len({line.get_color() for line in axes.lines}) == len({line.get_linestyle() for line in axes.lines}) == 2
    assert (axes.get_xlabel(), axes.get_yscale(), axes.get_xlim()) == ("x", "log", (0, 10))
    board.show("chart.png")
    assert Path("chart.png").exists()


def test_a_long_title_stays_inside_the_chart() -> None:
    board = d2l.ProgressBoard()
    board.title = "Net: " + ", ".join(f"num_hiddens_{i} 256" for i in range(6))
    figure = board.figure()
    figure.canvas.draw()
    title, chart = figure.axes[0].title.get_window_extent(), figure.bbox
    assert chart.x0 <= title.x0 < title.x1 <= chart.x1
    assert chart.y0 <= title.y0 < title.y1 <= chart.y1


def test_a_board_draws_on_the_axes_it_is_given() -> None:
    figure = minigrad.plots.new_figure(3, 3)
    axes = figure.subplots()
    board = d2l.ProgressBoard(axes=axes)
    board.draw(1, 2, "line")
    assert board.figure() is figure
    assert len(axes.lines) == 1


class Handle:
    def __init__(self):
        self.updates = 0

    def update(self, image):
        self.updates += 1


@pytest.fixture
def in_notebook(monkeypatch):
    """What of IPython the pictures use; records the handles it gave."""
    handles = []

    def display(image, display_id):
        assert display_id is True and image["data"].startswith(b"\x89PNG")
        handles.append(Handle())
        return handles[-1]

    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    module = SimpleNamespace(display=display, Image=lambda data, **options: {"data": data, **options})
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return handles


def test_in_a_notebook_the_chart_is_drawn_in_place_and_not_too_often(few, in_notebook, tmp_path, capsys) -> None:
    assert notebook()
    model = d2l.SoftmaxRegression(10, lr=0.1)
    d2l.Trainer(max_epochs=2).fit(model, few)
    assert len(in_notebook) == 1
    assert 1 <= in_notebook[0].updates <= 20
    assert list(tmp_path.iterdir()) == []
    d2l.Trainer(max_epochs=1).fit(model, few)
    assert len(in_notebook) == 2, "another fit draws another chart"
    assert [point.x for point in model.board.data["val_acc"]] == [1]
    board = d2l.ProgressBoard("x")
    for x in range(4):
        board.draw(x, x, "line", every_n=2)
    assert [handle.updates for handle in in_notebook[2:]] == [1]


def test_a_terminal_is_no_notebook(monkeypatch) -> None:
    assert notebook() is None
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace()))
    assert notebook() is None


def test_clothes_are_named_shown_and_resized(clothes, capsys) -> None:
    X, y = next(iter(clothes.val_dataloader()))
    assert (X.shape, X.dtype, y.dtype) == ((128, 1, 28, 28), torch.float32, torch.int64)
    assert clothes.text_labels([0, 9]) == ["t-shirt", "ankle boot"]
    assert clothes.train[0][0].shape == (1, 28, 28)
    clothes.visualize([X, y])
    assert Path("images.png").exists()
    assert (len(clothes.train), len(clothes.val)) == (60000, 10000)


@pytest.mark.parametrize("size", [(32, 32), (14, 14), (28, 40)])
def test_resizing_keeps_brightness_and_what_is_where(monkeypatch, size) -> None:
    monkeypatch.setattr("minigrad.data.FashionMNIST", lambda train: Clothes(train).take(50))
    data = d2l.FashionMNIST(batch_size=50, resize=size)
    small = Clothes(False).take(50).images
    assert data.val.images.shape == (50, *size)
    assert data.val.images.mean() == pytest.approx(small.mean(), rel=0.03)
    if size == (14, 14):
        blocks = small.reshape(50, 14, 2, 14, 2).mean(axis=(2, 4))
        assert np.abs(data.val.images - blocks).mean() < 8


def test_images_of_another_kind_are_shown_too() -> None:
    axes = d2l.show_images(np.zeros((3, 5, 4)), 2, 2, titles=["a", "b", "c"])
    assert [place.get_title() for place in axes] == ["a", "b", "c", ""]
    assert [len(place.images) for place in axes] == [1, 1, 1, 0]


def test_the_words_of_pytorch_mean_what_they_mean_there() -> None:
    X = torch.tensor([[1.0, -2.0], [3.0, 4.0]])
    assert torch.sum(X, dim=1, keepdim=True).shape == (2, 1)
    assert torch.cat((X, X), dim=1).shape == (2, 4)
    assert torch.max(X, torch.zeros_like(X)).tolist() == [[1, 0], [3, 4]]
    assert torch.max(X).item() == 4
    assert torch.argmax(X, dim=1).tolist() == [0, 1]
    assert torch.rand(size=(2, 3)).shape == torch.zeros((2, 3)).shape == torch.ones(2, 3, device=d2l.cpu()).shape
    assert torch.arange(4, dtype=torch.float32, device="numpy").backend.name == "numpy"
    assert X.type(torch.int64).dtype == torch.long
    assert (X.float() is X, X.numel(), X.view(-1).shape, X.cpu() is X) == (True, 4, (4,), True)
    before = X.data
    assert X.zero_() is X
    assert (X.tolist(), before.tolist()) == ([[0, 0], [0, 0]], [[1, -2], [3, 4]]), "arrays are values"
    drawn = torch.normal(5, 0.1, (1000,))
    assert (drawn.mean().item(), drawn.dtype) == (pytest.approx(5, abs=0.05), torch.float32)


def test_the_page_names_the_methods_that_every_tensor_gets() -> None:
    page = (Path(__file__).parent.parent / "docs" / "lenet_chapter.md").read_text()
    (named,) = re.findall(r"PyTorch's methods (.*?);", page)
    assert re.findall(r"`(\w+)`", named) == list(torch.TENSOR_METHODS)


def test_a_tensor_that_is_recorded_is_not_made_zero() -> None:
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"zero_: a tensor that requires .* while recording; see no_grad\(\)"):
        x.zero_()
    with torch.no_grad():
        assert x.zero_().tolist() == [0, 0]


def test_the_words_of_pytorch_agree_with_pytorch() -> None:
    real = pytest.importorskip("torch")
    X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    for call in (
        lambda t, x: t.softmax(x, dim=1),
        lambda t, x: t.mean(x, dim=0, keepdim=True),
        lambda t, x: t.logsumexp(x, dim=1),
        lambda t, x: t.stack((x, x), dim=1),
        lambda t, x: t.unsqueeze(x, dim=0),
        lambda t, x: t.max(x, t.zeros_like(x)),
        lambda t, x: x.view(2, 6),
    ):
        assert np.allclose(call(torch, torch.tensor(X)).numpy(), call(real, real.tensor(X)).numpy(), atol=1e-6)
    for name in torch.__all__:
        assert hasattr(real, name), name


def test_the_arguments_are_the_books() -> None:
    wanted = {
        d2l.Trainer.__init__: "self max_epochs num_gpus gradient_clip_val",
        d2l.Module.__init__: "self plot_train_per_epoch plot_valid_per_epoch",
        d2l.Module.plot: "self key value train",
        d2l.Module.apply_init: "self inputs init",
        d2l.ProgressBoard.draw: "self x y label every_n",
        d2l.DataModule.get_tensorloader: "self tensors train indices",
        d2l.FashionMNIST.__init__: "self batch_size resize",
        d2l.FashionMNIST.visualize: "self batch nrows ncols labels",
        d2l.SoftmaxRegression.__init__: "self num_outputs lr",
        d2l.MLP.__init__: "self num_outputs num_hiddens lr",
    }
    for function, names in wanted.items():
        assert list(inspect.signature(function).parameters) == names.split(), function


def test_a_dataset_of_ones_own_works_with_the_trainer() -> None:
    class Two(d2l.DataModule):
        def __init__(self):
            super().__init__()
            images = np.array([[[[0.0]]], [[[1.0]]]] * 20, np.float32)
            self.set = ArrayDataset(images, [0, 1] * 20)

        def get_dataloader(self, train):
            return DataLoader(self.set, 8, shuffle=train)

    model = d2l.SoftmaxRegression(2, lr=1.0)
    d2l.Trainer(max_epochs=20).fit(model, Two())
    assert model.board.data["val_acc"][-1].y == 1
