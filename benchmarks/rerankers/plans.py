"""Sizes of the models and the cases."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from benchmarks.rerankers.flops import TextShape, VisionShape


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Sizes of one benchmark.

    Attributes:
        text: The text model; None to use the vision-language model for texts too.
        visual_text: Language model of the vision-language model.
        vision: Vision tower of the vision-language model.
        dtype: Type of both libraries' weights.
        prefixes: About how many tokens all pairs of a case begin with.
        documents: Texts of a case.
        document_tokens: About how many tokens a text has.
        pages: Pictures of a case.
        page_tokens: Most tokens of a page.
        query_tokens: About how many tokens a picture query has.
        image_documents: Texts ranked for a picture query.
        batch_sizes: Batch sizes of sentence-transformers, of which the fastest is chosen.
        rounds: Rounds of timing.
    """

    text: TextShape | None
    visual_text: TextShape
    vision: VisionShape
    dtype: torch.dtype = torch.float32
    prefixes: tuple[int, ...] = (60, 260, 900)
    documents: int = 50
    document_tokens: int = 160
    pages: int = 6
    page_tokens: int = 640
    query_tokens: int = 320
    image_documents: int = 8
    batch_sizes: tuple[int, ...] = (1, 4, 8, 16, 32)
    rounds: int = 3


def _text(layers: int, width: int = 512, inner: int = 1536) -> TextShape:
    return TextShape(
        width=width, layers=layers, heads=8, key_value_heads=4, head_dim=width // 8, inner=inner
    )


USUAL = Plan(
    text=_text(4),
    visual_text=_text(8),
    vision=VisionShape(width=384, layers=6, heads=6, inner=1536, deepstack=(1, 3, 5)),
)
"""Small models: half an hour on one core."""

GPU = Plan(
    text=None,
    visual_text=TextShape(
        width=2048, layers=28, heads=16, key_value_heads=8, head_dim=128, inner=6144
    ),
    vision=VisionShape(width=1024, layers=24, heads=16, inner=4096, deepstack=(5, 11, 17)),
    dtype=torch.bfloat16,
    pages=50,
    page_tokens=1280,
    query_tokens=1280,
    image_documents=50,
    rounds=5,
)
"""The size of Qwen3-VL-Reranker-2B, with a smaller vocabulary."""

QUICK = Plan(
    text=_text(2, width=128, inner=128),
    visual_text=_text(4, width=128, inner=128),
    vision=VisionShape(width=64, layers=4, heads=2, inner=128, deepstack=(0, 1, 2)),
    prefixes=(60,),
    documents=5,
    document_tokens=30,
    pages=2,
    page_tokens=100,
    query_tokens=64,
    image_documents=3,
    batch_sizes=(1, 32),
    rounds=1,
)
"""Seconds, to check that it runs; the numbers mean nothing."""
