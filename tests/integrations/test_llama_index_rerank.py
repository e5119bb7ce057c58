"""MultimodalRerank, alone and with nodes from vector stores."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chromadb
import pytest
from llama_index.core.base.llms.types import ImageBlock, TextBlock
from llama_index.core.bridge.pydantic import Field
from llama_index.core.schema import (
    ImageNode,
    MetadataMode,
    Node,
    NodeRelationship,
    NodeWithScore,
    QueryBundle,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores import VectorStoreQuery
from llama_index.postprocessor.mm_rag import MultimodalRerank
from llama_index.retrievers.mm_rag import MultimodalQuery
from llama_index.utils.mm_rag.nodes import with_picture
from llama_index.vector_stores.chroma import ChromaVectorStore
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.event_handlers import BaseEventHandler

from mm_rag import Collection, Encoder, Reranker
from mm_rag.errors import InputError, UnreadableMedia
from mm_rag.record import segment_to_metadata


@pytest.fixture
def nodes() -> list[NodeWithScore]:
    texts = ["Bananas grow.", "The battery supplier may deliver late.", "The sea is deep."]
    return [NodeWithScore(node=TextNode(text=text), score=0.5) for text in texts]


def test_rerank_gives_new_nodes_with_scores(nodes: list[NodeWithScore], reranker: Reranker) -> None:
    rerank = MultimodalRerank(reranker=reranker, top_n=2)
    found = rerank.postprocess_nodes(nodes, query_str="late delivery of batteries")
    assert found[0].node is nodes[1].node
    assert len(found) == 2
    assert found[0].get_score() > found[1].get_score()
    assert [node.score for node in nodes] == [0.5, 0.5, 0.5]
    assert rerank.postprocess_nodes([], query_str="x") == []


async def test_rerank_async(nodes: list[NodeWithScore], reranker: Reranker) -> None:
    rerank = MultimodalRerank(reranker=reranker, top_n=1)
    found = await rerank.apostprocess_nodes(nodes, query_str="late delivery of batteries")
    assert found == rerank.postprocess_nodes(nodes, query_str="late delivery of batteries")


def test_rerank_without_query_is_refused(nodes: list[NodeWithScore], reranker: Reranker) -> None:
    with pytest.raises(InputError, match="query_bundle or query_str"):
        MultimodalRerank(reranker=reranker).postprocess_nodes(nodes)


class _Recorder(BaseEventHandler):
    names: list[str] = Field(default_factory=list[str])

    def handle(self, event: Any, **kwargs: Any) -> None:
        self.names.append(event.class_name())


def test_rerank_emits_events(nodes: list[NodeWithScore], reranker: Reranker) -> None:
    recorder, root = _Recorder(), get_dispatcher()
    root.add_event_handler(recorder)
    try:
        MultimodalRerank(reranker=reranker).postprocess_nodes(nodes, query_str="sea")
    finally:
        root.event_handlers.remove(recorder)
    assert recorder.names == ["ReRankStartEvent", "ReRankEndEvent"]


def test_rerank_round_trips() -> None:
    rerank = MultimodalRerank(top_n=2)
    pickled = pickle.dumps(rerank)
    assert len(pickled) < 5_000
    for again in (MultimodalRerank.from_dict(rerank.to_dict()), pickle.loads(pickled)):
        assert isinstance(again, MultimodalRerank)
        assert again.to_dict() == rerank.to_dict()


def test_rerank_with_its_own_model_does_not_come_back_as_another(reranker: Reranker) -> None:
    rerank = MultimodalRerank(reranker=reranker)
    for save in (rerank.to_dict, rerank.to_json, lambda: pickle.dumps(rerank)):
        with pytest.raises(InputError, match=r"Reranker\.save"):
            save()


@pytest.mark.parametrize("wrong", [3, ["words"]])
def test_a_query_of_the_wrong_type_is_refused(
    nodes: list[NodeWithScore], reranker: Reranker, wrong: Any
) -> None:
    rerank = MultimodalRerank(reranker=reranker)
    with pytest.raises(InputError, match=f"got a {type(wrong).__name__}"):
        rerank.postprocess_nodes(nodes, query_str=wrong)
    with pytest.raises(InputError, match=f"QueryBundle; got a {type(wrong).__name__}"):
        rerank.postprocess_nodes(nodes, query_bundle=wrong)


@pytest.mark.parametrize("empty", [QueryBundle(" "), MultimodalQuery()])
def test_an_empty_query_is_refused(
    nodes: list[NodeWithScore], reranker: Reranker, empty: QueryBundle
) -> None:
    with pytest.raises(InputError, match="The query is empty"):
        MultimodalRerank(reranker=reranker).postprocess_nodes(nodes, query_bundle=empty)


def test_a_file_that_moved_is_named(seeing_reranker: Reranker, tmp_path: Path) -> None:
    rerank = MultimodalRerank(reranker=seeing_reranker)
    gone = NodeWithScore(node=ImageNode(image_path=str(tmp_path / "gone.png")))
    with pytest.raises(UnreadableMedia, match=r"gone\.png"):
        rerank.postprocess_nodes([gone], query_str="blue")


async def test_async_leaves_the_event_loop_alone(
    nodes: list[NodeWithScore], reranker: Reranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    rank = reranker.rank

    def watched(*args: Any, **settings: Any) -> Any:
        threads.append(threading.get_ident())
        return rank(*args, **settings)

    monkeypatch.setattr(reranker, "rank", watched)
    await MultimodalRerank(reranker=reranker).apostprocess_nodes(nodes, query_str="sea")
    assert threads
    assert threading.get_ident() not in threads


def test_copies_share_the_weights(reranker: Reranker) -> None:
    assert copy.deepcopy(MultimodalRerank(reranker=reranker)).reranker is reranker


@pytest.fixture
def stored(collection: Collection, encoder: Encoder) -> list[NodeWithScore]:
    """The slides as ChromaVectorStore reads records that LlamaIndex did not write."""
    hits = collection.shown(collection.search("slide", 9, modalities=["image"]))
    segments = [hit.segment for hit in hits]
    client = chromadb.EphemeralClient()
    chroma: Any = client.get_or_create_collection("slides", embedding_function=None)
    chroma.upsert(
        ids=[segment.id for segment in segments],
        embeddings=encoder.encode_document([segment.content for segment in segments]),
        documents=[segment.text for segment in segments],
        metadatas=[dict(segment_to_metadata(segment)) for segment in segments],
    )
    query = VectorStoreQuery(query_embedding=[1.0] * encoder.dimension, similarity_top_k=9)
    found = ChromaVectorStore(chroma_collection=chroma).query(query)
    return [NodeWithScore(node=node) for node in found.nodes or []]


def test_records_of_a_vector_store_get_their_pictures_back(
    stored: list[NodeWithScore], seeing_reranker: Reranker, slide_of: Callable[[bytes], str]
) -> None:
    assert {type(each.node) for each in stored} == {TextNode}
    rerank = MultimodalRerank(reranker=seeing_reranker, top_n=1)
    [best] = rerank.postprocess_nodes(stored, query_str="blue")
    assert isinstance(best.node, Node)
    assert best.node_id in {each.node_id for each in stored}
    source, words, picture = best.node.get_content_blocks(MetadataMode.LLM)
    assert isinstance(source, TextBlock)
    assert "page: 1" in source.text
    assert "sha256" not in source.text
    assert isinstance(words, TextBlock)
    assert words.text.startswith("Revenue by quarter")
    assert isinstance(picture, ImageBlock)
    assert slide_of(picture.resolve_image().read()) == "blue"


def test_a_record_whose_picture_is_gone_stays_a_text(stored: list[NodeWithScore]) -> None:
    node = stored[0].node
    moved = {**node.metadata, "media": "/gone/page.jpg"}
    record = TextNode(text="words", metadata=moved)
    assert with_picture(record) is record
    plain = TextNode(text="words", metadata={"modality": "image", "media": node.metadata["media"]})
    assert with_picture(plain) is plain


def test_a_record_keeps_what_it_is_related_to(stored: list[NodeWithScore]) -> None:
    node = stored[0].node
    node.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id="deck")
    again = with_picture(node)
    assert isinstance(again, Node)
    assert (again.id_, again.ref_doc_id) == (node.id_, "deck")
    assert again.metadata == node.metadata


def test_what_is_no_node_with_score_is_refused(reranker: Reranker) -> None:
    wrong: Any = [TextNode(text="no score")]
    with pytest.raises(InputError, match="got a TextNode"):
        MultimodalRerank(reranker=reranker).postprocess_nodes(wrong, query_str="question")


def test_a_misspelt_setting_is_not_the_default_model(reranker: Reranker) -> None:
    misspelt: Any = {"model_name": "some/model"}
    with pytest.raises(ValueError, match=r"model_name\n.*not permitted"):
        MultimodalRerank(reranker=reranker, **misspelt)


def test_it_has_a_schema() -> None:
    assert "top_n" in MultimodalRerank.model_json_schema()["properties"]


def test_metadata_of_other_programs_may_be_anything(reranker: Reranker) -> None:
    told = {"source": 3, "sha256": 4, "modality": "text", "preview": 5, "title": 6, "start": "0:10"}
    node = NodeWithScore(node=TextNode(text="words", metadata=told))
    [best] = MultimodalRerank(reranker=reranker).postprocess_nodes([node], query_str="words")
    assert best.text == "words"
