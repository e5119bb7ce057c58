"""Toolbox: tools with which an agent searches, opens and browses a collection."""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from mm_rag._printing import one_line
from mm_rag.agent_tools.filesystem import File, FileSystem, FileTree
from mm_rag.agent_tools.grep import matching_lines, required_words
from mm_rag.agent_tools.sections import Section, shortened
from mm_rag.agent_tools.tool import NOTICE, Tool, ToolResult, lines_result
from mm_rag.collection import Collection
from mm_rag.collection.search import cut_notice, nothing_found
from mm_rag.content import Modality
from mm_rag.errors import InputError
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.prompt_content import (
    CLOSING,
    OPENING,
    Block,
    Budget,
    Item,
    Words,
    as_budget,
    blocks_of,
    defused,
)
from mm_rag.segment import Hit, Segment, place_in_words

_MIN_TOKENS = 200  # of a budget
_MAX_PASSAGES = 3  # of a page in a search result
_NEIGHBOURS_SHARE = 3  # the neighbours of a section get at most a third of the budget
_MAX_ECHO = 300  # characters of a pattern that a result repeats
_PREVIEW = 80  # characters of a section's text in a list

_NOTHING_RELEVANT = (
    "Nothing relevant was found. The results below are only the nearest, and probably do not "
    "answer the query: cite one only if it plainly does. Otherwise search in other words, or say "
    "that the collection does not hold the answer."
)

PathArgument = Annotated[
    str,
    Field(description="A folder or file, such as / or /annual.pdf, or a page: /annual.pdf/page-3"),
]
ModalityArgument = Annotated[
    Modality | None,
    Field(description="Only one kind: text (passages), image (pages, pictures), audio, or video."),
]


