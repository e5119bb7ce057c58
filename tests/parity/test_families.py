"""Every family, every modality: the same vectors as sentence-transformers from the same files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from mm_rag import Encoder
from mm_rag.modules import Transformer
from tests.parity import samples
from tests.parity.families import FAMILIES, Family

TOLERANCE = 1e-5

CASES = [
    pytest.param(family, modality, id=f"{family.name}-{modality}")
    for family in FAMILIES
    for modality in family.modalities
]


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A replica in both libraries."""

    ours: Encoder
    theirs: SentenceTransformer

    def inputs(self, modality: str) -> list[Any]:
        """Samples of a modality."""
        makers: dict[str, Callable[[], list[Any]]] = {
            "text": lambda: list(samples.TEXTS),
            "image": samples.pictures,
            "audio": lambda: samples.recordings(self.sampling_rate),
            "video": samples.videos,
            "image+text": samples.together,
            "message": samples.messages,
        }
        return makers[modality]()

    @property
    def sampling_rate(self) -> int:
        """The one that the model was trained with: sentence-transformers does not resample."""
        modules = [m for m in self.ours.chain.modules() if isinstance(m, Transformer)]
        return modules[0].processor.media.sampling_rate


def as_trained(family: Family, modality: str) -> dict[str, Any]:
    """What sentence-transformers has to be told, and mm_rag knows.

    SigLIP's text model has no mask and was trained with texts padded to 64 tokens.
    sentence-transformers pads to the longest text of a batch, so that the vector of a text depends
    on its neighbours, and crashes on texts that are longer than the model's positions.
    """
    if family.name == "SigLIP 2" and modality == "text":
        return {"processing_kwargs": {"text": {"padding": "max_length", "max_length": 64}}}
    return {}


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Family], Loaded]:
    """Make and load every replica once."""
    loaded: dict[str, Loaded] = {}

    def load(family: Family) -> Loaded:
        if family.name not in loaded:
            folder = family.make(tmp_path_factory.mktemp("replica"))
            trust = family.trust_remote_code
            loaded[family.name] = Loaded(
                ours=Encoder(folder, device="cpu", trust_remote_code=trust),
                theirs=SentenceTransformer(str(folder), device="cpu", trust_remote_code=trust),
            )
        return loaded[family.name]

    return load


def close(mine: Any, reference: Any) -> None:
    np.testing.assert_allclose(np.asarray(mine), np.asarray(reference), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("family", "modality"), CASES)
def test_a_batch(load: Callable[[Family], Loaded], family: Family, modality: str) -> None:
    both = load(family)
    inputs = both.inputs(modality)

    assert both.ours.supports(modality)
    told = as_trained(family, modality)
    close(both.ours.encode(inputs), both.theirs.encode(inputs, **told))


@pytest.mark.parametrize(("family", "modality"), CASES)
def test_queries_and_documents(
    load: Callable[[Family], Loaded], family: Family, modality: str
) -> None:
    both = load(family)
    inputs = both.inputs(modality)

    told = as_trained(family, modality)
    close(both.ours.encode_query(inputs), both.theirs.encode_query(inputs, **told))
    close(both.ours.encode_document(inputs), both.theirs.encode_document(inputs, **told))


@pytest.mark.parametrize(("family", "modality"), CASES)
def test_one_at_a_time(load: Callable[[Family], Loaded], family: Family, modality: str) -> None:
    both = load(family)

    for item in both.inputs(modality):
        mine = both.ours.encode(item)
        assert mine.shape == (both.ours.dimension,)
        close(mine, both.theirs.encode(item, **as_trained(family, modality)))


@pytest.mark.parametrize(("family", "modality"), CASES)
def test_the_first_dimensions(
    load: Callable[[Family], Loaded], family: Family, modality: str
) -> None:
    both = load(family)
    inputs = both.inputs(modality)
    options: dict[str, Any] = {"truncate_dim": 8, "normalize_embeddings": True}
    reference = both.theirs.encode(inputs, **options, **as_trained(family, modality))

    close(both.ours.encode(inputs, truncate_dim=8, normalize=True), reference)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_all_modalities_in_one_call(load: Callable[[Family], Loaded], family: Family) -> None:
    """sentence-transformers refuses such a call where a model takes no chat messages."""
    both = load(family)
    columns = [both.inputs(modality)[:2] for modality in family.modalities]
    mixed = [item for row in zip(*columns, strict=True) for item in row]
    apart = [
        both.theirs.encode(column, **as_trained(family, modality))
        for column, modality in zip(columns, family.modalities, strict=True)
    ]

    close(both.ours.encode(mixed), [vector for row in zip(*apart, strict=True) for vector in row])


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_saved_and_loaded(
    load: Callable[[Family], Loaded], family: Family, tmp_path_factory: pytest.TempPathFactory
) -> None:
    both, folder = load(family), tmp_path_factory.mktemp("saved")
    both.ours.save(folder)
    trust = family.trust_remote_code
    again = Encoder(folder, device="cpu", trust_remote_code=trust)
    theirs = SentenceTransformer(str(folder), device="cpu", trust_remote_code=trust)

    assert again.fingerprint == both.ours.fingerprint
    for modality in family.modalities:
        inputs = both.inputs(modality)
        close(again.encode_query(inputs), both.ours.encode_query(inputs))
        close(theirs.encode_query(inputs), both.ours.encode_query(inputs))
