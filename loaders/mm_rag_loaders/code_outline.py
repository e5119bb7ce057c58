"""Find the functions and classes of a program: blocks of lines with the name that they define.

Python is parsed. In other languages a line is recognised as the head of a definition, and the
indentation tells where the definition ends; that takes linear time and never fails.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from mm_rag_loaders.line_passages import Line

LANGUAGES = {
    suffix: language
    for language, suffixes in {
        "Assembler": ".asm .s",
        "Batch": ".bat",
        "C": ".c .h",
        "C++": ".cc .cpp .cxx .hh .hpp",
        "C#": ".cs",
        "CMake": ".cmake",
        "Clojure": ".clj",
        "CSS": ".css",
        "Dart": ".dart",
        "Elixir": ".ex .exs",
        "Erlang": ".erl",
        "Fortran": ".f .f90",
        "Go": ".go",
        "GraphQL": ".graphql",
        "Groovy": ".groovy",
        "Haskell": ".hs",
        "Java": ".java",
        "JavaScript": ".cjs .js .jsx .mjs",
        "Julia": ".jl",
        "Kotlin": ".kt .kts",
        "Less": ".less",
        "Lua": ".lua",
        "OCaml": ".ml",
        "Objective-C": ".mm",
        "PHP": ".php",
        "Pascal": ".pas",
        "Perl": ".pl .pm",
        "PowerShell": ".ps1",
        "Protocol Buffers": ".proto",
        "Python": ".py .pyi",
        "R": ".r",
        "Ruby": ".rb",
        "Rust": ".rs",
        "SCSS": ".scss",
        "SQL": ".sql",
        "Scala": ".scala",
        "Shell": ".bash .sh .zsh",
        "Svelte": ".svelte",
        "Swift": ".swift",
        "Terraform": ".tf",
        "TypeScript": ".ts .tsx",
        "Visual Basic": ".vb",
        "Vue": ".vue",
    }.items()
    for suffix in suffixes.split()
}
"""Languages by the suffixes of file names. `.m` is Objective-C or MATLAB."""

_LONGEST_HEAD = 300  # characters of a line that may begin a definition
_TAB = 4  # columns
_MOST_PARSED = 2_000_000  # characters of Python that are parsed
_MODIFIERS = (
    r"(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|override"
    r"|open|sealed|data|virtual|inline|pub(?:\([^)]*\))?|unsafe|extern|const|suspend|partial"
    r"|declare|fileprivate|mutating|local|friend|shared|recursive|elemental|pure|typedef)\s+)*"
)
_KEYWORDS = (
    r"(?:function\*?|func|fn|fun|defp?|defmodule|defmacro|class|interface|trait|struct|enum|impl"
    r"|module|namespace|object|protocol|extension|record|sub|procedure|proc|subroutine|program"
    r"|union|mixin|message|service|rpc|type|@interface|@implementation)"
)
_NAME = r"[\w$][\w$.:!?-]*"
# Words before a bracket that define nothing.
_STATEMENTS = frozenset(
    """
    and assert await case catch delete del do echo elif else except for foreach from goto guard if
    import in is lock match new not or print raise require return self sizeof super switch
    synchronized this throw throws try typeof unless until using when while with yield
    """.split()  # noqa: SIM905 - fifty quoted words are harder to read
)
_HEADS = tuple(
    re.compile(pattern, flags)
    for pattern, flags in (
        # Go: func (ferry *Ferry) Cost(
        (r"func\s+\(\s*(?:\w+\s+)?\*?(?P<owner>\w+)[^)]*\)\s*(?P<name>\w+)", 0),
        # impl<T> Display for Ferry
        (rf"impl\b(?:<[^{{]*>)?\s+(?:[\w:<>]+\s+for\s+)?(?P<name>{_NAME})", 0),
        (rf"{_MODIFIERS}{_KEYWORDS}\s+(?P<name>{_NAME})", re.IGNORECASE),
        # const cost = (ferry) => / cost <- function(
        (
            rf"{_MODIFIERS}(?:const\s+|let\s+|var\s+)?(?P<name>{_NAME})\s*(?::[^=]*)?(?:=|<-|:)\s*"
            r"(?:async\s*)?(?:function\b|\([^()]*\)\s*(?::[^=]+)?=>|\w+\s*=>)",
            0,
        ),
        (
            r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:\w+\s+)?(?:TABLE|VIEW|FUNCTION|PROCEDURE|TRIGGER)\s+"
            r"(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>[\w.\"`\[\]]+)",
            re.IGNORECASE,
        ),
        (r"\(def[\w-]*\s+(?P<name>[^\s()]+)", 0),
        (
            r"(?:resource|data|variable|output|module|provider)\s+\"(?P<owner>[^\"]+)\""
            r"(?:\s+\"(?P<name>[^\"]+)\")?",
            0,
        ),
        # Shell: deploy() {
        (r"(?P<name>[\w-]+)\s*\(\s*\)\s*(?:\{|$)", 0),
        # int cost(Ferry *ferry) {, also with the brace on the next line; cost(ferry) {
        (r"(?P<before>(?:[\w:<>,*&~\[\]?.@]+\s+)+)[*&]*(?P<name>[\w:~$#]+)\s*\([^;]*$", 0),
        (r"(?P<name>[\w$#]+)\s*\([^;]*\)\s*(?::[^{]+)?\{\s*$", 0),
    )
)
_END = re.compile(r"[\])}]|end\b|\$\$", re.IGNORECASE)
_NEUTRAL = re.compile(
    r"[\])}>;,]|\$\$|\{|end\b|else\b|#\s*(if|else|endif|elif|define|pragma)|\w+:$", re.I
)
_ATTACHED = re.compile(r"//|/\*|\*|#(?!\s*(include|define|if|endif|else))|@|--|;;|%|'|\[\w|<!--")


@dataclass(frozen=True)
class Block:
    """Lines of a program that belong together.

    Attributes:
        symbol: Name of what they define, with the names around it: `Ferry.cost`; empty outside.
        lines: The lines.
    """

    symbol: str
    lines: Sequence[Line]


@dataclass
class _Open:
    """A definition whose lines have not ended yet."""

    indent: int
    name: str
    symbol: str
    has_body: bool = False


@dataclass
class _Outline:
    open: list[_Open] = field(default_factory=list[_Open])
    held: list[Line] = field(default_factory=list[Line])

    @property
    def symbol(self) -> str:
        return self.open[-1].symbol if self.open else ""

    def flush(self) -> Iterator[Block]:
        if any(line.text.strip() for line in self.held):
            yield Block(self.symbol, self.held)
        self.held = []


def blocks_of(lines: Iterable[Line], language: str) -> Iterator[Block]:
    """Yield all lines of a program, in order, as blocks.

    The comments and decorators above a definition belong to it. A class is the block of its own
    lines, between those of its methods.
    """
    if language == "Python":
        lines = list(lines)
        if sum(len(line.text) for line in lines) <= _MOST_PARSED:
            heads = _python_heads("\n".join(line.text for line in lines))
            if heads is not None:
                yield from _parsed(lines, heads)
                return
    yield from _outlined(lines)


def _python_heads(text: str) -> list[tuple[int, int, str]] | None:
    """First line, last line and symbol of each definition; None if it is not valid Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    found: list[tuple[int, int, str]] = []
    waiting: list[tuple[ast.AST, str]] = [(tree, "")]
    while waiting:
        node, symbol = waiting.pop()
        for child in ast.iter_child_nodes(node):
            inner = symbol
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = f"{symbol}.{child.name}" if symbol else child.name
                first = min([child.lineno, *(each.lineno for each in child.decorator_list)])
                # Functions in functions are part of these.
                if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    found.append((first, child.end_lineno or first, inner))
            if isinstance(child, ast.stmt):
                waiting.append((child, inner))
    return sorted(found)


