"""Measure what the frameworks' classes add to the library: time, blocking, tokens, code.

python -m benchmarks.integrations            synthetic texts, the built-in default
python -m benchmarks.integrations --docs     the same, and write the tables to docs/benchmarks.md
python -m benchmarks.integrations --quick    a quick check that it runs
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import io
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from langchain_core.messages import ToolMessage
from llama_index.core.utils import get_tokenizer
from llama_index.embeddings.mm_rag import MultimodalEmbedding
from llama_index.retrievers.mm_rag import MultimodalRetriever as LlamaIndexRetriever
from PIL import Image

from benchmarks.markdown import DOCS, Generated, as_table, where_measured
from benchmarks.timing import Run, interleaved
from langchain_mm_rag import MultimodalEmbeddings, MultimodalSearchTool
from langchain_mm_rag import MultimodalRetriever as LangChainRetriever
from mm_rag import Collection, Encoder, Segment
from mm_rag.demo import make_samples

PLACE = Generated(DOCS / "benchmarks.md", "integrations", "make bench-integrations")

_ROOT = Path(__file__).parents[1]
_TEXTS, _SEGMENTS, _QUERIES = 256, 300, 8
_WORDS = """
    anchor battery bridge camera cargo charter coast crew deck delay dock engine engineer export
    ferry fleet freight fuel gale harbour hull insurance island journey keel lantern ledger market
    mast motor north ocean passenger pilot port price quarter quay repair revenue rope route rudder
    sail schedule signal storm supplier survey tariff ticket tide timber tow vessel wharf winter
""".split()  # noqa: SIM905 - a list of sixty quoted words is harder to read


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print the tables."""
    given = _parsed(arguments)
    torch.set_num_threads(1)
    encoder = Encoder()
    with tempfile.TemporaryDirectory(prefix="mm-rag-bench-") as folder:
        collection = Collection(folder)
        collection.add(_segments())
        with collection:
            made = "\n".join(
                [
                    _embedding_table(encoder, given.rounds),
                    asyncio.run(_waiting_table(collection, given.rounds)),
                    turns_table(encoder),
                    _lines_table(),
                    where_measured("langchain-core", "llama-index-core", "torch") + "\n",
                ]
            )
    print(made)
    if given.docs:
        PLACE.write(made)


async def longest_stall(work: Callable[[], Awaitable[object]]) -> float:
    """The longest time that an awaitable blocks the event loop.

    Args:
        work: Starts the awaitable.

    Returns:
        The longest delay, in seconds, of a coroutine that wakes up every millisecond.
    """
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            start = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - start - 0.001)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)  # let it start
    await work()
    await asyncio.sleep(0.002)  # let it wake up once more
    ticking.cancel()
    return longest


def adapter_lines() -> tuple[int, int]:
    """Lines of code of the adapters, and of the library with its loaders."""
    library = _lines(_ROOT / "mm_rag") + _lines(_ROOT / "loaders")
    return _lines(_ROOT / "integrations"), library


def _embedding_table(encoder: Encoder, rounds: int) -> str:
    chosen = random.Random(7)
    texts = [_text(chosen, chosen.randint(8, 60)) for _ in range(_TEXTS)]
    langchain = MultimodalEmbeddings(encoder=encoder)
    llama_index = MultimodalEmbedding(encoder=encoder)
    calls: dict[str, Callable[[], object]] = {
        "`Encoder.encode_document`": lambda: encoder.encode_document(texts).tolist(),
        "LangChain's `embed_documents`": lambda: langchain.embed_documents(texts),
        "LlamaIndex's `get_text_embedding_batch`": (
            lambda: llama_index.get_text_embedding_batch(texts)
        ),
    }
    for call in calls.values():
        call()
    times = interleaved({name: Run(measured=call) for name, call in calls.items()}, rounds=rounds)
    base, *_ = times.values()
    rows: list[list[str]] = []
    for name, spent in times.items():
        ratios = [mine / plain for mine, plain in zip(spent.rounds, base.rounds, strict=True)]
        spread = f"{median(ratios):.3f} [{min(ratios):.3f} to {max(ratios):.3f}]"
        rows.append([name, str(spent), "" if spent is base else spread])
    heads = [f"{_TEXTS} texts", "processor time", "times the encoder's"]
    return as_table(heads, rows) + (
        f"\nMedians of {rounds} rounds [shortest to longest], in turns in one process, on one "
        "thread.\n"
    )


