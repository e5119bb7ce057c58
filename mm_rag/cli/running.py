"""Helpers of all commands: open a collection, turn errors into messages, print JSON."""

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
"""Exit code after SIGINT."""


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
    """Yield an open collection.

    Args:
        place: Its folder.
        name: Its name there.
        chroma: The address of a Chroma server that holds the vectors; None for as before.
        model: Name or folder of the model it was made with; None for the built-in default.
        reranker: Name or folder of a reranker; None for the default.
        create: Whether to make it if it does not exist.
        wait: Seconds that writing waits for another writer.
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
    """Ctrl-C was pressed; its message is printed."""


@contextmanager
def errors(kept: str = "") -> Generator[None]:
    """Print errors of the library and exit with 2; after Ctrl-C, with 130.

    Args:
        kept: Printed after Ctrl-C: what was completed, and how to resume.
    """
    for stream in (sys.stdout, sys.stderr):
        # File names may have characters that the terminal cannot encode.
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
    """Check that files and folders exist, before a collection is made for them.

    Raises:
        InputError: One does not exist, or is an address.
    """
    from mm_rag.collection.collection import local_sources

    local_sources(sources)


def print_json(value: Any) -> None:
    """Print JSON; escaped to ASCII if the terminal is not UTF-8."""
    in_ascii = sys.stdout.encoding.lower() != "utf-8"
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=in_ascii) + "\n")
