"""The app: every command under its name."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from mm_rag.cli.commands.contents import info, list_sources, remove
from mm_rag.cli.commands.demo import demo
from mm_rag.cli.commands.evaluate import evaluate
from mm_rag.cli.commands.index import index, reindex, verify
from mm_rag.cli.commands.mcp import mcp
from mm_rag.cli.commands.search import search

app = typer.Typer(
    help="Search pages, pictures, recordings and videos together.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mm-rag {version('mm-rag')}")
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Search pages, pictures, recordings and videos together."""


app.command()(index)
app.command()(search)
app.command(name="list")(list_sources)
app.command()(info)
app.command()(remove)
app.command()(verify)
app.command()(reindex)
app.command(name="eval")(evaluate)
app.command()(demo)
app.command()(mcp)
