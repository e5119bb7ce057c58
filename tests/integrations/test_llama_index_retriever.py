"""MultimodalRetriever: queries and settings."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.evaluation import RetrieverEvaluator
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.schema import MetadataMode, QueryBundle
from llama_index.core.vector_stores import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)
from llama_index.retrievers.mm_rag import MultimodalQuery, MultimodalRetriever
from PIL import Image as PILImage

from mm_rag import Audio, Collection, Encoder, Segment, Text, Video
from mm_rag.errors import CollectionError, CollectionMismatch, InputError
from tests.integrations.glancing import glancing_encoder

QUESTION = "Which quarter had the best revenue?"


@pytest.fixture
def retriever(collection: Collection) -> MultimodalRetriever:
    return MultimodalRetriever(collection, similarity_top_k=2)


def test_hits_become_nodes(retriever: MultimodalRetriever, collection: Collection) -> None:
    best, second = retriever.retrieve(QUESTION)
    hits = collection.search(QUESTION, 2)
    assert [best.node_id, second.node_id] == [hit.segment.id for hit in hits]
    assert [best.score, second.score] == [hit.score for hit in hits]
    assert best.metadata["page"] == 1
    assert best.metadata["rank"] == 1
    assert "fourth quarter was the best" in best.get_content()


@pytest.mark.slow  # reads pictures by OCR
def test_a_picture_can_ask_and_the_bundle_stays_as_it_is(
    retriever: MultimodalRetriever,
) -> None:
    [slide, _] = [n.metadata["media"] for n in retriever.retrieve("batteries supplier")]
    bundle = QueryBundle("", image_path=slide)
    assert retriever.retrieve(bundle)[0].metadata["page"] == 3
    assert bundle == QueryBundle("", image_path=slide)


def test_settings(collection: Collection, tmp_path: Path) -> None:
    filtered = MultimodalRetriever(collection, where={"page": 4}, modalities=["image"])
    assert [node.metadata["page"] for node in filtered.retrieve(QUESTION)] == [4]
    with Collection(tmp_path / "mine"):
        pass
    assert MultimodalRetriever(tmp_path / "mine").retrieve(QUESTION) == []


async def test_async_search_leaves_the_event_loop_alone(
    retriever: MultimodalRetriever, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    search = collection.search

    def watched(*args: Any, **settings: Any) -> Any:
        threads.append(threading.get_ident())
        return search(*args, **settings)

    monkeypatch.setattr(collection, "search", watched)
    first, second = await asyncio.gather(*(retriever.aretrieve(QUESTION) for _ in range(2)))
    assert [node.node_id for node in first] == [node.node_id for node in second]
    assert threading.get_ident() not in threads


def _pages(retriever: MultimodalRetriever, query: Any = QUESTION) -> list[int | None]:
    return [node.metadata.get("page") for node in retriever.retrieve(query)]


@pytest.mark.parametrize(
    "content",
    [
        Text("late batteries"),
        "late batteries",
        Audio(Path("/nowhere/question.wav"), text="late batteries"),
        Video(Path("/nowhere/question.mp4"), text="late batteries"),
        {"text": "late batteries"},
    ],
)
def test_any_content_can_ask(retriever: MultimodalRetriever, content: Any) -> None:
    query = MultimodalQuery(content=content)
    assert _pages(retriever, query)[0] == 3
    assert _pages(retriever, content)[0] == 3
    assert query == MultimodalQuery(content=content)


def test_words_and_content_ask_together(retriever: MultimodalRetriever) -> None:
    spoken = Audio(Path("/nowhere/question.wav"), text="batteries")
    together = retriever.retrieve(MultimodalQuery("late supplier", content=spoken))
    assert together[0].metadata["page"] == 3
    assert [each.score for each in together] != [
        each.score for each in retriever.retrieve(MultimodalQuery("late supplier"))
    ]


@pytest.mark.slow  # reads pictures by OCR
def test_a_picture_in_memory_can_ask(retriever: MultimodalRetriever) -> None:
    slide = retriever.retrieve("batteries supplier")[0].metadata["media"]
    with PILImage.open(slide) as picture:
        assert _pages(retriever, MultimodalQuery(content=picture))[0] == 3


async def test_content_can_ask_async(retriever: MultimodalRetriever) -> None:
    [best, _] = await retriever.aretrieve(Text("late batteries"))
    assert best.metadata["page"] == 3


def test_the_name_of_a_file_is_words(retriever: MultimodalRetriever, folder: Path) -> None:
    name = str(folder / "sunset.png")
    found = retriever.retrieve(MultimodalQuery(content=name))
    assert found == retriever.retrieve(name) == retriever.retrieve(Text(name))
    assert len(found) == 2  # a picture has no text to query with


@pytest.mark.parametrize("empty", ["", " ", QueryBundle(""), MultimodalQuery(), None])
async def test_an_empty_query_is_refused(retriever: MultimodalRetriever, empty: Any) -> None:
    with pytest.raises(InputError, match="The query is empty"):
        retriever.retrieve(empty)
    with pytest.raises(InputError, match="The query is empty"):
        await retriever.aretrieve(empty)


@pytest.mark.parametrize("wrong", [3, object(), QueryBundle(3), QueryBundle("", image_path=3)])  # pyright: ignore[reportArgumentType]
def test_a_query_of_the_wrong_type_is_refused(retriever: MultimodalRetriever, wrong: Any) -> None:
    with pytest.raises(InputError, match=r"a int\b|a object\b"):
        retriever.retrieve(wrong)


def test_a_missing_picture_is_named(retriever: MultimodalRetriever) -> None:
    with pytest.raises(InputError, match=r"gone\.png"):
        retriever.retrieve(QueryBundle("", image_path="gone.png"))


def test_every_setting_of_a_search(collection: Collection, folder: Path) -> None:
    settings: dict[str, Any] = {
        "modalities": {"image": 2},
        "source": folder / "deck.pdf",
        "where": {"page": {"$lt": 4}},
        "rerank": False,
        "diversity": 0.5,
        "threshold": 0.0,
    }
    found = MultimodalRetriever(collection, **settings).retrieve(QUESTION)
    hits = collection.search(QUESTION, **settings)
    assert [each.node_id for each in found] == [hit.segment.id for hit in hits]
    assert len(found) == 2  # the quota, as similarity_top_k is None
    assert "score_rerank" not in found[0].metadata
    assert _pages(MultimodalRetriever(collection, page=2)) == [2]
    assert MultimodalRetriever(collection, time=(0.0, 9.0)).retrieve(QUESTION) == []
    assert MultimodalRetriever(collection, threshold=1.0).retrieve(QUESTION) == []


def test_scores_are_probabilities_that_llama_index_can_cut(collection: Collection) -> None:
    nodes = MultimodalRetriever(collection).retrieve(QUESTION)
    scores = [node.score or 0.0 for node in nodes]
    assert all(0.0 <= score <= 1.0 for score in scores)
    assert scores == sorted(scores, reverse=True)
    least = scores[1]
    cut = SimilarityPostprocessor(similarity_cutoff=least).postprocess_nodes(nodes)
    kept = MultimodalRetriever(collection, threshold=least).retrieve(QUESTION)
    assert [node.node_id for node in kept] == [node.node_id for node in cut]
    assert {"evidence_base", "evidence_meaning"} <= set(nodes[0].metadata)
    assert "evidence_" not in nodes[0].node.get_content(MetadataMode.LLM)


@pytest.mark.parametrize("threshold", [-3.0, 1.5, "high"])
def test_a_threshold_is_a_probability(collection: Collection, threshold: Any) -> None:
    with pytest.raises(InputError, match="threshold must be a probability from 0 to 1"):
        MultimodalRetriever(collection, threshold=threshold).retrieve(QUESTION)


def test_a_setting_that_there_is_not_is_named(collection: Collection) -> None:
    with pytest.raises(InputError, match=r"no setting wher; it has .*where"):
        MultimodalRetriever(collection, wher={"page": 1})  # pyright: ignore[reportCallIssue]


def _filter(key: str, value: Any, operator: FilterOperator = FilterOperator.EQ) -> MetadataFilter:
    return MetadataFilter(key=key, value=value, operator=operator)


@pytest.mark.parametrize(
    ("operator", "value", "pages"),
    [
        (FilterOperator.EQ, 2, {2}),
        (FilterOperator.NE, 2, {1, 3, 4}),
        (FilterOperator.GT, 2, {3, 4}),
        (FilterOperator.GTE, 2, {2, 3, 4}),
        (FilterOperator.LT, 2, {1}),
        (FilterOperator.LTE, 2, {1, 2}),
        (FilterOperator.IN, [2, 3], {2, 3}),
        (FilterOperator.NIN, [2, 3], {1, 4}),
    ],
)
def test_filters_of_llama_index(
    collection: Collection, operator: FilterOperator, value: Any, pages: set[int]
) -> None:
    filters = MetadataFilters(filters=[_filter("page", value, operator)])
    retriever = MultimodalRetriever(collection, similarity_top_k=9, filters=filters)
    found = {node.metadata.get("page") for node in retriever.retrieve(QUESTION)} - {None}
    assert found == pages


def test_filters_within_filters_and_beside_where(collection: Collection) -> None:
    either = MetadataFilters(
        filters=[_filter("page", 1), _filter("page", 4)], condition=FilterCondition.OR
    )
    nothing = MetadataFilters(filters=[])
    filters = MetadataFilters(filters=[either, nothing, _filter("mime_type", "image/jpeg")])
    retriever = MultimodalRetriever(collection, similarity_top_k=9, filters=filters)
    assert set(_pages(retriever)) == {1, 4}
    where = {"page": {"$gt": 1}}
    retriever = MultimodalRetriever(collection, similarity_top_k=9, filters=filters, where=where)
    assert set(_pages(retriever)) == {4}
    assert where == {"page": {"$gt": 1}}
    everything = MultimodalRetriever(collection, similarity_top_k=9, filters=nothing)
    assert set(_pages(MultimodalRetriever(collection, page=2))) <= {
        node.metadata.get("page") for node in everything.retrieve(QUESTION)
    }


@pytest.mark.parametrize(
    "filters",
    [
        MetadataFilters(filters=[_filter("title", "deck", FilterOperator.CONTAINS)]),
        MetadataFilters(filters=[_filter("page", 1)], condition=FilterCondition.NOT),
    ],
)
def test_filters_that_chroma_has_not_are_refused(
    collection: Collection, filters: MetadataFilters
) -> None:
    with pytest.raises(InputError, match=r"cannot be filtered by '(contains|not)'; use one of"):
        MultimodalRetriever(collection, filters=filters)


@pytest.fixture(scope="module")
def labelled(encoder: Encoder) -> Iterator[Collection]:
    """Notes with metadata of their own, some of which are missing, empty or of another type."""
    told: list[dict[str, Any]] = [
        {"author": "Ada Lovelace", "draft": True},
        {"author": "ada byron"},
        {"author": "", "draft": False},
        {"author": 7},
        {'of "Ada"': "Ada"},
    ]
    with Collection(":memory:", encoder=encoder) as collection:
        collection.add(
            Segment(
                modality="text",
                source=f"/notes/{n}.txt",
                sha256=str(n) * 64,
                text="A note about engines.",
                title=f"Note {n}",
                metadata=metadata,
            )
            for n, metadata in enumerate(told)
        )
        yield collection


@pytest.mark.parametrize(
    ("key", "operator", "value", "notes"),
    [
        ("author", FilterOperator.TEXT_MATCH, "Ada", {0}),
        ("author", FilterOperator.TEXT_MATCH, "Grace", set[int]()),
        ("author", FilterOperator.TEXT_MATCH_INSENSITIVE, "ADA", {0, 1}),
        ("author", FilterOperator.TEXT_MATCH_INSENSITIVE, "7", set[int]()),
        ("author", FilterOperator.IS_EMPTY, None, {2, 4}),
        ("draft", FilterOperator.IS_EMPTY, None, {1, 3, 4}),
        ("nothing", FilterOperator.IS_EMPTY, None, {0, 1, 2, 3, 4}),
        ('of "Ada"', FilterOperator.TEXT_MATCH, "da", {4}),
        ("title", FilterOperator.TEXT_MATCH, "te 3", {3}),
        ("source", FilterOperator.TEXT_MATCH_INSENSITIVE, "NOTES/1", {1}),
    ],
)
def test_filters_by_a_part_of_a_value(
    labelled: Collection, key: str, operator: FilterOperator, value: Any, notes: set[int]
) -> None:
    filters = MetadataFilters(filters=[_filter(key, value, operator)])
    retriever = MultimodalRetriever(labelled, similarity_top_k=9, filters=filters)
    found = retriever.retrieve("engines")
    assert {int(Path(node.metadata["source"]).stem) for node in found} == notes


def test_a_part_of_a_value_beside_other_filters(labelled: Collection) -> None:
    anybody = _filter("nothing", None, FilterOperator.IS_EMPTY)
    ada = _filter("author", "Ada", FilterOperator.TEXT_MATCH)
    for condition, notes in ((FilterCondition.AND, 1), (FilterCondition.OR, 5)):
        filters = MetadataFilters(filters=[anybody, ada], condition=condition)
        retriever = MultimodalRetriever(labelled, similarity_top_k=9, filters=filters)
        assert len(retriever.retrieve("engines")) == notes


def test_values_that_were_added_later_are_found(encoder: Encoder) -> None:
    with Collection(":memory:", encoder=encoder) as collection:
        filters = MetadataFilters(filters=[_filter("title", "ote", FilterOperator.TEXT_MATCH)])
        retriever = MultimodalRetriever(collection, filters=filters)
        note = {"source": "/a.txt", "sha256": "0" * 64, "text": "engines", "title": "Note"}
        collection.add([Segment(modality="text", **note)])  # pyright: ignore[reportArgumentType]
        assert len(retriever.retrieve("engines")) == 1


@pytest.mark.parametrize(("key", "value"), [("text", "engines"), ("title", 7)])
def test_texts_that_cannot_be_matched_are_refused(
    labelled: Collection, key: str, value: Any
) -> None:
    filters = MetadataFilters(filters=[_filter(key, value, FilterOperator.TEXT_MATCH)])
    with pytest.raises(InputError, match=r"in quotes|with a str"):
        MultimodalRetriever(labelled, filters=filters)


def test_a_folder_without_collection_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match="nothing"):
        MultimodalRetriever(tmp_path / "nothing")


def test_a_collection_of_another_model_is_refused(tmp_path: Path) -> None:
    with Collection(tmp_path / "mine", encoder=glancing_encoder()) as made:
        made.add([Segment(modality="text", source="/a.txt", sha256="0" * 64, text="words")])
    with (
        MultimodalRetriever(tmp_path / "mine") as retriever,
        pytest.raises(CollectionMismatch, match="made with the model"),
    ):
        retriever.retrieve("words")


def test_a_filter_of_chromas_is_given_as_where(collection: Collection) -> None:
    filters: Any = {"page": 2}
    with pytest.raises(InputError, match="given as where"):
        MultimodalRetriever(collection, filters=filters)


async def test_the_evaluator_of_llama_index_reads_what_was_found(
    retriever: MultimodalRetriever,
) -> None:
    best = retriever.retrieve(QUESTION)[0]
    assert best.text == best.get_text() == best.get_content()
    evaluator = RetrieverEvaluator.from_metric_names(["hit_rate"], retriever=retriever)
    found = await evaluator.aevaluate(QUESTION, [best.node_id])
    assert found.metric_vals_dict == {"hit_rate": 1.0}
