"""The ledger: which files are in, what they gave, and its vectors. SQLite; the truth."""

from __future__ import annotations

from mm_rag.collection.ledger.checked_row import CheckedRow
from mm_rag.collection.ledger.commit import Commit
from mm_rag.collection.ledger.database import IN_MEMORY
from mm_rag.collection.ledger.entry import Entry, Found, given_of, stacked
from mm_rag.collection.ledger.files import LedgerFile, LedgerState
from mm_rag.collection.ledger.ledger import Ledger
from mm_rag.collection.ledger.outline import Outline
from mm_rag.collection.ledger.own_files import OwnFiles, holds_segment
from mm_rag.collection.ledger.schema import FORMAT_VERSION

__all__ = [
    "FORMAT_VERSION",
    "IN_MEMORY",
    "CheckedRow",
    "Commit",
    "Entry",
    "Found",
    "Ledger",
    "LedgerFile",
    "LedgerState",
    "Outline",
    "OwnFiles",
    "given_of",
    "holds_segment",
    "stacked",
]
