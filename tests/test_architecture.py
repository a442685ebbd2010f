"""The rules of the house that a program can check: who imports whom, what a backend offers, how long a file may be."""

from __future__ import annotations

import ast
import configparser
import importlib
import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import minigrad
from minigrad import Tensor
from minigrad.autograd import TENSOR_METHODS as AUTOGRAD_METHODS
from minigrad.backends import contract, get_backend
from minigrad.interchange import TENSOR_METHODS as INTERCHANGE_METHODS
from minigrad.ops import TENSOR_METHODS as OPS_METHODS
from minigrad.ops import TENSOR_OPERATORS

PACKAGE = Path(minigrad.__file__).parent

# A module imports from layers above it in this list, and from its own folder; within a layer nobody knows the others.
LAYERS = [
    {"checks"},
    {"backends", "random"},
    {"arrays"},
    {"tensor"},
    {"autograd", "creation", "hints", "interchange"},
    {"ops"},
    {"nn", "data", "serialization", "explanation"},
    {"optim", "gradient_check", "anomaly"},
    {"models", "lenet1998", "residual", "testing"},
    {"train"},
    {"plots", "diagnosis", "pytest_plugin", "torch_like"},
    {"activations", "d2l"},
]
LEVEL = {name: level for level, layer in enumerate(LAYERS) for name in layer}

# Packages that minigrad works without: the only ones that may be imported late, and never by `import minigrad`.
OPTIONAL = {"numba", "cupy", "threadpoolctl", "matplotlib", "tqdm", "safetensors", "pooch", "pytest"}
REFERENCE = "numpy"  # the one backend that the others may import from

MAX_LINES = 400
MAX_ENGINE_LINES = 600


class Import(NamedTuple):
    module: str  # dotted and absolute: minigrad.ops.shape, numpy
    line: int
    late: bool  # inside a function


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[Import]:
    """All imports of a file but those for the type checker alone, relative ones made absolute."""
    folder = ("minigrad", *path.relative_to(PACKAGE).parts[:-1])

    def visit(node: ast.AST, late: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, child.lineno, late) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                start = folder[: len(folder) - child.level + 1] if child.level else ()
                module = ".".join([*start, *([child.module] if child.module else [])])
                if child.module is None:  # from . import a, b
                    yield from (Import(f"{module}.{alias.name}", child.lineno, late) for alias in child.names)
                else:
                    yield Import(module, child.lineno, late)
            inside = late or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from visit(child, inside)

    yield from visit(ast.parse(path.read_text()), False)


def unit(module: str) -> str:
    """The folder or file below minigrad/ that a module belongs to."""
    return module.split(".")[1] if "." in module else ""


def unit_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def test_imports_point_only_downwards() -> None:
    wrong, checked = [], 0
    for path in modules():
        own = unit_of(path)
        if own == "__init__":
            continue
        assert own in LEVEL, f"{own} has no place in LAYERS yet"
        for found in imports(path):
            other = unit(found.module)
            if not found.module.startswith("minigrad") or other == own:
                continue
            checked += 1
            if not other or LEVEL[other] >= LEVEL[own]:
                wrong.append(f"{path.relative_to(PACKAGE)}:{found.line} imports {found.module}")
    assert wrong == []
    assert checked > 50


def test_backends_import_from_no_other_backend_but_the_reference() -> None:
    wrong, checked = [], 0
    for path in (PACKAGE / "backends").rglob("*.py"):
        folder = path.relative_to(PACKAGE / "backends").parts[0]
        for found in imports(path):
            if not found.module.startswith("minigrad.backends."):
                continue
            checked += 1
            other = found.module.split(".")[2]
            if other not in (folder, REFERENCE):
                wrong.append(f"{path.relative_to(PACKAGE)}:{found.line} imports {found.module}")
    assert wrong == []
    assert checked > 5


def test_only_optional_packages_are_imported_late() -> None:
    late = [(path, found) for path in modules() for found in imports(path) if found.late]
    wrong = [
        f"{path.relative_to(PACKAGE)}:{found.line} {found.module}"
        for path, found in late
        if found.module.split(".")[0] not in OPTIONAL
    ]
    assert wrong == []
    assert late


def test_optional_packages_are_imported_nowhere_else() -> None:
    """But in the folder of the backend that they are the point of."""
    wrong = []
    for path in modules():
        for found in imports(path):
            package = found.module.split(".")[0]
            inside_backend = path.relative_to(PACKAGE).parts[:2] in [("backends", "numba"), ("backends", "cupy")]
            if package in OPTIONAL and not found.late and not inside_backend:
                wrong.append(f"{path.relative_to(PACKAGE)}:{found.line} {found.module}")
    assert wrong == []


def test_the_reader_of_imports_sees_each_kind(tmp_path, monkeypatch) -> None:
    path = tmp_path / "ops" / "sample.py"
    path.parent.mkdir()
    path.write_text(
        "import os.path\nfrom ..tensor import Tensor\nfrom . import shape\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import secret\n"
        "def f():\n    if True:\n        import tqdm\n    return lambda: __import__('x')\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    assert [(found.module, found.late) for found in imports(path)] == [
        ("os.path", False),
        ("minigrad.tensor", False),
        ("minigrad.ops.shape", False),
        ("typing", False),
        ("tqdm", True),
    ]


