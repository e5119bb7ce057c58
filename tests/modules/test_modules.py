from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from torch import nn

from mm_rag import Audio, Encoder, Image, Text
from mm_rag.errors import CheckpointError, InputError, UnsupportedModality
from mm_rag.modules import (
    Chain,
    Dense,
    Features,
    LoadOptions,
    Normalize,
    Pooling,
    ReadAudio,
    ReadImage,
    Router,
    Transformer,
)
from mm_rag.modules.batching import plan

from ..parity import replicas


def transformer(folder: Path) -> Transformer:
    return Transformer.from_pretrained(replicas.plain_bert(folder), LoadOptions())


def test_dense_loads_what_it_saved(tmp_path: Path) -> None:
    dense = Dense(4, 3, activation=nn.GELU(), use_residual=True)
    dense.save(tmp_path)
    again = Dense.load(tmp_path, LoadOptions())
    vectors = torch.randn(2, 4)

    made = [module(Features({"sentence_embedding": vectors})) for module in (dense, again)]

    assert made[0]["sentence_embedding"].shape == (2, 3)
    torch.testing.assert_close(made[0]["sentence_embedding"], made[1]["sentence_embedding"])


@pytest.mark.parametrize("name", ["os.system", "torch.nn.init.zeros_", "torch.load"])
def test_a_checkpoint_cannot_choose_code_to_run(name: str) -> None:
    config = {"in_features": 4, "out_features": 3, "activation_function": name}

    with pytest.raises(CheckpointError, match="activation"):
        Dense.from_config(config)


def test_dense_without_weights(tmp_path: Path) -> None:
    Dense(4, 3).save(tmp_path)
    (tmp_path / "model.safetensors").unlink()

    with pytest.raises(CheckpointError, match="no weights"):
        Dense.load(tmp_path, LoadOptions())


def test_dense_with_weights_that_were_cut_off(tmp_path: Path) -> None:
    Dense(4, 3).save(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])

    with pytest.raises(CheckpointError, match="weights"):
        Dense.load(tmp_path, LoadOptions())


def test_pooling_computes_in_float32() -> None:
    tokens = torch.randn(1, 300, 8).bfloat16()
    features = Features({"token_embeddings": tokens, "attention_mask": torch.ones(1, 300).long()})

    pooled = Pooling(8)(features)["sentence_embedding"]

    torch.testing.assert_close(pooled, tokens.float().mean(dim=1))


def test_an_unknown_pooling_mode() -> None:
    with pytest.raises(CheckpointError, match="median"):
        Pooling.from_config({"embedding_dimension": 8, "pooling_mode": "median"})


def test_normalize_token_vectors() -> None:
    features = Features({"token_embeddings": torch.randn(2, 3, 4)})

    vectors = Normalize("token_embeddings")(features)["token_embeddings"]

    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(2, 3))


def test_a_router_shares_and_saves_a_module_once(tmp_path: Path) -> None:
    shared = transformer(tmp_path / "plain")
    router = Router({"text": [shared], "image": [ReadImage(), shared]})
    chain = Chain([router, Pooling(32)])
    chain.save(tmp_path / "saved")

    again = Encoder(tmp_path / "saved", device="cpu")
    weights = list((tmp_path / "saved").rglob("model.safetensors"))

    assert len(weights) == 1
    assert sum(p.numel() for p in again.chain.parameters()) == sum(
        p.numel() for p in shared.parameters()
    )
    assert again.modalities == ("text", "image")
    assert not again.supports("audio")
    with pytest.raises(UnsupportedModality, match="it takes text, image"):
        again.encode(Audio(Path("never.wav")))


def test_routes_with_modules_of_their_own_end_in_one_space(tmp_path: Path) -> None:
    text = [transformer(tmp_path / "plain"), Pooling(32), Dense(32, 24)]
    picture = Transformer.from_pretrained(replicas.clip(tmp_path / "clip"), LoadOptions())
    encoder = Encoder(modules=[Router({"text": text, "image": [picture]})], device="cpu")

    vectors = encoder.encode([Text("a cat"), Image(picture_bytes()), Text("a dog")])

    assert vectors.shape == (3, 24)
    assert not encoder.supports(("text", "image"))


def test_routes_of_different_dimensions(tmp_path: Path) -> None:
    text = transformer(tmp_path / "plain")
    picture = Transformer.from_pretrained(replicas.clip(tmp_path / "clip"), LoadOptions())

    encoder = Encoder(
        modules=[Router({"text": [text, Pooling(32)], "image": [picture]})], device="cpu"
    )
    shown = Image(picture_bytes())

    assert encoder.encode("a cat").shape == (encoder.dimension,) == (32,)
    assert encoder.encode(shown).shape == (24,)
    with pytest.raises(InputError, match=r"32 and of 24|24 and of 32"):
        encoder.encode(["a cat", shown])
    with pytest.raises(CheckpointError, match="takes vectors of dimension 32"):
        Encoder(modules=[Router({"text": [text], "image": [picture]}), Pooling(32)])


def test_a_chain_begins_with_a_module_that_takes_content() -> None:
    with pytest.raises(CheckpointError, match="first module"):
        Chain([Pooling(8)])


def test_a_reader_refuses_other_media() -> None:
    assert ReadImage().read(Image(b"never opened", text="words")) == Text("words")
    with pytest.raises(UnsupportedModality, match="ReadAudio reads audio, not image"):
        ReadAudio().read(Image(b"never opened", text="words"))


def test_long_texts_are_cut_at_words_and_nothing_is_lost(tmp_path: Path) -> None:
    model = transformer(tmp_path)
    text = " ".join(map("".join, itertools.product("aeinort", repeat=3)))

    pieces = [piece.text for piece in model.split(Text(text), overlap=8) if isinstance(piece, Text)]

    assert len(pieces) > 2
    assert all(length <= 64 for length in model.lengths([Text(piece) for piece in pieces]))
    assert {word for piece in pieces for word in piece.split()} == set(text.split())
    assert model.split(Text(""), overlap=8) == [Text("")]


def test_batches_hold_one_kind_and_a_number_of_tokens() -> None:
    batches = plan([5, 50, 7, 6, 900], ["a", "a", "b", "a", "a"], batch_size=2, tokens=100)

    assert sorted(place for batch in batches for place in batch) == [0, 1, 2, 3, 4]
    assert [4] in batches
    assert [2] in batches
    assert all(len(batch) <= 2 for batch in batches)


def picture_bytes() -> bytes:
    import io

    from PIL import Image as Pictures

    file = io.BytesIO()
    Pictures.new("RGB", (40, 30), "red").save(file, "PNG")
    return file.getvalue()
