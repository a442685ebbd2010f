"""What `make bench` rests on: taking turns, the table, JSON and pictures, with made-up figures. Nothing is timed."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import bench
import cores
import machine
import measure
import process_rows
import pytest
import report
from measure import NO_PYTORCH, Pair, Row, measured, take_turns

from minigrad.backends import get_backend

BENCHMARKS = Path(bench.__file__).parent
SECTIONS = {
    "A training step": [
        Row("book", 0.0061, 0.0183, goal=0.4),
        Row("modern", 0.0090, 0.0120, goal=0.4),
        Row("alone", 0.5, None, goal=0.4, reason=NO_PYTORCH),
    ],
    "Memory": [Row("peak", 512.0, goal=350, unit="MiB", alone=True), Row("import", 8.1e-5, alone=True)],
    "Loader": [Row("an epoch", 0.025, 2.5, goal=0.05, against="training")],
}
MACHINE = {
    "date": "2026-11-24T12:00+00:00",
    "cpu": "A processor",
    "cores": 2,
    "threads": 2,
    "load": 0.1,
    "os": "An OS",
    "python": "3.11",
    "minigrad": "0.1.0",
    "numpy": "2.0",
    "numba": None,
    "torch": None,
}


class Clock:
    """Time passes where somebody sleeps or works, and nowhere else."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[str] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.log.append("rest")

    def work(self, name: str, *seconds: float):
        """A step that takes these times, one after the other, and then the last one for ever."""
        left = list(seconds)

        def step() -> None:
            self.log.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return step


def test_what_is_to_be_done_before_a_turn_is_done_after_the_rest(monkeypatch) -> None:
    monkeypatch.setattr(measure, "TURN", 2)
    clock = Clock()
    before = {name: lambda name=name: clock.log.append(f"before {name}") for name in "ab"}
    take_turns({"a": clock.work("a", 1.0), "b": clock.work("b", 2.0)}, 2, clock, clock.sleep, before)
    assert clock.log == ["rest", "before a", "a", "a", "rest", "before b", "b", "b"] * 2


def test_contestants_take_turns_with_a_rest_before_each(monkeypatch) -> None:
    monkeypatch.setattr(measure, "TURN", 2)
    clock = Clock()
    take_turns({"a": clock.work("a", 1.0), "b": clock.work("b", 2.0)}, 4, clock, clock.sleep)
    assert clock.log == ["rest", "a", "a", "rest", "b", "b"] * 3


def test_medians_leave_out_the_first_turn_and_the_rests(monkeypatch) -> None:
    monkeypatch.setattr(measure, "TURN", 2)
    clock = Clock()
    contestants = {"a": clock.work("a", 50.0, 40.0, 9.0, 1.0, 2.0, 3.0), "b": clock.work("b", 7.0)}
    assert take_turns(contestants, 4, clock, clock.sleep) == {"a": pytest.approx(2.5), "b": pytest.approx(7.0)}


def test_a_quick_step_gets_longer_turns() -> None:
    clock = Clock()
    quick, slow = clock.work("quick", 0.001), clock.work("slow", 1.0)
    take_turns({"quick": quick, "slow": slow}, measure.TURN, clock, clock.sleep)
    assert clock.log.count("slow") == 2 * measure.TURN
    assert 90 < clock.log.count("quick") - measure.TURN <= measure.MOST
    instant = {"instant": clock.work("instant", 0.0)}
    take_turns(instant, measure.TURN, clock, clock.sleep)
    assert clock.log.count("instant") == measure.TURN + measure.MOST


def test_a_pair_becomes_a_row_and_a_missing_peer_a_reason(monkeypatch) -> None:
    monkeypatch.setattr(measure, "take_turns", lambda contestants, steps, before: {"minigrad": 0.5, "peer": 0.25})
    nothing = lambda: None  # noqa: E731
    row = measured(Pair("work", nothing, nothing, goal=0.1, peer_times=100), steps=5, against="training")
    assert (row.peer, row.ratio, row.holds, row.against, row.reason) == (25.0, 0.02, True, "training", "")
    row = measured(Pair("work", nothing, None, goal=0.1), steps=5)
    assert (row.minigrad, row.peer, row.ratio, row.holds, row.reason) == (0.5, None, None, None, NO_PYTORCH)


def test_a_goal_is_for_the_ratio_or_for_minigrads_own_figure() -> None:
    assert Row("", 1.0, 2.0, goal=0.5).holds is True
    assert Row("", 1.01, 2.0, goal=0.5).holds is False
    assert Row("", 1.0, goal=0.5, alone=True).holds is False
    assert Row("", 1.0, 2.0).holds is None


def test_the_table_says_plainly_which_goals_are_not_reached() -> None:
    lines = [report.line(row) for rows in SECTIONS.values() for row in rows]
    assert lines[0].split() == ["book", "6.10", "ms", "18.3", "ms", "0.33", "<=", "0.40", "reached"]
    assert lines[1].split()[-3:] == ["0.40", "NOT", "REACHED"]
    assert lines[2].split() == ["alone", "500", "ms", "-", "<=", "0.40"]
    assert lines[3].split() == ["peak", "512", "MiB", "<=", "350", "MiB", "NOT", "REACHED"]
    assert lines[4].split() == ["import", "81.0", "µs"]
    assert lines[5].split()[-4:] == ["0.010", "<=", "0.05", "reached"]


