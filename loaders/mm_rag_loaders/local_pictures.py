"""Pictures that belong to a document: files beside it, or bytes in it. None is fetched."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TypeAlias
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from mm_rag._temporary import TemporaryFolder
from mm_rag.content import Url
from mm_rag.errors import InputError, SourceForbidden
from mm_rag.media.access import real_file
from mm_rag.media.image import image_info
from mm_rag.media.kind import file_type
from mm_rag.media.policy import MediaPolicy
from mm_rag_loaders.documents import Picture
from mm_rag_loaders.loader import Member, SourceFile
from mm_rag_loaders.sources import as_source

Contained: TypeAlias = Callable[[str], tuple[str, bytes] | None]
"""Gives the name and the bytes of a picture in the file itself; None if it has none such."""

_DATA = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[^,;]{0,100})*),", re.IGNORECASE)
_SUFFIXES: Mapping[str, str] = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/jpg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/bmp": ".bmp",
    "image/avif": ".avif",
    "image/tiff": ".tif",
    "image/svg+xml": ".svg",
}
_SMALLEST = 32  # pixels of the longer side; less is an icon, a bullet or a tracking pixel
_MOST_NAMED = 3  # in a note
_NAME = re.compile(r"[^\w.-]+")


def picture_members(
    pictures: Sequence[Picture],
    file: SourceFile,
    policy: MediaPolicy,
    contained: Contained | None = None,
    *,
    beside: bool = True,
) -> Iterator[Member]:
    """Yield the pictures of a document that lie beside it or in it, each once; note the others.

    A relative path may lead to anything in the folder that was searched, or else in the document's
    own folder. Nothing is fetched.

    Args:
        pictures: References of the document.
        file: The document.
        policy: Limits on opening.
        contained: Finds pictures in the file.
        beside: Whether pictures beside the file are read.
    """
    left_out = _LeftOut()
    seen = set[str]()
    with TemporaryFolder() as folder:
        for number, picture in enumerate(_unique(pictures), start=1):
            member = _found(picture, number, file, policy, contained, beside, folder.path, left_out)
            if member is None or member.name in seen or not _is_worth(member, policy, left_out):
                continue
            seen.add(member.name)
            yield member
    left_out.note(file)


def _found(
    picture: Picture,
    number: int,
    file: SourceFile,
    policy: MediaPolicy,
    contained: Contained | None,
    beside: bool,
    folder: Path,
    left_out: _LeftOut,
) -> Member | None:
    source = picture.source
    texts = dict.fromkeys(filter(None, [picture.alt, picture.caption]))
    member = Member("", Path(), text="\n".join(texts), heading=picture.heading)
    if source[:5].lower() == "data:":
        found = _of_data(source, f"picture-{number}")
        if found is None:
            left_out.damaged.append(f"picture {number}")
    elif contained and (found := contained(source)) is not None:
        pass
    elif _is_remote(source) or (beside and isinstance(as_source(file.source).location, Url)):
        left_out.remote.append(source)
        return None
    elif not beside:
        left_out.missing.append(source)
        return None
    elif Path(file.source) != file.path:
        return None  # the archive that contains the document also contains the picture
    else:
        path = _beside(source, file, policy, left_out)
        return replace(member, name=_relative(source), path=path, stays=True) if path else None
    if found is None:
        return None
    name, data = found
    # Numbered: names in the file may be the same, or too long for the file system.
    path = folder / f"{number}-{_NAME.sub('_', PurePosixPath(name).name)[-80:]}"
    path.write_bytes(data)
    return replace(member, name=name, path=path)


@dataclass
class _LeftOut:
    """Pictures that are not read, by reason."""

    remote: list[str] = field(default_factory=list[str])
    missing: list[str] = field(default_factory=list[str])
    outside: list[str] = field(default_factory=list[str])
    damaged: list[str] = field(default_factory=list[str])
    small: list[str] = field(default_factory=list[str])

    def note(self, file: SourceFile) -> None:
        if self.remote:
            file.note("limit", f"{_named(self.remote)} on the web and not fetched")
        if self.missing:
            file.note("damaged", f"{_named(self.missing)} missing")
        if self.outside:
            file.note("limit", f"{_named(self.outside)} outside of the folder and not read")
        if self.damaged:
            file.note("damaged", f"{_named(self.damaged)} damaged or not of a known format")
        if self.small:
            file.note("limit", f"{_named(self.small)} smaller than {_SMALLEST} pixels and left out")


def _named(names: Sequence[str]) -> str:
    """`"2 pictures (a.png, b.png) are"`, with the first names only."""
    few = ", ".join(name[:100] for name in names[:_MOST_NAMED])
    more = ", ..." if len(names) > _MOST_NAMED else ""
    return (
        f"1 picture ({few}) is" if len(names) == 1 else f"{len(names):,} pictures ({few}{more}) are"
    )


def _unique(pictures: Sequence[Picture]) -> list[Picture]:
    """Each picture once, with the texts of its first appearance."""
    found: dict[str, Picture] = {}
    for picture in pictures:
        found.setdefault(picture.source, picture)
    return list(found.values())


def _is_remote(source: str) -> bool:
    try:
        parts = urlsplit(source)
    except ValueError:
        return True
    return parts.scheme in ("http", "https", "ftp") or (not parts.scheme and bool(parts.netloc))


def _relative(source: str) -> str:
    """The path in an address: `pics/a%20b.png?v=2` gives `pics/a b.png`."""
    path = re.split(r"[?#]", source, maxsplit=1)[0]
    return unquote(path).replace("\\", "/").removeprefix("./")


def _beside(source: str, file: SourceFile, policy: MediaPolicy, left_out: _LeftOut) -> Path | None:
    """The file of a picture, with all links resolved; None if it may not be read."""
    name = _relative(source)
    document = Path(file.source)
    if Path(name).is_absolute() or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", name):
        left_out.outside.append(name)
        return None
    try:
        path = real_file(document.parent / name, policy)
        folder = (file.within or document.parent).resolve()
    except SourceForbidden:
        left_out.outside.append(name)
        return None
    except (InputError, OSError, ValueError):
        left_out.missing.append(name)
        return None
    follows = policy.follow_links and ".." not in name.split("/")
    if not (follows or path.is_relative_to(folder)):
        left_out.outside.append(name)
        return None
    return path


def _of_data(address: str, name: str) -> tuple[str, bytes] | None:
    """Name and bytes of the picture in a `data:` address; None if it is damaged."""
    head = _DATA.match(address)
    if head is None:
        return None
    body = address[head.end() :]
    try:
        if ";base64" in head[2].lower():
            data = base64.b64decode("".join(unquote(body).split()))
        else:
            data = unquote_to_bytes(body)
    except ValueError:
        return None
    return (name + _SUFFIXES.get((head[1] or "").lower(), ""), data) if data else None


def _is_worth(member: Member, policy: MediaPolicy, left_out: _LeftOut) -> bool:
    """Whether a file is a picture of some size."""
    with suppress(InputError):
        kind = file_type(member.path, replace(policy, roots=None)).kind
        if kind == "svg":
            return True
        if kind == "image":
            info = image_info(member.path, replace(policy, roots=None))
            if max(info.width, info.height) >= _SMALLEST:
                return True
            left_out.small.append(member.name)
            return False
    left_out.damaged.append(member.name)
    return False
