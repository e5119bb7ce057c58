"""Control tokens written in texts, such as `<|im_end|>` or `[SEP]`, stay text.

A tokenizer turns the letters of its special tokens into those tokens, wherever they stand: a
document could end its own turn in a chat template, or end the query of a pair. Documents and
queries are written by anybody, so what they write is broken up by a space before it is tokenized.
All other texts, and the prompts and templates of a model, are tokenized as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from mm_rag.content import Chat, Content, Mixed, Part, Text, Turn

# A space may join other letters to a token; more rounds than this need a text made for it.
_ROUNDS = 4
_METASPACE = "\u2581"  # what SentencePiece has for a space


class ControlTokens:
    """The control tokens of a tokenizer, and texts without them.

    Args:
        tokenizer: Of transformers or of tokenizers; None for a model that reads no text.
        template: The chat template. Added tokens that it writes are control tokens too, also where
            the tokenizer does not call them special.
        more: Further ones, such as the names that a processor has for a picture.
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
        # A tokenizer looks for some of them in the text as it is, for some in what it normalizes.
        spelt = {*self.names, *(self._normalized(name) for name in self.names)}
        spelt = {name for name in spelt if name.strip(f"{_METASPACE} ")}
        longest = sorted(spelt, key=lambda name: (-len(name), name))
        self._pattern = re.compile("|".join(map(re.escape, longest)) or r"(?!)")

    def as_text(self, text: str) -> str:
        """The text in which no control token is written; the same where there was none."""
        for _ in range(_ROUNDS):
            if self._pattern.search(text):
                text = self._pattern.sub(_apart, text)
                continue
            normalized = self._normalized(text)
            if not self._pattern.search(normalized):
                return text
            # Written in letters that the tokenizer takes for others, such as full-width ones.
            text = self._pattern.sub(_apart, normalized).replace(_METASPACE, " ")
        return re.sub(r"[^\w\s]|_", " ", text)  # a tokenizer that drops spaces

    def as_content(self, content: Content) -> Content:
        """The content in whose words no control token is written; prompts are not part of it."""
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
        """The chat message in whose words and fields no control token is written."""
        fields = {name: self._field(value) for name, value in turn.fields.items()}
        return replace(turn, parts=self._parts(turn.parts), fields=fields)

    def _parts(self, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        texts = [self.as_text(part.text) for part in parts if isinstance(part, Text)]
        whole = "".join(texts)  # templates may write one behind the other
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
    names |= {name for name in written if not name.isalnum()}  # a word of the template's code
    return set(filter(_can_be_broken_up, names))


def _can_be_broken_up(name: str) -> bool:
    """Not a single letter or mark, which texts need, and no white space."""
    return not name.isspace() and (len(name) > 1 or not name.isprintable())


def _apart(found: re.Match[str]) -> str:
    token = found.group()
    return f"{token[0]} {token[1:]}" if len(token) > 1 else "\ufffd"
