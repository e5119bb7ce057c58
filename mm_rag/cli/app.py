"""The commands. Each one opens what it needs, calls the library, and hands the result to `show`."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mm_rag.cli import show
from mm_rag.content import Image, Mixed, Text
from mm_rag.errors import MMRagError

if TYPE_CHECKING:
    from mm_rag.collection import Collection

app = typer.Typer(
    help="Search pages, pictures, recordings and videos together.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

DEFAULT_COLLECTION = Path("mm-rag-collection")

CollectionOption = Annotated[
    Path, typer.Option("--collection", "-c", help="The collection's folder.")
]
ModelOption = Annotated[
    str | None, typer.Option(help="A model's name or folder; the embedded default if left out.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@app.command()
def index(
    sources: Annotated[list[Path], typer.Argument(help="Folders and files.")],
    collection: CollectionOption = DEFAULT_COLLECTION,
    model: ModelOption = None,
    password: Annotated[str | None, typer.Option(help="Tried on locked documents.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that read files; 0 for none.", min=0)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make the collection equal to a folder: new files in, changed ones replaced, gone ones out."""
    from mm_rag_loaders import LoadOptions

    with _errors(), _open(collection, model, create=True) as opened:
        with show.progress(quiet=as_json) as on_progress:
            options = LoadOptions(password=password, workers=workers)
            report = opened.sync(sources, options=options, on_progress=on_progress)
        if as_json:
            _print_json(report.to_dict())
        else:
            show.sync_report(report)


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What you look for, in words.")] = "",
    image: Annotated[Path | None, typer.Option(help="A picture to search with.")] = None,
    k: Annotated[int, typer.Option("-k", help="How many hits.")] = 5,
    collection: CollectionOption = DEFAULT_COLLECTION,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the pages, pictures and clips that answer a query."""
    with _errors(), _open(collection, model) as opened:
        hits = opened.search(_query(query, image), k)
        if as_json:
            _print_json([show.hit_to_dict(hit) for hit in hits])
        else:
            show.hits(hits)


@app.command()
def verify(
    collection: CollectionOption = DEFAULT_COLLECTION,
    repair: Annotated[
        bool, typer.Option(help="Delete strays; mark what is damaged for the next `index`.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check that vectors, words, ledger and files agree; exit 1 when they do not."""
    with _errors(), _open(collection, None) as opened:
        report = opened.repair() if repair else opened.verify()
        if as_json:
            _print_json(report.to_dict())
        else:
            show.verify_report(report)
    if not report.ok:
        raise typer.Exit(1)


@app.command(name="eval")
def evaluate(
    corpus: Annotated[Path, typer.Option(help="A folder to index and ask about.")],
    queries: Annotated[Path, typer.Option(help="Questions with answers, one JSON object a line.")],
    collection: Annotated[
        Path | None, typer.Option("--collection", "-c", help="Kept here, if named.")
    ] = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Index a corpus, ask questions with known answers, and score what is found."""
    from mm_rag.cli.evaluate import evaluate_corpus
    from mm_rag.encoder import Encoder
    from mm_rag.evaluation import read_questions

    with _errors():
        outcome = evaluate_corpus(
            corpus,
            read_questions(queries),
            collection=collection,
            encoder=Encoder(model) if model else None,
            quiet=as_json,
        )
        if as_json:
            _print_json(outcome.to_dict())
        else:
            show.evaluation(outcome)


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Where the sample folder and the page go.")] = Path(
        "demo"
    ),
) -> None:
    """Index a sample folder, answer eight questions, write a page; exit 1 if an answer is wrong."""
    from mm_rag.cli.demo import run_demo

    with _errors():
        right, asked = run_demo(output)
    if right < asked:
        raise typer.Exit(1)


@contextmanager
def _open(path: Path, model: str | None, *, create: bool = False) -> Generator[Collection]:
    # Imported here: `mm-rag --help` needs no torch.
    from mm_rag.collection import Collection
    from mm_rag.encoder import Encoder

    encoder = Encoder(model) if model else None
    with Collection(path, encoder=encoder, create=create) as collection:
        yield collection


def _query(words: str, image: Path | None) -> str | Image | Mixed:
    if image is None:
        if not words.strip():
            raise typer.BadParameter("Say what you look for, in words, with --image, or both.")
        return words
    return Mixed((Text(words), Image(image))) if words.strip() else Image(image)


@contextmanager
def _errors() -> Generator[None]:
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


def _print_json(value: Any) -> None:
    in_ascii = sys.stdout.encoding.lower() != "utf-8"
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=in_ascii) + "\n")
