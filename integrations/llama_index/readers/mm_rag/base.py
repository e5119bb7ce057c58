"""MultimodalReader: files become Documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llama_index.core.bridge.pydantic import Field
from llama_index.core.readers.base import BasePydanticReader
from llama_index.core.schema import Document
from llama_index.utils.mm_rag.nodes import segment_to_document

from mm_rag.errors import InputError
from mm_rag_loaders import LoadOptions, load, load_cached


class MultimodalReader(BasePydanticReader):
    """Read PDFs, pictures, recordings and videos, one page, picture or clip at a time.

    The Documents are for `VectorStoreIndex.from_documents`, pipelines and splitters. A page, photo
    or clip is an ImageDocument, which keeps its picture when it is split. The metadata of every
    Document, and of the nodes split from it, hold the path of a recording or video and the time
    span. `MultimodalRerank`, `nodes_to_blocks` and `MultimodalEmbedding` as a transformation use
    the picture or clip itself:

        embedding = MultimodalEmbedding()
        VectorStoreIndex.from_documents(
            documents, embed_model=embedding, transformations=[SentenceSplitter(), embedding]
        )

    Without it among the transformations an index embeds text; of a photo without text, its title.

    Example:
        .. code-block:: python

            documents = MultimodalReader().load_data("slides/")
            reader = MultimodalReader()
            SimpleDirectoryReader("slides/", file_extractor={".pdf": reader, ".png": reader})
    """

    options: Any = Field(  # a LoadOptions, for which pydantic cannot make a schema
        default=None,
        exclude=True,
        repr=False,
        description="How files are read: password, limits, processes, where page pictures go.",
    )

    cache_folder: str | None = Field(
        default=None,
        description="Stores Documents and page pictures; unchanged files are not read again.",
    )

    def __init__(self, options: LoadOptions | None = None, **data: Any) -> None:
        folder = data.get("cache_folder")
        data["cache_folder"] = None if folder is None else str(folder)  # it may be a Path
        super().__init__(options=options, **data)  # pyright: ignore[reportCallIssue]

    @classmethod
    def class_name(cls) -> str:
        """Name under which LlamaIndex serialises the component."""
        return "MmRagMultimodalReader"

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """Return the settings for `from_dict`.

        Raises:
            InputError: It has options, which may hold a password and unserialisable objects.
        """
        if self.options is not None:
            raise InputError(
                "A MultimodalReader with options cannot be saved: they may hold a password and a "
                "transcriber. Create it again: MultimodalReader(options)."
            )
        return super().to_dict(**kwargs)

    def lazy_load_data(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        file: str | Path | Sequence[str | Path],
        extra_info: Mapping[str, Any] | None = None,
        fs: Any = None,
    ) -> Iterator[Document]:
        """Yield Documents as files are read. Files that cannot be read are logged and skipped.

        Args:
            file: Files, folders, patterns and URLs, as for `mm_rag_loaders.load`.
            extra_info: More metadata for every Document; passed by `SimpleDirectoryReader`.
            fs: The file system of `file`; passed by `SimpleDirectoryReader` if it is not local.

        Raises:
            InputError: A file or folder does not exist, or is on another file system.
        """
        if fs is not None:
            raise InputError(
                f"{file} is on a {type(fs).__name__}, but MultimodalReader reads only local files "
                "and http(s) URLs: copy it to this machine first."
            )
        if self.cache_folder is None:
            segments = load(file, self.options)
        else:
            segments = load_cached(file, self.cache_folder, self.options)
        for segment in segments:
            yield segment_to_document(segment, extra_info)
