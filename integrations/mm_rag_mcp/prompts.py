"""What people can ask of a collection, as MCP prompts: clients show them as commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mm_rag.errors import InputError


@dataclass(frozen=True)
class _Prompt:
    description: str
    argument: str
    argument_description: str
    text: str


_PROMPTS: Mapping[str, _Prompt] = {
    "answer": _Prompt(
        "Answer a question from the collection, with citations.",
        "question",
        "What is asked.",
        "Answer the question from the collection of documents that this server searches.\n\n"
        "- search for it, also in other words, until what is found answers it; open_segment shows "
        "a page, picture or clip closely.\n"
        "- Say nothing that is not in what you found. Where the collection has no answer, say so.\n"
        "- Cite after each statement the path of the page, picture or clip, such as "
        "/annual.pdf/page-3.\n\n"
        "Question: {}",
    ),
    "summarize": _Prompt(
        "Summarize a file of the collection, with citations.",
        "path",
        "Of the file, such as /annual.pdf.",
        "Summarize a file of the collection of documents that this server searches.\n\n"
        "- cat reads its words; open_segment shows a page with a picture, chart or table.\n"
        "- Begin with one sentence that says what it is, then its main points in their order.\n"
        "- Cite after each point the path of the page or clip, such as /annual.pdf/page-3.\n\n"
        "File: {}",
    ),
}


def list_prompts() -> dict[str, Any]:
    """All prompts."""
    return {"prompts": [_described(name, prompt) for name, prompt in _PROMPTS.items()]}


def get_prompt(name: str, arguments: Mapping[str, str]) -> dict[str, Any]:
    """A prompt with its argument.

    Raises:
        InputError: There is no such prompt, or its argument is missing.
    """
    if name not in _PROMPTS:
        raise InputError(f"There is no prompt {name[:200]}; there are {', '.join(_PROMPTS)}.")
    prompt = _PROMPTS[name]
    given = arguments.get(prompt.argument, "").strip()
    if not given:
        raise InputError(f"The prompt {name} needs its argument {prompt.argument}.")
    content = {"type": "text", "text": prompt.text.format(given)}
    messages = [{"role": "user", "content": content}]
    return {"description": prompt.description, "messages": messages}


def _described(name: str, prompt: _Prompt) -> dict[str, Any]:
    argument = {"name": prompt.argument, "description": prompt.argument_description}
    return {
        "name": name,
        "description": prompt.description,
        "arguments": [{**argument, "required": True}],
    }