class Toolbox:
    """Read-only tools for an agent over one collection.

    Every public method is a tool, and its docstring is the description that the agent reads. Every
    result stays within the budget. Failures raise an `InputError` whose message says how to go on;
    frameworks pass it to the agent as a failed tool call. Methods may be called from several
    threads at once.

    Args:
        collection: A `Collection`, which the caller closes; or the folder of one made with the
            built-in default model, which stays open until the program ends.
        budget: Bounds of each result; a number is a number of tokens.
        policy: Whether and how pictures and videos may be opened.

    Raises:
        InputError: The budget is invalid or has fewer than 200 tokens.
    """

    def __init__(
        self,
        collection: Collection | str | Path,
        *,
        budget: Budget | int = Budget(),  # noqa: B008 - it is frozen
        policy: MediaPolicy = DEFAULT_POLICY,
    ) -> None:
        is_open = isinstance(collection, Collection)
        self.collection = collection if is_open else Collection(collection, create=False)
        self.budget = as_budget(budget)
        if self.budget.tokens < _MIN_TOKENS:
            raise InputError(
                f"A result needs at least {_MIN_TOKENS} tokens, for the text around the content; "
                f"the budget has {self.budget.tokens}."
            )
        self.policy = policy

    def search(
        self,
        query: Annotated[str, Field(description="What to look for, in words.")],
        k: Annotated[int, Field(description="Maximum number of results.", ge=1, le=20)] = 5,
        modality: ModalityArgument = None,
        path: PathArgument = "/",
    ) -> ToolResult:
        """Find the pages, pictures and clips that answer a question, best first.

        Shows pages, pictures and frames of clips beside their text. Each result begins with its
        path: open_segment shows all of it, and final answers cite it. Says which results are
        probably not relevant. Words in "double quotes" must occur exactly so.
        """
        files = FileSystem(self.collection)
        hits = self._hits(files, query, k, modality, path)
        if not hits:
            return ToolResult(blocks=(Words(text=_nothing(query, files.resolve(path))),))
        paths = tuple(files.path_of(hit.segment) for hit in hits)
        items = [
            Item.of_segment(
                replace(hit.segment, text=_matching_text(hit)), f"[{hit.rank}] {shortened(where)}"
            )
            for hit, where in zip(hits, paths, strict=True)
        ]
        remarks = (cut_notice(len(query)), _doubts(hits))
        return ToolResult(
            blocks=self._blocks(items, remark="\n".join(filter(None, remarks))),
            segments=tuple(hit.segment for hit in hits),
            paths=paths,
            scores=tuple(hit.score for hit in hits),
        )

    def open_segment(
        self,
        path: Annotated[
            str, Field(description="A page, picture or clip, such as /annual.pdf/page-3")
        ],
    ) -> ToolResult:
        """Look at one page, picture or clip closely.

        Shows the page or picture at full size, or frames of the video clip, with its whole text,
        and says what comes before and after it.
        """
        files = FileSystem(self.collection)
        section = files.section(path)
        [hit] = self.collection.shown([Hit(segment=section.main, rank=1, score=0.0)], strict=False)
        item = Item.of_segment(replace(hit.segment, text=section.text), shortened(section.path))
        return ToolResult(
            blocks=self._blocks([item], neighbours=list(_neighbours(files, section))),
            segments=(section.main,),
            paths=(section.path,),
        )

    def ls(self, path: PathArgument = "/") -> ToolResult:
        """List the contents of a folder, or the pages or clips of a file."""
        files = FileSystem(self.collection)
        exact = files.resolve(path)
        lines: list[Iterable[str]] = []
        if exact in files.tree.files or not files.tree.is_folder(exact):
            lines.append(map(_section_line, files.sections(exact)))
        if files.tree.is_folder(exact):
            lines.append(_folder_lines(files.tree, exact))
        rest = "There are more than these {shown}: list a folder in it, or use find."
        return lines_result(chain.from_iterable(lines), self.budget, rest=rest)

    def cat(
        self,
        path: PathArgument,
        start: Annotated[int, Field(description="The first line to show, from 1.", ge=1)] = 1,
    ) -> ToolResult:
        """Read the text of a file, or of one page or clip of it: words, tables, transcript."""
        if start < 1:
            raise InputError(f"Lines count from 1; got {start = }.")
        files = FileSystem(self.collection)
        sections, exact = files.sections(path), shortened(files.resolve(path))
        lines = list(_text_lines(sections))
        if not any(section.text for section in sections):
            lines = [f"{exact} has no text; open_segment shows what there is to see."]
        if start > len(lines):
            raise InputError(f"{exact} has {len(lines)} lines; there is no line {start}.")
        return lines_result(
            islice(lines, start - 1, None),
            self.budget,
            rest=f"{{shown}} of {len(lines):,} lines from {start}; go on with a later start.",
            segments=[section.main for section in sections],
            paths=[section.path for section in sections],
        )

    def grep(
        self,
        pattern: Annotated[str, Field(description="A regular expression; case is ignored.")],
        path: PathArgument = "/",
    ) -> ToolResult:
        """Find every line that matches a pattern, in pages, pictures and transcripts.

        Returns path:line: text; cat reads on from that line.
        """
        files = FileSystem(self.collection)
        sections = files.iter_sections(path, containing=required_words(pattern))
        lines = matching_lines(sections, pattern)
        first = next(lines, None)
        if first is None:
            nothing = f"No line in {shortened(files.resolve(path))} matches {pattern}."
            return lines_result([nothing], self.budget)
        rest = "There are more than these {shown}: name a folder or file, or be more precise."
        return lines_result(chain([first], lines), self.budget, rest=rest)

    def find(
        self,
        pattern: Annotated[str, Field(description="A name with wildcards, such as *.pdf")] = "*",
        path: PathArgument = "/",
        modality: ModalityArgument = None,
    ) -> ToolResult:
        """Find files by name."""
        files = FileSystem(self.collection)
        found = [
            _file_line(file)
            for file in files.files(path)
            if _has_name(file, pattern) and (modality is None or modality in _modalities(file))
        ]
        nothing = f"No file in {shortened(files.resolve(path))} is called {pattern[:_MAX_ECHO]}."
        rest = f"{{shown}} of {len(found):,}; name a folder, or be more precise."
        return lines_result(found or [nothing], self.budget, rest=rest)

    def _hits(
        self, files: FileSystem, query: str, k: int, modality: Modality | None, path: str
    ) -> list[Hit]:
        """Search below a path; the hits have pictures where they can be made."""
        exact = files.resolve(path)
        where, page, time = None, None, None
        if exact != "/":
            where = files.tree.filter_below(exact)
            if where is None:
                segment = files.section(exact).main
                where, page = _where_of(segment), segment.page
                if segment.start is not None:
                    time = (segment.start, segment.end or segment.start)
        modalities: list[Modality] | None = [modality] if modality else None
        hits = self.collection.search(
            query, k, modalities=modalities, where=where, page=page, time=time
        )
        return self.collection.shown(hits, strict=False)

    def _blocks(
        self, items: Sequence[Item], *, neighbours: Sequence[str] = (), remark: str = ""
    ) -> tuple[Block, ...]:
        """Notice, items and, if they are short, neighbours, within the budget."""
        notice = Words(text="\n".join(filter(None, (NOTICE, remark))))
        count = self.budget.tokens_of_text
        last = Words(text="\n".join([OPENING, *map(defused, neighbours), CLOSING]))
        if count(last.text) > self.budget.tokens // _NEIGHBOURS_SHARE:
            neighbours = ()
        taken = count(notice.text) + (count(last.text) if neighbours else 0)
        budget = replace(self.budget, tokens=max(1, self.budget.tokens - taken))
        blocks = blocks_of(items, budget, policy=self.policy, fenced=True)
        return (notice, *blocks, last) if neighbours else (notice, *blocks)


