"""grep: matching lines of pages, pictures and transcripts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mm_rag import Collection
from mm_rag.agent_tools import Toolbox, grep
from mm_rag.errors import InputError
from tests.agent_tools.conftest import segment
from tests.agent_tools.test_browsing import lines


def found(toolbox: Toolbox, pattern: str, path: str = "/") -> list[str]:
    return lines(toolbox.grep(pattern, path).text)


def test_lines_of_pages_pictures_and_recordings(toolbox: Toolbox) -> None:
    assert found(toolbox, "departure") == ["/2024/ferry.pdf/page-1:2: First departure 07:00."]
    assert found(toolbox, "quay 4") == ["/quay.jpg:1: QUAY 4"]
    assert found(toolbox, r"\bgap$") == ["/https:/example.org/talk.mp3/0:30-1:01:1: mind the gap"]
    assert found(toolbox, r"\d\d:\d\d|4\.20") == [
        "/2024/ferry.pdf/page-1:2: First departure 07:00.",
        "/2024/ferry.pdf/page-2:1: Fares. A single ticket costs 4.20 and children pay half.",
    ]


def test_in_a_folder_a_file_or_a_page(toolbox: Toolbox) -> None:
    assert len(found(toolbox, "the")) > 2
    assert len(found(toolbox, "the", "/2024")) == 2
    [page] = found(toolbox, "the", "/2024/ferry.pdf/page-3")
    assert page.startswith("/2024/ferry.pdf/page-3:1: Lost property")


def test_the_line_is_the_one_that_cat_shows(collection: Collection) -> None:
    said = " ".join(f"word{n}" for n in range(400))
    collection.add([segment("/home/ada/papers/long.txt", f"first\n\n{said}")])
    toolbox = Toolbox(collection)
    [line] = found(toolbox, "word277 word278 word279 word280")
    path, number, excerpt = line.split(":", 2)
    assert path == "/long.txt"
    assert excerpt.strip().startswith("...")
    shown = lines(toolbox.cat(path, start=int(number)).text)[0]
    assert "word277" in shown


def test_what_is_no_pattern_is_said(toolbox: Toolbox) -> None:
    with pytest.raises(InputError, match=r"'\(ferry' is no regular expression.*backslash"):
        toolbox.grep("(ferry")
    with pytest.raises(InputError, match="1 to 300 characters"):
        toolbox.grep("a" * 400)


@pytest.mark.slow
def test_a_pattern_that_never_ends_is_stopped(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grep, "_MAX_SECONDS", 0.2)
    collection.add([segment("/home/ada/papers/trap.txt", "a" * 40 + "b")])
    with pytest.raises(InputError, match="name a folder or file to look in"):
        Toolbox(collection).grep("(a|a)*$", "/trap.txt")


@pytest.mark.slow
def test_letters_of_other_alphabets(collection: Collection) -> None:
    collection.add([segment("/home/ada/papers/weh.txt", "Die Mole heißt „Weh“.")])
    assert found(Toolbox(collection), "HEISST|heißt") == ["/weh.txt:1: Die Mole heißt „Weh“."]
    assert len(found(Toolbox(collection), "WEH")) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "pattern",
    [
        *("a{1000000000}", "((a{1,1000}){1000}){2}", "(?R)", "(a(?1))", "(?P<x>a(?&x))"),
        *("(a|b){1000000}", "(a?){1000000}", "((a{1000}){1000}){1000}", "(?<=a{3000})b"),
        *("(?:a{200}[)]b){200}", "(?x)(?:a{200} # )\nb){200}", "(?:a{200}(?#[)b){200}"),
        *(
            "(?:a{200}[^])(]b){200}",
            r"(?:a{200}\)){200}",
            "(){3000}",
            "a{3000,}",
            "x" * 99 + "{3000}",
        ),
    ],
)
def test_a_pattern_that_would_take_all_memory_is_refused(toolbox: Toolbox, pattern: str) -> None:
    with pytest.raises(InputError, match="too much memory"):
        toolbox.grep(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}",
        *(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}", r"single.{0,100000}4\.20", "(?i:a{1,3}(b{2}|c)){20}"),
        *(r"(?<year>\d{4})", "[^]a]{20}", "(?:sandwich){e<=2}", r"\p{Lu}{3}\{1000000\}"),
    ],
)
def test_patterns_of_daily_use_are_not_refused(toolbox: Toolbox, pattern: str) -> None:
    assert found(toolbox, pattern)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process from /proc")
def test_patterns_take_no_memory_that_is_kept(toolbox: Toolbox) -> None:
    toolbox.grep("(a|b){9}")
    before = _resident_bytes()
    for letter in "cdefghij":
        with pytest.raises(InputError, match="too much memory"):
            toolbox.grep(f"(a|{letter}){{1000000}}")
        toolbox.grep(f"(a|{letter}){{450}}")
    assert _resident_bytes() - before < 40e6


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("pattern", ["(?V0)(?V1)a", "(?au)a", r"\L<x>", "a{2}{3}", "(" * 299])
def test_what_regex_itself_refuses(toolbox: Toolbox, pattern: str) -> None:
    with pytest.raises(InputError, match="is no regular expression"):
        toolbox.grep(pattern)


@pytest.mark.parametrize(
    ("pattern", "letters"),
    [
        ("mooring rope", "mooring rope"),
        (r"^id19\d+p5$", "id19"),
        (r"the [0-9]+ ferries\.", "ferries"),
        ("straße", "stra"),
        *((pattern, "") for pattern in (r"a|b", "ropes?", "(rope)?", "rop{0}e*", r"\x41", "[]a]b")),
    ],
)
def test_letters_that_every_match_has(pattern: str, letters: str) -> None:
    assert grep.required_words(pattern) == letters


def test_files_are_left_out_only_if_they_have_no_match(toolbox: Toolbox) -> None:
    for pattern in ("MOORING", r"moor\w+ rope", "[mM]ooring", "Ask.Grace", "moo+ring"):
        assert found(toolbox, pattern) == [
            "/notes.txt:1: Ask Grace about the mooring rope. It is too short."
        ]


def test_a_match_may_span_two_passages(collection: Collection) -> None:
    source = "/home/ada/papers/song.txt"
    collection.add([segment(source, "one two three four five six seven", part=0)])
    collection.add([segment(source, "three four five six seven eight nine", part=1)])
    [line] = found(Toolbox(collection), "two three four five six seven eight", "/song.txt")
    assert line == "/song.txt:1: one two three four five six seven eight nine"
