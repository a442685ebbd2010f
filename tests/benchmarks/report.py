"""What was measured, as a table in plain text, at most 100 columns wide, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from measure import Row

Sections = Mapping[str, Sequence[Row]]  # by title
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
VERDICTS = {True: "reached", False: "NOT REACHED", None: ""}
NAME_WIDTH = 45
BUSY = 0.5  # processes that ran or wanted to, on average


def heading(title: str, against: str, detail: str = "") -> str:
    """The first line of a section."""
    name = f"{title}: {detail}" if detail else title
    return f"{name:{NAME_WIDTH + 2}}{'minigrad':>11}{against:>11}{'ratio':>7}{'goal':>11}"


def line(row: Row) -> str:
    ratio = "" if row.ratio is None else two_digits(row.ratio)
    peer = "" if row.alone else quantity(row.peer, row.unit)
    measured = f"{quantity(row.minigrad, row.unit):>11}{peer:>11}{ratio:>7}"
    return f"  {row.name:{NAME_WIDTH}}{measured}{goal(row):>11}  {VERDICTS[row.holds]}".rstrip()


def two_digits(ratio: float) -> str:
    """With one more where it is small."""
    return f"{ratio:.2f}" if ratio >= 0.095 else f"{ratio:.3f}"


def goal(row: Row) -> str:
    if row.goal is None:
        return ""
    return f"<= {quantity(row.goal, row.unit)}" if row.alone else f"<= {row.goal:.2f}"


def quantity(value: float | None, unit: str) -> str:
    """Three digits and a unit that suits them; "-" for what is missing. A number of things is whole."""
    if value is None:
        return "-"
    if not unit:
        return f"{value:.0f}"
    if unit == "s":
        size, unit = next(((size, name) for size, name in UNITS if value >= size), UNITS[-1])
        value /= size
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{digits}f} {unit}"


def conclusion(sections: Sections) -> str:
    """How many goals are reached, which are not, and what is missing for what reason."""
    rows = [(title, row) for title, rows in sections.items() for row in rows]
    verdicts = [row.holds for _, row in rows if row.holds is not None]
    missed = [(title, row, row.figure) for title, row in rows if row.figure is not None and row.holds is False]
    count = f"{sum(verdicts)} of {len(verdicts)} goals reached" if verdicts else "no goal could be checked"
    lines = [count + ("; NOT REACHED:" if missed else "")]
    for title, row, figure in missed:
        shown = quantity(figure, row.unit) if row.alone else two_digits(figure)
        lines.append(f"  {title}: {row.name}: {shown}, goal {goal(row)}")
    for reason in dict.fromkeys(row.reason for _, row in rows if row.reason):
        lines.append(f"left out, {sum(row.reason == reason for _, row in rows)} times: {reason}")
    return "\n".join(lines)


def machine_lines(machine: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {machine[name]}" for name in ("numpy", "numba", "torch") if machine[name])
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads used",
        f"{machine['os']}; {machine['date']}",
        f"Python {machine['python']}, {packages}",
    ]
    if machine["load"] is not None and machine["load"] > BUSY:
        lines.append(
            f"The machine was BUSY in the minute before (load {machine['load']}): measure again when it is quiet, "
            "and trust\nno figure of this run. Two threads that wait for each other suffer most."
        )
    return "\n".join(lines)


def distance_line(before: float, after: float) -> str:
    """How far apart two cores were before a section and after it, in nanoseconds; see cores.py."""
    return f"(a cache line went to another core and back in {before:.0f} ns before this, in {after:.0f} after it)"


def write_json(path: Path, machine: Mapping[str, Any], sections: Sections, roofline: Mapping[str, Any] | None) -> None:
    rows = [
        {"section": title, **asdict(row), "ratio": row.ratio, "holds": row.holds}
        for title, section in sections.items()
        for row in section
    ]
    content = {"machine": machine, "rows": rows, "roofline": roofline}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
