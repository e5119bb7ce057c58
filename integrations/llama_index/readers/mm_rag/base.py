"""MultimodalReader: files become nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llama_index.core.bridge.pydantic import Field
from llama_index.core.readers.base import BasePydanticReader
from llama_index.core.schema import Node
from llama_index.readers.mm_rag.nodes import segment_to_node

from mm_rag.errors import InputError
from mm_rag_loaders import LoadOptions, load


class MultimodalReader(BasePydanticReader):
    """Read PDFs, pictures, recordings and videos, one page, picture or clip at a time.

    What comes out are `Node`s, not `Document`s: a splitter or a vector store would turn a Document
    into a text and lose its picture. A node refers to its picture by path, which vector stores
    keep. They are ready for `VectorStoreIndex(nodes)`, which splits nothing:
    `VectorStoreIndex.from_documents` has a splitter, and splitters refuse `Node`s.
    `MultiModalVectorStoreIndex` drops them; `VectorStoreIndex` with a `MultimodalEmbedding` does
    more than it.

    Example:
        .. code-block:: python

            nodes = MultimodalReader().load_data("slides/")
            reader = MultimodalReader()
            SimpleDirectoryReader("slides/", file_extractor={".pdf": reader, ".png": reader})
    """

    options: Any = Field(  # a LoadOptions, of which pydantic cannot make a schema
        default=None,
        exclude=True,
        repr=False,
        description="How files are read: password, limits, processes, where page pictures go.",
    )

    def __init__(self, options: LoadOptions | None = None, **data: Any) -> None:
        super().__init__(options=options, **data)  # pyright: ignore[reportCallIssue]

    @classmethod
    def class_name(cls) -> str:
        """The name that serialised components are known by."""
        return "MmRagMultimodalReader"

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """The settings, to make the same one with `from_dict`.

        Raises:
            InputError: It was given options, which hold a password and what cannot be written down.
        """
        if self.options is not None:
            raise InputError(
                "A MultimodalReader with options cannot be saved: they may hold a password and a "
                "transcriber. Make it anew: MultimodalReader(options)."
            )
        return super().to_dict(**kwargs)

    def lazy_load_data(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        file: str | Path | Sequence[str | Path],
        extra_info: Mapping[str, Any] | None = None,
        fs: Any = None,
    ) -> Iterator[Node]:
        """Yield nodes as the files are read. A file that cannot be read is logged and left out.

        Args:
            file: Files, folders, patterns and addresses, as for `mm_rag_loaders.load`.
            extra_info: More metadata for every node, as `SimpleDirectoryReader` gives it.
            fs: `SimpleDirectoryReader` names the file system here where it is not this machine's.

        Raises:
            InputError: There is no such file or folder, or it is on another file system.
        """
        if fs is not None:
            raise InputError(
                f"{file} is on a {type(fs).__name__}, and MultimodalReader reads files of this "
                "machine and http(s) addresses: copy it here first."
            )
        for segment in load(file, self.options):
            yield segment_to_node(segment, extra_info)
