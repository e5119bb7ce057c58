"""The families of rerankers that are compared with sentence-transformers, one replica each."""

from __future__ import annotations

from .families import Family
from .replicas import audio_rerankers, cross_encoders, text_rerankers, visual_rerankers


class RerankerFamily(Family):
    """A row of the table in docs/rerankers.md.

    Its modalities are those of a query or a document: "text", "image", "image+text" and so on.
    """


_TEXT = (
    RerankerFamily(
        name="MS MARCO MiniLM",
        models=("cross-encoder/ms-marco-MiniLM-L6-v2",),
        modalities=("text",),
        make=cross_encoders.ms_marco_minilm,
        note="BERT, a classifier of one label; scores are logits",
    ),
    RerankerFamily(
        name="MS MARCO MiniLM, older",
        models=("cross-encoder/ms-marco-MiniLM-L-12-v2",),
        modalities=("text",),
        make=cross_encoders.ms_marco_older,
        note="files from before version 4",
    ),
    RerankerFamily(
        name="BGE Reranker v2 M3",
        models=("BAAI/bge-reranker-v2-m3",),
        modalities=("text",),
        make=cross_encoders.bge_reranker_m3,
        note="XLM-RoBERTa, a classifier; scores between 0 and 1",
    ),
    RerankerFamily(
        name="RankLLaMA",
        models=("castorini/rankllama-v1-7b-lora-passage",),
        modalities=("text",),
        make=cross_encoders.rankllama,
        note="Llama, a classifier, with its LoRA weights merged",
    ),
    RerankerFamily(
        name="Qwen3 Reranker",
        models=("Qwen/Qwen3-Reranker-0.6B", "Qwen/Qwen3-Reranker-4B", "Qwen/Qwen3-Reranker-8B"),
        modalities=("text", "message"),
        make=text_rerankers.qwen3_reranker,
        note="a language model, the log-odds of yes and no; the prompt is the instruction",
    ),
    RerankerFamily(
        name="Qwen3 Reranker, plain",
        models=(),
        modalities=("text", "message"),
        make=text_rerankers.qwen3_reranker_plain,
        note="a plain transformers checkpoint whose template takes any role",
    ),
    RerankerFamily(
        name="mxbai-rerank v2",
        models=("mixedbread-ai/mxbai-rerank-base-v2", "mixedbread-ai/mxbai-rerank-large-v2"),
        modalities=("text", "message"),
        make=text_rerankers.mxbai_rerank,
        note="Qwen2, the log-odds of 1 and 0",
    ),
    RerankerFamily(
        name="BGE Reranker v2 Gemma",
        models=("BAAI/bge-reranker-v2-gemma",),
        modalities=("text", "message"),
        make=text_rerankers.bge_reranker_gemma,
        note="Gemma, the logit of Yes; the instruction comes last",
    ),
    RerankerFamily(
        name="zerank 2",
        models=("zeroentropy/zerank-2",),
        modalities=("text", "message"),
        make=text_rerankers.zerank,
        note="Qwen3, the logit of Yes; the query is the system's turn",
    ),
)

_WITH_PICTURES = (
    RerankerFamily(
        name="Qwen3-VL Reranker",
        models=("Qwen/Qwen3-VL-Reranker-2B", "Qwen/Qwen3-VL-Reranker-8B"),
        modalities=("text", "image", "image+text", "video", "message"),
        make=visual_rerankers.qwen3_vl_reranker,
        note="the log-odds of yes and no; DeepStack; the prompt is the instruction",
    ),
    RerankerFamily(
        name="Nemotron Rerank VL",
        models=("nvidia/llama-nemotron-rerank-vl-1b-v2",),
        modalities=("text", "image", "image+text", "message"),
        make=visual_rerankers.nemotron_rerank_vl,
        trust_remote_code=True,
        note="a classifier: own model and own processor, tokens that see both ways",
    ),
    RerankerFamily(
        name="Jina Reranker m0",
        models=("jinaai/jina-reranker-m0",),
        modalities=("text", "image", "image+text", "message"),
        make=visual_rerankers.jina_reranker_m0,
        note="Qwen2-VL, the last token's vector and two dense layers; the document comes first",
    ),
)

_WITH_SOUND = (
    RerankerFamily(
        name="Qwen2.5-Omni with LogitScore",
        models=(),
        modalities=("text", "image", "image+text", "audio", "video", "message"),
        make=audio_rerankers.qwen2_5_omni_reranker,
        note="a language model that hears, 16 kHz; no published one is known",
    ),
)

RERANKERS: tuple[RerankerFamily, ...] = (*_TEXT, *_WITH_PICTURES, *_WITH_SOUND)
