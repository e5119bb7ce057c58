"""ServerWriter: what is committed goes to the server first, and then into this machine's ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import batched
from typing import cast

from mm_rag.collection.ledger import FORMAT_VERSION, Commit, Entry, Ledger, LedgerFile
from mm_rag.collection.server.lock import ServerLock
from mm_rag.collection.server.replica import FACTS, Replica
from mm_rag.collection.server.shared import Head, SharedLedger
from mm_rag.collection.server.store import ServerStore
from mm_rag.collection.writer import AT_ONCE, SegmentWriter
