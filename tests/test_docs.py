"""The examples in README.md and docs/ run, their commands parse, their links lead somewhere."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from langchain_core.messages import AIMessage
from llama_index.core.base.llms.types import LLMMetadata
from llama_index.core.llms import MockLLM

from mm_rag import Collection
from mm_rag.cli import app
from mm_rag.demo import make_samples
from tests.av_made import sign
from tests.integrations.scripted import (
    ScriptedChatModel,
    ScriptedLLM,
    asks,
    llama_asks,
    llama_says,
    with_function_agent,
)
from tests.parity.table import TABLES, table
from tools import formats_table

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(<!-- not run:[^\n]*-->\n)?```python\n(.*?)```", re.DOTALL)
SEARCH = ("search", {"query": "Which ferry line loses money?"})

# For each page with examples: how many run, and what they print.
RUN: dict[str, tuple[int, list[str]]] = {
    "README.md": (4, ["1. review.pdf page 6 (", "The Airport line.", "Airport", "It is Airport."]),
    "agents.md": (2, ["It is Airport.", "It is the Airport."]),
    "collection.md": (2, ["review.pdf ('2024',)", "The ferry leaves at nine."]),
    "frameworks.md": (2, ["['text', 'image']"]),
    "loading.md": (1, ["files/review.pdf page 1"]),
    "models.md": (2, ["('text', 'image', 'audio', 'video') True"]),
    "rerankers.md": (1, ["[{'index': 1, 'score': "]),
    "search-and-ranking.md": (2, ["'rerank': "]),
    "security.md": (1, ["outside"]),
}


class ChatLLM(MockLLM):
    """LlamaIndex's MockLLM as a chat model."""

    @property
    def metadata(self) -> LLMMetadata:
        return super().metadata.model_copy(update={"is_chat_model": True})


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two files and the collection that the examples open."""
    folder = tmp_path_factory.mktemp("docs")
    make_samples(folder / "samples")
    (folder / "files").mkdir()
    (folder / "samples" / "quarterly_review.pdf").rename(folder / "files" / "review.pdf")
    sign("Last departure 21:40").save(folder / "files" / "ferry.jpg")
    with Collection(folder / "my-collection") as collection:
        collection.sync(folder / "files")
    return folder


def examples(page: Path) -> Iterator[str]:
    for not_run, code in BLOCK.findall(page.read_text(encoding="utf-8")):
        if not not_run:
            yield code


async def run(code: str, names: dict[str, Any]) -> None:
    """Run an example, which may wait for something."""
    compiled = compile(code, "example", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    waiting = eval(compiled, names)
    if waiting is not None:
        await waiting


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
@with_function_agent
async def test_every_example_runs(
    indexed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.chdir(indexed)
    [page] = [page for page in PAGES if page.name == name]
    is_about_agents = name == "agents.md"
    replies = [asks(SEARCH), AIMessage("It is Airport.")]
    names: dict[str, Any] = {
        "__name__": "example",
        "chat_model": ScriptedChatModel(
            responses=replies if is_about_agents else [AIMessage("The Airport line."), *replies]
        ),
        "llm": ScriptedLLM(responses=[llama_asks(SEARCH), llama_says("It is the Airport.")])
        if is_about_agents
        else ChatLLM(max_tokens=None),
    }
    count, shown = RUN[name]
    ran = 0
    for code in examples(page):
        await run(code, names)
        ran += 1
    assert ran == count
    printed = capsys.readouterr().out
    assert [words for words in shown if words not in printed] == []
    if "louder" in names:
        doubled = names["louder"].encode("a")
        np.testing.assert_allclose(doubled, 2 * names["encoder"].encode("a"), rtol=1e-6)


def test_imports_of_examples_that_do_not_run_exist() -> None:
    blocks = [
        code
        for page in PAGES
        for not_run, code in BLOCK.findall(page.read_text(encoding="utf-8"))
        if not_run
    ]
    assert len(blocks) == 3
    for code in blocks:
        lines = [line for line in code.splitlines() if line.startswith("from ")]
        exec("\n".join(lines), {})


def test_no_page_with_examples_is_forgotten() -> None:
    assert {page.name for page in PAGES if list(examples(page))} == set(RUN)


def commands() -> Iterator[str]:
    for page in PAGES:
        for line in page.read_text(encoding="utf-8").splitlines():
            if re.match(r"    (\.venv/bin/)?mm-rag ", line):
                yield line.strip().removeprefix(".venv/bin/")


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_commands_parse(command: str) -> None:
    _, name, *arguments = shlex.split(command)
    group: Any = typer.main.get_command(app)
    group.commands[name].make_context(name, arguments)  # a wrong option is a UsageError


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.is_file(), link
        if anchor:
            heads = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {head.lower().replace(" ", "-") for head in heads}, link


def test_the_tables_are_those_of_the_tests() -> None:
    for place, families in TABLES.items():
        text = place.page.read_text(encoding="utf-8")
        assert place.inserted(text, table(families)) == text, "run: make families"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_paths_exist(page: Path) -> None:
    top = "mm_rag|loaders|integrations|examples|benchmarks|tests|tools|docs"
    named = set(re.findall(rf"`((?:{top})/[\w./]*)`", page.read_text(encoding="utf-8")))
    assert page.name != "CONTRIBUTING.md" or len(named) > 50
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


def test_contributing_names_every_folder_of_the_library() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    folders = [path.parent.name for path in (ROOT / "mm_rag").glob("*/__init__.py")]
    assert len(folders) > 10
    assert [name for name in folders if f"`mm_rag/{name}/" not in text] == []


def test_the_readme_lists_the_kinds_of_files() -> None:
    text = formats_table.TABLE.page.read_text(encoding="utf-8")
    again = formats_table.TABLE.inserted(text, formats_table.table())
    assert text == again, "Run python -m tools.formats_table."


def test_the_readme_counts_the_families() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for families in TABLES.values():
        assert f"{len(families)} families tested" in text
