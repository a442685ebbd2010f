"""Wrong arguments of all that is public in d2l and torch_like: what the error is and what it says."""

from __future__ import annotations

import numpy as np
import pytest
from public_names import names, resolve

import minigrad
from minigrad import Tensor, d2l, nn, torch_like
from minigrad.data import ArrayDataset, DataLoader

pytest.importorskip("matplotlib")

X, Y = Tensor(np.zeros((4, 1, 2, 2), np.float32)), Tensor([0, 1, 0, 1])
LOGITS = Tensor(np.zeros((4, 2), np.float32))
LOADER = DataLoader(ArrayDataset(X.numpy(), Y.numpy()), 2)


class Data(d2l.DataModule):
    def __init__(self, loader=LOADER):
        super().__init__()
        self.save_hyperparameters()
        self.batch_size = 2

    def get_dataloader(self, train):
        return self.loader


def model(**attributes) -> d2l.SoftmaxRegression:
    made = d2l.SoftmaxRegression(2, lr=0.1)
    made.board.display = False
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


class Bare(d2l.Classifier):
    def __init__(self):
        self.lr = 0.1


def fit(made=None, data=None, **options):
    d2l.Trainer(1, **options).fit(made or model(), data or Data())


def clothes() -> d2l.FashionMNIST:
    data = object.__new__(d2l.FashionMNIST)
    data.train = data.val = ArrayDataset(np.zeros((4, 28, 28), np.uint8), [0, 1, 0, 1], ["a", "b"])
    data.batch_size = 2
    return data


def keep(f, ignore):
    f(d2l.HyperParameters(), ignore)


NO_BATCH = "{method}: a batch must be a list of inputs and labels, got "
NO_LOGITS = r"{method}: expected logits \(\.\.\., K\) and labels \(\.\.\.\), got "
NO_TRAINER = "SoftmaxRegression.plot: no Trainer trains this model yet; see Trainer.fit"

