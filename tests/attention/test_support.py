"""`supports_tree_attention` distinguishes models with correct results from others."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor

from mm_rag.attention import supports_tree_attention
from tests.attention.families import REFUSE, TAKE, model, qwen3


@pytest.mark.parametrize("family", TAKE)
def test_takes(family: str) -> None:
    assert supports_tree_attention(TAKE[family]())


@pytest.mark.parametrize("why", REFUSE)
def test_refuses(why: str) -> None:
    assert not supports_tree_attention(REFUSE[why]())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_below_float32(dtype: torch.dtype) -> None:
    assert supports_tree_attention(qwen3(num_hidden_layers=12).to(dtype))


@pytest.mark.parametrize("way", ["eager", "flex_attention"])
def test_attention_that_the_user_chose_stays(way: str) -> None:
    decoder = qwen3()
    decoder.set_attn_implementation(way)
    assert not supports_tree_attention(decoder)
    assert decoder.config._attn_implementation == way


def test_a_model_in_training_with_dropout() -> None:
    assert not supports_tree_attention(qwen3(attention_dropout=0.5).train())
    assert supports_tree_attention(qwen3(attention_dropout=0.5))


@pytest.mark.parametrize("training", [False, True])
def test_random_number_generators_stay_as_they_are(training: bool) -> None:
    decoder = model(hf.GPT2Model, hf.GPT2Config).train(training)
    before = torch.get_rng_state()
    supports_tree_attention(decoder)
    assert torch.equal(before, torch.get_rng_state())


def test_a_model_whose_positions_are_its_own() -> None:
    decoder = qwen3()
    forward = decoder.rotary_emb.forward

    def count(states: Tensor, _: Tensor) -> Any:
        return forward(states, torch.arange(states.shape[1])[None])

    decoder.rotary_emb.forward = count
    assert not supports_tree_attention(decoder)


def test_a_model_whose_tokens_meet_outside_of_attention() -> None:
    decoder = qwen3()

    def leak(_: object, __: object, states: Tensor) -> Tensor:
        return states + states.cumsum(1)

    decoder.layers[0].mlp.register_forward_hook(leak)
    assert not supports_tree_attention(decoder)
    assert not supports_tree_attention(decoder.bfloat16())


def test_a_model_without_words() -> None:
    decoder = qwen3()
    decoder.embed_tokens = torch.nn.Identity()
    assert not supports_tree_attention(decoder)
