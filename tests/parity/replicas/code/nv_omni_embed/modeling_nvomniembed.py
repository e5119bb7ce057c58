"""A stand-in for a published model's own code: Qwen2.5-Omni's thinker, seeing both directions."""

from __future__ import annotations

from transformers import Qwen2_5OmniThinkerConfig, Qwen2_5OmniThinkerForConditionalGeneration
from transformers.models.qwen2_5_omni.modeling_qwen2_5_omni import Qwen2_5OmniAttention


class NVOmniEmbedConfig(Qwen2_5OmniThinkerConfig):
    """The thinker's own configuration under another name."""

    model_type = "nvomniembed"


class NVOmniEmbedModel(Qwen2_5OmniThinkerForConditionalGeneration):
    """The thinker with its language head; its tokens see each other in both directions."""

    config_class = NVOmniEmbedConfig

    def __init__(self, config: NVOmniEmbedConfig) -> None:
        super().__init__(config)
        language = self.model.language_model
        language.config.is_causal = False  # the mask is made from this
        for module in language.modules():
            if isinstance(module, Qwen2_5OmniAttention):
                module.is_causal = False
