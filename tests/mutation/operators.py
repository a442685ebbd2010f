"""The small changes that are tried, each an operator: from a node of the syntax tree to edits of the source.

An operator yields texts for the node's place, or whole edits where only a part of it changes. What it finds is searched
in order, so that the mutants of a file are the same ones, in the same order, each time.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Edit(NamedTuple):
    """Bytes from start to end of a source become text."""

    start: int
    end: int
    text: str


class Source:
    """A module's text and syntax tree, and what operators ask about them."""

    def __init__(self, text: str) -> None:
        self.bytes = text.encode()
        self.tree = ast.parse(text)
        self._lines = [0]
        for line in self.bytes.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def start(self, node: ast.AST) -> int:
        return self._lines[node.lineno - 1] + node.col_offset

    def end(self, node: ast.AST) -> int:
        return self._lines[node.end_lineno - 1] + node.end_col_offset

    def text(self, node: ast.AST) -> str:
        return self.bytes[self.start(node) : self.end(node)].decode()

    def instead(self, node: ast.AST, text: str) -> Edit:
        return Edit(self.start(node), self.end(node), text)

    def operand(self, node: ast.AST, place: ast.AST) -> str:
        """The node's text for another node's place, in parentheses where it might fall apart there."""
        inside = isinstance(self.parents.get(place), (ast.expr, ast.keyword))
        whole = isinstance(node, (ast.Name, ast.Constant, ast.Call, ast.Attribute, ast.Subscript, ast.List))
        return self.text(node) if whole or not inside else f"({self.text(node)})"

    def between(self, left: ast.AST, right: ast.AST, symbol: str, other: str) -> Edit:
        """The symbol between two nodes becomes another."""
        gap = self.bytes[self.end(left) : self.start(right)].decode()
        at = re.search(r"\s+".join(map(re.escape, symbol.split())), gap)
        return Edit(self.end(left) + at.start(), self.end(left) + at.end(), other)

    def function_of(self, node: ast.AST) -> ast.AST | None:
        """The function that the node is part of, the innermost one."""
        while node is not None and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node = self.parents.get(node)
        return node


Operator = Callable[[Source, ast.AST], Iterator[Edit]]

ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*", "//": "*", "%": "*", "**": "*"}
OTHER_SYMBOL = {**ARITHMETIC, "&": "|", "|": "&", "^": "&", "<<": ">>", ">>": "<<"}
SYMBOLS = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.MatMult: "@",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}
OTHER_COMPARISONS = {
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
    "==": ("!=",),
    "!=": ("==",),
    "is": ("is not",),
    "is not": ("is",),
    "in": ("not in",),
    "not in": ("in",),
}
OTHER_NAMES = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "zeros": "ones",
    "ones": "zeros",
    "maximum": "minimum",
    "minimum": "maximum",
    "argmax": "argmin",
    "argmin": "argmax",
}

# Calls that are dropped, so that their first argument or their object takes their place.
WRAPPERS = {
    *("abs", "sum", "exp", "log", "sqrt", "max", "min", "reshape", "broadcast_to", "squeeze", "unsqueeze", "floating"),
    *("as_dtype", "contiguous", "ascontiguousarray", "batch_innermost", "batch_first", "pad_image", "crop_image"),
    *("sorted", "reversed"),
}
METHODS = {
    *("sum", "mean", "max", "min", "all", "any", "reshape", "transpose", "squeeze", "copy", "astype", "detach"),
}

PAIRS = {"stride", "padding", "dilation", "kernel", "image", "output"}  # of (height, width)
GEOMETRY = re.compile("[SPDKOHW]?[HW]|stride|padding|dilation")  # numbers, where they are operands


def other_symbol(source: Source, node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.BinOp) and SYMBOLS[type(node.op)] in OTHER_SYMBOL:
        symbol = SYMBOLS[type(node.op)]
        yield source.between(node.left, node.right, symbol, OTHER_SYMBOL[symbol])
    if isinstance(node, ast.AugAssign) and SYMBOLS[type(node.op)] in OTHER_SYMBOL:
        symbol = SYMBOLS[type(node.op)]
        yield source.between(node.target, node.value, f"{symbol}=", f"{OTHER_SYMBOL[symbol]}=")
        yield source.between(node.target, node.value, f"{symbol}=", "=")


