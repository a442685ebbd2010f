"""What the doctor says: a sick model for each finding and each reason for a missing gradient, and healthy ones."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from test_doctor import blobs, clothes, network  # noqa: F401

import minigrad
from minigrad import Function, Tensor, cross_entropy, models, mse_loss, nn, no_grad
from minigrad.diagnosis import Diagnosis, doctor
from minigrad.diagnosis.rules_model import WHY

X, Y = blobs()
IMAGES = np.random.default_rng(0).random((30, 1, 28, 28), np.float32)
LABELS = np.arange(30) % 10
BRIGHT, DARK = (IMAGES * 255, LABELS), (IMAGES / 255, LABELS)
NAN = float("nan")


def modern() -> nn.Sequential:
    return models.lenet5("modern")


def chain(*modules: nn.Module, seed: int = 0) -> nn.Sequential:
    minigrad.manual_seed(seed)
    return nn.Sequential(*modules)


def made(make, seed: int = 0):
    """A model whose weights are drawn from that seed."""
    minigrad.manual_seed(seed)
    return make()


def changed(model: nn.Module, **arrays) -> nn.Module:
    """The model with parameters that are set, or multiplied by a number: _0_weight=2.0 for "0.weight"."""
    parameters = dict(model.named_parameters())
    for name, value in arrays.items():
        parameter = parameters[name.strip("_").replace("_", ".")]
        parameter.data = parameter.data * np.float32(value)
    return model


class Net(nn.Module):
    """Two layers and, between them and around, whatever a test wants."""

    def __init__(self, between=lambda x: x, forward=None) -> None:
        self.fc1, self.fc2, self.between, self.way = nn.Linear(4, 8), nn.Linear(8, 3), between, forward

    def forward(self, x):
        return self.way(self, x) if self.way else self.fc2(self.between(self.fc1(x)))


class NoRule(Function):
    def forward(self, x):
        return x

    def backward(self, dy):
        return (None,)


class Extra(Net):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter([1.0])


def hidden_first_layer(net: Net, x: Tensor) -> Tensor:
    with no_grad():
        h = net.fc1(x)
    return net.fc2(h)


def frozen() -> Net:
    net = Net()
    net.fc1.requires_grad_(False)
    return net


# -- parameters without a gradient ---------------------------------------------------------------------------------

REASONS = {  # the model, the parameters, the reason, the words
    "frozen": (frozen, ["fc1.weight", "fc1.bias"], "frozen", "requires_grad is False"),
    "never called": (
        lambda: Net(forward=lambda net, x: net.fc2(x @ np.ones((4, 8), np.float32))),
        ["fc1.weight", "fc1.bias"],
        "not-called",
        "forward never calls layer fc1 (Linear)",
    ),
    "lazy and never called": (
        lambda: chain(Idle(), nn.Linear(4, 3)),
        ["0.idle.weight", "0.idle.bias"],
        "not-called",
        "forward never calls layer 0.idle (LazyLinear)",
    ),
    "under no_grad": (
        lambda: Net(forward=hidden_first_layer),
        ["fc1.weight", "fc1.bias"],
        "not-recorded",
        "layer fc1 (Linear) ran, but was not recorded: under no_grad(), or with .data",
    ),
    "unused": (Extra, ["scale"], "unused", "the model itself (Extra) ran without it, or used only its .data"),
    "detached": (
        lambda: Net(Tensor.detach),
        ["fc1.weight", "fc1.bias"],
        "cut",
        "the graph is cut after layer fc1 (Linear): by detach(), .data or no_grad(), or its output is not used",
    ),
    "through NumPy": (
        lambda: chain(nn.Linear(4, 8), nn.ReLU(), Through(lambda x: Tensor(x.numpy())), nn.Linear(8, 3)),
        ["0.weight", "0.bias"],
        "cut",
        "the graph is cut after layer 1 (ReLU): by detach(), .data or no_grad(), or its output is not used",
    ),
    "no rule": (
        lambda: Net(NoRule.apply),
        ["fc1.weight", "fc1.bias"],
        "no-rule",
        "the backward rule of <NoRule> passes nothing on to it",
    ),
    "dead ReLU": (
        lambda: biased(chain(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), -100),
        ["0.weight", "0.bias"],
        "zero-dead",
        "the ReLU after it is dead: layer 1 (ReLU) gives 0 for every example",
    ),
    "dead relu": (
        lambda: Net(lambda x: nn.functional.relu(x - 100.0)),
        ["fc1.weight", "fc1.bias"],
        "zero-dead",
        "the ReLU after it is dead: the function relu gives 0 for every example",
    ),
    "zeros in the next layer": (
        lambda: changed(chain(nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)), _1_weight=0),
        ["0.weight", "0.bias"],
        "zero-weights",
        "1.weight, behind it, is all zero and lets nothing through",
    ),
    "times zero": (
        lambda: Net(lambda x: x * 0.0),
        ["fc1.weight", "fc1.bias"],
        "zero-factor",
        "it is multiplied with zeros in the function mul",
    ),
    "flat sigmoid": (
        lambda: biased(chain(nn.Linear(4, 8), nn.Sigmoid(), nn.Linear(8, 3)), 1000),
        ["0.weight", "0.bias"],
        "zero-saturated",
        "layer 1 (Sigmoid) is so saturated that its slope is exactly 0",
    ),
    "flat loss": (
        lambda: sure(chain(nn.Linear(4, 3))),
        ["0.weight", "0.bias"],
        "zero-loss",
        "the loss is flat: it cannot be told from 0 any more",
    ),
    "inputs of zero": (
        lambda: Net(forward=lambda net, x: net.fc2(net.fc1(x * 0.0))),
        ["fc1.weight"],
        "zero-inputs",
        "what it is multiplied with is 0 for every example",
    ),
    "cancelled": (
        lambda: Net(lambda x: x - x),
        ["fc1.weight", "fc1.bias"],
        "zero",
        "the gradients that arrive cancel each other out",
    ),
}


class Through(nn.Module):
    def __init__(self, function) -> None:
        self.function = function

    def forward(self, x):
        return self.function(x)


class Idle(nn.Module):
    def __init__(self) -> None:
        self.idle = nn.LazyLinear(3)

    def forward(self, x):
        return x


def biased(model: nn.Sequential, bias: float) -> nn.Sequential:
    model[0].bias.data = model[0].bias.data * 0 + np.float32(bias)
    return model


def sure(model: nn.Sequential) -> nn.Sequential:
    weight = model[0].weight
    weight.data = weight.backend.from_numpy(np.eye(3, 4, dtype=np.float32) * 1000)
    return model


@pytest.mark.parametrize("case", REASONS)
def test_why_a_parameter_has_no_gradient(case, on_backend):
    make, parameters, reason, text = REASONS[case]
    diagnosis = doctor(made(make), (X, Y), overfit_steps=0)
    found = [entry for entry in diagnosis.missing if entry.parameter in parameters]
    assert [entry.parameter for entry in found] == parameters
    assert {(entry.reason, entry.text) for entry in found} == {(reason, text)}
    (finding,) = [f for f in diagnosis.findings if f.code == f"gradient-{reason}" and f.text.endswith(text)]
    assert f" {', '.join(parameters)}" in finding.text and finding.severity == WHY[reason][0]


def test_there_is_a_case_for_each_reason():
    assert {reason for _, _, reason, _ in REASONS.values()} == set(WHY)


def test_a_parameter_that_is_used_without_its_layer_is_not_missing():
    net = Net(forward=lambda net, x: net.fc2(nn.functional.linear(x, net.fc1.weight, net.fc1.bias)))
    assert doctor(net, (X, Y), overfit_steps=0).missing == ()


# -- findings ------------------------------------------------------------------------------------------------------


def deep(activation, layers: int = 6, scale: float = 1.0) -> nn.Sequential:
    model = chain(*[m for _ in range(layers) for m in (nn.Linear(4, 4), activation())], nn.Linear(4, 3))
    for parameter in model.parameters():
        parameter.data = parameter.data * np.float32(scale)
    return model


def alike(model: nn.Sequential, outer: bool) -> nn.Sequential:
    for layer in [model[0], *([model[2]] if outer else [])]:
        layer.weight.data = layer.weight.data * 0 + np.float32(0.3)
        layer.bias.data = layer.bias.data * 0
    return model


FINDINGS = {  # code: severity, the question, words of the answer
    "non-finite": ("error", lambda: doctor(changed(network(), _2_bias=NAN), (X, Y)), "the bias of layer 2 (Linear)"),
    "inputs-alike": ("error", lambda: doctor(network(), (X[:1].repeat(60, 0), Y)), "the same for every example"),
    "inputs-large": (
        "warning",
        lambda: doctor(modern(), BRIGHT, overfit_steps=0),
        "to 255; layers are",
    ),
    "inputs-small": (
        "warning",
        lambda: doctor(modern(), DARK, overfit_steps=0),
        "hardly count",
    ),
    "one-example": ("note", lambda: doctor(network(), (X[:1], Y[:1])), "a single example"),
    "labels-alike": ("warning", lambda: doctor(network(), (X, Y * 0 + 2)), "all 60 labels are the same (2)"),
    "targets-scale": ("warning", lambda: doctor(network(), (X, X[:, :3] * 1000), mse_loss), "far from the scale of"),
    "eval-mode": ("note", lambda: doctor(network().eval(), (X, Y)), "in evaluation mode"),
    "no-parameters": ("error", lambda: doctor(nn.Flatten(), (X, Y)), "no parameters, so there is nothing to train"),
    "all-frozen": ("error", lambda: doctor(network().requires_grad_(False), (X, Y)), "no parameter requires a grad"),
    "one-output": ("error", lambda: doctor(chain(nn.Linear(4, 1)), (X, Y * 0)), "cross-entropy of one class is alw"),
    "loss-high": ("warning", lambda: doctor(changed(network(), _2_weight=50), (X, Y)), "far above ln 3 = 1.099"),
    "softmax-twice": ("error", lambda: doctor(chain(nn.Linear(4, 3), nn.Softmax()), (X, Y)), "get below 0.551"),
    "last-activation": ("error", lambda: doctor(chain(nn.Linear(4, 3), nn.ReLU()), (X, Y)), "ends in a ReLU"),
    "outputs-constant": (
        "error",
        lambda: doctor(biased(chain(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), -100), (X, Y)),
        "from layer 1 (ReLU) on, the outputs are the same for every example",
    ),
    "weights-zero": ("error", lambda: doctor(changed(network(), _0_weight=0), (X, Y)), "of layer 0 (Linear) are all"),
    "units-alike": ("error", lambda: doctor(alike(network(), outer=True), (X, Y)), "will stay one unit for ever"),
    "gradients-vanish": (
        "warning",
        lambda: doctor(deep(nn.Sigmoid), (X, Y), overfit_steps=0),
        "as stacked sigmoids make them",
    ),
    "gradients-explode": (
        "warning",
        lambda: doctor(deep(nn.Identity, scale=10), (X, Y)),
        "(Linear) is huge: its norm is",
    ),
    "rate-large": ("warning", lambda: doctor(network(), (X, Y), lr=500.0), "and the loss rises, from 1.08 to"),
    "rate-small": ("warning", lambda: doctor(network(), (X, Y), lr=1e-6), "changes no layer by more than"),
    "units-dead": (
        "error",
        lambda: doctor(biased(chain(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), -100), (X, Y)),
        "100% of the units of layer 1 (ReLU) are dead",
    ),
    "units-saturated": (
        "warning",
        lambda: doctor(changed(chain(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)), _0_weight=50), (X, Y)),
        "of the outputs of layer 1 (Tanh) are saturated",
    ),
    "no-overfit": ("error", lambda: doctor(network(), (X, Y), overfit_steps=3), "does not learn 20 examples by heart"),
    "gradient-non-finite": (
        "error",
        lambda: doctor(Net(lambda h: (h * 0.0).sqrt() + h), (X, Y)),
        "NaN or infinite comes from the function sqrt; the loss is",
    ),
}


def codes(diagnosis: Diagnosis) -> list[str]:
    return [finding.code for finding in diagnosis.findings]


@pytest.mark.parametrize("code", FINDINGS)
def test_what_is_said_of_a_sick_model(code, on_backend):
    severity, ask, words = FINDINGS[code]
    diagnosis = made(ask)
    (finding,) = [finding for finding in diagnosis.findings if finding.code == code]
    assert finding.severity == severity and words in finding.text and len(finding.action) > 10
    assert diagnosis.well == ({f.severity for f in diagnosis.findings} == {"note"})
    ranks = [["error", "warning", "note"].index(f.severity) for f in diagnosis.findings]
    assert ranks == sorted(ranks)


HEALTHY = {
    "a small network": lambda: doctor(network(), (X, Y)),
    "linear": lambda: doctor(chain(nn.Linear(4, 3)), (X, Y)),
    "linear on images": lambda: doctor(chain(nn.Flatten(), nn.Linear(784, 10)), (IMAGES, LABELS)),
    "tanh": lambda: doctor(chain(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3)), (X, Y)),
    "functions": lambda: doctor(Net(nn.functional.relu), (X, Y)),
    "modern LeNet-5": lambda: doctor(modern(), (IMAGES, LABELS)),
    "dropout, batch norm": lambda: doctor(
        chain(
            nn.Conv2d(1, 8, 5, stride=2, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Dropout(0.5), nn.Linear(288, 10),
        ),
        (IMAGES, LABELS),
    ),
    "regression": lambda: doctor(chain(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2)), (X, X[:, :2]), mse_loss),
    "a sigmoid for a loss that wants one": lambda: doctor(
        chain(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid()), (X, (Y == 0)[:, None] * 1.0), mse_loss
    ),
    "another loss": lambda: doctor(network(), (X, Y), lambda y, t: cross_entropy(y, t) * 2.0),
}  # fmt: skip


@pytest.mark.parametrize("case", HEALTHY)
def test_all_is_well(case, on_backend):
    diagnosis = made(HEALTHY[case])
    assert diagnosis.well, diagnosis
    assert codes(diagnosis) in ([], ["rate-large"]) and diagnosis.overfit.succeeded
    assert "All is well" in str(diagnosis)


def test_the_books_lenet_sits_at_ln_10_and_the_modern_one_is_well(clothes, on_backend, pytestconfig):  # noqa: F811
    slow = on_backend == "cupy"  # over the stand-in, where 200 steps take ten seconds
    for seed in range(1 if slow and not pytestconfig.getoption("--long") else 2):
        diagnosis = doctor(made(models.lenet5, seed), clothes)
        assert codes(diagnosis) == ["gradients-vanish"] and diagnosis.overfit.succeeded
        share = diagnosis.layers[0].gradient / diagnosis.layers[-1].gradient
        mantissa, exponent = f"{share:.1e}".split("e")
        (finding,) = diagnosis.findings
        assert finding.text == (
            f"the loss, {diagnosis.loss:.4g}, sits at ln 10 = 2.303: gradients in layer 0 (Conv2d) are "
            f"{mantissa}e{int(exponent)} of those in the last layer, 11 (Linear), as stacked sigmoids make them"
        )
        assert finding.action == "expect a plateau of two to four epochs, or use ReLU"
        assert doctor(made(modern, seed), clothes).well


def test_a_finding_is_not_made_up_where_the_reason_is_known_to_be_harmless():
    zero_last = doctor(changed(network(), _2_weight=0), (X, Y))
    assert [f.severity for f in zero_last.findings if f.code == "weights-zero"] == ["note"]
    told_apart = doctor(alike(network(), outer=False), (X, Y))
    assert [f.severity for f in told_apart.findings if f.code == "units-alike"] == ["warning"]
    steps = doctor(changed(chain(nn.Linear(4, 3)), _0_weight=0.01), (X, Y))  # small weights need large steps
    assert [(f.code, f.severity) for f in steps.findings] == [("rate-large", "note")] and steps.well
    assert "and the loss falls all the same, from" in steps.findings[0].text


def test_contradictory_labels_are_named():
    images = X.copy()
    images[1] = images[0]
    labels = Y.copy()
    labels[:2] = 0, 1
    (finding,) = [f for f in doctor(network(), (images, labels)).findings if f.code == "no-overfit"]
    assert "two of them have the same input and different labels" in finding.action


def test_images_of_bytes_are_to_be_divided():
    images = (IMAGES * 255).astype(np.uint8)
    actions = {f.code: f.action for f in doctor(modern(), (images, LABELS), overfit_steps=0).findings}
    assert actions["inputs-large"] == "divide them by 255"
    actions = {f.code: f.action for f in doctor(network(), (X * 100 - 50, Y)).findings}
    assert actions["inputs-large"] == "subtract their mean and divide by their deviation"


def test_every_finding_has_a_case():
    folder = Path(minigrad.__file__).parent / "diagnosis"
    rules = "".join(path.read_text() for path in folder.glob("rules_*.py"))
    written = set(re.findall(r'Finding\("([a-z-]+)"', rules))
    assert written == set(FINDINGS) and len(written) > 20
