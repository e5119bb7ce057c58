"""Encoding: Segments become entries, with vectors and features of pictures made or kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mm_rag.collection.catalog import Catalog, Entry, given_of
from mm_rag.collection.store import Vectors
from mm_rag.content import Content, Text
from mm_rag.encoder import Encoder
from mm_rag.errors import InputError, UnsupportedModality, at_position
from mm_rag.extraction.picture_features import picture_features
from mm_rag.media.image import open_image
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
        features = self.features(segments)
        return [
            Entry(
                segment=segment,
                vector=vectors[segment.id],
                given=content,
                features=features.get(segment.id),
            )
            for segment, content in zip(segments, given, strict=True)
        ]

    def given(self, segment: Segment) -> str:
        """What the model is given of a Segment (`given_of`)."""
        sees = self.encoder.supports(segment.modality) and not self._is_read(segment)
        return given_of(segment, words=not sees)

    def features(self, segments: Sequence[Segment]) -> dict[str, bytes]:
        """Features of photos, frames and clips of which the catalog has none yet, by id.

        None for pages, which look alike and are found by their words, and none for a model that
        sees, whose vectors say what pictures show.
        """
        if not self.encoder.encodes_as_text("image"):
            return {}
        pictures = {each.id: path for each in segments if (path := _picture(each)) is not None}
        known = self.catalog.with_features(pictures)
        made = {id_: self._features(path) for id_, path in pictures.items() if id_ not in known}
        return {id_: features for id_, features in made.items() if features is not None}

    def _features(self, path: Path) -> bytes | None:
        try:
            return picture_features(open_image(path, self.encoder.policy))
        except InputError:  # the loader has reported it, or the caller keeps it elsewhere
            return None

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


def _picture(segment: Segment) -> Path | None:
    """The file with the picture of a photo, or with the key frame of a clip."""
    if segment.page is not None or segment.modality not in ("image", "video"):
        return None
    path = segment.preview or (segment.media if segment.modality == "image" else None)
    return None if path is None else Path(path)
