"""The dates of a PDF's metadata."""

from __future__ import annotations

import re
from datetime import datetime

# D:20240131120000+01'00', of which everything after the year may be left out.
_DATE = re.compile(
    r"(?:D:)?(\d{4})(\d\d)?(\d\d)?(?:(\d\d)(\d\d)(\d\d)?)?\s*(?:(Z)|([+-]\d\d)'?(\d\d)?)?"
)


def iso_date(text: str) -> str:
    """`D:20240131120000+01'00'` as `2024-01-31T12:00:00+01:00`; empty where it is no date."""
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
