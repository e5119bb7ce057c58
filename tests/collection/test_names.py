"""What a collection in a folder can be called."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm_rag import Collection, Encoder
from mm_rag.errors import CollectionError

OWN = ["assets", "chroma", "chroma.lock", "chroma.state", "writer.lock", "Chroma", "ASSETS"]
NO_NAMES = ["", "ab", "..", "../up", "a/b", "two words", "Größe", "-dash", "dot.", "a..b"]
TOO_LONG = "x" * 256


@pytest.mark.parametrize("name", [*OWN, *NO_NAMES, "127.0.0.1", TOO_LONG, "line\n"])
@pytest.mark.parametrize("create", [True, False])
def test_a_name_that_cannot_be_is_an_error_before_anything_is_written(
    tmp_path: Path, encoder: Encoder, name: str, create: bool
) -> None:
    with pytest.raises(CollectionError, match="cannot be called"):
        Collection(tmp_path / "place", encoder=encoder, name=name, create=create)
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["abc", "Q3.reports_2024-final", "1.2.3", "x" * 255])
def test_names_that_chroma_takes_are_taken(tmp_path: Path, encoder: Encoder, name: str) -> None:
    with Collection(tmp_path, encoder=encoder, name=name) as made:
        assert made.verify().ok


def test_the_rules_are_those_of_chroma() -> None:
    """What is refused here Chroma would refuse later."""
    from chromadb import EphemeralClient
    from chromadb.errors import ChromaError

    client = EphemeralClient()
    for name in [*NO_NAMES, "127.0.0.1", "line\n"]:
        with pytest.raises((ChromaError, ValueError)):
            client.create_collection(name, embedding_function=None)
