"""JSON and JSON lines: objects with their keys and paths."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mm_rag_loaders import LoadedFile, LoadOptions, load_file


@pytest.fixture
def here(options: LoadOptions) -> LoadOptions:
    return replace(options, workers=0)


def read(folder: Path, options: LoadOptions, text: str | Any, name: str = "a.json") -> LoadedFile:
    path = folder / name
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    return load_file(path, options)


def texts(loaded: LoadedFile) -> list[str]:
    return [segment.text for segment in loaded.segments]


def notes(loaded: LoadedFile) -> list[tuple[str, str]]:
    return [(note.kind, note.text) for note in loaded.notes]


def test_a_small_file_is_one_passage_with_its_keys(tmp_path: Path, here: LoadOptions) -> None:
    lease = {"tenant": {"name": "Ada", "since": "2019-05-01"}, "rent": 830, "keys": ["A7", "B2"]}
    loaded = read(tmp_path, here, lease, "harbour_lease.json")
    assert (loaded.state, loaded.kind) == ("loaded", "json")
    assert texts(loaded) == ["tenant.name: Ada\ntenant.since: 2019-05-01\nrent: 830\nkeys: A7, B2"]
    [passage] = loaded.segments
    assert (passage.where, passage.title) == ("$", "harbour lease")


def test_numbers_stay_as_written_and_keys_that_occur_twice_too(
    tmp_path: Path, here: LoadOptions
) -> None:
    text = (
        '{"price": 1.50, "large": 12345678901234567890123, "power": 1e5, "minus": -0, '
        '"code": "0012", "yes": true, "nothing": null, "key": "one", "key": "two"}'
    )
    assert texts(read(tmp_path, here, text)) == [
        "price: 1.50\nlarge: 12345678901234567890123\npower: 1e5\nminus: -0\n"
        "code: 0012\nyes: true\nkey: one\nkey: two"
    ]


ORDERS = [
    {"id": f"ORD-{n:04d}", "customer": f"Customer {n}", "lines": [{"part": f"P{n}", "pieces": n}]}
    for n in range(200)
]


def test_objects_of_an_array_know_their_path(tmp_path: Path, here: LoadOptions) -> None:
    loaded = read(tmp_path, here, {"shop": "Rope & Co", "orders": ORDERS})
    first, *others = loaded.segments
    assert (first.text, first.where) == ("shop: Rope & Co", "$")
    seen = 0
    for segment in others:
        heading, *lines = segment.text.splitlines()
        assert heading == "Rope & Co > orders"
        count = sum(line.startswith("id: ") for line in lines)
        assert segment.where == f"$.orders[{seen}-{seen + count - 1}]"
        assert f"id: ORD-{seen:04d}\ncustomer: Customer {seen}\nlines.part: P{seen}" in segment.text
        seen += count
    assert seen == 200


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json"])
def test_json_lines_know_their_lines(tmp_path: Path, here: LoadOptions, name: str) -> None:
    text = "".join(json.dumps(order) + "\n" for order in ORDERS)
    loaded = read(tmp_path, here, text, name)
    seen = 0
    for segment in loaded.segments:
        count = segment.text.count("id: ")
        assert segment.where == f"lines {seen + 1}-{seen + count}"
        seen += count
    assert seen == 200
    assert "id: ORD-0199\ncustomer: Customer 199\n" in texts(loaded)[-1]


def test_a_damaged_line_is_read_as_text_and_the_next_ones_as_json(
    tmp_path: Path, here: LoadOptions
) -> None:
    loaded = read(tmp_path, here, '{"a": 1}\n{"b": broken}\n{"c": 3}\n', "a.jsonl")
    assert texts(loaded) == ['a: 1\n\n{"b": broken}\n\nc: 3']
    note = "1 line without JSON, the first is line 2: read as text"
    assert notes(loaded) == [("damaged", note)]


def test_a_chat_reads_well(tmp_path: Path, here: LoadOptions) -> None:
    words = "The roof leaks again and we should ask the roofer of last year."
    chat = {
        "name": "Family chat",
        "messages": [{"from": ("Ada", "Ben")[n % 2], "text": f"{n}. {words}"} for n in range(60)],
    }
    loaded = read(tmp_path, here, chat)
    assert texts(loaded)[0] == "name: Family chat"
    assert f"from: Ada\ntext: 12. {words}\n\nfrom: Ben\ntext: 13. {words}" in "\n".join(
        texts(loaded)
    )
    assert {text.splitlines()[0] for text in texts(loaded)[1:]} == {"Family chat > messages"}


def test_a_long_text_is_cut_like_a_text_with_the_name_of_its_object(
    tmp_path: Path, here: LoadOptions
) -> None:
    text = "\n\n".join(
        f"Paragraph {n} tells of the harbour wall and its cranes." for n in range(60)
    )
    articles = [{"title": "The wall", "body": text, "author": "Okafor"}, {"title": "Fish"}]
    loaded = read(tmp_path, here, {"articles": articles})
    whole = "\n".join(texts(loaded))
    for n in range(60):
        assert f"Paragraph {n} tells of the harbour wall and its cranes." in whole
    long_ones = [s for s in loaded.segments if "Paragraph" in s.text]
    assert len(long_ones) > 2
    for segment in long_ones:
        assert segment.text.startswith("articles\ntitle: The wall\nbody:\n")
        assert segment.where == "$.articles[0]"
    assert "author: Okafor" in whole


def test_geojson_keeps_its_properties_together(tmp_path: Path, here: LoadOptions) -> None:
    ring = [[12 + n, 41.9] for n in range(80)]
    feature = {
        "type": "Feature",
        "properties": {"name": "Old quay", "depth": 9.5},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    loaded = read(tmp_path, here, {"type": "FeatureCollection", "features": [feature]}, "a.geojson")
    assert any("properties.name: Old quay\nproperties.depth: 9.5" in text for text in texts(loaded))
    assert "91, 41.9" in texts(loaded)[-1]


def test_bytes_in_letters_are_left_out_and_noted(tmp_path: Path, here: LoadOptions) -> None:
    picture = "data:image/png;base64," + "iVBORw0KGgoAAAANSUhEUg" * 500
    loaded = read(tmp_path, here, {"name": "Logo", "picture": picture})
    assert texts(loaded) == ["name: Logo"]
    assert notes(loaded) == [
        ("unsupported", "bytes written as text were left out, first at $.picture")
    ]


@pytest.mark.parametrize(
    "text",
    [
        '// our settings\n{"depth": 9, /* metres */ "quay": "old",}',
        '{"depth": 9, "quay": "old",}',
        "{depth: 9, quay: 'old'}",
        '{"depth": 9, "quay": "old"',
    ],
)
def test_what_is_no_json_is_read_as_text(tmp_path: Path, here: LoadOptions, text: str) -> None:
    loaded = read(tmp_path, here, text)
    whole = "\n".join(texts(loaded))
    assert "depth" in whole
    assert "9" in whole
    assert "old" in whole
    [(kind, note)] = notes(loaded)
    assert kind == "damaged"
    assert "read as text" in note


def test_a_cut_file_gives_what_comes_before(tmp_path: Path, here: LoadOptions) -> None:
    text = json.dumps({"orders": ORDERS})
    loaded = read(tmp_path, here, text[: len(text) // 2])
    assert "id: ORD-0050" in "\n".join(texts(loaded))
    assert [kind for kind, _ in notes(loaded)] == ["damaged"]


def test_deep_nesting_is_bounded_and_noted(tmp_path: Path, here: LoadOptions) -> None:
    loaded = read(tmp_path, here, '{"name": "deep", "x": ' + '{"a": ' * 500 + "1" + "}" * 501)
    assert texts(loaded)[0] == "name: deep"
    assert [kind for kind, _ in notes(loaded)] == ["limit"]
    bomb = read(tmp_path, here, "[" * 1_000_000)
    assert bomb.state in ("loaded", "unreadable")


@pytest.mark.parametrize("text", ["null", "{}", "[]", '""', "   \n"])
def test_a_file_without_values(tmp_path: Path, here: LoadOptions, text: str) -> None:
    loaded = read(tmp_path, here, text)
    assert (loaded.state, loaded.reason) == ("unreadable", "a.json has no values in it.")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_encodings(tmp_path: Path, here: LoadOptions, encoding: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(json.dumps({"Größe": "Straße"}, ensure_ascii=False).encode(encoding))
    assert texts(load_file(path, here)) == ["Größe: Straße"]


@pytest.mark.slow
def test_a_file_larger_than_what_is_parsed_at_once(tmp_path: Path, here: LoadOptions) -> None:
    """An array and a text of over a million letters each, and members after them."""
    orders = [{"id": f"ORD-{n:06d}", "note": "rope " * 5} for n in range(30_000)]
    words = " ".join(f"word{n}" for n in range(200_000))
    loaded = read(tmp_path, here, {"orders": orders, "long": words, "end": "the last"})
    whole = "\n".join(texts(loaded))
    assert whole.count("id: ORD-") == 30_000
    assert "word199999" in whole
    assert "end: the last" in whole
    assert loaded.segments[0].where.startswith("$.orders[0-")
    assert notes(loaded) == []
