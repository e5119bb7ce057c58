from __future__ import annotations

import pytest

from mm_rag.extraction.hyphens import Hyphens

# Each as it stands at the end of a line, and as it is said.
WORDS = [
    # English
    *("inter-/esting interesting", "govern-/ment government", "data-/base database"),
    *(
        "well-/known well-known",
        "part-/time part-time",
        "part-/ner partner",
        "self-/esteem self-esteem",
    ),
    *(
        "E-/mail E-mail",
        "T-/shirt T-shirt",
        "COVID-/19 COVID-19",
        "state-of-the-/art state-of-the-art",
    ),
    *(
        "re-/called recalled",
        "un-/known unknown",
        "twenty-/five twenty-five",
        "some-/thing something",
    ),
    # German
    *("Haupt-/bahnhof Hauptbahnhof", "vorge-/sehen vorgesehen", "MASCHINEN-/BAU MASCHINENBAU"),
    *("bau-/en bauen", "US-/amerikanisch US-amerikanisch", "Stra-/\u00dfe Stra\u00dfe"),
    # French
    *("gouverne-/ment gouvernement", "peut-/\u00eatre peut-\u00eatre", "nou-/velle nouvelle"),
    *("rendez-/vous rendez-vous", "dit-/elle dit-elle", "Saint-/Pierre Saint-Pierre"),
    # Spanish, Italian, Dutch
    *(
        "inscrip-/ci\u00f3n inscripci\u00f3n",
        "desarro-/llo desarrollo",
        "citta-/dinanza cittadinanza",
    ),
    *("gelijk-/heid gelijkheid", "verant-/woordelijk verantwoordelijk"),
    # Codes and numbers
    *("CD-/ROM CD-ROM", "Boeing-/747 Boeing-747", "10-/12 10-12", "Lucene-/BM25 Lucene-BM25"),
]
# With the hyphen in place of a word.
PAIRS = [
    *("Ein-/und Ausgang", "Sonn-/oder Feiertag", "pre-/and postwar", "in-/en uitvoer"),
    *("import-/et exportateurs", "macro-/e microeconomia", "anglo-/y francoparlantes"),
]


@pytest.mark.parametrize("word", WORDS)
def test_a_word_cut_at_the_end_of_a_line_is_whole_again(word: str) -> None:
    cut, whole = word.split(" ")
    assert Hyphens().joined(f"the {cut}, they said".replace("/", "\n")) == f"the {whole}, they said"


@pytest.mark.parametrize("pair", PAIRS)
def test_a_hyphen_that_stands_for_a_word_stays(pair: str) -> None:
    assert Hyphens().joined(pair.replace("/", "\n")) == pair.replace("/", " ")


def test_the_document_decides_before_the_rules() -> None:
    hyphens = Hyphens()
    hyphens.see("A wellknown re-signing of the band for the deckhand and fact-based rows.")
    hyphens.see("Re-signing is not resigning; re-signing it is.")
    cut = "the well-\nknown re-\nsigning deck-\nhand"
    assert hyphens.joined(cut) == "the wellknown re-signing deckhand"


def test_dashes_are_no_hyphens() -> None:
    text = "a dash -\nand a list:\n- one\n- two"
    assert Hyphens().joined(text) == text
