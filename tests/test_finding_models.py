"""Models by short names, in other caches, in revisions; and what is said where there is none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import httpx
import huggingface_hub
import pytest
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

from mm_rag import Encoder, Reranker
from mm_rag.checkpoints.locate import find_model
from mm_rag.checkpoints.options import PretrainedOptions
from mm_rag.errors import CheckpointError
from tests.parity.replicas.cross_encoders import cross_encoder
from tests.parity.replicas.text import bert

COMMIT = "0123456789" * 4


def cached(cache: Path, name: str, *, revision: str = "main") -> Path:
    """Put a model into a hub's cache."""
    folder = cache / f"models--{name.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / revision).write_text(COMMIT)
    snapshot = folder / "snapshots" / COMMIT
    return cross_encoder(snapshot) if name.startswith("cross-encoder/") else bert(snapshot)


def offline(cache: Path, **options: Any) -> dict[str, Any]:
    return {"cache_folder": cache, "local_files_only": True, "device": "cpu", **options}


@pytest.mark.slow
def test_short_names(tmp_path: Path) -> None:
    cached(tmp_path, "sentence-transformers/small-model")
    cached(tmp_path, "cross-encoder/small-reranker")
    cached(tmp_path, "old-model")  # the hub's first models have no organization

    assert Encoder("small-model", **offline(tmp_path)).dimension == 32
    assert Encoder("sentence-transformers/small-model", **offline(tmp_path)).dimension == 32
    assert Encoder("old-model", **offline(tmp_path)).dimension == 32
    assert Reranker("small-reranker", **offline(tmp_path)).num_labels == 1


def test_a_folder_goes_before_a_short_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached(tmp_path / "cache", "sentence-transformers/small-model")
    shutil.copytree(bert(tmp_path / "made"), tmp_path / "small-model")
    monkeypatch.chdir(tmp_path)

    assert find_model("small-model", PretrainedOptions(cache_folder=tmp_path)) == Path(
        "small-model"
    )


@pytest.mark.slow
def test_the_default_by_its_name_needs_no_hub(tmp_path: Path) -> None:
    for name in ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"):
        encoder = Encoder(name, **offline(tmp_path))
        assert encoder.dimension == 384
        assert encoder.modalities == ("text",)
    with pytest.raises(CheckpointError, match="all-MiniLM-L6-v2"):
        Encoder("all-MiniLM-L6-v2", revision="other", **offline(tmp_path))


def test_the_cache_of_sentence_transformers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached(tmp_path, "someone/model")
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path))

    assert Encoder("someone/model", device="cpu", local_files_only=True).dimension == 32
    with pytest.raises(CheckpointError, match="not in the hub's cache"):
        Encoder("someone/model", **offline(tmp_path / "another"))


def test_a_revision_that_is_not_in_the_cache(tmp_path: Path) -> None:
    cached(tmp_path, "someone/model", revision="v1")

    assert Encoder("someone/model", revision="v1", **offline(tmp_path)).dimension == 32
    with pytest.raises(CheckpointError, match=r"not in the revision 'v2'.*v1") as caught:
        Encoder("someone/model", revision="v2", **offline(tmp_path))
    assert COMMIT in str(caught.value)
    with pytest.raises(CheckpointError, match="someone/other is not in the hub's cache"):
        Encoder("someone/other", revision="v2", **offline(tmp_path))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (RevisionNotFoundError, "someone/model has no revision 'v9' on the hub"),
        (RepositoryNotFoundError, "There is no model someone/model on the hub"),
    ],
)
def test_what_the_hub_says(
    fault: type[Exception], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **options: Any) -> str:
        response = httpx.Response(404, request=httpx.Request("GET", "https://huggingface.co"))
        raise fault("404", response=response)  # pyright: ignore[reportCallIssue]

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(CheckpointError, match=said):
        Encoder("someone/model", revision="v9", cache_folder=tmp_path)
