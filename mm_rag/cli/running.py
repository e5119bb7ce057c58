"""What every command does: open a collection, turn errors into messages, print JSON."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from mm_rag.cli import show
from mm_rag.errors import MMRagError

if TYPE_CHECKING:
    from mm_rag.collection import Collection, PictureMode


@contextmanager
def opened(
    place: str,
    name: str,
    *,
    model: str | None = None,
    create: bool = False,
    wait: float = 0.0,
    assets: PictureMode | None = None,
) -> Generator[Collection]:
    """Open a collection for the length of a `with` block.

    Args:
        place: Its folder, or a server's address.
        name: Which one there.
        model: The model it was made with; None for the embedded default.
        create: Make it if it does not exist.
        wait: How long writing waits for another writer, in seconds.
        assets: How page pictures are kept; None for as before.
    """
    # Imported here: `mm-rag --help` needs no torch.
    from mm_rag.collection import Collection
    from mm_rag.encoder import Encoder

    encoder = Encoder(model) if model else None
    with Collection(
        place, encoder=encoder, name=name, create=create, wait=wait, assets=assets
    ) as collection:
        yield collection


@contextmanager
def errors() -> Generator[None]:
    """What the library raises on purpose is a message, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        # What a file is called need not be known to the terminal's encoding.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
    except MMRagError as error:
        show.error(str(error))
        raise typer.Exit(2) from error


def print_json(value: Any) -> None:
    """Print it, in ASCII where the terminal knows no more."""
    in_ascii = sys.stdout.encoding.lower() != "utf-8"
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=in_ascii) + "\n")
