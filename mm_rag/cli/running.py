"""What every command does: open a collection, turn errors into messages, print JSON."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from mm_rag.cli import show
from mm_rag.errors import MMRagError

if TYPE_CHECKING:
    from mm_rag.collection import Collection, PictureMode


_INTERRUPTED = 128 + 2
"""The exit code of programs that SIGINT ends."""


@contextmanager
def opened(
    place: str,
    name: str,
    *,
    chroma: str | None = None,
    model: str | None = None,
    reranker: str | None = None,
    create: bool = False,
    wait: float = 0.0,
    assets: PictureMode | None = None,
) -> Generator[Collection]:
    """Open a collection for the length of a `with` block.

    Args:
        place: Its folder.
        name: Which one there.
        chroma: The address of a Chroma server that holds the vectors; None for as before.
        model: The model it was made with; None for the embedded default.
        reranker: The model that scores the best again; None for the encoder's own way.
        create: Make it if it does not exist.
        wait: How long writing waits for another writer, in seconds.
        assets: How page pictures are kept; None for as before.
    """
    # Imported here: `mm-rag --help` needs no torch.
    from mm_rag.collection import Collection
    from mm_rag.encoder import Encoder
    from mm_rag.reranker import Reranker

    with Collection(
        place,
        encoder=Encoder(model) if model else None,
        reranker=Reranker(reranker) if reranker else None,
        name=name,
        chroma=chroma,
        create=create,
        wait=wait,
        assets=assets,
    ) as collection:
        yield collection


class Interrupted(Exception):
    """Ctrl-C was pressed, and there is something to say about it."""


@contextmanager
def errors(kept: str = "") -> Generator[None]:
    """Print what the library raises on purpose, and exit with 2; after Ctrl-C, with 130.

    Args:
        kept: What there is to say after Ctrl-C: what was done by then, and how to go on.
    """
    for stream in (sys.stdout, sys.stderr):
        # What a file is called need not be known to the terminal's encoding.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
    except MMRagError as error:
        show.error(str(error))
        raise typer.Exit(2) from error
    except (KeyboardInterrupt, Interrupted) as error:
        show.error(" ".join(filter(None, ["Interrupted.", str(error) or kept])))
        raise typer.Exit(_INTERRUPTED) from None


def check_sources(sources: Sequence[str]) -> None:
    """See that files and folders exist, before anything is made for them.

    Raises:
        InputError: One does not, or is an address.
    """
    from mm_rag.collection.collection import local_sources

    local_sources(sources)


def print_json(value: Any) -> None:
    """Print it, in ASCII where the terminal knows no more."""
    in_ascii = sys.stdout.encoding.lower() != "utf-8"
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=in_ascii) + "\n")
