"""Pictures: which of them look like those in a query, by features that the catalog keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mm_rag.collection.catalog import Catalog
from mm_rag.collection.search.calibration import Prior, chance
from mm_rag.collection.search.scaling import unit
from mm_rag.collection.store import Vectors
from mm_rag.content import Content, Image, parts_of
from mm_rag.encoder import Encoder
from mm_rag.extraction.picture_features import SIZE, picture_features
from mm_rag.extraction.picture_labels import without_labels
from mm_rag.media.image import open_image

_UNRELATED = Prior(0.45, 0.08, 32)
"""Mean and standard deviation of the cosines between 737 photos and drawings; a prior for
collections with few: of two pictures one may be the answer itself."""

MOST_WORDS = 3
"""Words on a photo, such as the name of a boat. Pictures of text with more look alike."""

_AT_ONCE = 256
"""Rows that are compared as float32: 50,000 pictures in 23 ms, 64 MB and 1 MB; without numbers of
8 bits 256 MB and 19 ms."""


class Likeness(NamedTuple):
    """Similarity of a picture to the query's.

    Attributes:
        cosine: Cosine of their features, in [0, 1].
        calibrated: The same relative to chance (`Calibration`).
    """

    cosine: float
    calibrated: float


class PictureIndex:
    """The features of all pictures of a collection in one state.

    Args:
        catalog: Holds the features.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._ids, held = list[str](), list[bytes]()
        for ids, features in catalog.features(SIZE):
            self._ids += ids
            held.append(features)
        self._matrix = np.frombuffer(b"".join(held), np.uint8).reshape(-1, SIZE)
        squares = np.einsum(
            "ij,ij->i", self._matrix, self._matrix, dtype=np.float32, casting="unsafe"
        )
        self._lengths = np.sqrt(np.maximum(squares, 1.0))

    def ranked(self, query: Vectors) -> Iterator[tuple[str, Likeness]]:
        """All pictures by id, those first that look most like one of the query's.

        Args:
            query: Unit length, shape (pictures, SIZE).
        """
        if not self._ids:
            return
        portions = (
            self._matrix[start : start + _AT_ONCE].astype(np.float32)
            for start in range(0, len(self._matrix), _AT_ONCE)
        )
        products = np.concatenate([(rows @ query.T).max(axis=1) for rows in portions])
        cosines = products / self._lengths
        offset, deviation = chance(cosines, len(cosines), _UNRELATED)
        for at in np.argsort(-cosines, kind="stable").tolist():
            cosine = float(cosines[at])
            yield self._ids[at], Likeness(cosine, (cosine - offset) / deviation)


def query_features(query: Content, encoder: Encoder) -> Vectors | None:
    """Features of the photos in a query, unit length, shape (photos, SIZE).

    A picture with more words than `MOST_WORDS` is a page or a screenshot, which all look alike:
    its words are searched for. With its looks, screenshots of 10 pages found 2 pages first among 62
    pages and 461 pictures, instead of all 10.

    Args:
        query: The query, with the words of its pictures.
        encoder: The collection's model.

    Returns:
        None if there is no photo, the model sees them itself, or features cannot be made.

    Raises:
        UnreadableMedia: A picture is missing or damaged.
    """
    if not encoder.encodes_as_text("image"):
        return None
    pictures = [each for each in parts_of(query) if isinstance(each, Image) and _is_photo(each)]
    made = [picture_features(open_image(each.source, encoder.policy)) for each in pictures]
    known = [np.frombuffer(each, np.uint8) for each in made if each is not None]
    return unit(np.stack(known).astype(np.float32)) if known else None


def _is_photo(picture: Image) -> bool:
    return len(without_labels(picture.text or "").split()) <= MOST_WORDS
