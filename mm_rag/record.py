"""A record: a Segment as other programs hold it, which is a text and flat metadata.

A record of Chroma, a Document of LangChain and a node of LlamaIndex have just these two. The keys
are the names of Segment's fields in all of them, so that what one wrote the others can read.
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
"""The names of a Segment's fields that stand in metadata as they are."""

Value: TypeAlias = Scalar | list[str]
"""Of metadata; the tags are a list."""

_TYPES: Mapping[str, tuple[type, ...]] = {
    "page": (int,),
    "part": (int,),
    "start": (int, float),
    "end": (int, float),
}
"""Of the fields that are no str."""

_FOREIGN = frozenset({"_node_content", "_node_type", "doc_id", "document_id", "ref_doc_id"})
"""What LlamaIndex's vector stores add to metadata: the same once more, as JSON."""


class Model(Protocol):
    """What an Encoder and a Reranker have in common."""

    def supports(self, modality: str, /) -> bool:
        """Whether it takes a modality."""
        ...

    def reads(self, modality: str, /) -> bool:
        """Whether it takes a modality for the words in it only."""
        ...


def segment_to_metadata(segment: Segment) -> dict[str, Value]:
    """Flat metadata without nulls, which Chroma refuses. The Segment's own fields come first."""
    own = {name: getattr(segment, name) for name in sorted(FIELDS)}
    known = {name: value for name, value in own.items() if value is not None}
    tags: dict[str, Value] = {"tags": list(segment.tags)} if segment.tags else {}
    return {**segment.metadata, **known, **tags}


def segment_to_document_metadata(segment: Segment) -> dict[str, Value]:
    """The same with the Segment's `id`, which a framework loses when it splits a document."""
    return {**segment_to_metadata(segment), "id": segment.id}


def segment_from_record(text: str | None, metadata: Mapping[str, Any] | None) -> Segment:
    """The Segment that was stored."""
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
    """The Segment that another program stored, or None where it stored something else.

    Metadata of its own that no Segment can have, such as lists other than tags, are left out.
    """
    told = {k: v for k, v in (metadata or {}).items() if _is_value(k, v)}
    if not told.keys() >= {"modality", "source", "sha256"} or told["modality"] not in MODALITIES:
        return None
    own = {name: value for name, value in told.items() if name in FIELDS}
    if not all(_fits(name, value) for name, value in own.items()):
        return None
    try:
        return segment_from_record(text, told)
    except InputError:  # page 0, a picture without its media, ...
        return None


def segment_to_json(segment: Segment) -> str:
    """All of a Segment, as `segment_from_json` reads it."""
    own = {name: getattr(segment, name) for name in sorted(FIELDS)}
    known = {name: value for name, value in own.items() if value is not None}
    known |= {"tags": segment.tags} if segment.tags else {}
    return json.dumps({**known, "text": segment.text, "metadata": dict(segment.metadata)})


def segment_from_json(record: str) -> Segment:
    """The Segment that `segment_to_json` wrote."""
    return Segment(**json.loads(record))


def hit_to_metadata(hit: Hit) -> dict[str, Value]:
    """The metadata of the Segment that was found, and of the Hit, flat.

    `id`, `rank` and `score`; what each stage says (`score_lexical`, `score_vector_words`,
    `score_calibrated`, ...; see `Hit.scores`); where there are any, `matched`, the words of the
    best passage of a page or clip, and `also`, the other files with the same content, one per line.
    """
    stages = {f"score_{name.replace(':', '_')}": score for name, score in hit.scores.items()}
    matched = next((segment.text for segment in hit.matched if segment.text), "")
    matched = "" if matched == hit.segment.text else matched
    more = {"matched": matched, "also": "\n".join(hit.also)}
    found: dict[str, Value] = {"rank": hit.rank, "score": hit.score, **stages}
    found |= {name: words for name, words in more.items() if words}
    return {**segment_to_document_metadata(hit.segment), **found}


def content_to_embed(text: str, metadata: Mapping[str, Any], model: Model) -> Content:
    """What an encoder is given of a record: its picture or clip if it takes that, else its words.

    A passage is its words, as in a collection: its page is a record of its own.

    Args:
        text: The record's text.
        metadata: Its metadata. A record that no mm_rag wrote is words: it has no `modality`, or
            one that means something else, or no `media` to it.
        model: The encoder.
    """
    segment = _segment_of(text, metadata)
    return Text(text) if segment is None else taken_by(model, segment.content)


def content_of_record(text: str, metadata: Mapping[str, Any], model: Model) -> Content:
    """What a reranker is given of a record: as `content_to_embed`, and of a passage its page.

    Args:
        text: The record's text.
        metadata: Its metadata.
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
    """The content itself if the model takes it, else its words."""
    if isinstance(content, Mixed | Chat) or model.supports(content.modality):
        return content
    return Text(content.text or "")


def picture_of_record(metadata: Mapping[str, Any]) -> Path | None:
    """The file of the picture that a record shows: itself, its page, or a frame of its clip."""
    media, mime_type = metadata.get("media"), str(metadata.get("mime_type", ""))
    picture = media if mime_type.startswith("image/") else metadata.get("preview")
    return Path(picture) if picture and isinstance(picture, str) else None


def label_of_record(metadata: Mapping[str, Any]) -> str:
    """Where a record comes from, for people: `report.pdf, page 3` or `talk.mp4, 0:30-1:00`."""
    name = Path(str(metadata.get("source") or "")).name
    where = place_in_words(metadata.get("page"), *(_seconds(metadata, n) for n in ("start", "end")))
    return ", ".join(filter(None, (name, where)))


def _fits(field: str, value: object) -> bool:
    """Whether a Segment's field can have a value, which other programs' metadata hold."""
    return isinstance(value, _TYPES.get(field, (str,)))


def _is_value(name: str, value: object) -> bool:
    """Whether a Segment can have it: a scalar, or tags."""
    if name != "tags" or not isinstance(value, list | tuple):
        return isinstance(value, str | int | float)
    return all(isinstance(each, str) for each in cast("list[object]", value))


def _seconds(metadata: Mapping[str, Any], name: str) -> float | None:
    # Metadata may be anybody's, and hold `"00:01:30"`.
    value = metadata.get(name)
    is_time = isinstance(value, int | float) and math.isfinite(value)
    return value if is_time else None


def _segment_of(text: str, metadata: Mapping[str, Any]) -> Segment | None:
    """What a model needs to know of a record's Segment; None for a record of another program."""
    modality, media = metadata.get("modality"), metadata.get("media")
    if modality != "text" and not (modality in MODALITIES and isinstance(media, str)):
        return None
    told = {key: metadata.get(key) for key in ("title", "media", "start", "end")}
    known: dict[str, Any] = {key: value for key, value in told.items() if _fits(key, value)}
    return Segment(modality=modality, source="", sha256="", text=text, **known)


def _sees(model: Model) -> bool:
    return model.supports("image") and not model.reads("image")
