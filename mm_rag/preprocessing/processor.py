"""Processor: turn Content into tensors, by the tokenizer or processor of a checkpoint."""

from __future__ import annotations

import copy
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import (
    CLIPSegProcessor,
    PreTrainedTokenizerBase,
    ProcessorMixin,
    WhisperFeatureExtractor,
    WhisperProcessor,
)

from mm_rag.content import Audio, Content, Image, Part, Text, Video, parts_of
from mm_rag.errors import InputError, UnsupportedModality
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.preprocessing.chat_template import ChatTemplate
from mm_rag.preprocessing.control_tokens import ControlTokens
from mm_rag.preprocessing.features import Features
from mm_rag.preprocessing.media_inputs import Frames, MediaInputs
from mm_rag.preprocessing.settings import REFUSALS, ProcessorSettings, lower_case

# Arguments for texts: truncate the second of a pair; tokenize a placeholder as it is.
_CUT_SECOND = {"truncation": "only_second"}
_AS_IT_IS = {"truncation": False, "padding": False, "add_special_tokens": False}

# Processors of several modalities that take one at a time, with flat arguments.
_FLAT_PROCESSORS = (CLIPSegProcessor, WhisperProcessor)

# The arguments of processors for the inputs of each modality.
_ARGUMENTS = {"text": "text", "image": "images", "audio": "audio", "video": "videos"}


