"""write_page: questions and their hits as one HTML file that needs no other."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import PIL.Image

from mm_rag._printing import escaped
from mm_rag.errors import InputError
from mm_rag.highlight import highlighted
from mm_rag.segment import Hit, Segment
from mm_rag.words import is_common, plain_words, stem

# The page loads nothing: its pictures and recordings are data URIs.
_POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
_MOST_AUDIO_BYTES = 600_000
_ICONS = {
    "audio": '<path d="M8 40v16M20 30v36M32 18v60M44 34v28M56 24v48M68 36v24M80 28v40M92 42v12"/>',
    "text": '<path d="M22 10h36l20 20v56H22zM58 10v20h20M34 48h32M34 60h32M34 72h20"/>',
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A question and its hits.

    Attributes:
        query: The user's words.
        hits: Best first.
        right: Whether each hit is a right answer; empty if unknown.
        meaning: A translation of the query, shown below it; empty for none.
    """

    query: str
    hits: Sequence[Hit]
    right: Sequence[bool] = field(default_factory=tuple[bool, ...])
    meaning: str = ""

    def __post_init__(self) -> None:
        """Check that `right` is empty or as long as `hits`."""
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
    """Write an HTML page that shows questions and their hits, with pictures.

    Args:
        path: The HTML file to write.
        answers: The questions, in the order in which the page shows them.
        title: The heading.
        lead: A sentence below the heading.
        facts: Labels and numbers shown beside the heading.

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
    meaning = f"<small>{escaped(answer.meaning)}</small>" if answer.meaning else ""
    yield f"<article>\n<h2><span>{escaped(answer.query)}{meaning}</span>{_verdict(answer)}</h2>"
    if not answer.hits:
        yield f'<p class="empty">{escaped(_nothing(answer.query))}</p>'
    elif not any(hit.is_relevant for hit in answer.hits):
        yield '<p class="empty">Nothing relevant found; the nearest are:</p>'
    if answer.hits:
        yield from _hits(answer)
    yield "</article>"


def _nothing(query: str) -> str:
    from mm_rag.collection.search import nothing_found  # loads torch

    return nothing_found(query)


def _verdict(answer: Answer) -> str:
    if not answer.right:
        return ""
    if answer.right[0]:
        return '<span class="verdict right">✓ right</span>'
    return '<span class="verdict wrong">✗ not on top</span>'


def _hits(answer: Answer) -> Iterator[str]:
    """Show the best hit large, and list the others beside its picture."""
    best, *others = answer.hits
    picture = _picture(best.segment, answer.query, side=900)
    yield f'<div class="top">\n<div class="view">{picture}</div>\n<div>'
    yield _place(best)
    yield _words(answer.query, best)
    yield _player(best.segment)
    yield _scores(best)
    if others:
        judged = answer.right[1:] or [False] * len(others)
        yield '<ol class="others">'
        yield from (_other(hit, is_right=right) for hit, right in zip(others, judged, strict=True))
        yield "</ol>"
    yield "</div>\n</div>"


def _other(hit: Hit, *, is_right: bool) -> str:
    tick = ' <span class="tick">✓</span>' if is_right else ""
    picture = _picture(hit.segment, "", side=160)  # too small to mark words on it
    return (
        f'<li><div class="view">{picture}</div>{_place(hit)}'
        f'<p class="note">{hit.score:.2f}{tick}</p></li>'
    )


def _place(hit: Hit) -> str:
    name = escaped(hit.segment.name)
    where = hit.segment.where
    place = f'<span class="where">{where}</span>' if where else ""
    return f'<p class="place"><span class="rank">{hit.rank}</span><b>{name}</b>{place}</p>'


def _words(query: str, hit: Hit) -> str:
    """Show the text of a hit; for a page, the passage that matched best."""
    texts = [segment.text for segment in (*hit.matched, hit.segment) if segment.text.strip()]
    if not texts:
        return '<p class="words none">No words were read here.</p>'
    pieces = (
        f"<mark>{escaped(words)}</mark>" if wanted else escaped(words)
        for words, wanted in excerpt(texts[0], query)
    )
    return f'<p class="words">{"".join(pieces)}</p>'


def _scores(hit: Hit) -> str:
    """Show the first line of `Hit.explain` and the signals, or else the scores of the stages."""
    told, *signals = hit.explain().splitlines()
    stages = [f"{name} {value:.3f}" for name, value in hit.scores.items()]
    items = "".join(f"<li>{escaped(line)}</li>" for line in signals or stages)
    verdict = told.partition(": ")[0]
    return f'<ul class="scores"><li>score {escaped(verdict)}</li>{items}</ul>'


def _picture(segment: Segment, words: str, *, side: int) -> str:
    """HTML of a segment's picture, at most `side` pixels long, with a query's words marked on it.

    Without a picture it is an icon.
    """
    picture = _thumbnail(segment, words, side)
    if picture is None:
        shape = _ICONS.get(segment.modality, _ICONS["text"])
        return (
            '<svg viewBox="0 0 100 96" fill="none" stroke="currentColor" stroke-width="5" '
            f'stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">{shape}</svg>'
        )
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=80)
    name = escaped(segment.name)
    return (
        f'<img src="{_data_uri("image/webp", buffer.getvalue())}" alt="{name}" '
        f'width="{picture.width}" height="{picture.height}">'
    )


def _player(segment: Segment) -> str:
    """HTML that plays a recording's clip; empty if the file is large or missing."""
    path = Path(segment.media) if segment.modality == "audio" and segment.media else None
    if path is None or not path.is_file() or path.stat().st_size > _MOST_AUDIO_BYTES:
        return ""
    source = _data_uri(segment.mime_type or "audio/ogg", path.read_bytes()) + _clip(segment)
    return f'<audio controls preload="metadata" src="{escaped(source)}"></audio>'


