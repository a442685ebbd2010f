"""Searches for a better size of LeNet-5, in parallel processes: `python examples/size_search.py`, or with `--help`.

The modern LeNet-5 is where it starts. Every change in `changes` is tried on its own, on images held out from training;
those that help are put together. Change `Size` and `changes` to look elsewhere. docs/size_search.md says what came out.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import clothes

import minigrad
from minigrad import nn, plots
from minigrad.data import DataLoader
from minigrad.optim import SGD
from minigrad.optim.lr_scheduler import CosineAnnealingLR
from minigrad.train import TrainingRun

INITS = {"xavier": nn.init.xavier_uniform_, "kaiming": nn.init.kaiming_uniform_}
START_SEEDS = 3  # the start is trained this often, to see how much is chance


@dataclass(frozen=True)
class Size:
    """What a network is made of, and how it is trained. Raises ValueError for what no network can be made of."""

    kernel_size: int = 5  # odd: padding keeps the size of the image
    channels: tuple[int, ...] = (6, 16)  # of each convolution; behind it ReLU, and 2 x 2 max pooling
    linear: tuple[int, ...] = (120, 84)  # the width of each linear layer; behind it ReLU, and at the end ten logits
    lr: float = 0.02  # at first; it falls to 0 along half a cosine
    init: str = "xavier"
    epochs: int = 5

    def __post_init__(self) -> None:
        K = self.kernel_size
        if K < 1 or K % 2 == 0:
            raise ValueError(f"kernel_size must be odd, so that padding keeps the image's size, got {K}")
        if min((*self.channels, *self.linear), default=1) < 1:
            raise ValueError(f"channels and linear must be at least 1, got {self.channels} and {self.linear}")
        if self.init not in INITS:
            raise ValueError(f"init must be one of {', '.join(INITS)}, got {self.init!r}")
        if self.channels and K > (side := image_side(len(self.channels) - 1)):
            raise ValueError(
                f"the last of {len(self.channels)} convolutions sees {side} x {side} pixels, and its window would have "
                f"{K} x {K}; take a smaller kernel_size or fewer channels"
            )


def image_side(convolutions: int) -> int:
    """The height and width of an image behind that many convolutions, each with its pooling while it has an effect."""
    return max(28 >> convolutions, 1)


def changes(start: Size) -> dict[str, Size]:
    """The start with one thing changed at a time. What takes longest comes first, so that it is not trained alone."""
    return {
        "24 and 48 channels": replace(start, channels=(24, 48)),
        "twice the epochs": replace(start, epochs=2 * start.epochs),
        "a third convolution": replace(start, channels=(*start.channels, 32)),
        "3 x 3 windows": replace(start, kernel_size=3),
        "one linear layer fewer": replace(start, linear=start.linear[:-1]),
        "twice the learning rate": replace(start, lr=2 * start.lr),
        "Kaiming's initial weights": replace(start, init="kaiming"),
    }


def network(size: Size) -> nn.Sequential:
    """A network of that size: images (N, 1, 28, 28) to logits (N, 10). Weights come from the global generator."""
    layers: list[nn.Module] = []
    C = 1
    for i, O in enumerate(size.channels):
        layers += [nn.Conv2d(C, O, size.kernel_size, padding=size.kernel_size // 2), nn.ReLU()]
        if image_side(i) > 1:
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
        C = O
    layers.append(nn.Flatten())
    features = C * image_side(len(size.channels)) ** 2
    for width in size.linear:
        layers += [nn.Linear(features, width), nn.ReLU()]
        features = width
    layers.append(nn.Linear(features, 10))
    for layer in layers:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            INITS[size.init](layer.weight)
    return nn.Sequential(*layers)


def together(start: Size, helpful: Iterable[Size]) -> Size:
    """The start with all changes that helped; where two change the same thing, the later one holds."""
    changed = {}
    for size in helpful:
        changed.update({name: value for name, value in vars(size).items() if value != getattr(start, name)})
    return replace(start, **changed)


# -- training, in parallel processes -------------------------------------------------------------------------------


class Job(NamedTuple):
    """A network to be trained: on five sixths of the training images, and judged on the rest, unless it is final."""

    name: str
    size: Size
    seed: int
    fast: bool
    final: bool = False  # trained on all training images, judged on the test images


class Result(NamedTuple):
    job: Job
    parameters: int
    seconds: float
    accuracy: float  # in percent


def train(job: Job) -> Result:
    """Trains a network; what comes out depends on the job alone, and not on the process."""
    training, test = clothes.datasets(job.fast)
    if not job.final:
        training, test = clothes.held_out(training)
    minigrad.manual_seed(job.seed)
    model = network(job.size)
    sgd = SGD(model.parameters(), lr=job.size.lr, momentum=0.9, weight_decay=5e-4)
    train_loader, test_loader = DataLoader(training, 128, shuffle=True), DataLoader(test, 250)
    run = TrainingRun(model, sgd, train_loader, test_loader, scheduler=CosineAnnealingLR(sgd, T_max=job.size.epochs))
    for epoch in run.epochs(job.size.epochs):
        if job.final:
            print(f"  {epoch}", flush=True)
    parameters, seconds = sum(p.size for p in model.parameters()), sum(epoch.seconds for epoch in run.history)
    return Result(job, parameters, seconds, 100 * run.history[-1].test_accuracy)


@contextmanager
def processes(number: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes with a thread each. They end at once with an error or Ctrl-C in this one."""
    os.environ["OMP_NUM_THREADS"] = "1"  # which the processes inherit
    pool = ProcessPoolExecutor(number, multiprocessing.get_context("spawn"), initializer=end_with_parent)
    try:
        yield pool
    except BaseException:
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown()


