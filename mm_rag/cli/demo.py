"""`mm-rag demo`: copy the sample files, index them, ask ten questions, write a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from mm_rag.cli import show
from mm_rag.cli.running import errors

if TYPE_CHECKING:
    from mm_rag.collection import Collection
    from mm_rag.demo import Answer, Question

_HITS = 3


def demo(
    output: Annotated[Path, typer.Option(help="Folder for the sample files and the page.")] = Path(
        "demo"
    ),
) -> None:
    """Index sample files, answer ten questions and write a page; exit 1 if an answer is wrong."""
    with errors():
        right, asked = _run(output)
    if right < asked:
        raise typer.Exit(1)


def _run(output: Path) -> tuple[int, int]:
    """Run the demo; return how many answers were right on top, and how many questions there are."""
    from mm_rag.collection import Collection
    from mm_rag.demo import QUESTIONS, make_samples, write_page

    show.console.print(f"Copying sample files to {output / 'files'} ...")
    samples = make_samples(output / "files")
    with Collection(output / "collection") as collection:
        with show.progress(quiet=False) as on_progress:
            report = collection.sync(output / "files", on_progress=on_progress)
        show.sync_report(report)
        answers = [_ask(collection, *numbered) for numbered in enumerate(QUESTIONS, start=1)]
    right = sum(any(answer.right[:1]) for answer in answers)
    page = output / "index.html"
    write_page(
        page,
        answers,
        title="mm-rag: a folder in, answers with pages out",
        lead="Slides, a scan, a receipt, a screenshot, a recording, a video and a photo of a small "
        "ferry company, searched together on one CPU, with no network and no key.",
        facts={
            "files": str(len(samples)),
            "segments": str(sum(report.segments.values())),
            "right on top": f"{right} of {len(answers)}",
        },
    )
    show.console.print(f"\n{right} of {len(answers)} right. The page with the pictures: {page}")
    return right, len(answers)


def _ask(collection: Collection, number: int, question: Question) -> Answer:
    from mm_rag.demo import Answer, is_right

    hits = collection.search(question.text, _HITS)
    right = [is_right(question, hit) for hit in hits]
    mark = "[green]right[/green]" if any(right[:1]) else "[red]wrong[/red]"
    meaning = f" [dim]({escape(question.meaning)})[/dim]" if question.meaning else ""
    show.console.print(f"\n[bold]{number}. {escape(question.text)}[/bold]{meaning}  {mark}")
    show.hits(hits)
    return Answer(query=question.text, hits=hits, right=right, meaning=question.meaning)
