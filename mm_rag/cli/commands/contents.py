"""`mm-rag list`, `info` and `remove`: what is in a collection, and what is to go."""

from __future__ import annotations

from typing import Annotated

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
    TagOption,
    WaitOption,
)
from mm_rag.cli.running import errors, opened, print_json


def list_sources(
    tag: TagOption = None,
    collection: CollectionOption = DEFAULT_COLLECTION,
    name: NameOption = DEFAULT_NAME,
    chroma: ChromaOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the files and addresses in a collection: state, segments, when read, tags."""
    with errors(), opened(collection, name, chroma=chroma) as target:
        from mm_rag.segment import checked_tags

        wanted = set(checked_tags(tag or ()))
        records = [record for record in target.list() if wanted <= set(record.tags)]
        if as_json:
            print_json([record.to_dict() for record in records])
        else:
            show.sources(records)


def info(
    collection: CollectionOption = DEFAULT_COLLECTION,
    name: NameOption = DEFAULT_NAME,
    chroma: ChromaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a collection is: its place, model, files, segments and tags."""
    with errors(), opened(collection, name, chroma=chroma) as target:
        told = target.info()
        if as_json:
            print_json(told.to_dict())
        else:
            show.info(told)


def remove(
    sources: Annotated[
        list[str], typer.Argument(help="Files, addresses or folders, as they were indexed.")
    ],
    collection: CollectionOption = DEFAULT_COLLECTION,
    name: NameOption = DEFAULT_NAME,
    chroma: ChromaOption = None,
    model: ModelOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Remove files from a collection; on disk they stay, and `index` takes them in again."""
    with errors(), opened(collection, name, chroma=chroma, model=model, wait=wait) as target:
        report = target.remove(sources)
        if as_json:
            print_json(report.to_dict())
        else:
            show.removal(report)
