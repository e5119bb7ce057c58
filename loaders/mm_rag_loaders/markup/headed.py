"""AsciiDoc and TeX as parts of a text: their headings are found, and the rest stays as written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from mm_rag_loaders.documents import Document, Picture
from mm_rag_loaders.passages import TextPart

_ADOC_HEADING = re.compile(r"^(={1,6})[ \t]+(\S[^\n]*)$", re.MULTILINE)
_ADOC_PICTURE = re.compile(r"image::?([^\s\[\]]{1,300})\[([^\]\n]{0,500})\]")
_ADOC_COMMENT = re.compile(r"^//(?!/)[^\n]*\n?", re.MULTILINE)
_TEX_LEVELS = {
    "part": 1,
    "chapter": 1,
    "section": 2,
    "subsection": 3,
    "subsubsection": 4,
    "paragraph": 5,
    "subparagraph": 6,
}
_TEX_HEADING = re.compile(
    r"\\(part|chapter|section|subsection|subsubsection|paragraph|subparagraph)\*?[ \t]*"
    r"(?:\[[^\]\n]{0,300}\])?\{((?:[^{}\n]|\{[^{}\n]{0,200}\}){1,500})\}"
)
_TEX_FIELD = re.compile(r"\\(title|author|date)\{((?:[^{}]|\{[^{}]{0,500}\}){1,1000})\}")
_TEX_PICTURE = re.compile(r"\\includegraphics(?:\[[^\]\n]{0,300}\])?\{([^{}\n]{1,300})\}")
_TEX_COMMENT = re.compile(r"(?<!\\)%[^\n]*")
# What only sets type, without words of its own.
_TEX_SETTING = re.compile(
    r"\\(?:label|vspace|hspace|bibliographystyle|setlength|pagestyle|thispagestyle)\*?"
    r"(?:\{[^{}\n]{0,200}\}){1,2}"
    r"|\\(?:maketitle|tableofcontents|newpage|clearpage|noindent|centering|par|hline|toprule"
    r"|midrule|bottomrule|bigskip|medskip|smallskip|item(?![a-z]))\b[ \t]?"
)
_TEX_STYLED = re.compile(
    r"\\(?:emph|textbf|textit|texttt|textsc|textrm|textsf|underline|mbox|text)\{([^{}]{0,2000})\}"
)
_TEX_SIGNS = re.compile(r"\\([%&$#_{}])")


def asciidoc_document(text: str) -> Document:
    """Read AsciiDoc. Nothing is included."""
    body = _ADOC_COMMENT.sub("", text.replace("\r\n", "\n"))
    pictures = [
        Picture(source=found[1], alt=found[2].split(",")[0].strip('" '))
        for found in _ADOC_PICTURE.finditer(body)
    ]
    parts = list(_headed(body, _ADOC_HEADING, lambda found: (len(found[1]), found[2])))
    title = next((p.text for p in parts if (p.kind, p.level) == ("heading", 1)), "")
    return Document(title=title, parts=parts, pictures=pictures)


def tex_document(text: str) -> Document:
    """Read TeX. Formulas and tables stay as they are written; no other file is read."""
    body = _TEX_COMMENT.sub("", text.replace("\r\n", "\n"))
    fields = {name: _tex_words(value) for name, value in _TEX_FIELD.findall(body)}
    pictures = [Picture(source=name) for name in _TEX_PICTURE.findall(body) if "." in name]
    parts = [
        TextPart(part.kind, words, part.level)
        for part in _headed(body, _TEX_HEADING, lambda found: (_TEX_LEVELS[found[1]], found[2]))
        if (words := _tex_words(part.text))
    ]
    metadata = {name: fields[name] for name in ("author", "date") if fields.get(name)}
    return Document(
        title=fields.get("title", ""), metadata=metadata, parts=parts, pictures=pictures
    )


def _headed(
    text: str, heading: re.Pattern[str], read: Callable[[re.Match[str]], tuple[int, str]]
) -> Iterator[TextPart]:
    """The headings of a text, and what is between them."""
    at = 0
    for found in heading.finditer(text):
        if between := text[at : found.start()].strip():
            yield TextPart("text", between)
        level, words = read(found)
        yield TextPart("heading", " ".join(words.split()), level)
        at = found.end()
    if rest := text[at:].strip():
        yield TextPart("text", rest)


def _tex_words(text: str) -> str:
    """TeX without the commands that only set type."""
    words = _TEX_STYLED.sub(r"\1", _TEX_STYLED.sub(r"\1", text))
    words = _TEX_SIGNS.sub(r"\1", _TEX_SETTING.sub("", words))
    return re.sub(r"\n{3,}", "\n\n", words).strip()
