"""Transcribers: turn speech into words."""

from __future__ import annotations

from mm_rag.extraction.speech import (
    PocketSphinxTranscriber,
    Transcriber,
    Transcript,
    WhisperBaseTranscriber,
    Word,
)
from mm_rag.transcribers.whisper import WhisperTranscriber

__all__ = [
    "PocketSphinxTranscriber",
    "Transcriber",
    "Transcript",
    "WhisperBaseTranscriber",
    "WhisperTranscriber",
    "Word",
]
