"""Replicas of CLIP and what descends from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

from .common import (
    byte_pairs,
    pickle_weights,
    split_processor,
    write_json,
    write_modules,
    write_versions,
)

_MEAN = [0.48145466, 0.4578275, 0.40821073]
_DEVIATION = [0.26862954, 0.26130258, 0.27577711]


def clip(folder: Path) -> Path:
    """BGE-VL-base: a plain CLIP, with its configuration's `auto_map`."""
    tokenizer = clip_tokenizer()
    end: Any = tokenizer.eos_token_id
    _write_model(folder, seed=3, text={"eos_token_id": end, "bos_token_id": end - 1})
    _processor(tokenizer).save_pretrained(folder)
    write_old_processor(folder)
    saved = json.loads((folder / "config.json").read_text())
    saved["auto_map"] = {"AutoModel": "modeling_MMRet_CLIP.CLIPModel"}
    write_json(folder / "config.json", saved)
    (folder / "modeling_MMRet_CLIP.py").write_text(_CUSTOM_CODE)
    return folder


def plain_clip(folder: Path) -> Path:
    """clip-vit-base-patch32, as it was published: the end of a text is its highest token id."""
    _write_model(folder, seed=14, text={"eos_token_id": 2, "bos_token_id": 0})
    pickle_weights(folder)
    _processor(clip_tokenizer()).save_pretrained(folder)
    write_old_processor(folder)
    return folder


def legacy_clip(folder: Path, *, patch_size: int = 8) -> Path:
    """clip-ViT-B-32: all files in the folder of one module; no tokenizer.json, no safetensors."""
    place = folder / "0_CLIPModel"
    text = {"eos_token_id": 2, "bos_token_id": 0}
    _write_model(place, seed=15, text=text, patch_size=patch_size)
    pickle_weights(place)
    _processor(clip_tokenizer()).save_pretrained(place)
    write_old_processor(place)
    (place / "tokenizer.json").unlink()
    write_modules(folder, [(place.name, "sentence_transformers.models.CLIPModel")])
    write_versions(folder, "2.0.0", "4.7.0", "1.9.0+cu102")
    return folder


def legacy_clip_large(folder: Path) -> Path:
    """clip-ViT-L-14: the same files, with smaller patches."""
    return legacy_clip(folder, patch_size=4)


def _write_model(folder: Path, *, seed: int, text: dict[str, Any], patch_size: int = 8) -> None:
    torch.manual_seed(seed)
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "projection_dim": 24}
    words = {"vocab_size": len(clip_tokenizer()), "max_position_embeddings": 20, **text}
    config = CLIPConfig(
        text_config={**tower, **heads, **words},
        vision_config={**tower, **heads, "image_size": 32, "patch_size": patch_size},
        projection_dim=24,
    )
    CLIPModel(config).save_pretrained(folder)


def _processor(tokenizer: CLIPTokenizer) -> CLIPProcessor:
    size: dict[str, Any] = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    return CLIPProcessor(CLIPImageProcessor(**size), tokenizer)


def write_old_processor(folder: Path) -> None:
    """The files of CLIP's tokenizer and pictures, as transformers 4.7 wrote them."""
    split_processor(folder, "image_processor")
    switches = dict.fromkeys(("do_center_crop", "do_normalize", "do_resize"), True)
    numbers = {"crop_size": 32, "size": 32, "resample": 3}
    colours = {"image_mean": _MEAN, "image_std": _DEVIATION}
    kind = {"feature_extractor_type": "CLIPFeatureExtractor"}
    write_json(folder / "preprocessor_config.json", {**switches, **numbers, **colours, **kind})
    vocabulary, merges = byte_pairs(end_of_word="</w>")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>"}
    ends = {"unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>", **special}
    ids = {token: i for i, token in enumerate([*vocabulary, *special.values()])}
    write_json(folder / "vocab.json", ids)
    lines = ["#version: 0.2", *(" ".join(merge) for merge in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    write_json(folder / "special_tokens_map.json", ends)
    settings = {"errors": "replace", "add_prefix_space": False, "model_max_length": 20}
    names = {"tokenizer_class": "CLIPTokenizer", "do_lower_case": True}
    write_json(folder / "tokenizer_config.json", {**ends, **settings, **names})


def clip_tokenizer() -> CLIPTokenizer:
    vocabulary, merges = byte_pairs(end_of_word="</w>")
    ids = {token: i for i, token in enumerate([*vocabulary, "<|startoftext|>", "<|endoftext|>"])}
    return CLIPTokenizer(vocab=ids, merges=merges, model_max_length=20)


_CUSTOM_CODE = '''
from transformers import CLIPModel as _CLIPModel


class CLIPModel(_CLIPModel):
    """Stands for the published code, a copy of the plain model."""
'''
