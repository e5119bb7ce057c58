"""A Segment of a file that now lies elsewhere, without reading the file again."""

from __future__ import annotations

from dataclasses import replace

from mm_rag.segment import Segment
from mm_rag_loaders.names import title_from
from mm_rag_loaders.sources import as_source


def moved(segment: Segment, source: str) -> Segment:
    """The Segment as loading the same bytes from another path would give it; its id stays.

    It is as when loaded anew, except for what depends on the name and is no part of the Segment's
    place and title. Of these a caller has to load anew what matters:

    - with another suffix it may be of another kind or MIME type, where only the name tells;
    - a recording's or video's text may come from subtitles that lie beside it;
    - an office file may print its own name;
    - a title that the file gives itself is taken for one from its name where the two were the same.

    A model is given the title with the text: where `Segment.words` is another one, so is the
    vector.

    Args:
        segment: Of a file that was loaded from a path.
        source: Its new path.
    """
    place = str(as_source(source))
    is_named_after_file = segment.title == title_from(segment.source)
    return replace(
        segment,
        source=place,
        title=title_from(place) if is_named_after_file else segment.title,
        media=place if segment.media == segment.source else segment.media,
        preview=place if segment.preview == segment.source else segment.preview,
    )
