"""LogitScore: what a language model would say next becomes a score."""

from __future__ import annotations

from typing import Any, Self

from mm_rag.errors import CheckpointError
from mm_rag.modules.module import Features, Module

_KEYS = ("true_token_id", "false_token_id", "module_input_name")


class LogitScore(Module):
    """Score a pair by the logit of a token such as "yes" after its last one.

    Args:
        true_token_id: Of the token that means "the document answers the query".
        false_token_id: Of the token that means that it does not: its logit is subtracted. None
            where the model was trained with the one token alone.
        module_input_name: Which features hold the logits, of shape (batch, tokens, vocabulary).
    """

    type_name = "sentence_transformers.cross_encoder.modules.logit_score.LogitScore"

    def __init__(
        self,
        true_token_id: int,
        false_token_id: int | None = None,
        *,
        module_input_name: str = "causal_logits",
    ) -> None:
        super().__init__()
        self.true_token_id = true_token_id
        self.false_token_id = false_token_id
        self.module_input_name = module_input_name

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Ignores keys of later versions, as sentence-transformers does."""
        return cls(**{key: config[key] for key in _KEYS if key in config})

    def config(self) -> dict[str, Any]:
        """In the format of sentence-transformers 5.4 and later."""
        return {key: getattr(self, key) for key in _KEYS}

    @property
    def label(self) -> str:
        """Such as `LogitScore(token 9693 - token 2152)`."""
        minus = "" if self.false_token_id is None else f" - token {self.false_token_id}"
        return f"LogitScore(token {self.true_token_id}{minus})"

    def forward(self, features: Features) -> Features:
        """Make `scores` (batch, 1), float32, of the logits after the last token."""
        # The difference of two bfloat16 logits has few digits left: it is taken in float32.
        logits = features[self.module_input_name][:, -1]
        score = logits[:, self.true_token_id].float()
        if self.false_token_id is not None:
            score = score - logits[:, self.false_token_id].float()
        features["scores"] = score.unsqueeze(1)
        return features

    def check(self, vocabulary: int) -> None:
        """See that the tokens are among the `vocabulary` that the model has logits of.

        Raises:
            CheckpointError: They are not.
        """
        given: tuple[Any, ...] = (self.true_token_id, self.false_token_id)
        for token in given:
            known = type(token) is int and 0 <= token < vocabulary  # True is no token
            if token is not None and not known:
                raise CheckpointError(
                    f"LogitScore reads the logit of token {token!r}, but the model has "
                    f"{vocabulary} tokens. Is its config.json another model's?"
                )