ERRORS = [
    # -- how classes are written
    ("add_to_class", lambda f: f("Net"), TypeError, r"{}: expected a class, got 'Net'; write @d2l.add_to_class\(Some"),
    ("add_to_class", lambda f: f(print), TypeError, "{}: expected a class, got builtin_function"),
    ("HyperParameters.save_hyperparameters", lambda f: keep(f, "lr"), TypeError, r"got 'lr'; write ignore=\['name'\]"),
    ("HyperParameters.save_hyperparameters", lambda f: keep(f, 3), TypeError, "ignore must be a list of names, got 3"),
    # -- models
    ("Module", lambda f: f("2"), TypeError, "{}: plot_train_per_epoch must be a number, got '2'"),
    ("Module", lambda f: f(2, 0), ValueError, "{}: plot_valid_per_epoch must be above 0; set self.board.display"),
    ("Classifier", lambda f: f(-1), ValueError, "plot_train_per_epoch must be 0 or more, got -1"),
    ("SoftmaxRegression", lambda f: f("10", 0.1), TypeError, "out_features must be an integer, got '10'"),
    ("MLP", lambda f: f(10, 0, 0.1), ValueError, "out_features must be at least 1, got 0"),
    ("LeNet", lambda f: f(0.1, None), TypeError, "out_features must be an integer, got None"),
    ("LeNet", lambda f: fit(f(lr="0.1")), TypeError, "SGD: lr must be a number, got '0.1'"),
    (
        "Module.loss",
        lambda f: f(d2l.Module(), LOGITS, Y),
        NotImplementedError,
        r"Module: define loss\(self, y_hat, y\)",
    ),
    (
        "Module.forward",
        lambda f: f(d2l.Module(), X),
        AttributeError,
        "Module has no 'net': set self.net in __init__, or",
    ),
    ("Module.plot", lambda f: f(model(), "loss", 1.0, True), RuntimeError, NO_TRAINER),
    ("Module.plot", lambda f: f(model(), 1.0, "loss", True), TypeError, "{method}: the key must be a str, got"),
    ("Module.plot", lambda f: f(model(), "loss", 1.0, 1), TypeError, "{method}: train must be True or False, got 1"),
    ("Module.training_step", lambda f: f(model(), X), TypeError, NO_BATCH + r"Tensor; write \(X, y\)"),
    ("Module.training_step", lambda f: f(model(), [X]), TypeError, NO_BATCH + "list"),
    ("Module.validation_step", lambda f: f(model(), X), TypeError, NO_BATCH + "Tensor"),
    ("Classifier.validation_step", lambda f: f(model(), None), TypeError, NO_BATCH + "None"),
    ("Module.apply_init", lambda f: f(model(), X), TypeError, r"the inputs must be a list, got Tensor; write \[X\]"),
    (
        "Module.apply_init",
        lambda f: f(model(), [X], nn.Linear),
        TypeError,
        "init must be a function, got the class Lin",
    ),
    ("Module.apply_init", lambda f: f(d2l.Module(), [X]), AttributeError, "Module has no 'net'"),
    ("Classifier.loss", lambda f: f(model(), LOGITS, LOGITS), ValueError, NO_LOGITS + r"\(4, 2\) and \(4, 2\)"),
    ("Classifier.loss", lambda f: f(model(), LOGITS, [0, 1]), TypeError, "{method}: Y must be a Tensor, got list"),
    (
        "Classifier.loss",
        lambda f: f(model(), LOGITS, Y, "mean"),
        TypeError,
        "averaged must be True or False, got 'mean",
    ),
    ("Classifier.accuracy", lambda f: f(model(), LOGITS, Y[:1]), ValueError, NO_LOGITS + r"\(4, 2\) and \(1,\)"),
    ("Classifier.accuracy", lambda f: f(model(), 3, Y), TypeError, "{method}: Y_hat must be a Tensor, got 3"),
    ("Classifier.accuracy", lambda f: f(model(), LOGITS, Y, 0), TypeError, "averaged must be True or False, got 0"),
    (
        "Classifier.layer_summary",
        lambda f: f(model(), 28),
        TypeError,
        r"must be a tuple, got 28; write \(1, 1, 28, 28\)",
    ),
    (
        "Classifier.layer_summary",
        lambda f: f(model(), (1, 0)),
        ValueError,
        "{method}: a size must be at least 1, got 0",
    ),
    ("Classifier.layer_summary", lambda f: f(d2l.Classifier(), (1, 4)), AttributeError, "Classifier has no 'net'"),
    # -- data
    ("DataModule.get_dataloader", lambda f: f(d2l.DataModule(), True), NotImplementedError, "define get_dataloader"),
    ("DataModule.get_tensorloader", lambda f: f(Data(), X, True), TypeError, r"expected two Tensors.*; write \(X, y\)"),
    (
        "DataModule.get_tensorloader",
        lambda f: f(Data(), (X, [0]), True),
        TypeError,
        "expected two Tensors, .*got tuple",
    ),
    ("DataModule.get_tensorloader", lambda f: f(Data(), (X, Y[:3]), True), ValueError, "4 inputs need as many labels"),
    (
        "DataModule.get_tensorloader",
        lambda f: f(Data(), (X, Y), "yes"),
        TypeError,
        "train must be True or False, got 'y",
    ),
    ("FashionMNIST", lambda f: f("128"), TypeError, "{}: batch_size must be an integer, got '128'"),
    ("FashionMNIST", lambda f: f(0), ValueError, "{}: batch_size must be at least 1, got 0"),
    (
        "FashionMNIST",
        lambda f: f(64, 28),
        TypeError,
        r"resize must be a height and a width, got 28; write resize=\(32, ",
    ),
    ("FashionMNIST", lambda f: f(64, (28, 1.5)), TypeError, r"{}: a size must be an integer, got 1\.5"),
    (
        "FashionMNIST.get_dataloader",
        lambda f: f(clothes(), "train"),
        TypeError,
        "train must be True or False, got 'tra",
    ),
    ("FashionMNIST.text_labels", lambda f: f(clothes(), 3), TypeError, "{method}: the indices must be a list, got 3"),
    ("FashionMNIST.text_labels", lambda f: f(clothes(), [0.5]), TypeError, r"an index must be an integer, got 0\.5"),
    (
        "FashionMNIST.text_labels",
        lambda f: f(clothes(), [2]),
        IndexError,
        "{method}: there are 2 classes, from 0, got 2",
    ),
    (
        "FashionMNIST.visualize",
        lambda f: f(clothes(), X),
        TypeError,
        "{method}: expected a batch, images and labels, got",
    ),
    ("FashionMNIST.visualize", lambda f: f(clothes(), [X, Y], 0), ValueError, "num_rows must be at least 1, got 0"),
    ("show_images", lambda f: f([np.zeros(3)], 1, 1), ValueError, r"{}: expected images \(H, W\), got shape \(3,\)"),
    ("show_images", lambda f: f(X, 1, "8"), TypeError, "{}: num_cols must be an integer, got '8'"),
    ("show_images", lambda f: f([], 1, 1, "a"), TypeError, "{}: titles must be a list of strings, got 'a'"),
    ("show_images", lambda f: f([], 1, 1, None, "2"), TypeError, "{}: scale must be a number, got '2'"),
    # -- training
    ("ProgressBoard", lambda f: f(display=1), TypeError, "{}: display must be True or False, got 1"),
    (
        "ProgressBoard",
        lambda f: f(ls="-"),
        TypeError,
        r"{}: ls must be a list, not empty, got '-'; write \['-', '--'\]",
    ),
    ("ProgressBoard", lambda f: f(colors=[]), TypeError, "{}: colors must be a list, not empty"),
    ("ProgressBoard.draw", lambda f: f(d2l.ProgressBoard(), 1, 2, 3), TypeError, "the label must be a str, got 3"),
    (
        "ProgressBoard.draw",
        lambda f: f(d2l.ProgressBoard(), 1, 2, "a", 0),
        ValueError,
        "every_n must be at least 1, got",
    ),
    ("ProgressBoard.show", lambda f: f(d2l.ProgressBoard(), 3), TypeError, "a path must be a string or a Path, got 3"),
    ("ProgressBoard.show", lambda f: f(d2l.ProgressBoard(), "a.jpg"), ValueError, "must end in .png, got 'a.jpg'"),
    ("Trainer", lambda f: f("10"), TypeError, "{}: max_epochs must be an integer, got '10'"),
    ("Trainer", lambda f: f(0), ValueError, "{}: max_epochs must be at least 1, got 0"),
    ("Trainer", lambda f: f(1, "cuda"), TypeError, "{}: num_gpus must be an integer, got 'cuda'"),
    ("Trainer", lambda f: f(1, 0, -1), ValueError, "{}: gradient_clip_val must be 0 or more, got -1"),
    (
        "Trainer.fit",
        lambda f: f(d2l.Trainer(1), nn.Linear(1, 2), Data()),
        TypeError,
        "must be a d2l.Module, got Linear",
    ),
    (
        "Trainer.fit",
        lambda f: f(d2l.Trainer(1), model(), LOADER),
        TypeError,
        "the data must be a d2l.DataModule, got DataL",
    ),
    (
        "Trainer.fit",
        lambda f: fit(model(configure_optimizers=lambda: None)),
        TypeError,
        "s must return one, got None; a",
    ),
    (
        "Trainer.fit",
        lambda f: fit(model(training_step=lambda batch: None)),
        TypeError,
        "must return the loss, got None",
    ),
    (
        "Trainer.fit",
        lambda f: fit(data=Data(loader=iter([]))),
        TypeError,
        "a data loader must have a length, got list_",
    ),
    ("Trainer.fit", lambda f: fit(data=Data(loader=None)), TypeError, "fit: there must be training data, got None"),
    ("Trainer.fit", lambda f: fit(data=Data(loader=[])), ValueError, "fit: the training data have no batches"),
    ("Trainer.fit", lambda f: fit(Bare()), AttributeError, r"Bare has no 'board': call super\(\).__init__\(\) first"),
    (
        "Trainer.prepare_data",
        lambda f: f(d2l.Trainer(1), None),
        TypeError,
        "the data must be a d2l.DataModule, got None",
    ),
    (
        "Trainer.prepare_model",
        lambda f: f(d2l.Trainer(1), "net"),
        TypeError,
        "the model must be a d2l.Module, got 'net'",
    ),
    ("Trainer.clip_gradients", lambda f: f(d2l.Trainer(1), "1", model()), TypeError, "must be a number, got '1'"),
    (
        "gpu",
        lambda f: f(1),
        ValueError,
        "{}: minigrad computes on one GPU, number 0, got 1; choose it with CUDA_VISIBLE",
    ),
    ("gpu", lambda f: f("cuda"), TypeError, "{}: the number of a GPU must be an integer, got 'cuda'"),
    # -- PyTorch's names
    (
        "max",
        lambda f: f(X, 1),
        TypeError,
        r"max: the second argument must be a Tensor, got 1; .* write x.max\(axis=1\)",
    ),
    ("normal", lambda f: f("0", 1, (2,)), TypeError, "{}: mean must be a number, got '0'"),
    ("normal", lambda f: f(0, -1, (2,)), ValueError, "{}: std must be 0 or more, got -1"),
    ("normal", lambda f: f(0, 1, (-2,)), ValueError, r"sizes must be integers from 0, got \(-2,\)"),
]

