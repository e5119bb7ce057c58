"""Replicas of Routers, built and saved by sentence-transformers itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    Dense,
    Normalize,
    Pooling,
    Router,
    StaticEmbedding,
    Transformer,
)
from torch import nn

from .common import word_pieces
from .siglip import WIDTH, siglip2
from .text import plain_bert


def text_beside_pictures(folder: Path) -> Path:
    """The release notes' Router: a text model projected to the width of a SigLIP 2 for pictures."""
    words, pictures = _transformer(plain_bert), _transformer(siglip2)
    torch.manual_seed(18)
    routes: dict[str, list[Any]] = {
        "text": [words, Pooling(32, pooling_mode="mean"), Dense(32, WIDTH)],
        "image": [pictures],
    }
    return _save([Router(sub_modules=routes)], folder)


def by_task_and_modality(folder: Path) -> Path:
    """Mappings that name both: queries' words, documents' words, and pictures of either."""
    short, words = _transformer(plain_bert, max_seq_length=8), _transformer(plain_bert)
    pictures = _transformer(siglip2)
    torch.manual_seed(19)
    pooling, dense = Pooling(32, pooling_mode="mean"), Dense(32, WIDTH)
    routes: dict[str, list[Any]] = {
        "queries": [short, pooling, dense],
        "passages": [words, pooling, dense],
        "pictures": [pictures],
    }
    mappings: dict[tuple[str | None, str | tuple[str, ...] | None], str] = {
        ("query", "text"): "queries",
        (None, "text"): "passages",
        (None, "image"): "pictures",
    }
    router = Router(sub_modules=routes, default_route="passages", route_mappings=mappings)
    return _save([router, Normalize()], folder)


def queries_beside_documents(folder: Path) -> Path:
    """A table of tokens' vectors for queries, a transformer for documents, one layer for both."""
    documents = _transformer(plain_bert)
    torch.manual_seed(20)
    queries = StaticEmbedding(word_pieces().backend_tokenizer, embedding_dim=32)
    shared = Dense(32, 20, activation_function=nn.Identity())
    router = Router.for_query_document(
        query_modules=[queries, shared],
        document_modules=[documents, Pooling(32, pooling_mode="mean"), shared],
    )
    return _save([router, Normalize()], folder)


def _transformer(make: Callable[[Path], Path], **options: Any) -> Transformer:
    with TemporaryDirectory() as folder:
        return Transformer(str(make(Path(folder))), **options)


def _save(modules: list[Any], folder: Path) -> Path:
    model = SentenceTransformer(modules=modules, device="cpu")
    model.save(str(folder), create_model_card=False)
    return folder
