"""write_page: questions and what was found for them, as one HTML file that needs no other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from mm_rag._printing import escaped
from mm_rag.demo.embed import picture_of, player_of
from mm_rag.demo.excerpt import excerpt
from mm_rag.errors import InputError
from mm_rag.segment import Hit

# The page may load nothing: what is on it lies in it.
_POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A question and what was found for it.

    Attributes:
        query: The user's words.
        hits: Best first.
        right: For each hit, whether it is the right one; empty where nobody knows.
    """

    query: str
    hits: Sequence[Hit]
    right: Sequence[bool] = field(default_factory=tuple[bool, ...])

    def __post_init__(self) -> None:
        """Check that every hit is judged, or none."""
        if self.right and len(self.right) != len(self.hits):
            raise InputError(f"Judge every hit or none: {len(self.hits) = }, {len(self.right) = }.")


def write_page(
    path: Path,
    answers: Sequence[Answer],
    *,
    title: str = "Search results",
    lead: str = "",
    facts: Mapping[str, str] | None = None,
) -> None:
    """Write a page that shows questions and their hits, with pictures.

    Args:
        path: The HTML file to write.
        answers: In the order of the page.
        title: Its heading.
        lead: A sentence below the heading.
        facts: Numbers beside the heading: what is counted, and the count.

    Raises:
        InputError: The file cannot be written.
    """
    page = "\n".join(_document(answers, title, lead, facts or {}))
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"The page could not be written to {path} ({error}).") from error


def _document(
    answers: Sequence[Answer], title: str, lead: str, facts: Mapping[str, str]
) -> Iterator[str]:
    style = (files("mm_rag.demo") / "page.css").read_text(encoding="utf-8")
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield f"<title>{escaped(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>"
    yield f"<header>\n<div><h1>{escaped(title)}</h1><p>{escaped(lead)}</p></div>"
    yield '<dl class="facts">'
    for what, count in facts.items():
        yield f"<div><dt>{escaped(what)}</dt><dd>{escaped(count)}</dd></div>"
    yield "</dl>\n</header>"
    for answer in answers:
        yield from _article(answer)
    yield "</main>\n</body>\n</html>\n"


def _article(answer: Answer) -> Iterator[str]:
    yield f"<article>\n<h2><span>{escaped(answer.query)}</span>{_verdict(answer)}</h2>"
    if answer.hits:
        yield from _hits(answer)
    else:
        yield '<p class="empty">Nothing was found.</p>'
    yield "</article>"


def _verdict(answer: Answer) -> str:
    if not answer.right:
        return ""
    if answer.right[0]:
        return '<span class="verdict right">✓ right</span>'
    return '<span class="verdict wrong">✗ not on top</span>'


def _hits(answer: Answer) -> Iterator[str]:
    """The best hit large, and the others in a list beside its picture."""
    best, *others = answer.hits
    picture = picture_of(best.segment, answer.query, side=900)
    yield f'<div class="top">\n<div class="view">{picture}</div>\n<div>'
    yield _place(best)
    yield _words(answer.query, best)
    yield player_of(best.segment)
    yield _scores(best)
    if others:
        judged = answer.right[1:] or [False] * len(others)
        yield '<ol class="others">'
        yield from (_other(hit, is_right=right) for hit, right in zip(others, judged, strict=True))
        yield "</ol>"
    yield "</div>\n</div>"


def _other(hit: Hit, *, is_right: bool) -> str:
    tick = ' <span class="tick">✓</span>' if is_right else ""
    picture = picture_of(hit.segment, "", side=160)  # too small to mark words on it
    return (
        f'<li><div class="view">{picture}</div>{_place(hit)}'
        f'<p class="note">{hit.score:.3f}{tick}</p></li>'
    )


def _place(hit: Hit) -> str:
    name = escaped(Path(hit.segment.source).name)
    where = hit.segment.where
    place = f'<span class="where">{where}</span>' if where else ""
    return f'<p class="place"><span class="rank">{hit.rank}</span><b>{name}</b>{place}</p>'


def _words(query: str, hit: Hit) -> str:
    """What was read there; of a page, the passage that matched best."""
    texts = [segment.text for segment in (*hit.matched, hit.segment) if segment.text.strip()]
    if not texts:
        return '<p class="words none">No words were read here.</p>'
    pieces = (
        f"<mark>{escaped(words)}</mark>" if wanted else escaped(words)
        for words, wanted in excerpt(texts[0], query)
    )
    return f'<p class="words">{"".join(pieces)}</p>'


def _scores(hit: Hit) -> str:
    stages = "".join(f"<li>{escaped(name)} {value:.3f}</li>" for name, value in hit.scores.items())
    return f'<ul class="scores"><li>score {hit.score:.3f}</li>{stages}</ul>'
