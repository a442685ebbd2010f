"""Training runs: what an epoch records, checkpoints that survive kill -9, and what is said about a NaN."""

from __future__ import annotations

import csv
import json
import math
import os
import pickle
import random
import signal
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, cross_entropy, nn, optim
from minigrad.data import ArrayDataset, DataLoader
from minigrad.random import default_generator
from minigrad.serialization import load, load_metadata, save
from minigrad.train import (
    Epoch,
    NonFiniteLoss,
    ProgressBar,
    TrainingRun,
    TrainingStep,
    confusion_matrix,
    evaluate,
    first_nonfinite,
    predict,
    save_metrics,
)


def blobs(n: int, seed: int = 0) -> ArrayDataset:
    """n images of 2 x 2 pixels in three classes, each with another bright pixel."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    images = rng.random((n, 1, 2, 2), np.float32)
    images.reshape(n, 4)[np.arange(n), labels] += 1
    return ArrayDataset(images, labels)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def start(seed=0, n=50, model=None, optimizer=optim.SGD, lr=0.1, **arguments) -> TrainingRun:
    minigrad.manual_seed(seed)
    model = model or network()
    return TrainingRun(
        model,
        optimizer(model.parameters(), lr=lr),
        DataLoader(blobs(n), 16, shuffle=True),
        DataLoader(blobs(30, 1), 7),
        **arguments,
    )


def weights(run: TrainingRun) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in run.model.state_dict().items()}


# -- the loop ------------------------------------------------------------------------------------------------------


def test_a_run_learns_and_records_each_epoch():
    run = start(lr=0.5)
    epochs = list(run.epochs(30))
    assert epochs == run.history and [epoch.number for epoch in epochs] == list(range(1, 31))
    assert epochs[-1].test_accuracy > 0.9 > epochs[0].test_accuracy
    assert epochs[-1].train_loss < 0.4 * epochs[0].train_loss
    assert all(epoch.seconds > 0 for epoch in epochs)
    assert epochs[-1][2:4] == evaluate(run.model, run.test_loader)


def test_losses_and_accuracy_are_means_over_examples_whatever_the_batches():
    run = start(n=50, lr=0.0)  # batches of 16, 16, 16 and 2; of 7, 7, 7, 7 and 2
    (epoch,) = run.epochs(1)
    for dataset, loss in ((run.train_loader.dataset, epoch.train_loss), (run.test_loader.dataset, epoch.test_loss)):
        images, labels = dataset.batch(range(len(dataset)))
        whole = cross_entropy(run.model(Tensor(images)), Tensor(labels)).item()
        assert loss == pytest.approx(whole, rel=1e-6)
    images, labels = run.test_loader.dataset.batch(range(30))
    assert epoch.test_accuracy == (run.model(Tensor(images)).numpy().argmax(1) == labels).mean()


def test_a_step_is_forward_backward_and_update_on_each_batch():
    """The run's weights after two epochs against the loop written out by hand."""
    run = start(seed=3)
    list(run.epochs(2))

    minigrad.manual_seed(3)
    model = network()
    loader = DataLoader(blobs(50), 16, shuffle=True)
    for _ in range(2):
        for images, labels in loader:
            gradients = minigrad.grad(cross_entropy(model(images), labels), list(model.parameters()))
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter.data = parameter.data - 0.1 * gradient.data
    assert weights(run) == weights(SimpleNamespace(model=model))


def test_every_step_is_reported():
    steps: list[TrainingStep] = []
    run = start(n=50)
    epochs = list(run.epochs(2, on_step=steps.append))
    assert [step[:3] for step in steps] == [(e, n, 4) for e in (1, 2) for n in (1, 2, 3, 4)]
    assert [step.images for step in steps[:4]] == [16, 16, 16, 2]
    assert epochs[1].train_loss == pytest.approx(sum(step.loss * step.images for step in steps[4:]) / 50)


def test_epochs_counts_those_already_made():
    run = start()
    assert len(list(run.epochs(2))) == 2
    assert [epoch.number for epoch in run.epochs(5)] == [3, 4, 5]
    assert list(run.epochs(5)) == []


def test_training_trains_in_training_mode_and_tests_in_evaluation_mode():
    modes = []
    model = network()
    model.register_forward_hook(lambda module, args, output: modes.append((module.training, output.requires_grad)))
    run = start(model=model)
    model.eval()
    list(run.epochs(1))
    assert modes == [(True, True)] * 4 + [(False, False)] * 5
    assert model.training


