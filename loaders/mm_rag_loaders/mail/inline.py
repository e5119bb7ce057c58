"""Files and signatures that stand in the text of old messages: uuencoded files, PGP."""

from __future__ import annotations

import binascii
import re

_BEGIN = re.compile(r"begin [0-7]{3,4} (\S.{0,250})")
_PGP_SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----"
_PGP_SIGNATURE = "-----BEGIN PGP SIGNATURE-----"
_PGP_SIGNATURE_END = "-----END PGP SIGNATURE-----"
PGP_MESSAGE = "-----BEGIN PGP MESSAGE-----"
"""The line before an encrypted message."""


def without_signature(text: str) -> str:
    """A text without the lines of an inline PGP signature."""
    if _PGP_SIGNED not in text:
        return text
    kept: list[str] = []
    in_head = in_signature = False
    for line in text.splitlines():
        if line.startswith(_PGP_SIGNED):
            in_head = True  # up to an empty line
        elif line.startswith(_PGP_SIGNATURE):
            in_signature = True
        elif in_head:
            in_head = bool(line.strip())
        elif in_signature:
            in_signature = not line.startswith(_PGP_SIGNATURE_END)
        else:
            kept.append(line.removeprefix("- "))
    return "\n".join(kept)


def without_files(text: str) -> tuple[str, list[tuple[str, bytes]]]:
    """A text without the uuencoded files in it, and their names and bytes."""
    if "begin " not in text:
        return text, []
    lines, kept = text.splitlines(), list[str]()
    files: list[tuple[str, bytes]] = []
    at = tried = 0
    while at < len(lines):
        begin = _BEGIN.fullmatch(lines[at]) if at >= tried else None
        data, tried = _decoded(lines, at + 1) if begin else (None, tried)
        if begin and data is not None:
            files.append((begin[1].strip(), data))
            at = tried
        else:
            kept.append(lines[at])
            at += 1
    return "\n".join(kept), files


def _decoded(lines: list[str], at: int) -> tuple[bytes | None, int]:
    """The bytes of a file, None if it is not one, and the line up to which was read."""
    pieces: list[bytes] = []
    while at < len(lines):
        line = lines[at]
        at += 1
        if line == "end":
            return b"".join(pieces), at
        if not line.strip("` "):
            continue
        try:
            pieces.append(binascii.a2b_uu(line.encode("ascii")))
        except (binascii.Error, UnicodeEncodeError):
            return None, at
    return (b"".join(pieces) if pieces else None), at
