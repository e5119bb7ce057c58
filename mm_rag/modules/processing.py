"""Processing: Content becomes tensors, by the tokenizer or processor of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase, ProcessorMixin

from mm_rag.content import Content, Image, Mixed, Text
from mm_rag.errors import UnsupportedModality
from mm_rag.media.image import open_image
from mm_rag.modules.messages import Message, chat, restore_tails
from mm_rag.modules.module import Features

# What tensors are made of here; models that see videos or hear are given only these.
MADE = frozenset({"text", "image"})

# What a picture or a clip counts for when batches are made; the true number depends on its size.
_MEDIA_TOKENS = 512


class Processing:
    """Make a batch of tensors out of Content.

    Args:
        processor: A tokenizer, an image processor, or a processor of several modalities.
        message_format: How its chat template wants content; None where chat messages are not used.
        settings: `processing_kwargs` of the checkpoint: by modality, what the processor is called
            with; `common` for all, `chat_template` for the template.
        lower_case: Texts go in in lower case.
    """

    def __init__(
        self,
        processor: Any,
        *,
        message_format: Literal["structured", "flat"] | None = None,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        lower_case: bool = False,
    ) -> None:
        self.processor = processor
        self.several = isinstance(processor, ProcessorMixin)
        self.message_format = message_format
        self.settings = settings or {}
        self.lower_case = lower_case
        tokenizer = getattr(processor, "tokenizer", processor)
        self.tokenizer = tokenizer if isinstance(tokenizer, PreTrainedTokenizerBase) else None

    @property
    def max_length(self) -> int | None:
        """Tokens that a text is cut at; None where it is not cut."""
        # Tokenizers without a limit say 1e30.
        limit = self.tokenizer.model_max_length if self.tokenizer else None
        return limit if limit and limit < 1e9 else None

    def config(self) -> dict[str, Any]:
        """The keys of sentence-transformers; the length is saved with the tokenizer."""
        config: dict[str, Any] = {"processing_kwargs": self.settings} if self.settings else {}
        return config | ({"do_lower_case": True} if self.lower_case else {})

    def lengths(self, contents: Sequence[Content]) -> list[int]:
        """Tokens of texts, after the cut; an estimate for media."""
        media = [_MEDIA_TOKENS * _media(content) for content in contents]
        texts = self.pair_lengths([(_words(content), None) for content in contents])
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
            kind: `"message"`, or their modality.
            prompt: Goes before each of them.

        Raises:
            UnsupportedModality: mm_rag makes no tensors of this kind.
        """
        match kind:
            case "message":
                return Features(self._messages(contents, prompt), kind=kind)
            case "text":
                texts = [prompt + self._cased(_words(content)) for content in contents]
                length = self._prompt_length(prompt) if prompt else 0
                return Features(self._call(text=texts), prompt_length=length)
            case "image":
                return Features(self._call(images=list(map(_picture, contents))), kind=kind)
            case _:
                raise UnsupportedModality(f"Tensors of {kind} are not made here yet.")

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> Features:
        """Make the tensors of pairs of texts, for a cross-encoder."""
        return Features(self._call(text=[list(map(self._cased, pair)) for pair in pairs]))

    def _cased(self, text: str) -> str:
        return text.lower() if self.lower_case else text

    def _arguments(self) -> dict[str, dict[str, Any]]:
        """What the processor is called with, by modality."""
        text = {"padding": True, "truncation": "longest_first", **self.settings.get("text", {})}
        return {
            "text_kwargs": text,
            "images_kwargs": dict(self.settings.get("image", {})),
            "audio_kwargs": {"padding": True, **self.settings.get("audio", {})},
            "videos_kwargs": dict(self.settings.get("video", {})),
            "common_kwargs": {"return_tensors": "pt", **self.settings.get("common", {})},
        }

    def _call(self, **inputs: list[Any]) -> dict[str, Tensor]:
        """Call the processor; a tokenizer or an image processor takes its arguments flat."""
        arguments: dict[str, Any] = self._arguments()
        if self.several:
            return self._with_content_mask(self.processor(**inputs, **arguments))
        [(name, values)] = inputs.items()
        flat = {**arguments[f"{name}_kwargs"], **arguments["common_kwargs"]}
        return self._with_content_mask(self.processor(values, **flat))

    def _messages(self, contents: Sequence[Content], prompt: str) -> dict[str, Tensor]:
        flat = self.message_format == "flat"
        batch = [_conversation(content, prompt, flat=flat) for content in contents]
        template = dict(self.settings.get("chat_template", {}))
        restore = template.pop("restore_suffix", True)
        tensors = chat(self.processor, batch, self._arguments(), template)
        if restore and self.max_length:
            restore_tails(self.processor, batch, tensors, template, self.max_length)
        return self._with_content_mask(tensors)

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
        ids: list[int] = self.tokenizer(prompt)["input_ids"]  # pyright: ignore[reportAssignmentType]
        return len(ids) - (ids[-1] in self.tokenizer.all_special_ids)


def _conversation(content: Content, prompt: str, *, flat: bool) -> list[Message]:
    """One input as chat messages: the prompt is the system's, the input is the user's."""
    parts = content.parts if isinstance(content, Mixed) else (content,)
    typed = [{"type": part.modality, part.modality: _value(part)} for part in parts]
    said: Any = _value(parts[0]) if flat and len(parts) == 1 else typed
    system: Any = prompt if flat else [{"type": "text", "text": prompt}]
    user = Message(role="user", content=said)
    return [Message(role="system", content=system), user] if prompt else [user]


def _value(part: Content) -> Any:
    return part.text if isinstance(part, Text) else _picture(part)


def _picture(content: Content) -> Any:
    if not isinstance(content, Image):
        kind = getattr(content, "modality", "several media together")
        raise UnsupportedModality(f"Tensors of {kind} are not made here yet.")
    return open_image(content.source)


def _words(content: Content) -> str:
    if isinstance(content, Mixed):
        return "\n".join(part.text for part in content.parts if isinstance(part, Text))
    return content.text if isinstance(content, Text) else ""


def _media(content: Content) -> int:
    parts = content.parts if isinstance(content, Mixed) else (content,)
    return sum(not isinstance(part, Text) for part in parts)
