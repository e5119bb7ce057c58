"""Pictures: the files that Segments refer to, and those that none refers to any more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from contextlib import ExitStack, closing
from pathlib import Path

from mm_rag.collection.home import Home
from mm_rag.collection.ledger import Ledger
from mm_rag.errors import CollectionError


def references(ledger: Ledger) -> dict[str, set[str]]:
    """Every file that a Segment refers to, with the sha256 of the sources that need it."""
    referred: dict[str, set[str]] = defaultdict(set)
    for segment in ledger.all_segments():
        for path in (segment.media, segment.preview, segment.boxes):
            if path is not None:
                referred[path].add(segment.sha256)
    return referred


def orphans(home: Home, ledger: Ledger) -> list[Path]:
    """Pictures and word boxes that no collection in the folder refers to."""
    present = [path for path in home.assets.rglob("*") if path.is_file()]
    if not present:
        return []
    with ExitStack() as stack:
        others = [stack.enter_context(closing(Ledger(path))) for path in home.siblings()]
        referred = {path for each in (ledger, *others) for path in references(each)}
    return sorted(path for path in present if str(path) not in referred)


def delete(paths: Iterable[Path]) -> None:
    """Delete files.

    Raises:
        CollectionError: One cannot be.
    """
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise CollectionError(f"{path} cannot be deleted: {error.strerror}.") from error
