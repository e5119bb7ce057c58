"""Which scorer a checkpoint, or a list of modules, makes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mm_rag.checkpoints.model_kind import check_kind
from mm_rag.errors import CheckpointError
from mm_rag.modules.chain import Chain
from mm_rag.modules.logit_score import LogitScore
from mm_rag.modules.module import LoadOptions, Module, read_json
from mm_rag.modules.transformer import Transformer
from mm_rag.rerankers.cross_encoder import CrossEncoder
from mm_rag.rerankers.feature_cache import FeatureCache
from mm_rag.rerankers.late_interaction import LateInteraction
from mm_rag.rerankers.scorer import Scorer

# What a plain language model is asked to say, as in sentence-transformers.
_TRUE, _FALSE = "yes", "no"


def load_scorer(folder: Path, options: LoadOptions, cache: FeatureCache) -> Scorer:
    """Load what `modules.json` says; without one, what the model was made for.

    Raises:
        CheckpointError: The folder holds no model, or none that scores pairs.
    """
    check_kind(folder)
    entries: Any = read_json(folder / "modules.json", default=[])
    if _is_late_interaction(entries):
        return LateInteraction.load(folder, options)
    if entries:
        return CrossEncoder(Chain.load(folder, options), cache)
    if _is_language_model(folder):
        return CrossEncoder(Chain(_language_model(folder, options)), cache)
    classifier = Transformer.from_pretrained(folder, options, task="sequence-classification")
    return CrossEncoder(Chain([classifier]), cache)


def scorer_of(modules: Sequence[Module | Scorer], cache: FeatureCache) -> Scorer:
    """The scorer that modules make: one scorer alone, or a chain that ends in scores.

    Raises:
        CheckpointError: They make no scores, or one is no module.
    """
    if strange := [type(one).__name__ for one in modules if not isinstance(one, Module | Scorer)]:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise CheckpointError(f"A reranker is made of mm_rag.modules; {strange[0]} is none.")
    match list(modules):
        case [Scorer() as scorer]:
            return scorer
        case several:
            if scorers := [type(one).__name__ for one in several if isinstance(one, Scorer)]:
                raise CheckpointError(f"{scorers[0]} is a whole reranker: give it alone.")
            return CrossEncoder(Chain([one for one in several if isinstance(one, Module)]), cache)


def _is_late_interaction(entries: Any) -> bool:
    match entries:
        case [{"type": name}, *_]:
            return name == LateInteraction.type_name
        case _:
            return False


def _is_language_model(folder: Path) -> bool:
    names: Any = read_json(folder / "config.json").get("architectures") or [""]
    return str(names[0]).endswith("ForCausalLM")


def _language_model(folder: Path, options: LoadOptions) -> list[Module]:
    transformer = Transformer.from_pretrained(folder, options, task="text-generation")
    words = transformer.vocabulary
    if lacking := [word for word in (_TRUE, _FALSE) if word not in words]:
        raise CheckpointError(
            f"The tokenizer in {folder} has no token {' and no token '.join(map(repr, lacking))}, "
            "by which a language model without modules.json scores. Say which tokens it was "
            "trained to give: Reranker(modules=[transformer, LogitScore(true_token_id, "
            "false_token_id)])."
        )
    return [transformer, LogitScore(words[_TRUE], words[_FALSE])]
