"""`mm-rag search`."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mm_rag import Collection
from tests.cli.typed import run
from tests.media_made import make_picture

pytestmark = pytest.mark.slow


def found(collection: Path, *options: object) -> list[dict[str, Any]]:
    done = run("search", "bicycles", "-c", collection, "--no-rerank", "--json", *options)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_search_shows_the_page(library: Path) -> None:
    done = run("search", "may I bring my bicycle?", "-c", library, "-k", 1)
    assert done.exit_code == 0
    assert "ferry.pdf" in done.output
    assert "page 2" in done.output


def test_search_shows_the_path_in_an_archive(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with zipfile.ZipFile(tmp_path / "in" / "papers.zip", "w") as archive:
        archive.writestr("2024/minutes.txt", "Bicycles travel free of charge on weekdays.")
        archive.writestr("2024/program.exe", b"MZ" + bytes(200))
    done = run("index", tmp_path / "in", "-c", tmp_path / "library")
    assert "program.exe was not read" in " ".join(done.output.split())
    done = run("search", "bicycles", "-c", tmp_path / "library", "-k", 1, "--no-rerank")
    assert "papers.zip/2024/minutes.txt" in "".join(done.output.split())


def test_search_prints_json(library: Path) -> None:
    hits = found(library, "-k", 2)
    assert [hit["rank"] for hit in hits] == [1, 2]
    assert hits[0]["segment"]["page"] == 2
    assert Path(hits[0]["segment"]["preview"]).is_file()


@pytest.mark.slow
def test_search_with_a_picture_reads_it(library: Path, tmp_path: Path) -> None:
    picture = make_picture(tmp_path / "sign.png", "Bicycles travel\nfree of charge")
    done = run("search", "--image", picture, "-c", library, "-k", 1, "--json")
    assert json.loads(done.stdout)[0]["segment"]["page"] == 2


def test_only_some_modalities_are_searched(library: Path) -> None:
    def matched(*wanted: str) -> set[str]:
        options = [part for name in wanted for part in ("--modality", name)]
        return {id_ for hit in found(library, *options) for id_ in hit["matched"]}

    images, texts = matched("image"), matched("text")
    assert images
    assert texts
    assert images.isdisjoint(texts)
    assert matched("image", "text") == images | texts == matched()


def test_a_modality_that_does_not_exist_is_an_error(library: Path) -> None:
    done = run("search", "bicycles", "-c", library, "--modality", "smell")
    assert done.exit_code == 2
    assert "text, image, audio, video" in " ".join(done.output.split())


def test_only_one_file_or_page_is_searched(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def places(*options: object) -> set[tuple[str, int]]:
        segments = [hit["segment"] for hit in found(library, *options)]
        return {(Path(segment["source"]).name, segment["page"]) for segment in segments}

    documents = library.parent / "documents"
    assert places("--page", 2) == {("ferry.pdf", 2), ("bakery.pdf", 2)}
    assert places("--source", documents / "bakery.pdf") == {("bakery.pdf", 1), ("bakery.pdf", 2)}
    monkeypatch.chdir(documents)
    assert places("--source", "bakery.pdf", "--page", 1) == {("bakery.pdf", 1)}


def test_reranking_can_be_left_out(library: Path) -> None:
    reranked = run("search", "bicycles", "-c", library, "-k", 1, "--json")
    assert "rerank" in json.loads(reranked.stdout)[0]["scores"]
    assert "rerank" not in found(library, "-k", 1)[0]["scores"]


def test_it_explains_how_long_each_stage_took(library: Path) -> None:
    shown = run("search", "bicycles", "-c", library, "--no-rerank", "--explain")
    assert shown.exit_code == 0
    assert "ferry.pdf" in shown.output
    assert " ms" in shown.output
    done = run("search", "bicycles", "-c", library, "--no-rerank", "--explain", "--json")
    parsed = json.loads(done.stdout)
    assert parsed["hits"] == found(library)
    assert parsed["seconds"]
    assert all(took >= 0 for took in parsed["seconds"].values())


def test_it_explains_each_hit_in_words(library: Path) -> None:
    done = run("search", "bicycles on weekdays", "-c", library, "-k", 2, "--explain")
    said = " ".join(done.output.split())
    assert "relevant: ferry.pdf page 2" in said
    assert "Words (+" in said
    assert "has all 2 words of the query: bicycles, weekdays" in said
    [first, _] = found(library, "-k", 2)
    assert {"base", "meaning", "words"} <= set(first["evidence"])
    assert isinstance(first["is_relevant"], bool)


def test_a_threshold_is_a_probability(library: Path) -> None:
    assert found(library, "--threshold", 1) == []
    assert len(found(library, "--threshold", 0)) > 1
    for threshold in (-3, 1.5):
        done = run("search", "bicycles", "-c", library, "--threshold", threshold)
        assert done.exit_code == 2
        assert "threshold must be a probability from 0 to 1" in " ".join(done.output.split())


def test_it_says_what_no_page_has(library: Path) -> None:
    def said(*arguments: object) -> str:
        done = run("search", *arguments, "-c", library, "--no-rerank")
        assert done.exit_code == 0
        return " ".join(done.output.split())

    assert said("bicycles", "--threshold", 1) == "Nothing relevant found (threshold 1)."
    assert said('"free bread"', "--threshold", 1) == (
        'Nothing relevant found among what has the words in quotes ("free bread") (threshold 1).'
    )
    assert said("?!") == "Nothing found: the query has no words, only punctuation."
    assert said(
        "bicycles", "--page", 3, "--source", library.parent / "documents" / "ferry.pdf"
    ) == ("Nothing found.")


def test_the_nearest_are_said_to_be_irrelevant(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = Collection.search

    def doubted(self: Collection, *arguments: Any, **options: Any) -> Any:
        explained: Any = everything(self, *arguments, **options)
        return replace(explained, hits=[replace(hit, score=0.04) for hit in explained.hits])

    monkeypatch.setattr(Collection, "search", doubted)
    done = run("search", "bicycles", "-c", library, "-k", 1, "--no-rerank")
    assert done.output.startswith("Nothing relevant found; the nearest are:")
    assert "ferry.pdf" in done.output
    assert "0.04" in done.output


def test_searching_what_was_never_indexed_is_an_error(tmp_path: Path) -> None:
    done = run("search", "anything", "-c", tmp_path / "nowhere")
    assert done.exit_code == 2
    assert "mm-rag index FOLDER" in " ".join(done.output.split())


def test_searching_for_nothing_is_an_error(library: Path) -> None:
    assert run("search", "-c", library).exit_code == 2
