"""Printing: results as tables and lines on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from mm_rag._printing import counted, one_line, visible

if TYPE_CHECKING:  # `mm-rag --help` needs neither torch nor chromadb
    from mm_rag.collection.contents import CollectionInfo, SourceRecord
    from mm_rag.collection.report import SyncReport, VerifyReport
    from mm_rag.evaluation import Beir, Evaluation, Score
    from mm_rag.segment import Hit, Segment
    from mm_rag_loaders.outcome import FileOutcome, OnProgress

console = Console()
error_console = Console(stderr=True)

SNIPPET = 110


def error(message: str) -> None:
    """Print an error message to stderr."""
    error_console.print(f"[red]{escape(one_line(message))}[/red]")


def line(message: str) -> None:
    """Print one line."""
    console.print(escape(one_line(message)), highlight=False)


@contextmanager
def progress(*, quiet: bool) -> Generator[OnProgress | None]:
    """Show a progress bar of files, pages and seconds, unless quiet."""
    if quiet:
        yield None
        return
    from mm_rag_loaders.outcome import progress_bar

    with progress_bar() as show:
        yield show


@contextmanager
def counting(what: str, *, quiet: bool) -> Generator[Callable[[int, int], None] | None]:
    """Show a progress bar of a count and its total, unless quiet."""
    if quiet:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=error_console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def sync_report(report: SyncReport) -> None:
    """Print file counts by state, segments by modality, and unread files with reasons."""
    if not report.files:
        console.print("Nothing to index: there are no files.")
        return
    for file in report.remarks:
        said = f"{file.path}: {file.reason}"
        _long(f"  [yellow]{file.state:11}[/yellow] {escape(one_line(said))}")
    counts = ", ".join(f"{count} {state}" for state, count in report.counts.items())
    changed = sum(report.count(state) for state in ("indexed", "moved", "removed"))
    console.print(
        f"{counted(len(report.files), 'file')}: {counts}, in {report.seconds:.1f} s."
        f"{'' if changed else ' Nothing to do.'}\n{_noted(report)}{_held(report.segments)}",
        highlight=False,
    )


def _noted(report: SyncReport) -> str:
    """The line that counts the notes by kind; empty without notes."""
    if not report.noted:
        return ""
    kinds = ", ".join(f"{count} {kind}" for kind, count in report.noted.items())
    return f"Left out or changed: {kinds}. See a file with mm-rag index --explain FILE.\n"


def segment(taken: Segment) -> None:
    """Print a segment of a file: its place, modality and metadata, then its text."""
    place = escape(one_line(taken.label))
    what = "passage" if taken.modality == "text" else taken.modality
    about = "".join(
        f" [dim]{escape(one_line(f'{name}={value}'))}[/dim]"
        for name, value in taken.metadata.items()
        if name != "place"
    )
    _long(f"[bold]{place}[/bold] [cyan]{what}[/cyan]{about}")
    for text in visible(taken.text).splitlines():
        _long(f"  {escape(text)}")


def outcome(read: FileOutcome) -> None:
    """Print the outcome of reading a file, and what was left out or changed."""
    kind = f", {read.kind}" if read.kind else ""
    reason = f": {one_line(read.reason)}" if read.reason else ""
    _long(f"[yellow]{read.state}[/yellow] {escape(one_line(read.source) + kind + reason)}")
    for note in read.notes:
        _long(f"  [yellow]{note.kind:14}[/yellow] {escape(note.text)}")


def removal(report: SyncReport) -> None:
    """Print the removed files, and what the collection still holds."""
    for file in report.files:
        said = f"{file.path}: {file.reason}" if file.reason else file.path
        _long(f"  [yellow]{file.state:11}[/yellow] {escape(one_line(said))}")
    removed = report.count("removed")
    console.print(f"{counted(removed, 'file')} removed. {_held(report.segments)}", highlight=False)


def sources(records: Sequence[SourceRecord]) -> None:
    """Print a line for each file: state, segments, time, path, tags and remarks."""
    if not records:
        console.print("Nothing there.")
        return
    most = max(len(str(sum(record.segments.values()))) for record in records)
    for record in records:
        when = f"{record.indexed_at.astimezone():%Y-%m-%d %H:%M}" if record.indexed_at else ""
        segments = sum(record.segments.values())
        tags = "".join(f" [cyan]#{escape(one_line(tag))}[/cyan]" for tag in record.tags)
        remark = f" [dim]{escape(one_line(record.reason))}[/dim]" if record.reason else ""
        _long(
            f"{record.state:11} {segments:{most}}  {when:16}  "
            f"{escape(one_line(record.source))}{tags}{remark}"
        )


def info(summary: CollectionInfo) -> None:
    """Print a summary of a collection, one fact per line."""
    states = ", ".join(f"{count} {state}" for state, count in sorted(summary.sources.items()))
    facts = {
        "collection": f"{summary.place}, {summary.name}",
        "vectors": summary.vectors,
        "model": summary.model or "none yet",
        "files": f"{sum(summary.sources.values())}{f' ({states})' if states else ''}",
        "segments": f"{sum(summary.segments.values())}{_in_brackets(summary.segments)}",
        "tags": ", ".join(f"{tag} ({count})" for tag, count in summary.tags.items()) or "none",
    }
    for name, value in facts.items():
        _long(f"[dim]{name:10}[/dim]  {escape(one_line(value))}")


def _long(markup: str) -> None:
    """Print a line that may be wider than the terminal."""
    console.print(markup, highlight=False, soft_wrap=True)


def _held(segments: Mapping[str, int]) -> str:
    held = counted(sum(segments.values()), "segment")
    modalities = ", ".join(f"{n} {modality}" for modality, n in segments.items())
    return f"The collection holds {held}{f': {modalities}' if modalities else ''}."


def _in_brackets(segments: Mapping[str, int]) -> str:
    modalities = ", ".join(f"{n} {modality}" for modality, n in segments.items())
    return f" ({modalities})" if modalities else ""


def hits(found: Sequence[Hit], *, nothing: str = "Nothing found.") -> None:
    """Print rank, score, file, place and matched words of each hit.

    Args:
        found: The hits.
        nothing: Line to print without hits.
    """
    if not found:
        line(nothing)
        return
    if not any(hit.is_relevant for hit in found):
        line("Nothing relevant found; the nearest are:")
    table = Table("rank", "score", "file", "where", "words", box=None, header_style="dim")
    for hit in found:
        segment = hit.segment
        words = " ".join((hit.matched or (segment,))[0].text.split())
        snippet = words if len(words) <= SNIPPET else words[: SNIPPET - 1] + "…"
        table.add_row(
            str(hit.rank),
            f"{hit.score:.2f}",
            escape(one_line(segment.name)),
            segment.where,
            escape(one_line(snippet)),
            style=None if hit.is_relevant else "dim",
        )
    console.print(table)


def explanations(found: Sequence[Hit]) -> None:
    """Print the evidence of each hit in words."""
    for hit in found:
        _long(f"{hit.rank}. {escape(hit.explain())}")


def hit_to_dict(hit: Hit) -> dict[str, Any]:
    """The fields of a hit, for JSON."""
    segment = asdict(hit.segment) | {"metadata": dict(hit.segment.metadata)}
    return {
        "rank": hit.rank,
        "score": hit.score,
        "is_relevant": hit.is_relevant,
        "scores": dict(hit.scores),
        "evidence": dict(hit.evidence),
        "segment": {"id": hit.segment.id, **segment},
        "matched": [segment.id for segment in hit.matched],
        "also": list(hit.also),
        "same_words": [
            {"id": one.id, "source": one.source, "where": one.where} for one in hit.same_words
        ],
    }


def stages(seconds: Mapping[str, float]) -> None:
    """Print the duration of each search stage."""
    table = Table("stage", box=None, header_style="dim")
    table.add_column("time", justify="right")
    for stage, took in seconds.items():
        table.add_row(stage, _ms(took))
    console.print(table)


def verify_report(report: VerifyReport) -> None:
    """Print what is damaged or missing, and how to repair it."""
    if report.ok:
        are = "is" if report.segments == 1 else "are"
        console.print(f"All {counted(report.segments, 'segment')} {are} whole.")
        return
    if report.damaged:
        console.print(
            "[yellow]damaged[/yellow]: files of Chroma, the lexical index or the catalog."
        )
    for name, values in report.to_dict().items():
        if isinstance(values, tuple) and values:
            console.print(f"[yellow]{name.replace('_', ' ')}[/yellow]: {len(values)}")
            for value in values[:10]:
                console.print(f"  {escape(one_line(value))}", highlight=False)
    console.print("Repair with: mm-rag verify --repair, then run mm-rag index again.")


def beir(given: Beir) -> None:
    """Print the size of a BEIR set."""
    left_out = f", {given.unanswered} left out without answers" if given.unanswered else ""
    line(
        f"{counted(given.documents, 'document')} ({counted(len(given.segments), 'passage')}), "
        f"{counted(len(given.questions), 'question')}{left_out}."
    )


def evaluation(outcome: Evaluation) -> None:
    """Print scores by kind of question and overall, and search latency."""
    table = Table("kind", box=None, header_style="dim")
    for name in ("questions", *outcome.measures.names):
        table.add_column(name, justify="right")
    kinds = outcome.by_kind if len(outcome.by_kind) > 1 else {}
    for kind, score in [*kinds.items(), ("all", outcome.overall)]:
        table.add_row(escape(one_line(kind)), *_cells(score))
    console.print(table)
    took = outcome.latency
    line(
        f"A search took {_ms(took.mean)} on average; p50 {_ms(took.p50)}, p95 {_ms(took.p95)}, "
        f"p99 {_ms(took.p99)}."
    )


def _cells(score: Score) -> tuple[str, ...]:
    values = (score.ndcg, score.recall, score.mrr)
    return (str(score.questions), *(f"{value:.3f}" for value in values))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms"
