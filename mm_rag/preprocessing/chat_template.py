"""Rendering: chat messages as the text that a model reads, and that text's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError

from mm_rag.content import Chat, Part, Text
from mm_rag.errors import CheckpointError, InputError
from mm_rag.preprocessing.messages import conversation
from mm_rag.preprocessing.pairs import as_messages
from mm_rag.preprocessing.processor import REFUSALS, Processing

# Pairs that differ in one side: a template that shows both makes three texts of them.
_PROBES = [(Text("0"), Text("0")), (Text("1 1"), Text("0")), (Text("0"), Text("1 1"))]


class Rendering:
    """Apply a checkpoint's chat template to messages whose media stay closed.

    Args:
        processing: Of a model that takes chat messages.
    """

    def __init__(self, processing: Processing) -> None:
        self._processing = processing
        self._tokenize: Any = processing.tokenizer

    def texts(self, chats: Sequence[Chat], prompt: str) -> list[str]:
        """What the model reads of each chat; one token stands for each medium.

        Raises:
            InputError: The template refuses them.
        """
        flat = self._processing.message_format == "flat"
        batch = [conversation(chat, prompt, _stand_in, flat=flat) for chat in chats]
        template, _ = self._processing.settings.template()
        template.pop("restore_suffix", None)
        try:
            return self._processing.processor.apply_chat_template(batch, tokenize=False, **template)
        except (TemplateError, *REFUSALS) as error:
            raise InputError(f"The model's chat template refuses the input: {error}") from error

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of texts, uncut."""
        if not texts:
            return []
        # Bare tokenizers add nothing to a rendered text; processors do, unless it begins with it.
        start: str | None = self._tokenize.bos_token
        special = self._processing.several and not (start and texts[0].startswith(start))
        # verbose=False: pairs that are too long are truncated afterwards, without a warning.
        return self._tokenize(list(texts), add_special_tokens=special, verbose=False)["input_ids"]


def _stand_in(part: Part) -> str:
    """What a template is shown of a part: words, or that there is a medium."""
    return part.text if isinstance(part, Text) else ""


def check_pairs(processing: Processing) -> None:
    """See that both sides of a pair reach the model.

    Raises:
        CheckpointError: They do not.
    """
    try:
        both, query, document = Rendering(processing).texts(
            [as_messages(probe) for probe in _PROBES], ""
        )
    except InputError as error:
        raise CheckpointError(
            f"The model's chat template cannot show a query and a document: {error}"
        ) from error
    lost = [name for name, text in (("query", query), ("document", document)) if text == both]
    if lost:
        raise CheckpointError(
            f"The model's chat template does not show the {' and the '.join(lost)}: a reranker's "
            'has a place for messages of the roles "query" and "document". Give one as '
            'processor_kwargs={"chat_template": ...}.'
        )
