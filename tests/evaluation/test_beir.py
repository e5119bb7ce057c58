"""A folder in BEIR's layout is read whole, or the error says which line of which file is wrong."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from mm_rag.errors import InputError
from mm_rag.evaluation import Place, Question, read_beir

DOCUMENTS = [
    {"_id": "d1", "title": "Ferries", "text": "The ferry leaves at seven.", "metadata": {}},
    {"_id": "d2", "title": "", "text": "Sourdough bread rests for eighteen hours."},
    {"_id": "d3", "title": "Nothing but a title", "text": ""},
    {"_id": "d4", "text": " "},
]
QUERIES = [
    {"_id": "q1", "text": "When does the boat go?"},
    {"_id": "q2", "text": "How long does bread rest?"},
    {"_id": "q3", "text": "What nobody knows"},
    {"_id": "q4", "text": "What nobody asked"},
]
QRELS = [("q1", "d1", 2), ("q1", "d3", 1), ("q2", "d2", 1), ("q2", "d1", 0), ("q3", "d1", -1)]


def lines(rows: Sequence[object]) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def tsv(rows: Sequence[tuple[str, str, int]]) -> str:
    return "".join(f"{query}\t{document}\t{grade}\n" for query, document, grade in rows)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "corpus.jsonl").write_text(lines(DOCUMENTS))
    (tmp_path / "queries.jsonl").write_text(lines(QUERIES))
    (tmp_path / "qrels").mkdir()
    header = "query-id\tcorpus-id\tscore\n"
    (tmp_path / "qrels" / "test.tsv").write_text(header + tsv(QRELS))
    (tmp_path / "qrels" / "dev.tsv").write_text(tsv([("q4", "d4", 1)]))
    return tmp_path


def test_documents_become_segments(folder: Path) -> None:
    beir = read_beir(folder)
    assert [(s.source, s.title, s.text) for s in beir.segments] == [
        ("d1", "Ferries", "The ferry leaves at seven."),
        ("d2", "", "Sourdough bread rests for eighteen hours."),
        ("d3", "Nothing but a title", "Nothing but a title"),
    ]
    assert len({segment.place for segment in beir.segments}) == 3
    assert beir.documents == 4


def test_questions_have_graded_answers(folder: Path) -> None:
    beir = read_beir(folder)
    boat = (Place(file="d1", grade=2), Place(file="d3", grade=1))
    assert beir.questions == (
        Question(id="q1", query="When does the boat go?", relevant=boat),
        Question(id="q2", query="How long does bread rest?", relevant=(Place(file="d2"),)),
    )
    assert beir.unanswered == 2  # one of no document, one that no split asks


def test_another_split_has_other_questions(folder: Path) -> None:
    assert [question.id for question in read_beir(folder, split="dev").questions] == ["q4"]


def test_files_may_be_gzipped_and_qrels_lie_beside_them(folder: Path) -> None:
    expected = read_beir(folder)
    for name in ("corpus.jsonl", "queries.jsonl"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
        (folder / name).unlink()
    (folder / "qrels" / "test.tsv").rename(folder / "qrels.tsv")
    (folder / "qrels" / "dev.tsv").unlink()
    (folder / "qrels").rmdir()
    assert read_beir(folder) == expected


def test_a_long_document_is_several_passages_of_one_place(folder: Path) -> None:
    text = " ".join(f"Sentence number {n} says nothing new." for n in range(100))
    (folder / "corpus.jsonl").write_text(lines([*DOCUMENTS, {"_id": "long", "text": text}]))
    found = [segment for segment in read_beir(folder).segments if segment.source == "long"]
    assert len(found) > 2
    assert len({segment.place for segment in found}) == 1
    assert len({segment.id for segment in found}) == len(found)
    assert "Sentence number 99" in found[-1].text


def test_documents_of_the_same_text_stay_apart(folder: Path) -> None:
    twin = {"_id": "twin", "title": "Ferries", "text": "The ferry leaves at seven."}
    (folder / "corpus.jsonl").write_text(lines([*DOCUMENTS, twin]))
    assert len({segment.id for segment in read_beir(folder).segments}) == 4


def test_broken_letters_are_left_out(folder: Path) -> None:
    broken = {"_id": "d5", "title": "half \ud800", "text": "a\x00b \udc00"}
    (folder / "corpus.jsonl").write_text(lines([*DOCUMENTS, broken]))
    segment = read_beir(folder).segments[-1]
    assert (segment.title.strip(), segment.text) == ("half", "ab")


@pytest.mark.parametrize(
    ("file", "line", "what"),
    [
        ("corpus.jsonl", '{"_id": "d5", "text": "x"', "delimiter"),
        ("corpus.jsonl", '["d5", "x"]', "no JSON object"),
        ("corpus.jsonl", '{"text": "x"}', "'_id' is missing"),
        ("corpus.jsonl", '{"_id": "d5"}', "'text' is missing"),
        ("corpus.jsonl", '{"_id": 5, "text": "x"}', "_id is not a str: 5"),
        ("corpus.jsonl", '{"_id": "\\ud800", "text": "x"}', "surrogates"),
        ("corpus.jsonl", '{"_id": "d1", "text": "x"}', "'d1' is repeated"),
        ("queries.jsonl", '{"_id": "q5", "text": null}', "text is not a str: None"),
        ("queries.jsonl", '{"_id": "q1", "text": "x"}', "'q1' is repeated"),
        ("qrels/test.tsv", "q4\td1", "2 fields, not 3"),
        ("qrels/test.tsv", "q4 d1 1", "1 fields, not 3"),
        ("qrels/test.tsv", "q4\td1\tyes", "yes"),
        ("qrels/test.tsv", "q4\t0\td1\t1", "4 fields"),
        ("qrels/test.tsv", "q1\td1\t1", "another grade"),
    ],
)
def test_a_malformed_line_is_named(folder: Path, file: str, line: str, what: str) -> None:
    path = folder / file
    number = len(path.read_text().splitlines()) + 1
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(InputError, match=rf"Line {number} of .*{Path(file).name} .*{what}"):
        read_beir(folder)


def test_qrels_of_unknown_documents_are_an_error_that_names_some(folder: Path) -> None:
    rows = [("q1", f"x{n}", 1) for n in range(9)]
    (folder / "qrels" / "test.tsv").write_text(tsv(rows))
    with pytest.raises(InputError, match=r"9 ids that .*corpus\.jsonl lacks: x0, .*x4, \.\.\."):
        read_beir(folder)


def test_qrels_of_unknown_queries_are_an_error(folder: Path) -> None:
    (folder / "qrels" / "test.tsv").write_text(tsv([("q9", "d1", 1)]))
    with pytest.raises(InputError, match=r"queries\.jsonl lacks: q9\."):
        read_beir(folder)


def test_a_split_that_is_not_there_names_those_that_are(folder: Path) -> None:
    with pytest.raises(InputError, match=r"train\.tsv.*dev, test"):
        read_beir(folder, split="train")


def test_a_folder_of_something_else_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no corpus\.jsonl or corpus\.jsonl\.gz"):
        read_beir(tmp_path)


def test_a_cut_off_file_is_an_error(folder: Path) -> None:
    whole = gzip.compress((folder / "corpus.jsonl").read_bytes())
    (folder / "corpus.jsonl").unlink()
    (folder / "corpus.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"corpus\.jsonl\.gz cannot be read"):
        read_beir(folder)


def test_qrels_without_an_answer_are_an_error(folder: Path) -> None:
    (folder / "qrels" / "test.tsv").write_text(tsv([("q1", "d1", 0)]))
    with pytest.raises(InputError, match=r"test\.tsv says of no document"):
        read_beir(folder)
