"""A packed row gives the same results as its sequences one by one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor
from transformers import PreTrainedModel

from mm_rag.attention import PrefixTree, TreeAttentionUnsupported, max_path_length, tree_attention
from tests.attention.families import TAKE, WORDS, model, qwen3

pytestmark = pytest.mark.usefixtures("no_gradients")


@pytest.fixture
def no_gradients() -> Any:
    with torch.no_grad():
        yield


def words(*lengths: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return list(torch.randint(3, WORDS, (sum(lengths),), generator=generator).split(lengths))


def hidden(decoder: PreTrainedModel, ids: Tensor, positions: Tensor | None = None) -> Tensor:
    positions = torch.arange(len(ids)) if positions is None else positions
    device, base = decoder.device, decoder.base_model
    result: Any = base(
        input_ids=ids[None].to(device), position_ids=positions[None].to(device), use_cache=False
    )
    return result.last_hidden_state[0]


def alone(decoder: PreTrainedModel, prefix: Tensor, branches: Sequence[Tensor]) -> list[Tensor]:
    return [hidden(decoder, torch.cat((prefix, b)))[len(prefix) :] for b in branches]


def packed(
    decoder: PreTrainedModel,
    tree: PrefixTree,
    prefix: Tensor,
    branches: Sequence[Tensor],
    *,
    keep: bool = True,
) -> list[Tensor]:
    lengths = [len(branch) for branch in branches]
    parts = list(branches) if tree.stored else [prefix, *branches]
    starts = [len(prefix)] * len(branches)
    positions = [torch.arange(n) + start for n, start in zip(lengths, starts, strict=True)]
    lead = [] if tree.stored else [torch.arange(len(prefix))]
    with tree_attention(decoder, tree, lengths, keep=keep):
        out = hidden(decoder, torch.cat(parts), torch.cat([*lead, *positions]))
    return list(out[len(out) - sum(lengths) :].split(lengths))


def check(one: Sequence[Tensor], other: Sequence[Tensor], atol: float = 1e-5) -> None:
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, atol=atol, rtol=0)


@pytest.mark.parametrize("family", TAKE)
def test_a_pack_is_its_sequences(family: str) -> None:
    decoder, (prefix, *branches) = TAKE[family](), words(11, 1, 7, 20, 4)
    expected, tree = alone(decoder, prefix, branches), PrefixTree(len(prefix))
    check(packed(decoder, tree, prefix, branches), expected)
    assert tree.stored
    check(packed(decoder, tree, prefix, branches[2:]), expected[2:])
    check(alone(decoder, prefix, branches), expected, atol=0)


@pytest.mark.parametrize("prefix", [0, 1, 3, 60])  # one far shorter, one far longer than a branch
@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (4, 1)])
@pytest.mark.parametrize("size", [64, 128, 10])
def test_any_prefix_and_heads(prefix: int, heads: tuple[int, int], size: int) -> None:
    queries, keys = heads
    decoder = qwen3(num_attention_heads=queries, num_key_value_heads=keys, head_dim=size)
    begin, *branches = words(prefix, 5, 12, 12)
    tree = PrefixTree(prefix)
    check(packed(decoder, tree, begin, branches), alone(decoder, begin, branches))
    assert tree.stored == (prefix > 0)
    check(packed(decoder, tree, begin, branches[1:]), alone(decoder, begin, branches[1:]))


@pytest.mark.parametrize("prefix", [4, 40])
def test_one_branch(prefix: int) -> None:
    decoder, (begin, branch) = qwen3(), words(prefix, 9)
    check(packed(decoder, PrefixTree(prefix), begin, [branch]), alone(decoder, begin, [branch]))


@pytest.mark.parametrize("prefix", [4, 40])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_below_float32(dtype: torch.dtype, prefix: int) -> None:
    decoder, (begin, *branches) = qwen3().to(dtype), words(prefix, 5, 12, 9)
    expected, tree = alone(decoder, begin, branches), PrefixTree(prefix)
    for result in (packed(decoder, tree, begin, branches), packed(decoder, tree, begin, branches)):
        check(result, expected, atol=0.15)
        near = torch.cosine_similarity(torch.cat(result).float(), torch.cat(expected).float())
        assert near.min() > 0.999
        assert result[0].dtype == dtype


def test_a_prefix_that_is_not_kept_is_not_stored() -> None:
    decoder, (prefix, *branches) = qwen3(), words(6, 3, 4)
    tree = PrefixTree(6)
    packed(decoder, tree, prefix, branches, keep=False)
    assert not tree.stored


def test_what_is_stored_is_the_prefix_alone() -> None:
    decoder, (prefix, *branches) = qwen3(), words(6, 300, 4)
    tree = PrefixTree(6)
    packed(decoder, tree, prefix, branches)
    kept = [tensor for layer in tree.layers.values() for tensor in layer]
    assert {t.untyped_storage().nbytes() for t in kept} == {4 * kept[0].numel()}


@pytest.mark.parametrize("kept", [10, 3, 1])
def test_a_cropped_prefix(kept: int) -> None:
    decoder, (prefix, branch) = qwen3(), words(30, 8)
    tree = PrefixTree(30)
    packed(decoder, tree, prefix, [branch])
    tree.crop(kept)
    assert (tree.length, tree.stored) == (kept, True)
    check(packed(decoder, tree, prefix[:kept], [branch]), alone(decoder, prefix[:kept], [branch]))


def test_a_prefix_cropped_to_nothing() -> None:
    decoder, (prefix, *branches) = qwen3(), words(30, 8, 3)
    tree = PrefixTree(30)
    packed(decoder, tree, prefix, branches)
    tree.crop(0)
    assert not tree.stored
    check(packed(decoder, tree, prefix[:0], branches), alone(decoder, prefix[:0], branches))


@pytest.mark.parametrize("prefix", [-1, 4])
def test_a_crop_that_cannot_be(prefix: int) -> None:
    with pytest.raises(ValueError, match="3 tokens cannot be cropped"):
        PrefixTree(3).crop(prefix)


@pytest.mark.parametrize("lengths", [[], [3, 0]])
def test_empty_branches(lengths: list[int]) -> None:
    with (
        pytest.raises(ValueError, match="at least one token"),
        tree_attention(qwen3(), PrefixTree(3), lengths, keep=False),
    ):
        pass


def test_the_vision_tower_keeps_its_attention() -> None:
    decoder = TAKE["Qwen3-VL"]()
    config = decoder.config
    with tree_attention(decoder, PrefixTree(0), [3], keep=False):
        hidden(decoder, words(3)[0])
        ways = [c._attn_implementation for c in (config.text_config, config.vision_config, config)]
    assert ways == ["mm_rag_tree", "sdpa", "sdpa"]


def test_a_forward_that_fails_restores_the_model_and_stores_nothing() -> None:
    decoder, (prefix, branch) = qwen3(), words(6, 4)
    expected, tree = hidden(decoder, prefix), PrefixTree(6)

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    failing = decoder.norm.register_forward_hook(fail)
    with pytest.raises(ZeroDivisionError):
        packed(decoder, tree, prefix, [branch])
    failing.remove()
    assert decoder.config._attn_implementation == "sdpa"
    assert not tree.stored
    check([hidden(decoder, prefix)], [expected], atol=0)


def refuses(match: str, decoder: Any, ids: Tensor, *lengths: int, prefix: int = 2) -> None:
    with (
        pytest.raises(TreeAttentionUnsupported, match=match),
        tree_attention(decoder, PrefixTree(prefix), lengths, keep=True),
    ):
        hidden(decoder, ids)
    assert decoder.config.get_text_config()._attn_implementation != "mm_rag_tree"


def test_a_row_of_another_length() -> None:
    refuses("expected one row of 7 tokens", qwen3(), words(8)[0], 5)


def test_a_batch() -> None:
    decoder, ids = qwen3(), torch.stack(words(7, 7))
    with (
        pytest.raises(TreeAttentionUnsupported, match="one row"),
        tree_attention(decoder, PrefixTree(2), [5], keep=False),
    ):
        decoder(input_ids=ids, use_cache=False)


def test_two_forwards_in_one() -> None:
    decoder, [ids] = qwen3(), words(7)

    def twice() -> None:
        with tree_attention(decoder, PrefixTree(2), [5], keep=False):
            hidden(decoder, ids)
            hidden(decoder, ids)

    with pytest.raises(TreeAttentionUnsupported, match="twice"):
        twice()


def test_a_model_that_attends_in_its_own_way() -> None:
    decoder = qwen3()
    decoder.layers[1].self_attn.config = type(decoder.config)(attn_implementation="sdpa")
    refuses("1 of 2 layers", decoder, words(7)[0], 5)


def test_gradients() -> None:
    with torch.enable_grad():
        refuses("inference only", qwen3(), words(7)[0], 5)


def test_dropout() -> None:
    refuses("inference only", qwen3(attention_dropout=0.5).train(), words(7)[0], 5)


def test_soft_caps() -> None:
    decoder = model(hf.Gemma2Model, hf.Gemma2Config)
    decoder.config._attn_implementation = "sdpa"
    refuses("softcap", decoder, words(7)[0], 5)


def test_sinks() -> None:
    decoder = model(hf.GptOssModel, hf.GptOssConfig, num_local_experts=4, num_experts_per_tok=2)
    refuses("s_aux", decoder, words(7)[0], 5)


def test_a_window_is_honoured_up_to_its_size() -> None:
    decoder = model(hf.MistralModel, hf.MistralConfig, sliding_window=12)
    prefix, *branches = words(5, 7, 3)
    check(packed(decoder, PrefixTree(5), prefix, branches), alone(decoder, prefix, branches))
    refuses("window of 12", decoder, words(13)[0], 8, prefix=5)


def test_longest_paths() -> None:
    assert max_path_length(qwen3()) is None
    assert max_path_length(TAKE["Mistral, window"]()) == 40
    assert (
        max_path_length(model(hf.Llama4TextModel, hf.Llama4TextConfig, attention_chunk_size=50))
        == 50
    )
    unused = {"sliding_window": 4, "use_sliding_window": False}
    assert max_path_length(model(hf.Qwen2Model, hf.Qwen2Config, **unused)) is None


def test_another_thread_is_refused_meanwhile() -> None:
    decoder, (prefix, branch) = qwen3(), words(6, 4)
    found: list[BaseException] = []

    def run() -> None:
        for step in (
            lambda: hidden(decoder, prefix),
            lambda: packed(decoder, tree, prefix, [branch]),
        ):
            try:
                step()
            except TreeAttentionUnsupported as error:
                found.append(error)

    tree = PrefixTree(6)
    with tree_attention(decoder, PrefixTree(6), [4], keep=False):
        other = threading.Thread(target=run)
        other.start()
        other.join()
        out = hidden(decoder, torch.cat((prefix, branch)))
    assert [str(error).count("another thread") for error in found] == [1, 1]
    check([out], [hidden(decoder, torch.cat((prefix, branch)))])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("prefix", [0, 5, 300])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("size", [64, 128, 10])
def test_a_pack_on_a_gpu(dtype: torch.dtype, prefix: int, size: int) -> None:
    decoder, (begin, *branches) = qwen3(head_dim=size), words(prefix, 1, 40, 7, 130)
    expected = [each.cuda().to(dtype) for each in alone(decoder, begin, branches)]
    decoder, tree = decoder.to("cuda", dtype), PrefixTree(prefix)
    for _ in range(2):
        result = packed(decoder, tree, begin, branches)
        check(result, expected, atol=1e-4 if dtype == torch.float32 else 0.2)
        near = torch.cosine_similarity(torch.cat(result).float(), torch.cat(expected).float())
        assert near.min() > 0.999
