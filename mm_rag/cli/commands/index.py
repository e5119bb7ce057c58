"""`mm-rag index`, `reindex` and `verify`: what changes a collection, or looks after it."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from mm_rag.cli import show
from mm_rag.cli.options import (
    DEFAULT_COLLECTION,
    DEFAULT_NAME,
    CollectionOption,
    JsonOption,
    ModelOption,
    NameOption,
    WaitOption,
)
from mm_rag.cli.running import errors, opened, print_json


class Pictures(Enum):
    """How page pictures are kept, as `Collection` takes it."""

    JPEG = "jpeg"
    WEBP = "webp"
    REFERENCE = "reference"


def index(
    sources: Annotated[list[Path], typer.Argument(help="Folders and files.")],
    collection: CollectionOption = DEFAULT_COLLECTION,
    name: NameOption = DEFAULT_NAME,
    model: ModelOption = None,
    password: Annotated[str | None, typer.Option(help="Tried on locked documents.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that read files; 0 for none.", min=0)
    ] = None,
    assets: Annotated[
        Pictures | None,
        typer.Option(help="How page pictures are kept; reference: drawn again when shown."),
    ] = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Make the collection equal to a folder: new files in, changed ones replaced, gone ones out."""
    from mm_rag_loaders import LoadOptions

    with (
        errors(),
        opened(
            collection,
            name,
            model=model,
            create=True,
            wait=wait,
            assets=assets.value if assets else None,
        ) as target,
    ):
        with show.progress(quiet=as_json) as on_progress:
            options = LoadOptions(password=password, workers=workers)
            report = target.sync(sources, options=options, on_progress=on_progress)
        if as_json:
            print_json(report.to_dict())
        else:
            show.sync_report(report)


def reindex(
    collection: CollectionOption = DEFAULT_COLLECTION,
    name: NameOption = DEFAULT_NAME,
    model: ModelOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Encode everything anew with another model. The files are not read again."""
    from mm_rag.collection import Collection
    from mm_rag.encoder import Encoder

    with errors(), show.counting("segments", quiet=as_json) as on_progress:
        encoder = Encoder(model) if model else Encoder()
        with Collection.reindex(
            collection, encoder=encoder, name=name, wait=wait, on_progress=on_progress
        ) as target:
            segments = len(target)
    if as_json:
        print_json({"segments": segments, "model": encoder.name})
    else:
        show.line(f"All {segments} segments are encoded by {encoder.name}.")


def verify(
    collection: CollectionOption = DEFAULT_COLLECTION,
    name: NameOption = DEFAULT_NAME,
    repair: Annotated[
        bool, typer.Option(help="Heal what can be healed; mark the rest for the next `index`.")
    ] = False,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Check that vectors, words, ledger and files agree; exit 1 when they do not."""
    with errors(), opened(collection, name, wait=wait) as target:
        report = target.repair() if repair else target.verify()
        if as_json:
            print_json(report.to_dict())
        else:
            show.verify_report(report)
    if not report.ok:
        raise typer.Exit(1)
