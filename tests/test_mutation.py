"""The tool that tries small changes (mutation/mutate.py) on a project of a few lines."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from host_compiler import why_not
from mutants import Equivalents, mutants_of
from mutate import ROOT, find_mutants
from trial import ImportAnew, put_into_functions

TOY = '''"""A module."""

LIMIT = 3


def limited(a: int, b: int = 1) -> int:
    """a + b, but at most LIMIT"""
    total = a + b
    if total > LIMIT:
        return LIMIT
    return total
'''
TESTS = """from minigrad.ops.toy import limited


def test_small_sums():
    assert limited(1) == 2
    assert limited(0, 0) == 0


def test_large_sums():
    assert limited(2, 5) == 3
"""
KERNEL = """extern "C" __global__ void twice(int size, const float* x, float* y)
{
    if (threadIdx.x < size)
        y[threadIdx.x] = x[threadIdx.x] * 2;
}
"""
KERNEL_TESTS = """from pathlib import Path

import cupy
import numpy as np

SOURCE = Path(__file__).parents[1] / "minigrad/backends/cupy/toy.cu"


def test_numbers_are_doubled():
    x = cupy.asarray(np.array([0, 2], np.float32))
    y = cupy.zeros(2, np.float32)
    cupy.RawModule(code=SOURCE.read_text()).get_function("twice")((1,), (2,), (np.int32(2), x, y))
    assert y.tolist() == [0, 4]
