"""SVG drawings: picture, texts, and what they refer to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from mm_rag_loaders import LoadedFile, LoadOptions, load_file

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
DRAWING = (
    HEAD + 'width="200" height="100"><title>Harbour plan</title><desc>Two piers</desc>'
    '<rect width="200" height="100" fill="#ff0000"/><text x="10" y="20"><tspan>North</tspan>'
    '<tspan x="10" y="40">pier</tspan></text></svg>'
)


def loaded(path: Path, options: LoadOptions, text: str) -> LoadedFile:
    path.write_text(text, encoding="utf-8")
    return load_file(path, replace(options, workers=0))


def test_a_drawing_is_a_picture_with_its_texts(tmp_path: Path, options: LoadOptions) -> None:
    file = loaded(tmp_path / "a.svg", options, DRAWING)
    [segment] = file.segments
    assert (segment.modality, segment.title) == ("image", "Harbour plan")
    assert segment.text == "Harbour plan\nTwo piers\nNorth pier"
    assert segment.media
    with Image.open(segment.media) as picture:
        assert picture.width == pytest.approx(2 * picture.height, abs=2)
        red, green, _ = picture.convert("RGB").resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
        assert red > 200 > green


def test_a_drawing_opens_nothing(tmp_path: Path, options: LoadOptions) -> None:
    Image.new("RGB", (100, 100), "blue").save(tmp_path / "secret.png")
    text = (
        HEAD + 'width="100" height="100"><script>alert(1)</script>'
        f'<image xlink:href="file://{tmp_path}/secret.png" width="100" height="100"/>'
        '<image href="secret.png" width="100" height="100"/><text y="9">words</text></svg>'
    )
    file = loaded(tmp_path / "a.svg", options, text)
    [segment] = file.segments
    assert segment.text == "words"
    assert [n.text for n in file.notes] == [
        "files, addresses and scripts to which it refers were left out"
    ]
    assert segment.media
    with Image.open(segment.media) as picture:
        *_, blue = picture.convert("RGB").resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
        assert blue > 200
        assert picture.convert("L").resize((1, 1)).getpixel((0, 0)) > 200  # type: ignore[operator]


@pytest.mark.parametrize(
    "text",
    [
        HEAD + ">" + "<g>" * 5000 + "<text>words</text>" + "</g>" * 5000 + "</svg>",
        HEAD
        + "><text>words</text><g id='g0'><rect width='1' height='1'/></g>"
        + "".join(
            f"<g id='g{n + 1}'>" + f"<use xlink:href='#g{n}'/>" * 10 + "</g>" for n in range(10)
        )
        + "</svg>",
    ],
    ids=["nested", "uses"],
)
def test_bombs_are_not_drawn(tmp_path: Path, options: LoadOptions, text: str) -> None:
    file = loaded(tmp_path / "a.svg", options, text)
    assert [(s.modality, s.text) for s in file.segments] == [("text", "words")]
    assert [n.kind for n in file.notes] == ["limit"]


def test_entities_are_replaced_or_refused(tmp_path: Path, options: LoadOptions) -> None:
    good = f'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY n "North">]>{HEAD}><text>&n;</text></svg>'
    assert loaded(tmp_path / "a.svg", options, good).segments[0].text == "North"
    bad = f'<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/hostname">]>{HEAD}><text>&x;</text></svg>'
    file = loaded(tmp_path / "b.svg", options, bad)
    assert (file.state, file.segments) == ("unreadable", ())


def test_a_damaged_drawing_is_reported(tmp_path: Path, options: LoadOptions) -> None:
    file = loaded(tmp_path / "a.svg", options, DRAWING[:-20])
    assert file.state == "unreadable"
    assert file.reason.startswith("a.svg is damaged: ")
