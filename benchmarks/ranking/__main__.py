"""Ranking and scores on sets of different nature, made from seeds and real ones.

    python -m benchmarks.ranking [--seeds 4 5] [--corpus FOLDER] [--beir FOLDER ...] [--docs]

The same questions are asked of vectors alone, BM25 alone, their plain min-max sum, a search without
reranking, and a search. Each set has two halves by document: constants are chosen on sets of
seeds 1 and 2 and on the first halves of real sets, and reported on other seeds and second halves
(`--half`).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import chromadb

from benchmarks.ranking.generated import NATURES, generated
from benchmarks.ranking.metrics import DEPTH, Place, ndcg
from benchmarks.ranking.sets import Asked, RankingSet, beir_set
from benchmarks.ranking.table import write_docs, written
from mm_rag import Collection, Hit
from mm_rag.collection.lexical import LexicalIndex

LIST = 100  # segments of each list that the baselines take

HALVES = {"chosen": (0,), "reported": (1,), "both": (0, 1)}

Record = dict[str, Any]
"""Everything that was found for one question."""


def main() -> None:
    """Ask all questions, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--natures", nargs="+", default=list(NATURES), choices=list(NATURES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[4])
    parser.add_argument("--sizes", nargs="+", type=int, default=[30, 300])
    parser.add_argument("--memos", nargs="*", type=int, default=[1_000], help="sizes of memos")
    parser.add_argument("--corpus", type=Path, help="a folder with text_ir/ in it")
    parser.add_argument("--beir", nargs="*", type=Path, default=[])
    parser.add_argument("--most", type=int, default=150, help="most questions of a real set")
    parser.add_argument("--half", default="reported", choices=list(HALVES), help="of real sets")
    parser.add_argument("--cache", type=Path, help="keeps the collections")
    parser.add_argument("--json", type=Path, help="all that was found, for further analysis")
    parser.add_argument("--docs", action="store_true", help="write the tables into docs/ranking.md")
    arguments = parser.parse_args()
    records: list[Record] = []
    with TemporaryDirectory() as temporary:
        cache = arguments.cache or Path(temporary)
        for each in _sets(arguments):
            began = time.process_time()
            records += measured(each, cache)
            print(f"{each.name}: {len(each.questions)} questions, "
                  f"{time.process_time() - began:.0f} s of CPU", flush=True)  # fmt: skip
            if arguments.json:
                arguments.json.write_text(json.dumps(records))
    print(written(records))
    if arguments.docs:
        write_docs(records)


def _sets(arguments: argparse.Namespace) -> Iterator[RankingSet]:
    for seed in arguments.seeds:
        for nature in arguments.natures:
            sizes = [*arguments.sizes, *(arguments.memos if nature == "memos" else [])]
            for size in sizes:
                yield generated(nature, seed, size)
    folders: list[Path] = list(arguments.beir)
    if arguments.corpus:
        folders += sorted((arguments.corpus / "text_ir").iterdir())
    for folder in folders:
        yield beir_set(folder, arguments.most, HALVES[arguments.half])


def measured(ranking_set: RankingSet, cache: Path) -> list[Record]:
    """Ask a set's questions in every way."""
    folder = cache / "".join(each if each.isalnum() else "-" for each in ranking_set.name)
    lexical = LexicalIndex(None)
    lexical.put(ranking_set.segments)
    with Collection(folder) as collection:
        if not len(collection):
            collection.add(ranking_set.segments)
        client: Any = chromadb.PersistentClient(str(collection.path / "chroma"))
        with closing(client):
            stored = client.get_collection("default", embedding_function=None)
            baselines = _Baselines(collection, lexical, stored, ranking_set)
            return [
                _asked(one, ranking_set, collection, baselines) for one in ranking_set.questions
            ]


def _asked(
    question: Asked, ranking_set: RankingSet, collection: Collection, baselines: _Baselines
) -> Record:
    plain = collection.search(question.text, DEPTH, rerank=False)
    began = time.process_time()
    hits = collection.search(question.text, DEPTH)
    seconds = time.process_time() - began
    systems = {
        **baselines.ask(question.text),
        "not reranked": _places(plain),
        "search": _places(hits),
    }
    right = question.right
    return {
        "set": ranking_set.name,
        "segments": len(ranking_set.segments),
        "question": question.text,
        "kind": question.kind,
        "half": question.half,
        "answerable": bool(right),
        "ndcg": {name: ndcg(found, right) for name, found in systems.items()},
        "first": {name: bool(found) and found[0] in right for name, found in systems.items()},
        "hits": [_hit(hit, place in right) for hit, place in zip(hits, _places(hits), strict=True)],
        "seconds": seconds,
    }


def _hit(hit: Hit, is_right: bool) -> Record:
    return {
        "score": hit.score,
        "evidence": dict(hit.evidence),
        "scores": dict(hit.scores),
        "right": is_right,
    }


def _places(hits: Sequence[Hit]) -> list[Place]:
    return [(hit.segment.source, hit.segment.page) for hit in hits]


class _Baselines:
    """The two lists of a search by themselves, and their plain sum."""

    def __init__(
        self, collection: Collection, lexical: LexicalIndex, stored: Any, ranking_set: RankingSet
    ) -> None:
        self._encode: Callable[[str], Any] = collection.encoder.encode_query
        self._lexical, self._stored = lexical, stored
        self._place = {one.id: (one.source, one.page) for one in ranking_set.segments}

    def ask(self, query: str) -> dict[str, list[Place]]:
        """The places that each finds, best first."""
        n = min(LIST, len(self._place))
        found = self._stored.query(
            query_embeddings=[self._encode(query)], n_results=n, include=["distances"]
        )
        vectors = {id_: -d for id_, d in zip(found["ids"][0], found["distances"][0], strict=True)}
        words = {id_: match.share for id_, match in self._lexical.search(query, LIST)}
        near, said = _relative(vectors), _relative(words)
        both = {id_: near.get(id_, 0.0) + said.get(id_, 0.0) for id_ in {**near, **said}}
        lists = {"vectors": vectors, "BM25": words, "min-max sum": both}
        return {name: self._best(scores) for name, scores in lists.items()}

    def _best(self, scores: dict[str, float]) -> list[Place]:
        ranked = sorted(scores, key=lambda id_: (-scores[id_], id_))
        return list(dict.fromkeys(self._place[id_] for id_ in ranked))[:DEPTH]


def _relative(scores: dict[str, float]) -> dict[str, float]:
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    return {
        id_: (score - low) / (high - low) if high > low else 1.0 for id_, score in scores.items()
    }


if __name__ == "__main__":
    main()
