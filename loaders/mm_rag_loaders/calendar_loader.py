"""CalendarLoader: contacts (.vcf) and events (.ics), one passage each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from mm_rag.errors import UnreadableMedia
from mm_rag.segment import Segment
from mm_rag_loaders.contacts_and_events import item_in_words
from mm_rag_loaders.content_lines import Component, components
from mm_rag_loaders.line_passages import line_passages
from mm_rag_loaders.loader import Loader, SourceFile
from mm_rag_loaders.passages import passages
from mm_rag_loaders.text_loader import lines_of, open_plain_text

_ITEMS = {
    "VCARD": "contact",
    "VEVENT": "event",
    "VTODO": "task",
    "VJOURNAL": "entry",
    "VFREEBUSY": "busy time",
}


class CalendarLoader(Loader):
    """Reads vCard 2.1 to 4.0 and iCalendar: each contact, event and task in words."""

    becomes: ClassVar[str] = "each contact, event and task in words, with its dates as written"

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield the contacts, or the events and tasks.

        Raises:
            UnreadableMedia: It is not text, or contains no words.
        """
        number, pictures, is_empty = 0, 0, True
        with open_plain_text(file).stream as stream:
            for component in components(lines_of(stream), file):
                if component.name not in _ITEMS:
                    continue
                number += 1
                pictures += component.attached
                for segment in self._passages(component, file, number):
                    is_empty = False
                    yield segment
        if pictures:
            what = "1 photo or attachment" if pictures == 1 else f"{pictures} photos or attachments"
            file.note("unsupported", f"{what} of contacts or events not read")
        if is_empty:
            yield from self._unknown(file)

    def _passages(self, component: Component, file: SourceFile, number: int) -> Iterator[Segment]:
        name, text = item_in_words(component)
        what = _ITEMS[component.name]
        place = f"{what} {number}: {name}" if name else f"{what} {number}"
        for part, passage in enumerate(passages(text, max_words=self.options.passage_words)):
            # A long description is found by what it belongs to.
            words = f"{name}\n{passage}" if part and name else passage
            yield file.text_segment(words, title=name, part=part, page=number, place=place)

    def _unknown(self, file: SourceFile) -> Iterator[Segment]:
        """The text of a file in which nothing of this kind begins."""
        part = -1
        with open_plain_text(file).stream as stream:
            found = line_passages(lines_of(stream), max_words=self.options.passage_words)
            for part, passage in enumerate(found):
                yield file.text_segment(passage.text, part=part, place=passage.place)
        if part < 0:
            raise UnreadableMedia(f"{file.path.name} has no words in it.")
        file.note("damaged", "it has neither contacts nor events: it was read as plain text")
