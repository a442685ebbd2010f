"""What the doctor must not say of models that are well, and what it must tell apart: losses, scales, zeros."""

from __future__ import annotations

import numpy as np
import pytest
from test_doctor import blobs, network
from test_doctor_findings import IMAGES, LABELS, Net, chain, changed, codes

from minigrad import Tensor, cross_entropy, log_softmax, mse_loss, nn, softmax
from minigrad.diagnosis import Diagnosis, Finding, doctor

X, Y = blobs()
rng = np.random.default_rng(0)
INPUTS = rng.normal(size=(40, 5)).astype(np.float32)
TARGETS = (INPUTS[:, :1] - INPUTS[:, 1:2]) / np.sqrt(np.float32(2))


def classifier(seed: int = 0) -> nn.Sequential:
    return chain(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10), seed=seed)


def regressor(*more: nn.Module, seed: int = 0) -> nn.Sequential:
    return chain(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 1), *more, seed=seed)


def found(diagnosis: Diagnosis, code: str) -> Finding:
    (finding,) = [finding for finding in diagnosis.findings if finding.code == code]
    return finding


# -- losses that nothing is known of -------------------------------------------------------------------------------


def test_a_loss_below_0_is_not_learned_at_the_start():
    result = doctor(classifier(), (IMAGES, LABELS), lambda y, t: -softmax(y, axis=1).max(axis=1).mean()).overfit
    assert result.steps > 50 and result.start > -0.5 and result.end < -0.9


def test_a_loss_that_cannot_fall_is_not_learned():
    diagnosis = doctor(chain(nn.Linear(5, 1)), (INPUTS, TARGETS), lambda y, t: y.mean() * 0.0 + 1.0)
    assert not diagnosis.overfit.succeeded and "no-overfit" in codes(diagnosis)
    diagnosis = doctor(chain(nn.Linear(5, 1)), (INPUTS, TARGETS), lambda y, t: y.mean() * 0.0 - 1.0)
    assert not diagnosis.overfit.succeeded and "no-overfit" in codes(diagnosis)


def test_a_loss_without_a_floor_is_on_its_way():
    diagnosis = doctor(chain(nn.Linear(5, 1)), (INPUTS, TARGETS), lambda y, t: y.mean())
    assert not diagnosis.overfit.succeeded and "it is on its way" in found(diagnosis, "no-overfit").action


def smoothed(y: Tensor, t: Tensor) -> Tensor:
    return cross_entropy(y, t) * 0.9 - log_softmax(y, axis=1).mean() * 0.1


@pytest.mark.parametrize("seed", range(3))
def test_a_loss_that_came_to_rest_at_a_floor_above_0_is_learned(seed):
    diagnosis = doctor(regressor(seed=seed), (INPUTS, TARGETS), lambda y, t: mse_loss(y, t) + 1.0)
    assert diagnosis.overfit.succeeded and diagnosis.well, diagnosis
    diagnosis = doctor(classifier(seed), (IMAGES, LABELS), smoothed)
    assert diagnosis.overfit.succeeded and diagnosis.well, diagnosis


@pytest.mark.parametrize("loss", [mse_loss, lambda y, t: mse_loss(y, t)])
@pytest.mark.parametrize("steps", [200, 600])
def test_a_loss_that_stalls_is_not_on_its_way(loss, steps):
    model = regressor(nn.ReLU())  # which can give no less than 0
    model[2].bias.data = model[2].bias.data + 1
    diagnosis = doctor(model, (INPUTS, -np.abs(TARGETS) / 2 - 0.1), loss, overfit_steps=steps)
    assert not diagnosis.overfit.succeeded and diagnosis.overfit.end < diagnosis.overfit.start / 2
    assert "on its way" not in found(diagnosis, "no-overfit").action


# -- zeros and values that are no number ---------------------------------------------------------------------------


def test_a_last_layer_of_zeros_is_no_illness():
    for loss in (None, lambda y, t: cross_entropy(y, t)):
        diagnosis = doctor(changed(network(), _2_weight=0, _2_bias=0), (X, Y), loss)
        assert diagnosis.well and diagnosis.overfit.succeeded, diagnosis
        assert codes(diagnosis) == ["gradient-zero-weights", "weights-zero"]
        assert all(finding.action.startswith("nothing") for finding in diagnosis.findings)


