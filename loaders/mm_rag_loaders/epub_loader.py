"""EpubLoader: books chapter by chapter, with their pictures."""

from __future__ import annotations

import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeAlias
from urllib.parse import unquote
from xml.etree.ElementTree import Element, ParseError

from mm_rag._printing import printable
from mm_rag.errors import PasswordNeeded, UnreadableMedia
from mm_rag.media.policy import MediaPolicy
from mm_rag.segment import Scalar, Segment
from mm_rag_loaders.documents import (
    Document,
    Headings,
    Picture,
    document_segments,
)
from mm_rag_loaders.html import html_page
from mm_rag_loaders.loader import Loader, Member, SourceFile
from mm_rag_loaders.local_pictures import picture_members

_MOST_CHAPTER = 32 * 1024**2  # bytes
_MOST_INDEX = 8 * 1024**2
_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
# Fonts are often obfuscated, which is not a lock.
_FONTS = re.compile(r"obfuscation|idpf\.org/2008/embedding|ns\.adobe\.com/pdf/enc#RC")
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, OSError),
    *(RuntimeError, ValueError),
)
_MOST_SHOWN = 80  # characters of a chapter's title in its place
_DC = "{http://purl.org/dc/elements/1.1/}"
_FIELDS: Mapping[str, str] = {
    "creator": "author",
    "language": "language",
    "date": "date",
    "publisher": "publisher",
    "description": "description",
    "subject": "keywords",
    "identifier": "identifier",
}
_Names: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Chapter:
    """A chapter: the name of its file in the book, and its title in the table of contents."""

    name: str
    title: str = ""