def test_the_conclusion_counts_goals_and_names_what_is_not_reached_or_left_out() -> None:
    assert report.conclusion(SECTIONS).splitlines() == [
        "2 of 4 goals reached; NOT REACHED:",
        "  A training step: modern: 0.75, goal <= 0.40",
        "  Memory: peak: 512 MiB, goal <= 350 MiB",
        "left out, 1 times: PyTorch is not installed",
    ]
    assert report.conclusion({"A": [Row("a", 1.0, 4.0, goal=0.5)]}) == "1 of 1 goals reached"


def test_columns_stand_below_each_other_in_a_hundred_characters() -> None:
    name = "n" * report.NAME_WIDTH
    lines = [report.line(Row(name, seconds, 3 * seconds, goal=0.1)) for seconds in (9.994e-7, 0.00999, 9.996, 1234.5)]
    lines.append(report.heading("t" * report.NAME_WIDTH, "PyTorch"))
    assert max(map(len, lines)) <= 100
    assert len({line.rindex("<=") + 7 for line in lines[:-1]} | {len(lines[-1])}) == 1


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "s", "-"),
        (0.0, "s", "0.00 µs"),
        (9.994e-6, "s", "9.99 µs"),
        (9.996e-6, "s", "10.0 µs"),
        (0.0999, "s", "99.9 ms"),
        (0.09996, "s", "100 ms"),
        (1.0, "s", "1.00 s"),
        (347.2, "MiB", "347 MiB"),
        (85, "", "85"),
    ],
)
def test_quantities_have_three_digits(value, unit, text) -> None:
    assert report.quantity(value, unit) == text


def test_a_busy_machine_is_said_to_be_one() -> None:
    assert "BUSY" not in report.machine_lines(MACHINE) + report.machine_lines({**MACHINE, "load": None})
    assert "BUSY" in report.machine_lines({**MACHINE, "load": 1.5})
    assert "A processor, 2 cores" in report.machine_lines(MACHINE)
    assert "None" not in report.machine_lines(MACHINE)


def test_the_distance_of_two_cores_is_measured(monkeypatch) -> None:
    distance = cores.round_trip()
    assert distance is None or distance > 1
    monkeypatch.setattr(cores.os, "cpu_count", lambda: 1)
    assert cores.round_trip() is None
    assert "in 55 ns before this, in 330 after" in report.distance_line(55.4, 329.8)


def test_two_threads_that_cannot_run_at_once_have_no_distance(monkeypatch) -> None:
    monkeypatch.setattr(cores, "_time_of_a_round", lambda take_turns, rounds: 4e6)
    assert cores.round_trip() is None


def test_json_holds_the_rows_the_verdicts_and_the_machine(tmp_path) -> None:
    report.write_json(tmp_path / "bench.json", MACHINE, SECTIONS, None)
    content = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert content["machine"] == MACHINE and content["roofline"] is None
    assert [row["name"] for row in content["rows"]] == ["book", "modern", "alone", "peak", "import", "an epoch"]
    assert [row["holds"] for row in content["rows"]] == [True, False, None, False, None, True]
    assert content["rows"][2]["reason"] == NO_PYTORCH and content["rows"][2]["ratio"] is None
    assert content["rows"][3]["section"] == "Memory" and content["rows"][3]["unit"] == "MiB"


def test_the_machine_is_described() -> None:
    described = machine.describe(threads=2)
    assert set(described) == set(MACHINE)
    assert described["cpu"] and described["threads"] == 2
    assert machine.version("no-such-package") is None


