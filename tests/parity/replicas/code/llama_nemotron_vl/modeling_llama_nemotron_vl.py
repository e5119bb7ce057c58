"""The model of the stand-in: SigLIP, a pixel shuffle, a projection, a bidirectional Llama."""

from __future__ import annotations

import torch
from torch import nn
from transformers import LlamaModel, PreTrainedModel, SiglipVisionModel
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.models.llama.modeling_llama import LlamaAttention

from .configuration_llama_nemotron_vl import LlamaBidirectionalConfig, LlamaNemotronVLConfig


class LlamaBidirectionalModel(LlamaModel):
    """A Llama whose tokens see each other in both directions."""

    config_class = LlamaBidirectionalConfig

    def __init__(self, config: LlamaBidirectionalConfig) -> None:
        config.is_causal = False  # the mask is made from this
        super().__init__(config)
        for module in self.modules():
            if isinstance(module, LlamaAttention):
                module.is_causal = False


class LlamaNemotronVLModel(PreTrainedModel):
    """Text and tiles of pictures to the hidden states of every token; it gives no last state."""

    config_class = LlamaNemotronVLConfig
    main_input_name = "pixel_values"
    _supports_sdpa = True

    def __init__(self, config: LlamaNemotronVLConfig) -> None:
        super().__init__(config)
        self.vision_model = SiglipVisionModel(config.vision_config)
        self.language_model = LlamaBidirectionalModel(config.llm_config)
        width = config.vision_config.hidden_size * round(1 / config.downsample_ratio) ** 2
        self.mlp1 = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, config.llm_config.hidden_size),
            nn.GELU(),
            nn.Linear(config.llm_config.hidden_size, config.llm_config.hidden_size),
        )
        self.post_init()

    def forward(
        self,
        pixel_values: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> CausalLMOutputWithPast:
        embeddings = self.language_model.get_input_embeddings()(input_ids)
        if pixel_values is not None:
            pictures = self.extract_feature(pixel_values).reshape(-1, embeddings.shape[-1])
            places = (input_ids == self.config.img_context_token_id).unsqueeze(-1)
            embeddings = embeddings.masked_scatter(places, pictures.to(embeddings.dtype))
        outputs = self.language_model(
            inputs_embeds=embeddings,
            attention_mask=attention_mask,
            output_hidden_states=output_hidden_states,
        )
        return CausalLMOutputWithPast(hidden_states=outputs.hidden_states)

    def extract_feature(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Give the vectors of tiles of shape (n, 3, height, width), in groups of neighbours."""
        patches = self.vision_model(pixel_values=pixel_values).last_hidden_state
        tiles, count, width = patches.shape
        side, group = round(count**0.5), round(1 / self.config.downsample_ratio)
        grid = patches.view(tiles, side // group, group, side // group, group, width)
        grouped = grid.permute(0, 1, 3, 2, 4, 5).reshape(tiles, -1, group * group * width)
        return self.mlp1(grouped)
