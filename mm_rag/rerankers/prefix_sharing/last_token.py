"""What a language model makes of the last tokens of many texts in one packed row."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.modeling_layers import GenericForSequenceClassification

from mm_rag.checkpoints.modality import GENERATIVE
from mm_rag.modules.chain import Chain
from mm_rag.modules.kept_logits import keeps_logits
from mm_rag.modules.logit_score import LogitScore
from mm_rag.modules.module import Features
from mm_rag.modules.pooling import Pooling
from mm_rag.modules.transformer import Transformer


def reads_last_tokens(chain: Chain) -> bool:
    """Whether what comes after the chain's language model looks at each text's last token only."""
    transformer, *rest = chain
    if not isinstance(transformer, Transformer):
        return False
    if transformer.task in GENERATIVE:
        scored = len(rest) == 1 and isinstance(rest[0], LogitScore)
        return scored and keeps_logits(transformer.model)
    if transformer.task == "sequence-classification":
        return isinstance(transformer.model, GenericForSequenceClassification) and not rest
    first = rest[0] if rest else None
    return isinstance(first, Pooling) and first.modes == ("lasttoken",)


def last_token(transformer: Transformer, ids: list[int]) -> int:
    """The place of the token that a text is scored by."""
    if transformer.task != "sequence-classification":
        return len(ids) - 1
    # Classifiers look for the last token that is no padding, even where nothing is padded.
    padding = transformer.model.config.get_text_config().pad_token_id
    return max((place for place, token in enumerate(ids) if token != padding), default=0)


def run_last_tokens(transformer: Transformer, inputs: dict[str, Any], last: Tensor) -> Features:
    """Run the model over one row, and keep what it makes of some tokens.

    Args:
        transformer: Of a chain that `reads_last_tokens`.
        inputs: For its `forward`; the row is a batch of one.
        last: The places of the tokens, shape (texts,).

    Returns:
        The features as of a batch of `texts` texts, each of one token.
    """
    name = transformer.output_name
    if transformer.task == "sequence-classification":
        model: Any = transformer.model
        decoder = getattr(model, model.base_model_prefix)
        hidden = decoder(**inputs, return_dict=True).last_hidden_state
        return Features({name: model.score(hidden[0, last])})
    kind = "message" if "message" in transformer.methods else "text"
    if transformer.task in GENERATIVE:
        features = transformer(Features({**inputs, "logits_to_keep": last}, kind=kind))
        return Features({name: features[name][0].unsqueeze(1)})
    tokens = transformer(Features(inputs, kind=kind))[name]
    mask = torch.ones(len(last), 1, dtype=torch.long, device=last.device)
    return Features({name: tokens[0, last].unsqueeze(1), "attention_mask": mask})
