"""Encoder: turn content of any modality into vectors of one space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias, Unpack, overload

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import Progress
from torch import Tensor
from torch.nn import functional as F

from mm_rag.built_in import is_built_in, load_built_in
from mm_rag.checkpoints.config_files import (
    MODEL_CONFIG,
    check_requirements,
    read_json,
    write_json,
)
from mm_rag.checkpoints.locate import find_model
from mm_rag.checkpoints.options import PretrainedKeywords, PretrainedOptions
from mm_rag.checkpoints.publish import PushOptions, push_to_hub
from mm_rag.content import MODALITIES, Content, modality_name
from mm_rag.device import as_device, best_device, move, place
from mm_rag.errors import CheckpointError, InputError, UnsupportedModality, at_position
from mm_rag.inputs import as_contents
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.modules import Chain, Module
from mm_rag.modules.batching import (
    BatchOptions,
    TokenVectors,
    check_finite,
    sentence_vectors,
    token_vectors,
)
from mm_rag.modules.fingerprint import fingerprint
from mm_rag.options import (
    ENCODE,
    EncodeOptions,
    Output,
    also_named,
    check_attribute,
    check_form,
    chosen_prompt,
    kept_dimensions,
    named_prompts,
    whole_number,
)
from mm_rag.parallel import EncoderPool, Pool
from mm_rag.precision import Precision, quantize
from mm_rag.similarity import (
    SIMILARITIES,
    Similarity,
    check_similarity,
    pairwise_similarity,
    similarity,
)

Vectors: TypeAlias = npt.NDArray[Any]

_MODEL_TYPE = "SentenceTransformer"


class EncoderKeywords(PretrainedKeywords, total=False):
    """The keyword arguments of `Encoder.from_pretrained`, which `Encoder` describes."""

    prompts: Mapping[str, str] | None
    default_prompt_name: str | None
    truncate_dim: int | None
    similarity: Similarity | None
    similarity_fn_name: Similarity | None


class Encoder:
    """Encode texts, pictures, recordings and videos.

    `Encoder("name")` and `Encoder.from_pretrained("name")` load a checkpoint of
    sentence-transformers or transformers; `Encoder(modules=[...])` is made of the given modules.

    Args:
        model: A folder, or a model's name on the hub. None for the built-in default,
            `"mm-rag/multilingual-e5-small"`, which needs neither network nor GPU: it reads media,
            and encodes the words. `"mm-rag/minilm"` is the former default.
        modules: The modules of the encoder, instead of a `model`.
        prompts: Instructions by name, which override those of the checkpoint; `encode_query` uses
            `query`, `encode_document` uses `document`.
        default_prompt_name: The prompt that `encode` uses.
        truncate_dim: Keep only the first dimensions of vectors, for models trained for that.
        similarity: `"cosine"`, `"dot"`, `"euclidean"` or `"manhattan"`; by default the
            checkpoint's.
        similarity_fn_name: sentence-transformers' name of `similarity`.
        model_name_or_path: sentence-transformers' name of `model`.
        **options: How the model is found and loaded, all optional: `revision`, a branch, tag or
            commit; `device`, such as `"cuda"`, by default the best one; `dtype` of the weights, by
            default the checkpoint's; `trust_remote_code` runs Python code of the checkpoint;
            `model_kwargs`, `processor_kwargs` and `config_kwargs` for transformers'
            `from_pretrained`; `policy`, which media may be opened, and their limits (`modules` have
            their own); `cache_folder`, `local_files_only` and `token` for downloads.

    Raises:
        CheckpointError: There is no such model, or it cannot be loaded.
        MissingExtra: The built-in default is not on this machine, or a package that the checkpoint
            needs is missing or of another version.
        InputError: An option is invalid or conflicts with another.

    Attributes:
        name: The model's name, as it was given.
        chain: The modules of the model.
        prompts: Instructions by name.
        default_prompt_name: The prompt that `encode` uses; None for none.
    """

    name: str
    chain: Chain
    prompts: dict[str, str]
    default_prompt_name: str | None
    _policy: MediaPolicy
    _truncate_dim: int | None
    _similarity_name: Similarity
    _fingerprint: tuple[Any, str] | None

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        modules: Sequence[Module] | None = None,
        prompts: Mapping[str, str] | None = None,
        default_prompt_name: str | None = None,
        truncate_dim: int | None = None,
        similarity: Similarity | None = None,
        similarity_fn_name: Similarity | None = None,
        model_name_or_path: str | Path | None = None,
        **options: Unpack[PretrainedKeywords],
    ) -> None:
        if model is not None and model_name_or_path is not None:
            raise InputError("model_name_or_path and model say the same: give one of them.")
        if similarity is not None and similarity_fn_name is not None:
            raise InputError("similarity_fn_name and similarity say the same: give one of them.")
        pretrained = PretrainedOptions.from_keywords(**options)
        if modules is None:
            self.name, chain, config = _load(model or model_name_or_path, pretrained)
        elif pretrained.policy is not DEFAULT_POLICY:
            raise InputError(
                "Modules open media as their own policy says: give them the policy when they are "
                "made or loaded, not the Encoder."
            )
        else:
            self.name, chain, config = "custom", Chain(modules), dict[str, Any]()
        place(chain, pretrained.device or best_device())
        self.chain = chain.eval()
        self.prompts = named_prompts(config.get("prompts"), prompts)
        self.default_prompt_name = default_prompt_name or config.get("default_prompt_name")
        chosen_prompt(self.prompts, None, self.default_prompt_name)  # raises if there is none
        self.truncate_dim = config.get("truncate_dim") if truncate_dim is None else truncate_dim
        saved = config.get("similarity_fn_name")
        self.similarity_name = (
            similarity or similarity_fn_name or (saved if saved in SIMILARITIES else "cosine")
        )
        self._policy = pretrained.policy
        self._fingerprint = None

    @classmethod
    def from_pretrained(
        cls, model: str | Path | None = None, **options: Unpack[EncoderKeywords]
    ) -> Self:
        """Load a model by its name on the hub or its folder; described at the class.

        Raises:
            CheckpointError: There is no such model, or it cannot be loaded.
            MissingExtra: A package that the checkpoint needs is missing or of another version.
            InputError: An option is invalid or conflicts with another.
        """
        return cls(model, **options)

    @overload
    def encode(
        self, inputs: Any, *, output: Literal["numpy"] = ..., **options: Unpack[EncodeOptions]
    ) -> Vectors: ...
    @overload
    def encode(
        self, inputs: Any, *, output: Literal["tensor"], **options: Unpack[EncodeOptions]
    ) -> Tensor: ...
    @overload
    def encode(
        self, inputs: Any, *, convert_to_tensor: Literal[True], **options: Unpack[EncodeOptions]
    ) -> Tensor: ...
    @also_named(ENCODE)
    def encode(
        self,
        inputs: Any,
        *,
        batch_size: int = 32,
        prompt: str | None = None,
        prompt_name: str | None = None,
        task: str | None = None,
        normalize: bool = False,
        truncate_dim: int | None = None,
        precision: Precision = "float32",
        progress: bool = False,
        devices: Pool | Sequence[str | torch.device] = (),
        arguments: Mapping[str, Any] | None = None,
        output: Output = "numpy",
    ) -> Vectors | Tensor:
        """Encode one input, or a list of inputs of any modalities in any order.

        A str that names an existing media file, or the URL of one, is encoded as that medium if the
        model supports it; `Text("...")` is always text. sentence-transformers' names of arguments
        are accepted, too: `show_progress_bar`, `convert_to_tensor`, `convert_to_numpy`,
        `normalize_embeddings`, `pool`, `device`.

        Args:
            inputs: One value that `mm_rag.inputs.as_content` accepts, or a list or tuple of them.
            batch_size: Inputs per batch at most; long inputs make smaller batches.
            prompt: Goes before every input, instead of the default prompt.
            prompt_name: The name of one of `prompts`.
            task: Such as `"query"` or `"document"`, for models that distinguish them.
            normalize: Scale the vectors to length 1.
            truncate_dim: Keep only the first dimensions, instead of the encoder's `truncate_dim`.
            precision: Quantise to `"int8"`, `"uint8"`, `"binary"` or `"ubinary"`, as
                `mm_rag.precision.quantize` does.
            progress: Draw a progress bar.
            devices: Distribute the inputs over processes, one per device: `["cuda:0", "cuda:1"]`,
                `["cpu", "cpu"]`. They are started for this call; those of a `pool` are kept.
            arguments: For the modules that declare them in `forward_kwargs`.
            output: `"numpy"`, or `"tensor"` on the model's device.

        Returns:
            Vectors of shape (inputs, dimension), float32; (dimension,) for one input.

        Raises:
            InputError: An input or an option is invalid.
            UnsupportedModality: The model does not support the modality of an input.
            UnreadableMedia: A file is missing or damaged.
            NotFinite: The model returns NaN or infinity for an input.
            WorkerError: A process on one of the `devices` died.
        """
        check_form(precision, output)
        kept = kept_dimensions(truncate_dim) or self.truncate_dim
        if arguments:
            self.chain.check_arguments(arguments)
        options = BatchOptions(
            prompt=chosen_prompt(self.prompts, prompt, prompt_name or self.default_prompt_name),
            task=task,
            batch_size=batch_size,
            arguments=dict(arguments or {}),
        )
        contents, single = self._contents(inputs)
        try:
            self._check_modalities(contents)
            vectors = self._vectors(contents, options, devices, progress=progress)
            check_finite(vectors, self.chain, self.name, "vector")
        except InputError as error:
            error.position = None if single else error.position
            raise
        vectors = vectors[:, :kept]
        if normalize:
            vectors = F.normalize(vectors, dim=-1)
        if precision != "float32":
            vectors = torch.from_numpy(quantize(vectors, precision)).to(vectors.device)
        vectors = vectors[0] if single else vectors
        return vectors.cpu().numpy() if output == "numpy" else vectors

    def _contents(self, inputs: Any) -> tuple[list[Content], bool]:
        """The inputs as Content, and whether there was a single one."""
        modalities = self.modalities
        media = [name for name in MODALITIES if name in modalities]
        return as_contents(inputs, media=media, policy=self.policy)

    def _check_modalities(self, contents: Sequence[Content]) -> None:
        first: dict[str, int] = {}
        for position, content in enumerate(contents):
            first.setdefault(modality_name(content), position)
        for modality, position in first.items():
            if not self.chain.input.supports(modality):
                error = self._unsupported(modality)
                error.position = position
                raise error

    def _unsupported(self, modality: str) -> UnsupportedModality:
        return UnsupportedModality(
            f"The model {self.name} does not take {modality.replace('+', ' with ')}; "
            f"it takes {', '.join(self.modalities)}."
        )

    def _vectors(
        self,
        contents: Sequence[Content],
        options: BatchOptions,
        devices: Pool | Sequence[str | torch.device],
        *,
        progress: bool,
    ) -> Tensor:
        """Vectors of the full dimension, made in this process or on the `devices`."""
        with Progress(disable=not progress) as bar:
            on_batch = partial(bar.advance, bar.add_task("Encoding", total=len(contents)))
            if not devices:
                return sentence_vectors(self.chain, contents, options, on_batch=on_batch)
            is_pool = isinstance(devices, Pool)
            with nullcontext(devices) if is_pool else self.pool(devices) as pool:
                empty = np.empty((0, self.chain.dimension or 0), np.float32)
                made = pool.run(contents, options, on_batch=on_batch) if contents else empty
            return torch.from_numpy(made).to(self.chain.device)

    @overload
    def encode_query(
        self, inputs: Any, *, output: Literal["numpy"] = ..., **options: Unpack[EncodeOptions]
    ) -> Vectors: ...
    @overload
    def encode_query(
        self, inputs: Any, *, output: Literal["tensor"], **options: Unpack[EncodeOptions]
    ) -> Tensor: ...
    @overload
    def encode_query(
        self, inputs: Any, *, convert_to_tensor: Literal[True], **options: Unpack[EncodeOptions]
    ) -> Tensor: ...
    @also_named(ENCODE)
    def encode_query(
        self, inputs: Any, *, output: Output = "numpy", **options: Unpack[EncodeOptions]
    ) -> Vectors | Tensor:
        """Encode queries: `encode` for the task `query`, with its prompt."""
        return self.encode(inputs, output=output, **self._for_task(("query",), options))

    @overload
    def encode_document(
        self, inputs: Any, *, output: Literal["numpy"] = ..., **options: Unpack[EncodeOptions]
    ) -> Vectors: ...
    @overload
    def encode_document(
        self, inputs: Any, *, output: Literal["tensor"], **options: Unpack[EncodeOptions]
    ) -> Tensor: ...
    @overload
    def encode_document(
        self, inputs: Any, *, convert_to_tensor: Literal[True], **options: Unpack[EncodeOptions]
    ) -> Tensor: ...
    @also_named(ENCODE)
    def encode_document(
        self, inputs: Any, *, output: Output = "numpy", **options: Unpack[EncodeOptions]
    ) -> Vectors | Tensor:
        """Encode documents: `encode` for the task `document`, with its prompt."""
        names = ("document", "passage", "corpus")
        return self.encode(inputs, output=output, **self._for_task(names, options))

    def _for_task(self, names: Sequence[str], options: EncodeOptions) -> EncodeOptions:
        """Add the task `names[0]`, and the first existing one of the prompts `names`."""
        options = {"task": names[0], **options}
        if options.get("prompt") is not None or options.get("prompt_name") is not None:
            return options
        # The default prompt is for `encode` only; a task without its own prompt has none.
        prompt = next((self.prompts[name] for name in names if name in self.prompts), "")
        return {**options, "prompt": prompt}

    def encode_tokens(
        self, inputs: Sequence[Any], *, prompt_name: str | None = None, batch_size: int = 32
    ) -> list[TokenVectors]:
        """Encode the tokens of every input, for late interaction.

        Raises:
            UnsupportedModality: The model does not support an input, or has one vector for it.
        """
        contents, _ = self._contents(inputs)
        self._check_modalities(contents)
        prompt = chosen_prompt(self.prompts, None, prompt_name or self.default_prompt_name)
        made = token_vectors(self.chain, contents, prompt=prompt, batch_size=batch_size)
        for position, tokens in enumerate(made):
            with at_position(position):
                check_finite(tokens.vectors, self.chain, self.name, "vector")
        return made

    def read(self, content: Content) -> Content:
        """Add the words in `content`'s media to it, if this model encodes media as text.

        Contents that the model sees or hears, and those that already carry words, are unchanged.

        Raises:
            UnsupportedModality: The model does not support the modality.
            UnreadableMedia: A file is missing or damaged.
        """
        if not self.supports(modality := modality_name(content)):
            raise self._unsupported(modality)
        return self.chain.input.read(content)

    def pool(self, devices: Sequence[str | torch.device]) -> EncoderPool:
        """Start processes that encode together, one per device; use it in a `with` block."""
        return EncoderPool(self, devices)

    def similarity(self, a: Vectors | Tensor, b: Vectors | Tensor) -> Vectors:
        """Compare every vector of `a` with every vector of `b`, by the model's measure.

        Args:
            a: Shape (n, dimension) or (dimension,).
            b: Shape (m, dimension) or (dimension,).

        Returns:
            Shape (n, m), float32; higher is more similar, so distances are negative.
        """
        return similarity(a, b, self.similarity_name)

    def similarity_pairwise(self, a: Vectors | Tensor, b: Vectors | Tensor) -> Vectors:
        """Compare the first vector of `a` with the first of `b`, the second with the second, ...

        Args:
            a: Shape (n, dimension) or (dimension,).
            b: The same shape.

        Returns:
            Shape (n,), float32; higher is more similar, so distances are negative.
        """
        return pairwise_similarity(a, b, self.similarity_name)

    @property
    def policy(self) -> MediaPolicy:
        """Which media may be opened, and their limits."""
        return self._policy

    @property
    def truncate_dim(self) -> int | None:
        """How many dimensions of vectors are kept; None for all."""
        return self._truncate_dim

    @truncate_dim.setter
    def truncate_dim(self, dim: int | None) -> None:
        self._truncate_dim = kept_dimensions(dim)

    @property
    def similarity_name(self) -> Similarity:
        """The measure of `similarity`: `"cosine"`, `"dot"`, `"euclidean"` or `"manhattan"`."""
        return self._similarity_name

    @similarity_name.setter
    def similarity_name(self, measure: Similarity) -> None:
        self._similarity_name = check_similarity(getattr(measure, "value", measure))

    similarity_fn_name = similarity_name  # sentence-transformers' name

    @property
    def max_seq_length(self) -> int | None:
        """Tokens at which texts are truncated, settable; None if they are not truncated.

        Raises:
            InputError: It is set to a value that is not a positive integer or exceeds the model's
                positions, or the model does not truncate texts.
        """
        return self.chain.input.max_length

    @max_seq_length.setter
    def max_seq_length(self, limit: int) -> None:
        with self.chain.lock:
            self.chain.input.max_length = whole_number("max_seq_length", limit)

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, of transformers or of tokenizers, settable; None if it takes no text."""
        return self.chain.input.tokenizer

    @tokenizer.setter
    def tokenizer(self, tokenizer: Any) -> None:
        with self.chain.lock:
            self.chain.input.replace_tokenizer(tokenizer)

    @property
    def device(self) -> torch.device:
        """The device of its weights."""
        return self.chain.device

    def to(self, device: str | torch.device) -> Self:
        """Move the weights to a device, such as `"cuda:1"`.

        Raises:
            InputError: torch does not know the device, or this machine does not have it.
        """
        with self.chain.lock:
            move(self.chain, as_device(device))
        return self

    @property
    def modalities(self) -> tuple[str, ...]:
        """Those it supports: `"text"`, `"image"`, `"audio"`, `"video"`, `"message"` for chats."""
        return self.chain.input.modalities

    def supports(self, modality: str | Sequence[str]) -> bool:
        """Whether it supports a modality, or several together: `("text", "image")`."""
        names = modality.split("+") if isinstance(modality, str) else modality
        return self.chain.input.supports("+".join(sorted(set(names))))

    def encodes_as_text(self, modality: str) -> bool:
        """Whether media of a modality are encoded through the words read from them.

        Vectors of texts and of media encoded as text are comparable with each other; the vectors of
        media that the model sees or hears form another cluster.
        """
        return self.chain.input.encodes_as_text(modality)

    @property
    def dimension(self) -> int:
        """The size of vectors, after `truncate_dim`."""
        full = self.chain.dimension
        if full is None:
            raise CheckpointError("No module of this encoder says which dimension it gives.")
        return min(full, self.truncate_dim or full)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change when the vector of any input may change.

        Weights that are changed in place, after it was first computed, are not noticed.
        """
        settings: dict[str, Any] = {
            "prompts": self.prompts,
            "default": self.default_prompt_name,
            "dim": self.dimension,
        }
        state = (self.chain, self.tokenizer, self.max_seq_length, repr(settings))
        if self._fingerprint is None or self._fingerprint[0] != state:
            self._fingerprint = state, fingerprint(self.chain, **settings)
        return self._fingerprint[1]

    def save(self, path: str | Path) -> None:
        """Write the encoder to a folder, in the format of sentence-transformers."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        config = {
            "model_type": _MODEL_TYPE,
            "prompts": self.prompts,
            "default_prompt_name": self.default_prompt_name,
            "similarity_fn_name": self.similarity_name,
        }
        dim = {"truncate_dim": self.truncate_dim} if self.truncate_dim else {}
        write_json(folder / MODEL_CONFIG, config | dim)
        self.chain.save(folder)

    def push_to_hub(self, repo_id: str, **options: Unpack[PushOptions]) -> str:
        """Upload the encoder to the Hugging Face hub, to a repository that is created if needed.

        Args:
            repo_id: Such as `"user/model"`.
            **options: `token`, `private`, `exist_ok`, `revision`, `commit_message`, `create_pr`.

        Returns:
            The URL of the commit, or of the pull request.

        Raises:
            CheckpointError: The hub was not reached, or refuses the upload.
        """
        return push_to_hub(self.save, repo_id, **options)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an existing attribute.

        Raises:
            UnknownAttribute: There is no attribute of that name.
        """
        check_attribute(self, Encoder, name)
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        chain = "\n".join(f"  {line}" for line in self.chain.describe().splitlines())
        return f"Encoder({self.name}, {self.dimension} dimensions)\n{chain}"


def _load(
    model: str | Path | None, options: PretrainedOptions
) -> tuple[str, Chain, dict[str, Any]]:
    """Load a model: its name, its modules, and the content of its configuration file."""
    if model is None or is_built_in(model):
        return load_built_in(None if model is None else str(model), options)
    folder = find_model(model, options)
    config = read_json(folder / MODEL_CONFIG, default={})
    check_requirements(config, str(model))
    if config.get("model_type", _MODEL_TYPE) == _MODEL_TYPE:
        return str(model), Chain.load(folder, options), config
    return str(model), Chain.plain(folder, options), {}  # a reranker: its Transformer and a pooling
