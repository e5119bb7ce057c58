"""`mm-rag mcp`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from mm_rag._optional import require
from mm_rag.cli.options import (
    DEFAULT_COLLECTION,
    DEFAULT_NAME,
    ChromaOption,
    CollectionOption,
    ModelOption,
    NameOption,
)
from mm_rag.cli.running import errors, opened

if TYPE_CHECKING:
    from mm_rag.agent_tools import Toolbox


def mcp(
    collection: CollectionOption = DEFAULT_COLLECTION,
    name: NameOption = DEFAULT_NAME,
    chroma: ChromaOption = None,
    model: ModelOption = None,
    http: Annotated[
        bool, typer.Option("--http", help="Serve over HTTP instead of standard input and output.")
    ] = False,
    host: Annotated[
        str,
        typer.Option(help="Address to listen on. Clients that reach it can read the collection."),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 for any free port.", min=0, max=65535)
    ] = 8321,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(help="Another name that clients reach it by, such as mcp.example.org:8443."),
    ] = None,
    allowed_origin: Annotated[
        list[str] | None,
        typer.Option(help="A site whose pages may call it, such as https://app.example.org."),
    ] = None,
    tokens: Annotated[
        int | None, typer.Option(help="Maximum tokens of each result, text and pictures.", min=500)
    ] = None,
) -> None:
    """Serve a collection to chat programs over the Model Context Protocol; read-only."""
    with errors():
        require("mcp.server.stdio", extra="mcp", feature="The MCP server")
        serving = require("mm_rag_mcp", extra="mcp", feature="The MCP server")
        with serving.protocol_output() as output, ExitStack() as open_until_then:
            _check_that_it_exists(collection, name, chroma)

            def toolbox() -> Toolbox:
                return open_until_then.enter_context(
                    _toolbox(collection, name, chroma, model, tokens)
                )

            server = serving.make_server(toolbox)
            if http:
                serving.serve_http(
                    server,
                    host,
                    port,
                    allowed_hosts=allowed_host or (),
                    allowed_origins=allowed_origin or (),
                )
            else:
                serving.serve_stdio(server, output)


def _check_that_it_exists(collection: str, name: str, chroma: str | None) -> None:
    # Opening a collection loads torch and a model, which takes longer than clients wait.
    from mm_rag.collection.storage import open_storage

    open_storage(collection, name, create=False, chroma=chroma).close()


@contextmanager
def _toolbox(
    collection: str, name: str, chroma: str | None, model: str | None, tokens: int | None
) -> Generator[Toolbox]:
    from mm_rag.agent_tools import Toolbox
    from mm_rag.prompt_content import Budget

    with opened(collection, name, chroma=chroma, model=model) as target:
        yield Toolbox(target, budget=Budget() if tokens is None else Budget(tokens=tokens))
