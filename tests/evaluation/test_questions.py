"""A file of questions is read whole, or the error says which line is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mm_rag.errors import InputError
from mm_rag.evaluation import Place, Question, read_questions

GOOD = {"id": "1", "query": "?", "relevant": [{"file": "a.pdf", "page": 2, "grade": 3}]}


def written(folder: Path, *lines: object) -> Path:
    path = folder / "queries.jsonl"
    rows = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def test_questions_are_read(tmp_path: Path) -> None:
    clip = {"file": "a.mp3", "start": 1, "end": 2.5}
    second = {"id": 2, "query": "two\u2028lines", "relevant": [clip], "kind": "speech"}
    path = written(tmp_path, "\ufeff" + json.dumps(GOOD), "", second)
    assert read_questions(path) == [
        Question(id="1", query="?", relevant=(Place(file="a.pdf", page=2, grade=3),)),
        Question(
            id="2",
            query="two\u2028lines",
            relevant=(Place(file="a.mp3", start=1, end=2.5),),
            kind="speech",
        ),
    ]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"id": "1"', "delimiter"),
        ("[" * 100_000, "recursion"),
        ("[]", "no JSON object"),
        ({"id": "2", "query": "?"}, "'relevant' is missing"),
        ({**GOOD, "query": None}, "query is not a str"),
        ({**GOOD, "relevant": []}, "relevant is empty"),
        ({**GOOD, "relevant": "a.pdf"}, "mapping"),
        ({**GOOD, "relevant": [{"file": "a.pdf", "side": 2}]}, "side"),
        ({**GOOD, "relevant": [{"file": "a.pdf", "page": "2"}]}, "no page of '2'"),
        ({**GOOD, "relevant": [{"file": 1}]}, "no file of 1"),
        ({**GOOD, "relevant": [{"file": "a.pdf", "grade": 0}]}, "grade"),
    ],
)
def test_a_line_that_is_no_question_is_named(tmp_path: Path, line: object, what: str) -> None:
    path = written(tmp_path, GOOD, line)
    with pytest.raises(InputError, match=f"Line 2 of .*{what}"):
        read_questions(path)


def test_two_questions_of_one_id_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'1'"):
        read_questions(written(tmp_path, GOOD, GOOD))


def test_a_file_that_is_missing_or_no_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.jsonl cannot be read"):
        read_questions(tmp_path / "nowhere.jsonl")
    (tmp_path / "picture.jsonl").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(InputError, match=r"picture\.jsonl cannot be read"):
        read_questions(tmp_path / "picture.jsonl")


def test_a_file_without_questions_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There are no questions in"):
        read_questions(written(tmp_path, "", " "))
