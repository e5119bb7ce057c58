"""The `mm-rag` command line: each command opens a collection, calls the library and prints.

Imports of the library that need torch or Chroma are within the commands: `mm-rag --help` needs
neither.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from enum import Enum
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mm_rag._printing import counted
from mm_rag._temporary import TemporaryFolder
from mm_rag.cli import show
from mm_rag.cli.demo import demo
from mm_rag.cli.doctor import doctor
from mm_rag.cli.evaluate import evaluate
from mm_rag.cli.mcp import mcp
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
    WaitOption,
    span_of,
    where_of,
)
from mm_rag.cli.running import Interrupted, check_sources, errors, opened, print_json
from mm_rag.content import MODALITIES, Image, Mixed, Modality, Text

if TYPE_CHECKING:
    from mm_rag.collection import Collection, Explanation
    from mm_rag_loaders import FileOutcome, LoadOptions

app = typer.Typer(
    help="Search pages, pictures, recordings and videos together.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mm-rag {version('mm-rag')}")
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Search pages, pictures, recordings and videos together."""


class Pictures(Enum):
    """How page pictures are kept: the `assets` of a Collection."""

    JPEG = "jpeg"
    REFERENCE = "reference"


@app.command()
def index(
    sources: Annotated[list[str], typer.Argument(help="Folders and files.")],
    collection: CollectionOption = DEFAULT_COLLECTION,
    name: NameOption = DEFAULT_NAME,
    chroma: ChromaOption = None,
    model: ModelOption = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            "--tag",
            help="New tag of all these files, replacing theirs; may be repeated. '' for none.",
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave out files and folders that match, such as '*.tmp' or 'drafts', and remove "
            "them if indexed; may be repeated. Not stored: give it every time."
        ),
    ] = None,
    delete_missing: Annotated[
        bool,
        typer.Option("--delete-missing", help="Allow removing more than half of a folder's files."),
    ] = False,
    checksum: Annotated[
        bool,
        typer.Option("--checksum", help="Compare all files by content, not by size and times."),
    ] = False,
    password: Annotated[
        str | None, typer.Option(help="Password to try on locked documents.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Number of processes that read files; 0 to read in this one.", min=0),
    ] = None,
    assets: Annotated[
        Pictures | None,
        typer.Option(help="How to keep page pictures; reference: draw them again when shown."),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Print everything taken from the files; index nothing."),
    ] = False,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Make the collection equal to a folder: add new files, replace changed ones, remove others."""
    with errors():
        from mm_rag_loaders import LoadOptions

        check_sources(sources)  # or an empty collection would be left where there was none
        options = LoadOptions(password=password, workers=workers)
        if explain:
            explain_files(sources, options, as_json=as_json)
            return
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
                        options=options,
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


def explain_files(sources: list[str], options: LoadOptions, *, as_json: bool) -> None:
    """Print everything that the loaders take from files, in order; pictures are not kept."""
    from mm_rag.record import segment_to_json
    from mm_rag_loaders import AssetStore, load

    with TemporaryFolder() as folder:
        options = replace(options, assets=AssetStore(folder.path))
        outcomes: list[FileOutcome] = []
        for segment in load(sources, options, on_file=outcomes.append):
            _print_outcomes(outcomes, as_json=as_json)
            if as_json:
                typer.echo(segment_to_json(segment))
            else:
                show.segment(segment)
        _print_outcomes(outcomes, as_json=as_json)


def _print_outcomes(outcomes: list[FileOutcome], *, as_json: bool) -> None:
    """Print the files that are done, and forget them."""
    for outcome in outcomes:
        if as_json:
            typer.echo(json.dumps(asdict(outcome)))
        else:
            show.outcome(outcome)
    outcomes.clear()


def _kept(target: Collection) -> str:
    files = sum(record.state in ("indexed", "incomplete") for record in target.list())
    return (
        f"{counted(files, 'file')} in the collection, which stay; run the same command again to go "
        "on."
    )


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="The query in words.")] = "",
    image: Annotated[Path | None, typer.Option(help="A picture to search with.")] = None,
    k: Annotated[int, typer.Option("-k", help="Maximum number of hits.")] = 5,
    modality: Annotated[
        list[str] | None,
        typer.Option(help=f"Only {', '.join(MODALITIES)}; may be repeated."),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Only this file, or the files in this folder.")
    ] = None,
    page: Annotated[int | None, typer.Option(help="Only this page.")] = None,
    time: Annotated[
        str | None,
        typer.Option(
            help="Only clips that overlap this span: 30-60, 0:30-1:15, 90- or 1:15 (a moment)."
        ),
    ] = None,
    tag: TagOption = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="Only segments with this metadata: 'author=Ada', 'page>=3', or a Chroma filter as "
            "JSON; may be repeated."
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Minimum score, a probability from 0 to 1; 0.5: only what is relevant."),
    ] = None,
    rerank: RerankOption = True,
    reranker: RerankerOption = None,
    explain: Annotated[
        bool, typer.Option(help="Print why each hit was found, and how long each stage took.")
    ] = False,
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
                # The library rejects unknown modalities, with a list of the known ones.
                modalities=cast("list[Modality] | None", modality or None),
                source=source,
                page=page,
                time=span,
                tags=tag,
                where=filters,
                threshold=threshold,
                rerank=rerank,
            )
            found = find(explain=True)
        if as_json:
            _print_found(found, explain=explain)
        else:
            _show_found(found, _nothing(query, threshold), explain=explain)


def _print_found(found: Explanation, *, explain: bool) -> None:
    """Print hits as JSON: a list, or with `explain` an object that also has the stages."""
    hits = [show.hit_to_dict(hit) for hit in found.hits]
    print_json({"hits": hits, "seconds": dict(found.seconds)} if explain else hits)


def _show_found(found: Explanation, nothing: str, *, explain: bool) -> None:
    show.hits(found.hits, nothing=nothing)
    if explain:
        show.stages(found.seconds)
        show.explanations(found.hits)


def _nothing(words: str, threshold: float | None) -> str:
    from mm_rag.collection.search import nothing_found

    return nothing_found(words, threshold)


def _query(words: str, image: Path | None) -> str | Image | Mixed:
    if image is None:
        if not words.strip():
            raise typer.BadParameter("Give a query in words, with --image, or both.")
        return words
    return Mixed((Text(words), Image(image))) if words.strip() else Image(image)


@app.command(name="list")
def list_sources(
    tag: TagOption = None,
    collection: CollectionOption = DEFAULT_COLLECTION,
    name: NameOption = DEFAULT_NAME,
    chroma: ChromaOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the files and addresses in a collection with state, segments, time and tags."""
    with errors(), opened(collection, name, chroma=chroma) as target:
        from mm_rag.segment import checked_tags

        wanted = set(checked_tags(tag or ()))
        records = [record for record in target.list() if wanted <= set(record.tags)]
        if as_json:
            print_json([record.to_dict() for record in records])
        else:
            show.sources(records)


