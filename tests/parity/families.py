"""The families of models that are compared with sentence-transformers, one replica each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mm_rag.checkpoints.locate import find_default_model

from . import replicas
from .replicas import (
    causal,
    clap,
    clip_models,
    dense_chains,
    llava_next,
    modernbert,
    nemotron,
    omni,
    qwen,
    roberta,
    routers,
    siglip,
    static,
    text,
)


@dataclass(frozen=True, kw_only=True)
class Family:
    """A row of the table in docs/models.md, and what makes it checkable.

    Attributes:
        name: The row's title.
        models: Names on the hub of the published checkpoints that the replica stands for.
        modalities: What it takes: "text", "image", "image+text" (both in one input), "audio",
            "video", "message" (chat messages).
        make: Writes the replica to a folder that is empty or not there yet, and returns the folder
            to load: the same one, but for published weights that are on the machine anyway.
        trust_remote_code: Loading it runs Python of the checkpoint's own.
        note: What is particular about it.
    """

    name: str
    models: tuple[str, ...]
    modalities: tuple[str, ...]
    make: Callable[[Path], Path]
    trust_remote_code: bool = False
    note: str = ""


def _all_minilm(folder: Path) -> Path:
    """The published weights themselves; `folder` stays empty."""
    del folder
    return find_default_model()


_TEXT = (
    Family(
        name="MiniLM",
        models=("sentence-transformers/all-MiniLM-L6-v2",),
        modalities=("text",),
        make=_all_minilm,
        note="the published weights",
    ),
    Family(
        name="BGE",
        models=("BAAI/bge-base-en-v1.5",),
        modalities=("text",),
        make=text.bge,
        note="the first token's vector",
    ),
    Family(
        name="RoBERTa",
        models=("sentence-transformers/all-roberta-large-v1",),
        modalities=("text",),
        make=roberta.all_roberta,
        note="positions begin after the padding's id; pickled weights",
    ),
    Family(
        name="Multilingual E5",
        models=("intfloat/multilingual-e5-base", "intfloat/multilingual-e5-large"),
        modalities=("text",),
        make=roberta.multilingual_e5,
        note="XLM-RoBERTa, unigram tokenizer",
    ),
    Family(
        name="Arctic Embed 2",
        models=("Snowflake/snowflake-arctic-embed-l-v2.0",),
        modalities=("text",),
        make=roberta.arctic_embed,
        note="XLM-RoBERTa with a prompt for queries",
    ),
    Family(
        name="ModernBERT",
        models=("nomic-ai/modernbert-embed-base",),
        modalities=("text",),
        make=modernbert.modernbert_embed,
        note="local and global attention",
    ),
    Family(
        name="Qwen3 Embedding",
        models=(
            "Qwen/Qwen3-Embedding-0.6B",
            "Qwen/Qwen3-Embedding-4B",
            "Qwen/Qwen3-Embedding-8B",
        ),
        modalities=("text",),
        make=causal.qwen3_embedding,
        note="a language model: the last token's vector, an instruction for queries",
    ),
    Family(
        name="Static embeddings",
        models=("sentence-transformers/static-retrieval-mrl-en-v1",),
        modalities=("text",),
        make=static.static_embedding,
        note="a table of tokens' vectors",
    ),
    Family(
        name="LaBSE",
        models=("sentence-transformers/LaBSE",),
        modalities=("text",),
        make=dense_chains.labse,
        note="a dense layer after the pooling; pickled weights",
    ),
    Family(
        name="Dense, LayerNorm and Dropout",
        models=(),
        modalities=("text",),
        make=dense_chains.every_module,
        note="every module that may follow a pooling",
    ),
)

_PICTURES_AND_SOUND = (
    Family(
        name="CLIP, legacy layout",
        models=("sentence-transformers/clip-ViT-B-32",),
        modalities=("text", "image"),
        make=clip_models.legacy_clip,
        note="0_CLIPModel; pickled weights",
    ),
    Family(
        name="CLIP, legacy layout, large",
        models=("sentence-transformers/clip-ViT-L-14",),
        modalities=("text", "image"),
        make=clip_models.legacy_clip_large,
        note="0_CLIPModel; pickled weights",
    ),
    Family(
        name="CLIP",
        models=("openai/clip-vit-base-patch32", "openai/clip-vit-large-patch14"),
        modalities=("text", "image"),
        make=clip_models.plain_clip,
        note="a plain transformers checkpoint",
    ),
    Family(
        name="BGE-VL, CLIP",
        models=("BAAI/BGE-VL-base", "BAAI/BGE-VL-large"),
        modalities=("text", "image"),
        make=replicas.clip,
        note="loaded as the CLIP that it is, without its custom code",
    ),
    Family(
        name="SigLIP 2",
        models=("google/siglip2-base-patch16-224",),
        modalities=("text", "image"),
        make=siglip.siglip2,
        note="a plain transformers checkpoint",
    ),
    Family(
        name="CLAP",
        models=("laion/clap-htsat-unfused",),
        modalities=("text", "audio"),
        make=clap.clap_unfused,
        note="48 kHz",
    ),
)

_ROUTERS = (
    Family(
        name="Router by modality",
        models=("sentence-transformers/all-MiniLM-L6-v2", "google/siglip2-base-patch16-224"),
        modalities=("text", "image"),
        make=routers.text_beside_pictures,
        note="MiniLM, mean pooling and Dense for text beside SigLIP 2 for images",
    ),
    Family(
        name="Router by task and modality",
        models=(),
        modalities=("text", "image"),
        make=routers.by_task_and_modality,
        note="route mappings, and modules that routes share",
    ),
    Family(
        name="Router by task",
        models=(),
        modalities=("text",),
        make=routers.queries_beside_documents,
        note="static embeddings for queries, a transformer for documents, a shared layer",
    ),
)

# Models that read pictures, sound and video through a language model.
_VISION_LANGUAGE = (
    Family(
        name="BGE-VL, MLLM",
        models=("BAAI/BGE-VL-MLLM-S1", "BAAI/BGE-VL-MLLM-S2"),
        modalities=("text", "image", "image+text", "message"),
        make=llava_next.llava_next,
        note="LLaVA-NeXT, loaded without its custom code; weights under older names",
    ),
    Family(
        name="Qwen3-VL Embedding",
        models=("Qwen/Qwen3-VL-Embedding-2B", "Qwen/Qwen3-VL-Embedding-8B"),
        modalities=("text", "image", "image+text", "video", "message"),
        make=qwen.qwen3_vl,
        note="the last token's vector; the prompt is the system's turn",
    ),
    Family(
        name="Qwen3-VL Embedding, trained",
        models=("tomaarsen/Qwen3-VL-Embedding-2B-vdr",),
        modalities=("text", "image", "image+text", "video", "message"),
        make=qwen.qwen3_vl_trained,
        note="as sentence-transformers saves it after a training",
    ),
    Family(
        name="Nemotron Embed VL",
        models=("nvidia/llama-nemotron-embed-vl-1b-v2",),
        modalities=("text", "image", "image+text"),
        make=nemotron.nemotron_vl,
        trust_remote_code=True,
        note="own model and own processor; no chat template, pictures take no prompt",
    ),
    Family(
        name="Omni-Embed-Nemotron",
        models=("nvidia/omni-embed-nemotron-3b",),
        modalities=("text", "image", "image+text", "audio", "video", "message"),
        make=omni.omni_embed,
        trust_remote_code=True,
        note="Qwen2.5-Omni's thinker, 16 kHz; own model, transformers' processor",
    ),
)

FAMILIES: tuple[Family, ...] = (*_TEXT, *_PICTURES_AND_SOUND, *_VISION_LANGUAGE, *_ROUTERS)
