"""Replicas of encoders that bring their own code: Nemotron Embed VL."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from .code.llama_nemotron_vl.configuration_llama_nemotron_vl import LlamaNemotronVLConfig
from .code.llama_nemotron_vl.modeling_llama_nemotron_vl import LlamaNemotronVLModel
from .common import byte_pairs, write_json
from .layout import LAST_OF_ALL, with_special, write_layout

CODE = Path(__file__).parent / "code"
START, END = "<|begin_of_text|>", "<|end_of_text|>"
SPECIAL = [START, END, "<img>", "</img>", "<IMG_CONTEXT>"]


def nemotron_vl(folder: Path) -> Path:
    """The layout of llama-nemotron-embed-vl-1b-v2: own model, own processor, no chat template."""
    torch.manual_seed(7)
    tokenizer = nemotron_tokenizer()
    LlamaNemotronVLModel(_config(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    copy_code(
        folder,
        "llama_nemotron_vl",
        {
            "AutoConfig": "configuration_llama_nemotron_vl.LlamaNemotronVLConfig",
            "AutoModel": "modeling_llama_nemotron_vl.LlamaNemotronVLModel",
        },
    )
    processor = {
        "auto_map": {"AutoProcessor": "processing_llama_nemotron_vl.LlamaNemotronVLProcessor"},
        "processor_class": "LlamaNemotronVLProcessor",
        "image_size": 16,
        "max_input_tiles": 4,
        "num_image_token": 4,
        "p_max_length": 256,
        "passage_prefix": "passage:",
    }
    write_json(folder / "processor_config.json", processor)
    prompts = {"query": "query: ", "document": "passage: "}
    modalities = ("text", "image", "image+text")
    write_layout(folder, modalities, pooling="mean", prompts=prompts, output=LAST_OF_ALL)
    return folder


def copy_code(folder: Path, name: str, classes: dict[str, str]) -> None:
    """Put the stand-in's sources beside the weights, and say in the configuration who is who.

    Args:
        folder: The checkpoint, its `config.json` already written.
        name: The folder of sources under `code/`.
        classes: The class, as "module.Class", that each of transformers' Auto classes shall make.
    """
    for source in (CODE / name).glob("*.py"):
        shutil.copy(source, folder)
    config = json.loads((folder / "config.json").read_text())
    write_json(folder / "config.json", {**config, "auto_map": classes})


def _config(tokenizer: PreTrainedTokenizerFast) -> LlamaNemotronVLConfig:
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4}
    shape = {**shape, "num_hidden_layers": 2, "initializer_range": 0.1}
    context: Any = tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>")
    text = {"vocab_size": len(tokenizer), "num_key_value_heads": 2, "max_position_embeddings": 512}
    return LlamaNemotronVLConfig(
        vision_config={**shape, "image_size": 16, "patch_size": 4},
        llm_config={**shape, **text},
        img_context_token_id=context,
    )


@cache  # training breaks ties by chance, and the model's size must fit
def nemotron_tokenizer() -> PreTrainedTokenizerFast:
    words, merges = byte_pairs(end_of_word=None)
    vocabulary = with_special(words, SPECIAL)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A",
        pair=f"{START} $A {START} $B",
        special_tokens=[(START, vocabulary[START])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=START,
        eos_token=END,
        pad_token=END,
        padding_side="left",
        model_max_length=256,
    )
