"""ChatTemplate: turn chat messages into text, tokens and tensors by a checkpoint's template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypedDict

import torch
from jinja2 import TemplateError
from torch import Tensor
from transformers import ProcessorMixin

from mm_rag.content import Chat, Content, Part, Text, Turn, parts_of
from mm_rag.errors import CheckpointError, InputError
from mm_rag.preprocessing.settings import REFUSALS, SIZES, ProcessorSettings

# A query and a document; or chat messages that contain both, as the model's template expects them.
Pair: TypeAlias = tuple[Content, Content]
PairOrChat: TypeAlias = Pair | Chat

QUERY, DOCUMENT = "query", "document"

# Pairs that differ in one side: a template that shows both sides makes three texts of them.
_PROBES = [(Text("0"), Text("0")), (Text("1 1"), Text("0")), (Text("0"), Text("1 1"))]


class Message(TypedDict):
    """One chat message.

    Attributes:
        role: `"system"`, `"user"`, ...
        content: Typed parts, `[{"type": "text", "text": ...}, {"type": "image", "image": ...}]`, or
            one bare value for templates that take one.
    """

    role: str
    content: Any


def as_messages(pair: PairOrChat) -> Chat:
    """A message of the role "query" and one of the role "document"; chat messages as they are."""
    if isinstance(pair, Chat):
        return pair
    query, document = pair
    return Chat((Turn(QUERY, parts_of(query)), Turn(DOCUMENT, parts_of(document))))


class ChatTemplate:
    """Apply the chat template of a processor.

    Args:
        hf_processor: A processor of several modalities, or a tokenizer.
        settings: The arguments it is called with.
        flat: Whether the template takes a bare value instead of a list of one part.
    """

    def __init__(self, hf_processor: Any, settings: ProcessorSettings, *, flat: bool) -> None:
        self._processor = hf_processor
        self._tokenizer: Any = getattr(hf_processor, "tokenizer", hf_processor)
        self._settings = settings
        self._flat = flat

    def messages(self, content: Content, prompt: str, opened: Mapping[int, Any]) -> list[Message]:
        """Turn one input into chat messages.

        Args:
            content: A chat, or other content, which becomes a message of the user.
            prompt: The system's message; empty for none.
            opened: The opened media by the `id` of their parts; a medium that is not in it becomes
                an empty text.
        """
        lead = [self._message("system", [Text(prompt)], {}, opened)] if prompt else []
        if isinstance(content, Chat):
            turns = [self._message(t.role, t.parts, t.fields, opened) for t in content.turns]
            return [*lead, *turns]
        return [*lead, self._message("user", parts_of(content), {}, opened)]

    def _message(
        self,
        role: str,
        parts: Sequence[Part],
        fields: Mapping[str, Any],
        opened: Mapping[int, Any],
    ) -> Message:
        values = [
            part.text if isinstance(part, Text) else opened.get(id(part), "") for part in parts
        ]
        content = (
            values[0]
            if self._flat and len(parts) == 1
            else [
                {"type": part.modality, part.modality: value}
                for part, value in zip(parts, values, strict=True)
            ]
        )
        return {**fields, "role": role, "content": content}  # pyright: ignore[reportReturnType]

    def tensors(
        self,
        batch: Sequence[Sequence[Message]],
        arguments: Mapping[str, Mapping[str, Any]],
        max_length: int | None,
    ) -> dict[str, Tensor]:
        """Make the tensors of a batch of chats, whose media are open.

        A template ends with fixed tokens, such as the start of the assistant's turn. Models that
        read the last token were trained to find them there, so they are restored in chats that were
        truncated, unless the checkpoint's settings say otherwise.

        Args:
            batch: The messages of each chat.
            arguments: The arguments of the processor, by modality.
            max_length: Tokens at which the tokenizer truncates; None for no limit.
        """
        template, sizes = self._settings.template()
        restore = template.pop("restore_suffix", True)
        common = arguments["common_kwargs"]
        given = {name: common[name] for name in SIZES if common.get(name) is not None}
        text = {**given, **arguments["text_kwargs"], **sizes}
        tensors = self._applied(batch, {**arguments, "text_kwargs": text}, template)
        limit = text.get("max_length") or max_length
        if restore and limit:
            self._restore_ends(batch, tensors, template, limit)
        return tensors

    def _applied(
        self,
        batch: Sequence[Sequence[Message]],
        arguments: Mapping[str, Mapping[str, Any]],
        template: Mapping[str, Any],
    ) -> dict[str, Tensor]:
        """Call `apply_chat_template`, whose arguments differ for processors and tokenizers."""
        shared: dict[str, Any] = {
            "tokenize": True,
            "return_dict": True,
            "return_tensors": arguments["common_kwargs"].get("return_tensors"),
        }
        conversations: Any = [list(messages) for messages in batch]
        if isinstance(self._processor, ProcessorMixin):
            media: dict[str, Any] = {"load_audio_from_video": False, **template}
            return self._processor.apply_chat_template(  # pyright: ignore[reportReturnType]
                conversations, **shared, processor_kwargs=dict(arguments), **media
            )
        text = dict(arguments["text_kwargs"])
        sizes = {name: text.pop(name) for name in SIZES if name in text}
        return self._processor.apply_chat_template(
            conversations, **shared, tokenizer_kwargs=text, **sizes, **template
        )

    def _restore_ends(
        self,
        batch: Sequence[Sequence[Message]],
        tensors: dict[str, Tensor],
        template: Mapping[str, Any],
        max_length: int,
    ) -> None:
        """Write the template's last tokens over the end of truncated chats, in place."""
        ids, mask = tensors["input_ids"], tensors["attention_mask"]
        for row, messages in enumerate(batch):
            length = int(mask[row].sum())
            if length < max_length or _has_media(messages):
                continue
            ending = self._ending(messages, template)[-length:]
            end = ids.shape[1] if mask[row, 0] == 0 else length  # the padding may be on the left
            if ending:
                ids[row, end - len(ending) : end] = torch.tensor(ending)

    def _ending(self, messages: Sequence[Message], template: Mapping[str, Any]) -> list[int]:
        """The tokens that end all chats of this form: the common end of two different ones."""
        first, second = (self._filled_ids(messages, text, template) for text in ("0", "1 2 3 4"))
        common = 0
        while common < min(len(first), len(second)) and first[-1 - common] == second[-1 - common]:
            common += 1
        return first[len(first) - common :] if common < min(len(first), len(second)) else []

    def _filled_ids(
        self, messages: Sequence[Message], text: str, template: Mapping[str, Any]
    ) -> list[int]:
        filled = [_filled(message, text) for message in messages]
        uncut = {"text_kwargs": {"padding": False, "truncation": False}, "common_kwargs": {}}
        ids: Any = self._applied([filled], uncut, template)["input_ids"]
        return ids[0]

    def texts(self, chats: Sequence[Chat], prompt: str) -> list[str]:
        """Render chats to the texts that the model reads, with one placeholder for each medium.

        Media are not opened.

        Raises:
            InputError: The template rejects them.
        """
        batch = [self.messages(chat, prompt, {}) for chat in chats]
        template, _ = self._settings.template()
        template.pop("restore_suffix", None)
        try:
            return self._processor.apply_chat_template(batch, tokenize=False, **template)
        except (TemplateError, *REFUSALS) as error:
            raise InputError(f"The model's chat template refuses the input: {error}") from error

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of rendered texts, without truncation."""
        if not texts:
            return []
        # A bare tokenizer adds nothing to a rendered text; a processor adds the special tokens,
        # unless the text begins with them.
        start: str | None = self._tokenizer.bos_token
        is_processor = isinstance(self._processor, ProcessorMixin)
        special = is_processor and not (start and texts[0].startswith(start))
        # verbose=False: no warning about long texts, which are truncated afterwards.
        return self._tokenizer(list(texts), add_special_tokens=special, verbose=False)["input_ids"]

    def check_pairs(self) -> None:
        """Check that both texts of a pair are in the rendered text.

        Raises:
            CheckpointError: One is not.
        """
        try:
            both, query, document = self.texts([as_messages(probe) for probe in _PROBES], "")
        except InputError as error:
            raise CheckpointError(
                f"The model's chat template cannot show a query and a document: {error}"
            ) from error
        lost = [name for name, text in (("query", query), ("document", document)) if text == both]
        if lost:
            raise CheckpointError(
                f"The model's chat template does not show the {' and the '.join(lost)}: a "
                'reranker\'s has a place for messages of the roles "query" and "document". Give '
                'one as processor_kwargs={"chat_template": ...}.'
            )


def _has_media(messages: Sequence[Message]) -> bool:
    parts = [part for message in messages for part in message["content"]]
    return any(isinstance(part, dict) and part["type"] != "text" for part in parts)


def _filled(message: Message, text: str) -> Message:
    """The message with another text, unless it is the system's."""
    if message["role"] == "system":
        return message
    structured = isinstance(message["content"], list)
    content: Any = [{"type": "text", "text": text}] if structured else text
    return Message(role=message["role"], content=content)