def test_the_scheduler_is_stepped_after_each_epoch():
    minigrad.manual_seed(0)
    model, rates = network(), []
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    loader = DataLoader(blobs(20), 20)
    run = TrainingRun(model, optimizer, loader, loader, scheduler=optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5))
    for _ in run.epochs(5):
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [1.0, 0.5, 0.5, 0.25, 0.25]


def test_another_loss_can_be_used():
    def sum_of_squares(logits, labels):
        return (logits**2).mean()

    run = start(loss=sum_of_squares)
    (epoch,) = run.epochs(1)
    images, _ = run.test_loader.dataset.batch(range(30))
    assert epoch.test_loss == pytest.approx((run.model(Tensor(images)).numpy() ** 2).mean(), rel=1e-5)


def test_a_lazy_model_needs_a_first_batch_before_its_run():
    model = nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
    with pytest.raises(RuntimeError, match="run one batch through the network"):
        start(model=model)


# -- measuring -----------------------------------------------------------------------------------------------------


def test_predictions_are_softmax_probabilities_of_all_examples_in_order():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(4, 3))
    dataset = blobs(10)
    probabilities, labels = predict(model, DataLoader(dataset, 3))
    assert probabilities.shape == (10, 3) and model.training and model[1].training
    np.testing.assert_array_equal(labels, dataset.labels)
    images, _ = dataset.batch(range(10))
    exponentials = np.exp(model.eval()(Tensor(images)).numpy())
    np.testing.assert_allclose(probabilities, exponentials / exponentials.sum(1, keepdims=True), rtol=1e-5)


def test_a_confusion_matrix_counts_every_pair():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 4, (2, 200))
    counts = confusion_matrix(labels, predictions, 5)
    assert counts.shape == (5, 5) and counts.sum() == 200 and not counts[4].any()
    for i in range(5):
        for j in range(5):
            assert counts[i, j] == ((labels == i) & (predictions == j)).sum()


