"""What checkpoints may say in their files, beside what the families say: the same vectors."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules as theirs
from transformers import (
    BertModel,
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    BlipModel,
    BlipProcessor,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
    T5GemmaConfig,
    T5GemmaForConditionalGeneration,
    T5GemmaModuleConfig,
    ViltConfig,
    ViltImageProcessor,
    ViltModel,
    ViltProcessor,
)

from mm_rag import Encoder
from mm_rag.errors import CheckpointError, InputError
from tests.parity import samples
from tests.parity.replicas.common import (
    SPREAD,
    bert_config,
    word_pieces,
    write_json,
    write_old_modules,
    write_pooling,
)
from tests.parity.replicas.text import bert

TOLERANCE = 1e-5
TEXTS = ["A cat sat on the mat.", "light " * 60, "The Revenue ROSE by 12%", "light"]
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}


def change(path: Path, **settings: Any) -> None:
    saved = json.loads(path.read_text()) if path.is_file() else {}
    write_json(path, {**saved, **settings})


def configured(folder: Path, **settings: Any) -> Path:
    """A BERT whose Transformer has more settings."""
    change(bert(folder) / "sentence_bert_config.json", **settings)
    return folder


def plain_tokenizer(
    folder: Path, *, template: str | None = None, pad: str | None = "[PAD]"
) -> None:
    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_object=word_pieces().backend_tokenizer,
        pad_token=pad,
        unk_token="[UNK]",
        eos_token="[SEP]",
        model_max_length=48,
    )
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)


def write(model: PreTrainedModel, folder: Path) -> Path:
    torch.manual_seed(3)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:
                weights.normal_(0, SPREAD)
    model.save_pretrained(folder)
    return folder


def close(mine: Any, reference: Any) -> None:
    np.testing.assert_allclose(np.asarray(mine), np.asarray(reference), rtol=0, atol=TOLERANCE)


def same(folder: Path, again: Path, inputs: list[Any] = TEXTS) -> Encoder:
    """See that a checkpoint gives the same vectors there, and after it was saved here."""
    ours = Encoder(folder, device="cpu")
    reference = SentenceTransformer(str(folder), device="cpu")
    ours.save(again)
    saved, taken = Encoder(again, device="cpu"), SentenceTransformer(str(again), device="cpu")
    assert saved.fingerprint == ours.fingerprint
    for method in ("encode", "encode_query", "encode_document"):
        vectors = getattr(ours, method)(inputs)
        assert vectors.std(axis=0).max() > 0
        close(vectors, getattr(reference, method)(inputs))
        close(vectors, getattr(saved, method)(inputs))
        close(vectors, getattr(taken, method)(inputs))
    return ours


def test_lower_case_is_the_prompts_too_and_no_special_tokens(tmp_path: Path) -> None:
    folder = configured(tmp_path / "model", do_lower_case=True)
    tokenizer = BertTokenizer(vocab=word_pieces().get_vocab(), do_lower_case=False)
    tokenizer.save_pretrained(folder)
    prompts = {"query": "FIND Pages: ", "document": "Page [SEP] "}
    write_json(folder / "config_sentence_transformers.json", {"prompts": prompts})

    same(folder, tmp_path / "again")


def test_lengths_by_task(tmp_path: Path) -> None:
    folder = configured(tmp_path / "model", query_length=16, document_length=12)
    ours = same(folder, tmp_path / "again")

    prompt, text = "cat: ", samples.TEXTS[1] * 9
    cut = ours.encode_query(text, prompt=prompt)
    assert not np.allclose(ours.encode(text, prompt=prompt), cut, atol=1e-3)


def test_old_names_of_settings_go_before_new_ones(tmp_path: Path) -> None:
    settings = {"tokenizer_args": {"model_max_length": 10}}
    more = {"processor_kwargs": {"model_max_length": 20}}
    ours = same(configured(tmp_path / "model", **settings, **more), tmp_path / "again")

    assert "10 tokens" in repr(ours)


def test_an_empty_configuration_is_passed_over(tmp_path: Path) -> None:
    folder = bert(tmp_path / "model", max_length=9)
    (folder / "sentence_bert_config.json").rename(folder / "sentence_roberta_config.json")
    write_json(folder / "sentence_bert_config.json", {})

    assert "9 tokens" in repr(same(folder, tmp_path / "again"))


def test_what_is_no_modality_is_passed_over(tmp_path: Path) -> None:
    entry = {"method": "forward", "method_output_name": ["hidden_states", -2]}
    settings: dict[str, Any] = {"modality_config": {"text": entry, "depth": {"method": "no_such"}}}
    folder = configured(tmp_path / "model", **settings, module_output_name="token_embeddings")

    assert same(folder, tmp_path / "again").modalities == ("text",)


@pytest.mark.parametrize(
    "settings",
    [
        {"text": {"max_length": 12}},
        {"common": {"padding": "max_length", "max_length": 20}},
        {"text": {"return_special_tokens_mask": True, "pad_to_multiple_of": 8}},
        {"text": {"add_special_tokens": False}, "image": None},
    ],
)
def test_settings_of_the_processing(tmp_path: Path, settings: dict[str, Any]) -> None:
    same(configured(tmp_path / "model", processing_kwargs=settings), tmp_path / "again")


FLAT = "{% for m in messages %}{{m['role']}}: {{m['content']}} [SEP]{% endfor %}{{task}} light cat"


def llama(folder: Path, *, template: str | None, pad: str | None = "[PAD]") -> Path:
    config = LlamaConfig(vocab_size=len(word_pieces()), num_key_value_heads=2, **SIZES)
    plain_tokenizer(folder, template=template, pad=pad)
    return write(LlamaForCausalLM(config), folder)


@pytest.mark.parametrize(
    ("settings", "style"),
    [
        ({}, None),
        ({}, "auto"),
        ({"text": {"max_length": 14}}, "flat"),
        ({"common": {"max_length": 14}}, "flat"),
        ({"chat_template": {"max_length": 14, "truncation": True}}, "flat"),
        ({"chat_template": {"max_length": 14, "restore_suffix": False}}, "flat"),
    ],
)
def test_chat_templates(tmp_path: Path, settings: dict[str, Any], style: str | None) -> None:
    """The template is told the task, and its end survives every way of cutting."""
    folder = llama(tmp_path / "model", template=FLAT)
    message = {"method": "forward", "method_output_name": "last_hidden_state", "format": style}
    transformer = {
        "modality_config": {"message": {k: v for k, v in message.items() if v}, "text": message},
        "module_output_name": "token_embeddings",
        "processing_kwargs": settings,
    }
    write_json(folder / "sentence_bert_config.json", transformer)
    write_old_modules(folder, ["Transformer", "Pooling"])
    write_pooling(folder, "lasttoken", later=True)

    ours = same(folder, tmp_path / "again")
    assert not np.allclose(ours.encode_query(TEXTS), ours.encode_document(TEXTS), atol=1e-3)


def test_a_tokenizer_without_padding(tmp_path: Path) -> None:
    folder = llama(tmp_path / "model", template=None, pad=None)
    ours = Encoder(folder, device="cpu")

    assert ours.fingerprint == Encoder(folder, device="cpu").fingerprint
    with pytest.raises(InputError, match="does not have a padding token"):
        ours.encode(TEXTS)


def t5(folder: Path) -> Path:
    config = T5Config(
        vocab_size=len(word_pieces()), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4
    )
    plain_tokenizer(folder)
    return write(T5ForConditionalGeneration(config), folder)


def t5_gemma(folder: Path) -> Path:
    half = T5GemmaModuleConfig(
        vocab_size=len(word_pieces()), num_key_value_heads=2, head_dim=8, **SIZES
    )
    plain_tokenizer(folder)
    return write(T5GemmaForConditionalGeneration(T5GemmaConfig(encoder=half, decoder=half)), folder)


@pytest.mark.parametrize("make", [t5, pytest.param(t5_gemma, marks=pytest.mark.slow)])
def test_the_encoder_of_an_encoder_decoder(tmp_path: Path, make: Any) -> None:
    """Also of a checkpoint that holds nothing else, as it is saved and as sentence-t5 is."""
    same(make(tmp_path / "model"), tmp_path / "again")
    same(tmp_path / "again", tmp_path / "once_more")


PICTURES: dict[str, Any] = {"size": {"height": 32, "width": 32}}
SEEING: dict[str, Any] = {"image_size": 32, "patch_size": 16, **SIZES}


def vilt(folder: Path) -> Path:
    settings: dict[str, Any] = {"size": {"shortest_edge": 32}, "size_divisor": 16}
    pictures = ViltImageProcessor(**settings)
    ViltProcessor(pictures, word_pieces()).save_pretrained(folder)
    config = ViltConfig(vocab_size=len(word_pieces()), max_position_embeddings=64, **SEEING)
    return write(ViltModel(config), folder)


def blip_config() -> BlipConfig:
    special = {"bos_token_id": 2, "sep_token_id": 3, "eos_token_id": 3, "pad_token_id": 0}
    words: dict[str, Any] = {
        "vocab_size": len(word_pieces()),
        "max_position_embeddings": 64,
        **special,
        **SIZES,
    }
    words |= {"encoder_hidden_size": 32, "projection_dim": 16}
    return BlipConfig(text_config=words, vision_config=SEEING, projection_dim=16)


def blip(folder: Path) -> Path:
    BlipProcessor(BlipImageProcessor(**PICTURES), word_pieces()).save_pretrained(folder)
    return write(BlipModel(blip_config()), folder)


@pytest.mark.slow
def test_models_that_take_words_and_a_picture_only_together(tmp_path: Path) -> None:
    ours = same(vilt(tmp_path / "model"), tmp_path / "again", samples.together())

    assert ours.modalities == ("image+text",)


@pytest.mark.slow
def test_models_with_a_method_for_words_and_a_picture_together(tmp_path: Path) -> None:
    ours = same(blip(tmp_path / "model"), tmp_path / "again", samples.together())

    assert ours.modalities == ("text", "image", "image+text")
    close(
        ours.encode(samples.pictures()),
        SentenceTransformer(str(tmp_path / "model"), device="cpu").encode(samples.pictures()),
    )


def test_a_router_in_a_router(tmp_path: Path) -> None:
    def branch(name: str, seed: int) -> list[Any]:
        folder = bert(tmp_path / name)
        torch.manual_seed(seed)
        write_json(folder / "sentence_bert_config.json", {"max_seq_length": 10 + seed})
        transformer = theirs.Transformer(str(folder), max_seq_length=10 + seed)
        for weights in transformer.model.parameters():
            weights.data.add_(torch.randn_like(weights) * SPREAD)
        return [transformer, theirs.Pooling(32)]

    inner = theirs.Router({"query": branch("a", 1), "document": branch("b", 2)})
    made = SentenceTransformer(
        modules=[theirs.Router({"text": [inner, theirs.Normalize()]})], device="cpu"
    )
    made.save(str(tmp_path / "model"))

    ours = same(tmp_path / "model", tmp_path / "again")
    assert not np.allclose(ours.encode_query(TEXTS), ours.encode_document(TEXTS), atol=1e-3)


def test_weights_in_several_old_files(tmp_path: Path) -> None:
    folder = bert(tmp_path / "model")
    weights = BertModel.from_pretrained(folder).state_dict()
    (folder / "model.safetensors").unlink()
    places = {name: f"pytorch_model-0000{1 + i % 2}-of-00002.bin" for i, name in enumerate(weights)}
    for file in set(places.values()):
        torch.save({name: weights[name] for name in places if places[name] == file}, folder / file)
    index = {"metadata": {}, "weight_map": places}
    write_json(folder / "pytorch_model.bin.index.json", index)

    same(folder, tmp_path / "again")


def test_a_model_of_which_a_part_would_stay_random(tmp_path: Path) -> None:
    """sentence-transformers loads these, and gives other vectors each time."""
    change(bert(tmp_path / "deeper") / "config.json", num_hidden_layers=3)
    BlipProcessor(BlipImageProcessor(**PICTURES), word_pieces()).save_pretrained(tmp_path / "blip")
    write(BlipForConditionalGeneration(blip_config()), tmp_path / "blip")

    with pytest.raises(CheckpointError, match=r"missing: encoder\.layer\.2"):
        Encoder(tmp_path / "deeper", device="cpu")
    with pytest.raises(CheckpointError, match="missing: text_model"):
        Encoder(tmp_path / "blip", device="cpu")


def test_a_pooler_may_be_missing(tmp_path: Path) -> None:
    folder = bert(tmp_path / "model")
    BertModel(bert_config(), add_pooling_layer=False).save_pretrained(folder)

    same(folder, tmp_path / "again")
    first, second = Encoder(folder, device="cpu"), Encoder(folder, device="cpu")
    assert first.fingerprint == second.fingerprint


def test_saved_while_it_encodes(tmp_path: Path) -> None:
    """Tokenizers keep the padding of a call, which must not become a setting of the checkpoint."""
    encoder = Encoder(bert(tmp_path / "model"), device="cpu")
    done = threading.Event()

    def encode() -> None:
        while not done.is_set():
            encoder.encode(TEXTS)

    thread = threading.Thread(target=encode)
    thread.start()
    try:
        for turn in range(10):
            encoder.save(tmp_path / str(turn))
    finally:
        done.set()
        thread.join()

    saved = [json.loads((tmp_path / str(i) / "tokenizer.json").read_text()) for i in range(10)]
    assert [(each["truncation"], each["padding"]) for each in saved] == [(None, None)] * 10
