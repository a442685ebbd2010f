"""examples/lenet.py from its command line: what it prints, what it leaves, how it is stopped and goes on."""

from __future__ import annotations

import errno
import importlib.util
import os
import shlex
import signal
import subprocess
import sys
import textwrap
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import minigrad
from minigrad.data import FashionMNIST
from minigrad.models import lenet5
from minigrad.serialization import load, load_metadata

EXAMPLE = Path(__file__).parent.parent / "examples" / "lenet.py"
RESULTS = ["curves.png", "confusion.png", "mistakes.png", "metrics.csv", "lenet.safetensors"]

FEW_IMAGES = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("lenet", {example!r})
lenet = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lenet)
full = lenet.DATASETS["fashion-mnist"]
lenet.DATASETS = {{"fashion-mnist": lambda train: full(train).take(300)}}
"""


@cache
def few_images(train: bool):
    return FashionMNIST(train).take(300)


@pytest.fixture
def lenet(monkeypatch, tmp_path):
    """The example as a module, with 300 images to learn from, in an empty folder."""
    spec = importlib.util.spec_from_file_location("lenet", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "DATASETS", {"fashion-mnist": few_images})
    monkeypatch.chdir(tmp_path)
    with minigrad.use_backend(minigrad.default_backend()):  # which the example changes
        yield module


@pytest.fixture
def run(lenet, monkeypatch, capsys):
    """Runs the example with a command line; returns the exit code, standard output and standard error.

    Pictures take a second, so they are drawn only where a test asks for them.
    """

    def run(arguments: str, pictures: bool = False) -> tuple[int, str, str]:
        if not pictures:
            monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        monkeypatch.setattr(sys, "argv", ["examples/lenet.py", *shlex.split(arguments)])
        try:
            code = lenet.main()
        except SystemExit as stop:  # argparse's errors, and sys.exit(message), which Python prints
            code, message = (1, stop.code) if isinstance(stop.code, str) else (stop.code, "")
            out, err = capsys.readouterr()
            return code, out, err + message
        return code, *capsys.readouterr()

    return run


def subprocess_of_the_example(arguments: str, folder: Path, prelude: str = "") -> subprocess.Popen:
    script = textwrap.dedent(prelude) + FEW_IMAGES.format(example=str(EXAMPLE))
    script += f"\nsys.argv = ['examples/lenet.py', *{shlex.split(arguments)!r}]\nsys.exit(lenet.main())"
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(EXAMPLE.parent.parent)},
    )


# -- a whole run ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_a_run_prints_its_layers_and_epochs_and_leaves_its_results(run, tmp_path, backend):
    pytest.importorskip(backend, reason=f"{backend} is not installed")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    code, out, err = run(f"--backend {backend} --epochs 2 --out here --variant modern", pictures=True)
    assert (code, err) == (0, "")
    lines = out[out.index("layer  kind") :].splitlines()  # numba may have said before that it compiles
    assert lines[2].split(None, 2) == ["0", "Conv2d", "(128, 6, 28, 28)          156"]
    assert lines[15].split() == ["total", "61,706"]
    assert "300 images to train on, 300 to test with; losses in nats" in lines[17]
    epochs = [line.split() for line in lines if line.startswith("epoch")]
    assert [epoch[1] for epoch in epochs] == ["1", "2"]
    assert epochs[0][2:4] == ["train", "loss"] and epochs[0][-1] == "s" and epochs[0][-3] == "%"
    assert all(len(line) < 80 for line in lines)
    assert [line.strip() for line in lines[-5:]] == [str(Path("here", name)) for name in RESULTS]

    assert set(os.listdir("here")) == set(RESULTS) and os.listdir() == ["here"]
    for name in RESULTS[:3]:
        assert Path("here", name).read_bytes().startswith(b"\x89PNG")
    accuracy = float(Path("here", "metrics.csv").read_text().splitlines()[-1].split(",")[3])
    assert f"test accuracy {100 * accuracy:5.2f} %" in out
    model = lenet5("modern")
    model.load_state_dict(load("here/lenet.safetensors"))
    images, labels = few_images(train=False).batch(range(300))
    assert (model(minigrad.Tensor(images)).numpy().argmax(1) == labels).mean() == accuracy
    assert load_metadata("here/lenet.safetensors") == {"network": "modern on fashion-mnist"}
    assert f"{round(300 * accuracy)} of 300 test images right" in out


def test_the_plateau_of_the_sigmoids_is_explained_once(run):
    _, out, _ = run("--backend numpy --epochs 4")
    assert out.count("The loss sits at ln 10 = 2.303") == 1
    assert "With the default --lr and --batch-size it ends after\n  two to four epochs" in out
    _, out, _ = run("--backend numpy --epochs 1 --variant modern --lr 1e-9")
    assert "ln 10" not in out


def test_a_seed_gives_the_same_run_again_and_another_seed_another(run):
    def trained(arguments):
        assert run(f"--backend numpy --epochs 1 --out out {arguments}")[0] == 0
        return Path("out/lenet.safetensors").read_bytes()

    assert trained("--seed 1") == trained("--seed 1") != trained("--seed 2")


# -- checkpoints and Ctrl-C ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("checkpoint", ["", "--checkpoint saved"])
def test_an_interrupted_run_goes_on_with_the_command_it_prints_and_ends_the_same(run, lenet, monkeypatch, checkpoint):
    arguments = "--backend numpy --epochs 4 --lr 0.5 --batch-size 100"
    run(f"{arguments} --out whole")

    class Interrupting(lenet.ProgressBar):
        def __call__(self, step):
            if step[:2] == (3, 2):
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lenet, "ProgressBar", Interrupting)
        code, out, err = run(f"{arguments} --out part {checkpoint}")
    assert (code, err) == (130, "")
    folder = "saved" if checkpoint else "part"
    assert f"interrupted; {Path(folder, 'checkpoint.safetensors')} holds the run after 2 of 4 epochs. Go on" in out
    python, script, *command = shlex.split(out.splitlines()[-1])
    assert script == "examples/lenet.py" and command[-1] == "--resume"
    assert Path(python).name.startswith("python")

    code, out, err = run(shlex.join(command))
    assert (code, err) == (0, "")
    assert "resuming after epoch 2 of 4" in out and "epoch  3  train" in out and "epoch  2" not in out
    assert Path("part/lenet.safetensors").read_bytes() == Path("whole/lenet.safetensors").read_bytes()
    part, whole = (np.loadtxt(f"{out}/metrics.csv", delimiter=",", skiprows=1) for out in ("part", "whole"))
    np.testing.assert_array_equal(part[:, :-1], whole[:, :-1])  # all but the seconds


@pytest.mark.skipif(os.name == "nt", reason="needs SIGINT")
def test_ctrl_c_ends_a_process_without_a_traceback(tmp_path):
    process = subprocess_of_the_example("--backend numpy --epochs 10000 --out here", tmp_path)
    for line in process.stdout:
        if line.startswith("epoch  2"):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "" and "interrupted; here" in out and "--epochs 10000 --checkpoint here --out here --resume" in out
    assert (tmp_path / "here" / "checkpoint.safetensors").is_file()


def test_a_run_that_is_complete_resumes_to_its_results(run):
    run("--backend numpy --epochs 1 --checkpoint saved --out first")
    code, out, _ = run("--backend numpy --epochs 1 --checkpoint saved --out second --resume")
    assert code == 0 and "resuming after epoch 1 of 1" in out
    assert Path("first/lenet.safetensors").read_bytes() == Path("second/lenet.safetensors").read_bytes()


# -- what goes wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--epochs 0", "--epochs must be at least 1, got 0"),
        ("--epochs ten", "invalid int value: 'ten'"),
        ("--lr 0", "--lr must be a finite number above 0, got 0"),
        ("--lr nan", "--lr must be a finite number above 0, got nan"),
        ("--lr inf", "--lr must be a finite number above 0, got inf"),
        ("--batch-size 0", "--batch-size must be at least 1, got 0"),
        ("--seed -1", "--seed must be at least 0, got -1"),
        ("--variant classic", "invalid choice: 'classic' (choose from"),
        ("--resume", "--resume needs --checkpoint DIR"),
        ("--check x", "unrecognized arguments: --check x"),
    ],
)
def test_a_wrong_option_is_named(run, arguments, message):
    code, out, err = run(arguments)
    assert (code, out) == (2, "") and message in err
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--backend abacus", "there is no backend named 'abacus'; there are 'numpy'"),
        ("--backend numpy --checkpoint none --resume", "there is nothing to resume: no file none"),
        ("--backend numpy --checkpoint saved --resume --lr 0.2", "other settings: lr was 0.1 and is 0.2"),
        ("--backend numpy --checkpoint saved --resume --variant modern", "variant was 'book' and is 'modern'"),
        ("--backend numpy --checkpoint saved --resume --epochs 1", "saved holds 2 epochs, more than --epochs 1"),
        ("--backend numpy --out a_file/out", "cannot write results into a_file/out: "),
        ("--backend numpy --checkpoint a_file", "a_file is a file; name a folder"),
        (f"--backend numpy --checkpoint {'n' * 300}", "n" * 300),
        ("--backend numpy --batch-size 301", "--batch-size 301 is more than the 300 images to train on"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(run, arguments, message):
    Path("a_file").touch()
    assert run("--backend numpy --epochs 2 --checkpoint saved")[0] == 0
    code, out, err = run(arguments)
    assert (code, out) == (1, "") and err.startswith("lenet.py: error: ") and message in err and "\n" not in err


def test_a_checkpoint_is_not_overwritten_by_a_new_run(run):
    assert run("--backend numpy --epochs 1 --checkpoint saved")[0] == 0
    before = Path("saved/checkpoint.safetensors").read_bytes()
    code, _, err = run("--backend numpy --epochs 1 --checkpoint saved")
    assert code == 2 and "saved already holds a checkpoint: go on from it with --resume, or name another folder" in err
    assert Path("saved/checkpoint.safetensors").read_bytes() == before


def test_a_loss_that_becomes_nan_stops_the_run_and_keeps_the_last_good_weights(run):
    code, out, err = run("--backend numpy --variant modern --lr 1e10 --out here")
    assert code == 1 and err == ""
    assert "stopped: the loss became nan in epoch 1, step 2 of 3; the first value that is no number was in the " in out
    assert "of layer " in out and "a learning rate below 1e+10 may help" in out
    assert os.listdir("here") == ["last-good.safetensors"]
    assert all(np.isfinite(tensor.numpy()).all() for tensor in load("here/last-good.safetensors").values())


@pytest.fixture
def full_disk(monkeypatch):
    """Files can be made, and nothing that is written reaches the disk."""

    def fsync(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("arguments", ["--epochs 1", "--lr 1e10"])
def test_results_for_which_the_disk_has_no_room_are_said_in_one_line(run, full_disk, arguments):
    code, out, err = run(f"--backend numpy --variant modern --out here {arguments}")
    assert code == 1 and err.startswith("lenet.py: error: ") and "\n" not in err
    assert os.strerror(errno.ENOSPC) in err and "here" in err
    assert ("The last good weights:" in out) == ("--lr" in arguments)
    assert os.listdir("here") == []


def test_ctrl_c_with_a_full_disk_says_that_the_run_is_lost(run, lenet, monkeypatch, full_disk):
    def interrupt(bar, step):
        raise KeyboardInterrupt

    monkeypatch.setattr(lenet.ProgressBar, "__call__", interrupt)
    code, out, err = run("--backend numpy --out here")
    assert (code, err) == (130, "")
    assert f"interrupted, and the run could not be saved: [Errno {errno.ENOSPC}] " in out and "--resume" not in out


def test_results_of_an_earlier_run_are_named_and_left_alone(run):
    run("--backend numpy --epochs 1")
    before = Path("lenet-out/lenet.safetensors").read_bytes()
    _, out, _ = run("--backend numpy --variant modern --lr 1e10")
    assert out.endswith("(an earlier run's, still in lenet-out: metrics.csv, lenet.safetensors)\n")
    assert Path("lenet-out/lenet.safetensors").read_bytes() == before
    _, out, _ = run("--backend numpy --epochs 1")
    assert out.endswith("(an earlier run's, still in lenet-out: last-good.safetensors)\n")


def test_with_numpy_alone_it_trains_and_says_what_is_missing(tmp_path):
    missing = """
    import sys
    for package in ("numba", "matplotlib", "tqdm", "safetensors", "pooch", "scipy", "pandas"):
        sys.modules[package] = None
    """
    process = subprocess_of_the_example("--epochs 1 --out here", tmp_path, missing)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert "no progress bar: a progress bar needs tqdm: pip install tqdm" in out
    assert "no curves.png: pictures need matplotlib: pip install matplotlib" in out
    assert "no lenet.safetensors: saving and loading tensors needs safetensors: pip install safetensors" in out
    assert "epoch  1" in out and os.listdir(tmp_path / "here") == ["metrics.csv"]

    process = subprocess_of_the_example("--checkpoint there", tmp_path, missing)
    out, err = process.communicate()
    assert (process.returncode, out) == (1, "")
    assert err.strip() == "lenet.py: error: saving and loading tensors needs safetensors: pip install safetensors"


def test_a_wait_for_the_backend_is_explained_only_where_there_is_one(lenet, capsys):
    with lenet.say_if_slow("waiting", seconds=60):
        pass
    assert capsys.readouterr().out == ""
    with lenet.say_if_slow("waiting", seconds=0.0):
        while capsys.readouterr().out != "waiting\n":
            pass
