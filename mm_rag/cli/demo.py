"""`mm-rag demo`: make a sample folder, index it, ask eight questions, write a page."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from mm_rag.cli import show
from mm_rag.collection import Collection
from mm_rag.demo import QUESTIONS, Answer, is_right, make_samples, write_page

HITS = 3


def run_demo(output: Path) -> tuple[int, int]:
    """Run the whole demo; return how many answers were right on top, and how many were asked."""
    show.console.print(f"Making sample files in {output / 'files'} ...")
    samples = make_samples(output / "files")
    with Collection(output / "collection") as collection:
        with show.progress(quiet=False) as on_progress:
            report = collection.sync(output / "files", on_progress=on_progress)
        show.sync_report(report)
        answers = [_ask(collection, number) for number in range(len(QUESTIONS))]
    right = sum(any(answer.right[:1]) for answer in answers)
    page = output / "index.html"
    write_page(
        page,
        answers,
        title="mm-rag: a folder in, answers with pages out",
        lead="Slides, a scan, a receipt, a screenshot, a recording and a video of a small ferry "
        "company, searched together on one CPU, with no network and no key.",
        facts={
            "files": str(len(samples)),
            "segments": str(sum(report.segments.values())),
            "right on top": f"{right} of {len(answers)}",
        },
    )
    show.console.print(f"\n{right} of {len(answers)} right. The page with the pictures: {page}")
    return right, len(answers)


def _ask(collection: Collection, number: int) -> Answer:
    question = QUESTIONS[number]
    hits = collection.search(question.text, HITS)
    right = [is_right(question, hit) for hit in hits]
    mark = "[green]right[/green]" if any(right[:1]) else "[red]wrong[/red]"
    show.console.print(f"\n[bold]{number + 1}. {escape(question.text)}[/bold]  {mark}")
    show.hits(hits)
    return Answer(query=question.text, hits=hits, right=right)
