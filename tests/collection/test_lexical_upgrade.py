"""A lexical index of an older version is made again from the catalog, once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import tantivy

from mm_rag import Collection, Encoder
from mm_rag.collection.lexical import known_words
from tests.collection.conftest import segment

TEXTS = ("The ferry ZX-02201 leaves at seven.", "A check valve.", "Check the valves.")


@pytest.fixture
def old(tmp_path: Path, encoder: Encoder) -> Path:
    """A collection with an index as versions up to 1.0 made it."""
    folder = tmp_path / "old"
    segments = [segment(text, number) for number, text in enumerate(TEXTS)]
    with Collection(folder, encoder=encoder) as collection:
        collection.add(segments)
    [words] = folder.glob("*/words")
    shutil.rmtree(words)
    words.mkdir()
    builder = tantivy.SchemaBuilder()
    for name in ("id", "sha256", "language"):
        builder.add_text_field(name, stored=name == "id", tokenizer_name="raw")
    for name in ("title", "text"):
        builder.add_text_field(name, stored=True, tokenizer_name="mm_rag_spaces")
        builder.add_integer_field(f"{name}_length", fast=True)
    builder.add_text_field("whole", tokenizer_name="mm_rag_spaces", index_option="basic")
    index = tantivy.Index(builder.build(), path=str(words))
    spaces = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
    index.register_tokenizer("mm_rag_spaces", spaces)
    writer = index.writer(heap_size=15_000_000, num_threads=1)
    for one in segments:
        writer.add_document(tantivy.Document(id=one.id, language="english", text=one.text.lower()))
    writer.commit()
    writer.wait_merging_threads()
    known_words(words).note()
    return folder


@pytest.mark.slow
def test_an_older_index_is_made_again_once(old: Path, encoder: Encoder) -> None:
    [words] = old.glob("*/words")
    with Collection(old, encoder=encoder) as collection:
        [hit] = collection.search('"check valve"', k=3, rerank=False)
        assert hit.segment.text == TEXTS[1]
        assert collection.verify().ok
    made = {path.name: path.stat().st_mtime_ns for path in words.iterdir()}
    with Collection(old, encoder=encoder) as collection:
        assert len(collection.search("zx02201", k=3, rerank=False)) > 0
        assert collection.verify().ok
    assert {path.name: path.stat().st_mtime_ns for path in words.iterdir()} == made


READ = """
import json, sys
from mm_rag import Collection, Encoder
from tests.collection.conftest import BagOfWords

with Collection(sys.argv[1], encoder=Encoder(modules=[BagOfWords()])) as collection:
    texts = [hit.segment.text for hit in collection.search('"check valve"', k=3, rerank=False)]
print(json.dumps(texts))
"""
MOUNT = 'mount --bind "$1" "$2" && mount -o remount,ro,bind "$2" && shift 2 && exec "$@"'


@pytest.mark.slow
def test_an_older_index_is_searched_from_a_read_only_mount(old: Path, tmp_path: Path) -> None:
    place = tmp_path / "mounted"
    place.mkdir()
    unshare = ["unshare", "-m", "sh", "-c", MOUNT, "sh", str(old), str(place)]
    if shutil.which("unshare") is None or _run([*unshare, "true"], tmp_path).returncode:
        pytest.skip("this user may not mount anything")
    before = {path: path.stat().st_mtime_ns for path in old.rglob("*")}
    ended = _run([*unshare, sys.executable, "-c", READ, str(place)], tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == [TEXTS[1]]
    assert {path: path.stat().st_mtime_ns for path in old.rglob("*")} == before


def _run(command: Sequence[str], temporary: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )
