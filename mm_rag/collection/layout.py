"""Layout: what lies where in a collection's folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mm_rag.errors import CollectionError

FORMAT_VERSION = 1
"""Of the whole folder. Raised when an older mm_rag could not read what a newer one wrote."""


@dataclass(frozen=True)
class Layout:
    """The paths of one named collection. Several may share a folder, its vectors and its pictures.

    Attributes:
        root: The folder that the user names.
        name: The collection's name.
    """

    root: Path
    name: str

    @property
    def chroma(self) -> Path:
        """Chroma's own folder."""
        return self.root / "chroma"

    @property
    def assets(self) -> Path:
        """Page screenshots and key frames, named after their content."""
        return self.root / "assets"

    @property
    def ledger(self) -> Path:
        """Which files are in."""
        return self.root / self.name / "ledger.sqlite3"

    @property
    def lexical(self) -> Path:
        """The lexical index."""
        return self.root / self.name / "lexical"

    @property
    def lock(self) -> Path:
        """Held by the one writer."""
        return self.root / "writer.lock"

    def prepare(self, *, create: bool) -> None:
        """Make the folders, or find them.

        Raises:
            CollectionError: There is no collection and none is to be made; the folders cannot be
                made; the root is a file.
        """
        if not create and not self.ledger.is_file():
            raise CollectionError(
                f"There is no collection '{self.name}' in {self.root}. Make one: "
                f"mm-rag index FOLDER --collection {self.root}"
            )
        try:
            self.lexical.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CollectionError(
                f"Cannot make a collection in {self.root}: {error.strerror}. "
                "Choose a folder that can be written to."
            ) from error
