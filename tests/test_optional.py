"""What is missing says what it is for, and how to get it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm_rag._optional import require
from mm_rag.errors import MissingExtra


def test_a_package_that_is_not_there() -> None:
    with pytest.raises(MissingExtra, match=r"Reading PDFs needs .*pip install 'mm-rag\[pdf\]'"):
        require("no_such_package", extra="pdf", feature="Reading PDFs")


def test_a_package_that_is_there_and_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = "libGL.so.1: cannot open shared object file"
    (tmp_path / "needs_a_screen.py").write_text(f"raise ImportError({message!r})")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingExtra, match="opencv-python-headless") as caught:
        require("needs_a_screen", extra="offline", feature="Reading pictures")
    assert "pip install 'mm-rag" not in str(caught.value)


def test_what_is_there_is_returned() -> None:
    assert require("json", extra="pdf", feature="Anything").__name__ == "json"