def test_a_hidden_layer_of_zeros_is_one_even_before_a_last_layer_of_zeros():
    diagnosis = doctor(changed(network(), _0_weight=0, _0_bias=0, _2_weight=0, _2_bias=0), (X, Y))
    severities = {f.text[:26]: f.severity for f in diagnosis.findings if f.code == "weights-zero"}
    assert list(severities.values()) == ["error", "error"] and "outputs-constant" in codes(diagnosis)


def test_a_gradient_of_zero_has_the_action_of_its_reason():
    black = doctor(classifier(), (IMAGES * 0, LABELS), overfit_steps=0)
    assert found(black, "gradient-zero-inputs").action.startswith("look at what that layer gets")
    nothing = doctor(classifier(), (IMAGES, LABELS), lambda y, t: cross_entropy(y, t) * 0.0, overfit_steps=0)
    assert "in the loss" in found(nothing, "gradient-zero-factor").action


@pytest.mark.parametrize("make", [Net, lambda between: Within(between)])
def test_the_first_value_that_is_no_number_may_come_from_a_function(make):
    diagnosis = doctor(make(lambda h: nn.functional.relu(h).log()), (X, Y))
    assert found(diagnosis, "non-finite").text.startswith(
        "the first value that is NaN or infinite is in the function log"
    )
    diagnosis = doctor(changed(make(lambda h: nn.functional.relu(h)), fc1_bias=np.nan), (X, Y))
    assert "is in the bias of layer fc1 (Linear)" in found(diagnosis, "non-finite").text


class Within(Net):
    """A layer with a parameter of its own, and with modules in it."""

    def __init__(self, between) -> None:
        super().__init__(between)
        self.scale = nn.Parameter([1.0])

    def forward(self, x):
        return super().forward(x * self.scale)


def test_a_logarithm_of_0_in_the_loss_is_in_the_loss():
    diagnosis = doctor(network(), (X, Y), lambda y, t: nn.functional.relu(y).log().mean())
    assert "is in the loss function, whose inputs are finite" in found(diagnosis, "non-finite").text


def test_a_gradient_that_is_no_number_on_the_way_alone_is_a_note():
    diagnosis = doctor(Net(lambda h: nn.functional.relu(h).sqrt()), (X, Y), overfit_steps=0)
    finding = found(diagnosis, "gradient-non-finite")
    assert finding.severity == "note" and finding.text == (
        "in the backward pass the first value that is NaN or infinite comes from the function sqrt; "
        "every parameter's gradient is finite all the same"
    )


# -- scales --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [lambda t: t * 1000, lambda t: t + 100, lambda t: t * 0.01])
@pytest.mark.parametrize("loss", [mse_loss, lambda y, t: (y - t).abs().mean()])
def test_targets_of_another_scale_are_named_first(change, loss):
    diagnosis = doctor(regressor(), (INPUTS, change(TARGETS)), loss, lr=0.01)
    assert found(diagnosis, "targets-scale").action.startswith("subtract their mean and divide by their deviation")
    actions = [f.action for f in diagnosis.findings if f.code in ("loss-high", "gradients-explode", "no-overfit")]
    assert all("scale the targets" in action for action in actions)


@pytest.mark.parametrize("seed", range(3))
def test_the_scales_of_a_batch_norm_are_not_compared_with_matrices(seed):
    layers = (nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(5408, 10))
    assert "gradients-vanish" not in codes(doctor(chain(*layers, seed=seed), (IMAGES, LABELS), overfit_steps=0))


def test_gradients_that_grow_on_the_way_back():
    (finding,) = [f for f in doctor(Net(lambda h: (h * 2000.0).sin()), (X, Y)).findings if "explode" in f.code]
    assert finding.text.startswith("gradients in layer fc1 (Linear) are ")
    assert finding.text.endswith(" times those in the last layer, layer fc2 (Linear)")


def test_dropout_in_evaluation_mode_is_more_than_a_note():
    model = chain(nn.Linear(4, 16), nn.Dropout(0.1), nn.Linear(16, 3)).eval()
    assert [f.severity for f in doctor(model, (X, Y)).findings if f.code == "eval-mode"] == ["warning"]
    model.train()[1].eval()
    assert "eval-mode" not in codes(doctor(model, (X, Y)))