class Processor:
    """Make batches of tensors out of Content.

    Args:
        hf_processor: A tokenizer, an image, audio or video processor of transformers, or one of
            several modalities.
        message_format: The format of content for its chat template; None without chat messages.
        settings: The arguments the processor is called with.
        policy: Which media may be opened, and their limits.
        always_pads: Pad every text to the full length, as in the training of models such as SigLIP,
            which read the last position.
    """

    def __init__(
        self,
        hf_processor: Any,
        *,
        message_format: Literal["structured", "flat"] | None = None,
        settings: ProcessorSettings | None = None,
        policy: MediaPolicy = DEFAULT_POLICY,
        always_pads: bool = False,
    ) -> None:
        self.hf_processor: Any = hf_processor
        self.is_multimodal = isinstance(hf_processor, ProcessorMixin)
        self.message_format = message_format
        self._always_pads = always_pads
        self.settings = settings or ProcessorSettings()
        self.media = MediaInputs(hf_processor, self.settings.by_modality, policy)
        tokenizer = getattr(hf_processor, "tokenizer", hf_processor)
        self.tokenizer = tokenizer if isinstance(tokenizer, PreTrainedTokenizerBase) else None
        if self.settings.lower_case and self.tokenizer:
            lower_case(self.tokenizer)
        self.control = self._control_tokens()

    def _control_tokens(self) -> ControlTokens:
        holders = [getattr(self.hf_processor, f"{kind}_token", None) for kind in _ARGUMENTS]
        template = getattr(self.hf_processor, "chat_template", None)
        return ControlTokens(
            self.tokenizer,
            template=template if isinstance(template, str) else "",
            more=[name for name in holders if name and isinstance(name, str)],
        )

    def replace_tokenizer(self, tokenizer: Any) -> None:
        """Use another tokenizer from now on.

        Raises:
            InputError: It is not one of transformers, or the model takes no text.
        """
        if self.tokenizer is None or not isinstance(tokenizer, PreTrainedTokenizerBase):
            raise InputError(
                "A tokenizer can only be replaced by another tokenizer of transformers; got a "
                f"{type(tokenizer).__name__}."
            )
        if self.is_multimodal:
            self.hf_processor.tokenizer = tokenizer
        else:
            self.hf_processor = tokenizer
        self.tokenizer = tokenizer
        self.control = self._control_tokens()

    def set_max_length(self, limit: int) -> None:
        """Truncate texts at `limit` tokens from now on, instead of the checkpoint's lengths.

        Raises:
            InputError: The model takes no text.
        """
        if self.tokenizer is None:
            raise InputError("This model takes no text, so max_seq_length cannot be set.")
        self.tokenizer.model_max_length = limit
        self.settings = self.settings.without_length()

    def for_task(self, task: str | None) -> Processor:
        """The processor for a task, which may have a length or a chat template of its own."""
        template = getattr(self.hf_processor, "chat_template", None)
        settings = self.settings.for_task(task, template if isinstance(template, str) else "")
        if settings is self.settings:
            return self
        processor = copy.copy(self)
        processor.settings = settings
        return processor

    @property
    def chat_template(self) -> ChatTemplate:
        """The chat template, with the current settings."""
        flat = self.message_format == "flat"
        return ChatTemplate(self.hf_processor, self.settings, flat=flat)

    @property
    def tokenizer_limit(self) -> int | None:
        """The tokenizer's limit of tokens; None without one."""
        # Tokenizers without a limit have 1e30.
        limit = self.tokenizer.model_max_length if self.tokenizer else None
        return limit if limit and limit < 1e9 else None

    @property
    def limit(self) -> int | None:
        """Tokens at which texts and pairs are truncated, by the checkpoint or the tokenizer."""
        given, (_, sizes) = self.settings.by_modality, self.settings.template()
        own = [sizes, given.get("text", {}), given.get("common", {})]
        return next(filter(None, (one.get("max_length") for one in own)), self.tokenizer_limit)

    def config(self) -> dict[str, Any]:
        """The settings in sentence-transformers' format; the length is saved with the tokenizer."""
        return self.settings.config(self._padding)

    def save(self, folder: Path) -> None:
        """Write the processor."""
        if self.tokenizer is not None and self.tokenizer.is_fast:
            # Truncation and padding are state of the last call. Saved, they would become settings,
            # which processors apply to recordings, too.
            backend: Any = self.tokenizer.backend_tokenizer
            backend.no_truncation()
            backend.no_padding()
        self.hf_processor.save_pretrained(folder)

    def lengths(self, contents: Sequence[Content]) -> list[int]:
        """Tokens of texts, after truncation, and of media, as far as their headers tell."""
        media = [sum(map(self.media.tokens, parts_of(content))) for content in contents]
        rows: Any = [_paired(_joined_text(content), _second(content)) for content in contents]
        if self.tokenizer is None or not rows:
            return media
        encoded = self.tokenizer(rows, padding=False, truncation="longest_first")
        return [len(ids) + more for ids, more in zip(encoded["input_ids"], media, strict=True)]

    def batch(self, contents: Sequence[Content], *, kind: str, prompt: str) -> Features:
        """Make the tensors of one batch.

        Args:
            contents: Contents of one `kind`.
            kind: `"message"`, or their modality: `"text"`, `"image+text"`, ...
            prompt: Goes before the texts; the system's message of chats.

        Raises:
            UnsupportedModality: The processor takes one picture, recording or video at a time.
            UnreadableMedia: A file is missing or damaged.
            InputError: The processor rejects an input, or the prompt leaves no room for one.
        """
        contents = [self.control.as_content(content) for content in contents]
        self._check_room(prompt)
        if kind == "message":
            return Features(self._chat_tensors(contents, prompt), kind=kind)
        columns = {name: self._column(contents, name, prompt) for name in _in_order(contents[0])}
        length = self._prompt_length(prompt) if prompt and kind == "text" else 0
        return Features(self._call(columns), kind=kind, prompt_length=length)

    def _check_room(self, prompt: str) -> None:
        """Check that a prompt leaves room for an input; else all inputs would have one vector.

        Raises:
            InputError: It does not.
        """
        if not prompt or self.tokenizer is None or self.limit is None:
            return
        ids: Any = self.tokenizer(prompt, verbose=False)["input_ids"]
        if len(ids) >= self.limit:
            raise InputError(
                f"The prompt takes {len(ids)} tokens, and the model {self.limit} of prompt and "
                "input together: nothing of an input is left. Give a shorter prompt, or a larger "
                "max_seq_length."
            )

    def _column(self, contents: Sequence[Content], modality: str, prompt: str) -> list[Any]:
        """The processor's input of one modality: one value for every content."""
        if modality == "text":
            # As in sentence-transformers, a prompt goes before texts without media only.
            lead = prompt if all(_media_count(content) == 0 for content in contents) else ""
            return [_paired(lead + _joined_text(content), _second(content)) for content in contents]
        return [self._opened(_only(content, modality)) for content in contents]

    def _opened(self, part: Part) -> Any:
        match part:
            case Text():
                return part.text
            case Image():
                return self.media.picture(part)
            case Audio():
                return self.media.samples(part)
            case Video():
                return self.media.frames(part)

    def _arguments(self, clips: Sequence[Frames]) -> dict[str, dict[str, Any]]:
        """The arguments the processor is called with, by modality."""
        arguments = self.settings.arguments(self._padding)
        arguments["audio_kwargs"]["sampling_rate"] = self.media.sampling_rate
        if clips:  # whose frames are chosen already
            chosen = [clip.metadata for clip in clips]
            arguments["videos_kwargs"] |= {"do_sample_frames": False, "video_metadata": chosen}
        return arguments

    @property
    def _padding(self) -> dict[str, Any]:
        """Padding to the longest text of a batch, or to the full length if padding matters.

        Models without an attention mask see the padding, and models such as SigLIP read the last
        position. Their texts are padded to the full length, as in their training; otherwise the
        vector of a text would depend on the batch (as it does in sentence-transformers).
        """
        names = self.tokenizer.model_input_names if self.tokenizer else []
        unmasked = bool(names) and "attention_mask" not in names
        if self.tokenizer_limit is not None and (unmasked or self._always_pads):
            return {"padding": "max_length", "max_length": self.tokenizer_limit}
        return {"padding": True}

    def _call(
        self, columns: dict[str, list[Any]], text: Mapping[str, Any] | None = None
    ) -> dict[str, Tensor]:
        """Call the processor; one of a single modality takes flat arguments.

        Args:
            columns: Its inputs by modality.
            text: Arguments for texts, which override the usual ones.
        """
        clips = columns.get("video", [])
        arguments: dict[str, Any] = self._arguments(clips)
        arguments["text_kwargs"] |= text or {}
        columns = columns | ({"video": [clip.pixels for clip in clips]} if clips else {})
        named = {_ARGUMENTS[modality]: values for modality, values in columns.items()}
        if self.is_multimodal and not isinstance(self.hf_processor, _FLAT_PROCESSORS):
            with self._refusals():
                made = self.hf_processor(**named, **arguments)
            return self._with_content_mask(made)
        [(name, values)] = named.items()
        flat = {**arguments[f"{name}_kwargs"], **arguments["common_kwargs"]}
        if isinstance(self.hf_processor, WhisperProcessor | WhisperFeatureExtractor):
            flat["padding"] = "max_length"  # the model takes exactly 30 seconds
        with self._refusals():
            if self.is_multimodal:
                made = self.hf_processor(**named, **flat)
            else:
                made = self.hf_processor(values, **flat)
        return self._with_content_mask(made)

    def _chat_tensors(self, contents: Sequence[Content], prompt: str) -> dict[str, Tensor]:
        parts = [part for content in contents for part in parts_of(content)]
        opened = {id(part): self._opened(part) for part in parts}
        values = {
            key: value.pixels if isinstance(value, Frames) else value
            for key, value in opened.items()
        }
        clips = [opened[id(part)] for part in parts if isinstance(part, Video)]
        template = self.chat_template
        batch = [template.messages(content, prompt, values) for content in contents]
        arguments = self._arguments(clips)
        with self._refusals():
            made = template.tensors(batch, arguments, self.tokenizer_limit)
        return self._with_content_mask(made)

    @contextmanager
    def _refusals(self) -> Generator[None]:
        """Turn what the processor raises for an input into an InputError."""
        try:
            yield
        except REFUSALS as error:
            name = type(self.hf_processor).__name__
            limit = (
                f" (It takes {self.tokenizer_limit} tokens of words and media together; only words "
                "are cut.)"
                if self.is_multimodal and self.tokenizer_limit
                else ""
            )
            reason = str(error).rstrip(".")
            raise InputError(f"The model's {name} refuses the input: {reason}.{limit}") from error

    def _with_content_mask(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Add the mask of the input's own tokens, without padding and special ones (`[CLS]`)."""
        if self.tokenizer is None or "input_ids" not in tensors:
            return dict(tensors)
        special = torch.tensor(self.tokenizer.all_special_ids)
        ids = tensors["input_ids"]
        # Some tokenizers, such as SigLIP's, have no attention mask.
        seen = tensors.get("attention_mask", torch.ones_like(ids)).bool()
        own = seen & ~torch.isin(ids, special)
        return {**tensors, "content_mask": own}

    def _prompt_length(self, prompt: str) -> int:
        """The prompt's tokens, without the special one that ends a text."""
        if self.tokenizer is None:
            return 0
        ids: list[int] = self.tokenizer(prompt, verbose=False)["input_ids"]  # pyright: ignore[reportAssignmentType]
        return len(ids) - sum(last in self.tokenizer.all_special_ids for last in ids[-1:])

    def pair_batch(self, pairs: Sequence[tuple[str, str]]) -> Features:
        """Make the tensors of pairs of texts, for a cross-encoder; second texts are truncated.

        Raises:
            InputError: A first text alone is longer than the model takes.
        """
        return Features(self._call({"text": [list(pair) for pair in pairs]}, _CUT_SECOND))

    def pair_ids(self, pairs: Sequence[tuple[str, str]]) -> list[list[int]]:
        """The tokens of pairs of texts, without truncation."""
        tokenize: Any = self.tokenizer
        return tokenize([list(pair) for pair in pairs], verbose=False)["input_ids"] if pairs else []

    def truncated_pair_ids(self, pair: tuple[str, str]) -> list[int]:
        """The tokens of a pair that is too long, with a truncated second text.

        Raises:
            InputError: The first text alone is longer than the model takes.
        """
        [first] = self.pair_ids([(pair[0], "")])
        if self.limit is not None and len(first) > self.limit:
            raise InputError(
                f"The query takes {len(first)} tokens; the model takes {self.limit} of query and "
                "document together. Give a shorter query or instruction, or a larger "
                "max_seq_length."
            )
        tokenize: Any = self.tokenizer
        return tokenize(*pair, max_length=self.limit, **_CUT_SECOND)["input_ids"]

    def medium_tensors(self, medium: Image | Video) -> dict[str, Tensor]:
        """Make the tensors of one medium, with the token that represents it in a text.

        Raises:
            UnreadableMedia: A file is missing or damaged.
        """
        token = getattr(self.hf_processor, f"{medium.modality}_token")
        return self._call({"text": [token], medium.modality: [self._opened(medium)]}, _AS_IT_IS)

    def with_token_types(self, ids: Sequence[int]) -> tuple[Tensor, Tensor]:
        """A row of tokens and the modality of each; both of shape (1, tokens)."""
        kinds = self.hf_processor.create_mm_token_type_ids([list(ids)])
        return torch.tensor([ids]), torch.tensor(kinds)

    def media_settings(self, kind: str) -> Any:
        """The settings for pictures or videos, for cache keys."""
        part = getattr(self.hf_processor, f"{kind}_processor").to_dict()
        return [part, self.settings.by_modality.get(kind, {})]

    def without_truncation(self) -> Processor:
        """The same processor without truncation; the caller truncates."""
        # None, because a checkpoint saved after a truncation has a length in its tokenizer.
        uncut = {"truncation": False, "max_length": None}
        text = {**self.settings.by_modality.get("text", {}), **uncut}
        processor = copy.copy(self)
        processor.settings = replace(
            self.settings, by_modality={**self.settings.by_modality, "text": text}
        )
        return processor


def _in_order(content: Content) -> list[str]:
    """The modalities of a content, in the order of their first parts."""
    return list(dict.fromkeys(part.modality for part in parts_of(content)))


def _only(content: Content, modality: str) -> Part:
    found = [part for part in parts_of(content) if part.modality == modality]
    if len(found) != 1:
        raise UnsupportedModality(
            f"This model takes one {modality} at a time, and an input has {len(found)}. "
            "Encode them one by one."
        )
    return found[0]


def _joined_text(content: Content) -> str:
    return "\n".join(part.text for part in parts_of(content) if isinstance(part, Text))


def _second(content: Content) -> str | None:
    return content.second if isinstance(content, Text) else None


def _paired(text: str, second: str | None) -> str | list[str]:
    """A tokenizer's input for a text, or for a pair of texts."""
    return text if second is None else [text, second]


def _media_count(content: Content) -> int:
    return sum(not isinstance(part, Text) for part in parts_of(content))
