"""Encoding: Segments become entries, with vectors made or kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mm_rag.collection.catalog import Catalog, Entry, given_of
from mm_rag.collection.store import Vectors
from mm_rag.content import Content, Text
from mm_rag.encoder import Encoder
from mm_rag.errors import InputError, UnsupportedModality, at_position
from mm_rag.segment import Segment


@dataclass(frozen=True)
class SegmentEncoder:
    """Makes vectors of Segments, unless the catalog has them.

    Args:
        encoder: The model.
        catalog: What is there already.
    """

    encoder: Encoder
    catalog: Catalog

    def entries(self, segments: Sequence[Segment]) -> list[Entry]:
        """The Segments with their vectors.

        Raises:
            InputError: The model cannot take one of them; `position` says which.
        """
        if not segments:
            return []
        given = [self.given(segment) for segment in segments]
        kept = self.catalog.kept_vectors(segments, given)
        missing = [at for at, segment in enumerate(segments) if segment.id not in kept]
        vectors = {id_: np.frombuffer(vector, np.float32) for id_, vector in kept.items()}
        made = self.vectors([segments[at] for at in missing], missing)
        vectors.update((segments[at].id, made[row]) for row, at in enumerate(missing))
        return [
            Entry(segment=segment, vector=vectors[segment.id], given=content)
            for segment, content in zip(segments, given, strict=True)
        ]

    def given(self, segment: Segment) -> str:
        """What the model is given of a Segment (`given_of`)."""
        sees = self.encoder.supports(segment.modality) and not self._is_read(segment)
        return given_of(segment, words=not sees)

    def vectors(self, segments: Sequence[Segment], positions: Sequence[int]) -> Vectors:
        """Vectors of shape (len(segments), dimension).

        Args:
            segments: What to encode.
            positions: The number of each, for errors.

        Raises:
            InputError: The model cannot take one of them.
        """
        if not segments:
            return np.zeros((0, 0), dtype=np.float32)
        inputs: list[Content] = []
        for segment, position in zip(segments, positions, strict=True):
            with at_position(position):
                inputs.append(self._input(segment))
        vectors = self._encoded(inputs, positions)
        # A model that reads makes of nothing a vector like any other, which is near to some query:
        # a zero vector is near to none.
        empty = [not segment.words and self._is_read(segment) for segment in segments]
        vectors[np.array(empty, dtype=bool)] = 0.0
        return vectors

    def _encoded(self, inputs: list[Content], positions: Sequence[int]) -> Vectors:
        try:
            return self.encoder.encode_document(inputs)
        except InputError as error:
            if error.position is not None:
                error.position = positions[error.position]
            raise

    def _is_read(self, segment: Segment) -> bool:
        return segment.modality == "text" or self.encoder.encodes_as_text(segment.modality)

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
