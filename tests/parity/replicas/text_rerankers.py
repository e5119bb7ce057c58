"""Replicas of rerankers made from language models for text: the next token is the judgement."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import (
    GemmaConfig,
    GemmaForCausalLM,
    GemmaTokenizer,
    PreTrainedTokenizerBase,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from .common import SPREAD, byte_fallback, byte_pairs, write_json, write_modules
from .cross_encoders import IDENTITY
from .layout import with_special

MAX_LENGTH = 384
"""Tokens of a pair with its template."""

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
# Their ids are all that counts; no text is split into them.
WORDS = ["yes", "no", "Yes", "No"]

_QUERY = "{{ messages | selectattr('role', 'eq', 'query') | map(attribute='content') | first }}"
_DOCUMENT = _QUERY.replace("'query'", "'document'")
_INSTRUCTION = (
    "{{ messages | selectattr('role', 'eq', 'system') | map(attribute='content') | first }}"
)

# A template's last line break is not rendered; an empty expression behind it keeps it.
QWEN3_TEMPLATE = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and "
    'the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
    f"<|im_start|>user\n<Instruct>: {_INSTRUCTION}\n<Query>: {_QUERY}\n<Document>: {_DOCUMENT}"
    "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n{{ '' }}"
)
CHATML_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Query and document are the system's and the user's turn.
ZERANK_TEMPLATE = (
    "{%- for message in messages -%}{%- if message.role == 'query' -%}<|im_start|>system\n"
    "{%- elif message.role == 'document' -%}<|im_start|>user\n"
    "{%- else -%}<|im_start|>{{ message.role }}\n{%- endif -%}\n"
    "{{ '\\n' + message.content | trim }}<|im_end|>\n{% endfor -%}"
    "{%- if add_generation_prompt -%}<|im_start|>assistant\n{% endif -%}"
)
MXBAI_TEMPLATE = (
    "<|endoftext|><|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
    "{% set told = messages | selectattr('role', 'eq', 'system') | list %}"
    "{% if told %}instruction: {{ told[0].content }}\n{% endif %}"
    f"query: {_QUERY} \ndocument: {_DOCUMENT} \n"
    "Say how relevant the document is to the query (0 for not relevant, 1 for relevant).\n"
    "Relevance:<|im_end|>\n<|im_start|>assistant\n{{ '' }}"
)
# The instruction comes last.
GEMMA_TEMPLATE = (
    f"{{{{ bos_token }}}}A: {_QUERY}\nB: {_DOCUMENT}\n"
    "{% set told = messages | selectattr('role', 'eq', 'system') | list %}"
    "{{ told[0].content if told else 'Does passage B answer query A? Yes or No.' }}"
)
WEB_SEARCH = "Given a web search query, retrieve relevant passages that answer the query"


def qwen3_reranker(folder: Path) -> Path:
    """Qwen3-Reranker-0.6B: the instruction is the default prompt; the log-odds of yes and no."""
    tokenizer = _qwen_tokenizer(QWEN3_TEMPLATE)
    _write_qwen3(folder, tokenizer, seed=24, tied=True)
    prompts = {"web_search": WEB_SEARCH, "same_topic": "Find pages about the same topic"}
    _write_scorer(folder, tokenizer, "yes", "no", prompts=prompts, default="web_search")
    return folder


def qwen3_reranker_plain(folder: Path) -> Path:
    """Qwen3-Reranker-8B without the files of sentence-transformers: a language model.

    The tokens of the judgement are looked up, the template is in the tokenizer's settings, and the
    head has weights of its own.
    """
    tokenizer = _qwen_tokenizer(CHATML_TEMPLATE)
    _write_qwen3(folder, tokenizer, seed=25, tied=False)
    (folder / "chat_template.jinja").unlink()
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    write_json(folder / "tokenizer_config.json", {**settings, "chat_template": CHATML_TEMPLATE})
    return folder


def zerank(folder: Path) -> Path:
    """zerank-2: the query is the system's turn; the score is the logit of "Yes" alone."""
    tokenizer = _qwen_tokenizer(ZERANK_TEMPLATE)
    _write_qwen3(folder, tokenizer, seed=26, tied=True)
    _write_scorer(folder, tokenizer, "Yes", None, ask=True)
    return folder


