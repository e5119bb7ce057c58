"""Count the files and functions of this project that four typical calls go through.

    python -m benchmarks.walks             print the table
    python -m benchmarks.walks --files     also list the files in the order of entry

A reader of a call opens the files of its walk. Each call is made once before it is traced, so that
imports and lazy initialisation do not count.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pymupdf

import mm_rag
import mm_rag_loaders
from benchmarks.markdown import as_table
from benchmarks.rerankers.checkpoints import write_text_reranker
from benchmarks.rerankers.plans import QUICK
from mm_rag import Collection, Encoder, Reranker
from mm_rag_loaders import LoadOptions

_ROOTS = tuple(str(Path(str(package.__file__)).parent) for package in (mm_rag, mm_rag_loaders))
_SENTENCES = (
    "The Airport line loses 0.3 million a quarter.",
    "Ridership of the Harbour line rose by a tenth in spring.",
)


@dataclass
class Walk:
    """The files and functions of one call.

    Attributes:
        files: Files in the order in which they are entered.
        functions: Distinct functions.
        switches: Number of calls into another file than that of the previous call of the thread.
    """

    files: list[str] = field(default_factory=list[str])
    functions: set[CodeType] = field(default_factory=set[CodeType])
    switches: int = 0


@contextmanager
def traced() -> Generator[Walk]:
    """Trace this thread and the threads that it starts."""
    walk, last, lock = Walk(), threading.local(), threading.Lock()

    def profile(frame: FrameType, event: str, _: Any) -> None:
        name = frame.f_code.co_filename
        if event != "call" or not name.startswith(_ROOTS):
            return
        with lock:
            if name not in walk.files:
                walk.files.append(name)
            walk.functions.add(frame.f_code)
            walk.switches += getattr(last, "name", name) != name
        last.name = name

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield walk
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def measured(folder: Path) -> Iterator[tuple[str, Walk]]:
    """Yield the four walks; a PDF, two collections and a reranker are written to `folder`."""
    encoder = Encoder()
    pdf = _two_pages(folder / "review.pdf")
    with Collection(folder / "first", encoder=encoder) as collection:
        collection.sync(pdf, options=LoadOptions(workers=0))

        def search() -> object:
            return collection.search("Which line loses money?", rerank=False)

        yield "`Collection.search`, no rerank", _second(search)
    yield '`encode("hello")`', _second(lambda: encoder.encode("hello"))
    with Collection(folder / "second", encoder=encoder) as collection, traced() as walk:
        collection.sync(pdf, options=LoadOptions(workers=0))
    yield "`sync` of a PDF of 2 pages, `workers=0`", walk
    assert QUICK.text is not None
    reranker = Reranker(write_text_reranker(folder / "reranker", QUICK.text))
    texts = [*_SENTENCES, "Mooring rope, 40 m"]
    yield (
        "`rank` of 3 texts, a language model",
        _second(lambda: reranker.rank("Which line loses money?", texts)),
    )


def _second(call: Callable[[], object]) -> Walk:
    call()
    with traced() as walk:
        call()
    return walk


def _two_pages(path: Path) -> Path:
    with pymupdf.open() as document:
        for sentence in _SENTENCES:
            document.new_page().insert_text((72, 72), sentence)
        document.save(path)
    return path


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", action="store_true", help="also list the files")
    listed = parser.parse_args().files
    with tempfile.TemporaryDirectory(prefix="mm-rag-bench-") as folder:
        walks = list(measured(Path(folder)))
    rows = [
        [name, str(len(walk.files)), str(len(walk.functions)), str(walk.switches)]
        for name, walk in walks
    ]
    print(as_table(["call", "files", "functions", "switches between files"], rows))
    for name, walk in walks if listed else ():
        print(name, *(f"    {_short(path)}" for path in walk.files), sep="\n")


def _short(path: str) -> str:
    root = next(root for root in _ROOTS if path.startswith(root))
    return str(Path(path).relative_to(Path(root).parent))


if __name__ == "__main__":
    main()
