"""The configuration of a stand-in for a published model that brings its own code."""

from __future__ import annotations

from typing import Any, ClassVar

from transformers import LlamaConfig, PretrainedConfig, SiglipVisionConfig


class LlamaBidirectionalConfig(LlamaConfig):
    """A Llama whose tokens see each other in both directions."""

    model_type = "llama_bidirec"


class LlamaNemotronVLConfig(PretrainedConfig):
    """A picture encoder and a language model, joined by a projection."""

    model_type = "llama_nemotron_vl"
    has_no_defaults_at_init = True
    sub_configs: ClassVar[Any] = {  # pyright: ignore[reportIncompatibleMethodOverride]
        "vision_config": SiglipVisionConfig,
        "llm_config": LlamaBidirectionalConfig,
    }

    def __init__(
        self,
        vision_config: dict[str, Any] | None = None,
        llm_config: dict[str, Any] | None = None,
        img_context_token_id: int = 0,
        downsample_ratio: float = 0.5,
        **kwargs: Any,
    ) -> None:
        self.vision_config = SiglipVisionConfig(**(vision_config or {}))
        self.llm_config = LlamaBidirectionalConfig(**(llm_config or {}))
        self.img_context_token_id = img_context_token_id
        self.downsample_ratio = downsample_ratio
        super().__init__(**kwargs)
