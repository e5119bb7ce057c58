"""PretrainedOptions: how a model is found and loaded, for encoders and rerankers alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypedDict, Unpack

import torch

from mm_rag.device import as_device, as_dtype
from mm_rag.errors import InputError
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy


class PretrainedKeywords(TypedDict, total=False):
    """The keyword arguments that `Encoder` and `Reranker` share, as callers write them.

    They are described at `PretrainedOptions`. The last four are sentence-transformers' names:
    `tokenizer_kwargs` is `processor_kwargs`, `use_auth_token` is `token`, `backend` can only be
    `"torch"`, and `model_card_data` can only be None.
    """

    revision: str | None
    device: str | int | torch.device | None
    dtype: str | torch.dtype | None
    trust_remote_code: bool
    model_kwargs: Mapping[str, Any] | None
    processor_kwargs: Mapping[str, Any] | None
    config_kwargs: Mapping[str, Any] | None
    policy: MediaPolicy
    cache_folder: str | Path | None
    local_files_only: bool
    token: str | None
    tokenizer_kwargs: Mapping[str, Any] | None
    use_auth_token: str | None
    backend: str | None
    model_card_data: Any


_ALIASES = {"tokenizer_kwargs": "processor_kwargs", "use_auth_token": "token"}


@dataclass(frozen=True, kw_only=True)
class PretrainedOptions:
    """How a model is found on the hub and loaded.

    Attributes:
        revision: A branch, tag or commit; None for the newest.
        device: Where the weights go; None for the best device of this machine. A `device_map` in
            `model_kwargs` takes precedence.
        dtype: Of the weights; None for the one in the checkpoint.
        trust_remote_code: Run Python code that is part of the checkpoint.
        model_kwargs: Passed to the `from_pretrained` of the transformers model.
        processor_kwargs: Passed to the `from_pretrained` of its tokenizer or processor.
        config_kwargs: Passed to the `from_pretrained` of its configuration.
        policy: Which media the model may open, and their limits.
        cache_folder: Where downloaded models are stored; None for the folder that the environment
            variable SENTENCE_TRANSFORMERS_HOME names, or else the hub's own cache.
        local_files_only: Download nothing.
        token: An access token for private models; None for the one that `hf auth login` saved.
    """

    revision: str | None = None
    device: torch.device | None = None
    dtype: torch.dtype | None = None
    trust_remote_code: bool = False
    model_kwargs: dict[str, Any] = field(default_factory=dict[str, Any])
    processor_kwargs: dict[str, Any] = field(default_factory=dict[str, Any])
    config_kwargs: dict[str, Any] = field(default_factory=dict[str, Any])
    policy: MediaPolicy = DEFAULT_POLICY
    cache_folder: str | Path | None = None
    local_files_only: bool = False
    token: str | None = None

    def __post_init__(self) -> None:
        """Refuse keyword arguments for transformers that repeat an option of this class.

        Raises:
            InputError: `trust_remote_code` or a whole `config` is among them.
        """
        for name in ("model_kwargs", "processor_kwargs", "config_kwargs"):
            given: dict[str, Any] = getattr(self, name)
            if "trust_remote_code" in given:
                raise InputError(
                    f"trust_remote_code is in {name}; give it beside: trust_remote_code=..."
                )
        if "config" in self.model_kwargs:
            raise InputError("config is in model_kwargs; give its settings as config_kwargs.")

    @classmethod
    def from_keywords(cls, **keywords: Unpack[PretrainedKeywords]) -> Self:
        """Make them from a caller's keyword arguments, under mm_rag's or the other names.

        Raises:
            InputError: A value is invalid, or an option is given under two names.
            TypeError: There is no such option.
        """
        given: dict[str, Any] = dict(keywords)
        if given.pop("backend", None) not in (None, "torch"):
            raise InputError("There is no backend here: models run in torch.")
        if given.pop("model_card_data", None) is not None:
            raise InputError("There is no model_card_data here: write the README.md after save().")
        for alias, name in _ALIASES.items():
            if alias in given:
                if name in given:
                    raise InputError(f"{alias} and {name} say the same: give one of them.")
                given[name] = given.pop(alias)
        for name in ("model_kwargs", "processor_kwargs", "config_kwargs"):
            given[name] = dict(given.get(name) or {})
        given["device"] = as_device(given.get("device"))
        given["dtype"] = as_dtype(given.get("dtype"))
        return cls(**given)