def lost_term(source: Source, node: ast.AST) -> Iterator[Edit]:
    """Of a sum, a product, a condition of several."""
    if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.MatMult):
        yield source.instead(node, source.operand(node.left, node))
        if isinstance(node.op, (ast.Add, ast.Mult, ast.BitAnd, ast.BitOr)):
            yield source.instead(node, source.operand(node.right, node))
        if isinstance(node.op, ast.Sub):
            yield source.instead(node, f"(-({source.text(node.right)}))")
    if isinstance(node, ast.BoolOp):
        word = " and " if isinstance(node.op, ast.And) else " or "
        for lost in node.values:
            rest = [f"({source.text(value)})" for value in node.values if value is not lost]
            yield source.instead(node, f"({word.join(rest)})")


def swapped_operands(source: Source, node: ast.AST) -> Iterator[Edit]:
    ordered = (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ordered):
        left, right = source.text(node.left), source.text(node.right)
        if left != right:
            yield source.instead(node, f"(({right}) {SYMBOLS[type(node.op)]} ({left}))")


def flipped_sign(source: Source, node: ast.AST) -> Iterator[Edit]:
    """A minus, a not, a ~ lost; and a minus before each gradient that a rule returns."""
    if isinstance(node, ast.UnaryOp):
        yield source.instead(node, source.operand(node.operand, node))
    function = source.function_of(node)
    if isinstance(node, ast.Return) and node.value is not None and getattr(function, "name", "") == "backward":
        for value in node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]:
            part = value.body if isinstance(value, ast.IfExp) else value
            if not isinstance(part, (ast.Constant, ast.Starred)):
                yield source.instead(part, f"-({source.text(part)})")


def other_comparison(source: Source, node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.Compare):
        for left, op, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
            symbol = SYMBOLS[type(op)]
            for other in OTHER_COMPARISONS[symbol]:
                yield source.between(left, right, symbol, other)


def other_constant(source: Source, node: ast.AST) -> Iterator[Edit]:
    """An integer one more and one less, a number doubled and a thousandth larger, True for False."""
    if not isinstance(node, ast.Constant) or getattr(source.parents[node], "arg", "") == "strict":
        return
    if isinstance(node.value, bool):
        yield source.instead(node, str(not node.value))
    elif isinstance(node.value, int):
        if not _is_rest(source, node):
            yield source.instead(node, str(node.value + 1))
        yield source.instead(node, str(node.value - 1) if node.value else "(-1)")
    elif isinstance(node.value, float):
        yield source.instead(node, repr(node.value * 2 or 1.0))
        if node.value:
            yield source.instead(node, repr(node.value * 1.001))


def _is_rest(source: Source, node: ast.AST) -> bool:
    """Whether it is the 1 of reshape(..., -1), where NumPy takes any negative number."""
    minus = source.parents[node]
    call = source.parents.get(minus)
    return isinstance(minus, ast.UnaryOp) and isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "reshape"


def other_name(source: Source, node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.Name) and node.id in OTHER_NAMES and isinstance(node.ctx, ast.Load):
        yield source.instead(node, OTHER_NAMES[node.id])
    if isinstance(node, ast.Attribute) and node.attr in OTHER_NAMES:
        yield Edit(source.end(node) - len(node.attr), source.end(node), OTHER_NAMES[node.attr])


def dropped_call(source: Source, node: ast.AST) -> Iterator[Edit]:
    """x for x.sum(...), sum(x, ...), exp(x) and the like."""
    if not isinstance(node, ast.Call):
        return
    called = node.func
    if isinstance(called, ast.Attribute) and called.attr in METHODS and not _is_module(called.value):
        yield source.instead(node, source.operand(called.value, node))
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    if name in WRAPPERS and (isinstance(called, ast.Name) or _is_module(called.value)):
        values = [a for a in node.args if not (isinstance(a, ast.Constant) and isinstance(a.value, str))]
        if values and not isinstance(values[0], (ast.Starred, ast.GeneratorExp)):
            yield source.instead(node, source.operand(values[0], node))


