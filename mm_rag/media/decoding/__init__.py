"""Two ways of decoding that give the same samples and frames: torchcodec and PyAV."""

from __future__ import annotations

from mm_rag.media.decoding.base import (
    Backend,
    Frame,
    FrameDecoder,
    SampleDecoder,
    decoding_backend,
    frame_decoder,
    sample_decoder,
)

__all__ = [
    "Backend",
    "Frame",
    "FrameDecoder",
    "SampleDecoder",
    "decoding_backend",
    "frame_decoder",
    "sample_decoder",
]