def mxbai_rerank(folder: Path) -> Path:
    """mxbai-rerank-base-v2: Qwen 2, the log-odds of "1" and "0", words after the document."""
    torch.manual_seed(27)
    tokenizer = _qwen_tokenizer(MXBAI_TEMPLATE)
    config = Qwen2Config(**_sizes(tokenizer), num_key_value_heads=2, tie_word_embeddings=True)
    Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _write_scorer(folder, tokenizer, "1", "0")
    return folder


def bge_reranker_gemma(folder: Path) -> Path:
    """bge-reranker-v2-gemma: one key-value head, "A: ... B: ...", the logit of "Yes" alone."""
    torch.manual_seed(36)
    vocabulary, merges = byte_fallback(["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *WORDS])
    settings: dict[str, Any] = {"model_max_length": MAX_LENGTH, "add_bos_token": True}
    tokenizer = GemmaTokenizer(vocab=vocabulary, merges=merges, **settings)
    tokenizer.chat_template = GEMMA_TEMPLATE
    ids: dict[str, Any] = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
    config = GemmaConfig(**_sizes(tokenizer), num_key_value_heads=1, head_dim=8, **ids)
    GemmaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _write_scorer(folder, tokenizer, "Yes", None)
    return folder


def _write_qwen3(
    folder: Path, tokenizer: PreTrainedTokenizerBase, *, seed: int, tied: bool
) -> None:
    torch.manual_seed(seed)
    sizes: dict[str, Any] = {**_sizes(tokenizer), "num_key_value_heads": 2, "head_dim": 8}
    config = Qwen3Config(**sizes, tie_word_embeddings=tied)
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _sizes(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 2 * MAX_LENGTH,
        "initializer_range": SPREAD,
    }


def _qwen_tokenizer(template: str) -> Qwen2Tokenizer:
    pairs, merges = byte_pairs(end_of_word=None)
    tokenizer = Qwen2Tokenizer(
        vocab=with_special(pairs, [*WORDS, *SPECIAL]),
        merges=merges,
        model_max_length=MAX_LENGTH,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        additional_special_tokens=SPECIAL,
    )
    tokenizer.chat_template = template
    return tokenizer


def _write_scorer(
    folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    true: str,
    false: str | None,
    *,
    prompts: dict[str, str] | None = None,
    default: str | None = None,
    ask: bool = False,
) -> None:
    """The files of a chain of Transformer and LogitScore, version 5.4.

    Args:
        folder: The checkpoint; its weights and its tokenizer are written by others.
        tokenizer: It knows the ids of `true` and `false`.
        true: The token that says that a document is relevant.
        false: The token that says that it is not; None where only the first one counts.
        prompts: Instructions by name.
        default: The name of the instruction for calls that name none.
        ask: The template adds the start of an answer when it is told to.
    """
    ids = {
        "true_token_id": tokenizer.convert_tokens_to_ids(true),
        "false_token_id": tokenizer.convert_tokens_to_ids(false) if false else None,
    }
    write_json(folder / "1_LogitScore/config.json", ids)
    logits = {"method": "forward", "method_output_name": "logits"}
    asking = {"processing_kwargs": {"chat_template": {"add_generation_prompt": True}}}
    transformer = {
        "transformer_task": "text-generation",
        "modality_config": {"text": logits, "message": {**logits, "format": "flat"}},
        "module_output_name": "causal_logits",
        **(asking if ask else {}),
    }
    write_json(folder / "sentence_bert_config.json", transformer)
    score = "sentence_transformers.cross_encoder.modules.logit_score.LogitScore"
    base = "sentence_transformers.base.modules.transformer.Transformer"
    write_modules(folder, [("", base), ("1_LogitScore", score)])
    versions = {"sentence_transformers": "5.4.0", "transformers": "5.5.0", "pytorch": "2.11.0"}
    model = {"model_type": "CrossEncoder", "activation_fn": IDENTITY, "__version__": versions}
    chosen = {"prompts": prompts or {}, "default_prompt_name": default}
    write_json(folder / "config_sentence_transformers.json", {**model, **chosen})
