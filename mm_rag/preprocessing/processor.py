"""Processing: Content becomes tensors, by the tokenizer or processor of a checkpoint."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
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
from mm_rag.preprocessing.control_tokens import ControlTokens
from mm_rag.preprocessing.features import Features
from mm_rag.preprocessing.media_inputs import Frames, Opener
from mm_rag.preprocessing.media_tokens import MediaTokens
from mm_rag.preprocessing.messages import Message, chat, conversation, restore_tails
from mm_rag.preprocessing.settings import SIZES, ProcessingSettings, lower_case

# What processors raise on inputs that they cannot use.
REFUSALS = (ValueError, TypeError, IndexError, KeyError, RuntimeError)

# Arguments for texts: the query of a pair stays whole; placeholders stay what they are.
_CUT_SECOND = {"truncation": "only_second"}
_AS_IT_IS = {"truncation": False, "padding": False, "add_special_tokens": False}

# Processors of several modalities that take one at a time, and its arguments flat.
_FLAT_PROCESSORS = (CLIPSegProcessor, WhisperProcessor)

# What processors call the inputs of a modality, and the settings for them.
_ARGUMENTS = {"text": "text", "image": "images", "audio": "audio", "video": "videos"}


class Processing:
    """Make a batch of tensors out of Content.

    Args:
        processor: A tokenizer, an image, audio or video processor, or one of several modalities.
        message_format: How its chat template wants content; None where chat messages are not used.
        settings: What the processor is called with.
        policy: Limits on the media that are opened.
        always_pads: The model reads a text's last position, as it was in its training, where every
            text was padded to the full length: SigLIP.
    """

    def __init__(
        self,
        processor: Any,
        *,
        message_format: Literal["structured", "flat"] | None = None,
        settings: ProcessingSettings | None = None,
        policy: MediaPolicy = DEFAULT_POLICY,
        always_pads: bool = False,
    ) -> None:
        self.processor: Any = processor
        self.several = isinstance(processor, ProcessorMixin)
        self.message_format = message_format
        self._always_pads = always_pads
        self.settings = settings or ProcessingSettings()
        self.opener = Opener(processor, self.settings.by_modality, policy)
        self._media_tokens = MediaTokens(processor, self.opener, self.settings.by_modality)
        tokenizer = getattr(processor, "tokenizer", processor)
        self.tokenizer = tokenizer if isinstance(tokenizer, PreTrainedTokenizerBase) else None
        if self.settings.lower_case and self.tokenizer:
            lower_case(self.tokenizer)
        self.control = self._control_tokens()

    def _control_tokens(self) -> ControlTokens:
        holders = [getattr(self.processor, f"{kind}_token", None) for kind in _ARGUMENTS]
        template = getattr(self.processor, "chat_template", None)
        return ControlTokens(
            self.tokenizer,
            template=template if isinstance(template, str) else "",
            more=[name for name in holders if name and isinstance(name, str)],
        )

    def replace_tokenizer(self, tokenizer: Any) -> None:
        """Use another tokenizer from now on.

        Raises:
            InputError: It is none of transformers, or the model reads no text.
        """
        if self.tokenizer is None or not isinstance(tokenizer, PreTrainedTokenizerBase):
            raise InputError(
                "A tokenizer can only be replaced by another tokenizer of transformers; got a "
                f"{type(tokenizer).__name__}."
            )
        if self.several:
            self.processor.tokenizer = tokenizer
        else:
            self.processor = tokenizer
        self.tokenizer = tokenizer
        self.control = self._control_tokens()

    def cut_at(self, limit: int) -> None:
        """Cut texts at so many tokens from now on, whatever the checkpoint says.

        Raises:
            InputError: The model reads no text.
        """
        if self.tokenizer is None:
            raise InputError("This model reads no text: it has no max_seq_length to set.")
        self.tokenizer.model_max_length = limit
        self.settings = self.settings.without_length()

    def for_task(self, task: str | None) -> Processing:
        """The processing for a task, which may have a length or a chat template of its own."""
        template = getattr(self.processor, "chat_template", None)
        settings = self.settings.for_task(task, template if isinstance(template, str) else "")
        if settings is self.settings:
            return self
        processing = copy.copy(self)
        processing.settings = settings
        return processing

    @property
    def max_length(self) -> int | None:
        """Tokens that a text is cut at; None where it is not cut."""
        # Tokenizers without a limit say 1e30.
        limit = self.tokenizer.model_max_length if self.tokenizer else None
        return limit if limit and limit < 1e9 else None

    @property
    def limit(self) -> int | None:
        """Tokens that texts and pairs are cut at: the checkpoint may have its own limit."""
        given, (_, sizes) = self.settings.by_modality, self.settings.template()
        own = [sizes, given.get("text", {}), given.get("common", {})]
        return next(filter(None, (one.get("max_length") for one in own)), self.max_length)

    def config(self) -> dict[str, Any]:
        """The keys of sentence-transformers; the length is saved with the tokenizer."""
        return self.settings.config(self._padding)

    def save(self, folder: Path) -> None:
        """Write the processor."""
        if self.tokenizer is not None and self.tokenizer.is_fast:
            # Cut and padding are state of the last call. In the file they would become settings,
            # which processors take for those of recordings too.
            backend: Any = self.tokenizer.backend_tokenizer
            backend.no_truncation()
            backend.no_padding()
        self.processor.save_pretrained(folder)

    def lengths(self, contents: Sequence[Content]) -> list[int]:
        """Tokens of texts, after the cut, and of media, as far as their headers tell."""
        media = [sum(map(self._media_tokens.count, parts_of(content))) for content in contents]
        texts = self.pair_lengths([(_words(content), _second(content)) for content in contents])
        return [text + more for text, more in zip(texts, media, strict=True)]

    def pair_lengths(self, pairs: Sequence[tuple[str, str | None]]) -> list[int]:
        """Tokens of pairs of texts, or of single ones, after the cut."""
        if self.tokenizer is None:
            return [0] * len(pairs)
        rows: Any = [text if other is None else (text, other) for text, other in pairs]
        tokens = self.tokenizer(rows, padding=False, truncation="longest_first") if rows else {}
        return [len(row) for row in tokens.get("input_ids", [])]

    def batch(self, contents: Sequence[Content], *, kind: str, prompt: str) -> Features:
        """Make the tensors of one batch.

        Args:
            contents: All of one `kind`.
            kind: `"message"`, or their modality: `"text"`, `"image+text"`, ...
            prompt: Goes before the texts; for chat messages, it is what the system says.

        Raises:
            UnsupportedModality: The processor takes one picture, recording or video at a time.
            UnreadableMedia: A file is missing or damaged.
            InputError: The processor refuses an input, or the prompt leaves no room for it.
        """
        contents = [self.control.as_content(content) for content in contents]
        self._check_room(prompt)
        if kind == "message":
            return Features(self._messages(contents, prompt), kind=kind)
        columns = {name: self._column(contents, name, prompt) for name in _in_order(contents[0])}
        length = self._prompt_length(prompt) if prompt and kind == "text" else 0
        return Features(self._call(columns), kind=kind, prompt_length=length)

    def _check_room(self, prompt: str) -> None:
        """See that a prompt leaves room for an input: all inputs would have one vector.

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

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> Features:
        """Make the tensors of pairs of texts, for a cross-encoder; the second ones are cut.

        Raises:
            InputError: A first text alone is longer than the model takes.
        """
        return Features(self._call({"text": [list(pair) for pair in pairs]}, _CUT_SECOND))

    def pair_ids(self, pairs: Sequence[tuple[str, str]]) -> list[list[int]]:
        """The tokens of pairs of texts, uncut."""
        tokenize: Any = self.tokenizer
        return tokenize([list(pair) for pair in pairs], verbose=False)["input_ids"] if pairs else []

    def cut_pair(self, pair: tuple[str, str]) -> list[int]:
        """The tokens of a pair that is too long, its second text cut.

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

    def alone(self, medium: Image | Video) -> dict[str, Tensor]:
        """Make the tensors of one medium, behind the token that stands for it in a text.

        Raises:
            UnreadableMedia: A file is missing or damaged.
        """
        token = getattr(self.processor, f"{medium.modality}_token")
        return self._call({"text": [token], medium.modality: [self._opened(medium)]}, _AS_IT_IS)

    def with_kinds(self, ids: Sequence[int]) -> tuple[Tensor, Tensor]:
        """A row of tokens, and of which modality each of them is; both of shape (1, tokens)."""
        kinds = self.processor.create_mm_token_type_ids([list(ids)])
        return torch.tensor([ids]), torch.tensor(kinds)

    def described(self, kind: str) -> Any:
        """The settings that pictures or videos are processed with, for keys of caches."""
        part = getattr(self.processor, f"{kind}_processor").to_dict()
        return [part, self.settings.by_modality.get(kind, {})]

    def uncut(self) -> Processing:
        """The same, which cuts nothing: what is too long has to be cut before."""
        # None, because a checkpoint that was saved after a cut has a length in its tokenizer.
        uncut = {"truncation": False, "max_length": None}
        text = {**self.settings.by_modality.get("text", {}), **uncut}
        processing = copy.copy(self)
        processing.settings = replace(
            self.settings, by_modality={**self.settings.by_modality, "text": text}
        )
        return processing

    def _column(self, contents: Sequence[Content], modality: str, prompt: str) -> list[Any]:
        """What the processor gets of one modality: one thing for every content."""
        if modality == "text":
            # As in sentence-transformers, a prompt stands before texts alone, not before pictures.
            lead = prompt if all(_media(content) == 0 for content in contents) else ""
            return [_paired(lead + _words(content), _second(content)) for content in contents]
        return [self._opened(_only(content, modality)) for content in contents]

    def _opened(self, part: Part) -> Any:
        match part:
            case Text():
                return part.text
            case Image():
                return self.opener.picture(part)
            case Audio():
                return self.opener.samples(part)
            case Video():
                return self.opener.frames(part)

    def _arguments(self, clips: Sequence[Frames]) -> dict[str, dict[str, Any]]:
        """What the processor is called with, by modality."""
        arguments = self.settings.arguments(self._padding)
        arguments["audio_kwargs"]["sampling_rate"] = self.opener.sampling_rate
        if clips:  # their frames were chosen here
            chosen = [clip.metadata for clip in clips]
            arguments["videos_kwargs"] |= {"do_sample_frames": False, "video_metadata": chosen}
        return arguments

    @property
    def _padding(self) -> dict[str, Any]:
        """To the longest text of a batch, where padding changes nothing.

        A model that masks nothing sees the padding, and one that reads the last position, such as
        SigLIP, reads it: all texts are padded to the full length, as they were in its training.
        Otherwise a text would have another vector beside a longer one (which is what
        sentence-transformers does).
        """
        names = self.tokenizer.model_input_names if self.tokenizer else []
        unmasked = bool(names) and "attention_mask" not in names
        if self.max_length is not None and (unmasked or self._always_pads):
            return {"padding": "max_length", "max_length": self.max_length}
        return {"padding": True}

    def _call(
        self, columns: dict[str, list[Any]], text: Mapping[str, Any] | None = None
    ) -> dict[str, Tensor]:
        """Call the processor; one of a single modality takes its arguments flat.

        Args:
            columns: What it gets of each modality.
            text: Arguments for texts, over the usual ones.
        """
        clips = columns.get("video", [])
        arguments: dict[str, Any] = self._arguments(clips)
        arguments["text_kwargs"] |= text or {}
        columns = columns | ({"video": [clip.pixels for clip in clips]} if clips else {})
        named = {_ARGUMENTS[modality]: values for modality, values in columns.items()}
        if self.several and not isinstance(self.processor, _FLAT_PROCESSORS):
            return self._tensors(lambda: self.processor(**named, **arguments))
        [(name, values)] = named.items()
        flat = {**arguments[f"{name}_kwargs"], **arguments["common_kwargs"]}
        if isinstance(self.processor, WhisperProcessor | WhisperFeatureExtractor):
            flat["padding"] = "max_length"  # the model takes 30 seconds, no less
        if self.several:
            return self._tensors(lambda: self.processor(**named, **flat))
        return self._tensors(lambda: self.processor(values, **flat))

    def _messages(self, contents: Sequence[Content], prompt: str) -> dict[str, Tensor]:
        clips: list[Frames] = []

        def value(part: Part) -> Any:
            opened = self._opened(part)
            if isinstance(opened, Frames):
                clips.append(opened)
                return opened.pixels
            return opened

        flat = self.message_format == "flat"
        batch = [conversation(content, prompt, value, flat=flat) for content in contents]
        return self._tensors(lambda: self._chat(batch, clips))

    def _chat(self, batch: list[list[Message]], clips: Sequence[Frames]) -> dict[str, Tensor]:
        arguments = self._arguments(clips)
        template, sizes = self.settings.template()
        restore = template.pop("restore_suffix", True)
        common = arguments["common_kwargs"]
        given = {name: common[name] for name in SIZES if common.get(name) is not None}
        text = arguments["text_kwargs"] = {**given, **arguments["text_kwargs"], **sizes}
        tensors = chat(self.processor, batch, arguments, template)
        limit = text.get("max_length") or self.max_length
        if restore and limit:
            restore_tails(self.processor, batch, tensors, template, limit)
        return tensors

    def _tensors(self, make: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """What the processor makes, with the mask of the input's own tokens."""
        try:
            return self._with_content_mask(make())
        except REFUSALS as error:
            name = type(self.processor).__name__
            limit = (
                f" (It takes {self.max_length} tokens of words and media together; only words are "
                "cut.)"
                if self.several and self.max_length
                else ""
            )
            reason = str(error).rstrip(".")
            raise InputError(f"The model's {name} refuses the input: {reason}.{limit}") from error

    def _with_content_mask(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Add which tokens are the input's own: neither padding nor special ones such as [CLS]."""
        if self.tokenizer is None or "input_ids" not in tensors:
            return dict(tensors)
        special = torch.tensor(self.tokenizer.all_special_ids)
        ids = tensors["input_ids"]
        # Some tokenizers, such as SigLIP's, mask nothing.
        seen = tensors.get("attention_mask", torch.ones_like(ids)).bool()
        own = seen & ~torch.isin(ids, special)
        return {**tensors, "content_mask": own}

    def _prompt_length(self, prompt: str) -> int:
        """The prompt's tokens, without the special one that ends a text."""
        if self.tokenizer is None:
            return 0
        ids: list[int] = self.tokenizer(prompt, verbose=False)["input_ids"]  # pyright: ignore[reportAssignmentType]
        return len(ids) - sum(last in self.tokenizer.all_special_ids for last in ids[-1:])


def _in_order(content: Content) -> list[str]:
    """The modalities in a content, in the order of their first parts."""
    return list(dict.fromkeys(part.modality for part in parts_of(content)))


def _only(content: Content, modality: str) -> Part:
    found = [part for part in parts_of(content) if part.modality == modality]
    if len(found) != 1:
        raise UnsupportedModality(
            f"This model takes one {modality} at a time, and an input has {len(found)}. "
            "Encode them one by one."
        )
    return found[0]


def _words(content: Content) -> str:
    return "\n".join(part.text for part in parts_of(content) if isinstance(part, Text))


def _second(content: Content) -> str | None:
    return content.second if isinstance(content, Text) else None


def _paired(text: str, second: str | None) -> str | list[str]:
    """What a tokenizer takes for a text, or for a pair of them."""
    return text if second is None else [text, second]


def _media(content: Content) -> int:
    return sum(not isinstance(part, Text) for part in parts_of(content))
