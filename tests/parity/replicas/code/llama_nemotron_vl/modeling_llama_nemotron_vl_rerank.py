"""The reranker of the stand-in: the same body, and one logit of the mean of its tokens."""

from __future__ import annotations

import torch
from torch import nn
from transformers.modeling_outputs import SequenceClassifierOutputWithPast

from .configuration_llama_nemotron_vl import LlamaNemotronVLConfig
from .modeling_llama_nemotron_vl import LlamaNemotronVLModel


class LlamaNemotronVLForSequenceClassification(LlamaNemotronVLModel):
    """Text and tiles of pictures to logits of shape (batch, labels)."""

    def __init__(self, config: LlamaNemotronVLConfig) -> None:
        super().__init__(config)
        self.score = nn.Linear(config.llm_config.hidden_size, config.num_labels or 1)
        self.post_init()

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        pixel_values: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> SequenceClassifierOutputWithPast:
        outputs = super().forward(
            pixel_values=pixel_values,
            input_ids=input_ids,
            attention_mask=attention_mask,
            output_hidden_states=True,
        )
        assert outputs.hidden_states is not None
        hidden = outputs.hidden_states[-1]
        seen = attention_mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * seen).sum(1) / seen.sum(1)
        return SequenceClassifierOutputWithPast(logits=self.score(mean))
