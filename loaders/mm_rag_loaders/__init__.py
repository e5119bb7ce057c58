"""Files to Segments: PDFs, office files, pictures, recordings, videos, web pages and text."""

from __future__ import annotations

from mm_rag_loaders.archive import ArchiveLoader
from mm_rag_loaders.asset_store import AssetStore
from mm_rag_loaders.audio_loader import AudioLoader
from mm_rag_loaders.cached import load_cached
from mm_rag_loaders.calendar_loader import CalendarLoader
from mm_rag_loaders.code_loader import CodeLoader
from mm_rag_loaders.epub_loader import EpubLoader
from mm_rag_loaders.html_loader import HtmlLoader
from mm_rag_loaders.image_loader import ImageLoader
from mm_rag_loaders.iwork_loader import IWorkLoader
from mm_rag_loaders.json_loader import JSONLoader
from mm_rag_loaders.load_options import LoadOptions
from mm_rag_loaders.loader import Loader, SourceFile
from mm_rag_loaders.loading import load, load_bytes, load_file, load_files
from mm_rag_loaders.mail import EmailLoader
from mm_rag_loaders.markup_loader import MarkupLoader
from mm_rag_loaders.notebook_loader import NotebookLoader
from mm_rag_loaders.office import OfficeLoader
from mm_rag_loaders.outcome import FileOutcome, LoadedFile, Progress
from mm_rag_loaders.pdf import PDFLoader
from mm_rag_loaders.references import as_reference, moved, redrawn
from mm_rag_loaders.sources import Source, find_sources
from mm_rag_loaders.spreadsheet import SpreadsheetLoader
from mm_rag_loaders.svg_loader import SvgLoader
from mm_rag_loaders.table_loader import TableLoader
from mm_rag_loaders.text_loader import TextLoader
from mm_rag_loaders.transcript_loader import TranscriptLoader
from mm_rag_loaders.video_loader import VideoLoader
from mm_rag_loaders.xml_loader import XmlLoader

__all__ = [
    "ArchiveLoader",
    "AssetStore",
    "AudioLoader",
    "CalendarLoader",
    "CodeLoader",
    "EmailLoader",
    "EpubLoader",
    "FileOutcome",
    "HtmlLoader",
    "IWorkLoader",
    "ImageLoader",
    "JSONLoader",
    "LoadOptions",
    "LoadedFile",
    "Loader",
    "MarkupLoader",
    "NotebookLoader",
    "OfficeLoader",
    "PDFLoader",
    "Progress",
    "Source",
    "SourceFile",
    "SpreadsheetLoader",
    "SvgLoader",
    "TableLoader",
    "TextLoader",
    "TranscriptLoader",
    "VideoLoader",
    "XmlLoader",
    "as_reference",
    "find_sources",
    "load",
    "load_bytes",
    "load_cached",
    "load_file",
    "load_files",
    "moved",
    "redrawn",
]
