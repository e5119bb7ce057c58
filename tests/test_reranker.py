from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mm_rag import Encoder, Image, Mixed, Reranker, Text
from mm_rag.errors import InputError, UnsupportedModality

from .parity import replicas

QUERY = "How do plants make sugar?"
ANSWER = "Plants make sugar from light by photosynthesis."
OTHER = "The bank opens at nine."


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(device="cpu")


@pytest.fixture(scope="module")
def reranker(encoder: Encoder) -> Reranker:
    return Reranker(encoder=encoder)


@pytest.mark.slow
def test_the_answer_comes_first(reranker: Reranker) -> None:
    ranked = reranker.rank(QUERY, [OTHER, ANSWER, ""])

    assert [place["index"] for place in ranked] == [1, 0, 2]
    assert ranked[0]["score"] > ranked[1]["score"] > ranked[2]["score"] == 0
    assert reranker.rank(QUERY, [OTHER, ANSWER], top_k=1) == ranked[:1]
    assert json.loads(json.dumps(ranked)) == ranked


def test_a_pair_scores_the_same_in_any_company(reranker: Reranker) -> None:
    alone = reranker.predict([(QUERY, ANSWER)])
    company = reranker.predict([(QUERY, OTHER), (QUERY, ANSWER), (OTHER, ANSWER)])

    assert company.dtype == np.float32
    np.testing.assert_allclose(company[1], alone[0], atol=1e-6)


def test_nothing_to_rank(reranker: Reranker) -> None:
    assert reranker.rank(QUERY, []) == []
    assert reranker.predict([]).shape == (0,)


@pytest.mark.slow
def test_the_end_of_a_long_document_counts(reranker: Reranker) -> None:
    filler = "The weather was mild and the streets were dry that day. " * 60

    documents = [filler, f"{filler} {ANSWER}"]
    # The cosines of multilingual-e5-small lie between 0.7 and 1, those of MiniLM do not.
    ranked = Reranker(encoder=Encoder("mm-rag/minilm")).rank(QUERY, documents)

    assert ranked[0]["index"] == 1
    assert ranked[0]["score"] > ranked[1]["score"] + 0.2
    assert reranker.rank(QUERY, documents)[0]["index"] == 1


@pytest.mark.slow
def test_the_end_of_a_long_query_counts(reranker: Reranker) -> None:
    filler = "The weather was mild and the streets were dry that day. " * 60

    answer, other = reranker.predict([(f"{filler} {QUERY}", ANSWER), (f"{filler} {QUERY}", OTHER)])

    assert answer > other


def test_media_are_scored_by_their_words(reranker: Reranker) -> None:
    picture = Image(b"never opened", text=ANSWER)

    scores = reranker.predict([(QUERY, ANSWER), (QUERY, picture), (picture, ANSWER)])
    together = reranker.predict([(QUERY, Mixed((Text(OTHER), picture)))])

    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    assert scores[2] == pytest.approx(1, abs=1e-5)
    assert together[0] > 0.5
    assert reranker.encodes_as_text("image")
    assert not reranker.is_cross_encoder


def test_weights_are_shared_with_the_encoder(encoder: Encoder, reranker: Reranker) -> None:
    ours = {parameter.data_ptr() for parameter in reranker.model.parameters()}

    assert ours == {parameter.data_ptr() for parameter in encoder.chain.parameters()}


def test_saved_and_loaded(reranker: Reranker, tmp_path: Path) -> None:
    reranker.save(tmp_path)
    again = Reranker(tmp_path, device="cpu")

    assert not again.is_cross_encoder
    np.testing.assert_allclose(
        again.predict([(QUERY, ANSWER)]), reranker.predict([(QUERY, ANSWER)]), atol=1e-6
    )


def test_print_shows_the_chain(reranker: Reranker) -> None:
    assert "ReadImage -> Transformer" in str(reranker)
    assert "LateInteraction" in str(reranker)


def test_a_trained_reranker_takes_text_only(tmp_path: Path) -> None:
    trained = Reranker(replicas.cross_encoder(tmp_path), device="cpu")

    assert trained.modalities == ("text",)
    with pytest.raises(UnsupportedModality, match=r"Input 1: .*image \(document\); it takes text"):
        trained.predict([(QUERY, ANSWER), (QUERY, Image(b"", text=ANSWER))])


def test_one_source_of_a_model(encoder: Encoder) -> None:
    with pytest.raises(InputError, match="one of"):
        Reranker("some/model", encoder=encoder)
