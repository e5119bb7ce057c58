"""Queries with their documents, and how many tokens all pairs share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from transformers import AutoTokenizer

from benchmarks.rerankers.checkpoints import INSTRUCTION
from benchmarks.rerankers.flops import TextShape, VisionShape, picture_operations, text_operations
from benchmarks.rerankers.material import Words, page
from benchmarks.rerankers.plans import Plan

_SIDE = 32  # pixels of a token


@dataclass(frozen=True, kw_only=True)
class Case:
    """A query and its documents.

    Attributes:
        name: Name in the table.
        query: A text or a picture.
        documents: Texts or pictures.
        prefix: Number of tokens that all pairs begin with.
        rests: Number of tokens of each pair after the prefix.
        pictures: Number of tokens of each picture that the vision tower encodes.
        seen: Whether the documents' pictures are in the feature cache.
    """

    name: str
    query: str | Image.Image
    documents: Sequence[str | Image.Image]
    prefix: int
    rests: Sequence[int]
    pictures: Sequence[int] = ()
    seen: bool = False

    @property
    def pairs(self) -> list[Any]:
        """Pairs in the form that both libraries accept."""
        return [(self.query, document) for document in self.documents]

    def operations(self, text: TextShape, vision: VisionShape) -> float:
        """The least number of operations: the prefix and each picture are computed once."""
        looked = sum(picture_operations(vision, text.width, tokens) for tokens in self.pictures)
        return looked + text_operations(text, self.prefix, self.rests)


class Cases:
    """Makes the cases of a plan for a checkpoint.

    Args:
        folder: The checkpoint, whose tokenizer and template determine lengths.
        plan: Sizes.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self._plan = plan
        self._words = Words(7)

    def texts(self, prefix: int) -> Case:
        """A text query and texts, which share about `prefix` tokens."""
        query = self._query(prefix)
        documents = self._documents(self._plan.documents)
        rows = [self._row(query, document) for document in documents]
        shared = _shared(rows)
        return Case(
            name=f"text query, {len(rows)} texts",
            query=query,
            documents=documents,
            prefix=shared,
            rests=[len(row) - shared for row in rows],
        )

    def pages(self, *, seen: bool) -> Case:
        """A text query and pictures of pages, in the feature cache or not."""
        query = self._query(100)
        pages = [page(number) for number in range(self._plan.pages)]
        shown = _tokens_of(pages[0], self._plan.page_tokens)
        shared, tail = self._around_document(query)
        return Case(
            name=f"text query, {len(pages)} pages {'seen before' if seen else 'never seen'}",
            query=query,
            documents=pages,
            prefix=shared,
            rests=[shown + tail] * len(pages),
            pictures=[] if seen else [shown] * len(pages),
            seen=seen,
        )

    def picture_query(self) -> Case:
        """A picture query and texts."""
        side = _SIDE * round(self._plan.query_tokens**0.5)
        query = page(99, side, side)
        documents = self._documents(self._plan.image_documents)
        shown = _tokens_of(query, self._plan.page_tokens)
        before, tail = self._around_document("")
        return Case(
            name=f"picture query, {len(documents)} texts",
            query=query,
            documents=documents,
            prefix=before + shown,
            rests=[self._count(document) + tail for document in documents],
            pictures=[shown],
        )

    def _documents(self, count: int) -> list[str]:
        lengths = [self._words.length(self._plan.document_tokens) for _ in range(count)]
        return [self._words.text_of(length, self._count) for length in lengths]

    def _query(self, prefix: int) -> str:
        before, _ = self._around_document("")
        return self._words.text_of(max(1, prefix - before), self._count)

    def _around_document(self, query: str) -> tuple[int, int]:
        """Number of tokens before and after a document."""
        rows = [self._row(query, document) for document in ("yes", "no")]
        before = _shared(rows)
        return before, len(rows[0]) - before - 1

    def _row(self, query: str, document: str) -> list[int]:
        contents = {"system": INSTRUCTION, "query": query, "document": document}
        messages = [{"role": role, "content": content} for role, content in contents.items()]
        rendered = self._tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        return self._tokenizer(rendered)["input_ids"]

    def _count(self, text: str) -> int:
        return len(self._tokenizer(text)["input_ids"])


def _shared(rows: list[list[int]]) -> int:
    """Number of tokens that all rows begin with."""
    columns = enumerate(zip(*rows, strict=False))
    return next((i for i, column in columns if len(set(column)) > 1), min(map(len, rows)))


def _tokens_of(picture: Image.Image, most: int) -> int:
    """About as many tokens as the processor makes of a picture."""
    return min(most, picture.width * picture.height // _SIDE**2)
