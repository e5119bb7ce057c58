"""Item: a record that is to be shown, under a label that a chat model can cite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mm_rag.record import hit_to_metadata, segment_to_metadata
from mm_rag.segment import Hit, Segment


@dataclass(frozen=True, kw_only=True)
class Item:
    """A record under a label.

    Attributes:
        label: Where it comes from, as a chat model is to cite it.
        text: Its words.
        metadata: Its metadata, under the names of `Segment`'s fields; one that no mm_rag wrote is
            its words.
        picture: What it shows, a file or a file's bytes, where the metadata do not say it.
    """

    label: str
    text: str
    metadata: Mapping[str, Any]
    picture: Path | bytes | None = None

    @classmethod
    def of_segment(cls, segment: Segment, label: str) -> Item:
        """A Segment under a label."""
        return cls(label=label, text=segment.text, metadata=segment_to_metadata(segment))

    @classmethod
    def of_hit(cls, hit: Hit, label: str) -> Item:
        """A Hit under a label."""
        return cls(label=label, text=hit.segment.text, metadata=hit_to_metadata(hit))
