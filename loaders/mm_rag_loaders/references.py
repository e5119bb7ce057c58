"""Segments after loading: of a moved file, without their pictures, and with them drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mm_rag.content import Url
from mm_rag.errors import InputError, UnreadableMedia
from mm_rag.media.addresses import shown
from mm_rag.media.kind import file_type
from mm_rag.segment import Segment
from mm_rag_loaders.loader import SourceFile, options_for
from mm_rag_loaders.options import LoadOptions
from mm_rag_loaders.read import LOADERS
from mm_rag_loaders.sources import as_source, title_from


def as_reference(segment: Segment, root: Path) -> Segment:
    """The Segment without what was written for it, which may then be deleted; its id stays.

    A page's `media` becomes the file that it is a page of. Before a model or a reader is shown it,
    `redrawn` has to write its picture again.

    Args:
        segment: As it was loaded, from a file.
        root: That of the AssetStore that its pictures were written to.

    Raises:
        InputError: It comes from an address, of which nothing would be left.
        UnreadableMedia: Its file is gone.
    """
    source = as_source(segment.source).place
    if isinstance(source, Url):
        raise InputError(
            f"What was fetched from {shown(segment.source)} is nowhere but among the assets: keep "
            "copies of what comes from addresses."
        )
    kept = replace(
        segment,
        preview=_outside(segment.preview, root),
        boxes=_outside(segment.boxes, root),
    )
    if segment.media is None or _outside(segment.media, root):
        return kept
    return replace(kept, media=str(source), mime_type=file_type(source).mime)


def redrawn(segments: Sequence[Segment], options: LoadOptions) -> list[Segment]:
    """Segments of one file with their pictures, as they were when they were loaded.

    Pages, frames and thumbnails are drawn from the file, and where a page's words are is written
    where that is a matter of milliseconds: not where OCR found them. An office file is converted
    again, which takes seconds: ask for all of its pages at once. All of it is done in this process.

    Args:
        segments: Of one file. What has no pictures is as it was.
        options: As when they were loaded. The pictures are written to `assets`.

    Raises:
        InputError: They are of several files.
        UnreadableMedia: The file is gone, or is another one by now, or can no longer be read.
        SourceForbidden: The policy does not allow to open it.
        MediaTooLarge: It is over a limit of the policy.
        MissingExtra: What reads it is not installed.
        StorageError: Nothing can be written to `assets`.
    """
    if not segments:
        return []
    first = segments[0]
    if any((s.source, s.sha256) != (first.source, first.sha256) for s in segments):
        raise InputError("Only Segments of one file can be drawn together; these are of several.")
    place = as_source(first.source)
    file = SourceFile.of(place, options)
    with file.opened:
        if file.sha256 != first.sha256:
            raise UnreadableMedia(
                f"{file.name} is no longer the file that was indexed, so its pages cannot be "
                "shown: index it again."
            )
        reading = options_for(file, place, options)
        kind = file_type(file.opened, reading.policy).kind
        return list(LOADERS[kind](reading).redrawn(file, segments)) if kind else list(segments)


def _outside(path: str | None, root: Path) -> str | None:
    """The path, unless it lies under the root."""
    return None if path is None or Path(path).is_relative_to(root.absolute()) else path


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
