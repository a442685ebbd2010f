"""Trains LeNet-5 on Fashion-MNIST and shows what it has learned: `python examples/lenet.py`, or with `--help`.

Read `main` first, then `prepare`, which puts the run together. The parts are minigrad's: the model in
minigrad/models.py, the training loop in minigrad/train/run.py, the pictures in minigrad/plots.py.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import shlex
import shutil
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path

import minigrad
from minigrad import BackendError, nn, plots, save
from minigrad.checks import writable_folder
from minigrad.data import MNIST, DataLoader, FashionMNIST
from minigrad.models import VARIANTS, lenet5, summary
from minigrad.optim import SGD
from minigrad.train import NonFiniteLoss, ProgressBar, TrainingRun, confusion_matrix, predict, save_metrics

DATASETS = {"fashion-mnist": FashionMNIST, "mnist": MNIST}
GUESSING = math.log(10)  # the loss of giving each of the ten classes the same probability, in nats
PLATEAU = f"""\
  The loss sits at ln 10 = {GUESSING:.3f}, that of guessing. With sigmoids this is expected: their
  small slopes hold the gradients down. With the default --lr and --batch-size it ends after
  two to four epochs; a smaller rate or larger batches make it longer."""
RESULTS = ("curves.png", "confusion.png", "mistakes.png", "metrics.csv", "lenet.safetensors", "last-good.safetensors")
SETTINGS = ("variant", "backend", "dataset", "lr", "batch_size", "seed")  # what a resumed run must share


def main() -> int:
    parser = option_parser()
    options = parser.parse_args()
    check(options, parser)
    try:
        run = prepare(options)
    except (BackendError, ImportError, OSError, ValueError) as error:
        sys.exit(f"lenet.py: error: {error}")
    except KeyboardInterrupt:
        return 130
    try:
        return train_and_save(run, options, parser)
    except OSError as error:  # a full disk
        sys.exit(f"lenet.py: error: {error}")


def prepare(options: argparse.Namespace) -> TrainingRun:
    """Everything that can go wrong before the first step: the backend, the data, the folders, the checkpoint."""
    writable_folder(options.out)
    train_set, test_set = (DATASETS[options.dataset](train=train) for train in (True, False))
    if options.batch_size > len(train_set):
        raise ValueError(f"--batch-size {options.batch_size} is more than the {len(train_set)} images to train on")
    compiling = f"waiting for the {options.backend} backend, which compiles its kernels at their first use ..."
    with say_if_slow(compiling) if options.backend != "numpy" else nullcontext():
        minigrad.use_backend(options.backend)
        minigrad.manual_seed(options.seed)
        model = lenet5(options.variant)
        if options.backend == "numba":
            compile_on_another_core(options.variant)
        make_first_step(model, options.batch_size)
    run = TrainingRun(
        model,
        SGD(model.parameters(), lr=options.lr),
        DataLoader(train_set.to(options.backend), options.batch_size, shuffle=True),
        DataLoader(test_set.to(options.backend), batch_size=250),
        settings={name: getattr(options, name) for name in SETTINGS},
    )
    if options.resume:
        run.resume(options.checkpoint)
        if len(run.history) > options.epochs:
            raise ValueError(
                f"{options.checkpoint} holds {len(run.history)} epochs, more than --epochs {options.epochs}"
            )
    if options.checkpoint:
        run.save(options.checkpoint)
    return run


def train_and_save(run: TrainingRun, options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Trains and saves the results, or what there is when it stops early; returns the exit status."""
    try:
        train(run, options)
        save_results(run, options.out)
    except NonFiniteLoss as error:
        print(f"stopped: {error}; a learning rate below {options.lr:g} may help. The last good weights:", flush=True)
        save_files({"last-good.safetensors": partial(save, run.model.state_dict())}, options.out)
        return 1
    except KeyboardInterrupt:
        save_interrupted(run, options, parser)
        return 130
    return 0


def train(run: TrainingRun, options: argparse.Namespace) -> None:
    print(summary(run.model, (options.batch_size, 1, 28, 28)))
    print(
        f"\n{options.dataset}: {len(run.train_loader.dataset):,} images to train on, "
        f"{len(run.test_loader.dataset):,} to test with; losses in nats",
        flush=True,
    )
    if run.history:
        print(f"resuming after epoch {len(run.history)} of {options.epochs}", flush=True)
    plateau_explained = options.variant != "book"
    with progress_bar() as bar:
        for epoch in run.epochs(options.epochs, on_step=bar):
            if options.checkpoint:
                run.save(options.checkpoint)
            print(epoch, flush=True)
            if not plateau_explained and abs(epoch.train_loss - GUESSING) < 0.02:
                print(PLATEAU, flush=True)
                plateau_explained = True


def save_results(run: TrainingRun, folder: Path) -> None:
    """Pictures, metrics and weights, each with what it needs installed; prints where they are."""
    test_set = run.test_loader.dataset
    probabilities, labels = predict(run.model, run.test_loader)
    predictions = probabilities.argmax(axis=1)
    # What loads the weights can ask for. One string: safetensors puts several into a file in any order.
    metadata = {"network": f"{run.settings['variant']} on {run.settings['dataset']}"}
    counts = confusion_matrix(labels, predictions, classes=10)
    title = what_was_run(run)
    print(f"{int((predictions == labels).sum()):,} of {len(labels):,} test images right; see", flush=True)
    save_files(
        {
            "curves.png": lambda path: plots.save_figure(plots.plot_curves(run.history, 10, title), path),
            "confusion.png": lambda path: plots.save_figure(
                plots.plot_confusion(counts, test_set.classes, title), path
            ),
            "mistakes.png": lambda path: plots.save_figure(
                plots.plot_mistakes(test_set.images, labels, probabilities, test_set.classes, title=title), path
            ),
            "metrics.csv": partial(save_metrics, run.history),
            "lenet.safetensors": partial(save, run.model.state_dict(), metadata=metadata),
        },
        folder,
    )


