"""Commands, as a user types them."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner, Result

from mm_rag.cli import app


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def indexed(folder: Path) -> Path:
    collection = folder.parent / "collection"
    assert run("index", folder, "-c", collection, "--json").exit_code == 0
    return collection
