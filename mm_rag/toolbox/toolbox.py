"""Toolbox: search, open and browse a collection."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mm_rag.blocks import Budget
from mm_rag.collection import Collection
from mm_rag.content import Modality
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.toolbox.result import ToolResult

PathArgument = Annotated[
    str, Field(description="Where in the collection, such as /, /reports or /reports/annual.pdf")
]


class Toolbox:
    """What an agent may do with a collection.

    The docstrings of its tools are what the agent is told about them. Every answer stays within the
    budget. What goes wrong is an `InputError` that says how to go on; frameworks hand it to the
    agent as a result that failed. It may be used by many threads at once.

    Args:
        collection: Opened by the caller, who closes it.
        budget: Of every answer.
        policy: Whether and how pictures and videos may be opened.
    """

    def __init__(
        self,
        collection: Collection,
        *,
        budget: Budget = Budget(),  # noqa: B008 - it is frozen
        policy: MediaPolicy = DEFAULT_POLICY,
    ) -> None:
        self.collection = collection
        self.budget = budget
        self.policy = policy

    def search(
        self,
        query: Annotated[str, Field(description="What you look for, in words.")],
        k: Annotated[int, Field(description="How many results.", ge=1, le=20)] = 5,
        modality: Annotated[
            Modality | None, Field(description="Only text passages, pages and pictures (image)...")
        ] = None,
        path: PathArgument = "/",
    ) -> ToolResult:
        """Find the pages, pictures and clips that answer a question, best first.

        Each result has a path, under which open_segment shows all of it.
        """
        raise NotImplementedError

    def open_segment(
        self,
        path: Annotated[
            str, Field(description="Of a page, picture or clip, such as /annual.pdf/page-3")
        ],
    ) -> ToolResult:
        """Look at one page, picture or clip closely.

        Shows a page or picture at full size, or frames of a video clip, with all its words, and
        names the pages or clips before and after it.
        """
        raise NotImplementedError

    def ls(self, path: PathArgument = "/") -> ToolResult:
        """List the files in a folder, or the pages or clips of a file."""
        raise NotImplementedError

    def cat(
        self,
        path: PathArgument,
        start: Annotated[int, Field(description="The first line to show, from 1.", ge=1)] = 1,
    ) -> ToolResult:
        """Read the words of a file, or of one page or clip of it: text, tables, transcript."""
        raise NotImplementedError

    def grep(
        self,
        pattern: Annotated[str, Field(description="A regular expression; case is ignored.")],
        path: PathArgument = "/",
    ) -> ToolResult:
        """Find every line that matches a pattern in pages, pictures and transcripts."""
        raise NotImplementedError

    def find(
        self,
        pattern: Annotated[str, Field(description="A name with wildcards, such as *.pdf")] = "*",
        path: PathArgument = "/",
        modality: Annotated[
            Modality | None, Field(description="Only files with Segments of this modality.")
        ] = None,
    ) -> ToolResult:
        """Find files by name."""
        raise NotImplementedError
