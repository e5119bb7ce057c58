"""`mm-rag search`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, cast

import typer

from mm_rag.cli import show
from mm_rag.cli.options import (
    DEFAULT_COLLECTION,
    DEFAULT_NAME,
    CollectionOption,
    JsonOption,
    ModelOption,
    NameOption,
    RerankOption,
)
from mm_rag.cli.running import errors, opened, print_json
from mm_rag.content import MODALITIES, Image, Mixed, Modality, Text
from mm_rag.segment import Hit


def search(
    query: Annotated[str, typer.Argument(help="What you look for, in words.")] = "",
    image: Annotated[Path | None, typer.Option(help="A picture to search with.")] = None,
    k: Annotated[int, typer.Option("-k", help="How many hits.")] = 5,
    modality: Annotated[
        list[str] | None,
        typer.Option(help=f"Only {', '.join(MODALITIES)}; may be repeated."),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Only this file, or what is in this folder.")
    ] = None,
    page: Annotated[int | None, typer.Option(help="Only this page.")] = None,
    rerank: RerankOption = True,
    explain: Annotated[bool, typer.Option(help="Say how long each stage took.")] = False,
    collection: CollectionOption = DEFAULT_COLLECTION,
    name: NameOption = DEFAULT_NAME,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the pages, pictures and clips that answer a query."""
    with errors(), opened(collection, name, model=model) as target:
        find = partial(
            target.search,
            _query(query, image),
            k,
            # What is no modality is refused by the library, which says what there is.
            modalities=cast("list[Modality] | None", modality or None),
            source=source,
            page=page,
            rerank=rerank,
        )
        if not explain:
            _show(find(), as_json=as_json)
            return
        explained = find(explain=True)
        if as_json:
            hits = [show.hit_to_dict(hit) for hit in explained.hits]
            print_json({"hits": hits, "seconds": dict(explained.seconds)})
        else:
            show.hits(explained.hits)
            show.stages(explained.seconds)


def _show(hits: Sequence[Hit], *, as_json: bool) -> None:
    if as_json:
        print_json([show.hit_to_dict(hit) for hit in hits])
    else:
        show.hits(hits)


def _query(words: str, image: Path | None) -> str | Image | Mixed:
    if image is None:
        if not words.strip():
            raise typer.BadParameter("Say what you look for, in words, with --image, or both.")
        return words
    return Mixed((Text(words), Image(image))) if words.strip() else Image(image)
