"""MultimodalReader: files become nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llama_index.core.readers.base import BaseReader
from llama_index.core.schema import Node
from llama_index.readers.mm_rag.nodes import segment_to_node

from mm_rag_loaders import LoadOptions, load


class MultimodalReader(BaseReader):
    """Read PDFs, pictures, recordings and videos, one page, picture or clip at a time.

    What comes out are `Node`s, not `Document`s: a splitter or a vector store would turn a Document
    into a text and lose its picture.

    Args:
        options: How files are read: password, limits, processes, where page pictures go.

    Example:
        .. code-block:: python

            nodes = MultimodalReader().load_data("slides/")
            reader = MultimodalReader()
            SimpleDirectoryReader("slides/", file_extractor={".pdf": reader, ".png": reader})
    """

    def __init__(self, options: LoadOptions | None = None) -> None:
        self.options = options

    def lazy_load_data(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        file: str | Path | Sequence[str | Path],
        extra_info: Mapping[str, Any] | None = None,
    ) -> Iterator[Node]:
        """Yield nodes as the files are read. A file that cannot be read is logged and left out.

        Args:
            file: Files, folders, patterns and addresses, as for `mm_rag_loaders.load`.
            extra_info: More metadata for every node, as `SimpleDirectoryReader` gives it.

        Raises:
            InputError: There is no such file or folder.
        """
        for segment in load(file, self.options):
            yield segment_to_node(segment, extra_info)
