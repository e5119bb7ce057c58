"""MultimodalReranker."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_core.documents import Document

from langchain_mm_rag import MultimodalReranker, MultimodalRetriever
from mm_rag import Collection, Reranker
from mm_rag.errors import UnreadableMedia

DOCUMENTS = [
    Document("Bananas grow in the tropics.", id="bananas", metadata={"page": 0}),
    Document("The battery supplier may deliver late.", id="batteries", metadata={"title": "Risks"}),
    Document("The sea is deep."),
]


def test_best_is_first_and_input_untouched(reranker: Reranker) -> None:
    before = [document.model_copy(deep=True) for document in DOCUMENTS]
    found = MultimodalReranker(reranker=reranker, top_n=2).compress_documents(
        DOCUMENTS, "late delivery of batteries"
    )
    assert found[0].id == "batteries"
    assert found[0].metadata["title"] == "Risks"
    scores = [document.metadata["relevance_score"] for document in found]
    assert len(scores) == 2
    assert type(scores[0]) is float
    assert scores[0] > scores[1]
    assert before == DOCUMENTS


def test_model_with_eyes_is_given_the_page(
    seeing_reranker: Reranker, collection: Collection
) -> None:
    slides = MultimodalRetriever(collection=collection, k=9).invoke("batteries")
    found = MultimodalReranker(reranker=seeing_reranker).compress_documents(slides, "blue")
    assert found[0].metadata["page"] == 1
    assert found[0].metadata["relevance_score"] > 50
    assert len(found) == len(slides)


def test_page_of_a_passage_is_seen_too(seeing_reranker: Reranker, collection: Collection) -> None:
    passages = MultimodalRetriever(collection=collection, k=9, modalities=["text"])
    [passage] = [found for found in passages.invoke("revenue") if found.metadata["page"] == 1]
    passage = passage.model_copy(update={"metadata": {**passage.metadata, "modality": "text"}})
    reranker = MultimodalReranker(reranker=seeing_reranker)
    [found] = reranker.compress_documents([passage], "blue")
    assert found.metadata["relevance_score"] > 50


def test_moved_page_is_named(seeing_reranker: Reranker) -> None:
    metadata = {"modality": "image", "media": "/nowhere/page.png", "mime_type": "image/png"}
    reranker = MultimodalReranker(reranker=seeing_reranker)
    with pytest.raises(UnreadableMedia, match=r"page\.png"):
        reranker.compress_documents([Document("", metadata=metadata)], "blue")


def test_nothing_gives_nothing(reranker: Reranker) -> None:
    assert MultimodalReranker(reranker=reranker).compress_documents([], "x") == []


async def test_async_runs_in_another_thread(
    reranker: Reranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    compressor = MultimodalReranker(reranker=reranker, top_n=1)
    expected = compressor.compress_documents(DOCUMENTS, "sea")
    threads: list[int] = []
    rank = reranker.rank

    def watched(*args: Any, **settings: Any) -> Any:
        threads.append(threading.get_ident())
        return rank(*args, **settings)

    monkeypatch.setattr(reranker, "rank", watched)
    assert await compressor.acompress_documents(DOCUMENTS, "sea") == expected
    assert threading.get_ident() not in threads


def test_contextual_compression_retriever(
    seeing_reranker: Reranker, collection: Collection
) -> None:
    retriever = ContextualCompressionRetriever(
        base_compressor=MultimodalReranker(reranker=seeing_reranker, top_n=1),
        base_retriever=MultimodalRetriever(collection=collection, k=5),
    )
    [best] = retriever.invoke("batteries")
    assert best.metadata["page"] == 1