def test_metrics_are_a_csv_file(tmp_path):
    history = [Epoch(1, 2.5, 2.25, 0.125, 1.5), Epoch(2, 0.1 + 0.2, 0.25, 1.0, 0.5)]
    save_metrics(history, tmp_path / "metrics.csv")
    with open(tmp_path / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [Epoch(int(r.pop("epoch")), **{k: float(v) for k, v in r.items()}) for r in rows] == history


# -- losses that are no numbers ------------------------------------------------------------------------------------


def poison(tensor: Tensor, value: float = math.nan) -> None:
    array = tensor.numpy()
    array.flat[-1] = value
    tensor.data = tensor.backend.from_numpy(array)


@pytest.mark.parametrize(
    ("spoil", "place"),
    [
        (lambda model, images: poison(images), "the images of the batch"),
        (lambda model, images: poison(model[1].weight), "the weight of layer 1 (Linear)"),
        (lambda model, images: poison(model[3].bias, math.inf), "the bias of layer 3 (Linear)"),
        (lambda model, images: [poison(model[3].bias), poison(model[1].bias)], "the bias of layer 1 (Linear)"),
        (lambda model, images: poison(model[3].bias, 3e38), "the loss function, whose inputs are finite"),
        (lambda model, images: poison(model[3].bias, 1e30), None),
        (lambda model, images: None, None),
    ],
)
def test_the_first_place_with_a_nan_is_named(spoil, place):
    model, images = network(), Tensor(blobs(4).batch(range(4))[0])
    spoil(model, images)
    assert first_nonfinite(model, images, Tensor([0, 1, 2, 0]), cross_entropy) == place


def test_an_output_that_overflows_is_named():
    model = network()
    for layer in (model[1], model[3]):
        layer.weight.data = layer.weight.data * 0 + np.float32(1e25)
    place = first_nonfinite(model, minigrad.ones(1, 1, 2, 2), Tensor([0]), cross_entropy)
    assert place == "the output of layer 3 (Linear)"


def test_the_search_leaves_no_hooks_behind():
    model = network()
    poison(model[1].weight)
    first_nonfinite(model, minigrad.ones(1, 4), Tensor([0]), cross_entropy)
    assert model(minigrad.ones(1, 4)).shape == (1, 3)


def test_a_nan_stops_the_run_at_its_step_with_the_last_weights_that_worked():
    run = start(n=64)
    list(run.epochs(1))
    seen = []

    def spoil_after_the_third_step(step):
        seen.append(step)
        if step.number == 3:
            good.update(weights_before)
            poison(run.model[3].weight)
        weights_before.clear()
        weights_before.update(weights(run))

    good, weights_before = {}, {}
    with pytest.raises(NonFiniteLoss) as stopped:
        list(run.epochs(2, on_step=spoil_after_the_third_step))
    assert str(stopped.value) == (
        "the loss became nan in epoch 2, step 4 of 4; "
        "the first value that is no number was in the weight of layer 3 (Linear)"
    )
    assert stopped.value.place == "the weight of layer 3 (Linear)" and math.isnan(stopped.value.loss)
    assert len(seen) == 3 and len(run.history) == 1
    assert weights(run) == good  # those of step 3's forward pass, the last with a finite loss


def test_a_learning_rate_that_is_too_large_ends_in_this_error_and_finite_weights():
    run = start(lr=1e30)
    with pytest.raises(NonFiniteLoss, match="epoch 1, step . of 4"):
        list(run.epochs(3))
    assert all(np.isfinite(tensor.numpy()).all() for tensor in run.model.state_dict().values())


def test_the_error_passes_from_one_process_to_another():
    error = NonFiniteLoss(math.inf, "epoch 1, step 2 of 4", "the output of layer 1 (Linear)")
    passed = pickle.loads(pickle.dumps(error))
    assert type(passed) is NonFiniteLoss and str(passed) == str(error)
    assert (passed.loss, passed.when, passed.place) == (error.loss, error.when, error.place)


def test_a_nan_over_the_test_data_stops_the_run_too():
    run = start()

    def poison_last(step):
        if step.number == step.steps:
            poison(run.model[1].bias)

    with pytest.raises(NonFiniteLoss, match=r"in the test after epoch 1; .* the bias of layer 1 \(Linear\)"):
        list(run.epochs(2, on_step=poison_last))
    assert run.history == []
    assert np.isfinite(run.model[1].bias.numpy()).all()


def test_dropout_drops_the_same_again_when_the_layer_is_searched():
    """A NaN that only a certain dropout mask lets through is found in the second run of the batch too."""

    class Trap(nn.Module):
        """NaN where the first element, which is never 0 by itself, has been dropped."""

        def forward(self, x):
            return x / 0.0 * 0.0 if x.numpy().flat[0] == 0 else x

    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), Trap(), nn.Linear(4, 3))
    with pytest.raises(NonFiniteLoss) as stopped:
        list(start(model=model).epochs(50))
    assert stopped.value.place == "the output of layer 2 (Trap)"


def test_weights_that_were_good_are_still_in_the_checkpoint_of_a_stopped_run(tmp_path):
    run = start()
    for _ in run.epochs(2):
        run.save(tmp_path)
    good = weights(run)
    poison(run.model[1].bias)
    with pytest.raises(NonFiniteLoss):
        list(run.epochs(3))
    run.save(tmp_path)
    resumed = start()
    resumed.resume(tmp_path)
    assert weights(resumed) == good and len(resumed.history) == 2


# -- checkpoints ---------------------------------------------------------------------------------------------------


def full_run(optimizer) -> TrainingRun:
    """With everything that a checkpoint has to hold: dropout, running means, momentum, a schedule, an own generator."""
    minigrad.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 2, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(36, 3)
    )
    optimizer = optimizer(model.parameters())
    return TrainingRun(
        model,
        optimizer,
        DataLoader(blobs(50), 16, shuffle=True, generator=np.random.Generator(np.random.MT19937(5))),
        DataLoader(blobs(30, 1), 7),
        scheduler=optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=6),
        settings={"seed": 0, "betas": (1, 2), "rate": np.float32(0.5), "name": "été"},
    )


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3),
        lambda p: optim.Adam(p, lr=0.01),
        lambda p: optim.AdamW([{"params": list(p), "lr": 0.02, "betas": (0.8, 0.99)}]),
    ],
)
def test_a_resumed_run_ends_bit_for_bit_as_one_that_never_stopped(tmp_path, on_backend, optimizer):
    whole = full_run(optimizer)
    list(whole.epochs(6))
    for until in range(1, 7):  # another process's objects each time
        part = full_run(optimizer)
        if until > 1:
            part.resume(tmp_path)
        assert len(part.history) == until - 1
        list(part.epochs(until))
        part.save(tmp_path)
    assert weights(part) == weights(whole)
    assert [epoch[:4] for epoch in part.history] == [epoch[:4] for epoch in whole.history]
    assert part.history[0].seconds != whole.history[0].seconds


