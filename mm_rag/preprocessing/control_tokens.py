"""ControlTokens: keep control tokens in texts, such as `<|im_end|>` or `[SEP]`, plain text.

A tokenizer recognises its special tokens anywhere in a text: a document could end its own turn in a
chat template, or end the query of a pair. Documents and queries are untrusted, so control tokens in
them are broken up by a space before tokenization. Prompts and templates are not changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from mm_rag.content import Chat, Content, Mixed, Part, Text, Turn

# Inserting a space may create another control token; only crafted texts need more rounds.
_ROUNDS = 4
_METASPACE = "\u2581"  # SentencePiece's space


class ControlTokens:
    """Break up the control tokens of one tokenizer in texts.

    Args:
        tokenizer: A tokenizer of transformers or of tokenizers; None for a model without text.
        template: The chat template. Added tokens in it are control tokens, too, even if the
            tokenizer does not mark them as special.
        more: Other control tokens, such as a processor's placeholder for a picture.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase | Tokenizer | None,
        *,
        template: str = "",
        more: Iterable[str] = (),
    ) -> None:
        self._tokenizer = tokenizer
        self.names = tuple(sorted({*_special(tokenizer, template), *more}, key=len, reverse=True))
        # A tokenizer looks for some of them in the text, for others in the normalised text.
        spelt = {*self.names, *(self._normalized(name) for name in self.names)}
        spelt = {name for name in spelt if name.strip(f"{_METASPACE} ")}
        longest = sorted(spelt, key=lambda name: (-len(name), name))
        self._pattern = re.compile("|".join(map(re.escape, longest)) or r"(?!)")

    def as_text(self, text: str) -> str:
        """Break up all control tokens in a text."""
        for _ in range(_ROUNDS):
            if self._pattern.search(text):
                text = self._pattern.sub(_apart, text)
                continue
            normalized = self._normalized(text)
            if not self._pattern.search(normalized):
                return text
            # The token is written in characters that normalisation replaces, such as full-width.
            text = self._pattern.sub(_apart, normalized).replace(_METASPACE, " ")
        return re.sub(r"[^\w\s]|_", " ", text)  # the tokenizer removes spaces

    def as_content(self, content: Content) -> Content:
        """Break up all control tokens in the texts of a content."""
        match content:
            case Text():
                second = None if content.second is None else self.as_text(content.second)
                return Text(self.as_text(content.text), second)
            case Mixed():
                return Mixed(self._parts(content.parts))
            case Chat():
                return Chat(tuple(map(self.turn_as_text, content.turns)))
            case _:
                return content

    def turn_as_text(self, turn: Turn) -> Turn:
        """Break up all control tokens in the texts and fields of a chat message."""
        fields = {name: self._field(value) for name, value in turn.fields.items()}
        return replace(turn, parts=self._parts(turn.parts), fields=fields)

    def _parts(self, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        texts = [self.as_text(part.text) for part in parts if isinstance(part, Text)]
        whole = "".join(texts)  # templates may concatenate them
        if len(texts) > 1 and self.as_text(whole) != whole:
            texts = [texts[0], *(f" {text}" for text in texts[1:])]
        left = iter(texts)
        return tuple(Text(next(left)) if isinstance(part, Text) else part for part in parts)

    def _field(self, value: Any) -> Any:
        match value:
            case str():
                return self.as_text(value)
            case list() | tuple():
                return [self._field(one) for one in value]  # pyright: ignore[reportUnknownVariableType]
            case dict():
                return {name: self._field(one) for name, one in value.items()}  # pyright: ignore[reportUnknownVariableType]
            case _:
                return value

    def _normalized(self, text: str) -> str:
        backend: Any = getattr(self._tokenizer, "backend_tokenizer", self._tokenizer)
        normalizer = backend.normalizer if isinstance(backend, Tokenizer) else None
        return text if normalizer is None else normalizer.normalize_str(text)


def _special(tokenizer: PreTrainedTokenizerBase | Tokenizer | None, template: str) -> set[str]:
    if tokenizer is None:
        return set()
    named: list[str] = []
    if isinstance(tokenizer, Tokenizer):
        added: dict[int, Any] = tokenizer.get_added_tokens_decoder()
    else:
        added = tokenizer.added_tokens_decoder
        named = tokenizer.all_special_tokens
    names = {token.content for token in added.values() if token.special} | set(named)
    written = {token.content for token in added.values() if token.content in template}
    names |= {name for name in written if not name.isalnum()}  # else a word of the template's code
    return set(filter(_can_be_broken_up, names))


def _can_be_broken_up(name: str) -> bool:
    """False for white space, and for single letters and marks, which texts need."""
    return not name.isspace() and (len(name) > 1 or not name.isprintable())


def _apart(found: re.Match[str]) -> str:
    token = found.group()
    return f"{token[0]} {token[1:]}" if len(token) > 1 else "\ufffd"
