"""Tiny models with random weights, in the file layouts of published ones.

No weights can be downloaded where tests run. A replica has the architecture, the processor and the
files of the published checkpoint, so what loads one loads the other.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    BertTokenizer,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTokenizer,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLModel,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

CORPUS = [
    "A cat sat on the mat, and the dog looked at the cat.",
    "Invoices are paid within thirty days; late payments cost interest.",
    "Light, water and air: photosynthesis turns them into sugar and oxygen.",
    "The quarterly revenue rose by 12% while costs fell, said the chart on page 3.",
    "user assistant system represent the input: find pages that answer the question",
]

QWEN_SPECIAL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
]

# The shape of the published template: a default instruction, typed parts, the assistant's turn.
QWEN_TEMPLATE = (
    "{%- if messages[0].role != 'system' -%}"
    "<|im_start|>system\nRepresent the user's input.<|im_end|>\n"
    "{%- endif -%}"
    "{%- for message in messages -%}"
    "<|im_start|>{{ message.role }}\n"
    "{%- if message.content is string -%}{{ message.content }}"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>"
    "{%- elif part.type == 'video' -%}<|vision_start|><|video_pad|><|vision_end|>"
    "{%- elif 'text' in part -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "<|im_end|>\n"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|im_start|>assistant\n{%- endif -%}"
)


def bert(folder: Path, *, pooling: dict[str, Any] | None = None, max_length: int = 32) -> Path:
    """The layout of all-MiniLM-L6-v2 and bge-base-en-v1.5, in the format before version 5.4."""
    torch.manual_seed(0)
    BertModel(_bert_config()).save_pretrained(folder)
    _word_pieces().save_pretrained(folder)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": max_length})
    modules = ["Transformer", "Pooling", "Normalize"]
    _old_modules(folder, modules[: 2 if pooling else 3])
    flags = pooling or {"pooling_mode_mean_tokens": True}
    _write(folder / "1_Pooling/config.json", {"word_embedding_dimension": 32, **flags})
    prompts = {"query": "find pages that answer: ", "document": "page: "}
    _write(folder / "config_sentence_transformers.json", {"prompts": prompts})
    return folder


def plain_bert(folder: Path) -> Path:
    """A transformers checkpoint that nobody prepared for sentence-transformers."""
    torch.manual_seed(1)
    BertModel(_bert_config()).save_pretrained(folder)
    _word_pieces().save_pretrained(folder)
    return folder


def cross_encoder(folder: Path, *, labels: int = 1, **config: Any) -> Path:
    """The layout of ms-marco-MiniLM-L6-v2."""
    torch.manual_seed(2)
    settings = _bert_config(num_labels=labels, **config)
    BertForSequenceClassification(settings).save_pretrained(folder)
    _word_pieces().save_pretrained(folder)
    return folder


def clip(folder: Path) -> Path:
    """The layout of BGE-VL-base: a plain CLIP, with its configuration's `auto_map`."""
    torch.manual_seed(3)
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "projection_dim": 24}
    tokenizer = _clip_tokenizer()
    end: Any = tokenizer.eos_token_id
    text = {"vocab_size": len(tokenizer), "eos_token_id": end, "bos_token_id": end - 1}
    config = CLIPConfig(
        text_config={**tower, **heads, **text, "max_position_embeddings": 20},
        vision_config={**tower, **heads, "image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    CLIPModel(config).save_pretrained(folder)
    size: dict[str, Any] = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    CLIPProcessor(CLIPImageProcessor(**size), tokenizer).save_pretrained(folder)
    saved = json.loads((folder / "config.json").read_text())
    saved["auto_map"] = {"AutoModel": "modeling_replica.ReplicaModel"}
    _write(folder / "config.json", saved)
    return folder


def qwen3_vl(folder: Path, *, max_length: int = 256) -> Path:
    """The layout of Qwen3-VL-Embedding-2B: chat template, last token, instructions."""
    torch.manual_seed(4)
    tokenizer = _qwen_tokenizer(max_length)
    ids: dict[str, Any] = {token: tokenizer.convert_tokens_to_ids(token) for token in QWEN_SPECIAL}
    config = Qwen3VLConfig(
        text_config=_qwen_text(len(tokenizer)),
        vision_config=_qwen_vision(),
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    Qwen3VLModel(config).save_pretrained(folder)
    patches: dict[str, Any] = {"patch_size": 8, "temporal_patch_size": 2, "merge_size": 2}
    pixels: dict[str, Any] = {"size": {"shortest_edge": 32 * 32, "longest_edge": 64 * 64}}
    processor = Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**patches, **pixels),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(**patches),
        chat_template=QWEN_TEMPLATE,
    )
    processor.save_pretrained(folder)
    _qwen_modules(folder)
    return folder


def _qwen_modules(folder: Path) -> None:
    forward = {"method": "forward", "method_output_name": "last_hidden_state"}
    modalities: dict[str, Any] = dict.fromkeys(("text", "image", "video"), forward)
    modalities["message"] = {**forward, "format": "structured"}
    transformer = {
        "transformer_task": "feature-extraction",
        "modality_config": modalities,
        "module_output_name": "token_embeddings",
        "processing_kwargs": {"chat_template": {"add_generation_prompt": True}},
        "unpad_inputs": False,
    }
    _write(folder / "sentence_bert_config.json", transformer)
    pooling = {"embedding_dimension": 32, "pooling_mode": "lasttoken", "include_prompt": True}
    _write(folder / "1_Pooling/config.json", pooling)
    paths = [
        ("", "sentence_transformers.base.modules.transformer.Transformer"),
        ("1_Pooling", "sentence_transformers.sentence_transformer.modules.pooling.Pooling"),
        ("2_Normalize", "sentence_transformers.sentence_transformer.modules.normalize.Normalize"),
    ]
    _modules(folder, paths)
    prompts = {"query": "Find pages that answer the question.", "document": ""}
    _write(folder / "config_sentence_transformers.json", {"prompts": prompts})


def _qwen_text(vocabulary: int) -> dict[str, Any]:
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "mrope_interleaved": True}
    return {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 1024,
        "rope_parameters": {**rope, "rope_theta": 10_000.0},
    }


