"""Conversion between Segments and records: a text with flat metadata.

Records of Chroma, Documents of LangChain and nodes of LlamaIndex all have these two. The metadata
keys are the names of Segment's fields in all of them, so each can read what another wrote.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

from mm_rag.content import MODALITIES, Chat, Content, Mixed, Text
from mm_rag.errors import InputError
from mm_rag.segment import Hit, Scalar, Segment, place_in_words

FIELDS = frozenset(field.name for field in fields(Segment)) - {"text", "metadata", "tags"}
"""Fields of a Segment that are stored in metadata under their own names."""

Value: TypeAlias = Scalar | list[str]
"""A metadata value; only tags are a list."""

_TYPES: Mapping[str, tuple[type, ...]] = {
    "page": (int,),
    "part": (int,),
    "start": (int, float),
    "end": (int, float),
}
"""Types of the fields that are not str."""

_FOREIGN = frozenset({"_node_content", "_node_type", "doc_id", "document_id", "ref_doc_id"})
"""Keys that LlamaIndex's vector stores add: the node again, as JSON."""


class Model(Protocol):
    """Common interface of Encoder and Reranker."""

    def supports(self, modality: str, /) -> bool:
        """Whether the model accepts a modality."""
        ...

    def encodes_as_text(self, modality: str, /) -> bool:
        """Whether the model uses only the text of a modality."""
        ...


def segment_to_metadata(segment: Segment) -> dict[str, Value]:
    """Convert to flat metadata without None, which Chroma rejects; fields override metadata."""
    own = {name: getattr(segment, name) for name in sorted(FIELDS)}
    known = {name: value for name, value in own.items() if value is not None}
    tags: dict[str, Value] = {"tags": list(segment.tags)} if segment.tags else {}
    return {**segment.metadata, **known, **tags}


def segment_to_document_metadata(segment: Segment) -> dict[str, Value]:
    """Convert to metadata with the `id`, which frameworks replace when they split a document."""
    return {**segment_to_metadata(segment), "id": segment.id}


def segment_from_record(text: str | None, metadata: Mapping[str, Any] | None) -> Segment:
    """Convert a record back to a Segment."""
    metadata = metadata or {}
    own = {name: value for name, value in metadata.items() if name in FIELDS}
    other = {name: value for name, value in metadata.items() if name not in FIELDS | _FOREIGN}
    tags = tuple(other.pop("tags")) if isinstance(other.get("tags"), list | tuple) else ()
    segment = Segment(**own, text=text or "", metadata=other, tags=tags)
    if other.get("id") != segment.id:
        return segment
    del other["id"]
    return replace(segment, metadata=other)


def segment_of_foreign_record(
    text: str | None, metadata: Mapping[str, Any] | None
) -> Segment | None:
    """Convert another program's record to a Segment; None if the record is not one.

    Metadata that a Segment cannot have, such as lists other than tags, are left out.
    """
    known = {k: v for k, v in (metadata or {}).items() if _is_value(k, v)}
    if not known.keys() >= {"modality", "source", "sha256"} or known["modality"] not in MODALITIES:
        return None
    own = {name: value for name, value in known.items() if name in FIELDS}
    if not all(_fits(name, value) for name, value in own.items()):
        return None
    try:
        return segment_from_record(text, known)
    except InputError:  # page 0, a picture without its media, ...
        return None


def segment_to_json(segment: Segment) -> str:
    """Serialise a Segment for `segment_from_json`."""
    own = {name: getattr(segment, name) for name in sorted(FIELDS)}
    known = {name: value for name, value in own.items() if value is not None}
    known |= {"tags": segment.tags} if segment.tags else {}
    return json.dumps({**known, "text": segment.text, "metadata": dict(segment.metadata)})


def segment_from_json(record: str) -> Segment:
    """Deserialise the result of `segment_to_json`."""
    return Segment(**json.loads(record))


