"""Comments with their replies, footnotes and endnotes of a Word document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mm_rag.errors import UnreadableMedia
from mm_rag.segment import Scalar
from mm_rag_loaders.office.blocks import Aside, one_paragraph
from mm_rag_loaders.office.package import (
    Element,
    Package,
    any_attribute,
    attribute,
    forget,
    inside,
    local,
)

_MOST_QUOTED = 300  # letters of the words that a comment refers to


@dataclass
class Comment:
    """A comment.

    Attributes:
        author: Name of its author; may be empty.
        text: Its words.
        date: ISO 8601; may be empty.
        quoted: The words of the document that it refers to.
        replies: In order.
        is_resolved: Whether it was marked as done.
    """

    author: str
    text: str
    date: str = ""
    quoted: str = ""
    replies: list[Comment] = field(default_factory=list["Comment"])
    is_resolved: bool = False


def aside(comment: Comment, about: str = "") -> Aside:
    """A comment with its replies as an aside.

    Args:
        comment: The comment.
        about: Thing that it is about, such as `"slide 3"`, if it does not refer to words.
    """
    quoted = shortened(one_paragraph(comment.quoted))
    where = f' on "{quoted}"' if quoted else f" on {about}" if about else ""
    written = [f"Comment{_by(comment)}{where}: {comment.text}"]
    written += [f"Reply{_by(reply)}: {reply.text}" for reply in comment.replies]
    authors = dict.fromkeys(each.author for each in (comment, *comment.replies) if each.author)
    metadata: dict[str, Scalar] = {"comment": True}
    if authors:
        metadata["author"] = ", ".join(authors)
    if comment.date:
        metadata["date"] = comment.date
    if comment.is_resolved:
        metadata["resolved"] = True
    return Aside("\n".join(written), metadata=metadata)


def _by(comment: Comment) -> str:
    return f" by {comment.author}" if comment.author else ""


def shortened(text: str) -> str:
    """A text, cut in the middle if it is long."""
    half = _MOST_QUOTED // 2
    return text if len(text) <= _MOST_QUOTED else f"{text[:half]} ... {text[-half:]}"


class Comments:
    """The comments of a document, by their ids.

    Args:
        package: The file.
        part: Name of the part with the comments; may be empty.
        extended: Name of the part that says which are replies; may be empty.
    """

    def __init__(self, package: Package, part: str, extended: str) -> None:
        self._threads: dict[str, Comment] = {}
        self.problem = ""
        by_paragraph: dict[str, tuple[str, Comment]] = {}
        try:
            for element in package.elements(part, "comment") if part else ():
                name, comment = any_attribute(element, "id") or "", _comment(element)
                self._threads[name] = comment
                for paragraph in inside(element, "p"):
                    if identity := any_attribute(paragraph, "paraId"):
                        by_paragraph[identity] = name, comment
                forget(element)
            if extended:
                self._link(package, extended, by_paragraph)
        except UnreadableMedia as error:
            self.problem = str(error)

    def _link(
        self, package: Package, extended: str, by_paragraph: dict[str, tuple[str, Comment]]
    ) -> None:
        roots: dict[str, str] = {}
        for element in package.elements(extended, "commentEx"):
            here = any_attribute(element, "paraId") or ""
            above = any_attribute(element, "paraIdParent") or ""
            if here not in by_paragraph:
                continue
            name, comment = by_paragraph[here]
            comment.is_resolved = any_attribute(element, "done") in ("1", "true")
            root = roots.get(above, above)
            if root in by_paragraph and root != here and name in self._threads:
                roots[here] = root
                by_paragraph[root][1].replies.append(comment)
                del self._threads[name]
            forget(element)

    def quote(self, name: str, words: str) -> None:
        """Add words that a comment refers to."""
        comment = self._threads.get(name)
        if comment is not None and len(comment.quoted) <= _MOST_QUOTED:
            comment.quoted += words

    def taken(self, name: str) -> Aside | None:
        """A comment with its replies, once; None for a reply or an unknown one."""
        comment = self._threads.pop(name, None)
        return aside(comment) if comment is not None and comment.text else None

    def rest(self) -> Iterator[Aside]:
        """Yield the comments that the text does not refer to."""
        for name in list(self._threads):
            if found := self.taken(name):
                yield found


def _comment(element: Element) -> Comment:
    author = one_paragraph(attribute(element, "author") or "")
    text = one_paragraph(" ".join(plain_text(each) for each in inside(element, "p")))
    return Comment(author, text, date=one_paragraph(attribute(element, "date") or ""))


def plain_text(paragraph: Element) -> str:
    """The words of a paragraph without those that were deleted."""
    pieces: list[str] = []
    for each in paragraph.iter("{*}t", "{*}tab", "{*}br", "{*}cr", "{*}noBreakHyphen"):
        name = local(each)
        if name == "t" and local(each.getparent()) in ("r", "fld"):
            pieces.append(each.text or "")
        elif name != "t":
            pieces.append("-" if name == "noBreakHyphen" else " ")
    return "".join(pieces)


class Notes:
    """The footnotes or endnotes of a document, by their ids."""

    def __init__(self, package: Package, part: str, name: str) -> None:
        self._texts: dict[str, str] = {}
        self.problem = ""
        try:
            for element in package.elements(part, name) if part else ():
                paragraphs = (plain_text(each) for each in inside(element, "p"))
                text = one_paragraph(" ".join(paragraphs))
                if attribute(element, "type") in (None, "normal"):
                    self._texts[attribute(element, "id") or ""] = text
                forget(element)
        except UnreadableMedia as error:
            self.problem = str(error)

    def get(self, name: str) -> str:
        """The words of a note; empty for an unknown id."""
        return self._texts.get(name, "")
