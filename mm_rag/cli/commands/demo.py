"""`mm-rag demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mm_rag.cli.running import errors


def demo(
    output: Annotated[Path, typer.Option(help="Where the sample folder and the page go.")] = Path(
        "demo"
    ),
) -> None:
    """Index a sample folder, answer eight questions, write a page; exit 1 if an answer is wrong."""
    with errors():
        from mm_rag.cli.demo import run_demo

        right, asked = run_demo(output)
    if right < asked:
        raise typer.Exit(1)
