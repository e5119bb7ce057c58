"""The lexical index: languages, identifiers, phrases, beginnings, bad input, damage."""

from __future__ import annotations

import random
import resource
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import tantivy

from mm_rag import Collection
from mm_rag.collection.lexical import LexicalIndex, WordMatch
from mm_rag.errors import CollectionError
from tests.collection.conftest import segment

FILLER = "The pump was installed behind the boiler, and it has been running for years now. " * 3


def index_of(*texts: str, path: Path | None = None) -> LexicalIndex:
    index = LexicalIndex(path)
    index.put(segment(text, number) for number, text in enumerate(texts))
    return index


def found(index: LexicalIndex, texts: Sequence[str], words: str, n: int = 10) -> list[str]:
    by_id = {segment(text, number).id: text for number, text in enumerate(texts)}
    return [by_id[id_] for id_, _ in index.search(words, n)]


def search(texts: Sequence[str], words: str) -> list[str]:
    return found(index_of(*texts), texts, words)


# Languages


LANGUAGES = {
    "english": ("The valves were replaced and the engines tested once more.", "valve engine"),
    "german": ("Die Häuser am See wurden im letzten Jahr alle verkauft.", "Haus Jahre"),
    "french": ("Les machines étaient réparées dans les ateliers de la ville.", "machine réparer"),
    "spanish": ("Las bombas fueron instaladas en los edificios de la ciudad.", "bomba instalado"),
    "russian": ("Насосные станции были построены в прошлом году.", "насосная станция"),
    "turkish": ("Makineler geçen sene fabrikalarda yeniden monte edildi.", "makine fabrika"),
    "tamil": ("நீர் இறைக்கும் இயந்திரங்கள் பழுதடைந்துள்ளன", "இயந்திரம்"),
    "polish": ("Pompy zostały zainstalowane w budynku przy ulicy Długiej.", "zainstalowane"),
    "hindi": ("पंप को पिछले साल भवन में लगाया गया था और अब वह चल रहा है", "भवन"),
    "chinese": ("安全阀必须每年检查一次。", "检查安全阀"),
    "japanese": ("ポンプの安全弁は毎年点検しなければなりません。", "安全弁の点検"),
    "thai": ("ร้านอาหารไทยอยู่ใกล้สถานีรถไฟ", "สถานีรถไฟ"),
    "korean": ("서울에서 기차를 타고 부산까지 갔습니다", "서울 기차"),
}


@pytest.fixture(scope="module")
def babel() -> LexicalIndex:
    return index_of(*(text for text, _ in LANGUAGES.values()))


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_are_found_in_the_forms_of_their_language(babel: LexicalIndex, language: str) -> None:
    texts = [text for text, _ in LANGUAGES.values()]
    text, query = LANGUAGES[language]
    [best, *_] = babel.search(query, 3)
    assert found(babel, texts, query)[0] == text
    assert best[1].share > 0.15


def test_no_language_is_favoured() -> None:
    """The only German page among many English ones is as sure as an English one is."""
    english = [f"{FILLER} Passage {n}." for n in range(50)]
    german = "Die alten Häuser an der Straße wurden im letzten Jahr alle verkauft."
    english_one = "The old houses at the street were all of them sold within the last year."
    index = index_of(*english, german, english_one)
    [(_, in_german), *_] = index.search("alte Häuser verkauft", 1)
    [(_, in_english), *_] = index.search("old houses sold", 1)
    assert in_german.share == pytest.approx(in_english.share, rel=0.15)


def test_accents_ligatures_and_full_width_letters_do_not_matter() -> None:
    texts = [
        "The Zürich office",
        "ef\ufb01cient motors",
        "Type \uff38\uff2a\uff19",
        "soft\u00adware",
    ]
    assert search(texts, "zurich") == [texts[0]]
    assert search(texts, "efficient") == [texts[1]]
    assert search(texts, "xj9") == [texts[2]]
    assert search(texts, "software") == [texts[3]]


def test_a_letter_of_a_script_without_spaces_is_found_anywhere() -> None:
    text = "東京都の大きな塔"
    index = index_of(text, "北京")
    assert found(index, [text, "北京"], "塔") == [text]
    assert found(index, [text, "北京"], "大") == [text]
    assert set(found(index, [text, "北京"], "京")) == {text, "北京"}


# Identifiers