@app.command()
def info(
    collection: CollectionOption = DEFAULT_COLLECTION,
    name: NameOption = DEFAULT_NAME,
    chroma: ChromaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a summary of a collection: folder, model, files, segments and tags."""
    with errors(), opened(collection, name, chroma=chroma) as target:
        summary = target.info()
        if as_json:
            print_json(summary.to_dict())
        else:
            show.info(summary)


@app.command()
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
    """Remove files from a collection, not from disk; `index` would add them again."""
    with errors(), opened(collection, name, chroma=chroma, model=model, wait=wait) as target:
        report = target.remove(sources)
        if as_json:
            print_json(report.to_dict())
        else:
            show.removal(report)


@app.command()
def verify(
    collection: CollectionOption = DEFAULT_COLLECTION,
    name: NameOption = DEFAULT_NAME,
    chroma: ChromaOption = None,
    repair: Annotated[
        bool, typer.Option(help="Repair what can be repaired; mark the rest for the next `index`.")
    ] = False,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Check that vectors, lexical index, catalog and files agree; exit 1 if they do not."""
    with errors(), opened(collection, name, chroma=chroma, wait=wait) as target:
        report = target.repair() if repair else target.verify()
        if as_json:
            print_json(report.to_dict())
        else:
            show.verify_report(report)
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def reindex(
    collection: CollectionOption = DEFAULT_COLLECTION,
    name: NameOption = DEFAULT_NAME,
    chroma: ChromaOption = None,
    model: ModelOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Encode everything again with another model, without reading the files."""
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


app.command(name="eval")(evaluate)
app.command()(demo)
app.command()(doctor)
app.command()(mcp)
