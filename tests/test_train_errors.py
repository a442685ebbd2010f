"""Wrong arguments of all that is public in train, models, plots and activations: what the error is and what it says."""

from __future__ import annotations

import numpy as np
import pytest
from public_names import names, resolve

from minigrad import Tensor, activations, cross_entropy, models, nn, optim, plots, train
from minigrad.data import ArrayDataset, DataLoader
from minigrad.train import Epoch, ProgressBar, TrainingRun

pytest.importorskip("matplotlib")
pytest.importorskip("safetensors")
pytest.importorskip("tqdm")

NAN = float("nan")
IMAGES = np.zeros((6, 2, 2), np.uint8)
LABELS = np.array([0, 1, 0, 1, 0, 1])
DATASET = ArrayDataset(IMAGES, LABELS, ["a", "b"])
NAMES = ["a", "b"]
LOADER, NO_BATCHES = DataLoader(DATASET, 3), DataLoader(DATASET, 9, drop_last=True)
COUNTS, PROBABILITIES = np.eye(2, dtype=int), np.full((6, 2), 0.5)
EPOCH = Epoch(1, 1.0, 1.0, 0.5, 1.0)
ARRAYS, ONE_BATCH = [(IMAGES, LABELS)], (Tensor(IMAGES), Tensor(LABELS))
RAGGED = [[0], [1, 2]]
MODEL = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
OTHER = nn.Linear(4, 2)
SGD = optim.SGD(MODEL.parameters(), lr=0.1)
X, Y = next(iter(LOADER))


def run(**arguments) -> TrainingRun:
    return TrainingRun(MODEL, SGD, LOADER, LOADER, **arguments)


def without(loader: str) -> TrainingRun:
    made = run()
    setattr(made, loader, NO_BATCHES)
    return made


def with_loss(loss) -> None:
    next(run(loss=loss).epochs(1))


def each(logits: Tensor, labels: Tensor) -> Tensor:
    return cross_entropy(logits, labels, "none")


def enter(f, model) -> None:
    with f(model):
        pass


NO_MODEL = "{}: the model must be a Module, got "
NO_LOSS = "{}: the loss must be a function, got "
NO_LOADER = "{}: the loader must give batches of images and labels, got "
NO_PAIR = "{}: the loader must give batches of images and labels, two Tensors, got "
NO_HISTORY = "{}: the history must be a list of Epochs, got "
NO_PATH = "{}: a path must be a string or a Path, got "
NO_NAMES = "{}: names must be a list with the name of each class, got "
IN_NO_FOLDER = "no/such/folder/file.png"
SHAPES = r"plot_mistakes: expected images \(N, H, W\), labels \(N,\) and probabilities \(N, 2\) for 2 names, got "
DTYPES = "plot_mistakes: expected numbers for images, integers for labels and floats for probabilities, got "

LENET = models.lenet5()
FIELD = activations.ReceptiveField(size=(1, 1), step=(1, 1), start=(0, 0))
MAP_ROW = activations.MapRow("label", np.ones((8, 8)), np.ones((2, 4, 4)))
MAPS = r"{}: expected images \(H, W\) and maps \(C, h, w\)"


class Idle(nn.Module):
    def __init__(self):
        self.used, self.idle = nn.ReLU(), nn.Tanh()

    def forward(self, x):
        return self.used(x)


