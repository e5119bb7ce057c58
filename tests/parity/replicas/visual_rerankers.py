"""Replicas of rerankers that look at pictures: of Qwen3-VL, of Nemotron, of Qwen2-VL."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    Qwen2Tokenizer,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

from .code.llama_nemotron_vl.configuration_llama_nemotron_vl import LlamaNemotronVLConfig
from .code.llama_nemotron_vl.modeling_llama_nemotron_vl_rerank import (
    LlamaNemotronVLForSequenceClassification,
)
from .common import byte_pairs, write_json, write_modules
from .layout import LAST_STATE, with_special
from .nemotron import copy_code, nemotron_tokenizer
from .pieces import Merge
from .qwen import QWEN_SPECIAL
from .visual_templates import JINA_TEMPLATE, NEMOTRON_TEMPLATE, QWEN_TEMPLATE, SCORE

_BASE = "sentence_transformers.base.modules"
_CROSS = "sentence_transformers.cross_encoder.modules"
_POOLING = "sentence_transformers.sentence_transformer.modules.pooling.Pooling"

_TOKENS = 640
_PATCHES: dict[str, Any] = {"patch_size": 8, "temporal_patch_size": 2, "merge_size": 2}
_PICTURE: dict[str, Any] = {"size": {"shortest_edge": 32 * 32, "longest_edge": 96 * 96}}
_CLIP: dict[str, Any] = {"size": {"shortest_edge": 4 * 32 * 32, "longest_edge": 8 * 48 * 48}}


def qwen3_vl_reranker(folder: Path) -> Path:
    """The layout of Qwen3-VL-Reranker: what the model would say next, "yes" or "no"."""
    torch.manual_seed(11)
    tokenizer = _tokenizer([])
    Qwen3VLForConditionalGeneration(_qwen3_config(tokenizer)).save_pretrained(folder)
    processor = Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**_PATCHES, **_PICTURE),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(**_PATCHES, **_CLIP),
        chat_template=QWEN_TEMPLATE,
    )
    processor.save_pretrained(folder)
    write_transformer(
        folder,
        "any-to-any",
        ("text", "image", "video", "message"),
        processing={"chat_template": {"add_generation_prompt": True}},
    )
    write_logit_score(folder, tokenizer, "yes", "no")
    return folder


def nemotron_rerank_vl(folder: Path) -> Path:
    """The layout of llama-nemotron-rerank-vl-1b-v2: own model, own processor, one logit."""
    torch.manual_seed(12)
    tokenizer = nemotron_tokenizer()
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4}
    shape = {**shape, "num_hidden_layers": 2, "initializer_range": 0.15}
    text = {"vocab_size": len(tokenizer), "num_key_value_heads": 2, "max_position_embeddings": 512}
    context: Any = tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>")
    config = LlamaNemotronVLConfig(
        vision_config={**shape, "image_size": 16, "patch_size": 4},
        llm_config={**shape, **text},
        img_context_token_id=context,
        num_labels=1,
    )
    model = LlamaNemotronVLForSequenceClassification(config)
    _spread(model.score)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(NEMOTRON_TEMPLATE)
    code = "modeling_llama_nemotron_vl_rerank.LlamaNemotronVLForSequenceClassification"
    classes = {
        "AutoConfig": "configuration_llama_nemotron_vl.LlamaNemotronVLConfig",
        "AutoModelForSequenceClassification": code,
    }
    copy_code(folder, "llama_nemotron_vl", classes)
    own = "LlamaNemotronVLRerankProcessor"
    processor = {
        "auto_map": {"AutoProcessor": f"processing_llama_nemotron_vl_rerank.{own}"},
        "processor_class": own,
        "image_size": 16,
        "max_input_tiles": 4,
        "num_image_token": 4,
    }
    write_json(folder / "processor_config.json", processor)
    write_transformer(folder, "sequence-classification", ("text", "image", "message"))
    write_chain(folder, [])
    return folder


def jina_reranker_m0(folder: Path) -> Path:
    """The layout of jina-reranker-m0: the last token's vector through two dense layers.

    The published weights hold the dense layers too, as `score`, and no language head.
    """
    torch.manual_seed(13)
    tokenizer = _tokenizer([SCORE])
    Qwen2VLForConditionalGeneration(_qwen2_config(tokenizer)).save_pretrained(folder)
    processor = Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(**_PATCHES, **_PICTURE),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(**_PATCHES, **_CLIP),
        chat_template=JINA_TEMPLATE,
    )
    processor.save_pretrained(folder)
    config_file = folder / "config.json"
    config_file.write_text(
        config_file.read_text().replace("Qwen2VLForConditionalGeneration", "JinaVLForRanking")
    )
    write_transformer(folder, "feature-extraction", ("text", "image", "message"))
    pooling = {"embedding_dimension": 32, "pooling_mode": "lasttoken", "include_prompt": True}
    write_json(folder / "1_Pooling/config.json", pooling)
    layers = nn.Linear(32, 32), nn.Linear(32, 1)
    _spread(layers[1])
    _write_dense(folder / "2_Dense", layers[0], "torch.nn.modules.activation.ReLU")
    _write_dense(folder / "3_Dense", layers[1], "torch.nn.modules.linear.Identity", "scores")
    _keep_with_the_model(folder, layers)
    dense = f"{_BASE}.dense.Dense"
    write_chain(folder, [("1_Pooling", _POOLING), ("2_Dense", dense), ("3_Dense", dense)])
    return folder


def _spread(layer: nn.Linear) -> None:
    """Scores that differ clearly between inputs that differ a little."""
    with torch.no_grad():
        layer.weight *= 8


def write_transformer(
    folder: Path,
    task: str,
    modalities: tuple[str, ...],
    *,
    processing: dict[str, Any] | None = None,
) -> None:
    """The file of a Transformer that does `task`, and takes these modalities."""
    feature = task == "feature-extraction"
    output = LAST_STATE if feature else "logits"
    names = {"any-to-any": "causal_logits", "sequence-classification": "scores"}
    forward = {"method": "forward", "method_output_name": output}
    config: dict[str, Any] = {name: dict(forward) for name in modalities}
    config["message"]["format"] = "structured"
    settings = {
        "transformer_task": task,
        "modality_config": config,
        "module_output_name": names.get(task, "token_embeddings"),
        **({"processing_kwargs": processing} if processing else {}),
    }
    write_json(folder / "sentence_bert_config.json", settings)


def write_logit_score(folder: Path, tokenizer: Qwen2Tokenizer, true: str, false: str) -> None:
    """The files of a chain that ends in a LogitScore of two tokens."""
    true_id, false_id = (tokenizer.convert_tokens_to_ids(word) for word in (true, false))
    head = {"true_token_id": true_id, "false_token_id": false_id}
    head_file = folder / "1_LogitScore/config.json"
    write_json(head_file, {**head, "module_input_name": "causal_logits"})
    write_chain(folder, [("1_LogitScore", f"{_CROSS}.logit_score.LogitScore")])


def write_chain(folder: Path, heads: list[tuple[str, str]]) -> None:
    """The files of a chain: a Transformer, and the heads by folder and type."""
    write_modules(folder, [("", f"{_BASE}.transformer.Transformer"), *heads])
    settings = {
        "model_type": "CrossEncoder",
        "prompts": {},
        "default_prompt_name": None,
        "activation_fn": "torch.nn.modules.activation.Sigmoid",
    }
    write_json(folder / "config_sentence_transformers.json", settings)


def _write_dense(
    folder: Path, layer: nn.Linear, activation: str, output: str = "sentence_embedding"
) -> None:
    config = {
        "in_features": layer.in_features,
        "out_features": layer.out_features,
        "bias": True,
        "activation_function": activation,
        "module_input_name": "sentence_embedding",
        "module_output_name": output,
    }
    write_json(folder / "config.json", config)
    weights = {f"linear.{name}": weight for name, weight in layer.state_dict().items()}
    save_file(weights, folder / "model.safetensors")


def _keep_with_the_model(folder: Path, layers: Sequence[nn.Linear]) -> None:
    path = folder / "model.safetensors"
    weights = {name: w for name, w in load_file(path).items() if not name.startswith("lm_head")}
    for place, layer in zip((0, 2), layers, strict=True):
        weights |= {f"score.{place}.{name}": w for name, w in layer.state_dict().items()}
    save_file(weights, path, metadata={"format": "pt"})


def _tokenizer(more: list[str]) -> Qwen2Tokenizer:
    words, merges = byte_pairs(end_of_word=None)
    for merge in (("y", "e"), ("ye", "s"), ("n", "o")):
        _learn(words, merges, merge)
    special = [*QWEN_SPECIAL, *more]
    return Qwen2Tokenizer(
        vocab=with_special(words, special),
        merges=merges,
        model_max_length=_TOKENS,
        padding_side="left",
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        additional_special_tokens=special,
    )


def _learn(words: dict[str, int], merges: Any, merge: Merge) -> None:
    word = "".join(merge)
    if word not in words:
        words[word] = len(words)
        merges.append(merge)


def _ids(tokenizer: Qwen2Tokenizer) -> dict[str, Any]:
    names = {
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
    }
    return {name: tokenizer.convert_tokens_to_ids(token) for name, token in names.items()}


def _qwen3_config(tokenizer: Qwen2Tokenizer) -> Qwen3VLConfig:
    text = _text_config(len(tokenizer))
    text["rope_parameters"]["mrope_interleaved"] = True
    return Qwen3VLConfig(
        text_config={**text, "head_dim": 8},
        vision_config={
            **_VISION,
            "hidden_size": 32,
            "intermediate_size": 64,
            "out_hidden_size": 32,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0, 1],
        },
        **_ids(tokenizer),
        tie_word_embeddings=True,
    )


def _qwen2_config(tokenizer: Qwen2Tokenizer) -> Qwen2VLConfig:
    return Qwen2VLConfig(
        text_config={**_text_config(len(tokenizer)), "bos_token_id": None, "eos_token_id": None},
        vision_config={**_VISION, "embed_dim": 32, "hidden_size": 32, "mlp_ratio": 2},
        **_ids(tokenizer),
        tie_word_embeddings=False,
    )


_VISION: dict[str, Any] = {
    "depth": 3,
    "num_heads": 4,
    "patch_size": 8,
    "temporal_patch_size": 2,
    "spatial_merge_size": 2,
    "initializer_range": 0.2,
}


def _text_config(vocabulary: int) -> dict[str, Any]:
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 10_000.0}
    return {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "initializer_range": 0.2,
        "rope_parameters": rope,
    }
