"""Tiny models with random weights, in the file layouts of published ones.

No weights can be downloaded where tests run. A replica has the architecture, the processor and the
files of the published checkpoint, so what loads one loads the other.
"""

from __future__ import annotations

from .clip_models import clip
from .cross_encoders import cross_encoder
from .qwen import qwen3_vl
from .text import bert, plain_bert

__all__ = ["bert", "clip", "cross_encoder", "plain_bert", "qwen3_vl"]