class EpubLoader(Loader):
    """Reads EPUB books, versions 2 and 3, that are not locked."""

    becomes: ClassVar[str] = (
        "each chapter by headings, with its title, tables, notes and links; the book's pictures"
    )

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield the passages of the chapters in the order of the book.

        Raises:
            UnreadableMedia: It is damaged, or has no words.
            PasswordNeeded: It is locked.
            MissingExtra: A parser is not installed.
        """
        found = False
        with _Book(file, self.options.policy) as book:
            for number, chapter in book.chapters():
                page = book.page(chapter, number)
                if page is None:
                    continue
                found = found or bool(page.parts or page.pictures)
                title = chapter.title or next(
                    (part.text for part in page.parts if part.kind == "heading"), ""
                )
                name = " ".join(title.split())[:_MOST_SHOWN]
                begins = bool(page.parts) and page.parts[0].kind == "heading"
                above: Headings = () if begins or not title else ((0, title),)
                yield from document_segments(
                    replace(page, title=book.title, metadata=book.metadata),
                    file,
                    self.options.passage_words,
                    page=number,
                    place=f"chapter {number}: {name}" if name else f"chapter {number}",
                    above=above,
                )
        if not found:
            raise UnreadableMedia(f"{file.name} has no words in it.")

    def members(self, file: SourceFile) -> Iterator[Member]:
        """Yield the pictures of the chapters, and the cover."""
        with _Book(file, self.options.policy) as book:
            pictures = list(book.pictures())
            yield from picture_members(
                pictures, file, self.options.policy, book.picture, beside=False
            )


class _Book:
    """An opened book."""

    def __init__(self, file: SourceFile, policy: MediaPolicy) -> None:
        self._file, self._policy = file, policy
        self._reader = file.opened.reader()
        try:
            self._zip = zipfile.ZipFile(self._reader)
            self._names = {info.filename for info in self._zip.infolist()}
            package = self._package_name()
            self._folder = posixpath.dirname(package)
            self._package = _xml(self._bytes(package, _MOST_INDEX))
        except (*_DAMAGE, ParseError) as error:
            self._reader.close()
            raise UnreadableMedia(f"{file.name} is damaged: {_reason(error)}.") from error
        self._items = self._manifest()
        self._locked = self._locked_names()
        self.title, self.metadata = self._about()

    def __enter__(self) -> _Book:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()
        self._reader.close()

    def chapters(self) -> Iterator[tuple[int, _Chapter]]:
        """The chapters with their numbers, in order.

        Raises:
            PasswordNeeded: All of them are locked.
        """
        titles = self._titles()
        spine = [item for each in _all(self._package, "itemref") if (item := each.get("idref"))]
        names = [self._items[item][0] for item in spine if item in self._items]
        if not names:  # a damaged index: everything that is a page
            names = [name for name, kind in self._items.values() if "html" in kind]
            self._file.note("damaged", "the order of the chapters is missing")
        if names and all(name in self._locked for name in names):
            raise PasswordNeeded(f"{self._file.name} is locked by its seller (DRM).")
        for number, name in enumerate(dict.fromkeys(names), start=1):
            if number > self._policy.max_pages:
                self._file.note(
                    "limit",
                    f"only the first {number - 1:,} chapters were read (MediaPolicy.max_pages)",
                )
                return
            yield number, _Chapter(name=name, title=titles.get(name, ""))

    def page(self, chapter: _Chapter, number: int) -> Document | None:
        """A chapter; None if it cannot be read, which is noted."""
        if chapter.name in self._locked:
            self._file.note("unsupported", f"chapter {number} is locked by its seller (DRM)")
            return None
        if not chapter.name.lower().endswith((".html", ".xhtml", ".htm", ".xml")):
            return Document(pictures=[Picture(source=chapter.name)])
        try:
            data = self._bytes(chapter.name, _MOST_CHAPTER)
        except _DAMAGE as error:
            self._file.note("damaged", f"chapter {number} was not read: {_reason(error)}")
            return None
        page = html_page(data, main_only=False)
        for note in page.notes:
            self._file.note(note.kind, f"chapter {number}: {note.text}")
        folder = posixpath.dirname(chapter.name)
        pictures = [
            replace(picture, source=_joined(folder, picture.source)) for picture in page.pictures
        ]
        return replace(page, pictures=pictures)

    def pictures(self) -> Iterator[Picture]:
        """The pictures of all chapters, then the cover."""
        for number, chapter in self.chapters():
            page = self.page(chapter, number)
            for picture in page.pictures if page else ():
                title = chapter.title or picture.heading
                yield replace(picture, heading=picture.heading or title)
        for item in _all(self._package, "item"):
            if "cover-image" in (item.get("properties") or ""):
                yield Picture(source=_joined(self._folder, item.get("href") or ""), alt="Cover")

    def picture(self, name: str) -> tuple[str, bytes] | None:
        """Name and bytes of a picture; None if the book has none such."""
        if name not in self._names or name in self._locked:
            return None
        try:
            return name, self._bytes(name, _MOST_CHAPTER)
        except _DAMAGE:
            return None

    def _bytes(self, name: str, most: int) -> bytes:
        with self._zip.open(name) as member:
            data = member.read(most + 1)
        if len(data) > most:
            raise ValueError(f"{name} has over {most:,} bytes")
        return data

    def _package_name(self) -> str:
        if _CONTAINER in self._names:
            for root in _all(_xml(self._bytes(_CONTAINER, _MOST_INDEX)), "rootfile"):
                if (name := root.get("full-path")) in self._names:
                    return str(name)
        return next((name for name in sorted(self._names) if name.endswith(".opf")), "content.opf")

    def _manifest(self) -> dict[str, tuple[str, str]]:
        """Names and types of the files of the book, by id."""
        return {
            item.get("id", ""): (
                _joined(self._folder, item.get("href") or ""),
                item.get("media-type") or "",
            )
            for item in _all(self._package, "item")
        }

    def _locked_names(self) -> set[str]:
        try:
            root = _xml(self._bytes(_ENCRYPTION, _MOST_INDEX))
        except (*_DAMAGE, ParseError):
            return set()
        found = set[str]()
        for data in _all(root, "EncryptedData"):
            methods = [each.get("Algorithm", "") for each in _all(data, "EncryptionMethod")]
            if not all(_FONTS.search(method) for method in methods):
                found |= {unquote(each.get("URI", "")) for each in _all(data, "CipherReference")}
        return found

    def _about(self) -> tuple[str, dict[str, Scalar]]:
        said: dict[str, list[str]] = {}
        for element in self._package.iter():
            text = " ".join(printable(element.text or "").split())
            if element.tag.startswith(_DC) and text:
                said.setdefault(element.tag.removeprefix(_DC), []).append(text[:1000])
        metadata: dict[str, Scalar] = {
            name: ", ".join(said[field][:20]) for field, name in _FIELDS.items() if field in said
        }
        return next(iter(said.get("title", [])), ""), metadata

    def _titles(self) -> dict[str, str]:
        """Titles of the chapters in the table of contents, by name of their file."""
        found: dict[str, str] = {}
        for name, kind in self._items.values():
            if name.lower().endswith(".ncx") or kind == "application/x-dtbncx+xml":
                self._ncx_titles(name, found)
        for item in _all(self._package, "item"):
            if "nav" in (item.get("properties") or "").split():
                self._nav_titles(_joined(self._folder, item.get("href") or ""), found)
        return found

    def _ncx_titles(self, name: str, found: dict[str, str]) -> None:
        try:
            root = _xml(self._bytes(name, _MOST_INDEX))
        except (*_DAMAGE, ParseError):
            return
        folder = posixpath.dirname(name)
        for point in _all(root, "navPoint"):
            label = next((e.text for e in _all(point, "text") if e.text), "")
            target = next((e.get("src") for e in _all(point, "content")), "")
            if label and target:
                found.setdefault(_joined(folder, target), " ".join(printable(label).split()))

    def _nav_titles(self, name: str, found: dict[str, str]) -> None:
        try:
            root = _xml(self._bytes(name, _MOST_INDEX))
        except (*_DAMAGE, ParseError):
            return
        folder = posixpath.dirname(name)
        for link in _all(root, "a"):
            label = " ".join(printable("".join(link.itertext())).split())
            target = link.get("href") or ""
            if label and target:
                found.setdefault(_joined(folder, target), label)


def _xml(data: bytes) -> Element:
    """Parse XML without entities.

    Raises:
        ParseError: It is not well-formed.
        ValueError: It has entities of its own.
    """
    from defusedxml.ElementTree import fromstring

    parsed: Any = fromstring(data, forbid_dtd=False)
    return parsed


def _all(element: Element, name: str) -> Iterator[Element]:
    """The elements of a name, whatever their namespace."""
    return (each for each in element.iter() if each.tag.rpartition("}")[2] == name)


def _joined(folder: str, address: str) -> str:
    """The name in the book of a file to which another one refers; web addresses stay."""
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//", address):
        return address
    path = unquote(re.split(r"[?#]", address, maxsplit=1)[0])
    return posixpath.normpath(posixpath.join(folder, path)) if path else ""


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
