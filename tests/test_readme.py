"""The README's examples run, in order, over the demo's slide deck."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage
from llama_index.core.base.llms.types import LLMMetadata
from llama_index.core.llms import MockLLM

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
from tests.parity.table import written

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"(<!-- not run:[^\n]*-->\n)?```python\n(.*?)```", re.DOTALL)


SEARCH = ("search", {"query": "Which ferry line loses money?"})


class ChatLLM(MockLLM):
    """LlamaIndex's stand-in, which says of itself that it chats."""

    @property
    def metadata(self) -> LLMMetadata:
        return super().metadata.model_copy(update={"is_chat_model": True})


def examples() -> Iterator[str]:
    for not_run, code in BLOCK.findall(README.read_text(encoding="utf-8")):
        if not not_run:
            yield code


async def run(code: str, names: dict[str, Any]) -> None:
    """Run an example, which may wait for something."""
    compiled = compile(code, str(README), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    waiting = eval(compiled, names)
    if waiting is not None:
        await waiting


@pytest.mark.slow
@with_function_agent
async def test_every_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_samples(tmp_path / "samples")
    (tmp_path / "files").mkdir()
    (tmp_path / "samples" / "quarterly_review.pdf").rename(tmp_path / "files" / "review.pdf")
    monkeypatch.chdir(tmp_path)
    sign("Last departure 21:40").save(tmp_path / "files" / "ferry.jpg")
    names: dict[str, Any] = {
        "__name__": "readme",
        "chat_model": FakeListChatModel(responses=["The Airport line."]),
        "llm": ChatLLM(max_tokens=None),
        "chat_agent": ScriptedChatModel(responses=[asks(SEARCH), AIMessage("It is Airport.")]),
        "llm_agent": ScriptedLLM(responses=[llama_asks(SEARCH), llama_says("It is the Airport.")]),
    }
    ran = 0
    for code in examples():
        await run(code, names)
        ran += 1
    assert ran == 13
    printed = capsys.readouterr().out
    assert "1. review.pdf page 6 (" in printed
    assert "The Airport line." in printed
    assert "['text', 'image']" in printed
    assert "It is Airport." in printed
    assert "It is the Airport." in printed
    assert "Airport" in printed.split("The Airport line.")[1]
    assert "('text', 'image', 'audio', 'video') True" in printed
    assert "[{'index': 1, 'score': " in printed
    doubled = names["louder"].encode("a")
    np.testing.assert_allclose(doubled, 2 * names["encoder"].encode("a"), rtol=1e-6)


def test_the_tables_are_those_of_the_tests() -> None:
    readme = README.read_text(encoding="utf-8")
    assert readme == written(readme), "run: make families"