MODULES = (d2l, torch_like)
CANNOT_BE_WRONG = {"DataModule", "Trainer.prepare_batch", "init_cnn"}  # keep, pass on or ignore whatever they are given


@pytest.mark.parametrize(("name", "call", "kind", "message"), ERRORS, ids=[f"{e[0]}-{e[3]}"[:60] for e in ERRORS])
def test_wrong_arguments_raise_at_once_and_say_what_is_wrong(name, call, kind, message, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=message.format(name, method=name.split(".")[-1])) as caught:
        call(resolve(name, *MODULES))
    assert type(caught.value) is kind
    assert list(tmp_path.iterdir()) == []


def test_every_public_name_has_its_wrong_arguments_tested() -> None:
    own = ("minigrad.d2l", "minigrad.torch_like")  # what a Module inherits, tests/test_nn_errors.py has
    needed = {name for name in names(*MODULES) if resolve(name, *MODULES).__module__.startswith(own)}
    assert {"Trainer.fit", "add_to_class", "Classifier.accuracy", "normal"} <= needed
    assert needed - {name for name, *_ in ERRORS} == CANNOT_BE_WRONG


def test_hyperparameters_are_kept_inside_a_function_alone() -> None:
    with pytest.raises(RuntimeError, match="save_hyperparameters: call it in __init__, whose arguments it keeps"):
        exec("d2l.HyperParameters().save_hyperparameters()", {"d2l": d2l})


