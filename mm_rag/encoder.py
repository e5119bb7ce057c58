"""Encoder: content of any modality becomes vectors in one space."""

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

from mm_rag._attributes import check_attribute
from mm_rag._peer_names import ENCODE, ENCODER, also_named
from mm_rag.checkpoints.fingerprint import fingerprint
from mm_rag.checkpoints.locate import Hub, find_default_model, find_model
from mm_rag.checkpoints.placement import move, place
from mm_rag.checkpoints.publish import PushOptions, push_to_hub
from mm_rag.checkpoints.requirements import check_requirements
from mm_rag.content import MODALITIES, Content, modality_name
from mm_rag.device import as_device, as_dtype
from mm_rag.embedded import embedded_chain
from mm_rag.errors import CheckpointError, InputError, UnsupportedModality, at_position
from mm_rag.inputs import as_contents
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.modules import Chain, LoadOptions, Module
from mm_rag.modules.finite import check_finite
from mm_rag.modules.module import read_json, write_json
from mm_rag.options import (
    EncodeOptions,
    Output,
    check_form,
    chosen_prompt,
    kept_dimensions,
    named_prompts,
    whole_number,
)
from mm_rag.parallel import EncoderPool
from mm_rag.precision import Precision, quantize
from mm_rag.preprocessing.batching import (
    BatchOptions,
    TokenVectors,
    sentence_vectors,
    token_vectors,
)
from mm_rag.similarity import (
    SIMILARITIES,
    Similarity,
    check_similarity,
    pairwise_similarity,
    similarity,
)

Vectors: TypeAlias = npt.NDArray[Any]

_CONFIG = "config_sentence_transformers.json"
_MODEL_TYPE = "SentenceTransformer"