def what_was_run(run: TrainingRun) -> str:
    of, epochs = run.settings, len(run.history)
    return (
        f"LeNet-5 ({of['variant']}) on {of['dataset']}, {epochs} epoch{'s' * (epochs > 1)}, "
        f"learning rate {of['lr']:g}, batches of {of['batch_size']}, seed {of['seed']}"
    )


def save_files(writers: dict[str, Callable[[Path], None]], folder: Path) -> None:
    written = set()
    for name, write in writers.items():
        try:
            write(folder / name)
        except ImportError as error:
            print(f"  no {name}: {error}", flush=True)
        else:
            print(f"  {folder / name}", flush=True)
            written.add(name)
    name_earlier_files(folder, written)


def name_earlier_files(folder: Path, written: Collection[str] = ()) -> None:
    """Says which results in the folder are not this run's: they are left alone, and might be taken for its own."""
    earlier = [name for name in RESULTS if name not in written and (folder / name).exists()]
    if earlier:
        print(f"  (an earlier run's, still in {folder}: {', '.join(earlier)})", flush=True)


def save_interrupted(run: TrainingRun, options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Saves the last whole epoch and says how to go on from it."""
    folder = options.checkpoint or options.out
    try:
        path = run.save(folder)
    except (ImportError, OSError) as error:
        print(f"\ninterrupted, and the run could not be saved: {error}")
        return
    python = "python" if shutil.which("python") == sys.executable else sys.executable
    command = [python, sys.argv[0]]
    for name, value in {**vars(options), "checkpoint": folder}.items():
        # Always with the backend, whose default depends on the environment.
        if name != "resume" and (name == "backend" or value != parser.get_default(name)):
            command += ["--" + name.replace("_", "-"), str(value)]
    if len(run.history) < options.epochs:  # else some results are written already
        name_earlier_files(options.out)
    print(f"\ninterrupted; {path} holds the run after {len(run.history)} of {options.epochs} epochs. Go on with\n")
    print(f"  {shlex.join([*command, '--resume'])}")


def progress_bar() -> AbstractContextManager[ProgressBar | None]:
    try:
        return ProgressBar()
    except ImportError as error:
        print(f"no progress bar: {error}", flush=True)
        return nullcontext()


def compile_on_another_core(variant: str) -> None:
    """Shortens the wait for numba at a machine's first start; at later ones this does nothing, as all is on disk."""
    from minigrad.backends.numba.ahead import compile_ahead  # fails where there is no numba

    compile_ahead({"book": "avg_pool2d", "modern": "max_pool2d"}[variant])


def make_first_step(model: nn.Module, batch_size: int) -> None:
    """One step forward and backward that changes nothing, at which a backend compiles what it has to."""
    images = minigrad.zeros(batch_size, 1, 28, 28)
    minigrad.cross_entropy(model(images), minigrad.zeros(batch_size, dtype="int64")).backward()
    model.zero_grad()


@contextmanager
def say_if_slow(message: str, seconds: float = 2.0) -> Iterator[None]:
    """Prints the message once the block has taken that long."""
    timer = threading.Timer(seconds, print, [message], {"flush": True})
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def option_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Trains LeNet-5 on Fashion-MNIST and shows what it has learned.", allow_abbrev=False
    )
    add, default = parser.add_argument, " (default: %(default)s)"
    add(
        "--variant",
        choices=VARIANTS,
        default="book",
        help="book: sigmoid, average pooling; modern: ReLU, max pooling" + default,
    )
    add(
        "--backend",
        default=minigrad.default_backend().name,
        help=f"one of {', '.join(minigrad.backend_names())}" + default,
    )
    add("--dataset", choices=DATASETS, default="fashion-mnist", help="clothes of 10 kinds, or digits" + default)
    add("--epochs", type=int, default=10, help="passes over the training images" + default)
    add("--lr", type=float, default=0.1, help="learning rate of gradient descent" + default)
    add("--batch-size", type=int, default=128, help="images a step" + default)
    add("--seed", type=int, default=0, help="of weights and shuffles" + default)
    add("--checkpoint", type=Path, metavar="DIR", help="save the run in DIR after each epoch")
    add("--resume", action="store_true", help="go on from the checkpoint in DIR")
    add("--out", type=Path, metavar="DIR", default=Path("lenet-out"), help="for pictures, metrics, weights" + default)
    return parser


def check(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    if options.epochs < 1:
        parser.error(f"--epochs must be at least 1, got {options.epochs}")
    if not 0 < options.lr < math.inf:
        parser.error(f"--lr must be a finite number above 0, got {options.lr:g}")
    if options.batch_size < 1:
        parser.error(f"--batch-size must be at least 1, got {options.batch_size}")
    if options.seed < 0:
        parser.error(f"--seed must be at least 0, got {options.seed}")
    if options.resume and not options.checkpoint:
        parser.error("--resume needs --checkpoint DIR, the folder with the checkpoint to go on from")
    if options.checkpoint and not options.resume and os.path.exists(options.checkpoint / "checkpoint.safetensors"):
        parser.error(
            f"{options.checkpoint} already holds a checkpoint: go on from it with --resume, or name another folder"
        )


if __name__ == "__main__":
    # Or Python would look for garbage, of which training makes none, among all that numba and matplotlib have made: for
    # 0.2 s while the program runs, and for 0.3 at its end.
    gc.disable()
    status = main()
    gc.freeze()
    sys.exit(status)
