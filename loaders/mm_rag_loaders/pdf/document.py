"""The interface of the PDF libraries, and what their modules share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol, Self

from mm_rag.errors import PasswordNeeded
from mm_rag_loaders.pdf.page import PageContent

# D:20240131120000+01'00', of which everything after the year may be left out.
_DATE = re.compile(
    r"(?:D:)?(\d{4})(\d\d)?(\d\d)?(?:(\d\d)(\d\d)(\d\d)?)?\s*(?:(Z)|([+-]\d\d)'?(\d\d)?)?"
)


class PDFDocument(Protocol):
    """An open PDF, used as a context manager. Its methods may be called from any thread."""

    page_count: int
    is_repaired: bool
    """Whether it was damaged, and was repaired while opening."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """Metadata without empty values.

        `title`, `author`, `subject`, `keywords`, and as ISO 8601 dates `created` and `modified`.
        """
        ...

    def complaint(self) -> str:
        """The first error that the library reported since opening; empty if there was none."""
        ...

    def read_page(self, number: int, max_pixels: int) -> PageContent:
        """Read text and picture of a page.

        Args:
            number: Physical page number, 1-based.
            max_pixels: Upper bound of the picture's width times height.

        Raises:
            UnreadableMedia: The page is damaged; the message is the reason only.
        """
        ...

    def close(self) -> None:
        """Close the file."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def locked_pdf(name: str, password: str | None) -> PasswordNeeded:
    """The error for a locked document, with no password or a wrong one."""
    if password is None:
        return PasswordNeeded(
            f"{name} is locked and wants a password: mm-rag index --password, or "
            "LoadOptions(password=...)."
        )
    return PasswordNeeded(
        f"{name} is locked, and the password given (--password, or LoadOptions(password=...)) "
        "does not open it."
    )


def iso_date(text: str) -> str:
    """`D:20240131120000+01'00'` as `2024-01-31T12:00:00+01:00`; empty for an invalid date."""
    match = _DATE.match(text.strip())
    if match is None:
        return ""
    year, month, day, hour, minute, second, is_utc, hours, minutes = match.groups()
    date = f"{year}-{month or '01'}-{day or '01'}"
    if hour is not None:
        zone = "+00:00" if is_utc else f"{hours}:{minutes or '00'}" if hours else ""
        date += f"T{hour}:{minute}:{second or '00'}{zone}"
    try:
        datetime.fromisoformat(date)
    except ValueError:
        return ""
    return date