ERRORS = [
    # -- a run
    ("TrainingRun", lambda f: f("lenet", SGD, LOADER, LOADER), TypeError, NO_MODEL + "'lenet'"),
    (
        "TrainingRun",
        lambda f: f(nn.Linear, SGD, LOADER, LOADER),
        TypeError,
        NO_MODEL + "the class Linear itself; make o",
    ),
    ("TrainingRun", lambda f: f(SGD, MODEL, LOADER, LOADER), TypeError, NO_MODEL + "SGD"),
    (
        "TrainingRun",
        lambda f: f(MODEL, "sgd", LOADER, LOADER),
        TypeError,
        "the optimizer must be an Optimizer, got 'sgd'",
    ),
    ("TrainingRun", lambda f: f(MODEL, optim.SGD, LOADER, LOADER), TypeError, r"the class SGD itself; make one: SGD\("),
    (
        "TrainingRun",
        lambda f: f(OTHER, SGD, LOADER, LOADER),
        ValueError,
        "none of the model's parameters; give it model",
    ),
    (
        "TrainingRun",
        lambda f: f(MODEL, SGD, DATASET, LOADER),
        TypeError,
        "train_loader must be a DataLoader, got ArrayD",
    ),
    ("TrainingRun", lambda f: f(MODEL, SGD, ARRAYS, LOADER), TypeError, "train_loader must be a DataLoader, got list"),
    ("TrainingRun", lambda f: f(MODEL, SGD, LOADER, None), TypeError, "test_loader must be a DataLoader, got None"),
    (
        "TrainingRun",
        lambda f: run(scheduler="cosine"),
        TypeError,
        "{}: expected a scheduler, got 'cosine'; see minigrad",
    ),
    ("TrainingRun", lambda f: run(scheduler=optim.StepLR), TypeError, r"the class StepLR itself; make one: StepLR\("),
    (
        "TrainingRun",
        lambda f: run(scheduler=optim.StepLR(optim.SGD(OTHER.parameters(), lr=0.1), 1)),
        ValueError,
        "TrainingRun: the scheduler is another optimizer's; make it with this one",
    ),
    ("TrainingRun", lambda f: run(loss="cross_entropy"), TypeError, NO_LOSS + "'cross_entropy'"),
    (
        "TrainingRun",
        lambda f: run(loss=nn.CrossEntropyLoss),
        TypeError,
        NO_LOSS + "the class CrossEntropyLoss itself; ma",
    ),
    ("TrainingRun", lambda f: run(loss=None), TypeError, NO_LOSS + "None"),
    (
        "TrainingRun",
        lambda f: run(settings=["lr"]),
        TypeError,
        "settings must be a dict with strings for keys, got list",
    ),
    (
        "TrainingRun",
        lambda f: run(settings={1: 2}),
        TypeError,
        "settings must be a dict with strings for keys, got dict",
    ),
    (
        "TrainingRun",
        lambda f: run(settings={"f": print}),
        TypeError,
        "settings and .* numbers, strings.*, not <built-in",
    ),
    (
        "TrainingRun",
        lambda f: with_loss(each),
        ValueError,
        r"the loss must be one number, got shape \(3,\); take its mean",
    ),
    (
        "TrainingRun",
        lambda f: with_loss(lambda *_: 1.0),
        TypeError,
        r"the loss function must return a Tensor, got 1\.0",
    ),
    *(
        (
            "TrainingRun.epochs",
            lambda f, v=v: f(run(), v),
            TypeError,
            "epochs: the number of epochs must be an integer, got",
        )
        for v in ("10", 1.5, NAN, None, True)
    ),
    ("TrainingRun.epochs", lambda f: f(run(), 0), ValueError, "epochs: the number of epochs must be at least 1, got 0"),
    ("TrainingRun.epochs", lambda f: f(run(), 1, "bar"), TypeError, "epochs: on_step must be a function, got 'bar'"),
    ("TrainingRun.epochs", lambda f: f(run(), 1, ProgressBar), TypeError, r"got the class .* make one: ProgressBar\("),
    (
        "TrainingRun.epochs",
        lambda f: f(without("train_loader"), 1),
        ValueError,
        "epochs: the training loader has no batch",
    ),
    (
        "TrainingRun.epochs",
        lambda f: f(without("test_loader"), 1),
        ValueError,
        "epochs: the test loader has no batches",
    ),
    ("TrainingRun.save", lambda f: f(run(), None), TypeError, NO_PATH + "None"),
    ("TrainingRun.save", lambda f: f(run(), 3), TypeError, NO_PATH + "3"),
    ("TrainingRun.save", lambda f: f(run(), __file__), NotADirectoryError, "{}: .* is a file; name a folder"),
    ("TrainingRun.resume", lambda f: f(run(), None), TypeError, NO_PATH + "None"),
    (
        "TrainingRun.resume",
        lambda f: f(run(), "nowhere"),
        FileNotFoundError,
        "nothing to resume: no file nowhere.checkp",
    ),
    ("TrainingRun.resume", lambda f: f(run(), __file__), FileNotFoundError, "errors.py is a file, name its folder"),
    ("ProgressBar.__call__", lambda f: f(ProgressBar(), 3), TypeError, "ProgressBar: .* must be a TrainingStep, got 3"),
    # -- measuring
    *(
        row
        for name in ("evaluate", "predict")
        for row in (
            (name, lambda f: f("model", LOADER), TypeError, NO_MODEL + "'model'"),
            (name, lambda f: f(nn.Linear, LOADER), TypeError, NO_MODEL + "the class Linear itself; make one"),
            (name, lambda f: f(LOADER, MODEL), TypeError, NO_MODEL + "DataLoader"),
            (name, lambda f: f(MODEL.forward, LOADER), TypeError, NO_MODEL + "method"),
            (
                name,
                lambda f: f(MODEL, DATASET),
                TypeError,
                NO_LOADER + "ArrayDataset; a DataLoader makes them of a data",
            ),
            (name, lambda f: f(MODEL, X), TypeError, NO_LOADER + "Tensor"),
            (name, lambda f: f(MODEL, None), TypeError, NO_LOADER + "None"),
            (name, lambda f: f(MODEL, ARRAYS), TypeError, NO_PAIR + r"\(ndarray, ndarray\)"),
            (name, lambda f: f(MODEL, ONE_BATCH), TypeError, NO_PAIR + "Tensor"),
            (name, lambda f: f(MODEL, []), ValueError, "{}: the loader has no examples"),
        )
    ),
    ("evaluate", lambda f: f(MODEL, LOADER, "mse"), TypeError, NO_LOSS + "'mse'"),
    (
        "evaluate",
        lambda f: f(MODEL, LOADER, each),
        ValueError,
        r"the loss must be one number, got shape \(3,\); take its",
    ),
    (
        "confusion_matrix",
        lambda f: f([0, 1], [0], 2),
        ValueError,
        r"{}: expected two arrays \(N,\), got \(2,\) and \(1,\)",
    ),
    ("confusion_matrix", lambda f: f(LABELS, PROBABILITIES, 2), ValueError, r"got \(6,\) and \(6, 2\)"),
    ("confusion_matrix", lambda f: f(None, None, 2), ValueError, r"expected two arrays \(N,\), got \(\) and \(\)"),
    (
        "confusion_matrix",
        lambda f: f(RAGGED, [0, 1], 2),
        TypeError,
        "{}: labels must be an array, got .* different len",
    ),
    (
        "confusion_matrix",
        lambda f: f([0], [0.5], 2),
        TypeError,
        "{}: labels .* must be integers, got int64 and float64",
    ),
    (
        "confusion_matrix",
        lambda f: f(["a"], ["b"], 2),
        TypeError,
        "{}: labels and predictions must be integers, got <U1",
    ),
    (
        "confusion_matrix",
        lambda f: f([True], [True], 2),
        TypeError,
        "must be integers, got bool and bool; argmax gives th",
    ),
    ("confusion_matrix", lambda f: f([0], [2], 2), ValueError, "{}: labels must lie from 0 to 1, got 0 to 2"),
    ("confusion_matrix", lambda f: f([0], [-1], 2), ValueError, "{}: labels must lie from 0 to 1, got -1 to 0"),
    ("confusion_matrix", lambda f: f([0], [0], "2"), TypeError, "{}: classes must be an integer, got '2'"),
    ("confusion_matrix", lambda f: f([0], [0], NAMES), TypeError, r"{}: classes must be an integer, got \['a', 'b'\]"),
    ("confusion_matrix", lambda f: f([], [], 0), ValueError, "{}: classes must be at least 1, got 0"),
    ("first_nonfinite", lambda f: f("model", X, Y, cross_entropy), TypeError, NO_MODEL + "'model'"),
    (
        "first_nonfinite",
        lambda f: f(MODEL, IMAGES, Y, cross_entropy),
        TypeError,
        "{}: images must be a Tensor, got ndarr",
    ),
    (
        "first_nonfinite",
        lambda f: f(MODEL, X, LABELS, cross_entropy),
        TypeError,
        "{}: labels must be a Tensor, got ndarr",
    ),
    ("first_nonfinite", lambda f: f(MODEL, X, Y, None), TypeError, NO_LOSS + "None"),
    # -- files and pictures
    *(
        row
        for name, call in (
            ("save_metrics", lambda f, history: f(history, "metrics.csv")),
            ("plot_curves", lambda f, history: f(history, 10)),
        )
        for row in (
            (
                name,
                lambda f, call=call: call(f, run()),
                TypeError,
                NO_HISTORY + "TrainingRun; .* has it as run.history",
            ),
            (name, lambda f, call=call: call(f, EPOCH), TypeError, NO_HISTORY + "Epoch"),
            (name, lambda f, call=call: call(f, "x"), TypeError, NO_HISTORY + "'x'"),
            (name, lambda f, call=call: call(f, None), TypeError, NO_HISTORY + "None"),
            (
                name,
                lambda f, call=call: call(f, [0.5]),
                TypeError,
                r"{}: what a history holds must be an Epoch, got 0\.5",
            ),
        )
    ),
    ("save_metrics", lambda f: f("x", [EPOCH]), TypeError, NO_PATH + "list"),
    ("save_metrics", lambda f: f([EPOCH], None), TypeError, NO_PATH + "None"),
    (
        "save_metrics",
        lambda f: f([EPOCH], "."),
        IsADirectoryError,
        r"cannot write \.: it is a folder; name a file in it",
    ),
    ("save_metrics", lambda f: f([EPOCH], IN_NO_FOLDER), FileNotFoundError, "there is no folder .*; make it first"),
    ("plot_curves", lambda f: f([], 10), ValueError, "plot_curves: the history is empty, there is no epoch to plot"),
    ("plot_curves", lambda f: f([EPOCH], "10"), TypeError, "plot_curves: classes must be an integer, got '10'"),
    (
        "plot_curves",
        lambda f: f([EPOCH], NAMES),
        TypeError,
        r"plot_curves: classes must be an integer, got \['a', 'b'\]",
    ),
    ("plot_curves", lambda f: f([EPOCH], 0), ValueError, "plot_curves: classes must be at least 1, got 0"),
    (
        "plot_histories",
        lambda f: f([[EPOCH]], 10),
        TypeError,
        "{}: histories must be a dict of names and epochs, got list",
    ),
    ("plot_histories", lambda f: f({}, 10), ValueError, "{}: there must be 1 to 6 histories, got 0"),
    ("plot_histories", lambda f: f(dict.fromkeys("abcdefg", (EPOCH,)), 10), ValueError, "{}: .* to 6 histories, got 7"),
    ("plot_histories", lambda f: f({"old": [EPOCH], "new": []}, 10), ValueError, "{}: the history of 'new' is empty"),
    ("plot_histories", lambda f: f({"old": EPOCH}, 10), TypeError, NO_HISTORY + "Epoch"),
    ("plot_histories", lambda f: f({"old": [EPOCH]}, 0), ValueError, "{}: classes must be at least 1, got 0"),
    ("plot_confusion", lambda f: f(COUNTS, ["a"]), ValueError, r"1 names need counts of shape \(1, 1\), got \(2, 2\)"),
    ("plot_confusion", lambda f: f(NAMES, COUNTS), ValueError, r"2 names need counts of shape \(2, 2\), got \(2,\)"),
    ("plot_confusion", lambda f: f(RAGGED, NAMES), TypeError, "{}: counts must be an array, got .* different lengths"),
    ("plot_confusion", lambda f: f(COUNTS * 0.5, NAMES), TypeError, "{}: counts must be integers, got float64"),
    ("plot_confusion", lambda f: f([NAMES, NAMES], NAMES), TypeError, "{}: counts must be integers, got <U1"),
    ("plot_confusion", lambda f: f(-COUNTS, NAMES), ValueError, "{}: counts must be at least 0, got -1"),
    ("plot_confusion", lambda f: f(COUNTS, 2), TypeError, NO_NAMES + "2"),
    ("plot_confusion", lambda f: f([], []), ValueError, "{}: names is empty, there are no classes"),
    (
        "plot_mistakes",
        lambda f: f(IMAGES, LABELS[:3], PROBABILITIES, NAMES),
        ValueError,
        SHAPES + r"\(6, 2, 2\), \(3,\)",
    ),
    (
        "plot_mistakes",
        lambda f: f(IMAGES[:, 0], LABELS, PROBABILITIES, NAMES),
        ValueError,
        SHAPES + r"\(6, 2\), \(6,\)",
    ),
    (
        "plot_mistakes",
        lambda f: f(IMAGES[:, None], LABELS, PROBABILITIES, NAMES),
        ValueError,
        SHAPES + r"\(6, 1, 2, 2\)",
    ),
    ("plot_mistakes", lambda f: f(IMAGES, LABELS, LABELS, NAMES), ValueError, SHAPES + r".* and \(6,\)"),
    ("plot_mistakes", lambda f: f(None, LABELS, PROBABILITIES, NAMES), ValueError, SHAPES + r"\(\), \(6,\)"),
    (
        "plot_mistakes",
        lambda f: f(IMAGES, LABELS * 1.0, PROBABILITIES, NAMES),
        TypeError,
        DTYPES + "uint8, float64 and",
    ),
    ("plot_mistakes", lambda f: f(IMAGES, LABELS.astype(str), PROBABILITIES, NAMES), TypeError, DTYPES + "uint8, <U"),
    ("plot_mistakes", lambda f: f(IMAGES[:, :0], LABELS, PROBABILITIES, NAMES), ValueError, r"no pixels.* \(6, 0, "),
    ("plot_mistakes", lambda f: f(IMAGES, LABELS + 1, PROBABILITIES, NAMES), ValueError, "lie from 0 to 1, got 1 to 2"),
    ("plot_mistakes", lambda f: f(IMAGES, LABELS, PROBABILITIES, 2), TypeError, NO_NAMES + "2"),
    (
        "plot_mistakes",
        lambda f: f(IMAGES, LABELS, PROBABILITIES, NAMES, "4"),
        TypeError,
        "{}: rows must be an int.* '4'",
    ),
    ("plot_mistakes", lambda f: f(IMAGES, LABELS, PROBABILITIES, NAMES, 0), ValueError, "{}: rows must be at least 1"),
    (
        "plot_mistakes",
        lambda f: f(IMAGES, LABELS, PROBABILITIES, NAMES, 4, 2.0),
        TypeError,
        r"{}: columns must .* 2\.0",
    ),
    ("plot_mistakes", lambda f: f(IMAGES, LABELS, PROBABILITIES, NAMES, 4, -1), ValueError, "{}: columns .* got -1"),
    ("new_figure", lambda f: f("4", 3), TypeError, "{}: the width must be a number, got '4'"),
    ("new_figure", lambda f: f(4, -3), ValueError, "{}: the height must be 0 or more, got -3"),
    (
        "save_figure",
        lambda f: f("x.png", curves()),
        TypeError,
        "{}: the figure must be matplotlib's Figure, got 'x.png'",
    ),
    (
        "save_figure",
        lambda f: f(curves().axes[0], "x.png"),
        TypeError,
        "matplotlib's Figure, got Axes; the functions of",
    ),
    (
        "save_figure",
        lambda f: f(None, "x.png"),
        TypeError,
        "matplotlib's Figure, got None; the functions of minigrad.plo",
    ),
    ("save_figure", lambda f: f(curves(), None), TypeError, NO_PATH + "None"),
    ("save_figure", lambda f: f(curves(), "x"), ValueError, "{}: .* is PNG, so the path must end in .png, got 'x'"),
    ("save_figure", lambda f: f(curves(), "x.jpg"), ValueError, "{}: .* the path must end in .png, got 'x.jpg'"),
    ("save_figure", lambda f: f(curves(), "."), ValueError, r"{}: .* the path must end in .png, got '\.'"),
    ("save_figure", lambda f: f(curves(), IN_NO_FOLDER), FileNotFoundError, "there is no folder .*; make it first"),
    # -- models
    *(
        ("lenet5", lambda f, v=v: f(v), ValueError, f"lenet5: there is no variant {given}; there are 'book', 'modern'")
        for v, given in [
            ("classic", "'classic'"),
            ("Modern", "'Modern'"),
            (None, "None"),
            (10, "10"),
            (["book"], ".'book'."),
        ]
    ),
    ("summary", lambda f: f("model", (1, 4)), TypeError, NO_MODEL + "'model'"),
    ("summary", lambda f: f(nn.Linear, (1, 4)), TypeError, NO_MODEL + "the class Linear itself; make one: Linear"),
    ("summary", lambda f: f(MODEL, 4), TypeError, r"summary: input_shape must be a tuple such as \(1, 784\), got 4"),
    ("summary", lambda f: f(MODEL, "4"), TypeError, "summary: input_shape must be a tuple .* got '4'"),
    ("summary", lambda f: f(MODEL, None), TypeError, "summary: input_shape must be a tuple .* got None"),
    ("summary", lambda f: f(MODEL, X), TypeError, "summary: input_shape must be a tuple .* got Tensor"),
    (
        "summary",
        lambda f: f(MODEL, (1.0, 4)),
        TypeError,
        r"summary: a size of input_shape must be an integer, got 1\.0",
    ),
    ("summary", lambda f: f(MODEL, (-1, 4)), ValueError, "summary: a size of input_shape must be at least 0, got -1"),
    (
        "summary",
        lambda f: f(MODEL, (1, 5)),
        ValueError,
        r"linear: input \(1, 5\) has 5 features but weight \(2, 4\) expects",
    ),
    ("evaluation_mode", lambda f: enter(f, "model"), TypeError, NO_MODEL + "'model'"),
    ("evaluation_mode", lambda f: enter(f, None), TypeError, NO_MODEL + "None"),
    ("evaluation_mode", lambda f: enter(f, nn.Linear), TypeError, NO_MODEL + "the class Linear itself; make one"),
    # -- activations
    ("activations", lambda f: f("model", X, ["1"]), TypeError, NO_MODEL + "'model'"),
    (
        "activations",
        lambda f: f(LENET, X, "4"),
        TypeError,
        r"{}: layers must be a list of names, got '4'; model\.named_m",
    ),
    ("activations", lambda f: f(LENET, X, ["conv"]), ValueError, "{}: the model has no layer 'conv'; it has '0', '1'"),
    (
        "activations",
        lambda f: f(Idle(), X, ["used", "idle"]),
        ValueError,
        "{}: the model did not call its layer 'idle'",
    ),
    ("receptive_field", lambda f: f(None, "1"), TypeError, NO_MODEL + "None"),
    ("receptive_field", lambda f: f(LENET, "conv"), ValueError, "{}: the model has no layer 'conv'; it has '0', '1'"),
    (
        "receptive_field",
        lambda f: f(LENET, "7"),
        ValueError,
        "{}: layer '6' is of class Flatten, and only those of conv",
    ),
    ("receptive_field", lambda f: f(nn.Sequential(Idle()), "0"), ValueError, "{}: layer '0' is of class Idle"),
    ("plot_maps", lambda f: f([], FIELD), ValueError, MAPS),
    ("plot_maps", lambda f: f([MAP_ROW, MAP_ROW._replace(maps=np.ones((3, 4, 4)))], FIELD), ValueError, MAPS),
    ("plot_maps", lambda f: f([MAP_ROW._replace(image=np.ones(8))], FIELD), ValueError, MAPS),
    (
        "plot_maps",
        lambda f: f([MAP_ROW._replace(image=RAGGED)], FIELD),
        TypeError,
        "{}: images and maps must be an array",
    ),
    ("plot_maps", lambda f: f([MAP_ROW], 5), TypeError, "{}: the receptive field must be a ReceptiveField, got 5"),
]

MODULES = (train, models, plots, activations)
# records that minigrad makes, and that of a row of plot_maps, which checks it
RECORDS = {"TrainingStep", "Epoch", "Evaluation", "Layer", "Summary", "MapRow", "ReceptiveField", "ReceptiveField.of"}


def curves():
    return plots.plot_curves([EPOCH], 10)


@pytest.mark.parametrize(("name", "call", "kind", "message"), ERRORS, ids=[f"{e[0]}-{e[3]}"[:60] for e in ERRORS])
def test_wrong_arguments_raise_at_once_and_say_what_is_wrong(name, call, kind, message, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=message.format(name)) as caught:
        call(resolve(name, *MODULES))
    assert type(caught.value) is kind
    assert list(tmp_path.iterdir()) == []


def test_every_public_name_has_its_wrong_arguments_tested() -> None:
    needed = names(*MODULES)
    assert {"TrainingRun", "TrainingRun.epochs", "evaluate", "lenet5", "save_figure"} <= needed
    assert needed - {name for name, *_ in ERRORS} == RECORDS
