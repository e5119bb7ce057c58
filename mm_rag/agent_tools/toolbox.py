"""Toolbox: search, open and browse a collection."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Annotated

from pydantic import Field

from mm_rag._shown import shown_where_possible
from mm_rag.agent_tools.browser import Browser
from mm_rag.agent_tools.grep import matching_lines, plain_letters
from mm_rag.agent_tools.lines import NOTICE, answer
from mm_rag.agent_tools.listing import is_like, listed_file, listed_folder, listed_place
from mm_rag.agent_tools.place import Place, shortened
from mm_rag.agent_tools.result import ToolResult
from mm_rag.collection import Collection
from mm_rag.collection.checks import cut_notice
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
from mm_rag.segment import Hit, Segment

_PASSAGES = 3  # of a page are shown in a result
_AROUND = 3  # the part of a budget that neighbours may take: a third
_FEWEST = 200  # tokens of a budget
_LONGEST = 300  # characters of a pattern that are repeated

PathArgument = Annotated[
    str,
    Field(description="A folder or file, such as / or /annual.pdf, or a page: /annual.pdf/page-3"),
]
ModalityArgument = Annotated[
    Modality | None,
    Field(
        description="Only these: text passages, image for pages and pictures, audio or video clips."
    ),
]


class Toolbox:
    """What an agent may do with a collection.

    The docstrings of its tools are what the agent is told about them. Every answer stays within the
    budget. What goes wrong is an `InputError` that says how to go on; frameworks hand it to the
    agent as a result that failed. It may be used by many threads at once.

    Args:
        collection: A `Collection`, which the caller closes; or the folder of one made with the
            embedded default model, which is open for as long as the program runs.
        budget: Of every answer; a number is one of tokens.
        policy: Whether and how pictures and videos may be opened.

    Raises:
        InputError: The budget is none, or of fewer than 200 tokens.
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
        if self.budget.tokens < _FEWEST:
            raise InputError(
                f"An answer takes at least {_FEWEST} tokens, for what stands around the content; "
                f"the budget has {self.budget.tokens}."
            )
        self.policy = policy

    def search(
        self,
        query: Annotated[str, Field(description="What you look for, in words.")],
        k: Annotated[int, Field(description="How many results, at most.", ge=1, le=20)] = 5,
        modality: ModalityArgument = None,
        path: PathArgument = "/",
    ) -> ToolResult:
        """Find the pages, pictures and clips that answer a question, best first.

        Pages, pictures and frames of clips are shown beside their words. Each result begins with
        its path: open_segment shows all of it, and final answers cite it.
        """
        browser = Browser(self.collection)
        hits = self._found(browser, query, k, modality, path)
        if not hits:
            there = shortened(browser.at(path))
            nothing = f"Nothing was found in {there}. Use other words, or look around: ls."
            return ToolResult(blocks=(Words(text=nothing),))
        items = [
            self._item(
                replace(hit.segment, text=_words_found(hit)),
                f"[{hit.rank}] {shortened(browser.path_of(hit.segment))}",
            )
            for hit in hits
        ]
        segments = tuple(hit.segment for hit in hits)
        said = cut_notice(len(query))
        return ToolResult(blocks=self._shown(items, said=said), segments=segments)

    def open_segment(
        self,
        path: Annotated[
            str, Field(description="Of a page, picture or clip, such as /annual.pdf/page-3")
        ],
    ) -> ToolResult:
        """Look at one page, picture or clip closely.

        Shows the page or picture at full size, or frames of the video clip, with all words of it,
        and says what comes before and after it.
        """
        browser = Browser(self.collection)
        place = browser.place(path)
        item = self._item(replace(place.shown, text=place.text), shortened(place.path))
        around = list(_neighbours(browser, place))
        return ToolResult(blocks=self._shown([item], around), segments=(place.shown,))

    def ls(self, path: PathArgument = "/") -> ToolResult:
        """List what is in a folder, or the pages or clips of a file."""
        browser = Browser(self.collection)
        at = browser.at(path)
        lines: list[Iterable[str]] = []
        if at in browser.tree.files or not browser.tree.is_folder(at):
            lines.append(map(listed_place, browser.places(at)))
        if browser.tree.is_folder(at):
            lines.append(listed_folder(browser.tree, at))
        rest = "There are more than these {shown}: list a folder in it, or use find."
        return answer(chain.from_iterable(lines), self.budget, rest=rest)

    def cat(
        self,
        path: PathArgument,
        start: Annotated[int, Field(description="The first line to show, from 1.", ge=1)] = 1,
    ) -> ToolResult:
        """Read the words of a file, or of one page or clip of it: text, tables, transcript."""
        if start < 1:
            raise InputError(f"Lines count from 1; got {start = }.")
        browser = Browser(self.collection)
        places, at = browser.places(path), shortened(browser.at(path))
        lines = list(_words_of(places))
        if not any(place.text for place in places):
            lines = [f"{at} has no words; open_segment shows what there is to see."]
        if start > len(lines):
            raise InputError(f"{at} has {len(lines)} lines; there is no line {start}.")
        rest = f"{{shown}} of {len(lines):,} lines from {start}; go on with a later start."
        segments = [place.shown for place in places]
        return answer(islice(lines, start - 1, None), self.budget, rest=rest, segments=segments)

    def grep(
        self,
        pattern: Annotated[str, Field(description="A regular expression; case is ignored.")],
        path: PathArgument = "/",
    ) -> ToolResult:
        """Find every line that matches a pattern, in pages, pictures and transcripts.

        Answers path:line: text; cat reads on from that line.
        """
        browser = Browser(self.collection)
        places = browser.all_places(path, plain_letters(pattern))
        lines = matching_lines(places, pattern)
        first = next(lines, None)
        if first is None:
            nothing = f"No line in {shortened(browser.at(path))} matches {pattern}."
            return answer([nothing], self.budget)
        rest = "There are more than these {shown}: name a folder or file, or be more precise."
        return answer(chain([first], lines), self.budget, rest=rest)

    def find(
        self,
        pattern: Annotated[str, Field(description="A name with wildcards, such as *.pdf")] = "*",
        path: PathArgument = "/",
        modality: ModalityArgument = None,
    ) -> ToolResult:
        """Find files by name."""
        browser = Browser(self.collection)
        files = browser.folder_or_file(path)
        found = [listed_file(file) for file in files if is_like(file, pattern, modality)]
        nothing = [f"No file in {shortened(browser.at(path))} is called {pattern[:_LONGEST]}."]
        rest = f"{{shown}} of {len(found):,}; name a folder, or be more precise."
        return answer(found or nothing, self.budget, rest=rest)

    def _found(
        self, browser: Browser, query: str, k: int, modality: Modality | None, path: str
    ) -> list[Hit]:
        modalities: list[Modality] | None = [modality] if modality else None
        within = browser.at(path)
        if within == "/":
            return self.collection.search(query, k, modalities=modalities)
        if sources := browser.tree.sources_below(within):
            where = {"source": {"$in": sources}}
            return self.collection.search(query, k, modalities=modalities, where=where)
        at = browser.place(within).shown
        where = {"source": at.source}
        time = None if at.start is None else (at.start, at.end or at.start)
        return self.collection.search(
            query, k, modalities=modalities, where=where, page=at.page, time=time
        )

    def _item(self, segment: Segment, label: str) -> Item:
        """With its picture, drawn again where the collection keeps none."""
        found = Hit(segment=segment, rank=1, score=0.0)
        [hit] = shown_where_possible(self.collection, [found])
        return Item.of_segment(hit.segment, label)

    def _shown(
        self, items: Sequence[Item], around: Sequence[str] = (), *, said: str = ""
    ) -> tuple[Block, ...]:
        notice = Words(text="\n".join(filter(None, (NOTICE, said))))
        count = self.budget.tokens_of_text
        last = Words(text="\n".join([OPENING, *map(defused, around), CLOSING]))
        if count(last.text) > self.budget.tokens // _AROUND:
            around = ()
        taken = count(notice.text) + (count(last.text) if around else 0)
        budget = replace(self.budget, tokens=max(1, self.budget.tokens - taken))
        blocks = blocks_of(items, budget, policy=self.policy, fenced=True)
        return (notice, *blocks, last) if around else (notice, *blocks)


def _words_found(hit: Hit) -> str:
    """The passages that match rather than all words of the page."""
    passages = [segment.text for segment in hit.matched if segment.modality == "text"]
    some = list(dict.fromkeys(filter(None, passages)))[:_PASSAGES]
    return "\n[...]\n".join(some) or hit.segment.text


def _words_of(places: Sequence[Place]) -> Iterator[str]:
    for place in places:
        if len(places) > 1:
            yield f"[{posixpath.basename(place.path)}]"
        yield from place.lines()


def _neighbours(browser: Browser, place: Place) -> Iterator[str]:
    places = browser.places(posixpath.dirname(place.path)) if place.shown.where else [place]
    at = next(n for n, other in enumerate(places) if other.path == place.path)
    if at > 0:
        yield f"Before it: {listed_place(places[at - 1])}"
    if at + 1 < len(places):
        yield f"After it: {listed_place(places[at + 1])}"
