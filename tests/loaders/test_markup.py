"""reStructuredText by its structure; AsciiDoc and TeX by their headings."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from mm_rag_loaders import LoadedFile, LoadOptions, load_file

needs_pandoc = pytest.mark.skipif(shutil.which("pandoc") is None, reason="needs pandoc")


def loaded(path: Path, options: LoadOptions, text: str) -> LoadedFile:
    path.write_text(text, encoding="utf-8")
    return load_file(path, replace(options, workers=0))


def words(file: LoadedFile) -> str:
    return "\n\n".join(segment.text for segment in file.segments)


@pytest.mark.slow
def test_rst_is_read_by_its_structure(tmp_path: Path, options: LoadOptions) -> None:
    Image.new("RGB", (64, 64), "teal").save(tmp_path / "pier.png")
    text = (
        "Harbour\n=======\n\nSee `the plan <https://example.org/plan>`_ and :ref:`costs <c>`.\n\n"
        "Costs\n-----\n\n=====  ====\nitem   cost\n=====  ====\npier   41\n=====  ====\n\n"
        ".. code-block:: python\n\n   def f(a):\n       return a < 1\n\n"
        ".. figure:: pier.png\n   :alt: The pier\n\n   Fig. 1: in May\n\n"
        ".. versionadded:: 3.2\n   Something new.\n\n- one\n- two\n"
    )
    file = loaded(tmp_path / "a.rst", options, text)
    segment, picture = file.segments
    assert segment.title == "Harbour"
    assert segment.metadata["links"] == "https://example.org/plan"
    for expected in (
        "Harbour\n\nSee the plan and costs.\n\nCosts\n\n| item | cost |\n|---|---|\n| pier | 41 |",
        "def f(a):\n    return a < 1",
        "Fig. 1: in May",
        "3.2",
        "Something new.",
        "- one\n- two",
    ):
        assert expected in segment.text
    assert (picture.member, picture.text) == ("pier.png", "The pier\nFig. 1: in May")


def test_rst_includes_nothing(tmp_path: Path, options: LoadOptions) -> None:
    (tmp_path / "secret.txt").write_text("secret plans")
    (tmp_path / "secret.csv").write_text("secret,plans")
    text = (
        "Page\n====\n\n.. include:: secret.txt\n\n.. literalinclude:: secret.txt\n\n"
        ".. csv-table::\n   :file: secret.csv\n\n.. raw:: html\n   :file: secret.txt\n\nThe end.\n"
    )
    found = words(loaded(tmp_path / "a.rst", options, text))
    assert "plans" not in found
    assert found.endswith("The end.")


@needs_pandoc
def test_rst_made_by_pandoc(tmp_path: Path, options: LoadOptions) -> None:
    source = "# North\n\nCold *water*.\n\n## Costs\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    made = subprocess.run(
        ["pandoc", "-f", "markdown", "-t", "rst"],
        input=source.encode(),
        capture_output=True,
        check=True,
    )
    file = loaded(tmp_path / "a.rst", options, made.stdout.decode())
    assert words(file) == "North\n\nCold water.\n\nCosts\n\n| a | b |\n|---|---|\n| 1 | 2 |"


def test_asciidoc_has_headings(tmp_path: Path, options: LoadOptions) -> None:
    text = (
        "= Harbour\n// not shown\n\nIntro.\n\n== Costs\n\n|===\n|pier |41\n|===\n\n"
        "include::secret.txt[]\n"
    )
    (tmp_path / "secret.txt").write_text("secret plans")
    [segment] = loaded(tmp_path / "a.adoc", options, text).segments
    assert segment.title == "Harbour"
    assert segment.text == (
        "Harbour\n\nIntro.\n\nCosts\n\n|===\n|pier |41\n|===\n\ninclude::secret.txt[]"
    )


def test_tex_has_headings_and_keeps_formulas(tmp_path: Path, options: LoadOptions) -> None:
    text = (
        "\\documentclass{article}\n\\title{The \\emph{harbour}}\n\\author{Ada}\n% not shown\n"
        "\\begin{document}\n\\maketitle\n\\section{Costs}\\label{c}\nIt is 41\\% of $a_1^2$, "
        "\\textbf{really}.\n\\input{secret}\n\\end{document}\n"
    )
    (tmp_path / "secret.tex").write_text("secret plans")
    [segment] = loaded(tmp_path / "a.tex", options, text).segments
    assert (segment.title, segment.metadata["author"]) == ("The harbour", "Ada")
    assert "Costs\n\nIt is 41% of $a_1^2$, really.\n\\input{secret}" in segment.text
    assert "not shown" not in segment.text
    assert "plans" not in segment.text


@pytest.mark.parametrize("name", ["a.tex", "a.adoc"])
@pytest.mark.parametrize("text", ["{" * 50_000, "\\section{" * 20_000, "= " * 50_000, "%" * 50_000])
def test_odd_markup_is_read_in_linear_time(
    tmp_path: Path, options: LoadOptions, name: str, text: str
) -> None:
    started = time.process_time()
    loaded(tmp_path / name, options, f"Words\n\n{text}\n")
    assert time.process_time() - started < 10


@pytest.mark.parametrize("text", ["> " * 5000 + "x", "- " * 3000 + "x", "`a " * 5000, "*" * 5000])
@pytest.mark.slow
def test_odd_rst_is_read_in_some_way(tmp_path: Path, options: LoadOptions, text: str) -> None:
    assert loaded(tmp_path / "a.rst", options, f"Words\n\n{text}\n").state == "loaded"
