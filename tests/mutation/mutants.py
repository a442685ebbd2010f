"""The mutants of a file, and the list of those that are known to be equivalent to the original."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

import cuda_operators
from operators import OPERATORS, Edit, Source

CUDA = ".cu"


class Mutant(NamedTuple):
    """One small change. Its name is `key`: it holds as long as the changed line and its function keep their text."""

    path: str  # from the root of the project
    function: str  # qualified, empty outside
    first_line: int  # the function's, decorators included: what a code object goes by; 0 outside
    line: int
    operator: str
    before: str  # the changed line or lines, joined
    after: str
    edit: Edit

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.path, self.function, self.before, self.after

    def __str__(self) -> str:
        return f"{self.path} {self.function}\n- {self.before}\n+ {self.after}"

    def apply(self, text: str) -> str:
        changed = text.encode()
        return (changed[: self.edit.start] + self.edit.text.encode() + changed[self.edit.end :]).decode()


def mutants_of(path: str, text: str) -> Iterator[Mutant]:
    """All mutants of a file, in the order of its text; no two with the same change of the same line."""
    edits = cuda_operators.edits_of if path.endswith(CUDA) else _edits_of
    for operator, edit, function, first_line in edits(text):
        start = text.encode().rfind(b"\n", 0, edit.start) + 1
        end = text.encode().find(b"\n", edit.end)
        lines, (before, after) = text.encode()[start:end], (edit.start - start, edit.end - start)
        changed = lines[:before] + edit.text.encode() + lines[after:]
        line = text.encode()[: edit.start].count(b"\n") + 1
        name = operator.replace("_", " ")
        yield Mutant(path, function, first_line, line, name, _joined(lines), _joined(changed), edit)


def _edits_of(text: str) -> Iterator[tuple[str, Edit, str, int]]:
    """All changes of a module, by operator, with the qualified name and the first line of the function they are in."""
    source = Source(text)
    found: dict[tuple[int, int, str], tuple[str, Edit, ast.AST]] = {}
    for node in _code(source.tree):
        for operator in OPERATORS:
            for edit in operator(source, node):
                found.setdefault((edit.start, edit.end, edit.text), (operator.__name__, edit, node))
    for _, (operator, edit, node) in sorted(found.items()):
        function = source.function_of(node)
        first_line = min((n.lineno for n in (function, *function.decorator_list)), default=0) if function else 0
        yield operator, edit, _qualified_name(source, function), first_line


def _joined(lines: bytes) -> str:
    return " ".join(line.strip() for line in lines.decode().splitlines())


def _qualified_name(source: Source, node: ast.AST | None) -> str:
    names = []
    while node is not None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.append(node.name)
        node = source.parents.get(node)
    return ".".join(reversed(names))


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that are code: no annotations, no decorators, and nothing of which only an error's or a log's text
    is made: raise statements, what stands before them in their block, f-strings, functions that return an exception."""
    yield node
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "bases", "type_params"):
            continue
        children = value if isinstance(value, list) else [value]
        if field in ("body", "orelse") and isinstance(value, list) and isinstance(value[-1:], list):
            children = [] if _only_raises(node, value) else value
        for child in children:
            if isinstance(child, ast.AST) and not _is_text(child):
                yield from _code(child)


def _only_raises(node: ast.AST, block: list[ast.stmt]) -> bool:
    return bool(block) and isinstance(block[-1], ast.Raise) and isinstance(node, (ast.If, ast.ExceptHandler))


def _is_text(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        called = node.value.func
        return isinstance(called, ast.Attribute) and getattr(called.value, "id", "") == "log"
    if isinstance(node, ast.FunctionDef):
        return getattr(node.returns, "id", "").endswith(("Exception", "Error"))
    if isinstance(node, ast.Assign):  # __all__, and names of types such as Axis = int | None
        return node.col_offset == 0 and getattr(node.targets[0], "id", "_")[0] != "_" and _names_types(node.value)
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.Raise, ast.JoinedStr)):
        return True
    return isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"


def _names_types(value: ast.expr) -> bool:
    names = {getattr(node, "id", "") for node in ast.walk(value)}
    return bool(names & {"int", "tuple", "list", "Sequence"}) and isinstance(value, (ast.BinOp, ast.Subscript))


class Equivalents:
    """The list in a text file: blocks of what is printed of survivors, each with the reason below it, indented.

    In a block, several changes (+) of one line may follow it, and several lines (-) of the function share the reason.
    A star stands for any change of a line, and two for any of a function.
    """

    def __init__(self, text: str) -> None:
        self.reasons: dict[tuple[str, str, str, str], str] = {}
        for block in text.split("\n\n"):
            lines = [line for line in block.splitlines() if line and not line.startswith("#")]
            if lines:
                self._read(*lines)

    def _read(self, place: str, *lines: str) -> None:
        path, _, function = place.partition(" ")
        reason = " ".join(line.strip() for line in lines if line.startswith("  "))
        keys, before = [], ""
        for line in lines:
            if line.startswith("- "):
                before = line[2:]
            elif line.startswith("+ "):
                keys.append((path, function, before, line[2:]))
        if not keys or not reason:
            raise ValueError(f"an equivalent mutant of {place} needs a change (-, +) and, indented, a reason")
        self.reasons.update(dict.fromkeys(keys, reason))

    def __contains__(self, mutant: Mutant) -> bool:
        return any(key in self.reasons for key in _covering(mutant))

    def stale(self, mutants: list[Mutant]) -> list[str]:
        """Those that are no mutants any more."""
        known = {key for mutant in mutants for key in _covering(mutant)}
        return ["{} {}\n- {}\n+ {}".format(*key) for key in self.reasons if key not in known]


def _covering(mutant: Mutant) -> tuple[tuple[str, str, str, str], ...]:
    path, function, before, after = mutant.key
    return (path, function, before, after), (path, function, before, "*"), (path, function, "*", "*")
