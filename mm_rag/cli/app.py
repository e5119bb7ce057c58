"""The app: every command under its name."""

from __future__ import annotations

import typer

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
)
app.command()(index)
app.command()(search)
app.command()(verify)
app.command()(reindex)
app.command(name="eval")(evaluate)
app.command()(demo)
app.command()(mcp)
