"""Measures minigrad beside PyTorch: `make bench`, or `python tests/benchmarks/bench.py [GROUP ...]`.

Without names of groups it measures all of them, which takes some ten minutes; `--quick` leaves out the whole run from
the shell. The group gpu needs an NVIDIA GPU, all others are about the CPU. Printed are medians; build/bench/ gets them
as JSON, and the pictures. Where PyTorch is not installed, minigrad is measured alone.

Every group is a function in one of the files *_rows.py, which says what is done and what the goal is.
"""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import conv_rows
import cores
import gpu_rows
import lenet_rows
import machine
import process_rows
import report
import small_rows
from measure import Pair, Row, measured
from roofline import Roofline, measure_roofline

import minigrad as mg
from minigrad import plots

OUT = Path(__file__).parents[2] / "build" / "bench"


class Group(NamedTuple):
    title: str
    rows: Callable[[Any], Iterator[Pair | Row]]  # of the module torch, or None where it is not installed
    against: str = "PyTorch"
    detail: str = ""


GROUPS = {
    "step": Group("LeNet-5, a training step", lenet_rows.step_pairs),
    "forward": Group("LeNet-5, forward pass without gradients", lenet_rows.forward_pairs),
    "conv": Group("Convolution", conv_rows.conv_pairs, detail="(N,C,H,W) to C, kernel/stride"),
    "engine": Group("Engine and optimizers", small_rows.engine_pairs),
    "loader": Group("An epoch of the data loader", small_rows.loader_pairs, "training"),
    "start": Group("Starting", process_rows.start_rows, ""),
    "memory": Group("Memory", process_rows.memory_rows, ""),
    "gpu": Group("LeNet-5 on a GPU", gpu_rows.gpu_rows),
    "run": Group("The whole run from the shell", process_rows.run_rows),
}


def main() -> None:
    options = parsed_options()
    wanted = options.groups or [*GROUPS, "roofline"]
    if options.quick:
        wanted = [name for name in wanted if name != "run"]
    torch = import_torch(options.threads)  # first of all: see there
    mg.use_backend(options.backend)
    mg.set_num_threads(options.threads)
    described = machine.describe(options.threads)
    print(report.machine_lines(described), flush=True)
    if torch is None:
        print("PyTorch is not installed; make bench brings it. minigrad is measured alone.", flush=True)

    sections = {GROUPS[name].title: rows_of(GROUPS[name], torch, options.steps) for name in GROUPS if name in wanted}
    roofline = None
    if "roofline" in wanted:
        print("\nRoofline ...", flush=True)
        roofline = try_roofline(options)
    if sections:
        print(f"\n{report.conclusion(sections)}")
    OUT.mkdir(parents=True, exist_ok=True)
    report.write_json(OUT / "bench.json", described, sections, asdict(roofline) if roofline else None)
    print(f"\n{shown(OUT / 'bench.json')}")
    save_pictures(sections, roofline, described)


def rows_of(group: Group, torch: Any, steps: int) -> list[Row]:
    """Measures a group and prints each row as soon as it is there."""
    print(f"\n{report.heading(group.title, group.against, group.detail)}", flush=True)
    before, rows = cores.round_trip(), []
    try:
        for work in group.rows(torch):
            rows.append(measured(work, steps, group.against) if isinstance(work, Pair) else work)
            print(report.line(rows[-1]), flush=True)
    except process_rows.ProcessFailed as error:  # what was measured before shall not be lost
        rows.append(Row("what follows", None, reason=str(error)))
    if before and (after := cores.round_trip()):
        print(report.distance_line(before, after), flush=True)
    return rows


def try_roofline(options: argparse.Namespace) -> Roofline | None:
    try:
        return measure_roofline(options.threads)
    except ImportError as error:
        print(f"no roofline: {error}")
        return None


def save_pictures(sections: report.Sections, roofline: Roofline | None, described: dict[str, Any]) -> None:
    for name in ("bench.png", "roofline.png"):
        (OUT / name).unlink(missing_ok=True)  # an earlier run's
    try:
        import charts

        subtitle = f"{described['cpu']}, {described['threads']} threads"
        if any(row.ratio is not None and row.against == "PyTorch" for rows in sections.values() for row in rows):
            plots.save_figure(charts.plot_ratios(sections, subtitle), OUT / "bench.png")
            print(shown(OUT / "bench.png"))
        if roofline:
            plots.save_figure(charts.plot_roofline(roofline, described["cpu"]), OUT / "roofline.png")
            print(shown(OUT / "roofline.png"))
    except ImportError:
        print("no pictures: they need matplotlib, pip install matplotlib")


def shown(path: Path) -> str:
    return f"  {os.path.relpath(path)}"


def import_torch(threads: int) -> Any:
    """The module, told to use that many threads; None where it is not installed.

    To be called before numba is imported, which minigrad does when its backend is chosen. PyTorch brings an OpenMP
    library of its own, but takes the system's where numba has loaded that already, and its threads then wait for each
    other for milliseconds: measured on two cores, a step of Adam takes 12 ms instead of 0.6.
    """
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return None
    torch.set_num_threads(threads)
    return torch


def parsed_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures minigrad beside PyTorch on the CPU.", allow_abbrev=False)
    default = " (default: %(default)s)"
    names = ", ".join([*GROUPS, "roofline"])
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"any of {names} (default: all)")
    parser.add_argument("--quick", action="store_true", help="leave out the whole run, which takes minutes")
    parser.add_argument("--steps", type=int, default=60, help="how many steps a median is of, at least" + default)
    threads = min(2, os.cpu_count() or 1)
    parser.add_argument("--threads", type=int, default=threads, help="of each library" + default)
    parser.add_argument("--backend", default=mg.default_backend().name, help="minigrad's" + default)
    options = parser.parse_args()
    if unknown := set(options.groups) - {*GROUPS, "roofline"}:
        parser.error(f"there is no group {', '.join(sorted(unknown))}; there are {names}")
    for name in ("steps", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(options, name)}")
    return options


if __name__ == "__main__":
    main()
