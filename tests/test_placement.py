"""Devices and precisions: what may be asked for, and models that a device_map has placed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mm_rag import Encoder, Reranker
from mm_rag.errors import InputError
from tests.parity.replicas.cross_encoders import cross_encoder
from tests.parity.replicas.text import bert, plain_bert

TEXTS = ["a cat sat on the mat", "invoices are paid within thirty days"]


@pytest.mark.parametrize("device", [None, "auto", "cpu", torch.device("cpu")])
@pytest.mark.parametrize("dtype", [None, "auto", "float32", "torch.float32", torch.float32])
def test_what_may_be_asked_for(device: Any, dtype: Any, tmp_path: Path) -> None:
    encoder = Encoder(bert(tmp_path), device=device, dtype=dtype)
    weights = next(encoder.chain.parameters())
    assert weights.dtype == torch.float32


@pytest.mark.slow
def test_auto_is_what_the_checkpoint_says(tmp_path: Path) -> None:
    Encoder(bert(tmp_path / "first"), device="cpu", dtype="bfloat16").save(tmp_path / "half")

    loaded = Encoder(tmp_path / "half", device="cpu", dtype="auto")
    assert next(loaded.chain.parameters()).dtype == torch.bfloat16
    wide = Encoder(tmp_path / "half", device="cpu", dtype="float32")
    assert next(wide.chain.parameters()).dtype == torch.float32


NOWHERE = ["cuda:99", "meta", "gpu", "", "cpu:x", 3.5, "xpu:7"]


@pytest.mark.parametrize("device", NOWHERE if torch.cuda.is_available() else ["cuda", *NOWHERE])
@pytest.mark.parametrize("kind", [Encoder, Reranker])
def test_a_device_that_is_not_here(kind: Any, device: Any) -> None:
    with pytest.raises(InputError, match="device"):
        kind(device=device)


@pytest.mark.parametrize("dtype", ["int8", "float33", torch.int64, torch.bool, 16, "nn"])
def test_a_dtype_that_weights_cannot_have(dtype: Any) -> None:
    with pytest.raises(InputError, match="dtype"):
        Encoder(device="cpu", dtype=dtype)


@pytest.mark.slow
def test_sizes_of_numpy(tmp_path: Path) -> None:
    encoder = Encoder(bert(tmp_path / "encoder"), device="cpu", truncate_dim=np.int64(16))  # pyright: ignore[reportArgumentType]
    made = encoder.encode(TEXTS, batch_size=np.int32(1), truncate_dim=np.uint8(8))  # pyright: ignore[reportArgumentType]
    assert made.shape == (2, 8)
    assert encoder.encode(TEXTS).shape == (2, 16)
    encoder.save(tmp_path / "saved")
    assert Encoder(tmp_path / "saved", device="cpu").dimension == 16

    length: Any = np.int64(24)
    reranker = Reranker(cross_encoder(tmp_path / "model"), device="cpu", max_seq_length=length)
    assert reranker.max_seq_length == 24
    assert len(reranker.rank("cat", TEXTS, top_k=np.int16(1))) == 1  # pyright: ignore[reportArgumentType]
    assert reranker.rank("cat", TEXTS, top_k=np.int64(0)) == []  # pyright: ignore[reportArgumentType]
    for wrong in (True, 1.0, "1", np.float32(1), 0):
        with pytest.raises(InputError):
            Encoder(tmp_path / "saved", device="cpu", truncate_dim=wrong)  # pyright: ignore[reportArgumentType]


MAPS: dict[str, Any] = {
    "one device": "cpu",
    "parts": {"embeddings": "cpu", "encoder": "cpu", "pooler": "cpu"},
    "disk": {"embeddings": "cpu", "encoder": "disk", "pooler": "cpu"},
    "all on the disk": {"": "disk"},
    "auto": "auto",
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Attempting to save a model with offloaded modules")
@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("device", [None, "cpu"])
def test_a_device_map_stays(name: str, device: str | None, tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    folder = plain_bert(tmp_path / "model")
    plain = Encoder(folder, device="cpu")
    options = {"device_map": MAPS[name], "offload_folder": str(tmp_path / "offloaded")}
    mapped = Encoder(folder, device=device, model_kwargs=options)

    np.testing.assert_allclose(mapped.encode(TEXTS), plain.encode(TEXTS), atol=1e-6)
    assert mapped.fingerprint == plain.fingerprint
    kept = [weight.is_meta for weight in mapped.chain.parameters()]
    assert any(kept) == ("disk" in name)
    mapped.save(tmp_path / "saved")
    again = Encoder(tmp_path / "saved", device="cpu")
    np.testing.assert_allclose(again.encode(TEXTS), plain.encode(TEXTS), atol=1e-6)


def test_a_mapped_reranker(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    folder = cross_encoder(tmp_path / "model")
    parts = {"bert.embeddings": "cpu", "bert.encoder": "disk", "bert.pooler": "cpu"}
    options = {
        "device_map": {**parts, "classifier": "cpu"},
        "offload_folder": str(tmp_path / "offloaded"),
    }
    pairs = [("cat", text) for text in TEXTS]
    mapped = Reranker(folder, model_kwargs=options).predict(pairs)
    np.testing.assert_allclose(mapped, Reranker(folder, device="cpu").predict(pairs), atol=1e-6)
