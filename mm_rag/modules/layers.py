"""The layers behind the input module: pooling, projections, normalisations, logits to scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Self, TypeAlias, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import activations

from mm_rag.errors import CheckpointError
from mm_rag.modules.module import Module
from mm_rag.preprocessing.features import Features

PoolingMode: TypeAlias = Literal[
    "cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"
]

# The flags of sentence-transformers before version 6, in the order of concatenation.
_OLD_FLAGS: dict[str, PoolingMode] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}

_DENSE_KEYS = (
    "in_features",
    "out_features",
    "bias",
    "module_input_name",
    "module_output_name",
    "use_residual",
)

_LOGIT_KEYS = ("true_token_id", "false_token_id", "module_input_name")


class Pooling(Module):
    """Turn `token_embeddings` (batch, tokens, dim) into `sentence_embedding` (batch, modes * dim).

    It computes in float32 for every dtype of the model: means in bfloat16 change the ranking.

    Args:
        embedding_dimension: Size of a token vector.
        pooling_mode: One mode, or several whose results are concatenated.
        include_prompt: Whether the prompt's tokens are pooled, too.
    """

    type_name = "sentence_transformers.sentence_transformer.modules.pooling.Pooling"

    def __init__(
        self,
        embedding_dimension: int,
        pooling_mode: PoolingMode | Sequence[PoolingMode] = "mean",
        include_prompt: bool = True,
    ) -> None:
        super().__init__()
        modes = (pooling_mode,) if isinstance(pooling_mode, str) else tuple(pooling_mode)
        if unknown := sorted(set(modes) - set(get_args(PoolingMode))):
            known = ", ".join(get_args(PoolingMode))
            raise CheckpointError(f"Unknown pooling mode {', '.join(unknown)}; known: {known}.")
        self.embedding_dimension = embedding_dimension
        self.modes: tuple[PoolingMode, ...] = modes
        self.include_prompt = include_prompt

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Accept the flags and names from before sentence-transformers 6, too."""
        old: tuple[PoolingMode, ...] = tuple(
            mode for flag, mode in _OLD_FLAGS.items() if config.get(flag)
        )
        return cls(
            config.get("embedding_dimension") or config["word_embedding_dimension"],
            config.get("pooling_mode") or old or "mean",
            config.get("include_prompt", True),
        )

    def config(self) -> dict[str, Any]:
        """The settings in the format of sentence-transformers 6."""
        return {
            "embedding_dimension": self.embedding_dimension,
            "pooling_mode": self.modes[0] if len(self.modes) == 1 else list(self.modes),
            "include_prompt": self.include_prompt,
        }

    @property
    def in_dim(self) -> int:
        """The size of a token vector."""
        return self.embedding_dimension

    @property
    def out_dim(self) -> int:
        """The size of all modes' results together."""
        return self.embedding_dimension * len(self.modes)

    @property
    def label(self) -> str:
        """Such as `Pooling(mean)`."""
        return f"Pooling({', '.join(self.modes)})"

    def forward(self, features: Features) -> Features:
        """Add `sentence_embedding`, float32."""
        tokens = features["token_embeddings"].float()  # (batch, tokens, dim)
        mask = features.get("attention_mask")
        if mask is None or mask.shape[-1] != tokens.shape[1]:
            mask = torch.ones(tokens.shape[:2], dtype=torch.long, device=tokens.device)
        mask = mask.long()  # bool masks have no argmax
        start = mask.argmax(dim=1, keepdim=True)  # (batch, 1): tokens of padding on the left
        if features.prompt_length and not self.include_prompt:
            position = torch.arange(mask.shape[1], device=mask.device)
            mask = mask * (position >= start + features.prompt_length)
        pooled = [_POOL[mode](tokens, mask, start) for mode in self.modes]
        features["sentence_embedding"] = torch.cat(pooled, dim=-1)
        return features


def _gather(tokens: Tensor, index: Tensor) -> Tensor:
    rows = torch.arange(len(tokens), device=tokens.device)
    return tokens[rows, index]


def _cls(tokens: Tensor, mask: Tensor, start: Tensor) -> Tensor:
    return _gather(tokens, mask.argmax(dim=1))


def _last(tokens: Tensor, mask: Tensor, start: Tensor) -> Tensor:
    last = mask.shape[1] - 1 - mask.flip(1).argmax(dim=1)
    # A row without tokens gives zeros, as in sentence-transformers.
    return _gather(tokens, last) * mask.amax(dim=1, keepdim=True)


def _max(tokens: Tensor, mask: Tensor, start: Tensor) -> Tensor:
    highest = tokens.masked_fill(mask.unsqueeze(-1) == 0, float("-inf")).amax(dim=1)
    # A row without tokens gives zeros, as in the other modes.
    return highest.masked_fill(mask.amax(dim=1, keepdim=True) == 0, 0.0)


