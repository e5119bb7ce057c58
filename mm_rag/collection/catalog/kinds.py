"""Kinds of Segments that are alike: how many there are, and vectors of some."""

from __future__ import annotations

from collections import Counter

from mm_rag.collection.catalog.database import Database
from mm_rag.collection.catalog.rows import FOUND, Found, Kind, found_of_row, kind_of


def kinds(database: Database) -> dict[Kind, int]:
    """The number of Segments of each kind."""
    query = (
        "SELECT modality, page IS NOT NULL AS has_page, count(*) AS n FROM segments "
        "GROUP BY modality, page IS NOT NULL"
    )
    counted = Counter[Kind]()
    for row in database.rows(query):
        counted[kind_of(row["modality"], has_page=bool(row["has_page"]))] += row["n"]
    return dict(counted)


def sample(database: Database, kind: Kind, n: int) -> list[bytes]:
    """The vectors of `n` Segments of a kind, drawn at random.

    Ids are hashes: those with the smallest ones are a random sample.
    """
    query = (
        f"SELECT {FOUND} FROM segments WHERE modality = ? AND (page IS NOT NULL) = ? "
        "ORDER BY id LIMIT ?"
    )
    drawn: list[Found] = []
    for has_page in (False, True):  # one at a time: so each is read in the order of an index
        if kind_of(kind.modality, has_page=has_page) == kind:
            drawn += map(found_of_row, database.rows(query, (kind.modality, has_page, n)))
    return [found.vector for found in sorted(drawn, key=lambda found: found.id)[:n]]
