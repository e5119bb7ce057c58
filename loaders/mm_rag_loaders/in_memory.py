"""Bytes in memory to Segments."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from mm_rag.content import Url
from mm_rag.errors import SourceForbidden, UnreadableMedia
from mm_rag.media.access import check_bytes
from mm_rag.media.addresses import without_user
from mm_rag.media.kind import is_plain_text
from mm_rag.segment import Segment
from mm_rag_loaders.loading import load
from mm_rag_loaders.names import title_from
from mm_rag_loaders.options import LoadOptions
from mm_rag_loaders.outcome import FileOutcome
from mm_rag_loaders.sources import as_source, last_part

_ANYTHING = "application/octet-stream"
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


def load_bytes(
    data: bytes,
    options: LoadOptions | None = None,
    *,
    source: str | None = None,
    mime_type: str | None = None,
) -> Iterator[Segment]:
    """Read what a file would hold. The bytes are kept among the assets, so that media exist.

    Args:
        data: Of a PDF, an office file, a picture, a recording, a video or a text.
        options: As for `load`.
        source: Where they come from, if that is known: a path or an address, which is not opened,
            and whose user and password are left out; else the kept file is the source.
        mime_type: What they are said to be, for contents that do not say it themselves.

    Raises:
        UnreadableMedia: They are empty, damaged, or of no kind that is read.
        SourceForbidden: The policy does not allow to open them.
        MediaTooLarge: They are over the policy's `max_bytes`.
        WorkerError: No process can be started.
        StorageError: The assets cannot be written.
    """
    options = options or LoadOptions()
    if source and isinstance(as_source(source).place, Url):
        source = without_user(source)
    name = last_part(source) if source else "What was given in memory"
    check_bytes(len(data), name, options.policy)
    kept = options.assets.keep(data, _suffix(data, source, mime_type))
    for segment in load_or_raise(kept, _reading_assets(options), name=name):
        if source is None:
            yield segment
        else:
            yield replace(segment, source=source, title=segment.title or title_from(source))


def load_or_raise(
    path: Path, options: LoadOptions | None = None, *, name: str = ""
) -> Iterator[Segment]:
    """Read one file as `load` does, but raise what is wrong with it, after what could be read.

    Args:
        path: The file.
        options: As for `load`.
        name: What it is called in errors; its own name by default.

    Raises:
        InputError: There is no such file.
        UnreadableMedia: It is empty, damaged, locked, or of no kind that is read.
        SourceForbidden: The policy does not allow to open it.
    """

    def judge(outcome: FileOutcome) -> None:
        if outcome.state == "refused":
            raise SourceForbidden(outcome.reason)
        if outcome.state != "loaded":
            # The kept file's name, which is a hash, would tell nobody anything.
            reason = re.sub(f"^{re.escape(path.name)}(?= )", "it", outcome.reason.rstrip("."))
            raise UnreadableMedia(f"{name or path.name} cannot be read: {reason}.")

    return load(path, options, on_file=judge)


def _reading_assets(options: LoadOptions) -> LoadOptions:
    """Options that allow to open what is kept among the assets."""
    roots = options.policy.roots
    if roots is None:
        return options
    return replace(options, policy=replace(options.policy, roots=(*roots, options.assets.root)))


def _suffix(data: bytes, source: str | None, mime_type: str | None) -> str:
    """Of the kept file; only plain text and some recordings need one to be known by."""
    named = Path(last_part(source)).suffix if source else ""
    guessed = mimetypes.guess_extension(mime_type) if mime_type and mime_type != _ANYTHING else None
    for suffix in (named, guessed or ""):
        if _SUFFIX.fullmatch(suffix):
            return suffix
    return ".txt" if is_plain_text(data[:65_536]) else ""
