"""`mm-rag search`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mm_rag.cli import show
from mm_rag.cli.options import (
    DEFAULT_COLLECTION,
    DEFAULT_NAME,
    ChromaOption,
    CollectionOption,
    JsonOption,
    ModelOption,
    NameOption,
    RerankerOption,
    RerankOption,
    TagOption,
)
from mm_rag.cli.running import errors, opened, print_json
from mm_rag.cli.values import span_of, where_of
from mm_rag.content import MODALITIES, Image, Mixed, Modality, Text
from mm_rag.segment import Hit

if TYPE_CHECKING:
    from mm_rag.collection import Explanation


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
    time: Annotated[
        str | None,
        typer.Option(help="Only clips of this span: 30-60, 0:30-1:15, 90- or 1:15 (a moment)."),
    ] = None,
    tag: TagOption = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="Only what has these metadata: 'author=Ada', 'page>=3', or a Chroma filter as "
            "JSON; may be repeated."
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="The least calibrated score, such as 0; begin at -1 with few segments."),
    ] = None,
    rerank: RerankOption = True,
    reranker: RerankerOption = None,
    explain: Annotated[bool, typer.Option(help="Say how long each stage took.")] = False,
    collection: CollectionOption = DEFAULT_COLLECTION,
    name: NameOption = DEFAULT_NAME,
    chroma: ChromaOption = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the pages, pictures and clips that answer a query."""
    asked = _query(query, image)
    with errors():
        filters, span = where_of(where or ()), None if time is None else span_of(time)
        scorer = reranker if rerank else None
        with opened(collection, name, chroma=chroma, model=model, reranker=scorer) as target:
            find = partial(
                target.search,
                asked,
                k,
                # What is no modality is refused by the library, which says what there is.
                modalities=cast("list[Modality] | None", modality or None),
                source=source,
                page=page,
                time=span,
                tags=tag,
                where=filters,
                threshold=threshold,
                rerank=rerank,
            )
            if explain:
                _show_explained(find(explain=True), as_json=as_json)
            else:
                _show(find(), as_json=as_json)


def _show_explained(explained: Explanation, *, as_json: bool) -> None:
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
