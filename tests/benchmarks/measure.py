"""How two programs are timed beside each other, and what a line of the report holds.

The contestants run in one process and in turn, a few steps at a time, so that a machine whose speed drifts slows all of
them alike. Between two turns there is a rest, in which the threads of the one before stop spinning: without it, the
cores of whoever comes next are taken.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import heap

TURN = 5  # steps in a row, at least
# And more of them where they are quick: after a rest the first two or three take up to a third more, with cold caches,
# which no step in an epoch has. A turn of a training run's length would not notice when the machine's speed changes.
TURN_SECONDS = 0.1
MOST = 200  # but no more than these
REST = 0.1  # seconds between turns

Step = Callable[[], object]
OWN_HEAP = {"minigrad": heap.as_minigrad_has_it, "peer": heap.as_others_have_it}
NO_PYTORCH = "PyTorch is not installed"


@dataclass(frozen=True)
class Pair:
    """One piece of work, as minigrad does it and as another does it: still to be timed.

    Attributes:
        goal: what the ratio of the times, minigrad's to the other's, should not exceed; None where nobody has set one.
        peer: the other's step, None where it cannot be run.
        peer_times: how many of the other's steps minigrad's one step stands against.
        no_peer: why the other's cannot be run, where it cannot.
    """

    name: str
    minigrad: Step
    peer: Step | None
    goal: float | None
    peer_times: float = 1
    no_peer: str = NO_PYTORCH


@dataclass(frozen=True)
class Row:
    """One line of the report: what was measured. None stands for what could not be, and `reason` says why.

    Attributes:
        minigrad, peer: in `unit`: "s", "MiB", or "" for a number of things.
        goal: the most that `figure` should be; None where nobody has set one.
        alone: the goal is for minigrad's own figure, there is nobody to compare it with.
        against: whose the peer's figure is.
    """

    name: str
    minigrad: float | None
    peer: float | None = None
    goal: float | None = None
    unit: str = "s"
    alone: bool = False
    against: str = "PyTorch"
    reason: str = ""

    @property
    def ratio(self) -> float | None:
        return None if self.minigrad is None or self.peer is None else self.minigrad / self.peer

    @property
    def figure(self) -> float | None:
        """What the goal is about."""
        return self.minigrad if self.alone else self.ratio

    @property
    def holds(self) -> bool | None:
        return None if self.goal is None or self.figure is None else self.figure <= self.goal


def take_turns(
    contestants: Mapping[str, Step],
    steps: int,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
    before: Mapping[str, Callable[[], None]] | None = None,
) -> dict[str, float]:
    """The median time of a step of each contestant, over at least `steps` steps, in seconds.

    The first turn of each does not count: compilers and caches are at work in it. From its last step follows how many
    steps a turn has.

    Args:
        before: by contestant, what is to be done before each of its turns.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    in_a_turn = dict.fromkeys(contestants, TURN)
    for turn in range(1 + -(-steps // TURN)):
        for name, step in contestants.items():
            sleep(REST)
            if before:
                before[name]()
            taken = []
            for _ in range(in_a_turn[name]):
                start = clock()
                step()
                taken.append(clock() - start)
            if turn == 0:
                in_a_turn[name] = max(TURN, min(MOST, int(TURN_SECONDS / max(taken[-1], 1e-9))))
            else:
                times[name] += taken
    return {name: statistics.median(taken) for name, taken in times.items()}


def measured(pair: Pair, steps: int, against: str = "PyTorch") -> Row:
    contestants = {"minigrad": pair.minigrad} | ({"peer": pair.peer} if pair.peer else {})
    medians = take_turns(contestants, steps, before=OWN_HEAP if against == "PyTorch" else None)
    peer = pair.peer_times * medians["peer"] if pair.peer else None
    reason = "" if pair.peer else pair.no_peer
    return Row(pair.name, medians["minigrad"], peer, pair.goal, against=against, reason=reason)