def _qwen_vision() -> dict[str, Any]:
    return {
        "depth": 3,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 4,
        "out_hidden_size": 32,
        "patch_size": 8,
        "temporal_patch_size": 2,
        "spatial_merge_size": 2,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0, 1],
    }


def _bert_config(**more: Any) -> BertConfig:
    return BertConfig(
        vocab_size=len(_word_pieces()),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        **more,
    )


@cache  # training breaks ties by chance, and the model's size must fit
def _word_pieces() -> BertTokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return BertTokenizer(vocab=tokenizer.get_vocab(), model_max_length=64)


def _clip_tokenizer() -> CLIPTokenizer:
    vocabulary, merges = _byte_pairs(end_of_word="</w>")
    for token in ("<|startoftext|>", "<|endoftext|>"):
        vocabulary[token] = len(vocabulary)
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=20)


def _qwen_tokenizer(max_length: int) -> Qwen2Tokenizer:
    vocabulary, merges = _byte_pairs(end_of_word=None)
    for token in QWEN_SPECIAL:
        vocabulary[token] = len(vocabulary)
    return Qwen2Tokenizer(
        vocab=vocabulary,
        merges=merges,
        model_max_length=max_length,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        additional_special_tokens=QWEN_SPECIAL,
    )


def _byte_pairs(*, end_of_word: str | None) -> tuple[dict[str, int], Any]:
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix=end_of_word or ""))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        end_of_word_suffix=end_of_word or "",
    )
    tokenizer.train_from_iterator([text.lower() for text in CORPUS], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


def _old_modules(folder: Path, names: list[str]) -> None:
    paths = ["", *(f"{i}_{name}" for i, name in enumerate(names[1:], 1))]
    kinds = [f"sentence_transformers.models.{name}" for name in names]
    _modules(folder, list(zip(paths, kinds, strict=True)))


def _modules(folder: Path, paths: list[tuple[str, str]]) -> None:
    entries = [
        {"idx": i, "name": str(i), "path": path, "type": kind}
        for i, (path, kind) in enumerate(paths)
    ]
    _write(folder / "modules.json", entries)


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
