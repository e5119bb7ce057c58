"""Segments after loading: of a moved file, without their pictures, and with them drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mm_rag.content import Url
from mm_rag.errors import InputError, UnreadableMedia
from mm_rag.media.addresses import shown
from mm_rag.media.formats import MediaKind
from mm_rag.media.kind import file_type
from mm_rag.segment import Segment
from mm_rag_loaders.load_options import LoadOptions
from mm_rag_loaders.loader import SourceFile, options_for
from mm_rag_loaders.members import in_member, open_member
from mm_rag_loaders.read import LOADERS
from mm_rag_loaders.sources import as_source, title_from


def as_reference(segment: Segment, root: Path) -> Segment:
    """The segment without references to assets, which may then be deleted; its id stays.

    The `media` of a page becomes its source file. `redrawn` draws the picture again.

    Args:
        segment: A segment loaded from a file.
        root: Folder of the AssetStore with its assets.

    Raises:
        InputError: It comes from an address, whose only copy is among the assets.
        UnreadableMedia: Its file is missing.
    """
    source = as_source(segment.source).location
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
    """Segments of one file with their pictures drawn again, in this process.

    Pages, frames and thumbnails are drawn from the file. Word boxes are written again unless they
    came from OCR, which is slow. An office file is converted again, which takes seconds: pass all
    of its segments at once.

    Args:
        segments: Segments of one file. Those without pictures stay the same.
        options: The options with which they were loaded. Pictures are written to `assets`.

    Raises:
        InputError: They are of several files.
        UnreadableMedia: The file is missing, has changed, or can no longer be read.
        SourceForbidden: The policy does not allow opening it.
        MediaTooLarge: It is over a limit of the policy.
        MissingExtra: Its reader is not installed.
        StorageError: The assets cannot be written.
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
        drawn = _redrawn(file, kind, segments, reading)
        return [drawn.get(segment.id, segment) for segment in segments]


def _redrawn(
    file: SourceFile, kind: MediaKind | None, segments: Sequence[Segment], options: LoadOptions
) -> dict[str, Segment]:
    """The segments with their pictures drawn again, by id; files in the file included."""
    if kind not in LOADERS:
        return {}
    loader = LOADERS[kind](options)
    own = [segment for segment in segments if segment.member is None]
    drawn = {segment.id: segment for segment in loader.redrawn(file, own)} if own else {}
    waiting = [segment for segment in segments if segment.member is not None]
    for member in loader.members(file) if waiting else ():
        inside = {s.id: inner for s in waiting if (inner := in_member(s, member.name))}
        if not inside:
            continue
        with open_member(member, file, options) as opened:
            again = _redrawn(opened.file, opened.type.kind, list(inside.values()), opened.options)
        waiting = [segment for segment in waiting if segment.id not in inside]
        for id_, inner in inside.items():
            new = again.get(inner.id, inner)
            name = member.name if new.member is None else f"{member.name}/{new.member}"
            drawn[id_] = replace(new, source=file.source, member=name)
        if not waiting:
            break
    return drawn


def _outside(path: str | None, root: Path) -> str | None:
    """The path, or None if it lies in the folder `root`."""
    return None if path is None or Path(path).is_relative_to(root.absolute()) else path


def moved(segment: Segment, source: str) -> Segment:
    """The segment of a moved file, without loading it again; its id stays.

    Source, title and paths are updated. Other things may also depend on the name; in these cases
    the file must be loaded again:

    - another suffix may mean another kind or MIME type;
    - the text of a recording or video may come from subtitle files beside it;
    - an office file may print its own name;
    - a title in the file that equals its name in words is mistaken for one made from the name.

    The title is part of the model's input: if `Segment.words` changes, the vector does too.

    Args:
        segment: A segment of a file that was loaded from a path.
        source: The new path.
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
