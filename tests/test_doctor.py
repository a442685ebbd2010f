"""The doctor: what it leaves as it was, what it measures, how it writes that down, and wrong arguments."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import threading
from xml.etree.ElementTree import fromstring

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, cross_entropy, models, mse_loss, nn, no_grad
from minigrad.data import ArrayDataset, DataLoader, FashionMNIST
from minigrad.diagnosis import Diagnosis, doctor
from minigrad.random import default_generator


def blobs(n: int = 60, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 4) around one place for each class."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, n)
    return (np.eye(classes, 4)[labels] * 2 + rng.normal(0, 0.3, (n, 4))).astype(np.float32), labels


def network(seed: int = 0) -> nn.Sequential:
    minigrad.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))


@pytest.fixture(scope="module")
def clothes() -> tuple[np.ndarray, np.ndarray]:
    images, labels = next(iter(DataLoader(FashionMNIST(train=True), 128)))
    return images.numpy(), labels.numpy()


# -- what stays as it was ------------------------------------------------------------------------------------------


class Everything(nn.Module):
    """Dropout, batch norm, a gradient, a computed tensor that is kept, and a part in another mode than the rest."""

    def __init__(self) -> None:
        self.conv, self.norm, self.drop = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout()
        self.last = nn.Linear(8, 3)

    def forward(self, x):
        self.kept = self.norm(self.conv(x))
        return self.last(self.drop(self.kept.reshape(len(x), -1)))


def state_of(model: nn.Module) -> list:
    tensors = [*model.named_parameters(), *model.named_buffers()]
    values = [(name, id(t), id(t.data), t.numpy().tobytes(), t.requires_grad, id(t.grad)) for name, t in tensors]
    grads = [None if p.grad is None else p.grad.numpy().tobytes() for p in model.parameters()]
    modes = [(id(module), module.training, sorted(vars(module))) for module in model.modules()]
    return [values, grads, modes, default_generator(), default_generator().bit_generator.state]


def patient() -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    minigrad.manual_seed(1)
    model = Everything()
    images = Tensor(np.random.default_rng(0).normal(size=(9, 1, 4, 4)).astype(np.float32), requires_grad=True)
    labels = Tensor(np.arange(9) % 3)
    cross_entropy(model(images), labels).backward()
    model.drop.training = False
    return model, (images, labels)


@pytest.mark.parametrize("training", [True, False])
def test_nothing_of_the_models_is_changed(training):
    model, batch = patient()
    model.train(training).norm.eval()
    before, gradient, kept = state_of(model), batch[0].grad, model.kept
    doctor(model, batch)
    assert state_of(model) == before
    assert batch[0].grad is gradient and model.kept is kept


def test_nothing_is_changed_when_something_raises():
    model, batch = patient()
    before = state_of(model)
    for loss in (lambda outputs, labels: outputs, lambda outputs, labels: 1 / 0):
        with pytest.raises((ValueError, ZeroDivisionError)):
            doctor(model, batch, loss)
    assert state_of(model) == before and minigrad.is_grad_enabled()


def test_a_loss_that_knows_the_model_leaves_its_gradients_alone():
    model, batch = patient()
    before = state_of(model)
    doctor(model, batch, lambda y, labels: cross_entropy(y, labels) + sum((p * p).sum() for p in model.parameters()))
    assert state_of(model) == before


def test_the_same_question_has_the_same_answer_whatever_was_drawn_before():
    model, batch = patient()
    first = doctor(model, batch)
    default_generator().random(7)
    with no_grad():
        assert doctor(model, batch) == first
    model.drop.train()
    assert doctor(model, batch, seed=1) != doctor(model, batch)  # other masks


def test_a_lazy_layer_stays_lazy():
    model = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, 3))
    diagnosis = doctor(model, blobs())
    assert type(model[0]) is nn.LazyLinear and diagnosis.parameters == 4 * 8 + 8 + 8 * 3 + 3


def test_a_model_that_cannot_be_copied_is_refused():
    model = network()
    model.lock = threading.Lock()
    with pytest.raises(TypeError, match="doctor: works on a copy of the model, which cannot be copied: .*lock"):
        doctor(model, blobs())


# -- what is measured ----------------------------------------------------------------------------------------------


def test_the_figures_of_each_layer(on_backend):
    """Against their definitions, in NumPy."""
    minigrad.manual_seed(0)
    images, labels = blobs()
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.Sigmoid(), nn.Linear(5, 4), nn.ReLU())
    model.append(nn.Linear(4, 3))
    model[0].weight.data = model[0].weight.data * 8
    layers = doctor(model, (images, labels), lr=0.5, overfit_steps=0).layers
    assert [layer.name for layer in layers] == list("0123456")

    outputs, x = [], Tensor(images)
    for module in model:
        outputs.append(x := module(x))
    gradients = minigrad.grad(cross_entropy(x, Tensor(labels)), [model[i].weight for i in (0, 2, 4, 6)])
    norms = dict(zip((0, 2, 4, 6), (np.linalg.norm(gradient.numpy()) for gradient in gradients), strict=True))
    for i, (layer, output) in enumerate(zip(layers, outputs, strict=True)):
        y = output.numpy()
        assert (layer.kind, layer.shape, layer.constant) == (type(model[i]).__name__, y.shape, False)
        figures = (layer.mean, layer.std, layer.differs)
        assert figures == pytest.approx((y.mean(), y.std(), y.std(axis=0).mean()), rel=1e-4, abs=1e-6)
        if i in norms:
            update = 0.5 * norms[i] / np.linalg.norm(model[i].weight.numpy())
            assert (layer.gradient, layer.share) == pytest.approx((norms[i], norms[i] / norms[6]), rel=1e-4)
            assert layer.update == pytest.approx(update, rel=1e-4)
        else:
            assert layer.gradient is layer.share is layer.update is None
    assert layers[1].saturated == pytest.approx((np.abs(outputs[1].numpy()) > 0.97).mean()) and layers[1].saturated > 0
    assert layers[3].saturated == 0.0
    assert layers[5].dead == (outputs[5].numpy() == 0).all(axis=0).mean()


def test_a_dead_unit_of_images_is_a_channel():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    bias = model[0].bias
    bias.data = bias.backend.from_numpy(np.array([-9, 9, 9, 9], np.float32))
    images = np.random.default_rng(0).normal(0, 0.3, (12, 1, 4, 4))
    assert doctor(model, (images, np.arange(12) % 3)).layers[1].dead == 0.25


def test_functions_and_repeated_calls_have_lines_of_their_own():
    class Functional(nn.Module):
        def __init__(self):
            self.fc1, self.fc2, self.fc3, self.act = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3), nn.Tanh()

        def forward(self, x):
            return self.fc3(self.act(self.act(self.fc2(nn.functional.relu(self.fc1(x))))))

    layers = doctor(Functional(), blobs()).layers
    assert [layer.name for layer in layers] == ["fc1", "relu after fc1", "fc2", "act", "act (call 2)", "fc3"]
    assert layers[1].kind == "function" and layers[1].dead is not None


def test_a_model_without_layers_is_one_itself():
    class Bare(nn.Module):
        def __init__(self):
            self.w = nn.Parameter(np.random.default_rng(0).normal(0, 0.1, (4, 3)).astype(np.float32))

        def forward(self, x):
            return x @ self.w

    diagnosis = doctor(Bare(), blobs())
    assert [(layer.name, layer.kind) for layer in diagnosis.layers] == [("", "Bare")] and diagnosis.well
    assert diagnosis.layers[0].gradient > 0


def test_odd_models_are_examined_too():
    class Unused(nn.Module):
        def __init__(self):
            self.never, self.threshold = nn.ReLU(), Threshold()

        def forward(self, x):
            return x[:, :3] * 1.0

    class Threshold(nn.Module):
        def forward(self, x):
            return x > 0

    class Mask(Unused):
        def forward(self, x):
            return x[:, :3] * self.threshold(x[:, :3])

    assert doctor(Unused(), blobs()).layers == ()
    (layer,) = doctor(Mask(), blobs()).layers
    assert layer.kind == "Threshold" and 0 < layer.mean < 1


def test_the_loss_beside_that_of_guessing():
    model, (images, labels) = network(), blobs()
    diagnosis = doctor(model, (images, labels))
    assert diagnosis.loss == pytest.approx(cross_entropy(model(Tensor(images)), Tensor(labels)).item(), rel=1e-6)
    assert diagnosis.expected == pytest.approx(np.log(3)) and diagnosis.classes == 3
    for loss in (cross_entropy, nn.CrossEntropyLoss()):
        assert doctor(model, (images, labels), loss) == diagnosis

    targets = images[:, :3] * 2 + 1
    for loss in (mse_loss, nn.MSELoss()):
        diagnosis = doctor(model, (images, targets), loss, lr=0.01)
        assert diagnosis.expected == pytest.approx(targets.var(axis=0).mean(), rel=1e-5)
        assert diagnosis.classes is diagnosis.overfit.accuracy is None and diagnosis.well
    assert doctor(model, (images, labels), nn.CrossEntropyLoss(reduction="sum")).expected is None


def test_twenty_examples_are_learned():
    result = doctor(network(), blobs()).overfit
    assert (result.examples, result.accuracy, result.succeeded) == (20, 1.0, True)
    assert 0 < result.steps < 200 and result.end < 0.05 * np.log(3) < result.start
    result = doctor(network(), blobs(), overfit_steps=2).overfit
    assert (result.steps, result.succeeded) == (2, False)
    assert doctor(network(), blobs(), overfit_steps=0).overfit is None
    assert doctor(network(), blobs(7)).overfit.examples == 7


def test_batches_of_arrays_tensors_and_loaders_are_the_same():
    images, labels = blobs()
    expected = doctor(network(), (images, labels))
    for batch in ((images.astype(float), labels.astype(np.uint8)), [Tensor(images), Tensor(labels)]):
        assert doctor(network(), batch) == expected


# -- how it is written down ----------------------------------------------------------------------------------------


PAGE = """\
Sequential: 131 parameters, 60 examples, 3 classes, learning rate 0.1
=====================================================================

