"""Turns: what one answer to an agent takes of the chat model's attention, counted by others."""

from __future__ import annotations

import base64
import io
import tempfile
from pathlib import Path
from typing import Any

from langchain_core.messages import ToolMessage
from llama_index.core.utils import get_tokenizer
from PIL import Image

from benchmarks.markdown import as_table
from langchain_mm_rag import MultimodalSearchTool
from mm_rag import Collection, Encoder
from mm_rag.demo import make_samples

_BUDGETS = (8_000, 5_000, 3_000)
_PIXELS = 750  # for a token, as Anthropic states for its models
_QUESTION = "revenue, ridership and costs of the ferry lines by quarter"


def turns_table(encoder: Encoder) -> str:
    """Five pages of a slide deck, given to an agent under several budgets."""
    with tempfile.TemporaryDirectory(prefix="mm-rag-bench-") as folder:
        make_samples(Path(folder) / "samples")
        with Collection(Path(folder) / "collection", encoder=encoder) as collection:
            collection.sync(next((Path(folder) / "samples").glob("*.pdf")))
            rows = [_row(collection, budget) for budget in _BUDGETS]
    heads = ["budget, tokens", "words", "pictures", "together", "pictures shown", "pixels of each"]
    return as_table(heads, rows) + (
        "\nOne `search` that finds five slides. Words counted by cl100k_base, pictures as width x "
        f"height / {_PIXELS}; the budget itself counts more cautiously.\n"
    )


def _row(collection: Collection, budget: int) -> list[str]:
    call = {"name": "search", "args": {"query": _QUESTION, "k": 5}, "id": "1", "type": "tool_call"}
    message = MultimodalSearchTool(collection, budget=budget).invoke(call)
    assert isinstance(message, ToolMessage)
    blocks: list[dict[str, Any]] = [dict(block) for block in message.content_blocks]
    count = get_tokenizer()
    words = sum(len(count(block["text"])) for block in blocks if block["type"] == "text")
    sizes = [_size(block) for block in blocks if block["type"] == "image"]
    pictures = sum(-(-width * height // _PIXELS) for width, height in sizes)
    largest = "{} x {}".format(*max(sizes)) if sizes else ""
    numbers = (budget, words, pictures, words + pictures, len(sizes))
    return [*(f"{number:,}" for number in numbers), largest]


def _size(block: dict[str, Any]) -> tuple[int, int]:
    return Image.open(io.BytesIO(base64.b64decode(block["base64"]))).size
