"""A generative vision reranker behind LangChain's and LlamaIndex's rerankers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from langchain_core.documents import Document
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.postprocessor.mm_rag import MultimodalRerank
from llama_index.readers.mm_rag import MultimodalReader

from langchain_mm_rag import MultimodalLoader, MultimodalReranker, MultimodalRetriever
from mm_rag import Collection, Reranker
from mm_rag.errors import InputError
from tests.media_made import make_picture
from tests.mixed_made import Given, make_mixed_folder
from tests.parity.replicas.visual_rerankers import qwen3_vl_reranker

QUERY = "red boats"
WORDY = " ".join(["harbour"] * 400)  # longer than the model accepts


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_mixed_folder(tmp_path_factory.mktemp("mixed") / "files")


@pytest.fixture(scope="module")
def documents(files: Path) -> list[Document]:
    """Pages with their passages, a picture, a recording, a video, a note, a foreign one."""
    return [*MultimodalLoader(files).load(), Document("Harbours are deep.", metadata={"page": 0})]


@pytest.fixture(scope="module")
def nodes(files: Path) -> list[NodeWithScore]:
    """The same files as nodes."""
    loaded = MultimodalReader().load_data(files)
    return [NodeWithScore(node=node) for node in [*loaded, TextNode(text="Harbours are deep.")]]


@pytest.fixture(scope="module")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> Reranker:
    return Reranker(qwen3_vl_reranker(tmp_path_factory.mktemp("reranker")), device="cpu")


def test_langchain_shows_pages_pictures_and_clips(
    documents: list[Document], reranker: Reranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Given(reranker, monkeypatch)
    found = MultimodalReranker(reranker=reranker).compress_documents(documents, QUERY)

    # Both passages of the PDF are scored as their pages; the horn and the notes as text.
    assert given.modalities == {"image": 5, "video": 1, "text": 3}
    scores = [document.metadata["relevance_score"] for document in found]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert json.loads(json.dumps(scores)) == scores


def test_llama_index_shows_pages_pictures_and_clips(
    nodes: list[NodeWithScore], reranker: Reranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Given(reranker, monkeypatch)
    found = MultimodalRerank(reranker=reranker, top_n=4).postprocess_nodes(nodes, query_str=QUERY)

    assert given.modalities == {"image": 5, "video": 1, "text": 3}
    scores = [node.get_score() for node in found]
    assert len(found) == 4
    assert scores == sorted(scores, reverse=True)
    assert json.loads(json.dumps(scores)) == scores


def test_both_give_the_same_scores(
    documents: list[Document], nodes: list[NodeWithScore], reranker: Reranker
) -> None:
    langchain = MultimodalReranker(reranker=reranker).compress_documents(documents, QUERY)
    rerank = MultimodalRerank(reranker=reranker, top_n=9)
    llama_index = rerank.postprocess_nodes(nodes, query_str=QUERY)

    expected = {document.id: document.metadata["relevance_score"] for document in langchain[:9]}
    found = {node.node_id: node.get_score() for node in llama_index if node.node_id in expected}
    assert len(found) == 8
    assert found == pytest.approx({name: expected[name] for name in found}, abs=1e-5)


def test_a_picture_asks(
    documents: list[Document], nodes: list[NodeWithScore], reranker: Reranker, tmp_path: Path
) -> None:
    photo = make_picture(tmp_path / "photo.png", "boats")
    asked = {"text": QUERY, "image": photo}
    [best] = MultimodalReranker(reranker=reranker, top_n=1).compress_documents(documents, asked)
    bundle = QueryBundle(QUERY, image_path=str(photo))
    rerank = MultimodalRerank(reranker=reranker, top_n=1)
    [found] = rerank.postprocess_nodes(nodes, query_bundle=bundle)

    assert found.get_score() == pytest.approx(best.metadata["relevance_score"], abs=1e-5)


def test_a_query_that_is_too_long_says_what_to_do(
    documents: list[Document], nodes: list[NodeWithScore], reranker: Reranker
) -> None:
    with pytest.raises(InputError, match=r"shorter query.*max_seq_length"):
        MultimodalReranker(reranker=reranker).compress_documents(documents, WORDY)
    with pytest.raises(InputError, match=r"shorter query.*max_seq_length"):
        MultimodalRerank(reranker=reranker).postprocess_nodes(nodes, query_str=WORDY)


def test_a_retriever_searches_with_it_whatever_the_query(
    files: Path, reranker: Reranker, tmp_path: Path
) -> None:
    with Collection(tmp_path / "collection", reranker=reranker) as collection:
        collection.sync(files)
        retriever = MultimodalRetriever(collection=collection, k=9)

        assert all("score_rerank" in found.metadata for found in retriever.invoke(QUERY))
        assert not any("score_rerank" in found.metadata for found in retriever.invoke(WORDY))
        assert len(retriever.invoke(WORDY)) == 6