def test_the_generators_go_on_where_they_were(tmp_path):
    run = full_run(optim.SGD)
    list(run.epochs(1))
    run.save(tmp_path)
    own, drawn = run.train_loader.generator.random(3), default_generator().random(3)
    run = full_run(optim.SGD)
    run.resume(tmp_path)
    np.testing.assert_array_equal(run.train_loader.generator.random(3), own)
    np.testing.assert_array_equal(default_generator().random(3), drawn)


def test_save_in_mid_epoch_saves_the_last_whole_one(tmp_path):
    whole = start()
    list(whole.epochs(3))
    run = start()
    list(run.epochs(1))

    def interrupt(step):
        if step.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run.epochs(3, on_step=interrupt))
    path = run.save(tmp_path)
    assert path == tmp_path / "checkpoint.safetensors" and path.is_file()
    resumed = start(seed=99)
    resumed.resume(tmp_path)
    list(resumed.epochs(3))
    assert weights(resumed) == weights(whole)


def test_a_checkpoint_before_the_first_epoch_is_the_beginning(tmp_path):
    whole = start()
    whole.save(tmp_path)
    list(whole.epochs(2))
    resumed = start(seed=99)
    resumed.resume(tmp_path)
    assert resumed.history == []
    list(resumed.epochs(2))
    assert weights(resumed) == weights(whole)


def test_a_checkpoint_is_a_safetensors_file_that_others_can_read(tmp_path):
    run = start(optimizer=lambda p, lr: optim.Adam(p, lr))
    list(run.epochs(1))
    path = run.save(tmp_path / "new" / "folder")
    tensors, document = load(path), json.loads(load_metadata(path)["minigrad.checkpoint"])
    assert {"model.1.weight", "model.3.bias", "optimizer.0.exp_avg", "optimizer.3.exp_avg_sq"} <= tensors.keys()
    assert document["history"][0][0] == 1 and document["optimizer"]["state"]["0"]["step"] == 4


def test_settings_that_differ_are_named_all(tmp_path):
    start(settings={"lr": 0.1, "seed": 0, "old": None}).save(tmp_path)
    run = start(settings={"lr": 0.2, "seed": 0, "new": [1]})
    before = weights(run)
    with pytest.raises(
        ValueError,
        match=r"other settings: lr was 0.1 and is 0.2; old was None and is 'not set'; new was 'not set' and is \[1\]",
    ):
        run.resume(tmp_path)
    assert weights(run) == before and run.history == []


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: start(optimizer=optim.Adam), "optimizer was 'SGD' and is 'Adam'"),
        (lambda: start(model=nn.Sequential(nn.Flatten(), nn.Linear(4, 3))), "does not fit"),
        (
            lambda: start(model=nn.Sequential(nn.Flatten(), nn.Linear(4, 9), nn.ReLU(), nn.Linear(9, 3))),
            "unfit: 1.weight",
        ),
        (lambda: full_run(optim.SGD), "scheduler was None and is 'CosineAnnealingLR'; random generators was"),
    ],
)
def test_a_checkpoint_of_another_kind_of_run_is_refused(tmp_path, other, message):
    start().save(tmp_path)
    run = other()
    before = weights(run)
    with pytest.raises(ValueError, match=message):
        run.resume(tmp_path)
    assert weights(run) == before and run.history == []


def test_where_there_is_nothing_to_resume_the_path_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is nothing to resume: no file .*checkpoint.safetensors"):
        start().resume(tmp_path)


def test_a_file_of_weights_is_no_checkpoint(tmp_path):
    run = start()
    save(run.model.state_dict(), tmp_path / "checkpoint.safetensors")
    with pytest.raises(
        ValueError, match=r"checkpoint.safetensors: holds tensors, but is no checkpoint of a training run"
    ):
        run.resume(tmp_path)


# -- kill -9 -------------------------------------------------------------------------------------------------------

EPOCHS = 40

TRAINING = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import minigrad.serialization as serialization
from test_train import start, optim

def kill(*args):
    os.kill(os.getpid(), signal.SIGKILL)

def run_until(epochs, folder, lethal=lambda save_number: None):
    run = start(optimizer=lambda p, lr: optim.SGD(p, lr, momentum=0.9))
    if os.path.exists(os.path.join(folder, "checkpoint.safetensors")):
        run.resume(folder)
    print("started", flush=True)
    for number, epoch in enumerate(run.epochs(epochs)):
        lethal(number)
        run.save(folder)
