"""Models that give no vector and no score are refused, and told what they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sentence_transformers import MultiVectorEncoder, SparseEncoder
from transformers import BertForMaskedLM

from mm_rag import Encoder, Reranker
from mm_rag.errors import CheckpointError
from tests.parity.replicas.common import bert_config, word_pieces, write_json
from tests.parity.replicas.text import bert, plain_bert


def sparse(folder: Path) -> Path:
    BertForMaskedLM(bert_config()).save_pretrained(folder / "masked")
    word_pieces().save_pretrained(folder / "masked")
    SparseEncoder(str(folder / "masked"), device="cpu").save(str(folder / "saved"))
    return folder / "saved"


def multi_vector(folder: Path) -> Path:
    plain_bert(folder / "plain")
    MultiVectorEncoder(str(folder / "plain"), device="cpu").save(str(folder / "saved"))
    return folder / "saved"


def refused(folder: Path, said: str) -> None:
    for kind in (Encoder, Reranker):
        with pytest.raises(CheckpointError, match=said):
            kind(folder, device="cpu")


def test_a_sparse_encoder(tmp_path: Path) -> None:
    folder = sparse(tmp_path)
    refused(folder, "sparse encoder")

    (folder / "config_sentence_transformers.json").unlink()  # its modules say it, too
    refused(folder, "sparse encoder")


def test_a_multi_vector_model(tmp_path: Path) -> None:
    folder = multi_vector(tmp_path)
    refused(folder, "multi-vector model")

    (folder / "config_sentence_transformers.json").unlink()
    refused(folder, "multi-vector model")


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        ("HF_ColBERT", "multi-vector model"),
        ("ColQwen2ForRetrieval", "multi-vector model"),
        ("JinaForRanking", "listwise reranker"),
    ],
)
def test_what_config_json_says(architecture: str, said: str, tmp_path: Path) -> None:
    config = plain_bert(tmp_path) / "config.json"
    code: dict[str, Any] = {"auto_map": {"AutoModel": f"modeling.{architecture}"}}
    write_json(config, {**json.loads(config.read_text()), "architectures": [architecture], **code})
    refused(tmp_path, said)


@pytest.mark.parametrize("kind", ["ColBERT", "SparseEncoder", "NextEncoder"])
def test_what_its_settings_say(kind: str, tmp_path: Path) -> None:
    write_json(bert(tmp_path) / "config_sentence_transformers.json", {"model_type": kind})
    refused(tmp_path, "multi-vector|sparse|NextEncoder")