CODES = {
    "XJ-9 40/B": "XJ 40 B 9",
    "ISO 9001:2015": "ISO 2015 9001",
    "foo_bar()": "foo bar",
    "a@b.org": "a b org",
    "v2.3.1": "v2 3 1",
    "+49-170": "49 170",
    "C++": "C",
}


@pytest.mark.parametrize("code", CODES)
def test_identifiers_are_found_whole(code: str) -> None:
    """Even in a long passage, before a short one that has only their pieces."""
    texts = [CODES[code], f"{FILLER} It is {code}. {FILLER}", FILLER]
    assert search(texts, code)[:2] == [texts[1], texts[0]]


@pytest.mark.parametrize(
    ("piece", "code"), [("xj", "XJ-9"), ("9001", "9001:2015"), ("bar", "foo_bar()")]
)
def test_identifiers_are_found_by_their_pieces(piece: str, code: str) -> None:
    texts = [f"{FILLER} See {code}.", FILLER]
    assert search(texts, piece) == [texts[0]]


def test_dashes_that_look_alike_are_alike() -> None:
    texts = ["XJ 9", f"{FILLER} XJ\u20119"]
    assert search(texts, "XJ-9")[0] == texts[1]


def test_an_identifier_in_a_title_is_found_whole() -> None:
    index = LexicalIndex(None)
    whole, pieces = segment("A pump.", 1, title="XJ-9"), segment("XJ 9 pump", 2)
    index.put([whole, pieces])
    assert index.search("XJ-9", 1)[0][0] == whole.id


# Bad input


NOTHING = [
    "",
    " ",
    "...",
    "!?",
    "\0",
    "\ud800",
    "🔧",
    "*",
    '"',
    '""',
    '"-"',
    "[",
    "\\",
    "+",
    "(",
    "~9",
]


@pytest.mark.parametrize("query", NOTHING)
def test_queries_without_words_find_nothing(query: str) -> None:
    assert search(["a valve", "b"], query) == []


@pytest.mark.parametrize(
    "query", ["valve\0", "valve\ud800", "text:valve", "valve AND (", "^valve~2", "🔧valve"]
)
def test_a_query_has_no_syntax(query: str) -> None:
    assert search(["pump", "a valve"], query)[0] == "a valve"


def test_texts_with_what_is_no_text_are_indexed() -> None:
    index = LexicalIndex(None)
    odd = segment("\ud800 lone \0 valve", 1, title="\udcff name")
    index.put([odd])
    assert [id_ for id_, _ in index.search("valve name", 3)] == [odd.id]


def test_of_a_very_long_query_the_rarest_words_are_searched_for() -> None:
    common = [f"word{n}" for n in range(150)]
    texts = [*(" ".join(common) for _ in range(5)), "needle"]
    query = " ".join([*common, *["and"] * 25_000, "needle"])
    assert len(query) > 100_000
    assert "needle" in search(texts, query)
    assert search(texts, " ".join(common))  # and the rarest may be in all texts


def test_only_stop_words() -> None:
    texts = ["the pump of the north", "how it is", "a valve"]
    assert set(search(texts, "how is the of")) == set(texts[:2])
    assert search(texts, "we would") == []


def test_a_query_that_is_a_whole_text_finds_it() -> None:
    texts = [
        f"{FILLER} Passage {n} about {topic}." for n, topic in enumerate(("tea", "jam", "ice"))
    ]
    for text in texts:
        assert search(texts, text)[0] == text
        assert search(texts, f'"{text}"') == [text]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("\U0001f527 valve \U0001f600", "a valve"),
        ("valve \u5b89\u5168\u9600 \u043d\u0430\u0441\u043e\u0441", "a valve"),
        ("\u202bvalve\u202c", "a valve"),
        ("val\u200fve", "a valve"),
        ("\u2067ZX\u200e-02201\u2069", "ZX-02201"),
        ('valve "pump', "a valve"),
        ("...valve?!", "a valve"),
        ("valve " + "x" * 300, "a valve"),
    ],
)
def test_odd_queries(query: str, expected: str) -> None:
    assert search(["ZX 02210", "a valve", "ZX-02201"], query)[0] == expected