def _is_module(node: ast.AST) -> bool:
    return (node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")) in ("np", "xp", "math")


def swapped_arguments(source: Source, node: ast.AST) -> Iterator[Edit]:
    """Neighbours among a call's positional arguments, and among what a function returns."""
    values: list[ast.expr] = []
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") not in ("isinstance", "getattr", "hasattr"):
        values = node.args
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        values = node.value.elts
    for first, second in itertools.pairwise(values):
        fixed = any(isinstance(v, ast.Starred) or isinstance(getattr(v, "value", 0), str) for v in (first, second))
        if not fixed and source.text(first) != source.text(second):
            gap = source.bytes[source.end(first) : source.start(second)].decode()
            text = source.text(second) + gap + source.text(first)
            yield Edit(source.start(first), source.end(second), text)


def lost_keyword(source: Source, node: ast.AST) -> Iterator[Edit]:
    """axis=..., keepdims=... and the like, left out."""
    if isinstance(node, ast.Call):
        parts = sorted([*node.args, *node.keywords], key=source.start)
        for keyword in node.keywords:
            rest = [source.text(part) for part in parts if part is not keyword]
            if keyword.arg not in (None, "strict"):  # which only asserts something
                yield Edit(source.start(parts[0]), source.end(parts[-1]), ", ".join(rest))


def opposite_condition(source: Source, node: ast.AST) -> Iterator[Edit]:
    test = getattr(node, "test", None) if isinstance(node, (ast.If, ast.IfExp, ast.While)) else None
    for condition in [test] if test is not None else getattr(node, "ifs", []):
        negated = isinstance(condition, ast.UnaryOp) and isinstance(condition.op, ast.Not)
        if not negated and not (isinstance(condition, ast.Compare) and len(condition.ops) == 1):
            yield source.instead(condition, f"not ({source.text(condition)})")


def dropped_check(source: Source, node: ast.AST) -> Iterator[Edit]:
    """What would have raised goes on; and a shortcut is never taken."""
    if isinstance(node, ast.If) and isinstance(node.body[-1], (ast.Raise, ast.Return)):
        yield source.instead(node.test, "False")


def lost_statement(source: Source, node: ast.AST) -> Iterator[Edit]:
    function = source.function_of(node)
    if function is None:
        return
    lost = isinstance(node, (ast.AugAssign, ast.Delete, ast.Continue, ast.Break))
    lost |= isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    if isinstance(node, ast.Assign):
        arguments = function.args
        parameters = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
        for target in node.targets:
            names = {t.id for t in ast.walk(target) if isinstance(t, ast.Name)}
            lost |= isinstance(target, (ast.Attribute, ast.Subscript)) or names <= parameters
    if lost:
        yield source.instead(node, "pass")
    if isinstance(node, ast.With) and all(item.optional_vars is None for item in node.items):
        head = source.bytes[source.end(node.items[-1].context_expr) : source.start(node.body[0])].decode()
        end = source.end(node.items[-1].context_expr) + head.index(":")
        yield Edit(source.start(node), end, "if True")


def off_by_one(source: Source, node: ast.AST) -> Iterator[Edit]:
    """In the bounds of slices and ranges, and where strides, paddings and sizes are reckoned with."""
    bounds: list[tuple[ast.expr | None, str]] = []
    if isinstance(node, ast.Slice):
        bounds = [(node.lower, "+"), (node.upper, "-")]
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("range", "prange"):
        bounds = [(node.args[-1], "-")] if len(node.args) < 3 else [(node.args[0], "+"), (node.args[1], "-")]
        bounds += [(node.args[0], "+")] if len(node.args) == 2 else []
    if isinstance(node, ast.BinOp):
        bounds = [(value, "+") for value in (node.left, node.right) if GEOMETRY.fullmatch(getattr(value, "id", ""))]
    for value, sign in bounds:
        if value is not None and not isinstance(value, ast.Constant):
            yield source.instead(value, f"({source.text(value)} {sign} 1)")


def exchanged_pair(source: Source, node: ast.AST) -> Iterator[Edit]:
    """(height, width) read as (width, height)."""
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    parent = source.parents.get(node)
    passed_on = isinstance(parent, (ast.Call, ast.keyword)) and getattr(parent, "func", None) is not node
    if name in PAIRS and passed_on:
        yield source.instead(node, f"{source.text(node)}[::-1]")


OPERATORS: tuple[Operator, ...] = (
    *(other_symbol, lost_term, swapped_operands, flipped_sign, other_comparison, other_constant, other_name),
    *(dropped_call, swapped_arguments, lost_keyword, opposite_condition, dropped_check, lost_statement),
    *(off_by_one, exchanged_pair),
)