"""


def train_in_a_process(folder, extra="", **options) -> subprocess.Popen:
    script = TRAINING.format(tests=os.path.dirname(__file__)) + textwrap.dedent(extra)
    script += f"\nrun_until({EPOCHS}, {str(folder)!r}, **dict({', '.join(f'{k}={v}' for k, v in options.items())}))"
    return subprocess.Popen([sys.executable, "-W", "error", "-c", script], stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    process = train_in_a_process(folder)
    process.communicate()
    assert process.returncode == 0
    return final_state(folder)


def final_state(folder):
    path = folder / "checkpoint.safetensors"
    document = json.loads(load_metadata(path)["minigrad.checkpoint"])
    history = [epoch[:4] for epoch in document.pop("history")]  # without the seconds
    assert len(history) == EPOCHS
    assert os.listdir(folder) == [path.name]  # no temporary file is left
    return {name: t.numpy().tobytes() for name, t in load(path).items()}, history, document


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_run_killed_in_any_stage_of_a_write_resumes_and_ends_bit_for_bit_the_same(tmp_path, uninterrupted):
    """The process kills itself in its third save: at the first byte, in the middle, before and after each step."""
    stages = """
    class HalfFile:
        def __init__(self, *args):
            self.file = open(*args)
        def __getattr__(self, name):
            return getattr(self.file, name)
        def __enter__(self):
            return self
        def __exit__(self, *exception):
            self.file.close()
        def write(self, data):
            self.file.write(data[: len(data) // 2])
            self.file.flush()
            kill()

    def then_kill(function):
        return lambda *args: (function(*args), kill())

    def half_written():
        serialization.open = HalfFile

    def not_synced():
        os.fsync = kill

    def not_renamed():
        os.fsync = then_kill(os.fsync)

    def renamed():
        os.replace = then_kill(os.replace)

    def in_third_save(stage):
        return lambda number: stage() if number == 2 else None
    """
    resumed_at = []
    for stage in ("half_written", "not_synced", "not_renamed", "renamed"):
        process = train_in_a_process(tmp_path, stages, lethal=f"in_third_save({stage})")
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        run = start(optimizer=lambda p, lr: optim.SGD(p, lr, momentum=0.9))
        run.resume(tmp_path)  # whole at any moment
        resumed_at.append(len(run.history))
    assert resumed_at == [2, 4, 6, 9]  # two saved before the lethal third, which counts once it is renamed
    train_in_a_process(tmp_path).communicate()
    assert final_state(tmp_path) == uninterrupted


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_run_killed_at_random_moments_resumes_and_ends_bit_for_bit_the_same(tmp_path, uninterrupted):
    moments = random.Random(0)
    kills = 0
    for attempt in range(100):
        process = train_in_a_process(tmp_path)
        process.stdout.readline()
        if attempt < 8:
            time.sleep(moments.uniform(0, 0.05))
            process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        if process.returncode == 0:
            break
    assert kills >= 1
    assert final_state(tmp_path) == uninterrupted


# -- progress ------------------------------------------------------------------------------------------------------


class Terminal:
    """A stream that says it is a terminal."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def isatty(self):
        return True

    def flush(self):
        pass


def test_the_bar_shows_epoch_loss_and_speed_on_a_terminal_and_goes_away(monkeypatch):
    pytest.importorskip("tqdm", reason="tqdm is not installed")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "100")
    with ProgressBar() as bar:
        bar(TrainingStep(2, 1, 2, 1.25, 100))
        bar._bar.refresh()
        shown = terminal.text
        bar(TrainingStep(2, 2, 2, 1.0, 100))
    assert "epoch 2:" in shown and "1/2 steps" in shown and "loss 1.250" in shown and "images/s" in shown
    assert terminal.text.endswith("\r") and terminal.text.split("\r")[-2].strip() == ""


def test_the_bar_writes_nothing_into_a_file(capsys):
    pytest.importorskip("tqdm", reason="tqdm is not installed")
    with ProgressBar() as bar:
        list(start().epochs(2, on_step=bar))
    assert capsys.readouterr() == ("", "")


def test_without_tqdm_one_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(ImportError, match=r"^a progress bar needs tqdm: pip install tqdm$"):
        ProgressBar()
