"""SegmentWriter: Segments -> vectors -> store, lexical index and ledger, in that order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mm_rag.collection.ledger import Ledger
from mm_rag.collection.lexical import LexicalIndex
from mm_rag.collection.store import Vectors, VectorStore
from mm_rag.content import Content, Text
from mm_rag.encoder import Encoder
from mm_rag.errors import UnsupportedModality
from mm_rag.segment import Segment

CHUNK = 256
"""Segments encoded at a time: memory does not grow with the size of a file."""


@dataclass(frozen=True)
class SegmentWriter:
    """Writes to all three parts of a collection, and deletes from them."""

    store: VectorStore
    lexical: LexicalIndex
    ledger: Ledger
    encoder: Encoder

    def write(self, segments: Sequence[Segment]) -> None:
        """Encode and store Segments, replacing those of the same id.

        Raises:
            InputError: The model cannot take one of them.
        """
        for start in range(0, len(segments), CHUNK):
            chunk = segments[start : start + CHUNK]
            self.store.put(chunk, self._vectors(chunk))
            self.lexical.put(chunk)
            self.ledger.put_segments((s.id, s.sha256, s.modality) for s in chunk)

    def replace_source(self, sha256: str, segments: Sequence[Segment]) -> None:
        """Write the Segments of a file's content, then delete those that it gave once and no more.

        Raises:
            InputError: The model cannot take one of them.
        """
        before = self.store.ids_of(sha256) | self.ledger.segment_ids_of(sha256)
        self.write(segments)
        gone = sorted(before - {segment.id for segment in segments})
        self.store.drop(gone)
        self.lexical.drop(gone)
        self.ledger.drop_segment_ids(gone)

    def drop_source(self, sha256: str) -> None:
        """Delete all Segments of a file's content."""
        self.store.drop_source(sha256)
        self.lexical.drop_source(sha256)
        self.ledger.drop_segments(sha256)

    def _vectors(self, segments: Sequence[Segment]) -> Vectors:
        vectors = self.encoder.encode_document([self._input(segment) for segment in segments])
        # A model that reads makes of nothing a vector like any other, which is near to some query:
        # a zero vector is near to none.
        empty = [not segment.words and self._is_read(segment) for segment in segments]
        vectors[np.array(empty, dtype=bool)] = 0.0
        return vectors

    def _is_read(self, segment: Segment) -> bool:
        return segment.modality == "text" or self.encoder.reads(segment.modality)

    def _input(self, segment: Segment) -> Content:
        """The Segment as the model can take it: its words where it cannot take its media."""
        if self.encoder.supports(segment.modality):
            return segment.content
        if not segment.words or not self.encoder.supports("text"):
            raise UnsupportedModality(
                f"The model takes {', '.join(self.encoder.modalities)}, not {segment.modality}, "
                f"and no words could be read from {segment.source}."
            )
        return Text(segment.words)
