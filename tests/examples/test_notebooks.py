"""The example notebooks run and show what their text says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[2] / "examples"


def _run(name: str, folder: Path) -> list[list[Any]]:
    """Run a notebook in `folder` and return the outputs of each code cell."""
    notebook: Any = nbformat.read(EXAMPLES / name, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "committed with outputs"
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]


def _printed(outputs: list[Any]) -> str:
    return "".join(output.text for output in outputs if output.get("name") == "stdout")


@pytest.mark.slow
@pytest.mark.enable_socket  # to talk to the kernel on this machine
def test_pdf_slide_search(tmp_path: Path) -> None:
    _, indexed, searched, shown, answered = _run("pdf_slide_search.ipynb", tmp_path)
    assert _printed(indexed).startswith("10 slides and ")
    assert re.findall(r"^slide +(\d+)", _printed(searched), re.MULTILINE)[0] == "6"
    pictures = [output for output in shown if output.output_type == "display_data"]
    assert len(pictures) == 2
    assert all("image/jpeg" in picture.data for picture in pictures)
    [answer] = answered
    assert "I was shown 2 slides and asked: What do people dislike" in answer.data["text/plain"]
