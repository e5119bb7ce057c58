"""The benchmarks work, count rightly, and know their places in docs/."""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymupdf
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen3Config, Qwen3Model
from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLVisionConfig
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionModel

from benchmarks import collection, cost, integrations, loading, reranking
from benchmarks.collections import table as collections_table
from benchmarks.costs import table as cost_table
from benchmarks.loaders import table as loading_table
from benchmarks.loaders.hostile import OpenWatch, mutated, ordeal, write_lures, write_mutants
from benchmarks.loaders.made_files import write_manual, write_recording, write_video
from benchmarks.loaders.memory import read_steadily
from benchmarks.loaders.speed import Ways
from benchmarks.loaders.transcripts import compared
from benchmarks.markdown import Generated
from benchmarks.rerankers import table as reranking_table
from benchmarks.rerankers.flops import TextShape, VisionShape, picture_operations, text_operations
from mm_rag.media.ffmpeg import probe

pytestmark = pytest.mark.slow

TEXT = TextShape(width=64, layers=3, heads=4, key_value_heads=2, head_dim=32, inner=96)
VISION = VisionShape(width=32, layers=4, heads=2, inner=48, deepstack=(0, 2), patch=8)


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.usefixtures("threads")
def test_a_small_run_gives_the_same_scores(capsys: pytest.CaptureFixture[str]) -> None:
    reranking.main(["--quick"])

    printed = capsys.readouterr().out.splitlines()
    rows = [line.strip("| ").split(" | ") for line in printed if line.startswith("|")][2:]
    assert [row[0] for row in rows] == [
        "text query, 5 texts",
        "text query, 2 pages seen before",
        "text query, 2 pages never seen",
        "picture query, 3 texts",
    ]
    for row in rows:
        assert float(row[7].split()[0]) < 1e-4
        assert row[8] == "yes"


def test_the_operations_of_a_text() -> None:
    config = Qwen3Config(
        vocab_size=8,
        hidden_size=TEXT.width,
        intermediate_size=TEXT.inner,
        num_hidden_layers=TEXT.layers,
        num_attention_heads=TEXT.heads,
        num_key_value_heads=TEXT.key_value_heads,
        head_dim=TEXT.head_dim,
    )
    model, tokens = Qwen3Model(config), 40
    model.set_attn_implementation("eager")  # its matrix products are all counted
    counted = _counted(lambda: model(torch.ones(1, tokens).long(), use_cache=False))

    # The plain attention computes the half above the diagonal, too, which need not be.
    half = 2 * TEXT.heads * TEXT.head_dim * TEXT.layers * tokens**2
    assert text_operations(TEXT, 0, [tokens]) + half == pytest.approx(counted, rel=2e-3)


def test_a_shared_prefix_is_counted_once() -> None:
    apart = text_operations(TEXT, 0, [140, 150])
    saved = text_operations(TEXT, 0, [100])

    assert text_operations(TEXT, 100, [40, 50]) == pytest.approx(apart - saved)


def test_the_operations_of_a_picture() -> None:
    config = Qwen3VLVisionConfig(
        depth=VISION.layers,
        hidden_size=VISION.width,
        num_heads=VISION.heads,
        intermediate_size=VISION.inner,
        out_hidden_size=TEXT.width,
        patch_size=VISION.patch,
        num_position_embeddings=64,
        deepstack_visual_indexes=list(VISION.deepstack),
    )
    tower: Any = Qwen3VLVisionModel(config)
    tower.set_attn_implementation("eager")
    pixels, grid = torch.zeros(6 * 8, 3 * 2 * VISION.patch**2), torch.tensor([[1, 6, 8]])
    counted = _counted(lambda: tower(pixels, grid_thw=grid))

    assert picture_operations(VISION, TEXT.width, 12) == pytest.approx(counted, rel=2e-2)


PLACE = Generated(Path("page.md"), "tables", "make tables")


def test_tables_are_written_between_their_comments(tmp_path: Path) -> None:
    place = replace(PLACE, page=tmp_path / "page.md")
    place.page.write_text(f"before\n{place.begin}old\n{place.end}after\n")

    assert place.is_missing() == ""
    place.write("new\n")
    assert place.page.read_text() == f"before\n{place.begin}new\n{place.end}after\n"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "nothing",
        PLACE.begin,
        f"{PLACE.end}{PLACE.begin}",
        f"{PLACE.begin}{PLACE.begin}{PLACE.end}",
    ],
)
def test_a_page_without_the_comments_is_named(tmp_path: Path, text: str | None) -> None:
    place = replace(PLACE, page=tmp_path / "page.md")
    if text is not None:
        place.page.write_text(text)

    assert str(place.page) in place.is_missing()


@pytest.mark.parametrize(
    "place",
    [
        loading_table.PLACE,
        reranking_table.PLACE,
        collections_table.PLACE,
        integrations.PLACE,
        cost_table.PLACE,
    ],
    ids=lambda place: place.name,
)
def test_every_benchmark_has_its_place(place: Generated) -> None:
    assert place.is_missing() == ""


