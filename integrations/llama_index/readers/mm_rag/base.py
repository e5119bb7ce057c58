"""MultimodalReader: files become Documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llama_index.core.bridge.pydantic import Field
from llama_index.core.readers.base import BasePydanticReader
from llama_index.core.schema import Document
from llama_index.readers.mm_rag.nodes import segment_to_document

from mm_rag.errors import InputError
from mm_rag_loaders import LoadOptions, load, load_cached


class MultimodalReader(BasePydanticReader):
    """Read PDFs, pictures, recordings and videos, one page, picture or clip at a time.

    What comes out are Documents, for `VectorStoreIndex.from_documents`, pipelines and splitters. A
    page, photo or clip is an ImageDocument, which keeps its picture when it is split; where a
    recording or video lies, and which span of it is meant, is in the metadata of every Document and
    of what is split from it. `MultimodalRerank`, `nodes_to_blocks` and `MultimodalEmbedding` as a
    transformation look at the picture or clip itself:

        embedding = MultimodalEmbedding()
        VectorStoreIndex.from_documents(
            documents, embed_model=embedding, transformations=[SentenceSplitter(), embedding]
        )

    Without it among the transformations an index embeds words: of a photo without any, its title.

    Example:
        .. code-block:: python

            documents = MultimodalReader().load_data("slides/")
            reader = MultimodalReader()
            SimpleDirectoryReader("slides/", file_extractor={".pdf": reader, ".png": reader})
    """

    options: Any = Field(  # a LoadOptions, of which pydantic cannot make a schema
        default=None,
        exclude=True,
        repr=False,
        description="How files are read: password, limits, processes, where page pictures go.",
    )

    cache_folder: str | None = Field(
        default=None,
        description="Keeps what was read, and page pictures: unchanged files are not read again.",
    )

    def __init__(self, options: LoadOptions | None = None, **data: Any) -> None:
        folder = data.get("cache_folder")
        data["cache_folder"] = None if folder is None else str(folder)  # a Path is as good
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
    ) -> Iterator[Document]:
        """Yield Documents as the files are read. A file that cannot be read is logged and left out.

        Args:
            file: Files, folders, patterns and addresses, as for `mm_rag_loaders.load`.
            extra_info: More metadata for every Document, as `SimpleDirectoryReader` gives it.
            fs: `SimpleDirectoryReader` names the file system here where it is not this machine's.

        Raises:
            InputError: There is no such file or folder, or it is on another file system.
        """
        if fs is not None:
            raise InputError(
                f"{file} is on a {type(fs).__name__}, and MultimodalReader reads files of this "
                "machine and http(s) addresses: copy it here first."
            )
        if self.cache_folder is None:
            segments = load(file, self.options)
        else:
            segments = load_cached(file, self.cache_folder, self.options)
        for segment in segments:
            yield segment_to_document(segment, extra_info)
