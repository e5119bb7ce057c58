"""PageText: the segments of a page or slide, from the items of its text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from mm_rag._printing import printable
from mm_rag.segment import Scalar, Segment
from mm_rag_loaders.loader import SourceFile
from mm_rag_loaders.office.blocks import Aside, Block, Item
from mm_rag_loaders.office.properties import Properties
from mm_rag_loaders.passages import TextPart, passages, passages_of

_REPLACED = ("author", "subject", "keywords", "heading")


class PageText:
    """Makes the segments of one page after the other, and remembers the headings above.

    Args:
        file: The file.
        about: Its title, author and dates.
        max_words: Longest passage.
    """

    def __init__(self, file: SourceFile, about: Properties, max_words: int) -> None:
        self._file = file
        self._about = about
        self._max_words = max_words
        self._above: list[tuple[int, str]] = []
        self._parts = Counter[int | None]()

    def begin(self, section: str) -> None:
        """Begin a slide: no heading of the slide before applies to it."""
        self._above = [(0, section)] if section else []

    def of(
        self,
        items: Sequence[Item],
        page: Segment | None = None,
        *,
        others: str = "",
        number: int | None = None,
        more: Mapping[str, Scalar] | None = None,
        with_picture: bool = True,
    ) -> Iterator[Segment]:
        """Yield the picture of a page, its passages, and the texts beside them.

        Args:
            items: Items that begin on the page.
            page: The segment with its picture; None without one.
            others: Words on the page that are not among the items.
            number: Number of the page; by default that of the picture.
            more: Further metadata.
            with_picture: Whether the picture is yielded; it was if the page gets more text.
        """
        number = page.page if page and number is None else number
        base = self._base(page, number, more or {})
        blocks = [item for item in items if isinstance(item, Block)]
        found = passages_of(
            list(_parts(blocks)), max_words=self._max_words, nested=True, above=self._above
        )
        heading = found[0].heading if found else self._path
        if page is not None and with_picture:
            yield replace(_headed(base, heading), modality="image", text=page.text, part=0)
        for passage in found:
            yield self._passage(base, passage.text, passage.heading)
        asides = self._asides(items)
        for text in passages(printable(others), max_words=self._max_words):
            yield self._passage(base, text, heading)
        for aside, path, text in _joined(asides):
            for part in passages(text, max_words=self._max_words):
                heading = " > ".join(filter(None, [path, aside.name]))
                yield self._passage(base, part, heading, aside.metadata)

    def _base(
        self, page: Segment | None, number: int | None, more: Mapping[str, Scalar]
    ) -> Segment:
        """A segment that all those of a page are like."""
        base = page or self._file.text_segment("", part=0)
        # What the PDF has of these was guessed, or filled in by programs.
        own = {name: value for name, value in base.metadata.items() if name not in _REPLACED}
        metadata = {**own, **self._about.metadata, **more}
        return replace(base, page=number, title=self._about.title or base.title, metadata=metadata)

    def _passage(
        self, base: Segment, text: str, heading: str, more: Mapping[str, Scalar] | None = None
    ) -> Segment:
        part = self._parts[base.page]
        self._parts[base.page] += 1
        segment = replace(_headed(base, heading), modality="text", text=text, part=part)
        return replace(segment, metadata={**segment.metadata, **more}) if more else segment

    @property
    def _path(self) -> str:
        return " > ".join(text for _, text in self._above)

    def _asides(self, items: Iterable[Item]) -> list[tuple[Aside, str]]:
        """Asides with the path of the headings above each; headings are remembered."""
        found: list[tuple[Aside, str]] = []
        for item in items:
            if isinstance(item, Aside):
                found.append((item, self._path))
            elif item.kind == "heading":
                self._above = [one for one in self._above if one[0] < item.level]
                self._above.append((item.level, " ".join(item.text.split())))
        return found


def _headed(segment: Segment, heading: str) -> Segment:
    return (
        replace(segment, metadata={**segment.metadata, "heading": heading}) if heading else segment
    )


def _parts(blocks: Iterable[Block]) -> Iterator[TextPart]:
    """Put the rows of a table together, and the entries of a list."""
    for (kind, _), group in groupby(blocks, lambda block: (block.kind, block.table)):
        same = list(group)
        if kind == "row":
            rows = [block.text for block in same if block.text]
            yield TextPart("table", "\n".join([same[0].head, *rows]))
        elif kind == "item":
            yield TextPart("text", "\n".join(block.text for block in same))
        else:
            yield from (TextPart(kind, block.text, block.level) for block in same)


def _joined(asides: Iterable[tuple[Aside, str]]) -> Iterator[tuple[Aside, str, str]]:
    """Put the texts of asides together that go on; yield the first, its path, and the text."""
    waiting: list[tuple[Aside, str]] = []
    for aside, path in asides:
        goes_on = waiting and aside.is_joined and waiting[0][0].name == aside.name
        if waiting and not goes_on:
            yield *waiting[0], "\n".join(each.text for each, _ in waiting)
            waiting = []
        waiting.append((aside, path))
    if waiting:
        yield *waiting[0], "\n".join(each.text for each, _ in waiting)
