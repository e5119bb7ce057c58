"""multilingual-e5-small: its packaged weights become an ordinary checkpoint in the user's cache.

The package has one file: the vocabulary, its scores, and tensors as float32 or in blocks of 32
four-bit numbers with a float16 scale (Q4_0 of llama.cpp). The checkpoint has the weights as
float16, which changes them by less than 0.05%, and is loaded as float32.

Model: Wang et al., "Multilingual E5 Text Embeddings", 2024 (arXiv:2402.05672).
"""

from __future__ import annotations

import shutil
import struct
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock
from safetensors.numpy import save_file
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from mm_rag.checkpoints.config_files import write_json
from mm_rag.errors import StorageError
from mm_rag.packaged import E5_SMALL, model_cache

_VERSION = 1  # incremented when the same package gives another checkpoint
_WEIGHTS, _SIZE = "model.safetensors", "size"

_MAGIC = b"E5S1\x01\x00\x00\x00"
_FLOAT32 = 0
_BLOCK = np.dtype([("scale", "<f2"), ("numbers", "u1", 16)])
_BLOCK_SIZE, _ZERO = 32, 8

_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")

# Names of a layer's matrices in the package, and in transformers' BertModel.
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def e5_small_folder() -> Path:
    """Return the folder of the checkpoint, which is made at the first call on a machine (3 s).

    Raises:
        MissingExtra: The package is not installed, or in another version.
        CheckpointError: Its file is not the one that was published.
        StorageError: The checkpoint cannot be written: it takes 240 MB.
    """
    [file] = E5_SMALL.files
    folder = model_cache() / f"{E5_SMALL.name}-{file.sha256[:12]}-{_VERSION}"
    if _is_complete(folder):
        return folder
    [path] = E5_SMALL.find()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):  # several processes may start at once
            if not _is_complete(folder):
                _remove_abandoned(folder)
                _convert(path, folder)
    except OSError as error:
        raise StorageError(
            f"The model {E5_SMALL.name} cannot be written to {folder}: {error}. It takes "
            "240 MB. Make room there, or name another cache folder in XDG_CACHE_HOME."
        ) from error
    return folder


def _is_complete(folder: Path) -> bool:
    """Whether the folder, which gets its name when it is complete, has all of the weights."""
    try:
        return (folder / _WEIGHTS).stat().st_size == int((folder / _SIZE).read_text())
    except (OSError, ValueError):
        return False


def _remove_abandoned(folder: Path) -> None:
    """Delete what processes left that were killed while they made the folder."""
    for left in folder.parent.glob(f"{folder.name}*"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)


def _convert(path: Path, folder: Path) -> None:
    content = _read(path)
    made = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        save_file(dict(_named(content)), made / _WEIGHTS, metadata={"format": "pt"})
        _tokenizer(content).save(str(made / "tokenizer.json"), pretty=False)
        for name, settings in _settings(content).items():
            (made / name).parent.mkdir(exist_ok=True)
            write_json(made / name, settings)
        (made / _SIZE).write_text(str((made / _WEIGHTS).stat().st_size))
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


@dataclass(frozen=True)
class _Content:
    """Content of the package's file.

    Attributes:
        hidden: Size of a token's vector.
        layers: Number of layers.
        heads: Number of attention heads.
        inner: Size of the feed-forward layers.
        tokens: Rows of the embedding, which has a few more than the vocabulary.
        positions: Number of positions.
        kinds: Number of token types.
        epsilon: Epsilon of layer normalisation.
        vocabulary: Pieces and their log probabilities, in the order of their ids.
        tensors: Flat float32 tensors by their names in the package.
    """

    hidden: int
    layers: int
    heads: int
    inner: int
    tokens: int
    positions: int
    kinds: int
    epsilon: float
    vocabulary: list[tuple[str, float]]
    tensors: Mapping[str, npt.NDArray[np.float32]]


def _read(path: Path) -> _Content:
    """Parse the file. It was checked by its sha256, so that it cannot be malformed."""
    data = path.read_bytes()
    cursor = _Cursor(data, len(_MAGIC))
    hidden, layers, heads, inner, tokens, positions, kinds = cursor.take("<7i")
    epsilon, _ = cursor.take("<fi")
    count, *_ = cursor.take("<5i")  # and the ids of special tokens
    (length,) = cursor.take("<Q")
    offsets = cursor.array("<u4", count + 1)
    scores = cursor.array("<f4", count)
    pieces = cursor.bytes(length)
    _, length = cursor.take("<iI")  # a table of characters to replace: those of NFKC
    cursor.bytes(length)
    tensors = dict(_tensors(cursor))
    vocabulary = [
        (pieces[start:end].decode(), float(score))
        for (start, end), score in zip(pairwise(offsets), scores, strict=True)
    ]
    return _Content(
        hidden, layers, heads, inner, tokens, positions, kinds, epsilon, vocabulary, tensors
    )