async def _waiting_table(collection: Collection, rounds: int) -> str:
    langchain = LangChainRetriever(collection=collection)
    llama_index = LlamaIndexRetriever(collection)

    async def idle(_: str) -> None:
        await asyncio.sleep(0.5)

    ways: dict[str, Callable[[str], Awaitable[object]]] = {
        "nothing, for half a second": idle,
        "LangChain's `ainvoke`": langchain.ainvoke,
        "LlamaIndex's `aretrieve`": llama_index.aretrieve,
    }
    rows = [[name, *await _waiting(ask, rounds)] for name, ask in ways.items()]
    heads = [f"{_QUERIES} concurrent queries", "longest stall of the event loop, median", "worst"]
    return as_table([*heads, "seconds for all, median"], rows) + (
        f"\n{rounds} rounds over {_SEGMENTS} passages of 40 words, reranked. Without any work the "
        "loop waits for the machine only.\n"
    )


async def _waiting(ask: Callable[[str], Awaitable[object]], rounds: int) -> list[str]:
    stalls: list[float] = []
    seconds: list[float] = []
    for number in range(rounds + 1):
        chosen = random.Random(number)
        queries = [_text(chosen, 6) for _ in range(_QUERIES)]

        async def together(queries: Sequence[str] = queries) -> None:
            await asyncio.gather(*map(ask, queries))

        start = time.perf_counter()
        stalls.append(await longest_stall(together))
        seconds.append(time.perf_counter() - start)
    del stalls[0], seconds[0]  # the first round opens files
    return [
        f"{1e3 * median(stalls):.0f} ms",
        f"{1e3 * max(stalls):.0f} ms",
        f"{median(seconds):.1f}",
    ]


def _lines_table() -> str:
    adapters, library = adapter_lines()
    heads = ["lines of the adapters", "of the library and the loaders", "share"]
    return as_table(heads, [[f"{adapters:,}", f"{library:,}", f"{adapters / library:.1%}"]])


def _lines(folder: Path) -> int:
    return sum(len(path.read_text("utf-8").splitlines()) for path in folder.rglob("*.py"))


def _segments() -> Iterator[Segment]:
    for number in range(_SEGMENTS):
        source = f"/made-up/{number}.txt"
        sha256 = hashlib.sha256(source.encode()).hexdigest()
        text = _text(random.Random(number), 40)
        yield Segment(modality="text", source=source, sha256=sha256, text=text)


def _text(chosen: random.Random, words: int) -> str:
    return " ".join(chosen.choices(_WORDS, k=words))


def _parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9, help="rounds of measuring")
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--docs", action="store_true", help=f"write them to {PLACE.page.name}")
    given = parser.parse_args(arguments)
    if given.docs and given.quick:
        parser.error("--docs writes the usual tables, without --quick")
    if given.docs and (missing := PLACE.is_missing()):
        parser.error(missing)
    given.rounds = 1 if given.quick else given.rounds
    return given


_BUDGETS = (8_000, 5_000, 3_000)
_PIXELS = 750  # for a token, as Anthropic states for its models
_QUESTION = "revenue, ridership and costs of the ferry lines by quarter"


def turns_table(encoder: Encoder) -> str:
    """Table of the tokens of one agent answer with five slides, under several budgets."""
    with tempfile.TemporaryDirectory(prefix="mm-rag-bench-") as folder:
        make_samples(Path(folder) / "samples")
        with Collection(Path(folder) / "collection", encoder=encoder) as collection:
            collection.sync(next((Path(folder) / "samples").glob("*.pdf")))
            rows = [_row(collection, budget) for budget in _BUDGETS]
    heads = ["budget, tokens", "words", "pictures", "together", "pictures shown", "pixels of each"]
    return as_table(heads, rows) + (
        "\nOne `search` that finds five slides. Words counted by cl100k_base, pictures as width x "
        f"height / {_PIXELS}; the budget itself counts more cautiously.\n"
    )


def _row(collection: Collection, budget: int) -> list[str]:
    call = {"name": "search", "args": {"query": _QUESTION, "k": 5}, "id": "1", "type": "tool_call"}
    message = MultimodalSearchTool(collection, budget=budget).invoke(call)
    assert isinstance(message, ToolMessage)
    blocks: list[dict[str, Any]] = [dict(block) for block in message.content_blocks]
    count = get_tokenizer()
    words = sum(len(count(block["text"])) for block in blocks if block["type"] == "text")
    sizes = [_size(block) for block in blocks if block["type"] == "image"]
    pictures = sum(-(-width * height // _PIXELS) for width, height in sizes)
    largest = "{} x {}".format(*max(sizes)) if sizes else ""
    numbers = (budget, words, pictures, words + pictures, len(sizes))
    return [*(f"{number:,}" for number in numbers), largest]


def _size(block: dict[str, Any]) -> tuple[int, int]:
    return Image.open(io.BytesIO(base64.b64decode(block["base64"]))).size


if __name__ == "__main__":
    main()
