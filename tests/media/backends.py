"""The decoding backends that tests run on."""

from __future__ import annotations

import os

import pytest

from mm_rag.media.decoding import Backend, decoding_backend

_REQUIRED = os.environ.get("MM_RAG_REQUIRE_FFMPEG") == "1"
_NO_FFMPEG = pytest.mark.skipif(
    decoding_backend() != "torchcodec" and not _REQUIRED,
    reason="FFmpeg's shared libraries are not installed, so torchcodec cannot decode",
)

PYAV: Backend = "pyav"
TORCHCODEC: Backend = "torchcodec"
both_backends = pytest.mark.parametrize(
    "backend", [PYAV, pytest.param(TORCHCODEC, marks=_NO_FFMPEG)]
)
needs_ffmpeg = _NO_FFMPEG