class _Cursor:
    """Reads one value after another."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data, self._position = data, position

    def take(self, form: str) -> tuple[Any, ...]:
        """Read values in a format of `struct`."""
        values = struct.unpack_from(form, self.data, self._position)
        self._position += struct.calcsize(form)
        return values

    def array(self, dtype: str, count: int) -> npt.NDArray[Any]:
        """Read `count` numbers."""
        return np.frombuffer(self.bytes(count * np.dtype(dtype).itemsize), dtype)

    def bytes(self, length: int) -> bytes:
        """Read `length` bytes."""
        self._position += length
        return self.data[self._position - length : self._position]


def _tensors(cursor: _Cursor) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    (count,) = cursor.take("<i")
    for _ in range(count):
        (length,) = cursor.take("<H")
        name = cursor.bytes(length).decode()
        kind, numbers, offset, _ = cursor.take("<BIQQ")
        if kind == _FLOAT32:
            yield name, np.frombuffer(cursor.data, "<f4", numbers, offset)
        else:
            blocks = np.frombuffer(cursor.data, _BLOCK, numbers // _BLOCK_SIZE, offset)
            yield name, _dequantised(blocks)


def _dequantised(blocks: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Numbers of blocks: the low halves of the bytes come first, then the high ones."""
    packed = blocks["numbers"]
    numbers = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32) - _ZERO
    return (numbers * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)


def _named(content: _Content) -> Iterator[tuple[str, npt.NDArray[np.float16]]]:
    """Tensors in float16 by their names in BertModel."""
    hidden, inner = content.hidden, content.inner

    def tensor(name: str, *shape: int) -> npt.NDArray[np.float16]:
        return content.tensors[name].reshape(shape).astype(np.float16)

    def normalisation(name: str, to: str) -> Iterator[tuple[str, npt.NDArray[np.float16]]]:
        yield f"{to}.weight", tensor(f"{name}.w", hidden)
        yield f"{to}.bias", tensor(f"{name}.b", hidden)

    yield "embeddings.word_embeddings.weight", tensor("emb.word", content.tokens, hidden)
    yield "embeddings.position_embeddings.weight", tensor("emb.pos", content.positions, hidden)
    yield "embeddings.token_type_embeddings.weight", tensor("emb.type", content.kinds, hidden)
    yield from normalisation("emb.ln", "embeddings.LayerNorm")
    # The package has none, and no vector depends on it. Without it transformers warns.
    yield "pooler.dense.weight", np.zeros((hidden, hidden), np.float16)
    yield "pooler.dense.bias", np.zeros(hidden, np.float16)
    shapes = {"fi": (inner, hidden), "fo": (hidden, inner)}
    for layer in range(content.layers):
        for short, long in _LAYER.items():
            name, to = f"l{layer}.{short}", f"encoder.layer.{layer}.{long}"
            if short.endswith("ln"):
                yield from normalisation(name, to)
                continue
            shape = shapes.get(short, (hidden, hidden))
            yield f"{to}.weight", tensor(f"{name}.w", *shape)
            yield f"{to}.bias", tensor(f"{name}.b", shape[0])


def _tokenizer(content: _Content) -> Tokenizer:
    """The tokenizer of XLM-RoBERTa.

    Its own table of characters is not in the package. Nmt and NFKC do the same to every character
    but the full-width tilde, which the table keeps. Of 75,000 texts in 40 languages 99.4% have the
    same tokens; the others are Odia, which is composed here, and Arabic with two vowel signs.
    """
    tokenizer = Tokenizer(models.Unigram(content.vocabulary, unk_id=3, byte_fallback=False))
    tilde, private = "\uff5e", "\ue000"
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(tilde, private),
            normalizers.Nmt(),
            normalizers.NFKC(),
            normalizers.Replace(private, tilde),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in _SPECIAL]
    )
    return tokenizer


def _settings(content: _Content) -> dict[str, Any]:
    """The JSON files of a checkpoint of sentence-transformers."""
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    tokens = dict(zip(("bos", "pad", "eos", "unk", "mask"), _SPECIAL, strict=True))
    ids = {token: at for at, (token, _) in enumerate(content.vocabulary) if token in _SPECIAL}
    plain = dict.fromkeys(("lstrip", "normalized", "rstrip", "single_word"), False)
    return {
        "config.json": {
            "model_type": "bert",
            "architectures": ["BertModel"],
            "hidden_size": content.hidden,
            "num_hidden_layers": content.layers,
            "num_attention_heads": content.heads,
            "intermediate_size": content.inner,
            "vocab_size": content.tokens,
            "max_position_embeddings": content.positions,
            "type_vocab_size": content.kinds,
            "layer_norm_eps": content.epsilon,
            "hidden_act": "gelu",
            "pad_token_id": _SPECIAL.index("<pad>"),
            "dtype": "float32",
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            **{f"{name}_token": token for name, token in tokens.items()},
            "cls_token": "<s>",
            "sep_token": "</s>",
            "model_max_length": content.positions,
            # Where these are missing, transformers parses tokenizer.json a second time, for 1 s.
            "added_tokens_decoder": {
                str(at): {"content": token, "special": True, **plain} for token, at in ids.items()
            },
        },
        "config_sentence_transformers.json": {
            "prompts": {"query": "query: ", "document": "passage: "},
            "similarity_fn_name": "cosine",
        },
        "sentence_bert_config.json": {"max_seq_length": content.positions, "do_lower_case": False},
        "modules.json": [
            {
                "idx": at,
                "name": str(at),
                "path": path,
                "type": f"sentence_transformers.models.{name}",
            }
            for at, (path, name) in enumerate(modules)
        ],
        "1_Pooling/config.json": {
            "word_embedding_dimension": content.hidden,
            "pooling_mode_mean_tokens": True,
        },
    }