LONG = {
    "one word": "a" * 100_000,
    "dashes": "a-" * 50_000,
    "phrases": '"a b" ' * 16_000,
    "quotes": '"' * 100_000,
    "beginnings": "ab* " * 25_000,
    "stars": "*" * 100_000,
    "a phrase": '"' + "check valve " * 8_000 + '"',
    "commas": "1," * 50_000,
    "all different": " ".join(f"{n:x}" for n in range(20_000)),
    "han": "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(100_000)),
}


@pytest.mark.parametrize("kind", LONG)
def test_long_queries_take_no_long_time(babel: LexicalIndex, kind: str) -> None:
    """Any of these takes under 0.5 s; what grows with the square of the length takes minutes."""
    begun = time.process_time()
    babel.search(LONG[kind], 10)
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("n", [0, -1])
def test_nothing_asked_for_is_nothing_found(n: int) -> None:
    assert index_of("valve").search("valve", n) == []


def test_more_may_be_asked_for_than_there_is() -> None:
    assert len(index_of("a valve", "b valve").search("valve", 10**9)) == 2
    assert LexicalIndex(None).search("valve", 10) == []


# Scores


def test_scores_are_shares_of_the_most_that_a_query_could_give() -> None:
    texts = ["check valve", "valve", "nothing"]
    index = index_of(*texts)
    [(_, both), (_, one)] = index.search("check valve", 5)
    [(_, alone), *_] = index.search("valve and seven words that no text has", 5)
    assert 1.0 >= both.share > one.share > alone.share > 0.0
    assert both.score > one.score > 0.0
    assert index.search('"check valve" valve check-valve check* XJ-9', 5)[0][1].share <= 1.0


def test_a_word_of_the_text_counts_more_than_one_of_the_title() -> None:
    index = LexicalIndex(None)
    titled, texted = segment("pump", 1, title="valve"), segment("valve", 2, title="pump")
    index.put([titled, texted])
    [(first, high), (second, low)] = index.search("valve", 2)
    assert (first, second) == (texted.id, titled.id)
    assert low.share > 0.1 * high.share


# Segments that something else found


def test_what_other_segments_have_of_a_query_is_the_same_as_in_a_search() -> None:
    texts = ["check valve", "valve", "nothing", "another valve and check"]
    index = index_of(*texts)
    ids = [segment(text, number).id for number, text in enumerate(texts)]
    found = dict(index.search("check valve", 4))
    matches = index.matches("check valve", [*ids, "unknown"])
    assert {id_: match.share for id_, match in matches.items()} == pytest.approx(
        {id_: match.share for id_, match in found.items()} | {ids[2]: 0.0}
    )
    assert matches[ids[2]] == WordMatch()
    assert index.matches("check valve", []) == {}
    assert LexicalIndex(None).matches("valve", ids) == {}


def test_segments_without_what_a_query_requires_do_not_match() -> None:
    texts = ["check valve", "valve check", "check valve pump"]
    index = index_of(*texts)
    ids = [segment(text, number).id for number, text in enumerate(texts)]
    assert set(index.matches('pump "check valve"', ids)) == {ids[0], ids[2]}
    assert index.matches("unheard", ids) == dict.fromkeys(ids, WordMatch())


# Writing


def test_segments_are_replaced_and_dropped() -> None:
    index = index_of("old words", "others")
    index.put([segment("new words", 0)])
    assert index.ids() == {segment("", 0).id, segment("", 1).id}
    assert not index.search("old", 5)
    assert index.search("new", 5)[0][0] == segment("", 0).id
    index.drop([segment("", 0).id, "unknown"])
    assert index.ids() == {segment("", 1).id}
    assert not index.search("words", 5)


def test_nothing_to_write_touches_nothing(tmp_path: Path) -> None:
    index = index_of("a valve", path=tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    index.put([])
    index.drop([])
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_what_another_one_wrote_is_found(tmp_path: Path) -> None:
    reader, writer = LexicalIndex(tmp_path), LexicalIndex(tmp_path)
    writer.put([segment("a valve")])
    assert len(reader.search("valve", 5)) == len(reader.ids()) == 1
    writer.drop([segment("").id])
    assert not reader.search("valve", 5)


@pytest.mark.slow
def test_threads_search_while_others_write(tmp_path: Path) -> None:
    index = index_of("a valve that stays", path=tmp_path)
    failures: list[object] = []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            try:
                if len(index.search("valve stays", 1)) != 1:
                    failures.append("lost")
            except (CollectionError, RuntimeError) as error:
                failures.append(error)

    def write(first: int) -> None:
        for number in range(first, first + 4):
            index.put([segment(f"valve number {number}", number)])
            index.drop([segment("", number).id])

    readers = [threading.Thread(target=read) for _ in range(3)]
    writers = [threading.Thread(target=write, args=(first,)) for first in (100, 200)]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    over.set()
    for thread in readers:
        thread.join()
    assert not failures
    assert len(index.ids()) == 1


# Damage


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match="nowhere cannot be opened"):
        LexicalIndex(tmp_path / "nowhere")