def _parsed(lines: Sequence[Line], heads: Sequence[tuple[int, int, str]]) -> Iterator[Block]:
    """Give each line the innermost definition around it."""
    # Parts of a very long line have one number.
    symbols = dict.fromkeys((line.number for line in lines), "")
    for first, last, symbol in heads:  # an inner definition begins after the outer one
        symbols.update((number, symbol) for number in range(first, last + 1) if number in symbols)
    starts = {first for first, _, _ in heads}
    outline = _Outline()
    current = ""
    for line in lines:
        symbol = symbols[line.number]
        if symbol != current or line.number in starts:
            attached = _attached(outline.held) if line.number in starts else []
            yield from _named(outline.held, current)
            outline.held, current = attached, symbol
        outline.held.append(line)
    yield from _named(outline.held, current)


def _named(lines: Sequence[Line], symbol: str) -> Iterator[Block]:
    if any(line.text.strip() for line in lines):
        yield Block(symbol, lines)


def _outlined(lines: Iterable[Line]) -> Iterator[Block]:
    outline = _Outline()
    for line in lines:
        text = line.text.expandtabs(_TAB)
        code = text.strip()
        if not code:
            outline.held.append(line)
            continue
        indent = len(text) - len(text.lstrip())
        name = _defined(code)
        if name or not (_NEUTRAL.match(code) or _ATTACHED.match(code)):
            # A function ends where a line is indented as its head.
            is_inside = outline.open and outline.open[-1].indent < indent
            if outline.open and not is_inside and (name or outline.open[-1].has_body):
                attached = _attached(outline.held) if name else []
                yield from outline.flush()
                while outline.open and outline.open[-1].indent >= indent:
                    outline.open.pop()
                outline.held = attached
        if name:
            attached = _attached(outline.held)
            yield from outline.flush()
            symbol = f"{outline.symbol}.{name}" if outline.open else name
            outline.open.append(_Open(indent, name, symbol))
            outline.held = attached
        else:
            is_end = _END.match(code) is not None or code.endswith("{")
            for each in outline.open:
                each.has_body |= each.indent < indent or (is_end and each.indent == indent)
        outline.held.append(line)
    yield from outline.flush()


def _attached(held: list[Line]) -> list[Line]:
    """Take the comments and annotations at the end of some lines: they belong to what follows."""
    attached: list[Line] = []
    while held and _ATTACHED.match(held[-1].text.strip()):
        attached.insert(0, held.pop())
    return attached


def _defined(code: str) -> str:
    """The name that a line defines; empty if it defines none."""
    if len(code) > _LONGEST_HEAD:
        return ""
    for head in _HEADS:
        match = head.match(code)
        if match is None:
            continue
        parts = match.groupdict()
        words = (parts.get("before") or "").split()
        if any(word in _STATEMENTS for word in (*words, parts["name"])) or "=" in words:
            continue
        name = (parts["name"] or "").rstrip(":.-")
        return ".".join(part for part in (parts.get("owner"), name) if part)
    return ""