def end_with_parent() -> None:
    """Lets a process of the pool end when the one that started it has ended, however that came about."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def trained(pool: ProcessPoolExecutor, jobs: Sequence[Job]) -> list[Result]:
    """The results of the jobs, in their order; each prints a line when it has finished."""
    with ctrl_c_held_back():  # as the pool starts its processes now
        futures = {pool.submit(train, job): job for job in jobs}
    for future in as_completed(futures):
        job = futures[future]
        try:
            print(line(future.result()), flush=True)
        except Exception as error:
            raise ValueError(f"{job.name}, {job.size}, could not be trained: {error}") from error
    return [future.result() for future in futures]


@contextmanager
def ctrl_c_held_back() -> Iterator[None]:
    """Ctrl-C reaches this process at the end of the block, and processes begun in it never. Does nothing on Windows."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# -- the search ----------------------------------------------------------------------------------------------------


def main() -> int:
    parser = clothes.option_parser("Searches for a better size of LeNet-5.", epochs=Size.epochs, out="size-search-out")
    cores = os.cpu_count() or 1
    parser.add_argument(
        "--workers",
        type=clothes.at_least(1),
        default=cores,
        help="processes that train (default: the cores, %(default)s)",
    )
    options = parser.parse_args()
    with clothes.errors_in_one_sentence():
        clothes.prepare(options.out)
        started = time.perf_counter()
        results = search(options)
        save(results, options)
        print(f"all in all {(time.perf_counter() - started) / 60:.1f} minutes, {options.workers} at a time")
    return 0


def search(options: argparse.Namespace) -> list[Result]:
    """Trains the start, each change, and what helped put together; the last is judged on the test images."""
    start = Size(epochs=1 if options.fast else options.epochs)
    job = partial(Job, seed=options.seed, fast=options.fast)
    jobs = [job(name, size) for name, size in changes(start).items()]
    seeds = range(options.seed, options.seed + START_SEEDS)
    jobs += [job(f"the start, seed {seed}", start, seed=seed) for seed in seeds]
    with processes(min(options.workers, len(jobs))) as pool:
        print(f"{'one thing changed':62} right of the training images held out")
        results = trained(pool, jobs)
        best = max(result.accuracy for result in results if result.job.size == start)
        helpful = sorted((result for result in results if result.accuracy > best), key=lambda result: result.accuracy)
        print(f"better than each start: {', '.join(result.job.name for result in helpful) or 'nothing'}")
        size = together(start, [result.job.size for result in helpful])
        print(f"put together: {size}")
        results += trained(pool, [job("together", size), job("together, tested", size, final=True)])
    return results


