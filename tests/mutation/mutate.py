"""Changes the backward rules and kernels, one small change at a time, and shows which changes no test notices.

make mutants                                        all of minigrad/ops, minigrad/autograd and minigrad/backends
make mutants ARGS="minigrad/ops/conv.py"            one file or folder
make mutants ARGS="--sample 50 --seed 0"            some of them, the same ones each time
make mutants ARGS="--list minigrad/ops/conv.py"     what would be tried

Changes are made in memory, and no file is touched. operators.py has the kinds of them, cuda_operators.py those for
CUDA C, equivalent.txt those that are known to change nothing. The exit status is 1 where a mutant survives or an entry
of equivalent.txt is out of date.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mutants import CUDA, Equivalents, Mutant, mutants_of
from tqdm import tqdm

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "gpu"))  # where CUDA C is compiled for the processor

SCOPE = ("minigrad/ops", "minigrad/autograd", "minigrad/backends")
CUPY = "minigrad/backends/cupy/"
NOT_TRIED = ("minigrad/backends/contract.py",)  # signatures only
OUTCOMES = ("killed", "timed out", "equivalent", "survived")


def find_mutants(root: Path, scope: tuple[str, ...] = SCOPE) -> Iterator[Mutant]:
    for path in sorted(path for part in scope for path in (root / part).rglob("*") if path.suffix in (".py", CUDA)):
        name = str(path.relative_to(root))
        if not name.startswith(NOT_TRIED):
            yield from mutants_of(name, path.read_text())


def table(results: list[tuple[Mutant, str]]) -> str:
    counts = Counter((mutant.path, outcome) for mutant, outcome in results)
    counts.update(("total", outcome) for _, outcome in results)
    paths = [*dict.fromkeys(mutant.path for mutant, _ in results), "total"]
    rows = [("file", "mutants", *OUTCOMES)]
    for path in paths:
        numbers = [counts[path, outcome] for outcome in OUTCOMES]
        rows.append((path, str(sum(numbers)), *map(str, numbers)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{c:{'<' if i == 0 else '>'}{w}}" for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    )


def arguments_of(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", help="files or folders; all by default")
    parser.add_argument("--sample", type=int, help="how many to try, chosen at random")
    parser.add_argument("--seed", type=int, default=0, help="of that choice")
    parser.add_argument("--list", action="store_true", help="print the mutants and try none")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many to try at a time")
    return parser.parse_args(argv)


def main(argv: list[str], root: Path = ROOT) -> int:
    options = arguments_of(argv)
    everything = list(find_mutants(root))
    equivalents = Equivalents((root / "tests/mutation/equivalent.txt").read_text())
    stale = equivalents.stale(everything)
    for entry in stale:
        print(f"no mutant any more, take it out of equivalent.txt:\n{entry}\n")
    chosen = [m for m in everything if not options.paths or m.path.startswith(tuple(options.paths))]
    if not chosen:
        raise SystemExit(f"no mutants in {options.paths}")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # no threads that a fork would lose
    from host_compiler import why_not  # which imports NumPy

    if reason := why_not():
        print(f"{CUPY} is left out: it {reason}")
        chosen = [mutant for mutant in chosen if not mutant.path.startswith(CUPY)]
    if options.sample:
        candidates = [mutant for mutant in chosen if mutant not in equivalents]
        chosen = random.Random(options.seed).sample(candidates, min(options.sample, len(candidates)))
    if options.list:
        print("\n\n".join(map(str, chosen)))
        return 0
    from farm import try_all

    results = [(mutant, "equivalent") for mutant in chosen if mutant in equivalents]
    tried = [mutant for mutant in chosen if mutant not in equivalents]
    tqdm.monitor_interval = 0  # no thread beside this one, which forks
    with tqdm(total=len(tried), unit="mutant") as progress:
        for result in try_all(root, tried, options.jobs):
            results.append(result)
            if result[1] == "survived":
                progress.write(f"{result[0]}\n", file=sys.stdout)
            progress.update()
    results.sort(key=lambda result: everything.index(result[0]))
    print(table(results))
    survivors = [mutant for mutant, outcome in results if outcome == "survived"]
    return 1 if survivors or stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
