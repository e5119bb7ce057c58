"""Rerankers of any size with random weights, in the layout of the published ones.

Speed and equality depend on shapes, not on the weights' values. sentence-transformers and mm-rag
load the same folder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from benchmarks.rerankers.flops import TextShape, VisionShape
from benchmarks.rerankers.material import Words

PIXELS_OF_A_TOKEN = 32 * 32

_SPECIAL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
_LONGEST = 8192  # tokens of a pair
INSTRUCTION = "Retrieve passages that answer the query"
_SYSTEM = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".'
)

_PARTS = (
    "{%- macro parts(role) -%}{%- for message in messages if message.role == role -%}"
    "{%- if message.content is string -%}{{ message.content }}{%- else -%}"
    "{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>"
    "{%- elif part.type == 'text' -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}{%- endfor -%}{%- endmacro -%}"
)
_TEMPLATE = (
    _PARTS + "<|im_start|>system\n" + _SYSTEM + "<|im_end|>\n<|im_start|>user\n"
    "<Instruct>: {{ parts('system') }}\n<Query>: {{ parts('query') }}\n"
    "<Document>: {{ parts('document') }}<|im_end|>\n"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n\n</think>\n\n{% endif %}"
)


def write_text_reranker(folder: Path, shape: TextShape) -> Path:
    """Write a reranker like Qwen3-Reranker, in float32."""
    torch.manual_seed(0)
    tokenizer = _tokenizer()
    sizes: dict[str, Any] = {**_text_sizes(shape), "vocab_size": len(tokenizer)}
    Qwen3ForCausalLM(Qwen3Config(**sizes, tie_word_embeddings=True)).save_pretrained(folder)
    tokenizer.chat_template = _TEMPLATE
    tokenizer.save_pretrained(folder)
    _write_chain(folder, tokenizer, "text-generation", {"text": {}, "message": {"format": "flat"}})
    return folder


def write_visual_reranker(
    folder: Path,
    text: TextShape,
    vision: VisionShape,
    *,
    page_tokens: int,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Write a reranker like Qwen3-VL-Reranker.

    Args:
        folder: Output folder.
        text: Sizes of the language model.
        vision: Sizes of the vision tower.
        page_tokens: Most tokens of a picture; larger pictures are scaled down.
        device: Device on which the weights are made.
        dtype: Type of the weights.
    """
    torch.manual_seed(0)
    tokenizer = _tokenizer()
    config = _visual_config(tokenizer, text, vision)
    with torch.device(device):
        model: Any = Qwen3VLForConditionalGeneration(config)
    model.to(dtype).save_pretrained(folder)
    _visual_processor(tokenizer, vision, page_tokens).save_pretrained(folder)
    modalities = {"text": {}, "image": {}, "message": {"format": "structured"}}
    _write_chain(folder, tokenizer, "any-to-any", modalities)
    return folder


def _text_sizes(shape: TextShape) -> dict[str, Any]:
    return {
        "hidden_size": shape.width,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_value_heads,
        "head_dim": shape.head_dim,
        "max_position_embeddings": 2 * _LONGEST,
        # Smaller weights would give all pairs nearly the same score and hide a wrong one.
        "initializer_range": shape.width**-0.5,
    }


def _visual_config(
    tokenizer: Qwen2Tokenizer, text: TextShape, vision: VisionShape
) -> Qwen3VLConfig:
    third = text.head_dim // 6
    sections = [text.head_dim // 2 - 2 * third, third, third]
    rope = {"rope_type": "default", "mrope_section": sections, "mrope_interleaved": True}
    sizes = {**_text_sizes(text), "vocab_size": len(tokenizer)}
    tower = {
        "depth": vision.layers,
        "hidden_size": vision.width,
        "num_heads": vision.heads,
        "intermediate_size": vision.inner,
        "out_hidden_size": text.width,
        "patch_size": vision.patch,
        "temporal_patch_size": 2,
        "spatial_merge_size": 2,
        "num_position_embeddings": 2304,
        "deepstack_visual_indexes": list(vision.deepstack),
        "initializer_range": vision.width**-0.5,
    }
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    tokens = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    ids: dict[str, Any] = dict(
        zip(names, map(tokenizer.convert_tokens_to_ids, tokens), strict=True)
    )
    return Qwen3VLConfig(
        text_config={**sizes, "rope_parameters": {**rope, "rope_theta": 5e6}},
        vision_config=tower,
        tie_word_embeddings=True,
        **ids,
    )


def _visual_processor(
    tokenizer: Qwen2Tokenizer, vision: VisionShape, page_tokens: int
) -> Qwen3VLProcessor:
    patches: dict[str, Any] = {
        "patch_size": vision.patch,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    pixels: Any = {"shortest_edge": 2**16, "longest_edge": page_tokens * PIXELS_OF_A_TOKEN}
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**patches, size=pixels),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(**patches),
        chat_template=_TEMPLATE,
    )


def _tokenizer() -> Qwen2Tokenizer:
    """Train a tokenizer; like the published one, it has the template's words as single tokens."""
    # Repeat the words that must become single tokens.
    fixed = [_SYSTEM, INSTRUCTION, "<Instruct>: <Query>: <Document>: <think>\n\n</think>\n\n"]
    texts = [Words(1).text(60_000), *(500 * [*fixed, "system", "user", "assistant", "yes", "no"])]
    learnt = Tokenizer(models.BPE())
    splitter = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learnt.pre_tokenizer, learnt.decoder = splitter, decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4000, initial_alphabet=splitter.alphabet(), show_progress=False
    )
    learnt.train_from_iterator(texts, trainer)
    saved = json.loads(learnt.to_str())["model"]
    words: dict[str, int] = saved["vocab"]
    merges: Any = [tuple(merge) for merge in saved["merges"]]
    return Qwen2Tokenizer(
        vocab={**words, **{token: len(words) + i for i, token in enumerate(_SPECIAL)}},
        merges=merges,
        model_max_length=_LONGEST,
        padding_side="left",
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        additional_special_tokens=_SPECIAL,
    )


def _write_chain(
    folder: Path, tokenizer: Qwen2Tokenizer, task: str, modalities: dict[str, dict[str, str]]
) -> None:
    """Write sentence-transformers' files: a Transformer and a LogitScore of "yes" and "no"."""
    logits = {"method": "forward", "method_output_name": "logits"}
    kinds = {
        "": "sentence_transformers.base.modules.transformer.Transformer",
        "1_LogitScore": "sentence_transformers.cross_encoder.modules.logit_score.LogitScore",
    }
    yes, no = (tokenizer.convert_tokens_to_ids(word) for word in ("yes", "no"))
    files: dict[str, Any] = {
        "modules.json": [
            {"idx": i, "name": str(i), "path": path, "type": kind}
            for i, (path, kind) in enumerate(kinds.items())
        ],
        "1_LogitScore/config.json": {"true_token_id": yes, "false_token_id": no},
        "sentence_bert_config.json": {
            "transformer_task": task,
            "modality_config": {name: {**logits, **more} for name, more in modalities.items()},
            "module_output_name": "causal_logits",
            "processing_kwargs": {"chat_template": {"add_generation_prompt": True}},
        },
        "config_sentence_transformers.json": {
            "model_type": "CrossEncoder",
            "prompts": {"web_search": INSTRUCTION},
            "default_prompt_name": "web_search",
            "activation_fn": "torch.nn.modules.linear.Identity",
        },
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content, indent=2))
