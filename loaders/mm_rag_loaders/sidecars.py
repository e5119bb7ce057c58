"""What the text of a recording or video depends on besides its own bytes."""

from __future__ import annotations

from pathlib import Path

from mm_rag.content import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from mm_rag.errors import InputError
from mm_rag.extraction.speech import PocketSphinxTranscriber
from mm_rag.extraction.subtitles import sidecars
from mm_rag_loaders.hashing import file_sha256
from mm_rag_loaders.options import LoadOptions

_WITH_SIDECARS = AUDIO_SUFFIXES | VIDEO_SUFFIXES
_MOST_HASHED = 16 * 1024**2
"""Bytes. The subtitles of a long film are a tenth of a megabyte."""


def sidecars_stamp(path: Path) -> str:
    """Names and contents of a file's subtitle files: it changes when one of them does."""
    if path.suffix.lower() not in _WITH_SIDECARS:
        return ""
    return "|".join(f"{sidecar.name}:{_stamp(sidecar)}" for sidecar in sidecars(path))


def _stamp(sidecar: Path) -> str:
    """Changes when a subtitle file does; of one that is too large to be read each time, its times.

    One that cannot be looked at gives no subtitles, and no stamp.
    """
    try:
        status = sidecar.stat()
        if status.st_size <= _MOST_HASHED:
            return file_sha256(sidecar)[:32]
    except (InputError, OSError):
        return ""
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"


def unnamed(stamp: str, path: Path) -> str:
    """A stamp as it is whatever the file is called, if its subtitle files are called like it.

    Args:
        stamp: `sidecars_stamp` or `reader_stamp` of a file.
        path: Of the file, when it was made.
    """
    return "|".join(part.removeprefix(path.stem) for part in stamp.split("|"))


def reader_stamp(path: Path, options: LoadOptions) -> str:
    """`sidecars_stamp`, and of a recording or video also who listens to it.

    With the default transcriber it is the same as `sidecars_stamp`.
    """
    transcriber = options.transcriber
    if (
        transcriber is None
        or isinstance(transcriber, PocketSphinxTranscriber)
        or path.suffix.lower() not in _WITH_SIDECARS
    ):
        return sidecars_stamp(path)
    return "|".join(filter(None, [sidecars_stamp(path), f"heard by {transcriber.name}"]))
