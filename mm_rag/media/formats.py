"""The formats that mm_rag reads: kind, MIME type, name and file suffixes.

`mm_rag.media.kind` finds the format of a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mm_rag.content import AUDIO_SUFFIXES, IMAGE_SUFFIXES, VIDEO_SUFFIXES

MediaKind: TypeAlias = Literal[
    "pdf",
    "office",
    "spreadsheet",
    "image",
    "audio",
    "video",
    "text",
    "markup",
    "html",
    "xml",
    "svg",
    "table",
    "json",
    "notebook",
    "code",
    "transcript",
    "email",
    "calendar",
    "ebook",
    "iwork",
    "archive",
]
"""The kind of a file; each is read by one loader."""


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        kind: The kind as which it is read.
        mime: MIME type.
        name: In words, with its article: "a Word document".
        suffixes: Suffixes of file names, in lower case; the usual one first.
    """

    kind: MediaKind
    mime: str
    name: str
    suffixes: tuple[str, ...]


MEDIA_FORMATS: tuple[Format, ...] = (
    Format("pdf", "application/pdf", "a PDF", (".pdf",)),
    Format("image", "image/*", "a picture", tuple(sorted(IMAGE_SUFFIXES))),
    Format("audio", "audio/*", "a recording", tuple(sorted(AUDIO_SUFFIXES))),
    Format("video", "video/*", "a video", tuple(sorted(VIDEO_SUFFIXES))),
)
"""PDFs and media, with the usual suffixes: Pillow and FFmpeg read more."""

_OPENXML = "application/vnd.openxmlformats-officedocument."
_OPENDOCUMENT = "application/vnd.oasis.opendocument."

OFFICE_FORMATS: tuple[Format, ...] = (
    Format("office", _OPENXML + "wordprocessingml.document", "a Word document", (".docx",)),
    Format(
        "office", _OPENXML + "presentationml.presentation", "a PowerPoint presentation", (".pptx",)
    ),
    Format("spreadsheet", _OPENXML + "spreadsheetml.sheet", "an Excel workbook", (".xlsx",)),
    Format("office", _OPENDOCUMENT + "text", "an OpenDocument text", (".odt",)),
    Format("office", _OPENDOCUMENT + "presentation", "an OpenDocument presentation", (".odp",)),
    Format("spreadsheet", _OPENDOCUMENT + "spreadsheet", "an OpenDocument spreadsheet", (".ods",)),
    Format("office", "application/msword", "a Word document", (".doc",)),
    Format("office", "application/vnd.ms-powerpoint", "a PowerPoint presentation", (".ppt",)),
    Format("spreadsheet", "application/vnd.ms-excel", "an Excel workbook", (".xls",)),
    Format("office", "application/rtf", "an RTF document", (".rtf",)),
)
"""Office formats; templates and files with macros have the MIME type of the plain format."""

PACKAGE_FORMATS: tuple[Format, ...] = (
    Format("ebook", "application/epub+zip", "an EPUB book", (".epub",)),
    Format("iwork", "application/vnd.apple.pages", "a Pages document", (".pages",)),
    Format("iwork", "application/vnd.apple.numbers", "a Numbers spreadsheet", (".numbers",)),
    Format("iwork", "application/vnd.apple.keynote", "a Keynote presentation", (".key",)),
    Format("email", "application/vnd.ms-outlook", "an Outlook message", (".msg",)),
    Format("archive", "application/zip", "a ZIP archive", (".zip",)),
    Format("archive", "application/x-tar", "a TAR archive", (".tar",)),
    Format("archive", "application/gzip", "a gzip archive", (".gz", ".tgz")),
    Format("archive", "application/x-bzip2", "a bzip2 archive", (".bz2", ".tbz2")),
    Format("archive", "application/x-xz", "an xz archive", (".xz", ".txz")),
    Format("archive", "application/zstd", "a Zstandard archive", (".zst", ".tzst")),
)
"""Binary formats that contain other files."""

TEXT_FORMATS: tuple[Format, ...] = (
    Format("text", "text/plain", "plain text", (".txt", ".text")),
    Format("markup", "text/markdown", "Markdown", (".md", ".markdown", ".mdx", ".qmd", ".rmd")),
    Format("markup", "text/x-rst", "reStructuredText", (".rst",)),
    Format("markup", "text/asciidoc", "AsciiDoc", (".adoc", ".asciidoc")),
    Format("markup", "text/x-tex", "TeX", (".tex", ".ltx")),
    Format("html", "text/html", "an HTML page", (".html", ".htm", ".xhtml", ".mht", ".mhtml")),
    Format("xml", "text/xml", "XML", (".xml", ".rss", ".atom", ".xsd", ".xsl", ".kml", ".gpx")),
    Format("svg", "image/svg+xml", "an SVG drawing", (".svg",)),
    Format("table", "text/csv", "a CSV table", (".csv", ".tsv", ".tab", ".psv")),
    Format("json", "application/json", "JSON", (".json", ".jsonl", ".ndjson", ".geojson")),
    Format("notebook", "application/x-ipynb+json", "a notebook", (".ipynb",)),
    Format("transcript", "text/vtt", "a transcript", (".vtt", ".srt", ".sbv", ".ass", ".ssa")),
    Format("email", "message/rfc822", "an email", (".eml", ".emlx", ".mbox", ".mbx")),
    Format("calendar", "text/calendar", "contacts or events", (".vcf", ".vcard", ".ics", ".ifb")),
    Format(
        "code",
        "text/x-source",
        "source code",
        (
            *(".py", ".pyi", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".java", ".kt", ".kts"),
            *(".c", ".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".cs", ".go", ".rs", ".rb", ".php"),
            *(".swift", ".scala", ".r", ".jl", ".lua", ".pl", ".pm", ".sh", ".bash", ".zsh"),
            *(".ps1", ".sql", ".css", ".scss", ".less", ".vue", ".svelte", ".dart", ".ex", ".exs"),
            *(".erl", ".hs", ".ml", ".clj", ".groovy", ".m", ".mm", ".f90", ".f", ".pas", ".vb"),
            *(".asm", ".s", ".proto", ".graphql", ".tf", ".cmake", ".bat"),
        ),
    ),
)
"""Formats that are text. Text of any other suffix is plain text."""


def by_suffix(formats: Iterable[Format]) -> Mapping[str, Format]:
    """The formats by the suffixes of file names."""
    return {suffix: each for each in formats for suffix in each.suffixes}


def by_mime(formats: Iterable[Format]) -> Mapping[str, Format]:
    """The formats by MIME type."""
    return {each.mime: each for each in formats}