def test_pictures_show_the_rows_of_pytorch_and_the_kernels(tmp_path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    import charts
    from matplotlib.text import Text
    from roofline import Point, Roofline

    from minigrad.plots import save_figure

    def texts(figure) -> set[str]:
        return {text.get_text() for text in figure.findobj(Text)}

    figure = charts.plot_ratios(SECTIONS, "A processor")
    assert {"A training step", "book", "modern", "0.33", "0.75"} <= texts(figure)
    assert not {"alone", "Memory", "peak", "an epoch"} & texts(figure)
    (axes,) = figure.axes
    assert axes.get_xscale() == "log" and len(axes.patches) == 2
    save_figure(figure, tmp_path / "bench.png")
    assert size(tmp_path / "bench.png")[0] == 1425

    points = (Point("conv2 forward", 40.0, 100.0, 6e-4), Point("sigmoid", 0.5, 10.0, 2e-4))
    figure = charts.plot_roofline(Roofline(200.0, 25.0, 2, points), "A processor")
    assert {"conv2 forward", "600 µs", "50 %", "sigmoid", "80 %"} <= texts(figure)
    save_figure(figure, tmp_path / "roofline.png")
    assert size(tmp_path / "roofline.png") == (1650, 840)

    with pytest.raises(ValueError, match="no row has a time of PyTorch's"):
        charts.plot_ratios({"Memory": SECTIONS["Memory"]})


def size(png: Path) -> tuple[int, int]:
    return struct.unpack(">II", png.read_bytes()[16:24])


def test_numbers_of_points_that_lie_together_do_not_overlap() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    import charts
    from roofline import Point, Roofline

    points = tuple(Point(f"conv{n}", 40.0, 100.0 + n, 1e-3) for n in range(5))
    figure = charts.plot_roofline(Roofline(200.0, 25.0, 2, points))
    places = {text.xyann for text in figure.axes[0].texts if text.get_text() in set("12345")}
    assert len(places) == 5
    for side in {across for across, _ in places}:  # to the right and to the left of the points
        heights = sorted(up for across, up in places if across == side)
        assert all(high - low > 9 for low, high in pairwise(heights))


def test_the_command_measures_what_it_can_without_pytorch(monkeypatch, tmp_path, capsys) -> None:
    group = bench.Group("Made up", lambda torch: iter([Pair("work", lambda: None, None, 0.5), Row("memory", 3.0)]))
    monkeypatch.setattr(bench, "GROUPS", {"step": group, "run": None})
    monkeypatch.setattr(bench, "OUT", tmp_path / "build")
    monkeypatch.setattr(bench, "import_torch", lambda threads: None)
    monkeypatch.setattr(bench.mg, "set_num_threads", lambda number: None)
    monkeypatch.setattr(measure, "REST", 0)
    backend = bench.mg.default_backend().name
    monkeypatch.setattr(sys, "argv", ["bench.py", "step", "run", "--quick", "--steps", "5", "--backend", backend])
    with bench.mg.use_backend(backend):
        bench.main()
    printed = capsys.readouterr().out
    assert "PyTorch is not installed" in printed and "work" in printed and "no goal could be checked" in printed
    assert [path.name for path in (tmp_path / "build").iterdir()] == ["bench.json"]


def test_a_process_that_fails_costs_only_the_rows_that_need_it(capsys) -> None:
    def rows(torch):
        yield Row("first", 1.0)
        yield Row("second", float(process_rows.output_of("-c", "import sys; sys.exit('out of luck')")))

    first, rest = bench.rows_of(bench.Group("Made up", rows), None, steps=5)
    assert first.name == "first" and rest.reason == "a process ended with 1: out of luck"
    assert "left out, 1 times: a process ended with 1: out of luck" in report.conclusion({"Made up": [first, rest]})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "there is no group nothing; there are step, forward"),
        (["--steps", "0"], "--steps must be at least 1, got 0"),
        (["--threads", "0"], "--threads must be at least 1, got 0"),
    ],
)
def test_wrong_options_are_named(monkeypatch, capsys, arguments, message) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.py", *arguments])
    with pytest.raises(SystemExit):
        bench.main()
    assert message in capsys.readouterr().err


def test_pairs_run_without_pytorch() -> None:
    """One step of each, in the groups whose kernels other tests have compiled anyway."""
    for pairs in (bench.GROUPS["engine"].rows, bench.GROUPS["forward"].rows):
        for pair in pairs(None):
            assert pair.peer is None and 0 < pair.goal < 2
            pair.minigrad()


ON_STAND_IN = """
import sys
import stand_in
stand_in.install()
import bench, gpu_rows, measure, roofline
gpu_rows.BATCHES, gpu_rows.IN_A_ROW, gpu_rows.STEPS, gpu_rows.BATCH, roofline.BATCH = (2,), 1, 1, 2, 2
measure.TURN, measure.MOST, measure.REST = 1, 1, 0
for row in bench.rows_of(bench.GROUPS["gpu"], None, steps=1):
    print(row, file=sys.stderr)
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++ to run CUDA code on the CPU")
def test_the_rows_of_a_gpu_can_be_measured_though_over_the_stand_in_the_times_mean_nothing() -> None:
    path = os.pathsep.join(map(str, [BENCHMARKS.parents[1], BENCHMARKS, BENCHMARKS.parent / "gpu"]))
    command = [sys.executable, "-c", ON_STAND_IN]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
    assert run.returncode == 0, run.stderr
    for variant in ("book", "modern"):
        for part in ("forward", "backward", "update", "a step", "launches in a step"):
            assert f"{variant}, batch 2: {part} " in run.stdout
    assert "conv1 forward, 0.0 MB" in run.stdout
    assert "PyTorch's build for CUDA is not installed" in run.stderr


def test_without_a_gpu_the_report_says_so_in_a_sentence(monkeypatch) -> None:
    def check_usable() -> None:
        raise bench.mg.BackendError("no NVIDIA driver was found")

    monkeypatch.setattr(get_backend("cupy"), "check_usable", check_usable)
    (row,) = bench.rows_of(bench.GROUPS["gpu"], None, steps=1)
    assert row.reason == "no GPU: no NVIDIA driver was found"


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.py")), ids=lambda path: path.name)
def test_modules_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