def hit_to_metadata(hit: Hit) -> dict[str, Value]:
    """Convert a Hit to flat metadata: those of its Segment, and its own.

    Its own are `id`, `rank` and `score`; the score of each stage (`score_lexical`,
    `score_vector_words`, `score_calibrated`, ...; see `Hit.scores`); the evidence of each signal
    (`evidence_meaning`, `evidence_words`, ...; see `Hit.evidence`); and if they exist `matched`,
    the text of the best passage of a page or clip, `also`, other files with the same content, and
    `same_words`, places in other files with the same words, both one per line.
    """
    stages = {f"score_{name.replace(':', '_')}": score for name, score in hit.scores.items()}
    stages |= {f"evidence_{name}": share for name, share in hit.evidence.items()}
    matched = next((segment.text for segment in hit.matched if segment.text), "")
    matched = "" if matched == hit.segment.text else matched
    same = [f"{one.source} {one.where}".strip() for one in hit.same_words]
    more = {"matched": matched, "also": "\n".join(hit.also), "same_words": "\n".join(same)}
    found: dict[str, Value] = {"rank": hit.rank, "score": hit.score, **stages}
    found |= {name: words for name, words in more.items() if words}
    return {**segment_to_document_metadata(hit.segment), **found}


def content_to_embed(text: str, metadata: Mapping[str, Any], model: Model) -> Content:
    """Convert a record to the input of an encoder: its media if supported, otherwise its text.

    A passage is always text, as in a collection, where its page is a separate record.

    Args:
        text: Text of the record.
        metadata: Metadata of the record. Records of other programs, without a known `modality` and
            its `media`, are treated as text.
        model: The encoder.
    """
    segment = _segment_of(text, metadata)
    return Text(text) if segment is None else taken_by(model, segment.content)


def content_of_record(text: str, metadata: Mapping[str, Any], model: Model) -> Content:
    """Convert a record to the input of a reranker: as `content_to_embed`, but a passage's page.

    Args:
        text: Text of the record.
        metadata: Metadata of the record.
        model: The reranker.
    """
    segment = _segment_of(text, metadata)
    if segment is None:
        return Text(text)
    shows_page = str(metadata.get("mime_type", "")).startswith("image/")
    if segment.modality == "text" and segment.media and shows_page and _sees(model):
        segment = replace(segment, modality="image")
    return taken_by(model, segment.content)


def taken_by(model: Model, content: Content) -> Content:
    """The content itself if the model accepts it, otherwise its text."""
    if isinstance(content, Mixed | Chat) or model.supports(content.modality):
        return content
    return Text(content.text or "")


def picture_of_record(metadata: Mapping[str, Any]) -> Path | None:
    """Path of a record's picture: the picture itself, its page, or a frame of its clip."""
    media, mime_type = metadata.get("media"), str(metadata.get("mime_type", ""))
    picture = media if mime_type.startswith("image/") else metadata.get("preview")
    return Path(picture) if picture and isinstance(picture, str) else None


def label_of_record(metadata: Mapping[str, Any]) -> str:
    """Origin of a record for people: `report.pdf, page 3` or `talk.mp4, 0:30-1:00`."""
    name = Path(str(metadata.get("source") or "")).name
    if member := metadata.get("member"):
        name = f"{name}/{member}"
    start, end = (_seconds(metadata, name) for name in ("start", "end"))
    where = place_in_words(metadata.get("page"), start, end, metadata.get("place"))
    return ", ".join(filter(None, (name, where)))


def _fits(field: str, value: object) -> bool:
    """Whether a value from metadata has the type of a Segment's field."""
    return isinstance(value, _TYPES.get(field, (str,)))


def _is_value(name: str, value: object) -> bool:
    """Whether a Segment's metadata can hold it: a scalar, or tags."""
    if name != "tags" or not isinstance(value, list | tuple):
        return isinstance(value, str | int | float)
    return all(isinstance(each, str) for each in cast("list[object]", value))


def _seconds(metadata: Mapping[str, Any], name: str) -> float | None:
    # Other programs' metadata may hold `"00:01:30"`.
    value = metadata.get(name)
    is_time = isinstance(value, int | float) and math.isfinite(value)
    return value if is_time else None


def _segment_of(text: str, metadata: Mapping[str, Any]) -> Segment | None:
    """The fields of a record's Segment that models need; None for records of other programs."""
    modality, media = metadata.get("modality"), metadata.get("media")
    if modality != "text" and not (modality in MODALITIES and isinstance(media, str)):
        return None
    values = {key: metadata.get(key) for key in ("title", "media", "start", "end")}
    known: dict[str, Any] = {key: value for key, value in values.items() if _fits(key, value)}
    return Segment(modality=modality, source="", sha256="", text=text, **known)


def _sees(model: Model) -> bool:
    return model.supports("image") and not model.encodes_as_text("image")