@pytest.mark.parametrize(
    ("module", "table", "arguments"),
    [
        (reranking, reranking, ["--docs"]),
        (loading, loading_table, ["--docs", "--corpus", "folder"]),
        (collection, collections_table, ["--docs", "--corpus", "folder"]),
        (integrations, integrations, ["--docs"]),
        (cost, cost_table, ["--docs", "--corpus", "folder"]),
    ],
    ids=["reranking", "loading", "collection", "integrations", "cost"],
)
def test_a_missing_place_is_said_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    module: Any,
    table: Any,
    arguments: list[str],
) -> None:
    monkeypatch.setattr(table, "PLACE", PLACE)

    with pytest.raises(SystemExit) as stopped:
        module.main(arguments)
    assert "lacks the comments" in f"{stopped.value}{capsys.readouterr().err}"


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="it asks Linux about processes")


def test_the_manual_has_pages_of_every_kind_and_no_two_alike(tmp_path: Path) -> None:
    path = write_manual(tmp_path / "a.pdf", 9)

    with pymupdf.open(path) as document:
        texts = [str(page.get_text()) for page in document]
        tables = [len(found.tables) for page in document if (found := page.find_tables())]
        pictures = [len(page.get_images()) for page in document]
    assert len(set(texts)) == 9
    assert min(len(text.split()) for text in texts) > 150
    assert tables[3] == tables[7] == 1
    assert pictures == [0] * 8 + [1]


def test_the_made_up_recordings_are_as_long_as_they_should_be(tmp_path: Path) -> None:
    sound = probe(write_recording(tmp_path / "a.m4a", 3))
    video = probe(write_video(tmp_path / "a.mp4", 1))

    assert sound.duration == pytest.approx(3, abs=0.1)
    assert video.duration == pytest.approx(1, abs=0.1)
    assert video.video is not None


@on_linux
@pytest.mark.workers
@pytest.mark.slow
def test_memory_is_looked_at_all_along_a_long_file(tmp_path: Path) -> None:
    short = write_manual(tmp_path / "short.pdf", 1, seed=2)
    long = write_manual(tmp_path / "long.pdf", 6)
    done = read_steadily(short, long, 2, tmp_path / "assets")

    assert done.reached == [2, 4, 6]
    assert done.segments > 6
    assert done.baseline.workers > 20  # a Python with a PDF library takes more than that
    assert done.peak >= max(sample.total for sample in done.samples)
    made = loading_table.memory_table({"PDF": done}, {"PDF": 24.0})
    assert made.splitlines()[2].startswith("| PDF |")


def test_the_ways_read_the_same_pages(tmp_path: Path) -> None:
    ways = Ways(write_manual(tmp_path / "a.pdf", 2), tmp_path / "assets")

    assert len(ways.usual_resized_by_pillow()) == 2
    ours, theirs = ways.ours_then_processor(), ways.usual()
    assert [grid.tolist() for grid in ours] == [grid.tolist() for grid in theirs]


def test_mutants_are_the_same_for_the_same_seed(tmp_path: Path) -> None:
    (tmp_path / "pdf").mkdir()
    write_manual(tmp_path / "pdf" / "a.pdf", 1)
    original = (tmp_path / "pdf" / "a.pdf").read_bytes()
    (tmp_path / "mutants").mkdir()
    paths = write_mutants(tmp_path, tmp_path / "mutants", 12)
    first = [path.read_bytes() for path in paths]

    assert first == [path.read_bytes() for path in write_mutants(tmp_path, paths[0].parent, 12)]
    assert len(set(first)) == 12
    assert original not in first
    assert all(mutated(b"x", random.Random(seed)) for seed in range(50))


@on_linux
def test_the_watch_sees_what_is_opened(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    with OpenWatch(tmp_path) as watch:
        assert watch.names() == []
        (tmp_path / "a.txt").read_text()
        assert watch.names() == ["a.txt"]


@on_linux
@pytest.mark.workers
@pytest.mark.slow
def test_every_file_has_an_outcome_and_no_lure_works(tmp_path: Path) -> None:
    roots, forbidden = (tmp_path / "lures",), tmp_path / "forbidden"
    for folder in (*roots, forbidden):
        folder.mkdir()
    canary = write_manual(forbidden / "canary.pdf", 1)
    shutil.copy(canary, roots[0] / "good.pdf")
    with OpenWatch(forbidden) as watch:
        paths = [*write_lures(roots[0], canary), roots[0] / "good.pdf"]
        assert watch.names() == []
    done = ordeal(paths, roots, forbidden, tmp_path / "assets")

    assert done.outcomes.total() == done.files == len(paths)
    assert done.outcomes["loaded"] >= 1
    assert done.outcomes["refused"] >= 1
    assert done.opened == ()
    assert "| lures |" in loading_table.ordeal_table({"lures": done})


def test_words_are_counted_as_often_as_they_are_in_both() -> None:
    heard = compared("a.wav", "And Mr. John, and only John, spoke.", "and mister john john ran")

    assert (heard.said, heard.heard, heard.shared) == (7, 5, 4)
    assert heard.recall == pytest.approx(4 / 7)
    assert heard.precision == pytest.approx(4 / 5)
    assert "| a.wav | 7 | 57% | 80% |" in loading_table.hearing_table([heard])


def _counted(run: Any) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()