loss at the start     1.082; guessing among 3 classes costs ln 3 = 1.099
overfits 20 examples  yes; loss 1.06 to 0.0541 in 69 steps of Adam (lr 0.005), 20 right
without a gradient    none of 4 parameters

layer  kind    mean   std  differs  units     gradient  of last  update
-----------------------------------------------------------------------
0      Linear  0.16  0.73     0.49                0.40     0.51  1.7e-2
1      ReLU    0.39  0.45     0.30  6 % dead
2      Linear  0.22  0.31     0.13                0.79     1.00  6.9e-2
-----------------------------------------------------------------------
mean, std: of the layer's output; differs: its deviation from example to example. gradient: the norm
of its weight's; of last: as a share of the last layer's. update: lr * gradient / norm of the
weight, about 1e-3 in a healthy network.

All is well: nothing was found that would keep this model from learning."""


def test_the_page():
    assert repr(doctor(network().to("float64"), blobs())) == PAGE  # float64: the same digits on every processor


def test_the_page_is_narrow_and_about_a_screen(clothes):
    images, labels = clothes
    for batch in (clothes, (images * 255.0, labels)):
        for variant in models.VARIANTS:
            minigrad.manual_seed(0)
            lines = str(doctor(models.lenet5(variant), batch)).splitlines()
            assert max(map(len, lines)) <= 100 and len(lines) < 60
            assert lines == [line.rstrip() for line in lines]


def test_the_table_of_a_deep_model_is_cut_in_the_middle():
    layers = [module for _ in range(30) for module in (nn.Linear(4, 4), nn.ReLU())]
    page = str(doctor(nn.Sequential(*layers, nn.Linear(4, 3)), blobs(), overfit_steps=0))
    assert "... 25 more ..." in page and len(page.splitlines()) < 70


def test_numbers_in_json_and_no_others(clothes):
    for diagnosis in (doctor(network(), blobs()), doctor(models.lenet5(), (clothes[0] * float("nan"), clothes[1]))):
        values = json.loads(json.dumps(diagnosis.to_dict(), allow_nan=False))
        assert values["findings"] == [finding._asdict() for finding in diagnosis.findings]
        assert [layer["name"] for layer in values["layers"]] == [layer.name for layer in diagnosis.layers]
        assert values["well"] == diagnosis.well and set(values) == {*Diagnosis.__dataclass_fields__, "well"}


def test_html_says_the_same():
    model = network()
    model.add_module("<b>&", nn.ReLU())
    diagnosis = doctor(model, blobs())
    page = diagnosis._repr_html_()
    fromstring(page)  # well-formed, even as XML
    assert "&lt;b&gt;&amp;" in page and "<b>&" not in page
    assert page.count("<tr>") == 3 + 1 + len(diagnosis.layers) and page.count("<li>") == len(diagnosis.findings) > 0
    assert "All is well" not in page and "All is well" in doctor(network(), blobs())._repr_html_()


def test_nothing_is_printed(capsys):
    doctor(network(), blobs())
    assert capsys.readouterr() == ("", "")


def test_the_doctor_comes_at_first_use():
    code = (
        "import sys, minigrad; assert 'minigrad.diagnosis' not in sys.modules; assert 'doctor' in dir(minigrad); "
        "from minigrad import doctor; assert doctor is minigrad.doctor is minigrad.diagnosis.doctor"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# -- wrong arguments -----------------------------------------------------------------------------------------------

X, Y = blobs()
NO_PAIR = r"doctor: the batch must be a pair \(images, labels\), got {}; a DataLoader gives one: next\(iter\(loader\)\)"
ERRORS = {
    "no model": (lambda: doctor("lenet", (X, Y)), TypeError, "doctor: the model must be a Module, got 'lenet'"),
    "a class": (lambda: doctor(nn.ReLU, (X, Y)), TypeError, "got the class ReLU itself; make one"),
    "no batch": (lambda: doctor(network(), X), TypeError, NO_PAIR.format("ndarray")),
    "a loader": (
        lambda: doctor(network(), DataLoader(ArrayDataset(X.reshape(60, 2, 2), Y), 1)),
        TypeError,
        NO_PAIR.format("DataLoader"),
    ),
    "no loss": (lambda: doctor(network(), (X, Y), "mse"), TypeError, "doctor: the loss must be a function, got 'mse'"),
    "a loss's class": (lambda: doctor(network(), (X, Y), nn.MSELoss), TypeError, "the class MSELoss itself; make one"),
    "negative lr": (lambda: doctor(network(), (X, Y), lr=-1), ValueError, "doctor: lr must be 0 or more, got -1"),
    "steps": (lambda: doctor(network(), (X, Y), overfit_steps=-1), ValueError, "overfit_steps must be at least 0"),
    "seed": (lambda: doctor(network(), (X, Y), seed=0.5), TypeError, "doctor: seed must be an integer, got 0.5"),
    "no examples": (lambda: doctor(network(), (X[:0], Y[:0])), ValueError, r"no examples: .* shape \(0, 4\)"),
    "fewer labels": (lambda: doctor(network(), (X, Y[1:])), ValueError, r"60 images need as many labels, .*\(59,\)"),
    "one-hot": (lambda: doctor(network(), (X, np.eye(3)[Y])), ValueError, r"got \(60, 3\); one-hot rows become labels"),
    "a column": (lambda: doctor(network(), (X, Y[:, None])), ValueError, r"got \(60, 1\); reshape\(-1\) makes"),
    "floats": (lambda: doctor(network(), (X, Y * 1.0)), TypeError, "labels for cross-entropy are integers, got float"),
    "below 0": (lambda: doctor(network(), (X, Y - 1)), ValueError, "doctor: labels count from 0, got -1"),
    "from 1": (lambda: doctor(network(), (X, Y + 1)), ValueError, "3 outputs need labels from 0 to 2, got 1 to 3; the"),
    "images out": (lambda: doctor(nn.ReLU(), (X[:, None], Y)), ValueError, r"got \(60, 1, 4\); is a Flatten missing\?"),
    "two outputs": (lambda: doctor(Two(), (X, Y)), TypeError, "doctor: the model must return one Tensor, got tuple"),
    "no number": (lambda: doctor(network(), (X, Y), lambda *_: 1), TypeError, "loss function must return a Tensor"),
}


class Two(nn.Module):
    def forward(self, x):
        return x, x


@pytest.mark.parametrize("case", ERRORS)
def test_wrong_arguments(case):
    call, kind, message = ERRORS[case]
    with pytest.raises(kind, match=message):
        call()


def test_a_copy_is_a_patient_too(clothes):
    minigrad.manual_seed(0)
    model = models.lenet5("modern")
    assert doctor(copy.deepcopy(model), clothes, overfit_steps=0) == doctor(model, clothes, overfit_steps=0)
