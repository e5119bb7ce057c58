"""Replicas of encoders made from LLaVA-NeXT."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, trainers
from transformers import (
    CLIPVisionConfig,
    LlamaTokenizer,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessor,
    LlavaNextProcessor,
    MistralConfig,
)

from .common import CORPUS, write_json
from .layout import rename_weights, write_layout

ADDED = ["<image>", "<pad>", "<instruct>", "<query>"]
TILES = [[16, 32], [32, 16], [32, 32], [48, 16], [16, 48]]

# The shape of the published template: an instruction makes a query, its absence a candidate.
TEMPLATE = (
    "{{- bos_token -}}[INST] "
    "{%- if messages[0].role == 'system' -%}"
    "\n <instruct> {% for part in messages[0].content %}{{ part.text }}{% endfor %} <query> "
    "{%- endif -%}"
    "{%- for message in messages if message.role != 'system' -%}"
    "{%- if message.content is string %} {{ message.content }} \n"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'image' %} <image>"
    "{%- elif 'text' in part %} {{ part.text }} \n{% endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{%- endfor %} [/INST]"
)


def llava_next(folder: Path, *, seed: int = 5) -> Path:
    """The layout of BGE-VL-MLLM-S1 and -S2: weights and class names of older transformers."""
    torch.manual_seed(seed)
    tokenizer = _tokenizer()
    LlavaNextForConditionalGeneration(_config(tokenizer)).save_pretrained(folder)
    rename_weights(folder, "vision_tower.", "vision_tower.vision_model.")
    _name_the_custom_class(folder)
    processor = LlavaNextProcessor(
        image_processor=LlavaNextImageProcessor(
            size={"shortest_edge": 16},
            crop_size={"height": 16, "width": 16},
            image_grid_pinpoints=TILES,
        ),
        tokenizer=tokenizer,
        patch_size=4,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    processor.save_pretrained(folder)
    prompts = {"query": "Retrieve the picture that fits.", "document": ""}
    write_layout(folder, ("text", "image", "message"), pooling="lasttoken", prompts=prompts)
    return folder


def _name_the_custom_class(folder: Path) -> None:
    """Name a class that is not there: the published one is not needed and must not be asked for."""
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["LLaVANextForEmbedding"]
    config["auto_map"] = {"AutoModel": "modeling_llavanext_for_embedding.LLaVANextForEmbedding"}
    write_json(folder / "config.json", config)


def _config(tokenizer: LlamaTokenizer) -> LlavaNextConfig:
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4}
    shape = {**shape, "initializer_range": 0.1}
    image: Any = tokenizer.convert_tokens_to_ids("<image>")
    text: dict[str, Any] = {**shape, "num_hidden_layers": 2, "num_key_value_heads": 2}
    vision: dict[str, Any] = {**shape, "num_hidden_layers": 3, "image_size": 16, "patch_size": 4}
    return LlavaNextConfig(
        text_config=MistralConfig(
            **text,
            vocab_size=len(tokenizer),
            max_position_embeddings=1024,
            sliding_window=None,
        ),
        vision_config=CLIPVisionConfig(**vision, projection_dim=24),
        image_token_index=image,
        image_grid_pinpoints=TILES,
        image_seq_length=16,
    )


@cache  # training breaks ties by chance, and the model's size must fit
def _tokenizer() -> LlamaTokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    single_bytes = [f"<0x{value:02X}>" for value in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        show_progress=False,
        special_tokens=["<unk>", "<s>", "</s>", *single_bytes],
    )
    tokenizer.train_from_iterator([f" {text}" for text in CORPUS], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    made = LlamaTokenizer(
        vocab=model["vocab"],
        merges=[tuple(merge) for merge in model["merges"]],
        pad_token="<pad>",
        padding_side="left",
        model_max_length=512,
    )
    made.add_special_tokens({"additional_special_tokens": ADDED})
    return made
