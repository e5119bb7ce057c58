"""Package: the parts of an office file, which is a ZIP of XML parts and pictures, opened safely.

XML is read without entities and without the network, and never deeper than libxml2's own limit.
Elements are compared by their local names, so that both namespaces of Office Open XML are read.
"""

from __future__ import annotations

import lzma
import posixpath
import struct
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import IO, Any, TypeAlias
from urllib.parse import unquote

from mm_rag._optional import require
from mm_rag.errors import UnreadableMedia
from mm_rag.media.access import FileSource, opened

Element: TypeAlias = Any
"""An element of lxml, which has no types."""

_MOST_TREE_BYTES = 128 * 1024**2  # of a part held as a tree, which takes about ten times as much
_MOST_BYTES = 1024**3  # of a part that is read in pieces
DAMAGE = (
    *(EOFError, NotImplementedError, OSError, RuntimeError, ValueError, KeyError),
    *(SyntaxError, lzma.LZMAError, struct.error, zipfile.BadZipFile, zlib.error),
)
"""Errors that damaged ZIPs and parts raise."""


@dataclass(frozen=True)
class Relation:
    """A reference of a part to another part, or to something outside of the file.

    Attributes:
        type: The last word of its type, such as `"image"` or `"comments"`.
        target: Name of the other part; the address if it is outside.
        is_external: Whether it is outside of the file.
    """

    type: str
    target: str
    is_external: bool = False


class Package:
    """An opened ZIP with parts, found whatever the case of their names.

    Args:
        archive: The ZIP.
        name: Name of the file in messages.
    """

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self.name = name
        self._archive = archive
        self._parts = {_key(part.filename): part for part in archive.infolist()}

    @property
    def names(self) -> list[str]:
        """The names of all parts, as the file spells them."""
        return [part.filename for part in self._parts.values() if not part.is_dir()]

    def has(self, part: str) -> bool:
        """Whether a part exists."""
        return _key(part) in self._parts

    def size(self, part: str) -> int:
        """Size of a part that exists, in bytes, as the file gives it."""
        return self._parts[_key(part)].file_size

    @contextmanager
    def opened(self, part: str) -> Generator[IO[bytes]]:
        """A reader of a part.

        Raises:
            UnreadableMedia: It is missing or damaged.
        """
        with self._errors(part), self._archive.open(self._parts[_key(part)]) as reader:
            yield reader

    def tree(self, part: str) -> Element | None:
        """The root element of a small part; None if there is no such part.

        Raises:
            UnreadableMedia: It is damaged or too large.
        """
        if not self.has(part):
            return None
        with self.opened(part) as reader:
            data = reader.read(_MOST_TREE_BYTES + 1)
            if len(data) > _MOST_TREE_BYTES:
                raise ValueError(f"it has over {_MOST_TREE_BYTES:,} bytes")
            etree = _etree()
            root = etree.fromstring(data, etree.XMLParser(**_SAFE))
            _check_type(root)
            return root

    def elements(self, part: str, *names: str) -> Iterator[Element]:
        """Yield the elements of a large part with these local names, as each one ends.

        The caller clears those that it has read.

        Raises:
            UnreadableMedia: It is missing, damaged or too large.
        """
        if self.has(part) and self.size(part) > _MOST_BYTES:
            raise UnreadableMedia(f"{part} of {self.name} has over {_MOST_BYTES:,} bytes.")
        with self.opened(part) as reader:
            tags = [f"{{*}}{name}" for name in names]
            first = True
            for _, element in _etree().iterparse(reader, events=("end",), tag=tags, **_SAFE):
                if first:
                    _check_type(element)
                    first = False
                yield element

    def relations(self, part: str) -> dict[str, Relation]:
        """Relations of a part, by the ids used in it."""
        folder, name = posixpath.split(part)
        root = self.tree(posixpath.join(folder, "_rels", f"{name}.rels"))
        found: dict[str, Relation] = {}
        for element in root if root is not None else ():
            target, mode = element.get("Target", ""), element.get("TargetMode", "")
            is_external = mode.lower() == "external"
            if not is_external:
                target = posixpath.normpath(posixpath.join("/", folder, unquote(target)))[1:]
            kind = element.get("Type", "").rpartition("/")[2]
            found[element.get("Id", "")] = Relation(kind, target, is_external)
        return found

    @cached_property
    def main(self) -> str:
        """Name of the part with the document; may be empty."""
        relations = self.relations("").values()
        return next((each.target for each in relations if each.type == "officeDocument"), "")

    @cached_property
    def outside(self) -> int:
        """Number of references to pictures, templates and other files outside of this one."""
        found = 0
        for name in self.names:
            if name.lower().endswith(".rels"):
                folder, rels = posixpath.split(name)
                part = posixpath.join(posixpath.dirname(folder), rels[: -len(".rels")])
                relations = self.relations(part).values()
                found += sum(each.is_external and each.type != "hyperlink" for each in relations)
        return found

    @contextmanager
    def _errors(self, part: str) -> Generator[None]:
        try:
            yield
        except UnreadableMedia:
            raise
        except DAMAGE as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise UnreadableMedia(f"{self.name} is damaged: {part}: {reason}.") from error


