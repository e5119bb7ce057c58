"""XML: records with their places, feeds, encodings, and hostile files."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from mm_rag_loaders import LoadedFile, LoadOptions, load_file


def loaded(path: Path, options: LoadOptions, content: str | bytes) -> LoadedFile:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_file(path, replace(options, workers=0))


def words(file: LoadedFile) -> str:
    return "\n\n".join(segment.text for segment in file.segments)


def test_records_are_read_with_the_names_of_their_values(
    tmp_path: Path, options: LoadOptions
) -> None:
    content = (
        '<catalog xml:lang="en" xmlns="urn:x"><book id="b1"><author><name>Ada</name></author>'
        '<title>The Sea</title><price currency="EUR">12</price></book>'
        "<book id='b2'><title>Two <i>small</i> boats</title></book></catalog>"
    )
    [segment] = loaded(tmp_path / "a.xml", options, content).segments
    assert segment.text == (
        "id: b1\nauthor/name: Ada\ntitle: The Sea\nprice: 12 (currency: EUR)\n\n"
        "id: b2\ntitle: Two small boats"
    )
    assert segment.where == "/catalog/book[1-2]"
    assert segment.metadata["language"] == "en"


def test_the_items_of_a_feed_are_passages(tmp_path: Path, options: LoadOptions) -> None:
    items = "".join(
        f"<item><title>News {n}</title><description>&lt;p&gt;The &lt;b&gt;wall&lt;/b&gt; "
        f"{'word ' * 100}&lt;/p&gt;</description></item>"
        for n in (1, 2)
    )
    content = f"<rss version='2.0'><channel><title>Harbour</title>{items}</channel></rss>"
    segments = loaded(tmp_path / "a.rss", options, content).segments
    first, second = (s for s in segments if "News" in s.text)
    assert first.text.startswith("title: Harbour\n\ntitle: News 1\ndescription: The wall word")
    assert second.where == "/rss/channel/item[2]"
    assert second.metadata["heading"] == "News 2"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1252"])
def test_the_encoding_is_what_the_file_says(
    tmp_path: Path, options: LoadOptions, encoding: str
) -> None:
    content = f'<?xml version="1.0" encoding="{encoding}"?><a><b>Größe</b></a>'
    assert words(loaded(tmp_path / "a.xml", options, content.encode(encoding))) == "b: Größe"


def test_multibyte_encodings_are_decoded(tmp_path: Path, options: LoadOptions) -> None:
    content = '<?xml version="1.0" encoding="Shift_JIS"?><a><b>東京湾の水質調査報告書</b></a>'
    file = loaded(tmp_path / "a.xml", options, content.encode("shift_jis"))
    assert words(file) == "b: 東京湾の水質調査報告書"


def test_entities_of_the_file_are_replaced_and_others_not_opened(
    tmp_path: Path, options: LoadOptions
) -> None:
    (tmp_path / "secret.txt").write_text("secret plans")
    content = (
        '<!DOCTYPE a [<!ENTITY v "1.2"><!ENTITY x SYSTEM "secret.txt">'
        '<!ENTITY w SYSTEM "http://127.0.0.1:9/x">]><a><b>version &v; &x;&w;</b></a>'
    )
    file = loaded(tmp_path / "a.xml", options, content)
    assert words(file) == "b: version 1.2"
    assert [n.text for n in file.notes] == ["entities outside of the file were not read"]


def test_entities_of_html_are_read_without_a_dtd(tmp_path: Path, options: LoadOptions) -> None:
    for head in ("", '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">'):
        file = loaded(tmp_path / "a.xml", options, f"{head}<a><b>caf&eacute;&nbsp;x</b></a>")
        assert (words(file), file.notes) == ("b: café x", ())


def test_a_bomb_of_entities_is_refused(tmp_path: Path, options: LoadOptions) -> None:
    content = '<!DOCTYPE a [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><a>&b;</a>'
    file = loaded(tmp_path / "a.xml", options, content)
    assert file.state == "unreadable"
    assert file.reason == "a.xml declares entities that contain others, as bombs do."


def test_a_file_that_is_cut_keeps_what_is_before(tmp_path: Path, options: LoadOptions) -> None:
    file = loaded(tmp_path / "a.xml", options, "<a>\n<b>one</b>\n<b>two</b>\n<b>thr")
    assert words(file) == "b: one\n\nb: two\n\nb: thr"
    [note] = file.notes
    assert (note.kind, note.text) == (
        "damaged",
        "what follows line 4: no element found was not read",
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<a/>", "a.xml has no words in it."),
        ("<?xml version='1.0'?><a><b c=1>", "a.xml is damaged:"),
    ],
)
def test_what_has_no_words_is_unreadable(
    tmp_path: Path, options: LoadOptions, content: str, reason: str
) -> None:
    file = loaded(tmp_path / "a.xml", options, content)
    assert file.state == "unreadable"
    assert file.reason.startswith(reason)


@pytest.mark.parametrize(
    "content",
    [
        "<a>" * 100_000 + "the end" + "</a>" * 100_000,
        "<a " + " ".join(f'a{n}="{n}"' for n in range(50_000)) + ">the end</a>",
        "<a><b>" + "word " * 100_000 + "the end</b></a>",
        "<a>" + "<b/>" * 100_000 + "<b>the end</b></a>",
    ],
    ids=["deep", "attributes", "text", "elements"],
)
@pytest.mark.slow
def test_hostile_files_are_read_in_linear_time(
    tmp_path: Path, options: LoadOptions, content: str
) -> None:
    started = time.process_time()
    assert words(loaded(tmp_path / "a.xml", options, content)).endswith("end")
    assert time.process_time() - started < 10