def line(result: Result) -> str:
    return f"{result.job.name:26}  {result.parameters:8,} parameters  {result.seconds:6.1f} s  {result.accuracy:6.2f} %"


def save(results: Sequence[Result], options: argparse.Namespace) -> None:
    header = ["network", *asdict(results[0].job.size), "seed", "parameters", "seconds", "images", "accuracy"]
    rows = []
    for job, parameters, seconds, accuracy in results:
        size = [" ".join(map(str, v)) if isinstance(v, tuple) else v for v in vars(job.size).values()]
        measured = "test" if job.final else "held out"
        rows.append([job.name, *size, job.seed, parameters, f"{seconds:.1f}", measured, f"{accuracy:.2f}"])
    clothes.save_table(options.out / "size_search.csv", header, rows)
    plots.save_figure(plot(results, options), options.out / "size_search.png")
    print(f"see\n  {options.out / 'size_search.png'}\n  {options.out / 'size_search.csv'}")


def plot(results: Sequence[Result], options: argparse.Namespace) -> Any:
    """Accuracy against parameters and against seconds."""
    figure = plots.new_figure(12, 5)
    training, judged = clothes.held_out(clothes.datasets(options.fast)[0])
    epochs = min(result.job.size.epochs for result in results)
    figure.suptitle(
        f"LeNet-5 changed, {epochs} epoch{'s' if epochs > 1 else ''} on {len(training):,} images of Fashion-MNIST, "
        f"seed {options.seed}: accuracy on {len(judged):,} others\n"
        f"star: trained on all {len(training) + len(judged):,}, accuracy on the test images",
        fontsize=11,
    )
    parameters, seconds = figure.subplots(1, 2)
    draw(parameters, [result.parameters for result in results], results)
    parameters.set_xlabel("parameters")
    draw(seconds, [result.seconds for result in results], results)
    seconds.set_xlabel("seconds of training, on one core")
    return figure


def draw(axes: Any, values: Sequence[float], results: Sequence[Result]) -> None:
    """The accuracies over some values; names stand on the right, in the order of the accuracies."""
    accuracies = [result.accuracy for result in results]
    margin = max(0.08 * (max(accuracies) - min(accuracies)), 0.1)
    low, high = min(accuracies) - margin, max(accuracies) + margin
    heights = spread(accuracies, low, high)
    for result, value, height in zip(results, values, heights, strict=True):
        colour = plots.TRAIN_COLOUR if result.job.final else plots.TEST_COLOUR
        axes.plot(value, result.accuracy, "*" if result.job.final else "o", color=colour, markersize=7)
        axes.annotate(
            result.job.name,
            (value, result.accuracy),
            (1.04, height),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            fontsize=9,
            color=colour,
            arrowprops={"arrowstyle": "-", "color": "#bbbbbb", "linewidth": 0.7, "shrinkB": 4, "relpos": (0, 0.5)},
        )
    axes.set_xscale("log")
    axes.xaxis.get_major_locator().set_params(subs=(1, 2, 5))
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.minorticks_off()
    axes.set_ylim(low, high)
    axes.set_ylabel("accuracy (%)")
    axes.grid(color="#e5e5e5")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def spread(values: Sequence[float], low: float, high: float) -> list[float]:
    """Heights from low to high for labels of the values: in their order, near them, and apart from each other."""
    gap = (high - low) / max(20, len(values) + 1)
    order = sorted(range(len(values)), key=values.__getitem__)
    heights = list(values)
    for rank, i in enumerate(order):
        below = low if rank == 0 else heights[order[rank - 1]]
        most = high - gap * (len(order) - rank)  # leaves room for those above
        heights[i] = min(max(values[i], below + gap), most)
    return heights


if __name__ == "__main__":
    sys.exit(main())