@pytest.mark.parametrize("damage", ["empty", "halved", "garbled", "gone"])
@pytest.mark.parametrize("kind", [".term", ".idx", ".store", ".fieldnorm", ".pos", ".fast"])
def test_a_damaged_index_is_an_error(tmp_path: Path, kind: str, damage: str) -> None:
    index_of(*(f"valve number {n}" for n in range(20)), path=tmp_path)
    [path, *_] = [path for path in tmp_path.iterdir() if path.suffix == kind]
    _damage(path, damage)
    with pytest.raises(CollectionError, match=r"repair\(\)") as raised:
        LexicalIndex(tmp_path).search('valv* "valve number"', 5)
    assert str(tmp_path) in str(raised.value)


@pytest.mark.parametrize("damage", ["empty", "halved", "garbled"])
@pytest.mark.parametrize("name", ["meta.json", ".managed.json"])
def test_damaged_lists_of_its_files_are_an_error(tmp_path: Path, name: str, damage: str) -> None:
    index_of("valve", path=tmp_path)
    _damage(tmp_path / name, damage)
    with pytest.raises(CollectionError, match=r"repair\(\)"):
        LexicalIndex(tmp_path)


def test_an_index_with_other_fields_is_an_error(tmp_path: Path) -> None:
    """Such as one that an older version made."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("id")
    tantivy.Index(builder.build(), path=str(tmp_path))
    with pytest.raises(CollectionError, match=r"repair\(\)"):
        LexicalIndex(tmp_path)


def _damage(path: Path, damage: str) -> None:
    whole = path.read_bytes()
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "halved":
            path.write_bytes(whole[: len(whole) // 2])
        case "garbled":  # with tantivy's own mark at the end intact
            path.write_bytes(random.Random(1).randbytes(max(1, len(whole) - 120)) + whole[-120:])
        case _:
            path.unlink()


def test_a_full_disk_is_an_error_and_loses_nothing(tmp_path: Path) -> None:
    index = index_of("a valve", path=tmp_path)
    many = [segment(" ".join(f"w{n}x{k}" for k in range(200)), n) for n in range(1, 60)]
    with full_disk(), pytest.raises(CollectionError, match=r"cannot be written.*disk full") as kept:
        index.put(many)
    assert str(tmp_path) in str(kept.value)
    assert index.ids() == {segment("").id}
    index.put(many)  # though the error is still around
    assert len(index.ids()) == 60


@contextmanager
def full_disk() -> Generator[None]:
    """No file may grow beyond 4,000 bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_two_writers_at_once_are_an_error(tmp_path: Path) -> None:
    index = index_of("a valve", path=tmp_path)
    other = tantivy.Index.open(str(tmp_path)).writer(heap_size=15_000_000)
    with pytest.raises(CollectionError, match="another process"):
        index.put([segment("a pump")])
    del other
    index.put([segment("a pump", 1)])
    assert len(index.ids()) == 2


# Through a collection


@pytest.mark.slow
def test_a_collection_finds_identifiers_phrases_and_beginnings(collection: Collection) -> None:
    texts = ["Part XJ-9 40/B of the pump", "Part XJ 40 B 9", "The check valves", "Valve check"]
    collection.add(segment(text, number) for number, text in enumerate(texts))

    def by_words(query: str) -> list[str]:
        hits = collection.search(query, k=4, rerank=False)
        scored = [hit for hit in hits if "lexical" in hit.scores]
        best = sorted(scored, key=lambda hit: hit.scores["lexical"], reverse=True)
        return [hit.segment.text for hit in best]

    assert by_words("XJ-9 40/B")[0] == texts[0]
    assert by_words('"check valves"') == [texts[2]]
    assert set(by_words("valv*")) == set(texts[2:])