def _total(tokens: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted sum (batch, dim) and the sum of the weights (batch, 1)."""
    weights = weights.to(tokens.dtype).unsqueeze(-1)
    return (tokens * weights).sum(dim=1), weights.sum(dim=1).clamp(min=1e-9)


def _mean(tokens: Tensor, mask: Tensor, start: Tensor) -> Tensor:
    total, count = _total(tokens, mask)
    return total / count


def _mean_sqrt(tokens: Tensor, mask: Tensor, start: Tensor) -> Tensor:
    total, count = _total(tokens, mask)
    return total / count.sqrt()


def _weighted(tokens: Tensor, mask: Tensor, start: Tensor) -> Tensor:
    weights = torch.arange(1, mask.shape[1] + 1, device=mask.device) - start
    total, count = _total(tokens, mask * weights)
    return total / count


# (tokens (batch, n, dim), mask (batch, n), start (batch, 1): left padding) -> (batch, dim)
_POOL: dict[PoolingMode, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "cls": _cls,
    "max": _max,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt,
    "weightedmean": _weighted,
    "lasttoken": _last,
}


class Normalize(Module):
    """Scale vectors to length 1.

    Args:
        module_input_name: The features to normalise; `"token_embeddings"` for token vectors.
        module_output_name: The name of the result; None for the same name.
    """

    type_name = "sentence_transformers.base.modules.normalize.Normalize"

    def __init__(
        self,
        module_input_name: str = "sentence_embedding",
        module_output_name: str | None = None,
    ) -> None:
        super().__init__()
        self.module_input_name = module_input_name
        self.module_output_name = module_output_name or module_input_name

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Ignore unknown keys; older checkpoints have others, or no configuration."""
        known = ("module_input_name", "module_output_name")
        return cls(**{key: value for key, value in config.items() if key in known})

    def config(self) -> dict[str, Any]:
        """The settings in the format of sentence-transformers 6."""
        return {
            "module_input_name": self.module_input_name,
            "module_output_name": self.module_output_name,
        }

    def forward(self, features: Features) -> Features:
        """Normalise along the last dimension."""
        if self.module_input_name in features:
            vectors = features[self.module_input_name]
            features[self.module_output_name] = F.normalize(vectors, dim=-1)
        return features


class ZeroEmpty(Module):
    """Give texts without a word the zero vector, which is similar to nothing.

    Models that were trained with prompts put the bare prompt near every text: the cosine of
    multilingual-e5-small's `"passage: "` with a query is above that of most passages. Media that
    are encoded through their words are such texts if none were found.
    """

    type_name = "mm_rag.modules.ZeroEmpty"

    def forward(self, features: Features) -> Features:
        """Set the vectors of the empty rows to 0."""
        if features.empty:
            vectors = features["sentence_embedding"].clone()
            vectors[features.empty] = 0.0
            features["sentence_embedding"] = vectors
        return features


class Dense(Module):
    """Project vectors: `activation(W x + b)`, plus `x` with `use_residual`.

    Args:
        in_features: Size of the input vectors.
        out_features: Size of the output vectors.
        bias: Whether to add a bias `b`.
        activation: Applied to the projection; None for Tanh, as in sentence-transformers.
        module_input_name: The features to project.
        module_output_name: The name of the result; None for the same name.
        use_residual: Add the input, which is projected, too, if the sizes differ.
    """

    type_name = "sentence_transformers.base.modules.dense.Dense"

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        activation: nn.Module | None = None,
        module_input_name: str = "sentence_embedding",
        module_output_name: str | None = None,
        use_residual: bool = False,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.bias = bias
        # The names of these two attributes are the keys of sentence-transformers' weights.
        self.activation_function = nn.Tanh() if activation is None else activation
        self.linear = nn.Linear(in_features, out_features, bias=bias)
        self.module_input_name = module_input_name
        self.module_output_name = module_output_name or module_input_name
        self.use_residual = use_residual
        if use_residual and in_features != out_features:
            self.residual = nn.Linear(in_features, out_features, bias=False)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Ignore keys of later versions, as sentence-transformers does."""
        known = {key: config[key] for key in _DENSE_KEYS if key in config}
        name = config.get("activation_function")
        return cls(**known, activation=activation_by_name(name) if name else None)

    def config(self) -> dict[str, Any]:
        """The settings in the format of sentence-transformers 6."""
        known = {key: getattr(self, key) for key in _DENSE_KEYS}
        if not self.use_residual:
            del known["use_residual"]  # versions before 5.7 refuse unknown keys
        activation = type(self.activation_function)
        return known | {"activation_function": f"{activation.__module__}.{activation.__name__}"}

    @property
    def in_dim(self) -> int:
        """The size of the input vectors."""
        return self.in_features

    @property
    def out_dim(self) -> int:
        """The size of the output vectors."""
        return self.out_features

    @property
    def label(self) -> str:
        """Such as `Dense(384 -> 768)`."""
        return f"Dense({self.in_features} -> {self.out_features})"

    def forward(self, features: Features) -> Features:
        """Project `module_input_name`."""
        vectors = features[self.module_input_name].to(self.linear.weight.dtype)
        projected = self.activation_function(self.linear(vectors))
        if self.use_residual:
            same = self.in_features == self.out_features
            projected = projected + (vectors if same else self.residual(vectors))
        features[self.module_output_name] = projected
        return features


def activation_by_name(name: str) -> nn.Module:
    """Make the activation that a checkpoint names by its dotted name.

    Only classes of torch.nn and of transformers.activations are allowed, so that a checkpoint
    cannot choose which code runs.

    Raises:
        CheckpointError: The name is another one, or the class needs arguments.
    """
    package, _, class_name = name.rpartition(".")
    inside_torch = package == "torch.nn" or package.startswith("torch.nn.modules.")
    home = nn if inside_torch else activations if package == activations.__name__ else None
    found = getattr(home, class_name, None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise CheckpointError(
            f"The activation {name!r} is not a class of torch.nn or transformers.activations."
        )
    try:
        return found()
    except TypeError as error:
        raise CheckpointError(f"The activation {name!r} needs arguments: {error}") from error


class LayerNorm(Module):
    """Give vectors mean 0 and variance 1, then a learnt scale and shift.

    Args:
        dimension: Size of the vectors.
    """

    type_name = "sentence_transformers.sentence_transformer.modules.layer_norm.LayerNorm"

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension
        self.norm = nn.LayerNorm(dimension)

    def config(self) -> dict[str, Any]:
        """The settings in the format of sentence-transformers."""
        return {"dimension": self.dimension}

    @property
    def in_dim(self) -> int:
        """The size of the vectors."""
        return self.dimension

    @property
    def out_dim(self) -> int:
        """The size of the vectors."""
        return self.dimension

    def forward(self, features: Features) -> Features:
        """Normalise `sentence_embedding`."""
        vectors = features["sentence_embedding"].to(self.norm.weight.dtype)
        features["sentence_embedding"] = self.norm(vectors)
        return features


class Dropout(Module):
    """Set elements of `sentence_embedding` to zero at random, in training only.

    Args:
        dropout: The share of elements, between 0 and 1.
    """

    type_name = "sentence_transformers.sentence_transformer.modules.dropout.Dropout"

    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__()
        self.dropout_layer = nn.Dropout(dropout)

    def config(self) -> dict[str, Any]:
        """The settings in the format of sentence-transformers."""
        return {"dropout": self.dropout_layer.p}

    @property
    def label(self) -> str:
        """Such as `Dropout(0.2)`."""
        return f"Dropout({self.dropout_layer.p})"

    def forward(self, features: Features) -> Features:
        """Apply the dropout."""
        features["sentence_embedding"] = self.dropout_layer(features["sentence_embedding"])
        return features


class LogitScore(Module):
    """Score a pair by the logit of a next token such as "yes".

    Args:
        true_token_id: The token that means "the document answers the query".
        false_token_id: The token that means it does not, whose logit is subtracted; None if the
            model was trained with one token only.
        module_input_name: The features with the logits, shape (batch, tokens, vocabulary).
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
        """Ignore keys of later versions, as sentence-transformers does."""
        return cls(**{key: config[key] for key in _LOGIT_KEYS if key in config})

    def config(self) -> dict[str, Any]:
        """The settings in the format of sentence-transformers 5.4 and later."""
        return {key: getattr(self, key) for key in _LOGIT_KEYS}

    @property
    def label(self) -> str:
        """Such as `LogitScore(token 9693 - token 2152)`."""
        minus = "" if self.false_token_id is None else f" - token {self.false_token_id}"
        return f"LogitScore(token {self.true_token_id}{minus})"

    def forward(self, features: Features) -> Features:
        """Add `scores` (batch, 1), float32, from the logits after the last token."""
        # In float32, because the difference of two bfloat16 logits keeps few digits.
        logits = features[self.module_input_name][:, -1]
        score = logits[:, self.true_token_id].float()
        if self.false_token_id is not None:
            score = score - logits[:, self.false_token_id].float()
        features["scores"] = score.unsqueeze(1)
        return features

    def check(self, vocabulary: int) -> None:
        """Check that the tokens are among the `vocabulary` tokens that the model has logits for.

        Raises:
            CheckpointError: One is not.
        """
        given: tuple[Any, ...] = (self.true_token_id, self.false_token_id)
        for token in given:
            known = type(token) is int and 0 <= token < vocabulary  # excludes True
            if token is not None and not known:
                raise CheckpointError(
                    f"LogitScore reads the logit of token {token!r}, but the model has "
                    f"{vocabulary} tokens. Is its config.json another model's?"
                )
