"""Commit: what changes in a catalog, all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mm_rag.collection.catalog.files import CatalogFile


@dataclass(frozen=True, kw_only=True)
class Commit:
    """What changes in one transaction.

    Attributes:
        written: Files whose Segments are drafted, all of them; what else their content gave goes.
        noted: Files of which only the row changes.
        forgotten: Paths that are no more.
        added: Drafted Segments that belong to no file.
        dropped: Segments that are no more, whatever file they are of.
    """

    written: Sequence[CatalogFile] = ()
    noted: Sequence[CatalogFile] = ()
    forgotten: Sequence[str] = ()
    added: Sequence[str] = ()
    dropped: Sequence[str] = ()
