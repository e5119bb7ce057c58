"""Markdown by its structure, with the HTML and the pictures in it."""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mm_rag_loaders import LoadedFile, LoadOptions, load_file


def loaded(path: Path, options: LoadOptions, text: str) -> LoadedFile:
    path.write_text(text, encoding="utf-8")
    return load_file(path, replace(options, workers=0))


def words(file: LoadedFile) -> str:
    return "\n\n".join(segment.text for segment in file.segments)


def test_markdown_is_read_by_its_structure(tmp_path: Path, options: LoadOptions) -> None:
    text = (
        "# Care of *roses*\n\nWater [them](https://example.org/water) daily.[^1]\n\n"
        "| Month | Task |\n|---|:--|\n| May | cut \\| tie |\n\n- [x] pruned\n- [ ] fed\n  1. one"
        "\n\n```python\ndef f(a):\n    return a < 1\n```\n\nTerm\n: Its meaning\n\n"
        "Cost: $a_1 + b_2$ of <b>bold</b> H<sub>2</sub>O\n\n[^1]: Only in summer.\n"
    )
    file = loaded(tmp_path / "a.md", options, text)
    assert words(file) == (
        "Care of roses\n\nWater them daily.[1]\n\n"
        "| Month | Task |\n|---|---|\n| May | cut \\| tie |\n\n"
        "- [x] pruned\n- [ ] fed\n  1. one\n\ndef f(a):\n    return a < 1\n\n"
        "Term: Its meaning\n\nCost: $a_1 + b_2$ of bold H2O\n\n1. Only in summer."
    )
    [segment] = file.segments
    assert segment.title == "Care of roses"
    assert segment.metadata == {"heading": "Care of roses", "links": "https://example.org/water"}
    assert file.notes == ()


@pytest.mark.parametrize(
    "text",
    [
        "<html> is the root element of a page; this tutorial explains the others.",
        '<?xml version="1.0"?> is the first line of every feed.',
        "Use git clone <url> and <your-name>, or List<T> and a < b > c.",
        "The <script> element and the <table> element hold rows.",
        "<table> is the tag for tables.",
        "<style> is for colours, <title> for names.",
        "<!DOCTYPE html> begins a page.",
    ],
)
def test_tags_that_are_words_are_kept(tmp_path: Path, options: LoadOptions, text: str) -> None:
    assert words(loaded(tmp_path / "a.md", options, text)) == text.replace("`", "")


def test_html_in_markdown_is_read_as_html(tmp_path: Path, options: LoadOptions) -> None:
    text = (
        '<p align="center">\n\n**Ferry**\n\n</p>\n\n<!-- not shown -->\n\n<table><tr><th>a</th><th>'
        "b</th></tr><tr><td>1</td><td>2</td></tr></table>\n\n<details><summary>More</summary>\n\n"
        "Below\n\n</details>"
    )
    file = loaded(tmp_path / "a.md", options, text)
    assert words(file) == "Ferry\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nMore\n\nBelow"


@pytest.mark.parametrize(
    ("front", "title", "metadata", "words_of_others"),
    [
        (
            "---\ntitle: The ferry\nauthor: [Ada, Ben]\ndate: 2024-03-01\ntags:\n  - sea\n  - tug\n"
            "abstract: All about it\n---\n",
            "The ferry",
            {"author": "Ada, Ben", "date": "2024-03-01", "keywords": "sea, tug"},
            "abstract: All about it\n\n",
        ),
        (
            '+++\ntitle = "The ferry"\nlang = "en"\n+++\n',
            "The ferry",
            {"language": "en"},
            "",
        ),
    ],
)
def test_fields_above_the_text_become_metadata(
    tmp_path: Path,
    options: LoadOptions,
    front: str,
    title: str,
    metadata: Mapping[str, str],
    words_of_others: str,
) -> None:
    file = loaded(tmp_path / "a.md", options, f"{front}\n# Heading\n\nText")
    [segment] = file.segments
    assert (segment.title, segment.text) == (title, f"{words_of_others}Heading\n\nText")
    assert {n: v for n, v in segment.metadata.items() if n != "heading"} == metadata


@pytest.mark.parametrize(
    "front",
    [
        "---\na: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n---\n",
        "---\n- only\n- a list\n---\n",
        "---\nkey: [never closed\n---\n",
        "---\n!!python/object/apply:os.system ['true']\n---\n",
        "+++\nkey = \n+++\n",
        "---\n" + "[" * 5000 + "\n---\n",
    ],
)
def test_fields_that_are_not_well_formed_stay_text(
    tmp_path: Path, options: LoadOptions, front: str
) -> None:
    file = loaded(tmp_path / "a.md", options, f"{front}\nText below")
    assert words(file).endswith("Text below")
    assert front.split()[1].strip("[]-") in words(file)


@pytest.mark.slow
def test_pictures_beside_markdown_belong_to_it(tmp_path: Path, options: LoadOptions) -> None:
    (tmp_path / "img").mkdir()
    Image.new("RGB", (64, 64), "teal").save(tmp_path / "img" / "a.png")
    text = "# Plan\n\n## Pier\n\n![The new pier](img/a.png)\n\n![](https://example.org/b.png)"
    file = loaded(tmp_path / "a.md", options, text)
    page, picture = file.segments
    assert page.text == "Plan\n\nPier\n\nThe new pier"
    assert (picture.modality, picture.member) == ("image", "img/a.png")
    assert (picture.text, picture.metadata["heading"]) == ("The new pier", "Plan > Pier")
    assert [(n.kind, n.text) for n in file.notes] == [
        ("limit", "1 picture (https://example.org/b.png) is on the web and not fetched")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "![" * 30_000,
        "[" * 30_000,
        "*a_ " * 20_000,
        "> " * 20_000 + "the end",
        "".join("  " * depth + "- item\n" for depth in range(300)) + "\nthe end",
        "<!--" * 20_000,
        "|a" * 3000 + "\n" + "|-" * 3000 + "\n" + ("|b" * 3000 + "\n") * 3 + "\nthe end",
    ],
    ids=["pictures", "brackets", "stars", "quotes", "lists", "comments", "columns"],
)
@pytest.mark.slow
def test_hostile_markdown_is_read_in_linear_time(
    tmp_path: Path, options: LoadOptions, text: str
) -> None:
    started = time.process_time()
    file = loaded(tmp_path / "a.md", options, text)
    assert file.state == "loaded"
    assert text.strip()[-7:].strip("|*_<> ")[-3:] in words(file)
    assert time.process_time() - started < 10


def test_without_its_parser_markdown_is_plain_text(
    tmp_path: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.import_module

    def module(name: str, package: str | None = None) -> Any:
        if name.startswith("selectolax"):
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", module)
    file = loaded(tmp_path / "a.md", options, "# Roses\n\nWater *them*.")
    assert [(s.title, s.text) for s in file.segments] == [("Roses", "# Roses\n\nWater *them*.")]
    assert [n.kind for n in file.notes] == ["missing reader"]
