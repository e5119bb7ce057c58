"""Notebooks: cells, outputs and pictures, also of the old format."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import v4
from PIL import Image

from mm_rag_loaders import LoadedFile, LoadOptions, load_file


def png() -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def loaded(path: Path, options: LoadOptions, notebook: Any) -> LoadedFile:
    text = notebook if isinstance(notebook, str) else json.dumps(notebook)
    path.write_text(text, encoding="utf-8")
    return load_file(path, replace(options, workers=0))


def made(*cells: Any, **metadata: Any) -> str:
    return nbformat.writes(v4.new_notebook(cells=list(cells), metadata=metadata))  # pyright: ignore


def test_cells_are_read_in_order_with_their_outputs(tmp_path: Path, options: LoadOptions) -> None:
    table = "<table><tr><th></th><th>cost</th></tr><tr><td>pier</td><td>41</td></tr></table>"
    file = loaded(
        tmp_path / "a.ipynb",
        options,
        made(
            v4.new_markdown_cell("# Harbour *costs*\n\n## Piers"),
            v4.new_code_cell(
                "print(total)\nframe",
                outputs=[
                    v4.new_output("stream", text="41\n"),
                    v4.new_output(
                        "execute_result", data={"text/html": table, "text/plain": "cost 41"}
                    ),
                ],
            ),
            v4.new_code_cell(
                "1 / 0",
                outputs=[
                    v4.new_output(
                        "error",
                        ename="ZeroDivisionError",
                        evalue="division by zero",
                        traceback=["\x1b[0;31m----", "File /home/ada/secret.py"],
                    )
                ],
            ),
            v4.new_raw_cell("raw words"),
            kernelspec={"name": "python3", "display_name": "Python 3", "language": "python"},
        ),
    )
    assert [(s.page, s.where, s.text) for s in file.segments] == [
        (1, "cell 1", "Harbour costs\n\nPiers"),
        (
            2,
            "cell 2",
            "print(total)\nframe\n\n41\n\n|  | cost |\n|---|---|\n| pier | 41 |",
        ),
        (3, "cell 3", "1 / 0\n\nZeroDivisionError: division by zero"),
        (4, "cell 4", "raw words"),
    ]
    assert {s.title for s in file.segments} == {"Harbour *costs*"}
    assert file.segments[1].metadata == {
        "language": "python",
        "heading": "Harbour costs > Piers",
        "place": "cell 2",
    }
    assert file.notes == ()


@pytest.mark.slow
def test_pictures_of_a_notebook_belong_to_it(tmp_path: Path, options: LoadOptions) -> None:
    markdown = v4.new_markdown_cell("# Plan\n\n![The map](attachment:map.png)")
    markdown["attachments"] = {"map.png": {"image/png": png()}}
    drawn = v4.new_output("display_data", data={"image/png": png(), "text/plain": "<Figure 1>"})
    file = loaded(
        tmp_path / "a.ipynb", options, made(markdown, v4.new_code_cell("plot()", outputs=[drawn]))
    )
    pictures = [s for s in file.segments if s.modality == "image"]
    assert [(s.member, s.text, s.metadata.get("heading")) for s in pictures] == [
        ("cell-1-map.png", "The map", "Plan"),
        ("cell-2-output-1.png", "", "Plan"),
    ]
    assert [s.text for s in file.segments if s.modality == "text"] == ["Plan\n\nThe map", "plot()"]


@pytest.mark.slow
def test_a_notebook_of_format_3(tmp_path: Path, options: LoadOptions) -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": ["Old ", "times"]},
        {
            "cell_type": "code",
            "language": "python",
            "input": ["x = 1\n", "x"],
            "outputs": [
                {"output_type": "pyout", "text": ["1"]},
                {"output_type": "x", "png": png()},
            ],
        },
    ]
    file = loaded(tmp_path / "a.ipynb", options, {"nbformat": 3, "worksheets": [{"cells": cells}]})
    assert [(s.where, s.text) for s in file.segments if s.modality == "text"] == [
        ("cell 1", "Old times"),
        ("cell 2", "x = 1\nx\n\n1"),
    ]
    assert file.segments[-1].member == "cell-2-output-1.png"


def test_a_huge_output_is_cut_with_a_note(tmp_path: Path, options: LoadOptions) -> None:
    output = v4.new_output("stream", text="word " * 100_000)
    file = loaded(tmp_path / "a.ipynb", options, made(v4.new_code_cell("x", outputs=[output])))
    assert sum(len(s.text.split()) for s in file.segments) < 6000
    assert [n.text for n in file.notes] == ["cell 1: output cut after 20,000 characters"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"cells": [{"cell_type"', "is damaged: "),
        ('{"cells": ' + "[" * 100_000, "is damaged: it is nested too deep"),
        ("[1, 2]", "is not a notebook"),
        ('{"cells": []}', "has no words in it"),
        ('{"cells": {"a": 1}, "metadata": []}', "has no words in it"),
    ],
)
def test_damaged_notebooks_are_reported(
    tmp_path: Path, options: LoadOptions, content: str, reason: str
) -> None:
    file = loaded(tmp_path / "a.ipynb", options, content)
    assert file.state == "unreadable"
    assert reason in file.reason


def test_wrong_types_in_a_notebook_are_passed_over(tmp_path: Path, options: LoadOptions) -> None:
    cells = [
        None,
        {"cell_type": 3, "source": {"a": 1}},
        {
            "cell_type": "code",
            "source": ["a", 3],
            "outputs": [1, {"data": [1]}, {"data": {"x": 1}}],
        },
        {"cell_type": "markdown", "source": "words", "attachments": {"a": {"image/png": 3}}},
    ]
    file = loaded(tmp_path / "a.ipynb", options, {"cells": cells, "metadata": {"title": 3}})
    assert [s.text for s in file.segments] == ["a", "words"]
