"""Text retrieval sets: search, vectors alone and BM25 alone, on one collection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mm_rag import Collection, Encoder
from mm_rag.collection.lexical import LexicalIndex
from mm_rag.evaluation import Beir, Evaluation, Place, document_of, evaluate, read_beir
from tests.collection.model.stored import vectors_of, words_of

_PASSAGES = 5  # retrieve so many times more passages than documents are wanted


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """Results on one set.

    Attributes:
        documents: Number of documents.
        ways: The evaluation of each way, by name.
    """

    documents: int
    ways: Mapping[str, Evaluation]


def measure_ranking(folder: Path, beir: Path, encoder: Encoder) -> Ranked:
    """Index a set in BEIR's layout and evaluate its questions in each way."""
    read = read_beir(beir)
    with Collection(folder / beir.name) as collection:
        collection.add(read.segments)

        def whole(query: str, k: int) -> list[Place]:
            return [document_of(hit) for hit in collection.search(query, k=k)]

        def fused(query: str, k: int) -> list[Place]:
            return [document_of(hit) for hit in collection.search(query, k=k, rerank=False)]

        searches = {"mm-rag": whole, "without reranking": fused}
        ways = {name: evaluate(search, read.questions) for name, search in searches.items()}
        ways |= _alone(collection, encoder, read)
    return Ranked(documents=read.documents, ways=ways)


def _alone(collection: Collection, encoder: Encoder, read: Beir) -> dict[str, Evaluation]:
    sources = {segment.id: segment.source for segment in read.segments}
    lexical = LexicalIndex(words_of(collection.path))
    with vectors_of(collection.path) as vectors:

        def nearest(query: str, n: int) -> Sequence[str]:
            asked = encoder.encode_query(query)
            return vectors.query(query_embeddings=[asked], n_results=n, include=[])["ids"][0]

        def worded(query: str, n: int) -> Sequence[str]:
            return [id_ for id_, _ in lexical.search(query, n)]

        found = {"vectors alone": nearest, "BM25 alone": worded}
        return {
            name: evaluate(_of_documents(search, sources), read.questions)
            for name, search in found.items()
        }


def _of_documents(
    search: Callable[[str, int], Sequence[str]], sources: Mapping[str, str]
) -> Callable[[str, int], list[Place]]:
    """Turn a search for passages into one for documents, each at its best passage."""

    def documents(query: str, k: int) -> list[Place]:
        names = (sources[id_] for id_ in search(query, k * _PASSAGES))
        return [Place(file=name) for name in list(dict.fromkeys(names))[:k]]

    return documents
