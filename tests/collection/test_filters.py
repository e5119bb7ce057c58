"""Filters hold for whatever proposes: vectors, words, and spaces that are asked by themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PILImage

from mm_rag import Collection
from mm_rag.errors import CollectionError, InputError
from tests.collection.conftest import segment
from tests.collection.seeing import seeing, seen


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    """Texts with pages, clips with times, and a few pictures, in folders."""
    photo = tmp_path_factory.mktemp("photo") / "photo.png"
    PILImage.new("RGB", (8, 8)).save(photo)
    with Collection(":memory:", encoder=seeing()) as collection:
        pages = [
            segment(f"pump manual {n}", n % 30, page=n // 30 + 1, source=f"/docs/a/{n % 30}.pdf")
            for n in range(300)
        ]
        clips = [
            seen(
                f"pump noise {n}",
                photo,
                "audio",
                source="/docs/talk.wav",
                start=10.0 * n,
                end=10.0 * n + 10.0,
            )
            for n in range(6)
        ]
        whole = seen("pump hum", photo, "audio", source="/docs/hum.wav", start=5, end=25)
        pictures = [
            seen(f"pump view {n}", photo, source=f"/docs/a/view{n}.png", metadata={"by": "Ada"})
            for n in range(3)
        ]
        others = [
            segment(f"pump {n}", 1000 + n, source="/docs/a2.pdf", page=n + 1, metadata={"by": "Bo"})
            for n in range(20)
        ]
        web = segment("pump page", 2000, source="https://example.org/pump.html")
        collection.add([*pages, *clips, whole, *pictures, *others, web])
        yield collection


def sources(collection: Collection, **options: Any) -> set[str]:
    return {hit.segment.source for hit in collection.search("pump manual", 400, **options)}


@pytest.mark.parametrize("source", ["/docs/a", "/docs/a/", Path("/docs/a"), "/docs/../docs/a"])
def test_a_folder_is_what_lies_in_it(library: Collection, source: Any) -> None:
    if ".." in str(source):
        with pytest.raises(InputError, match="Nothing in the collection"):
            library.search("pump", source=source)
        return
    found = sources(library, source=source)
    assert found == {f"/docs/a/{n}.pdf" for n in range(30)} | {
        f"/docs/a/view{n}.png" for n in range(3)
    }


def test_files_addresses_and_several(library: Collection) -> None:
    page = "https://example.org/pump.html"
    assert sources(library, source="/docs/a2.pdf") == {"/docs/a2.pdf"}
    assert sources(library, source=page) == {page}
    assert sources(library, source=[page, Path("/docs/talk.wav")]) == {page, "/docs/talk.wav"}
    assert sources(library, source=("/docs/a2.pdf", "/docs/a2.pdf")) == {"/docs/a2.pdf"}


@pytest.mark.parametrize("source", ["/elsewhere", "", [], ["/docs/a", ""], ["/docs/a", "/gone"]])
def test_sources_that_mean_nothing(library: Collection, source: Any) -> None:
    with pytest.raises(InputError, match="source"):
        library.search("pump", source=source)


def test_a_path_may_be_relative(
    collection: Collection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.sync(folder)
    monkeypatch.chdir(folder.parent)
    for source in ("documents/ferry.pdf", Path("documents/ferry.pdf")):
        assert sources(collection, source=source) == {str(folder / "ferry.pdf")}


def test_too_many_files_are_named_so(library: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mm_rag.collection.search.request._MOST_FILES", 20)
    with pytest.raises(InputError, match="33 files"):
        library.search("pump", source="/docs/a")


@pytest.mark.parametrize("page", [2, 2.0])
def test_pages(library: Collection, page: Any) -> None:
    hits = library.search("pump manual", 100, page=page)
    assert len(hits) == 31
    assert {hit.segment.page for hit in hits} == {2}
    assert library.search("pump", page=999) == []


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ((0, 10), {"pump noise 0", "pump hum"}),
        ((10.0, 20.0), {"pump noise 1", "pump hum"}),
        ((9.5, 10.5), {"pump noise 0", "pump noise 1", "pump hum"}),
        ((0, 5), {"pump noise 0"}),
        ((30, 30), {"pump noise 2", "pump noise 3"}),
        ((45, math.inf), {"pump noise 4", "pump noise 5"}),
        ((-math.inf, 1), {"pump noise 0"}),
        ((500, 600), set()),
    ],
)
def test_times(library: Collection, span: tuple[float, float], expected: set[str]) -> None:
    """The one that hums was stored with whole numbers."""
    assert {hit.segment.text for hit in library.search("pump", 400, time=span)} == expected


@pytest.mark.parametrize("span", [(10, 5), (math.nan, 5)])
def test_spans_that_end_before_they_start(library: Collection, span: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="ends after it starts"):
        library.search("pump", time=span)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("time", 5),
        ("time", (1,)),
        ("time", ("0:30", "1:00")),
        ("time", (None, 3)),
        ("page", "3"),
        ("page", 2.5),
        ("source", 5),
        ("source", [5]),
        ("diversity", "much"),
        ("threshold", "high"),
        ("modalities", 5),
        ("modalities", [["image"]]),
        ("modalities", {"image": "2"}),
        ("rerank", 5),
    ],
)
def test_settings_of_the_wrong_type_are_named(
    library: Collection, setting: str, value: Any
) -> None:
    """They were errors of Python, or found nothing."""
    wrong: dict[str, Any] = {setting: value}
    with pytest.raises(InputError, match="quota" if isinstance(value, dict) else setting):
        library.search("pump", **wrong)


def test_filters_hold_together(library: Collection) -> None:
    hits = library.search("pump", 400, source="/docs/a2.pdf", page=3, where={"by": "Bo"})
    assert [(hit.segment.source, hit.segment.page) for hit in hits] == [("/docs/a2.pdf", 3)]
    assert library.search("pump", source="/docs/a2.pdf", where={"by": "Ada"}) == []
    pictures = library.search("pump manual", 400, source="/docs/a", modalities=["image"])
    assert {hit.segment.modality for hit in pictures} == {"image"}
    assert len(pictures) == 3


@pytest.mark.parametrize("source", [["/docs/a", "/docs/a2.pdf", "/docs/talk.wav"], None])
def test_pictures_are_found_within_a_filter_too(library: Collection, source: Any) -> None:
    """Texts are nearer to the query, and there are more of them than are looked at."""
    hits = library.search("pump view 1", 3, source=source, where={"sha256": {"$ne": "x"}})
    assert "pump view 1" in {hit.segment.text for hit in hits}


def test_quotas_are_filled_within_a_filter(library: Collection) -> None:
    hits = library.search("quite unlike", modalities={"image": 2, "text": 3}, source="/docs/a")
    assert sorted(hit.segment.modality for hit in hits) == ["image"] * 2 + ["text"] * 3


@pytest.mark.parametrize(
    "where",
    [
        "author",
        ["author"],
        {"author": None},
        {1: 2},
        {"$and": [{"page": 1}]},
        {"page": {"$in": []}},
        {"page": {"$in": [1, "2"]}},
        {"page": {"$about": 2}},
        {"page": 1, "by": "Ada"},
        {"page": math.inf},
        {"by": "\ud83d"},
    ],
)
def test_filters_that_chroma_refuses(library: Collection, where: Any) -> None:
    with pytest.raises(InputError, match="filter"):
        library.search("pump", where=where)


def test_an_empty_filter_is_none(library: Collection) -> None:
    assert library.search("pump", 7, where={}) == library.search("pump", 7)


def test_a_failure_of_chroma_is_not_the_filters_fault(
    library: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chromadb.api.models.Collection import Collection as ChromaCollection
    from chromadb.errors import InternalError

    original: Callable[..., Any] = ChromaCollection.query
    failures = iter([True])

    def failing(self: Any, *given: Any, **named: Any) -> Any:
        if next(failures, False):
            raise InternalError("Error finding id")
        return original(self, *given, **named)

    monkeypatch.setattr(ChromaCollection, "query", failing)
    assert library.search("pump", where={"by": "Ada"}), "it is asked again"
    failures = iter([True, True])
    with pytest.raises(CollectionError):
        library.search("pump", where={"by": "Ada"})


@pytest.mark.parametrize("query", ["pump\x00manual", "pump \udfff", '"pump', "pump*"])
def test_odd_queries(library: Collection, query: str) -> None:
    assert len(library.search(query, 3)) == 3


@pytest.mark.parametrize("query", ["?!... --", "\x00", "*", '"'])
def test_queries_without_words_find_nothing(library: Collection, query: str) -> None:
    assert library.search(query, 3) == []
