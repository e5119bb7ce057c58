"""From files and folders to Segments: finding them, choosing the loader, reporting what failed."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from mm_rag.content import AUDIO_SUFFIXES, IMAGE_SUFFIXES, VIDEO_SUFFIXES
from mm_rag.errors import InputError, MissingExtra
from mm_rag.media.kind import FileType, MediaKind, file_type
from mm_rag.segment import Segment
from mm_rag_loaders.audio import AudioLoader
from mm_rag_loaders.image import ImageLoader
from mm_rag_loaders.loader import Loader, SourceFile
from mm_rag_loaders.options import LoadOptions
from mm_rag_loaders.pdf import PDFLoader
from mm_rag_loaders.text import TextLoader
from mm_rag_loaders.video import VideoLoader

Sources: TypeAlias = str | Path | Iterable[str | Path]

LOADERS: dict[MediaKind, type[Loader]] = {
    "pdf": PDFLoader,
    "image": ImageLoader,
    "audio": AudioLoader,
    "video": VideoLoader,
    "text": TextLoader,
}
_SUFFIXES: dict[MediaKind, frozenset[str]] = {
    "pdf": frozenset([".pdf"]),
    "image": IMAGE_SUFFIXES,
    "audio": AUDIO_SUFFIXES,
    "video": VIDEO_SUFFIXES,
}
_SUBTITLES = frozenset([".ass", ".srt", ".ssa", ".sub", ".vtt"])
_WITH_SUBTITLES = AUDIO_SUFFIXES | VIDEO_SUFFIXES

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LoadedFile:
    """What became of one file.

    Attributes:
        path: Absolute.
        sha256: Of its bytes; empty where they could not be read.
        kind: What its content is; None where mm_rag does not read it.
        state: `loaded`; `unreadable`: it should have been read and could not be; `unsupported`: it
            is of a kind that mm_rag does not read.
        segments: What can be found in it.
        notes: What was not as it should be, though it was read.
        reason: Why it was not read; empty where it was.
        incomplete: A reader was not installed, and what it would have read is missing.
    """

    path: Path
    sha256: str
    kind: MediaKind | None
    state: Literal["loaded", "unreadable", "unsupported"]
    segments: tuple[Segment, ...] = ()
    notes: tuple[str, ...] = ()
    reason: str = ""
    incomplete: bool = False


def find_files(sources: Sources) -> list[Path]:
    """Find the files that are meant, sorted, each once.

    Hidden files and folders are left out of folders and patterns, and so are subtitle files that
    lie beside their video or recording, because its loader reads them.

    Args:
        sources: A file, a folder (with all its folders), a pattern such as `"scans/**/*.pdf"`, or
            several of these.

    Raises:
        InputError: A path does not exist, or a pattern matches nothing.
    """
    given = [sources] if isinstance(sources, str | Path) else list(sources)
    found = {path: None for source in given for path in _found(Path(source).expanduser())}
    return list(found)


def load_file(path: str | Path, options: LoadOptions | None = None) -> LoadedFile:
    """Read a file with the loader that its content asks for. A bad file never raises."""
    path = Path(path).absolute()
    sha256, kind, notes = "", None, list[str]()
    try:
        file = SourceFile.of(path)
        sha256, notes = file.sha256, file.notes
        found = file_type(path)
        kind = found.kind
        if misnamed := _misnamed(path, found):
            notes.append(misnamed)
        if kind is None:
            return _refused(file, found, misnamed)
        segments = tuple(LOADERS[kind](options).segments(file))
    except (InputError, MissingExtra, OSError) as error:
        return LoadedFile(
            path=path,
            sha256=sha256,
            kind=kind,
            state="unreadable",
            notes=tuple(notes),
            reason=_one_line(error),
        )
    return LoadedFile(
        path=path,
        sha256=sha256,
        kind=kind,
        state="loaded",
        segments=segments,
        notes=tuple(notes),
        incomplete=bool(file.missing),
    )


def load_files(
    paths: Iterable[str | Path], options: LoadOptions | None = None
) -> Iterator[LoadedFile]:
    """Read files one after the other; the next is opened when the one before was taken."""
    options = options or LoadOptions()
    for path in paths:
        yield load_file(path, options)


def load(sources: Sources, options: LoadOptions | None = None) -> Iterator[Segment]:
    """Read files and folders, file by file. A file that cannot be read is logged and left out.

    Args:
        sources: As for `find_files`.
        options: How files are turned into Segments.

    Raises:
        InputError: A path does not exist, or a pattern matches nothing.
    """
    paths = find_files(sources)

    def segments() -> Iterator[Segment]:
        for loaded in load_files(paths, options):
            if loaded.state != "loaded":
                logger.warning("Left out %s: %s", loaded.path, loaded.reason)
            yield from loaded.segments

    return segments()


def _found(source: Path) -> Iterator[Path]:
    if source.is_dir():
        yield from _without_sidecars(_walk(source))
    elif source.exists():
        yield Path(os.path.abspath(source))
    elif glob.has_magic(str(source)):
        # Not Path.glob: it finds hidden files.
        names = glob.glob(str(source), recursive=True)  # noqa: PTH207
        matches = sorted(map(Path, names))
        if not matches:
            raise InputError(f"Nothing matches {source}.")
        yield from _without_sidecars(path.absolute() for path in matches if path.is_file())
    else:
        raise InputError(f"There is no file or folder {source}.")


def _walk(folder: Path) -> Iterator[Path]:
    try:
        inside = sorted(Path(os.path.abspath(folder)).iterdir())
    except OSError:
        yield folder  # whoever opens it will say why that is not possible
        return
    for path in inside:
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        elif path.is_file():
            yield path


def _without_sidecars(paths: Iterable[Path]) -> Iterator[Path]:
    found = list(paths)
    media = {path.with_suffix("") for path in found if path.suffix.lower() in _WITH_SUBTITLES}
    for path in found:
        # Beside "talk.mkv" both "talk.srt" and "talk.en.srt" are its subtitles.
        stems = {path.with_suffix(""), path.with_suffix("").with_suffix("")}
        if path.suffix.lower() not in _SUBTITLES or not stems & media:
            yield path


def _refused(file: SourceFile, found: FileType, misnamed: str) -> LoadedFile:
    reason = misnamed or f"it is {found.name}, which mm_rag does not read"
    return LoadedFile(
        path=file.path,
        sha256=file.sha256,
        kind=None,
        state="unreadable" if misnamed else "unsupported",
        reason=reason,
    )


def _misnamed(path: Path, found: FileType) -> str:
    """`"named .jpg, but is a PDF"` where the name says one thing and the content another."""
    suffix = path.suffix.lower()
    named = {kind for kind, suffixes in _SUFFIXES.items() if suffix in suffixes}
    # Sound and pictures come in the same containers; nobody is misled by the other name.
    named |= {"audio", "video"} if named & {"audio", "video"} else set()
    if not named or not found.certain or found.kind in named:
        return ""
    return f"named {path.suffix}, but is {found.name}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
