"""multilingual-e5-small from its package: an ordinary checkpoint with the published tokens."""

from __future__ import annotations

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from mm_rag import Encoder
from mm_rag.checkpoints.e5_small import e5_small_folder

# Ids of the tokenizer that was published with the model.
TOKENS = {
    "query: How much is the mooring rope?": [
        *(0, 41, 1294, 12, 11249, 5045, 83, 70, 931, 31, 2852, 6, 131803, 32, 2)
    ],
    "passage: Привет, как дела?": [0, 46692, 12, 1813, 18454, 4, 819, 7843, 32, 2],
    "日本語\uff5e漢字 \uff21\uff22\uff23": [0, 6, 98449, 6087, 39353, 7234, 47457, 2],
    "  \ufb01ne ½ ™  e\u0301 ": [0, 5885, 78660, 50523, 393, 6, 2],
    "नमस्ते\u200b मित्र": [0, 68700, 97883, 40702, 2],
    "<s> and <mask>": [0, 0, 136, 6, 250001, 2],
}
# The same sentences in several languages.
ROPE = (
    "The mooring rope costs 40 pounds.",
    "Das Festmacherseil kostet 40 Pfund.",
    "Швартовый канат стоит 40 фунтов.",
    "係留ロープは40ポンドです。",
    "मूरिंग रस्सी की कीमत 40 पाउंड है।",
)
BREAD = (
    "Bread is baked before sunrise.",
    "Brot wird vor Sonnenaufgang gebacken.",
    "Хлеб пекут до восхода солнца.",
    "パンは日の出前に焼かれます。",
    "रोटी सूर्योदय से पहले पकाई जाती है।",
)
QUESTIONS = (
    "How much is the rope for tying up a boat?",
    "Was kostet das Seil zum Festmachen?",
    "Сколько стоит канат для швартовки?",
    "係留用のロープはいくらですか。",
    "नाव बाँधने की रस्सी कितने की है?",
)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder("mm-rag/multilingual-e5-small", device="cpu")


@pytest.mark.parametrize("text", TOKENS)
def test_the_tokens_are_the_published_ones(encoder: Encoder, text: str) -> None:
    assert encoder.tokenizer(text)["input_ids"] == TOKENS[text]


@pytest.mark.parametrize("question", QUESTIONS)
def test_questions_find_answers_in_every_language(encoder: Encoder, question: str) -> None:
    query = encoder.encode_query(question)
    right, wrong = (encoder.encode_document(list(texts)) @ query for texts in (ROPE, BREAD))

    assert (right > wrong).all()  # language by language


@pytest.mark.slow
def test_vectors_are_those_of_sentence_transformers(encoder: Encoder) -> None:
    peer = SentenceTransformer(str(e5_small_folder()), device="cpu")

    np.testing.assert_allclose(
        encoder.encode_query(list(QUESTIONS)), peer.encode_query(list(QUESTIONS)), atol=2e-6
    )
    np.testing.assert_allclose(
        encoder.encode_document([*ROPE, *BREAD]), peer.encode_document([*ROPE, *BREAD]), atol=2e-6
    )


@pytest.mark.slow
def test_the_checkpoint_is_made_once_and_again_if_a_part_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with ThreadPoolExecutor(2) as pool:
        made = [pool.submit(e5_small_folder) for _ in range(2)]
        first, second = (each.result() for each in made)
    assert first == second
    published = sha256(first)
    assert sorted(path.name for path in first.parent.iterdir() if path.is_dir()) == [first.name]

    (first / "model.safetensors").write_bytes(b"cut")
    killed = first.with_name(f"{first.name}.of-a-killed-process")
    killed.mkdir()
    assert sha256(e5_small_folder()) == published
    assert not killed.exists()

    (first / "size").unlink()
    assert sha256(e5_small_folder()) == published
    shutil.rmtree(first)


def sha256(folder: Path) -> str:
    with (folder / "model.safetensors").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_a_former_collection_names_its_model() -> None:
    """What collections made with the former default have recorded."""
    assert Encoder("mm-rag/minilm", device="cpu").fingerprint == "83d2eddb75a65ad9"
