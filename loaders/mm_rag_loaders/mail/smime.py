"""The message in a signed S/MIME message."""

from __future__ import annotations

from mm_rag._optional import require


def signed_content(data: bytes) -> bytes | None:
    """The MIME part in a CMS structure (RFC 5652) that is signed; None for an encrypted one.

    The signature is not checked: it says nothing about what to search.

    Raises:
        ValueError: It is damaged.
        MissingExtra: asn1crypto is not installed.
    """
    cms = require("asn1crypto.cms", extra="documents", feature="Reading signed S/MIME messages")
    try:
        outer = cms.ContentInfo.load(data)
        if outer["content_type"].native not in ("signed_data", "compressed_data"):
            return None
        if outer["content_type"].native == "compressed_data":
            return None
        content = outer["content"]["encap_content_info"]["content"]
        return bytes(content.native or b"")
    except (TypeError, KeyError, OverflowError, RecursionError, AttributeError) as error:
        raise ValueError(str(error)) from error
