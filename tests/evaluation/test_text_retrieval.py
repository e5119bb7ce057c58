"""The benchmark asks the same questions in four ways, and each finds what is plain to see."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.text_retrieval import by_language, compared, main
from mm_rag.evaluation import Place, Question, read_beir

TEXTS = {
    "ferry": "The ferry leaves at seven in the morning.",
    "bread": "Sourdough bread rests for eighteen hours.",
    "long": " ".join(f"Rule {n} of the harbour is like the others." for n in range(60)),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [{"_id": id_, "text": text} for id_, text in TEXTS.items()]
    queries = [{"_id": f"q {id_}", "text": text[:25]} for id_, text in TEXTS.items()]
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    (tmp_path / "qrels.tsv").write_text("\n".join(f"q {id_}\t{id_}\t1" for id_ in TEXTS))
    return tmp_path


@pytest.mark.slow
def test_every_way_is_asked(folder: Path) -> None:
    beir = read_beir(folder)
    outcomes = compared(beir, beir.questions)
    assert {way: outcome.overall.mrr for way, outcome in outcomes.items()} == {
        "vectors alone": 1.0,
        "BM25 alone": 1.0,
        "search, not reranked": 1.0,
        "search": 1.0,
    }


def test_some_questions_of_a_set_are_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["text_retrieval", str(folder), "--questions", "2"])
    asked: list[int] = []

    def counted(_beir: object, questions: list[object]) -> dict[str, object]:
        asked.append(len(questions))
        return {}

    monkeypatch.setattr("benchmarks.text_retrieval.compared", counted)
    main()
    assert asked == [2]
    assert folder.name[:10] in capsys.readouterr().out


def test_languages_are_told_by_the_ids_of_questions() -> None:
    def asked(*ids: str) -> list[Question]:
        return [Question(id=id_, query="?", relevant=(Place(file="d"),)) for id_ in ids]

    assert [each.kind for each in by_language(asked("de_1", "zh-2"))] == ["de", "zh"]
    assert [each.kind for each in by_language(asked("de_1", "q2"))] == ["all", "all"]


@pytest.mark.slow
def test_scores_are_printed_for_each_language(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("queries.jsonl", "qrels.tsv"):
        text = (folder / name).read_text()
        text = text.replace("q ferry", "en_1").replace("q bread", "de_1").replace("q long", "de_2")
        (folder / name).write_text(text)
    monkeypatch.setattr("sys.argv", ["text_retrieval", str(folder)])
    main()
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line for line in lines if line[0] in ("de", "en")] == [
        *([["de", "(2)", *["1.000"] * 3], ["en", "(1)", *["1.000"] * 3]] * 4)
    ]
