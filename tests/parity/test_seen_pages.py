"""Vision features are computed once per page; truncation removes words, not pictures or queries."""

from __future__ import annotations

import functools
import logging
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import pytest
import torch
from PIL import Image as Pictures
from sentence_transformers import CrossEncoder
from transformers import PreTrainedModel
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VisionTransformerPretrainedModel
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionModel

from mm_rag import Reranker
from mm_rag.errors import InputError
from mm_rag.rerankers.feature_cache import FeatureCache

from .replicas.visual_rerankers import jina_reranker_m0, nemotron_rerank_vl, qwen3_vl_reranker
from .visual_pairs import QUERY, TEXTS, films, picture_pairs, same_size

TOLERANCE = 1e-5
IDENTITY = torch.nn.Identity()
MAKERS = {"qwen3": qwen3_vl_reranker, "jina": jina_reranker_m0, "nemotron": nemotron_rerank_vl}
REMEMBERED = ["qwen3", "jina"]  # nemotron has its own vision code, whose features cannot be cached
TOWERS = (Qwen3VLVisionModel, Qwen2VisionTransformerPretrainedModel)


class Looks(list[int]):
    """Numbers of pictures and videos that the vision tower was given, call by call."""

    def taken(self) -> int:
        """Their sum since the last call of this method."""
        count = sum(self)
        self.clear()
        return count


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    """Count the media that the vision towers of these models are given."""
    counted = Looks()

    def watch(tower: type[torch.nn.Module]) -> None:
        forward: Any = tower.forward

        def counting(self: Any, hidden_states: Any, grid_thw: Any, **options: Any) -> Any:
            counted.append(len(grid_thw))
            return forward(self, hidden_states, grid_thw, **options)

        monkeypatch.setattr(tower, "forward", counting)

    for tower in TOWERS:
        watch(tower)
    return counted


Folders: TypeAlias = dict[str, Path]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return {name: make(tmp_path_factory.mktemp(name)) for name, make in MAKERS.items()}


@pytest.fixture(params=REMEMBERED)
def folder(request: pytest.FixtureRequest, folders: Folders) -> Path:
    return folders[cast("str", request.param)]


@pytest.fixture(params=MAKERS)
def any_folder(request: pytest.FixtureRequest, folders: Folders) -> Path:
    return folders[cast("str", request.param)]


def ours(folder: Path, cache: FeatureCache | None = None, **options: Any) -> Reranker:
    given: dict[str, Any] = {"device": "cpu", "trust_remote_code": True, **options}
    return Reranker(folder, feature_cache=cache, **given)


def every_page(**options: Any) -> FeatureCache:
    """A cache that also keeps the small pages of replicas."""
    return FeatureCache(min_tokens=1, **options)


def theirs(folder: Path) -> Callable[[Any], Any]:
    reference = CrossEncoder(str(folder), device="cpu", trust_remote_code=True)
    return lambda pairs: reference.predict(pairs, activation_fn=IDENTITY)


def logits(reranker: Reranker, pairs: Any, **options: Any) -> Any:
    return reranker.predict(pairs, activation_fn=IDENTITY, **options)


def close(mine: Any, reference: Any) -> None:
    np.testing.assert_allclose(np.asarray(mine), np.asarray(reference), rtol=0, atol=TOLERANCE)


def test_a_query_picture_is_looked_at_once(folder: Path, looks: Looks) -> None:
    query = same_size(1)[0]
    pairs = [(query, text) for text in TEXTS]
    expected = theirs(folder)(pairs)
    assert looks.taken() == len(pairs)

    close(logits(ours(folder), pairs), expected)
    assert looks.taken() == 1


def test_pages_are_looked_at_once(folder: Path, looks: Looks) -> None:
    a, b, c = same_size(3)
    pairs = [(QUERY, page) for page in (a, b, c, a)]
    asked = [("Which page is about revenue?", page) for page in (c, a, b)]
    expected, others = theirs(folder)(pairs), theirs(folder)(asked)
    reranker = ours(folder, every_page())
    looks.clear()

    close(logits(reranker, pairs), expected)
    assert looks.taken() == 3
    close(logits(reranker, pairs), expected)
    close(logits(reranker, asked), others)
    assert looks.taken() == 0
    close(logits(reranker, [(a, b), (b, a)]), theirs(folder)([(a, b), (b, a)]))


def test_everything_twice(folder: Path, looks: Looks) -> None:
    pairs = [pair for case in picture_pairs().values() for pair in case]
    expected = theirs(folder)(pairs)
    reranker = ours(folder, every_page())

    close(logits(reranker, pairs), expected)
    looks.clear()
    close(logits(reranker, pairs), expected)
    assert looks.taken() == 0


