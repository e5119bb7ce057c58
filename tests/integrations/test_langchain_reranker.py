"""MultimodalReranker."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.runnables import ConfigurableField, RunnablePassthrough
from PIL import Image as PILImage
from pydantic import ValidationError

from langchain_mm_rag import MultimodalReranker, MultimodalRetriever
from mm_rag import Collection, Reranker
from mm_rag.content import Image, Video
from mm_rag.errors import InputError, UnreadableMedia, UnsupportedModality

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


def test_moved_page_is_named(seeing_reranker: Reranker, tmp_path: Path) -> None:
    PILImage.new("RGB", (8, 8), "blue").save(tmp_path / "there.png")
    pages = [
        Document(
            "",
            metadata={
                "modality": "image",
                "media": str(tmp_path / name),
                "mime_type": "image/png",
                "source": "/archive/deck.pdf",
                "page": page,
            },
        )
        for page, name in enumerate(["there.png", "gone.png"], 3)
    ]
    reranker = MultimodalReranker(reranker=seeing_reranker)
    with pytest.raises(
        UnreadableMedia, match=r"Input 1: the Document 'deck\.pdf, page 4' .*gone\.png"
    ) as raised:
        reranker.compress_documents(pages, "blue")
    assert raised.value.position == 1


def test_clip_that_ends_before_it_starts_is_named(reranker: Reranker) -> None:
    metadata = {"modality": "video", "media": "a.mp4", "source": "a.mp4", "start": 5.0, "end": 1.0}
    clip = Document("words", metadata=metadata)
    with pytest.raises(InputError, match=r"the Document 'a\.mp4, 0:05-0:01' .* ends after"):
        MultimodalReranker(reranker=reranker).compress_documents([DOCUMENTS[0], clip], "sea")


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


class Watching(BaseCallbackHandler):
    """Records runs and their results."""

    def __init__(self) -> None:
        self.started: list[str | None] = []
        self.outputs: list[Any] = []

    def on_chain_start(self, *_: Any, name: str | None = None, **__: Any) -> None:
        self.started.append(name)

    def on_chain_end(self, outputs: Any, **_: Any) -> None:
        self.outputs.append(outputs)


async def test_it_is_a_runnable(reranker: Reranker) -> None:
    runnable = MultimodalReranker(reranker=reranker, top_n=1)
    query = "late delivery of batteries"
    expected = runnable.compress_documents(DOCUMENTS, query)
    asked: Any = {"query": query, "documents": DOCUMENTS}
    watching = Watching()
    assert runnable.invoke(asked, {"callbacks": [watching]}) == expected
    assert await runnable.ainvoke(asked, {"callbacks": [watching]}) == expected
    assert runnable.batch([asked, asked]) == [expected, expected]
    assert watching.started == ["MultimodalReranker"] * 2
    assert watching.outputs == [expected] * 2


def test_as_a_compressor_it_is_traced(reranker: Reranker) -> None:
    watching = Watching()
    MultimodalReranker(reranker=reranker).compress_documents(DOCUMENTS, "sea", [watching])
    assert watching.started == ["MultimodalReranker"]


def test_in_a_chain_behind_a_retriever(seeing_reranker: Reranker, collection: Collection) -> None:
    chain = {
        "query": RunnablePassthrough[str](),
        "documents": MultimodalRetriever(collection=collection, k=5),
    } | MultimodalReranker(reranker=seeing_reranker, top_n=1)
    [best] = chain.invoke("batteries")
    assert best.metadata["page"] == 1


def test_copies_with_other_settings_share_the_model(reranker: Reranker) -> None:
    runnable = MultimodalReranker(reranker=reranker).configurable_fields(
        top_n=ConfigurableField(id="top_n")
    )
    asked: Any = {"query": "sea", "documents": DOCUMENTS}
    assert len(runnable.invoke(asked)) == 3
    assert len(runnable.invoke(asked, {"configurable": {"top_n": 2}})) == 2


def test_a_picture_can_ask(reranker: Reranker, tmp_path: Path) -> None:
    compressor = MultimodalReranker(reranker=reranker)
    found = compressor.compress_documents(
        DOCUMENTS, Image(tmp_path / "not-opened.png", text="bananas in the tropics")
    )
    assert found[0].id == "bananas"


def test_a_query_that_the_model_does_not_take(seeing_reranker: Reranker) -> None:
    compressor = MultimodalReranker(reranker=seeing_reranker)
    with pytest.raises(UnsupportedModality, match=r"video \(query\)"):
        compressor.compress_documents(DOCUMENTS, Video(Path("film.mp4")))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"query": " ", "documents": DOCUMENTS}, "query is empty"),
        ({"query": None, "documents": DOCUMENTS}, "Cannot use a NoneType"),
        ({"query": "sea", "documents": ["words"]}, "Expected Documents; got a str"),
        ({"query": "sea", "documents": None}, "Expected a list of Documents; got a NoneType"),
        (
            {"query": "sea", "documents": DOCUMENTS[0]},
            "a list of Documents; got a Document",
        ),
        ({"query": "sea"}, r"expects \{'query'"),
        ("sea", r"expects \{'query'.* got a str"),
    ],
)
def test_wrong_input_is_named(reranker: Reranker, given: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        MultimodalReranker(reranker=reranker).invoke(given)


def test_its_schemas_can_be_told(reranker: Reranker) -> None:
    """LangServe, `as_tool` and graphs request them; pydantic rejected the type of the input."""
    schema = MultimodalReranker(reranker=reranker).get_input_jsonschema()
    assert set(schema["$defs"]["RerankInput"]["properties"]) == {"query", "documents"}


def test_model_and_reranker_contradict(reranker: Reranker) -> None:
    with pytest.raises(ValidationError, match="a model or a reranker"):
        MultimodalReranker(model="another", reranker=reranker)


def test_threads_do_not_share_the_tokenizer(
    reranker: Reranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts were split into windows while another thread configured the tokenizer for a batch."""
    chain: Any = getattr(reranker.model, "chain")  # noqa: B009
    split, free = chain.input.split, list[bool]()

    def watched(content: Any) -> Any:
        def attempt() -> None:
            free.append(chain.lock.acquire(blocking=False))

        other = threading.Thread(target=attempt)
        other.start()
        other.join()
        return split(content)

    monkeypatch.setattr(chain.input, "split", watched)
    MultimodalReranker(reranker=reranker).compress_documents(DOCUMENTS, "sea")
    assert free == [False] * (1 + len(DOCUMENTS))  # the query, too