@contextmanager
def opened_package(source: FileSource, name: str) -> Generator[Package]:
    """Open a file as a package.

    Args:
        source: The file.
        name: Its name in messages.

    Raises:
        UnreadableMedia: It is not a ZIP.
    """
    with opened(source) as file, file.reader() as reader:
        try:
            archive = zipfile.ZipFile(reader)
        except DAMAGE as error:
            raise UnreadableMedia(f"{name} is damaged: {error}.") from error
        with archive:
            yield Package(archive, name)


_SAFE: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}


def _etree() -> Any:
    return require("lxml.etree", extra="documents", feature="Reading the structure of office files")


def _check_type(element: Element) -> None:
    # No program writes one, and its entities would be missing from the text.
    if element.getroottree().docinfo.doctype:
        raise ValueError("it has a document type definition, which may define entities")


def _key(part: str) -> str:
    return part.replace("\\", "/").lstrip("/").lower()


def local(element: Element) -> str:
    """The name of an element without its namespace; empty for comments and the like."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Element, name: str) -> str | None:
    """An attribute, with the namespace of its element or without one."""
    value = element.get(name)
    if value is None:
        space = element.tag.rpartition("}")[0]
        value = element.get(f"{space}}}{name}") if space else None
    return value


def any_attribute(element: Element, name: str) -> str | None:
    """An attribute of this local name, with any namespace."""
    ends = f"}}{name}"
    return next(
        (value for key, value in element.attrib.items() if key == name or key.endswith(ends)), None
    )


def relation_id(element: Element, name: str = "id") -> str:
    """The id of a relation that an element names."""
    ends = f"elationships}}{name}"
    return next((value for key, value in element.attrib.items() if key.endswith(ends)), "")


def child(element: Element | None, *path: str) -> Element | None:
    """The first child of a name, and so on along the path; None if one is missing."""
    for name in path:
        if element is None:
            return None
        element = next((each for each in element if local(each) == name), None)
    return element


def children(element: Element | None, name: str) -> Iterator[Element]:
    """Yield the children of a name."""
    for each in element if element is not None else ():
        if local(each) == name:
            yield each


def inside(element: Element, name: str) -> Iterator[Element]:
    """Yield all elements of a name within an element."""
    yield from element.iter(f"{{*}}{name}")


def forget(element: Element) -> None:
    """Free the memory of an element that was read, and of those before it."""
    element.clear(keep_tail=False)
    above = element.getparent()
    while above is not None and element.getprevious() is not None:
        del above[0]


def is_on(element: Element | None) -> bool:
    """Whether a switch such as `<w:vanish/>` exists and is not turned off."""
    return element is not None and attribute(element, "val") not in ("0", "false", "off", "none")


def value(element: Element | None, *path: str) -> str:
    """The attribute `val` of the child at a path; empty if either is missing."""
    found = child(element, *path)
    return "" if found is None else attribute(found, "val") or ""


def alternative(element: Element) -> Element:
    """The first form of a drawing that says anything; the others say the same."""
    forms = [*children(element, "Choice"), *children(element, "Fallback")]
    return next((form for form in forms if len(form)), ())
