"""What kind of model a checkpoint is: kinds that give no vector and no score are refused.

Such a checkpoint has the files of an ordinary encoder, too. Loaded as one, it would give vectors
that mean nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from mm_rag.errors import CheckpointError
from mm_rag.modules.module import read_json

_KNOWN = ("SentenceTransformer", "CrossEncoder")

_MULTI_VECTOR = "a multi-vector model, which gives a vector for every token of an input"
_SPARSE = "a sparse encoder, which gives a weight for every word of its vocabulary"
_LISTWISE = (
    "a listwise reranker, which reads all documents at once, by code of its own. Choose one that "
    "scores pairs, such as jinaai/jina-reranker-m0"
)

# By `model_type` in config_sentence_transformers.json, by the classes in modules.json, and by the
# architecture in config.json.
_MODEL_TYPES = {
    "SparseEncoder": _SPARSE,
    "MultiVectorEncoder": _MULTI_VECTOR,
    "ColBERT": _MULTI_VECTOR,
}
_MODULES = {
    "MLMTransformer": _SPARSE,
    "SpladePooling": _SPARSE,
    "SparseAutoEncoder": _SPARSE,
    "SparseStaticEmbedding": _SPARSE,
    "IDF": _SPARSE,
    "MultiVectorMask": _MULTI_VECTOR,
    "ColBERT": _MULTI_VECTOR,
}
_ARCHITECTURES = {
    "HF_ColBERT": _MULTI_VECTOR,
    "ColPali": _MULTI_VECTOR,
    "ColQwen2": _MULTI_VECTOR,
    "ColQwen2_5": _MULTI_VECTOR,
    "ColIdefics3": _MULTI_VECTOR,
    "JinaForRanking": _LISTWISE,
}


def check_kind(folder: Path) -> None:
    """See that the model in `folder` gives a vector or a score.

    Raises:
        CheckpointError: It gives something else; the message says what it is.
    """
    settings = read_json(folder / "config_sentence_transformers.json", default={})
    kind = settings.get("model_type")
    found = _MODEL_TYPES.get(str(kind)) or _by_modules(folder) or _by_architecture(folder)
    if found:
        raise CheckpointError(f"{folder} is {found}. mm_rag does not load such models.")
    if kind is not None and kind not in _KNOWN:
        raise CheckpointError(
            f"{folder} is a model of the type {kind!r}; mm_rag loads {' and '.join(_KNOWN)}."
        )


def _by_modules(folder: Path) -> str | None:
    path = folder / "modules.json"
    entries: Any = read_json(path) if path.is_file() else []
    types = [
        str(cast("dict[str, Any]", entry).get("type"))
        for entry in (cast("list[Any]", entries) if isinstance(entries, list) else [])
        if isinstance(entry, dict)
    ]
    own = [name for name in types if name.startswith(("sentence_transformers.", "pylate."))]
    return _first(_MODULES, [name.rpartition(".")[2] for name in own])


def _by_architecture(folder: Path) -> str | None:
    names: Any = read_json(folder / "config.json", default={}).get("architectures")
    found = [str(name) for name in cast("list[Any]", names)] if isinstance(names, list) else []
    if any(name.startswith("Col") and name.endswith("ForRetrieval") for name in found):
        return _MULTI_VECTOR  # ColPaliForRetrieval, ColQwen2ForRetrieval, ...
    return _first(_ARCHITECTURES, found)


def _first(kinds: dict[str, str], names: Iterable[str]) -> str | None:
    return next((kinds[name] for name in names if name in kinds), None)