def test_a_model_without_a_learning_rate_says_what_it_lacks() -> None:
    with pytest.raises(
        AttributeError, match=r"Classifier has no 'lr': keep it with save_hyperparameters\(\), or define"
    ):
        d2l.Classifier().configure_optimizers()


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("device", "the name of a backend, such as 'cupy', stands for a device"),
        ("from_numpy", r"write torch.tensor\(array\)"),
        ("clip", "see minigrad.clip"),
        ("conv3d", r"dir\(minigrad\) lists what there is"),
    ],
)
def test_a_missing_name_of_pytorchs_says_what_to_write_instead(name, instead) -> None:
    with pytest.raises(AttributeError, match=f"torch_like has no '{name}': {instead}"):
        getattr(torch_like, name)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("LinearRegression", "type its class from the chapter, it runs"),
        ("use_svg_display", "leave it out"),
        ("resnet18", r"dir\(minigrad.d2l\) lists what there is"),
    ],
)
def test_a_missing_name_of_the_books_says_what_to_write_instead(name, instead) -> None:
    with pytest.raises(AttributeError, match=f"d2l has no '{name}': {instead}"):
        getattr(d2l, name)


def test_what_is_named_instead_is_there() -> None:
    assert not set(d2l.INSTEAD) & set(d2l.__all__)
    assert not set(torch_like.INSTEAD) & set(torch_like.__all__)
    for name in ("load", "save", "randint", "use_backend"):
        assert hasattr(minigrad, name)
