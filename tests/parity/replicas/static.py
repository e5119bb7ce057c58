"""A replica of models that are a table of tokens' vectors."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from .common import word_pieces, write_modules, write_versions


def static_embedding(folder: Path) -> Path:
    """static-retrieval-mrl-en-v1: a table and its tokenizer, in a folder of their own."""
    place = folder / "0_StaticEmbedding"
    place.mkdir(parents=True)
    tokenizer = word_pieces()
    generator = torch.Generator().manual_seed(11)
    table = torch.randn(len(tokenizer), 32, generator=generator)
    save_file({"embedding.weight": table}, place / "model.safetensors")
    tokenizer.backend_tokenizer.save(str(place / "tokenizer.json"))
    write_modules(folder, [(place.name, "sentence_transformers.models.StaticEmbedding")])
    more = {"prompts": {}, "default_prompt_name": None, "similarity_fn_name": "cosine"}
    write_versions(folder, "3.2.0", "4.43.4", "2.5.0+cu121", **more)
    return folder