def test_videos_are_looked_at_once(folders: Folders, looks: Looks, tmp_path: Path) -> None:
    first, second = films(tmp_path)
    pairs = [(QUERY, first), (first, TEXTS[0]), (second, first)]
    expected = theirs(folders["qwen3"])(pairs)
    reranker = ours(folders["qwen3"], every_page())
    looks.clear()

    close(logits(reranker, pairs), expected)
    assert looks.taken() == 2
    close(logits(reranker, pairs), expected)
    assert looks.taken() == 0


def test_pictures_in_memory_are_told_apart_by_what_they_show(folder: Path, looks: Looks) -> None:
    a, b = same_size(2)
    reranker = ours(folder, every_page())
    close(logits(reranker, [(QUERY, a)]), theirs(folder)([(QUERY, a)]))
    looks.clear()

    logits(reranker, [(QUERY, a.copy()), (QUERY, np.asarray(a))])
    assert looks.taken() <= 1  # an array may count as another medium than a picture
    painted = a.copy()
    painted.paste(b, (0, 0))
    close(logits(reranker, [(QUERY, painted)]), theirs(folder)([(QUERY, b)]))


def test_pictures_of_other_palettes_and_other_sides_up(folder: Path) -> None:
    plain = same_size(1)[0].convert("P")
    repainted = plain.copy()
    palette = plain.getpalette()
    assert palette is not None
    repainted.putpalette(palette[::-1])
    turned = plain.convert("RGB")
    turned.getexif()[0x0112] = 6  # it is shown turned by 90 degrees
    upright = plain.convert("RGB").transpose(Pictures.Transpose.ROTATE_270)
    reference = theirs(folder)

    pages = [plain, repainted, plain.convert("RGB"), turned]
    found = logits(ours(folder, every_page()), [(QUERY, page) for page in pages])
    shown = [plain.convert("RGB"), repainted.convert("RGB"), plain.convert("RGB"), upright]
    close(found, reference([(QUERY, page) for page in shown]))


def test_a_file_that_has_changed_is_looked_at_again(folder: Path, looks: Looks) -> None:
    a, b = same_size(2)
    path = folder.parent / "page.png"
    reranker, reference = ours(folder, every_page()), theirs(folder)
    a.save(path)
    close(logits(reranker, [(QUERY, path)]), reference([(QUERY, a)]))
    b.save(path)
    looks.clear()

    close(logits(reranker, [(QUERY, path)]), logits(ours(folder), [(QUERY, b)]))
    close(logits(reranker, [(QUERY, path)]), reference([(QUERY, b)]))
    a.save(path)
    looks.clear()
    close(logits(reranker, [(QUERY, path)]), reference([(QUERY, a)]))


def test_pages_on_disk_are_found_by_a_later_reranker(
    folders: Folders, looks: Looks, tmp_path: Path
) -> None:
    pairs = [(QUERY, page) for page in same_size(3)]
    expected = theirs(folders["qwen3"])(pairs)
    logits(ours(folders["qwen3"], every_page(folder=tmp_path)), pairs)
    looks.clear()

    later = ours(folders["qwen3"], every_page(folder=tmp_path))
    close(logits(later, pairs), expected)
    assert looks.taken() == 0
    # Another model has other features for the same pages.
    other = ours(folders["jina"], every_page(folder=tmp_path))
    close(logits(other, pairs), theirs(folders["jina"])(pairs))


@pytest.mark.parametrize("first", ["bfloat16", "float32"])
def test_another_precision_sees_for_itself(folder: Path, first: str, tmp_path: Path) -> None:
    pairs = [(QUERY, page) for page in same_size(2)]
    second = "float32" if first == "bfloat16" else "bfloat16"
    expected = logits(ours(folder, dtype=second), pairs)
    logits(ours(folder, every_page(folder=tmp_path), dtype=first), pairs)

    close(logits(ours(folder, every_page(folder=tmp_path), dtype=second), pairs), expected)


def test_other_settings_see_another_picture(folders: Folders, tmp_path: Path) -> None:
    page = same_size(1)[0].resize((160, 120))
    smaller = {"size": {"shortest_edge": 32 * 32, "longest_edge": 48 * 48}}
    usual = ours(folders["qwen3"], every_page(folder=tmp_path))
    first = logits(usual, [(QUERY, page)])

    options: dict[str, Any] = {"processor_kwargs": smaller}
    coarse = ours(folders["qwen3"], every_page(folder=tmp_path), **options)
    reference = CrossEncoder(str(folders["qwen3"]), device="cpu", **options)
    expected = reference.predict([(QUERY, page)], activation_fn=IDENTITY)
    assert abs(first - expected).max() > 100 * TOLERANCE
    close(logits(coarse, [(QUERY, page)]), expected)