def test_import_minigrad_loads_numpy_and_nothing_heavy() -> None:
    code = f"import sys, minigrad; print(sorted({OPTIONAL!r} & set(sys.modules)), 'numpy' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), *sys.path])}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[] True"


def test_the_version_stands_in_one_place_that_needs_no_import() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    (value,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
    ]
    assert ast.literal_eval(value) == minigrad.__version__
    settings = configparser.ConfigParser()
    settings.read(Path(__file__).parent.parent / "setup.cfg")
    assert settings["metadata"]["version"] == "attr: minigrad.__version__"


# ------------------------------------------------------------------------------------------------------------- backends


def contract_kernels() -> dict[str, inspect.Signature]:
    return {name: inspect.signature(f) for name, f in inspect.getmembers(contract, inspect.isfunction)}


def sections() -> dict[str, set[str]]:
    """The files that the contract is divided into by its ruled lines, and the kernels of each."""
    files: dict[str, set[str]] = {}
    for line in Path(contract.__file__).read_text().splitlines():
        if line.startswith("# ---"):
            current = files.setdefault(line.split()[-1], set())
        elif line.startswith("def "):
            current.add(line[4 : line.index("(")])
    return files


def test_every_backend_offers_the_kernels_of_the_contract_and_no_others(backend) -> None:
    kernels = get_backend(backend).kernels
    assert set(kernels.__all__) == set(contract_kernels())
    assert len(kernels.__all__) == len(set(kernels.__all__))


def test_kernels_take_what_the_contract_says(backend) -> None:
    for name, signature in contract_kernels().items():
        actual = inspect.signature(getattr(get_backend(backend).kernels, name))
        assert list(actual.parameters) == list(signature.parameters), name
        for own, wanted in zip(actual.parameters.values(), signature.parameters.values(), strict=True):
            assert own.default is wanted.default is inspect.Parameter.empty, f"{name}: {own.name}"


def test_kernels_are_in_the_files_that_the_contract_names(backend) -> None:
    package = get_backend(backend).kernels.__name__
    assert len(sections()) >= 5
    for file, names in sections().items():
        module = importlib.import_module(f"{package}.{file.removesuffix('.py')}")
        assert names <= set(vars(module)), f"{file} of {backend} lacks {names - set(vars(module))}"


def test_every_backend_of_the_registry_has_a_folder_and_the_other_way_round() -> None:
    folders = {path.parent.name for path in (PACKAGE / "backends").glob("*/__init__.py")}
    assert folders == set(minigrad.backend_names())


# ------------------------------------------------------------------------------------------------ Tensor's declarations


def declared() -> set[str]:
    """The names in the TYPE_CHECKING block of class Tensor."""
    tree = ast.parse((PACKAGE / "tensor.py").read_text())
    (tensor,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Tensor"]
    (block,) = [node for node in tensor.body if isinstance(node, ast.If)]
    aliases = {target.id for node in block.body if isinstance(node, ast.Assign) for target in node.targets}
    annotated = {node.target.id for node in block.body if isinstance(node, ast.AnnAssign)}
    return aliases | annotated | {node.name for node in block.body if isinstance(node, ast.FunctionDef)}


def test_what_tensor_declares_is_what_gets_installed() -> None:
    """Methods of the operations stand for themselves in __getattr__; everything else is declared by name."""
    helpers = {"__getattr__", "_unary", "_binary"}
    assert helpers <= declared()
    assert declared() - helpers == set(AUTOGRAD_METHODS) | set(TENSOR_OPERATORS)


def test_tensor_has_what_the_tables_install() -> None:
    for name in [
        *AUTOGRAD_METHODS,
        *INTERCHANGE_METHODS,
        *TENSOR_OPERATORS,
        *(method.__name__ for method in OPS_METHODS),
    ]:
        assert name in vars(Tensor), name
    assert not hasattr(Tensor, "__getattr__"), "that declaration is for type checkers only"


# ---------------------------------------------------------------------------------------------------------------- sizes


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_say_what_lives_in_them(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())) or not path.read_text().strip()


def lines_of_code(path: Path) -> int:
    """Lines that hold code: neither empty, nor comment, nor docstring."""
    source = path.read_text()
    text_lines: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node, clean=False):
            text_lines.update(range(body[0].lineno, body[0].end_lineno + 1))
    numbered = enumerate(source.splitlines(), start=1)
    return sum(1 for n, line in numbered if n not in text_lines and line.strip() and not line.strip().startswith("#"))


def test_the_engine_can_be_read_in_an_afternoon() -> None:
    engine = [PACKAGE / "tensor.py", *(PACKAGE / "autograd").glob("*.py")]
    lines = {path.name: lines_of_code(path) for path in engine if path.name != "gradcheck.py"}
    assert sum(lines.values()) < MAX_ENGINE_LINES, lines
    assert len(lines) >= 5