def _clip(segment: Segment) -> str:
    """The media fragment that makes a browser play only the clip."""
    if segment.start is None:
        return ""
    end = "" if segment.end is None else f",{segment.end:.2f}"
    return f"#t={segment.start:.2f}{end}"


def _thumbnail(segment: Segment, words: str, side: int) -> PIL.Image.Image | None:
    try:
        picture = highlighted(segment, words)
    except InputError:
        return None  # show an icon instead: one missing picture should not prevent the page
    picture.thumbnail((side, side))
    return picture


def _data_uri(mime_type: str, data: bytes) -> str:
    return f"data:{mime_type};base64,{base64.b64encode(data).decode()}"


def excerpt(text: str, query: str, *, length: int = 40) -> list[tuple[str, bool]]:
    """Select the part of a text that has most of a query's words.

    Args:
        text: Text of a page, picture or clip.
        query: The user's words.
        length: Most words to return.

    Returns:
        Pieces of the text in order, each with True if it is a word of the query. Whitespace is
        collapsed, and an ellipsis stands where text was left out.
    """
    tokens = [token for token in text.split() if token.strip("|-")]  # drops Markdown table rules
    wanted = {stem(word) for word in plain_words(query) if not is_common(word)}
    found = [frozenset(map(stem, plain_words(token))) & wanted for token in tokens]
    start = _best_window(found, length)
    end = min(start + length, len(tokens))
    marked = [(tokens[i], bool(found[i])) for i in range(start, end)]
    pieces = list(_joined(marked))
    if start > 0:
        pieces.insert(0, ("… ", False))
    if end < len(tokens):
        pieces.append((" …", False))
    return pieces


def _best_window(found: list[frozenset[str]], length: int) -> int:
    """Start of the window with most distinct query words, then most query words in all."""

    def worth(start: int) -> tuple[int, int]:
        window = found[start : start + length]
        return len(frozenset[str]().union(*window)), sum(map(bool, window))

    starts = range(max(1, len(found) - length + 1))
    best = max(starts, key=worth)
    first = next((i for i in range(best, len(found)) if found[i]), best)
    return min(max(first - 6, 0), starts[-1])


def _joined(marked: list[tuple[str, bool]]) -> Iterator[tuple[str, bool]]:
    for i, (word, is_wanted) in enumerate(marked):
        if i:
            yield " ", False
        yield word, is_wanted
