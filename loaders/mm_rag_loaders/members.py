"""Open files in files: attachments, members of archives, pictures beside a document."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mm_rag._printing import counted
from mm_rag.media.access import opened, opened_whole
from mm_rag.media.formats import MediaKind
from mm_rag.media.kind import FileType, file_type
from mm_rag.segment import Segment
from mm_rag_loaders.load_options import LoadOptions
from mm_rag_loaders.loader import Member, SourceFile
from mm_rag_loaders.outcome import NoteKind

_REFERRED: frozenset[MediaKind] = frozenset(["image", "audio", "video"])
"""Kinds whose segments refer to the file itself."""

_NAMED = 3  # files that a note about many names


@dataclass(frozen=True)
class OpenedMember:
    """An opened file in a file.

    Attributes:
        file: The file, as its loader reads it.
        type: Its type.
        options: Options for reading it.
    """

    file: SourceFile
    type: FileType
    options: LoadOptions


@contextmanager
def open_member(
    member: Member, container: SourceFile, options: LoadOptions
) -> Generator[OpenedMember]:
    """Open a file in a file. Pictures, recordings and videos are kept among the assets.

    The policy's `roots` still apply, with the folder of the temporary file added.

    Raises:
        SourceForbidden: The policy does not allow opening it.
        UnreadableMedia: It is empty, or cannot be opened.
        MediaTooLarge: It is over the policy's `max_bytes`.
        StorageError: The assets cannot be written.
    """
    path, within = member.path, container.within
    if not member.stays:
        within = path.parent
        options = _allowing(options, within)
    with opened(path, options.policy, within=within) as file:
        found = file_type(file, options.policy)
    if found.kind in _REFERRED and not member.stays:
        path = options.assets.keep_file(path, path.suffix)
        within = options.assets.root
        options = _allowing(options, within)
    with opened_whole(path, options.policy, within=within) as file:
        yield OpenedMember(
            SourceFile(
                path=path,
                opened=file,
                source=f"{container.source}/{member.name}",
                sha256=container.sha256,
                within=within,
            ),
            found,
            options,
        )


def _allowing(options: LoadOptions, folder: Path) -> LoadOptions:
    """Options that also allow opening files in a folder."""
    roots = options.policy.roots
    if roots is None:
        return options
    return replace(options, policy=replace(options.policy, roots=(*roots, folder)))


def in_container(segment: Segment, member: Member, container: SourceFile) -> Segment:
    """The segment of a file in a file, as a segment of the outer file.

    Text and heading that the outer file gives to the member are added.
    """
    inner = segment.member
    heading = {"heading": member.heading} if member.heading else {}
    return replace(
        segment,
        source=container.source,
        member=member.name if inner is None else f"{member.name}/{inner}",
        text="\n\n".join(filter(None, [member.text, segment.text])),
        metadata={**heading, **segment.metadata},
    )


def in_member(segment: Segment, member: str) -> Segment | None:
    """Reverse `in_container` but for `source`; None if the segment is not of this member."""
    name = segment.member or ""
    if name == member:
        return replace(segment, member=None)
    if name.startswith(f"{member}/"):
        return replace(segment, member=name[len(member) + 1 :])
    return None


class MemberNotes:
    """Notes about the files in a file: the first of each text by name, then how many more.

    Args:
        container: The outer file, which gets the notes.
    """

    def __init__(self, container: SourceFile) -> None:
        self._container = container
        self._counts: dict[tuple[NoteKind, str], int] = {}

    def add(self, member: Member, kind: NoteKind, text: str) -> None:
        """Note something about a file in it.

        Args:
            member: The file.
            kind: Kind of the note.
            text: The text after its name: " was not read: it is a Windows program".
        """
        # Errors name the file; the texts about several files are the same without the name.
        key = (kind, text.replace(member.path.name, "it"))
        self._counts[key] = self._counts.get(key, 0) + 1
        if self._counts[key] <= _NAMED:
            self._container.note(kind, f"{member.name}{text}")

    def finish(self) -> None:
        """Note how many further files there are for each text."""
        for (kind, text), count in self._counts.items():
            if count > _NAMED:
                more = counted(count - _NAMED, "further file")
                plural = text.replace(" was ", " were ", 1) if text.startswith(" was ") else text
                self._container.note(kind, f"{more}{plural if count - _NAMED > 1 else text}")
