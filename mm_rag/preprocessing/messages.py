"""Chat messages become tensors, by a checkpoint's chat template."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

import torch
from torch import Tensor
from transformers import ProcessorMixin

from mm_rag.content import Chat, Content, Part, Text, parts_of
from mm_rag.preprocessing.settings import SIZES


class Message(TypedDict):
    """One turn of a chat.

    Attributes:
        role: `"system"`, `"user"`, ...
        content: Typed parts, `[{"type": "text", "text": ...}, {"type": "image", "image": ...}]`, or
            a bare value for templates that want one.
    """

    role: str
    content: Any


def conversation(
    content: Content, prompt: str, value: Callable[[Part], Any], *, flat: bool
) -> list[Message]:
    """One input as chat messages: the prompt is the system's, the input is the user's.

    Args:
        content: Chat messages stay what they are; anything else is said by the user.
        prompt: Comes first; empty for none.
        value: Opens a part.
        flat: The template wants bare values, where there is only one.
    """

    def said(parts: Sequence[Part]) -> Any:
        if flat and len(parts) == 1:
            return value(parts[0])
        return [{"type": part.modality, part.modality: value(part)} for part in parts]

    lead = [_message("system", said([Text(prompt)]), {})] if prompt else []
    if isinstance(content, Chat):
        turns = [_message(turn.role, said(turn.parts), turn.fields) for turn in content.turns]
        return [*lead, *turns]
    return [*lead, _message("user", said(parts_of(content)), {})]


def _message(role: str, content: Any, fields: Mapping[str, Any]) -> Message:
    return {**fields, "role": role, "content": content}  # pyright: ignore[reportReturnType]


def chat(
    processor: Any,
    batch: Sequence[Sequence[Message]],
    arguments: Mapping[str, Mapping[str, Any]],
    template: Mapping[str, Any],
) -> dict[str, Tensor]:
    """Render conversations and make their tensors.

    Args:
        processor: Of several modalities, or a tokenizer.
        batch: The conversations.
        arguments: What the processor is called with, by modality.
        template: What the chat template is called with.
    """
    conversations: Any = [list(conversation) for conversation in batch]
    common = arguments["common_kwargs"]
    media: dict[str, Any] = {"load_audio_from_video": False, **template}
    if isinstance(processor, ProcessorMixin):
        return processor.apply_chat_template(  # pyright: ignore[reportReturnType]
            conversations,
            tokenize=True,
            return_dict=True,
            return_tensors=common.get("return_tensors"),
            processor_kwargs=dict(arguments),
            **media,
        )
    text = dict(arguments["text_kwargs"])
    # apply_chat_template of a bare tokenizer wants these outside of its tokenizer_kwargs.
    top_level = {key: text.pop(key) for key in SIZES if key in text}
    return processor.apply_chat_template(
        conversations,
        tokenize=True,
        return_dict=True,
        return_tensors=common.get("return_tensors"),
        tokenizer_kwargs=text,
        **top_level,
        **template,
    )


def restore_tails(
    processor: Any,
    batch: Sequence[Sequence[Message]],
    tensors: dict[str, Tensor],
    template: Mapping[str, Any],
    max_length: int,
) -> None:
    """Write the template's last tokens back over the end of conversations that were cut, in place.

    A template ends with fixed tokens, such as the start of the assistant's turn, and models that
    read the last token were trained to find those there; cutting a long text loses them.
    """
    ids, mask = tensors["input_ids"], tensors["attention_mask"]
    for row, conversation in enumerate(batch):
        length = int(mask[row].sum())
        if length < max_length or _has_media(conversation):
            continue
        tail = _tail(processor, conversation, template)[-length:]
        end = ids.shape[1] if mask[row, 0] == 0 else length  # the padding may be on the left
        if tail:
            ids[row, end - len(tail) : end] = torch.tensor(tail)


def _has_media(conversation: Sequence[Message]) -> bool:
    parts = [part for message in conversation for part in message["content"]]
    return any(isinstance(part, dict) and part["type"] != "text" for part in parts)


def _tail(
    processor: Any, conversation: Sequence[Message], template: Mapping[str, Any]
) -> list[int]:
    """What every conversation of this shape ends with: the common end of two different ones."""
    first, second = (
        _render(processor, conversation, filler, template) for filler in ("0", "1 2 3 4")
    )
    common = 0
    while common < min(len(first), len(second)) and first[-1 - common] == second[-1 - common]:
        common += 1
    return first[len(first) - common :] if common < min(len(first), len(second)) else []


def _render(
    processor: Any, conversation: Sequence[Message], filler: str, template: Mapping[str, Any]
) -> list[int]:
    filled = [_filled(message, filler) for message in conversation]
    uncut = {"text_kwargs": {"padding": False, "truncation": False}, "common_kwargs": {}}
    ids: Any = chat(processor, [filled], uncut, template)["input_ids"]
    return ids[0]


def _filled(message: Message, filler: str) -> Message:
    if message["role"] == "system":
        return message
    structured = isinstance(message["content"], list)
    content: Any = [{"type": "text", "text": filler}] if structured else filler
    return Message(role=message["role"], content=content)
