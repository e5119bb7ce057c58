"""LoadOptions: how files are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from mm_rag.errors import InputError
from mm_rag.extraction.speech import Transcriber
from mm_rag.media import DEFAULT_POLICY, MediaPolicy
from mm_rag_loaders.asset_store import AssetStore
from mm_rag_loaders.passages import PASSAGE_WORDS

PDFBackend: TypeAlias = Literal["pymupdf", "pdfium"]


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """Options for turning files into segments.

    Attributes:
        assets: Store for page screenshots and key frames.
        policy: Limits on what is opened.
        password: Tried on locked documents.
        page_pixels: Upper bound of a page screenshot's width times height. The default gives 1,280
            visual tokens of 32 x 32 pixels in a vision model of the Qwen3-VL type.
        passage_words: Longest passage of a text, in words. 150 English words are about 200 tokens;
            the built-in default's text model takes 512.
        clip_seconds: Longest clip of a recording or video, in seconds.
        photo_labels: Whether photos and key frames get words for what they show, such as
            "This picture probably shows pelican, seabird, water bird, bird, animal."
        transcriber: Recognises speech; None for whisper-base where it is installed, else
            PocketSphinx. Worker processes get a pickled copy.
        pdf_backend: Library that reads PDFs; None for PyMuPDF if it is installed, else pypdfium2.
        workers: Number of processes that read files. 0 reads them in the calling process, which a
            file that crashes a library then ends. None for one per processor, at most 8.

    Raises:
        InputError: A number is not positive.
    """

    assets: AssetStore = field(default_factory=AssetStore.default)
    policy: MediaPolicy = DEFAULT_POLICY
    password: str | None = field(default=None, repr=False)
    page_pixels: int = 1280 * 32 * 32
    passage_words: int = PASSAGE_WORDS
    clip_seconds: float = 30.0
    photo_labels: bool = True
    transcriber: Transcriber | None = None
    pdf_backend: PDFBackend | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        for name in ("page_pixels", "passage_words", "clip_seconds"):
            value: float = getattr(self, name)
            if not value > 0:
                raise InputError(f"LoadOptions.{name} must be more than 0; got {value}.")
        if self.workers is not None and self.workers < 0:
            raise InputError(f"LoadOptions.workers is 0 or more; got {self.workers}.")