"""
UNNOTICED = "minigrad/ops/toy.py limited\n- if total > LIMIT:\n+ if total >= LIMIT:"


def changes(text: str) -> set[str]:
    return {mutant.after for mutant in mutants_of("toy.py", text)}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("y = a + b", {"y = a - b", "y = a", "y = b"}),
        ("y = a - b", {"y = a + b", "y = a", "y = (-(b))", "y = ((b) - (a))"}),
        ("y = a @ b", {"y = ((b) @ (a))"}),
        ("y = a @ a", set()),
        ("y = -a", {"y = a"}),
        ("y = a < b", {"y = a <= b", "y = a >= b"}),
        ("y = a is not b", {"y = a is b"}),
        ("y = a and b", {"y = ((a))", "y = ((b))"}),
        ("y = 3", {"y = 4", "y = 2"}),
        ("y = 0.5", {"y = 1.0", "y = 0.5005"}),
        ("y = True", {"y = False"}),
        ("y = x.sum(axis=a)", {"y = x", "y = x.sum()"}),
        ("y = exp(a)", {"y = a"}),
        ("y = f(a, b)", {"y = f(b, a)"}),
        ("y = f(a, stride)", {"y = f(stride, a)", "y = f(a, stride[::-1])"}),
        ("y = x[a:b]", {"y = x[(a + 1):b]", "y = x[a:(b - 1)]"}),
        ("y = [k for k in range(a)]", {"y = [k for k in range((a - 1))]"}),
        ("y = H // a", {"y = H * a", "y = H", "y = ((a) // (H))", "y = (H + 1) // a"}),
        ("y = max(a)", {"y = min(a)", "y = a"}),
        ("x.y = a", {"pass"}),
        ("x += a", {"x -= a", "x = a", "pass"}),
        ("y = zip(a, b, strict=True)", {"y = zip(b, a, strict=True)"}),
        ("raise ValueError(a + b)", set()),
        ('y = f"{a + b}"', set()),
        ("y: int | None = a", set()),
    ],
)
def test_what_a_line_becomes(line: str, expected: set[str]) -> None:
    assert changes(f"def function(a, b):\n    {line}\n") == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("int h = a + b;", {"int h = a - b;", "int h = a ;", "int h =  b;"}),
        (
            "x[i] = a * (b + c) - d[k];",
            {"x[i] = a * ( c) - d[k];", "x[i] =  (b + c) - d[k];", "x[i] = a * (b + c) ;", ";"},
        ),
        ("const REAL* row = x + K;", {"const REAL* row = x - K;", "const REAL* row = x ;", "const REAL* row =  K;"}),
        ("INDEX i = (INDEX)n * K;", {"INDEX i = (INDEX)n / K;", "INDEX i = (INDEX)n ;", "INDEX i =  K;"}),
        ("y = -x;", {"y = x;", ";"}),
        ("bool far = !near;", {"bool far = near;"}),
        ("total += x;", {"total -= x;", "total = x;", ";"}),
        ("bool in = h < H;", {"bool in = h <= H;", "bool in = h >= H;", "bool in = h < W;"}),
        ("bool in = a && b;", {"bool in = a || b;", "bool in = a ;", "bool in =  b;"}),
        ("int n = 3;", {"int n = 4;", "int n = 2;"}),
        ("REAL y = exp(x);", {"REAL y = (x);"}),
        ("REAL y = a ? b : c;", {"REAL y = a ? c : b;", "REAL y = a ? b : b;", "REAL y = a ? c : c;"}),
        ("if (a) return;", {"if (true) return;", "if (false) return;"}),
        ("__syncthreads();  // 3 * 4", {";  // 3 * 4"}),
        ("int s = SH;", {"int s = SW;"}),
        (
            "for (int k = n; k < K; ++k) y = k;",
            {"for (int k = n; k < K; ++k) ;", "for (int k = n; k <= K; ++k) y = k;"},
        ),
        ("// a + b", set()),
    ],
)
def test_what_a_line_of_cuda_becomes(line: str, expected: set[str]) -> None:
    text = f'extern "C" __global__ void f(int a, REAL* y = 1 + 1)\n{{\n{line}\n}}\n'
    found = {mutant.after for mutant in mutants_of("toy.cu", text)}
    assert expected <= found if expected else not found


def test_checks_are_dropped_and_gradients_lose_their_sign() -> None:
    assert "if False:" in changes("def f(a):\n    if a:\n        raise ValueError\n")
    assert changes("def backward(self, dy):\n    return (dy, None)\n") == {
        "return (-(dy), None)",
        "return (None, dy)",
    }


def test_mutants_of_the_project_are_modules_each_with_one_change() -> None:
    mutants = list(find_mutants(ROOT))
    assert len(mutants) > 7000
    assert len({(mutant.path, mutant.edit) for mutant in mutants}) == len(mutants)
    for mutant in mutants[::50]:
        text = (ROOT / mutant.path).read_text()
        if mutant.path.endswith(".cu"):
            assert mutant.apply(text) != text
            continue
        assert ast.dump(ast.parse(mutant.apply(text))) != ast.dump(ast.parse(text)), mutant


def test_mutants_are_known_by_their_text_wherever_it_moves() -> None:
    before = {mutant.key for mutant in mutants_of("toy.py", TOY)}
    assert before == {
        mutant.key for mutant in mutants_of("toy.py", TOY.replace("LIMIT = 3\n", "\n# moved\nLIMIT = 3\n"))
    }


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "minigrad/__init__.py": "",
        "minigrad/ops/__init__.py": "",
        "minigrad/ops/toy.py": TOY,
        "tests/test_ops_toy.py": TESTS,
        "tests/mutation/equivalent.txt": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def mutate(project: Path, *arguments: str) -> tuple[int, str]:
    """The exit status and what was printed; in a process that has not imported minigrad."""
    program = "import sys, pathlib; import mutate; sys.exit(mutate.main(sys.argv[2:], pathlib.Path(sys.argv[1])))"
    command = [sys.executable, "-c", program, str(project), *arguments]
    done = subprocess.run(command, cwd=ROOT / "tests/mutation", capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_mutant_that_no_test_notices_is_shown_and_no_file_is_touched(project: Path) -> None:
    before = contents(project)
    status, printed = mutate(project)
    assert status == 1
    assert printed.count("\n+ ") == 1
    assert UNNOTICED in printed
    total = printed.splitlines()[-1].split()
    killed = len(list(mutants_of("", TOY))) - 1
    assert total == ["total", str(killed + 1), str(killed), "0", "0", "1"]
    assert contents(project) == before


@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
def test_mutants_of_a_kernel_are_compiled(project: Path) -> None:
    """Its test launches no thread that has nothing to do."""
    files = {"minigrad/backends/cupy/toy.cu": KERNEL, "tests/test_kernels_toy.py": KERNEL_TESTS}
    for name, text in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    status, printed = mutate(project, "minigrad/backends/cupy")
    shown = [line[2:] for line in printed.splitlines() if line.startswith("+ ")]
    assert status == 1
    assert shown == ["if (true)", "if (threadIdx.x <= size)"]
    assert printed.splitlines()[-1].split() == ["total", "9", "7", "0", "0", "2"]


def test_the_cupy_backend_is_left_out_with_a_message_where_there_is_no_compiler(project: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    (project / "minigrad/backends/cupy").mkdir(parents=True)
    (project / "minigrad/backends/cupy/toy.cu").write_text(KERNEL)
    status, printed = mutate(project, "--list")
    assert status == 0
    assert "minigrad/backends/cupy/ is left out: it needs Linux and g++" in printed
    assert "toy.cu" not in printed
    assert "toy.py" in printed


def test_a_function_that_does_without_a_variable_from_outside_is_imported_anew(tmp_path: Path) -> None:
    path = tmp_path / "toy.py"
    text = "def outer(a):\n    def inner():\n        return a\n    return inner\n"
    names: dict[str, Any] = {}
    exec(compile(text, str(path), "exec", dont_inherit=True), names)
    inner = names["outer"](1)
    put_into_functions(path, text, text.replace("return a", "return -a"))
    assert inner() == -1
    with pytest.raises(ImportAnew):
        put_into_functions(path, text.replace("return a", "return -a"), text.replace("return a", "return 1"))


def test_equivalent_mutants_are_listed_with_a_reason_and_not_tried(project: Path) -> None:
    (project / "tests/mutation/equivalent.txt").write_text(f"{UNNOTICED}\n  At the limit both are the same.\n")
    status, printed = mutate(project, "--sample", "3")
    assert status == 0
    assert printed.splitlines()[-1].split() == ["total", "3", "3", "0", "0", "0"]


def test_a_star_stands_for_any_change_of_a_line_and_two_for_any_of_a_function() -> None:
    mutants = list(mutants_of("toy.py", TOY))
    line = Equivalents("toy.py limited\n- total = a + b\n+ *\n  Why not.\n")
    assert {mutant.after for mutant in mutants if mutant in line} == {"total = a - b", "total = a", "total = b"}
    function = Equivalents("toy.py limited\n- *\n+ *\n  Why not.\n")
    assert [mutant.function for mutant in mutants if mutant not in function] == ["", ""]


def test_an_entry_that_is_no_mutant_any_more_is_an_error(project: Path) -> None:
    text = f"{UNNOTICED}\n  At the limit both are the same.\n\nminigrad/ops/toy.py gone\n- a\n+ b\n  It was.\n"
    (project / "tests/mutation/equivalent.txt").write_text(text)
    status, printed = mutate(project)
    assert status == 1
    assert "take it out of equivalent.txt:\nminigrad/ops/toy.py gone\n- a\n+ b\n" in printed


def test_a_sample_is_the_same_each_time(project: Path) -> None:
    first, again, other = (mutate(project, "--list", "--sample", "4", "--seed", seed)[1] for seed in ("1", "1", "2"))
    assert first == again != other
    assert first.count("\n+ ") == 4


@pytest.mark.parametrize("text", ["minigrad/ops/toy.py limited\n- a\n+ b\n", "minigrad/ops/toy.py limited\n  why\n"])
def test_an_equivalent_needs_a_change_and_a_reason(text: str) -> None:
    with pytest.raises(ValueError, match="needs a change"):
        Equivalents(text)
