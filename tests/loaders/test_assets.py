"""AssetStore: pictures and word boxes in files named after their content."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mm_rag_loaders import AssetStore, LoadOptions, Source, load_files
from tests.loaders.pictures import sign
from tests.media_made import make_pdf


def opened(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        picture.load()
        return picture


def test_what_is_written_is_what_it_is_said_to_be(tmp_path: Path) -> None:
    store = AssetStore(tmp_path)
    path = store.write(sign("Harbour"))
    written = opened(path)
    assert (written.format, path.suffix, store.picture_mime) == ("JPEG", ".jpg", "image/jpeg")
    assert written.size == (700, 200)
    assert path == store.write(sign("Harbour"))
    difference = np.asarray(written.convert("L"), float) - np.asarray(sign("Harbour").convert("L"))
    assert np.abs(difference).mean() < 1.0


def test_a_roll_of_paper_fits(tmp_path: Path) -> None:
    """JPEG has no room for longer sides: such a page could not be written."""
    strip = opened(AssetStore(tmp_path).write(Image.new("RGB", (4, 80_000))))
    assert strip.height > 16_000


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_what_is_written_for_a_file_can_lie_apart(tmp_path: Path, workers: int) -> None:
    kept = AssetStore(tmp_path / "assets", by_file=True)
    # The same page in two files.
    for name in ("a.pdf", "b.pdf"):
        make_pdf(tmp_path / name, ["Alpha."] if name == "a.pdf" else ["Alpha.", "Beta."])
    options = LoadOptions(assets=kept, workers=workers)
    first, second = load_files([Source(tmp_path / "a.pdf"), Source(tmp_path / "b.pdf")], options)
    for loaded in (first, second):
        own = kept.root / loaded.sha256
        files = [Path(path or "") for s in loaded.segments for path in (s.media, s.boxes)]
        assert all(file.is_file() and own in file.parents for file in files)
    shutil.rmtree(kept.root / first.sha256)
    assert all(Path(segment.media or "").is_file() for segment in second.segments)


def test_segments_name_files_by_absolute_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert AssetStore(Path("kept")).write(sign("Hi")).is_relative_to(tmp_path / "kept")
