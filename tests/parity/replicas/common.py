"""What the replicas share: tokenizers trained in place, and the files of a checkpoint."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import normalizers, pre_tokenizers
from transformers import BertConfig, BertTokenizer

from .pieces import Merge, Word, learn_merges

CORPUS = [
    "A cat sat on the mat, and the dog looked at the cat.",
    "Invoices are paid within thirty days; late payments cost interest.",
    "Light, water and air: photosynthesis turns them into sugar and oxygen.",
    "The quarterly revenue rose by 12% while costs fell, said the chart on page 3.",
    "user assistant system represent the input: find pages that answer the question",
]

# The usual spread of random weights (0.02) makes all inputs' vectors nearly the same, and nearly
# the same as those of a model that reads its input wrongly.
SPREAD = 0.2


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def write_modules(folder: Path, paths: list[tuple[str, str]]) -> None:
    entries = [
        {"idx": i, "name": str(i), "path": path, "type": kind}
        for i, (path, kind) in enumerate(paths)
    ]
    write_json(folder / "modules.json", entries)


# The keys of a pooling's file: those of version 2.0, and those that 2.3 added.
_POOLING_MODES = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")
_LATER_MODES = (*_POOLING_MODES, "weightedmean_tokens", "lasttoken")


def write_pooling(folder: Path, mode: str, *, later: bool = False, width: int = 32) -> None:
    """The file of a Pooling before version 5.4: a flag for each mode.

    Args:
        folder: The checkpoint's folder.
        mode: The mode that is on, as in `pooling_mode_...`.
        later: Written by version 2.3 or later.
        width: The dimensions of a token's vector.
    """
    names = _LATER_MODES if later else _POOLING_MODES
    flags = {f"pooling_mode_{name}": name == mode for name in names}
    more = {"include_prompt": True} if later else {}
    write_json(
        folder / "1_Pooling/config.json", {"word_embedding_dimension": width, **flags, **more}
    )


def write_versions(folder: Path, *versions: str, **more: Any) -> None:
    """The file of a whole model: versions of sentence-transformers, transformers and torch."""
    names = ("sentence_transformers", "transformers", "pytorch")
    settings = {"__version__": dict(zip(names, versions, strict=True)), **more}
    write_json(folder / "config_sentence_transformers.json", settings)


def split_processor(folder: Path, part: str) -> None:
    """Before transformers 5, pictures' or sounds' settings were a file of their own."""
    saved = json.loads((folder / "processor_config.json").read_text())
    settings = {**saved[part], "processor_class": saved["processor_class"]}
    write_json(folder / "preprocessor_config.json", settings)
    (folder / "processor_config.json").unlink()


def pickle_weights(folder: Path) -> None:
    """Keep the weights as checkpoints did before safetensors."""
    weights = folder / "model.safetensors"
    torch.save(load_file(weights), folder / "pytorch_model.bin")
    weights.unlink()


def write_old_modules(folder: Path, names: list[str]) -> None:
    paths = ["", *(f"{i}_{name}" for i, name in enumerate(names[1:], 1))]
    kinds = [f"sentence_transformers.models.{name}" for name in names]
    write_modules(folder, list(zip(paths, kinds, strict=True)))


def word_pieces() -> BertTokenizer:
    """A new tokenizer each time, because saving one with a processor leaves the class in it."""
    return BertTokenizer(vocab=dict(_learnt_word_pieces()), model_max_length=64)


@cache
def _learnt_word_pieces() -> dict[str, int]:
    normalizer = normalizers.BertNormalizer(lowercase=True)
    splitter = pre_tokenizers.BertPreTokenizer()
    words = [
        (word[0], *(f"##{letter}" for letter in word[1:]))
        for text in CORPUS
        for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))
    ]
    letters = sorted({letter for word in words for letter in word})
    merges = learn_merges(words, 200, _join_pieces)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [*special, *letters, *(_join_pieces(*merge) for merge in merges)]
    return {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}


def _join_pieces(first: str, second: str) -> str:
    return first + second.removeprefix("##")


def byte_pairs(*, end_of_word: str | None) -> tuple[dict[str, int], Any]:
    """The vocabulary and the merges of a byte-level BPE tokenizer; the caller's to change."""
    vocabulary, merges = _learnt_byte_pairs(end_of_word or "")
    return dict(vocabulary), list(merges)


@cache
def _learnt_byte_pairs(end_of_word: str) -> tuple[dict[str, int], list[Merge]]:
    splitter = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words: list[Word] = []
    for text in CORPUS:
        for word, _ in splitter.pre_tokenize_str(text.lower()):
            # Where words have a mark at their end, the space before them is none of theirs.
            letters = word.removeprefix("Ġ") if end_of_word else word
            words.append((*letters[:-1], letters[-1] + end_of_word))
    merges = learn_merges(words, 340)
    alphabet = sorted(splitter.alphabet())
    ends = [letter + end_of_word for letter in alphabet]
    tokens = [*alphabet, *ends, *(first + second for first, second in merges)]
    return {token: i for i, token in enumerate(dict.fromkeys(tokens))}, merges


def byte_fallback(special: list[str]) -> tuple[dict[str, int], Any]:
    """The vocabulary and the merges of a BPE tokenizer that has a token for each byte.

    Args:
        special: The tokens that come first.
    """
    words = [tuple(f"▁{word}") for text in CORPUS for word in text.split()]
    merges = learn_merges(words, 200)
    letters = sorted({letter for word in words for letter in word})
    pieces = [first + second for first, second in merges]
    tokens = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), *letters, *pieces]
    return {token: i for i, token in enumerate(dict.fromkeys(tokens))}, merges


def bert_config(**more: Any) -> BertConfig:
    return BertConfig(
        vocab_size=len(word_pieces()),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=SPREAD,
        **more,
    )