def tools_of(toolbox: Toolbox) -> list[Tool]:
    """All tools of a toolbox."""
    methods = (toolbox.search, toolbox.open_segment, toolbox.ls, toolbox.cat)
    return [Tool(method) for method in (*methods, toolbox.grep, toolbox.find)]


def _where_of(segment: Segment) -> dict[str, Any]:
    """The metadata filter for the file of a Segment."""
    source = {"source": segment.source}
    return source if segment.member is None else {"$and": [source, {"member": segment.member}]}


def _nothing(query: str, path: str) -> str:
    """The message for a search without results below a path."""
    below = "" if path == "/" else f" Only {shortened(path)} was searched."
    return f"{nothing_found(query)}{below} Use other words, or look around with ls."


def _doubts(hits: Sequence[Hit]) -> str:
    """A warning of results that are probably not relevant; empty if all are relevant.

    It stands outside `<content>`, where no file can forge it.
    """
    doubtful = [f"[{hit.rank}]" for hit in hits if not hit.is_relevant]
    if len(doubtful) == len(hits):
        return _NOTHING_RELEVANT
    return f"Probably not relevant, only the nearest: {', '.join(doubtful)}." if doubtful else ""


def _matching_text(hit: Hit) -> str:
    """The passages of a page that match, or else its whole text."""
    passages = [segment.text for segment in hit.matched if segment.modality == "text"]
    best = list(dict.fromkeys(filter(None, passages)))[:_MAX_PASSAGES]
    return "\n[...]\n".join(best) or hit.segment.text


def _neighbours(files: FileSystem, section: Section) -> Iterator[str]:
    """A line for the section before this one, and a line for the one after."""
    has_siblings = section.main.where != ""
    sections = files.sections(posixpath.dirname(section.path)) if has_siblings else [section]
    at = next(n for n, other in enumerate(sections) if other.path == section.path)
    if at > 0:
        yield f"Before it: {_section_line(sections[at - 1])}"
    if at + 1 < len(sections):
        yield f"After it: {_section_line(sections[at + 1])}"


def _text_lines(sections: Sequence[Section]) -> Iterator[str]:
    for section in sections:
        if len(sections) > 1:
            yield f"[{posixpath.basename(section.path)}]"
        yield from section.lines()


def _folder_lines(tree: FileTree, path: str) -> Iterator[str]:
    for folder, count in tree.folders_in(path).items():
        yield f"{shortened(folder)}/  ({_count(count, 'file')})"
    for file in tree.files_in(path):
        yield _file_line(file)


def _file_line(file: File) -> str:
    path = shortened(file.path)
    if file.same_as is not None:
        return f"{path}  (the same content as {shortened(file.same_as)})"
    if file.pages:
        return f"{path}  ({_count(file.pages, 'page')})"
    if file.clips:
        last = place_in_words(None, file.last_clip, None)
        return f"{path}  ({_count(file.clips, 'clip')}, the last at {last})"
    return f"{path}  ({file.modalities})"


def _section_line(section: Section) -> str:
    words = " ".join(section.text.split())
    preview = words if len(words) <= _PREVIEW else words[:_PREVIEW].rstrip() + "..."
    place = section.main.metadata.get("place")
    kind = f"{section.main.modality}, {one_line(str(place))}" if place else section.main.modality
    return f"{shortened(section.path)}  ({kind}) {preview}".rstrip()


def _has_name(file: File, pattern: str) -> bool:
    """Whether a wildcard pattern matches: the name, or with a slash in it the whole path."""
    name = file.path if "/" in pattern else posixpath.basename(file.path)
    return fnmatch.fnmatch(name.lower(), pattern.lower())


def _modalities(file: File) -> list[str]:
    return file.modalities.split(",")


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number:,} {what}s"