def test_a_small_cache_forgets(folder: Path, looks: Looks) -> None:
    pairs = [(QUERY, page) for page in same_size(4)]
    expected = theirs(folder)(pairs)
    reranker = ours(folder, every_page(max_bytes=5000))
    logits(reranker, pairs)
    looks.clear()

    close(logits(reranker, pairs), expected)
    assert 0 < looks.taken() <= 4


# What is too long


def fitting(folder: Path, make: Callable[[str], Any], text: str) -> str:
    """The longest prefix of a text, in whole tokens, with which a pair fits."""
    model = CrossEncoder(str(folder), device="cpu", trust_remote_code=True)
    transformer: Any = model[0]
    tokenizer, limit = transformer.tokenizer, transformer.max_seq_length
    tokenizer.model_max_length = 10**6
    ends = [end for _, end in tokenizer(text, return_offsets_mapping=True)["offset_mapping"]]

    def length(count: int) -> int:
        return transformer.preprocess([make(text[: ends[count - 1]])])["input_ids"].shape[1]

    return text[: ends[bisect_right(range(1, len(ends)), limit, key=length) - 1]]


LONG = "The quarterly revenue rose by 12% while costs fell, said the chart. " * 40


@pytest.mark.parametrize("kind", ["text", "picture first", "picture last", "picture query"])
def test_a_long_document_loses_words(
    any_folder: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = same_size(2)
    pairs: dict[str, Callable[[str], Any]] = {
        "text": lambda text: (QUERY, text),
        "picture first": lambda text: (QUERY, {"image": a, "text": text}),
        "picture last": lambda text: (QUERY, {"text": text, "image": [a, b]}),
        "picture query": lambda text: (a, {"image": b, "text": text}),
    }
    make = pairs[kind]
    expected = theirs(any_folder)([make(fitting(any_folder, make, LONG)), make(TEXTS[0])])
    reranker = ours(any_folder)

    with caplog.at_level(logging.WARNING, logger="mm_rag"):
        for _ in range(2):
            close(logits(reranker, [make(LONG), make(TEXTS[0])]), expected)
    said = [one for one in caplog.records if one.name.startswith("mm_rag")]
    assert len(said) == 1
    assert "lose their end" in said[0].getMessage()


def test_a_long_document_is_cut_the_same_beside_others(any_folder: Path) -> None:
    a, b = same_size(2)
    reranker = ours(any_folder)
    pairs = [(QUERY, {"image": a, "text": LONG}), (QUERY, TEXTS[0]), (QUERY, b), (QUERY, LONG)]

    alone = [logits(reranker, [pair])[0] for pair in pairs]
    close(logits(reranker, pairs), alone)
    assert abs(alone[0] - logits(reranker, [(QUERY, {"image": b, "text": LONG})])[0]) > 1e-4


def test_a_query_that_is_too_long_is_no_query(any_folder: Path) -> None:
    with pytest.raises(InputError, match="query") as caught:
        logits(ours(any_folder), [(QUERY, TEXTS[0]), (LONG, same_size(1)[0])])
    assert caught.value.position == 1


def test_a_page_that_is_too_large_is_named(any_folder: Path) -> None:
    reranker = ours(any_folder, max_seq_length=240)
    page = same_size(1)[0].resize((32, 32))
    pages = {"image": [page] * 40, "text": "light"}

    with pytest.raises(InputError, match="smaller pictures") as caught:
        logits(reranker, [(QUERY, "light"), (QUERY, pages)])
    assert caught.value.position == 1


def test_what_a_release_of_transformers_takes_away_costs_time_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pages = same_size(2)
    pairs = [(QUERY, pages[0]), (QUERY, pages[1]), (QUERY, TEXTS[0])]
    expected = theirs(folder)(pairs)
    reranker = ours(folder)
    model: Any = next(m for m in reranker.model.modules() if isinstance(m, PreTrainedModel))
    forward = model.forward

    def changed(*given: Any, mm_encoder_outputs: Any = None, **options: Any) -> Any:
        if mm_encoder_outputs is not None:
            raise AttributeError("mm_encoder_outputs have no to_tuple")
        return forward(*given, **options)

    monkeypatch.setattr(model, "forward", functools.wraps(forward)(changed))
    close(logits(reranker, pairs), expected)
    close(logits(reranker, pairs), expected)
    assert caplog.text.count("have no to_tuple") == 1
