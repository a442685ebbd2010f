"""The small changes that are tried of CUDA C: operators on the symbols of a kernel, as operators.py has for Python.

Comments, the preprocessor's lines and the declarations of parameters stay as they are. What is found is not parsed: a
term ends where a symbol that binds less begins, which is enough for kernels as they are written here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from operators import OTHER_COMPARISONS, Edit

FUNCTION = re.compile(r"__(?:global|device)__\s+\w+\s+(\w+)\s*\([^)]*\)\s*(?=\{)")
TOKEN = re.compile(
    r"(?P<skipped>\s+|//[^\n]*|/\*.*?\*/|#[^\n]*)|(?P<word>\w+(?:\.\w+)*)|(?P<symbol>[-+*/%<>=!&|]=|&&|\|\||\+\+|--|.)",
    re.DOTALL,
)
TYPES = {"REAL", "INDEX", "bool", "char", "double", "float", "int", "long", "unsigned", "const", "__shared__"}
KEYWORDS = {"return", "for", "if", "else", "while", "continue", "break"}
FUNCTIONS = {"exp", "fabs", "log", "log1p", "sqrt", "tanh"}
PAIRS = {"H": "W", "W": "H", **{f"{a}{h}": f"{a}{w}" for a in "KOSPD" for h, w in ("HW", "WH")}}

OTHER_SYMBOL = {"+": "-", "-": "+", "*": "/", "/": "*", "%": "*", "&&": "||", "||": "&&"}
OTHER_SYMBOL |= {f"{symbol}=": f"{other}=" for symbol, other in OTHER_SYMBOL.items() if len(symbol) == 1}
ASSIGNMENTS = {"=", "+=", "-=", "*=", "/="}
# How strongly symbols bind; those that are not here end every term.
BINDS = {"||": 1, "&&": 2, "==": 3, "!=": 3, "<": 4, ">": 4, "<=": 4, ">=": 4, "+": 5, "-": 5, "*": 6, "/": 6, "%": 6}
OPENING, CLOSING = {"(": ")", "[": "]"}, {")": "(", "]": "["}


class Token(NamedTuple):
    text: str
    start: int
    end: int


class Function(NamedTuple):
    """A kernel, or a function that kernels call, and the symbols of its body."""

    name: str
    line: int
    tokens: list[Token]


def functions_of(text: str) -> Iterator[Function]:
    for match in FUNCTION.finditer(text):
        end = text.index("\n}", match.end())
        tokens = [Token(t[0], *t.span()) for t in TOKEN.finditer(text, match.end(), end) if t["skipped"] is None]
        yield Function(match[1], text[: match.start()].count("\n") + 1, tokens)


class Body:
    """The symbols of a function, and what operators ask about them."""

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self.text, self.tokens = text, tokens
        self.partner: dict[int, int] = {}  # of each bracket
        opened: list[int] = []
        for i, token in enumerate(tokens):
            if token.text in OPENING:
                opened.append(i)
            elif token.text in CLOSING:
                self.partner[i] = opened.pop()
                self.partner[self.partner[i]] = i

    def at(self, i: int) -> str:
        return self.tokens[i].text if 0 <= i < len(self.tokens) else ""

    def is_value(self, i: int) -> bool:
        """Whether a value ends with this symbol; a type in parentheses is a cast."""
        text = self.at(i)
        if text == ")":
            return self.at(i - 1) not in TYPES
        return text == "]" or (text[:1].isalnum() and text not in TYPES | KEYWORDS)

    def is_binary(self, i: int) -> bool:
        return self.at(i) in BINDS and self.is_value(i - 1)

    def end(self, i: int, binds: int) -> int:
        """Behind the term that begins here, whose symbols bind more strongly than that."""
        while i < len(self.tokens):
            text = self.at(i)
            weaker = self.is_binary(i) and BINDS[text] <= binds
            if weaker or text in CLOSING or text in {",", ";", "?", ":", *ASSIGNMENTS}:
                break
            i = self.partner[i] + 1 if text in OPENING else i + 1
        return i

    def start(self, i: int, binds: int) -> int:
        """Where the term begins that ends before this symbol; its symbols bind at least as strongly."""
        while i > 0:
            text = self.at(i - 1)
            weaker = self.is_binary(i - 1) and BINDS[text] < binds
            if weaker or text in {*OPENING, ",", ";", "?", ":", "{", "}", *ASSIGNMENTS, *KEYWORDS}:
                break
            i = self.partner[i - 1] if text in CLOSING else i - 1
        return i

    def head(self, i: int) -> str:
        """Of what head, `if (...)` or `for (...)`, the end is before this symbol."""
        return self.at(self.partner[i - 1] - 1) if self.at(i - 1) == ")" else ""

    def instead(self, first: int, end: int, text: str) -> Edit:
        """The symbols from the first to before the end become a text."""
        return Edit(self.tokens[first].start, self.tokens[end - 1].end, text)

    def source(self, first: int, end: int) -> str:
        return self.text[self.tokens[first].start : self.tokens[end - 1].end]


Operator = Callable[[Body, int], Iterator[Edit]]


def other_symbol(body: Body, i: int) -> Iterator[Edit]:
    symbol = body.at(i)
    if symbol in OTHER_SYMBOL and body.is_value(i - 1):
        yield body.instead(i, i + 1, OTHER_SYMBOL[symbol])
        if symbol in ASSIGNMENTS:
            yield body.instead(i, i + 1, "=")


def other_comparison(body: Body, i: int) -> Iterator[Edit]:
    for other in OTHER_COMPARISONS.get(body.at(i), ()):
        yield body.instead(i, i + 1, other)


def other_constant(body: Body, i: int) -> Iterator[Edit]:
    if body.at(i).isdigit():
        number = int(body.at(i))
        yield body.instead(i, i + 1, str(number + 1))
        yield body.instead(i, i + 1, str(number - 1) if number else "(-1)")


def lost_sign(body: Body, i: int) -> Iterator[Edit]:
    if body.at(i) == "!" or (body.at(i) == "-" and not body.is_value(i - 1)):
        yield body.instead(i, i + 1, "")


def lost_call(body: Body, i: int) -> Iterator[Edit]:
    if body.at(i) in FUNCTIONS and body.at(i + 1) == "(":
        yield body.instead(i, i + 1, "")


def lost_term(body: Body, i: int) -> Iterator[Edit]:
    """Of a sum, a product, an index, a condition of several."""
    symbol = body.at(i)
    if body.is_binary(i) and BINDS[symbol] not in (3, 4):
        yield body.instead(i, body.end(i + 1, BINDS[symbol]), "")
        if symbol in ("+", "*", "&&", "||"):
            yield body.instead(body.start(i, BINDS[symbol]), i + 1, "")


def other_arm(body: Body, i: int) -> Iterator[Edit]:
    """Of a ?:, the arms exchanged, and one of them in both places."""
    if body.at(i) == "?":
        middle = body.end(i + 1, 0)
        end = body.end(middle + 1, 0)
        first, second = body.source(i + 1, middle), body.source(middle + 1, end)
        for one, other in ((second, first), (first, first), (second, second)):
            yield body.instead(i + 1, end, f"{one} : {other}")


def other_condition(body: Body, i: int) -> Iterator[Edit]:
    if body.at(i) == "if":
        for condition in ("true", "false"):
            yield body.instead(i + 1, body.partner[i + 1] + 1, f"({condition})")


def lost_statement(body: Body, i: int) -> Iterator[Edit]:
    """What assigns or waits; no declarations, and not what an `if` alone decides on, which is never done elsewhere."""
    begins = body.at(i - 1) in (";", "{", "}") or body.head(i) == "for"
    inside_brackets = any(first < i < end for first, end in body.partner.items())
    if begins and not inside_brackets and re.match(r"\w", body.at(i)) and body.at(i) not in TYPES | KEYWORDS:
        end = next(k for k in range(i, len(body.tokens)) if body.at(k) == ";")
        yield body.instead(i, end, "")


def exchanged_dimension(body: Body, i: int) -> Iterator[Edit]:
    if body.at(i) in PAIRS:
        yield body.instead(i, i + 1, PAIRS[body.at(i)])


OPERATORS: tuple[Operator, ...] = (
    *(other_symbol, other_comparison, other_constant, lost_sign, lost_call, lost_term, other_arm, other_condition),
    *(lost_statement, exchanged_dimension),
)


def edits_of(text: str) -> Iterator[tuple[str, Edit, str, int]]:
    """All changes of a file, by operator, with the name and the first line of the function that they are in."""
    for function in functions_of(text):
        body, found = Body(text, function.tokens), dict[Edit, str]()
        for i in range(len(function.tokens)):
            for operator in OPERATORS:
                for edit in operator(body, i):
                    found.setdefault(edit, operator.__name__)
        yield from ((found[edit], edit, function.name, function.line) for edit in sorted(found))
