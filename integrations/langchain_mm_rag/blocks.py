"""Documents as content blocks, so that a chat model sees the pages that were found."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path

from langchain_core.documents import Document
from langchain_core.messages.content import ContentBlock, ImageContentBlock, TextContentBlock

from mm_rag.media.bounded import bounded_picture
from mm_rag.record import label_of_record, picture_of_record

MAX_PIXELS = 1_300_000
"""About 1,300 to 1,700 tokens of the usual vision models; a page is still legible."""


def documents_to_blocks(
    documents: Iterable[Document], *, max_pixels: int = MAX_PIXELS
) -> list[ContentBlock]:
    """Text and pictures for a chat message, in LangChain's standard form.

    Each Document gives a text block, which says where it comes from and holds its words, and an
    image block: the picture, the page, or for a recording or video the frame that stands for it.
    A picture that several Documents share is given once.

    Args:
        documents: What a retriever found, best first.
        max_pixels: Upper bound of a picture's width times height; larger ones are made smaller.

    Raises:
        UnreadableMedia: A picture is no longer where the Document says.

    Example:
        .. code-block:: python

            question = {"type": "text", "text": "Which quarter was best?"}
            HumanMessage(content_blocks=[*documents_to_blocks(documents), question])
    """
    return list(_blocks(documents, max_pixels))


def _blocks(documents: Iterable[Document], max_pixels: int) -> Iterator[ContentBlock]:
    shown: set[Path] = set()
    for number, document in enumerate(documents, start=1):
        label = f"[{number}] {label_of_record(document.metadata)}".strip()
        yield TextContentBlock(type="text", text=f"{label}\n{document.page_content}".strip())
        picture = picture_of_record(document.metadata)
        if picture is not None and picture not in shown:
            shown.add(picture)
            yield _image_block(picture, max_pixels)


def _image_block(picture: Path, max_pixels: int) -> ImageContentBlock:
    data, mime_type = bounded_picture(picture, max_pixels=max_pixels)
    encoded = base64.b64encode(data).decode("ascii")
    return ImageContentBlock(type="image", base64=encoded, mime_type=mime_type)
