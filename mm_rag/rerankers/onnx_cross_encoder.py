"""OnnxCrossEncoder: a cross-encoder for texts as an ONNX graph, run by onnxruntime on the CPU."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor

from mm_rag._forking import ForkableLock, leak, renew_after_fork
from mm_rag._optional import require
from mm_rag._threads import model_threads
from mm_rag.checkpoints.config_files import read_json, write_json
from mm_rag.errors import CheckpointError, InputError, at_position
from mm_rag.preprocessing.chat_template import PairOrChat
from mm_rag.preprocessing.control_tokens import ControlTokens
from mm_rag.rerankers.model import RerankerModel, ScoreOptions
from mm_rag.rerankers.pairs import text_pair

logger = logging.getLogger(__name__)

_MODEL, _TOKENIZER, _SETTINGS = "model.onnx", "tokenizer.json", "sentence_bert_config.json"
_POSITIONS = 512  # of BERT

_FEATURE = "Reranking with an ONNX model"


# CPU milliseconds for each of 36 pairs of 194 tokens, ms-marco-MiniLM-L12 in int8 with one thread,
# in two runs: one pair at a time 39 and 44; sorted, in padded batches of 512 tokens 44, of 1,024
# tokens 51, of 2,048 tokens 74; with its weights as float32 in PyTorch 110 and 116. So each pair is
# run alone. That also makes its score independent of the others: int8 graphs scale a whole batch.
class OnnxCrossEncoder(RerankerModel):
    """Scores pairs of texts with the ONNX graph of a classifier with one label.

    Args:
        model: File of the graph, with the inputs `input_ids`, `attention_mask` and, optionally,
            `token_type_ids`, and one output of shape (pairs, 1).
        tokenizer: Its `tokenizer.json`.
        max_length: Maximum number of tokens of a pair; None for 512.

    Raises:
        MissingExtra: onnxruntime is not installed.
        CheckpointError: A file is damaged, or the graph is of another kind.
    """

    is_cross_encoder = True
    type_name = "mm_rag.rerankers.OnnxCrossEncoder"

    def __init__(self, model: Path, tokenizer: Path, max_length: int | None = None) -> None:
        super().__init__()
        self._files = (model, tokenizer)
        self._tokenizer = _read_tokenizer(tokenizer)
        self._control = ControlTokens(self._tokenizer)
        self._lock = ForkableLock()
        self._warned = False
        self._session: Any = _open(model)
        renew_after_fork(self)
        self._limit = _POSITIONS
        self.max_length = max_length or _POSITIONS

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load the model from a folder that `save` wrote."""
        settings = read_json(folder / _SETTINGS)
        return cls(folder / _MODEL, folder / _TOKENIZER, settings["max_seq_length"])

    def score(self, pairs: Sequence[PairOrChat], options: ScoreOptions) -> Tensor:
        """Score pairs, before any activation; equal pairs are scored once.

        Raises:
            UnsupportedModality: A side is not text.
            InputError: A query alone is longer than the model takes.
        """
        rows: list[tuple[list[int], list[int]]] = []
        for position, pair in enumerate(pairs):
            with at_position(position):
                rows.append(self._tokens(*text_pair(pair, options.prompt)))
        scores = torch.empty(len(pairs), 1)
        scored: dict[tuple[int, ...], float] = {}
        for position, (ids, types) in enumerate(rows):
            key = tuple(ids)
            if key not in scored:
                scored[key] = self._run(ids, types)
            scores[position] = scored[key]
            options.on_batch(1)
        return scores

    def _tokens(self, query: str, document: str) -> tuple[list[int], list[int]]:
        """Token ids and types of a pair; the document is truncated.

        Raises:
            InputError: The query alone is longer than the model takes.
        """
        first, second = self._control.as_text(query), self._control.as_text(document)
        encoded = self._tokenizer.encode(first, second)
        ids, types = encoded.ids, encoded.type_ids
        excess = len(ids) - self._limit
        if excess <= 0:
            return ids, types
        around = len(self._tokenizer.encode(first, "").ids)
        if around > self._limit:
            raise InputError(
                f"The query takes {around} tokens; the model takes {self._limit} of query and "
                "document together. Give a shorter query or instruction."
            )
        self._warn_of_truncation()
        # The last token ends the document.
        return [*ids[: -excess - 1], ids[-1]], [*types[: -excess - 1], types[-1]]

    def _run(self, ids: list[int], types: list[int]) -> float:
        row: dict[str, npt.NDArray[np.int64]] = {
            "input_ids": np.array([ids], np.int64),
            "attention_mask": np.ones((1, len(ids)), np.int64),
            "token_type_ids": np.array([types], np.int64),
        }
        session = self._running_session()
        [scores] = session.run(None, {one.name: row[one.name] for one in session.get_inputs()})
        return float(scores[0, 0])

    def _running_session(self) -> Any:
        with self._lock:
            if self._session is None:
                self._session = _open(self._files[0])
            return self._session

    def after_fork(self) -> None:
        """Drop the graph in a forked child, which lacks its threads; it is opened again there."""
        leak(self._session)
        self._session = None

    def _warn_of_truncation(self) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "Documents lose their end where a pair is longer than the %s tokens that the model "
                "takes (max_seq_length). This warning is logged once.",
                self._limit,
            )

    @property
    def modalities(self) -> tuple[str, ...]:
        """Texts only."""
        return ("text",)

    @property
    def max_length(self) -> int:
        """Maximum number of tokens of a pair."""
        return self._limit

    @max_length.setter
    def max_length(self, limit: int) -> None:
        if limit > _POSITIONS:
            raise InputError(f"This model has {_POSITIONS} positions; got {limit}.")
        self._limit = limit

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, of the package tokenizers."""
        return self._tokenizer

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """The lock under which the graph is opened; it runs without one."""
        return self._lock

    def save(self, folder: Path) -> None:
        """Copy the graph and its tokenizer to a folder."""
        for path, name in zip(self._files, (_MODEL, _TOKENIZER), strict=True):
            shutil.copyfile(path, folder / name)
        write_json(folder / _SETTINGS, {"max_seq_length": self._limit})
        entry = {"idx": 0, "name": "0", "path": "", "type": self.type_name}
        write_json(folder / "modules.json", [entry])

    def __reduce__(self) -> tuple[Any, ...]:
        """Support for other processes, which open the files again."""
        return type(self), (*self._files, self._limit)

    def describe(self) -> str:
        """The files, and the number of tokens."""
        return f"OnnxCrossEncoder({self._files[0].name}, max_length={self._limit})"


def _read_tokenizer(path: Path) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # its class has no name in Python
        raise CheckpointError(f"{path} is not a tokenizer: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _open(path: Path) -> Any:
    """Start the graph.

    Raises:
        MissingExtra: onnxruntime is not installed.
        CheckpointError: The file is damaged, or the graph is of another kind.
    """
    runtime = require("onnxruntime", extra="offline", feature=_FEATURE)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = model_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Threads that spin while they wait would slow down those of PyTorch.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except MemoryError:
        raise
    except Exception as error:  # onnxruntime has errors of its own
        raise CheckpointError(f"{path} cannot be run by onnxruntime: {error}") from error
    inputs = {one.name for one in session.get_inputs()}
    shapes = [one.shape for one in session.get_outputs()]
    if not {"input_ids"} <= inputs <= {"input_ids", "attention_mask", "token_type_ids"} or (
        [shape[1:] for shape in shapes] != [[1]]
    ):
        raise CheckpointError(
            f"{path} is not a classifier of texts with one label: its inputs are "
            f"{', '.join(sorted(inputs))}, the shapes of its outputs {shapes}."
        )
    return session
