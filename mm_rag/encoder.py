"""Encoder: content of any modality becomes vectors in one space."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypedDict, Unpack, overload

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import Progress
from torch import Tensor
from torch.nn import functional as F

from mm_rag.checkpoint import Hub, find_default_model, find_model
from mm_rag.content import Content, as_content, content_key, modality_name
from mm_rag.embedded import embedded_chain
from mm_rag.errors import CheckpointError, InputError, UnsupportedModality
from mm_rag.modules import Chain, LoadOptions, Module
from mm_rag.modules.batching import TokenVectors, run_batches, token_vectors
from mm_rag.modules.fingerprint import fingerprint
from mm_rag.modules.module import read_json, write_json

Vectors: TypeAlias = npt.NDArray[np.float32]

_CONFIG = "config_sentence_transformers.json"


class EncodeOptions(TypedDict, total=False):
    """How `Encoder.encode` encodes; described there."""

    batch_size: int
    prompt: str | None
    prompt_name: str | None
    normalize: bool
    progress: bool


class Encoder:
    """Encode texts, pictures, recordings and videos.

    Args:
        model: A folder, or a model's name on the hub. None for the embedded default, which needs
            neither network nor GPU: it reads media, and encodes the words.
        modules: The modules to use instead of a `model`.
        revision: A branch, tag or commit of the model.
        device: Such as `"cuda"`; the GPU when there is one, by default.
        dtype: Of the weights, such as `torch.bfloat16`; what the checkpoint says, by default.
        trust_remote_code: Run Python code that lies in the checkpoint.
        model_kwargs: For the `from_pretrained` of the transformers model.
        processor_kwargs: For the `from_pretrained` of its tokenizer or processor.
        config_kwargs: For the `from_pretrained` of its configuration.
        prompts: Instructions by name, over those of the checkpoint; `query` and `document` are used
            by `encode_query` and `encode_document`.
        default_prompt_name: The prompt of `encode`.
        truncate_dim: Keep only the first dimensions, for models trained for that.
        cache_folder: Where models are kept.
        local_files_only: Fetch nothing.
        token: For private models.

    Raises:
        CheckpointError: There is no such model, or it is not understood.
        MissingExtra: The embedded default is not on this machine.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        modules: Sequence[Module] | None = None,
        revision: str | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        trust_remote_code: bool = False,
        model_kwargs: Mapping[str, Any] | None = None,
        processor_kwargs: Mapping[str, Any] | None = None,
        config_kwargs: Mapping[str, Any] | None = None,
        prompts: Mapping[str, str] | None = None,
        default_prompt_name: str | None = None,
        truncate_dim: int | None = None,
        cache_folder: str | Path | None = None,
        local_files_only: bool = False,
        token: str | None = None,
    ) -> None:
        options = LoadOptions(
            dtype=as_dtype(dtype),
            trust_remote_code=trust_remote_code,
            model_kwargs=dict(model_kwargs or {}),
            processor_kwargs=dict(processor_kwargs or {}),
            config_kwargs=dict(config_kwargs or {}),
        )
        hub = Hub(
            revision=revision,
            cache_folder=cache_folder,
            local_files_only=local_files_only,
            token=token,
        )
        saved: dict[str, Any] = {}
        if modules is not None:
            chain = Chain(modules)
            self.name = "custom"
        elif model is None:
            chain = embedded_chain(find_default_model(hub), options)
            self.name = "embedded"
        else:
            folder = find_model(model, hub)
            chain = Chain.load(folder, options)
            saved = read_json(folder / _CONFIG, default={})
            self.name = str(model)
        self.chain = chain.to(device or best_device()).eval()
        self.prompts: dict[str, str] = {**saved.get("prompts", {}), **(prompts or {})}
        self.default_prompt_name = default_prompt_name or saved.get("default_prompt_name")
        self.truncate_dim = truncate_dim or saved.get("truncate_dim")
        self.similarity_name: str = saved.get("similarity_fn_name") or "cosine"
        self._prompt(None, self.default_prompt_name)

    @property
    def modalities(self) -> tuple[str, ...]:
        """What it takes: `"text"`, `"image"`, `"audio"`, `"video"`."""
        return self.chain.input.modalities

    def supports(self, modality: str | Sequence[str]) -> bool:
        """Whether it takes a modality, or several together: `("text", "image")`."""
        names = modality.split("+") if isinstance(modality, str) else modality
        return self.chain.input.supports("+".join(sorted(set(names))))

    def reads(self, modality: str) -> bool:
        """Whether a modality becomes a vector through words read from it.

        The vectors of text and of all modalities that are read can be compared with each other;
        those of a modality that the model sees or hears lie apart from its texts'.
        """
        return self.chain.input.reads(modality)

    def read(self, content: Content) -> Content:
        """Read the media in `content`, where this model reads: the words then travel with it.

        Nothing changes for a model that sees or hears, nor for what was read before.

        Raises:
            UnsupportedModality: The model does not take it.
            UnreadableMedia: A file is missing or damaged.
        """
        self._check([content])
        return self.chain.input.prepare(content)

    @property
    def dimension(self) -> int:
        """Of a vector."""
        full = self.chain.dimension
        if full is None:
            raise CheckpointError("No module of this encoder says which dimension it gives.")
        return min(full, self.truncate_dim or full)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change when the same input would get another vector."""
        return fingerprint(
            self.chain, prompts=self.prompts, default=self.default_prompt_name, dim=self.dimension
        )

    @overload
    def encode(
        self, inputs: Any, *, output: Literal["numpy"] = ..., **options: Unpack[EncodeOptions]
    ) -> Vectors: ...
    @overload
    def encode(
        self, inputs: Any, *, output: Literal["tensor"], **options: Unpack[EncodeOptions]
    ) -> Tensor: ...
    def encode(
        self,
        inputs: Any,
        *,
        batch_size: int = 32,
        prompt: str | None = None,
        prompt_name: str | None = None,
        normalize: bool = False,
        progress: bool = False,
        output: Literal["numpy", "tensor"] = "numpy",
    ) -> Vectors | Tensor:
        """Encode one input, or a list or tuple of them, of any modalities in any order.

        A str that names an existing media file is that medium; `Text("...")` is always text.

        Args:
            inputs: Whatever `mm_rag.content.as_content` takes, or a list or tuple of that.
            batch_size: Inputs in a batch at most; long ones make smaller batches.
            prompt: Goes before every input, instead of the default prompt.
            prompt_name: The name of one of `prompts`.
            normalize: Scale the vectors to length 1.
            progress: Draw a progress bar.
            output: `"numpy"`, or `"tensor"` on the model's device.

        Returns:
            Vectors of shape (inputs, dimension), float32; (dimension,) for one input.

        Raises:
            InputError: An input is of no kind that a model takes.
            UnsupportedModality: The model does not take it.
            UnreadableMedia: A file is missing or damaged.
        """
        single = not isinstance(inputs, list | tuple)
        contents = [as_content(item) for item in ([inputs] if single else inputs)]
        vectors = self._encode(
            contents,
            prompt=self._prompt(prompt, prompt_name or self.default_prompt_name),
            batch_size=batch_size,
            progress=progress,
        )
        if normalize:
            vectors = F.normalize(vectors, dim=-1)
        vectors = vectors[0] if single else vectors
        return vectors.cpu().numpy() if output == "numpy" else vectors

    def encode_query(self, inputs: Any, **options: Unpack[EncodeOptions]) -> Vectors:
        """Encode what is searched with: as `encode`, with the prompt `query` if there is one."""
        return self.encode(inputs, **self._with_prompt(("query",), options))

    def encode_document(self, inputs: Any, **options: Unpack[EncodeOptions]) -> Vectors:
        """Encode what is searched in: as `encode`, with the prompt `document` if there is one."""
        return self.encode(inputs, **self._with_prompt(("document", "passage", "corpus"), options))

    def encode_tokens(
        self, inputs: Sequence[Any], *, prompt_name: str | None = None, batch_size: int = 32
    ) -> list[TokenVectors]:
        """The vectors of every input's tokens, for late interaction.

        Raises:
            UnsupportedModality: The model does not take an input, or gives one vector for it.
        """
        contents = [as_content(item) for item in inputs]
        self._check(contents)
        prompt = self._prompt(None, prompt_name or self.default_prompt_name)
        return token_vectors(self.chain, contents, prompt=prompt, batch_size=batch_size)

    def similarity(self, a: Vectors, b: Vectors) -> Vectors:
        """Every vector of `a` against every one of `b`, by the measure the model was trained with.

        Args:
            a: Shape (n, dimension) or (dimension,).
            b: Shape (m, dimension) or (dimension,).

        Returns:
            Shape (n, m), float32; higher is more similar, so distances come out negative.
        """
        left, right = (torch.as_tensor(np.atleast_2d(v)).float() for v in (a, b))
        match self.similarity_name:
            case "cosine":
                result = F.normalize(left, dim=-1) @ F.normalize(right, dim=-1).T
            case "dot":
                result = left @ right.T
            case "euclidean":
                result = -torch.cdist(left, right)
            case "manhattan":
                result = -torch.cdist(left, right, p=1)
            case other:
                raise CheckpointError(f"{self.name} asks for the unknown similarity {other!r}.")
        return result.numpy()

    def save(self, path: str | Path) -> None:
        """Write it to a folder, in the format of sentence-transformers."""
        folder = Path(path)
        self.chain.save(folder)
        config = {
            "model_type": "SentenceTransformer",
            "prompts": self.prompts,
            "default_prompt_name": self.default_prompt_name,
            "similarity_fn_name": self.similarity_name,
        }
        dim = {"truncate_dim": self.truncate_dim} if self.truncate_dim else {}
        write_json(folder / _CONFIG, config | dim)

    def __repr__(self) -> str:
        chain = "\n".join(f"  {line}" for line in self.chain.describe().splitlines())
        return f"Encoder({self.name}, {self.dimension} dimensions)\n{chain}"

    def _encode(
        self, contents: Sequence[Content], *, prompt: str, batch_size: int, progress: bool
    ) -> Tensor:
        self._check(contents)
        unique: dict[Hashable, Content] = {}
        for content in contents:
            unique.setdefault(content_key(content), content)
        vectors = torch.empty(len(unique), self.dimension, device=self.chain.device)
        with Progress(disable=not progress) as bar:
            task = bar.add_task("Encoding", total=len(unique))
            for batch, features in run_batches(
                self.chain, list(unique.values()), prompt=prompt, batch_size=batch_size
            ):
                made = features["sentence_embedding"].float()
                vectors[batch] = made[:, : self.dimension]
                bar.advance(task, len(batch))
        row = {key: position for position, key in enumerate(unique)}
        return vectors[[row[content_key(content)] for content in contents]]

    def _check(self, contents: Sequence[Content]) -> None:
        for modality in {modality_name(content): None for content in contents}:
            if not self.supports(modality):
                raise UnsupportedModality(
                    f"The model {self.name} does not take {modality.replace('+', ' with ')}; "
                    f"it takes {', '.join(self.modalities)}."
                )

    def _prompt(self, prompt: str | None, name: str | None) -> str:
        if prompt is not None or name is None:
            return prompt or ""
        if name not in self.prompts:
            known = ", ".join(self.prompts) or "none"
            raise InputError(f"{self.name} has no prompt named {name!r}; it has {known}.")
        return self.prompts[name]

    def _with_prompt(self, names: Sequence[str], options: EncodeOptions) -> EncodeOptions:
        if options.get("prompt") is not None or options.get("prompt_name") is not None:
            return options
        name = next((name for name in names if name in self.prompts), None)
        return {**options, "prompt_name": name}


def best_device() -> torch.device:
    """The accelerator of this machine, or its CPU."""
    found = torch.accelerator.current_accelerator(check_available=True)
    return found or torch.device("cpu")


def as_dtype(dtype: str | torch.dtype | None) -> torch.dtype | None:
    """Turn `"bfloat16"` into `torch.bfloat16`.

    Raises:
        InputError: torch has no such dtype.
    """
    if dtype is None or isinstance(dtype, torch.dtype):
        return dtype
    found = getattr(torch, dtype, None)
    if not isinstance(found, torch.dtype):
        raise InputError(f"torch has no dtype {dtype!r}; use one such as 'float32' or 'bfloat16'.")
    return found
