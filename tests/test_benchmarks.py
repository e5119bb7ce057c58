"""The benchmark of rerankers works, counts rightly, and knows its place in the README."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen3Config, Qwen3Model
from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLVisionConfig
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionModel

from benchmarks import reranking
from benchmarks.rerankers.flops import TextShape, VisionShape, picture_operations, text_operations
from benchmarks.rerankers.table import BEGIN, END, has_place, with_table

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


def test_the_readme_is_written_between_its_comments() -> None:
    readme = f"before\n{BEGIN}old\n{END}after\n"

    assert has_place(readme)
    assert with_table(readme, "new\n") == f"before\n{BEGIN}new\n{END}after\n"


@pytest.mark.parametrize("readme", ["none", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}"])
def test_a_readme_without_a_place_is_refused_at_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    readme: str,
) -> None:
    monkeypatch.setattr(reranking, "README", tmp_path / "README.md")
    (tmp_path / "README.md").write_text(readme)

    with pytest.raises(SystemExit):
        reranking.main(["--readme"])
    assert "no place" in capsys.readouterr().err


def _counted(run: Any) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()
