"""`mm-rag index`, `reindex` and `verify`: what changes a collection, or looks after it."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from mm_rag._printing import counted
from mm_rag.cli import show
from mm_rag.cli.options import (
    DEFAULT_COLLECTION,
    DEFAULT_NAME,
    ChromaOption,
    CollectionOption,
    JsonOption,
    ModelOption,
    NameOption,
    WaitOption,
)
from mm_rag.cli.running import Interrupted, check_sources, errors, opened, print_json

if TYPE_CHECKING:
    from mm_rag.collection import Collection


class Pictures(Enum):
    """How page pictures are kept, as `Collection` takes it."""

    JPEG = "jpeg"
    REFERENCE = "reference"


def index(
    sources: Annotated[list[str], typer.Argument(help="Folders and files.")],
    collection: CollectionOption = DEFAULT_COLLECTION,
    name: NameOption = DEFAULT_NAME,
    chroma: ChromaOption = None,
    model: ModelOption = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            "--tag", help="Tag all these files so, instead of before; may be repeated. '' for none."
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave out files and folders such as '*.tmp' or 'drafts', and remove them if they "
            "are in; may be repeated. Not remembered: give it every time."
        ),
    ] = None,
    delete_missing: Annotated[
        bool,
        typer.Option("--delete-missing", help="Allow to remove more than half of a folder."),
    ] = False,
    checksum: Annotated[
        bool,
        typer.Option("--checksum", help="Compare all files by content, not by size and times."),
    ] = False,
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
    with errors():
        from mm_rag_loaders import LoadOptions

        check_sources(sources)  # or an empty collection would be left where there was none
        with opened(
            collection,
            name,
            chroma=chroma,
            model=model,
            create=True,
            wait=wait,
            assets=assets.value if assets else None,
        ) as target:
            try:
                with show.progress(quiet=as_json) as on_progress:
                    report = target.sync(
                        sources,
                        options=LoadOptions(password=password, workers=workers),
                        tags=None if tag is None else list(filter(None, tag)),
                        exclude=exclude or (),
                        delete_missing=delete_missing,
                        checksum=checksum,
                        on_progress=on_progress,
                    )
            except KeyboardInterrupt:
                raise Interrupted(_kept(target)) from None
            if as_json:
                print_json(report.to_dict())
            else:
                show.sync_report(report)


def _kept(target: Collection) -> str:
    files = sum(record.state in ("indexed", "incomplete") for record in target.list())
    return (
        f"{counted(files, 'file')} in the collection, which stay; run the same command again to go "
        "on."
    )


def reindex(
    collection: CollectionOption = DEFAULT_COLLECTION,
    name: NameOption = DEFAULT_NAME,
    chroma: ChromaOption = None,
    model: ModelOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Encode everything anew with another model. The files are not read again."""
    kept = "What is encoded stays, and the old model serves; run the same command again to go on."
    with errors(kept), show.counting("segments", quiet=as_json) as on_progress:
        from mm_rag.collection import Collection
        from mm_rag.encoder import Encoder

        encoder = Encoder(model) if model else Encoder()
        with Collection.reindex(
            collection,
            encoder=encoder,
            name=name,
            chroma=chroma,
            wait=wait,
            on_progress=on_progress,
        ) as target:
            segments = len(target)
    if as_json:
        print_json({"segments": segments, "model": encoder.name})
    else:
        show.line(f"Encoded by {encoder.name}: {counted(segments, 'segment')}.")


def verify(
    collection: CollectionOption = DEFAULT_COLLECTION,
    name: NameOption = DEFAULT_NAME,
    chroma: ChromaOption = None,
    repair: Annotated[
        bool, typer.Option(help="Heal what can be healed; mark the rest for the next `index`.")
    ] = False,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Check that vectors, words, catalog and files agree; exit 1 when they do not."""
    with errors(), opened(collection, name, chroma=chroma, wait=wait) as target:
        report = target.repair() if repair else target.verify()
        if as_json:
            print_json(report.to_dict())
        else:
            show.verify_report(report)
    if not report.ok:
        raise typer.Exit(1)