class Encoder:
    """Encode texts, pictures, recordings and videos.

    Args:
        model: A folder, or a model's name on the hub. None for the embedded default, which needs
            neither network nor GPU: it reads media, and encodes the words.
        modules: The modules to use instead of a `model`.
        revision: A branch, tag or commit of the model.
        device: Such as `"cuda"`; the GPU when there is one, by default and for `"auto"`. A
            `device_map` in `model_kwargs` goes before it.
        dtype: Of the weights, such as `torch.bfloat16`; what the checkpoint says, by default and
            for `"auto"`.
        trust_remote_code: Run Python code that lies in the checkpoint.
        model_kwargs: For the `from_pretrained` of the transformers model.
        processor_kwargs: For the `from_pretrained` of its tokenizer or processor.
        config_kwargs: For the `from_pretrained` of its configuration.
        prompts: Instructions by name, over those of the checkpoint; `query` and `document` are used
            by `encode_query` and `encode_document`.
        default_prompt_name: The prompt of `encode`.
        truncate_dim: Keep only the first dimensions, for models trained for that.
        similarity: `"cosine"`, `"dot"`, `"euclidean"` or `"manhattan"`; else the checkpoint's.
            sentence-transformers calls it `similarity_fn_name`, which is taken too.
        policy: What may be opened of the media that it is given, and their limits. `modules` have
            their own.
        cache_folder: Where models are kept.
        local_files_only: Fetch nothing.
        token: For private models.

    Raises:
        CheckpointError: There is no such model, or it is not understood.
        MissingExtra: The embedded default is not on this machine, or a package that the checkpoint
            needs is not, in the version it needs.
        InputError: An option is invalid, or conflicts with another.

    Attributes:
        name: Of the model, as it was given.
        chain: Its modules.
        prompts: Instructions by name.
        default_prompt_name: The prompt of `encode`; None for none.
    """

    name: str
    chain: Chain
    prompts: dict[str, str]
    default_prompt_name: str | None
    _policy: MediaPolicy
    _truncate_dim: int | None
    _similarity_name: Similarity
    _fingerprint: tuple[Any, str] | None

    @also_named(ENCODER)
    def __init__(
        self,
        model: str | Path | None = None,
        *,
        modules: Sequence[Module] | None = None,
        revision: str | None = None,
        device: str | int | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        trust_remote_code: bool = False,
        model_kwargs: Mapping[str, Any] | None = None,
        processor_kwargs: Mapping[str, Any] | None = None,
        config_kwargs: Mapping[str, Any] | None = None,
        prompts: Mapping[str, str] | None = None,
        default_prompt_name: str | None = None,
        truncate_dim: int | None = None,
        similarity: Similarity | None = None,
        policy: MediaPolicy = DEFAULT_POLICY,
        cache_folder: str | Path | None = None,
        local_files_only: bool = False,
        token: str | None = None,
    ) -> None:
        if modules is not None and policy is not DEFAULT_POLICY:
            raise InputError(
                "Modules open media as their own policy says: give them the policy when they are "
                "made or loaded, not the Encoder."
            )
        target = as_device(device)
        options = LoadOptions(
            dtype=as_dtype(dtype),
            trust_remote_code=trust_remote_code,
            model_kwargs=dict(model_kwargs or {}),
            processor_kwargs=dict(processor_kwargs or {}),
            config_kwargs=dict(config_kwargs or {}),
            policy=policy,
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
            saved = read_json(folder / _CONFIG, default={})
            check_requirements(saved, str(model))
            if saved.get("model_type", _MODEL_TYPE) == _MODEL_TYPE:
                chain = Chain.load(folder, options)
            else:  # a reranker: its transformer, with the usual pooling
                chain, saved = Chain.plain(folder, options), {}
            self.name = str(model)
        self._policy = policy
        self._fingerprint = None
        place(chain, target)
        self.chain = chain.eval()
        self.prompts = named_prompts(saved.get("prompts"), prompts)
        self.default_prompt_name = default_prompt_name or saved.get("default_prompt_name")
        self.truncate_dim = saved.get("truncate_dim") if truncate_dim is None else truncate_dim
        named = saved.get("similarity_fn_name")
        self.similarity_name = similarity or (named if named in SIMILARITIES else "cosine")
        chosen_prompt(self.prompts, None, self.default_prompt_name)  # it has to be there

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute that there is.

        Raises:
            UnknownAttribute: There is none of that name.
        """
        check_attribute(self, Encoder, name)
        super().__setattr__(name, value)

    @property
    def policy(self) -> MediaPolicy:
        """What may be opened of the media that it is given, and their limits."""
        return self._policy

    @property
    def truncate_dim(self) -> int | None:
        """The dimensions that are kept, the first ones; None for all."""
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

    similarity_fn_name = similarity_name  # as sentence-transformers calls it

    @property
    def max_seq_length(self) -> int | None:
        """Tokens that texts are cut at; None where they are not cut. It can be set.

        Raises:
            InputError: It is set to no whole number over 0, to more than the model has positions
                for, or the model cuts no texts.
        """
        return self.chain.input.max_length

    @max_seq_length.setter
    def max_seq_length(self, limit: int) -> None:
        with self.chain.lock:
            self.chain.input.max_length = whole_number("max_seq_length", limit)

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, of transformers or of tokenizers; None where it reads no text."""
        return self.chain.input.tokenizer

    @tokenizer.setter
    def tokenizer(self, tokenizer: Any) -> None:
        with self.chain.lock:
            self.chain.input.replace_tokenizer(tokenizer)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.chain.device

    def to(self, device: str | torch.device) -> Self:
        """Move the weights to a device, such as `"cuda:1"`.

        Raises:
            InputError: torch knows no such device, or this machine has none.
        """
        with self.chain.lock:
            move(self.chain, as_device(device))
        return self

    @property
    def modalities(self) -> tuple[str, ...]:
        """What it takes: `"text"`, `"image"`, `"audio"`, `"video"`; `"message"` is a chat."""
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
        self._check_modality(modality_name(content))
        return self.chain.input.prepare(content)

    @property
    def dimension(self) -> int:
        """Of a vector."""
        full = self.chain.dimension
        if full is None:
            raise CheckpointError("No module of this encoder says which dimension it gives.")
        return min(full, self.truncate_dim or full)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change when the same input would get another vector."""
        settings: dict[str, Any] = {
            "prompts": self.prompts,
            "default": self.default_prompt_name,
            "dim": self.dimension,
        }
        parts = (self.chain, self.tokenizer, self.max_seq_length, repr(settings))
        if self._fingerprint is None or self._fingerprint[0] != parts:
            self._fingerprint = parts, fingerprint(self.chain, **settings)
        return self._fingerprint[1]

    @overload
    def encode(
        self, inputs: Any, *, output: Literal["numpy"] = ..., **options: Unpack[EncodeOptions]
    ) -> Vectors: ...
    @overload
    def encode(
        self, inputs: Any, *, output: Literal["tensor"], **options: Unpack[EncodeOptions]
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
        devices: EncoderPool | Sequence[str | torch.device] = (),
        arguments: Mapping[str, Any] | None = None,
        output: Output = "numpy",
    ) -> Vectors | Tensor:
        """Encode one input, or a list or tuple of them, of any modalities in any order.

        A str that names an existing media file, or the address of one, is that medium where the
        model takes it; `Text("...")` is always text. The arguments that sentence-transformers
        calls otherwise are taken under its names too: `show_progress_bar`, `convert_to_tensor`,
        `normalize_embeddings`, `pool`, `device`.

        Args:
            inputs: Whatever `mm_rag.inputs.as_content` takes, or a list or tuple of that.
            batch_size: Inputs in a batch at most; long ones make smaller batches.
            prompt: Goes before every input, instead of the default prompt.
            prompt_name: The name of one of `prompts`.
            task: For models that tell tasks apart: `"query"`, `"document"`, ...
            normalize: Scale the vectors to length 1.
            truncate_dim: Keep only the first dimensions, instead of the encoder's `truncate_dim`.
            precision: Round to `"int8"`, `"uint8"`, `"binary"` or `"ubinary"`:
                `mm_rag.precision.quantize` says how.
            progress: Draw a progress bar.
            devices: Share the work out among processes, one for each: `["cuda:0", "cuda:1"]`,
                `["cpu", "cpu"]`. They are started for this call; those of a `pool` stay.
            arguments: For the modules that declare them in `forward_kwargs`.
            output: `"numpy"`, or `"tensor"` on the model's device.

        Returns:
            Vectors of shape (inputs, dimension), float32; (dimension,) for one input.

        Raises:
            InputError: An input is of no kind that a model takes, or an option is impossible.
            UnsupportedModality: The model does not take it.
            UnreadableMedia: A file is missing or damaged.
            NotFinite: The model makes NaN or infinity of an input.
            WorkerError: A process on one of the `devices` died.
        """
        check_form(precision, output)
        kept = kept_dimensions(truncate_dim) or self.truncate_dim
        self.chain.check_arguments(arguments or {})
        prompt = chosen_prompt(self.prompts, prompt, prompt_name or self.default_prompt_name)
        options = BatchOptions(
            prompt=prompt, task=task, batch_size=batch_size, arguments=dict(arguments or {})
        )
        contents, single = self._contents(inputs)
        try:
            self._check(contents)
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

    @overload
    def encode_query(
        self, inputs: Any, *, output: Literal["numpy"] = ..., **options: Unpack[EncodeOptions]
    ) -> Vectors: ...
    @overload
    def encode_query(
        self, inputs: Any, *, output: Literal["tensor"], **options: Unpack[EncodeOptions]
    ) -> Tensor: ...
    @also_named(ENCODE)
    def encode_query(
        self,
        inputs: Any,
        *,
        output: Output = "numpy",
        **options: Unpack[EncodeOptions],
    ) -> Vectors | Tensor:
        """Encode what is searched with: as `encode`, for the task `query`, with its prompt."""
        return self.encode(inputs, output=output, **self._for_task(("query",), options))

    @overload
    def encode_document(
        self, inputs: Any, *, output: Literal["numpy"] = ..., **options: Unpack[EncodeOptions]
    ) -> Vectors: ...
    @overload
    def encode_document(
        self, inputs: Any, *, output: Literal["tensor"], **options: Unpack[EncodeOptions]
    ) -> Tensor: ...
    @also_named(ENCODE)
    def encode_document(
        self,
        inputs: Any,
        *,
        output: Output = "numpy",
        **options: Unpack[EncodeOptions],
    ) -> Vectors | Tensor:
        """Encode what is searched in: as `encode`, for the task `document`, with its prompt."""
        names = ("document", "passage", "corpus")
        return self.encode(inputs, output=output, **self._for_task(names, options))

    def pool(self, devices: Sequence[str | torch.device]) -> EncoderPool:
        """Processes that encode together, one for each device; use it in a `with` block."""
        return EncoderPool(self, devices)

    def encode_tokens(
        self, inputs: Sequence[Any], *, prompt_name: str | None = None, batch_size: int = 32
    ) -> list[TokenVectors]:
        """The vectors of every input's tokens, for late interaction.

        Raises:
            UnsupportedModality: The model does not take an input, or gives one vector for it.
        """
        contents, _ = self._contents(inputs)
        self._check(contents)
        prompt = chosen_prompt(self.prompts, None, prompt_name or self.default_prompt_name)
        made = token_vectors(self.chain, contents, prompt=prompt, batch_size=batch_size)
        for position, tokens in enumerate(made):
            with at_position(position):
                check_finite(tokens.vectors, self.chain, self.name, "vector")
        return made

    def similarity(self, a: Vectors | Tensor, b: Vectors | Tensor) -> Vectors:
        """Every vector of `a` against every one of `b`, by the measure the model was trained with.

        Args:
            a: Shape (n, dimension) or (dimension,).
            b: Shape (m, dimension) or (dimension,).

        Returns:
            Shape (n, m), float32; higher is more similar, so distances come out negative.
        """
        return similarity(a, b, self.similarity_name)

    def similarity_pairwise(self, a: Vectors | Tensor, b: Vectors | Tensor) -> Vectors:
        """The first vector of `a` against the first of `b`, the second against the second, ...

        Args:
            a: Shape (n, dimension) or (dimension,).
            b: The same shape.

        Returns:
            Shape (n,), float32; higher is more similar, so distances come out negative.
        """
        return pairwise_similarity(a, b, self.similarity_name)

    def push_to_hub(self, repo_id: str, **options: Unpack[PushOptions]) -> str:
        """Upload it to a repository of the Hugging Face hub, made where it is missing.

        Args:
            repo_id: Such as `"user/model"`.
            **options: `token`, `private`, `exist_ok`, `revision`, `commit_message`, `create_pr`.

        Returns:
            The address of the commit, or of the pull request.

        Raises:
            CheckpointError: The hub was not reached, or refuses it.
        """
        return push_to_hub(self.save, repo_id, **options)

    def save(self, path: str | Path) -> None:
        """Write it to a folder, in the format of sentence-transformers."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        config = {
            "model_type": _MODEL_TYPE,
            "prompts": self.prompts,
            "default_prompt_name": self.default_prompt_name,
            "similarity_fn_name": self.similarity_name,
        }
        dim = {"truncate_dim": self.truncate_dim} if self.truncate_dim else {}
        write_json(folder / _CONFIG, config | dim)
        self.chain.save(folder)

    def __repr__(self) -> str:
        chain = "\n".join(f"  {line}" for line in self.chain.describe().splitlines())
        return f"Encoder({self.name}, {self.dimension} dimensions)\n{chain}"

    def _vectors(
        self,
        contents: Sequence[Content],
        options: BatchOptions,
        devices: EncoderPool | Sequence[str | torch.device],
        *,
        progress: bool,
    ) -> Tensor:
        """Whole vectors, made here or on the `devices`."""
        with Progress(disable=not progress) as bar:
            advance = partial(bar.advance, bar.add_task("Encoding", total=len(contents)))
            if not devices:
                return sentence_vectors(self.chain, contents, options, on_batch=advance)
            given = isinstance(devices, EncoderPool)
            with nullcontext(devices) if given else self.pool(devices) as pool:
                empty = np.empty((0, self.chain.dimension or 0), np.float32)
                made = pool.run(contents, options, done=advance) if contents else empty
            return torch.from_numpy(made).to(self.chain.device)

    def _contents(self, inputs: Any) -> tuple[list[Content], bool]:
        """The inputs as Content, and whether it was a single one."""
        media = [name for name in MODALITIES if self.supports(name)]
        return as_contents(inputs, media=media, policy=self.policy)

    def _check(self, contents: Sequence[Content]) -> None:
        first: dict[str, int] = {}
        for position, content in enumerate(contents):
            first.setdefault(modality_name(content), position)
        for modality, position in first.items():
            with at_position(position):
                self._check_modality(modality)

    def _check_modality(self, modality: str) -> None:
        if not self.supports(modality):
            raise UnsupportedModality(
                f"The model {self.name} does not take {modality.replace('+', ' with ')}; "
                f"it takes {', '.join(self.modalities)}."
            )

    def _for_task(self, names: Sequence[str], options: EncodeOptions) -> EncodeOptions:
        """Options with the task `names[0]`, and the first of the prompts `names` that there is."""
        options = {"task": names[0], **options}
        if options.get("prompt") is not None or options.get("prompt_name") is not None:
            return options
        # The default prompt is for `encode`; a task without a prompt of its own has none.
        prompt = next((self.prompts[name] for name in names if name in self.prompts), "")
        return {**options, "prompt": prompt}
