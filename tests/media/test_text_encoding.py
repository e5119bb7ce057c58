"""The encodings of texts: found out, named, and nothing lost."""

# ruff: noqa: RUF001 - curly quotes and dashes are what is tested
from __future__ import annotations

import csv
from pathlib import Path

import pytest

from mm_rag.media.access import opened
from mm_rag.media.text_encoding import decoded, open_text

GERMAN = "Protokoll: Die Brücke über die Weißeritz wird größer, der Käse wird später geliefert."
POLISH = "Zażółć gęślą jaźń. Wniosek o wydanie zaświadczenia złożono w urzędzie miasta Łodzi."
RUSSIAN = "Протокол собрания жильцов дома. Ремонт крыши начнётся в мае, если хватит денег."
GREEK = "Πρακτικά της συνεδρίασης των ιδιοκτητών. Η επισκευή της στέγης αρχίζει τον Μάιο."
TURKISH = "Toplantı tutanağı: çatı onarımı mayıs ayında başlayacak, şirket değişti."
HEBREW = "פרוטוקול ישיבת הוועד של הבניין. תיקון הגג יתחיל בחודש מאי."
ARABIC = "محضر اجتماع سكان المبنى في شهر مايو. يبدأ إصلاح السقف بعد ذلك."
LITHUANIAN = "Gyventojų susirinkimo protokolas: stogo remontas prasidės gegužės mėnesį, žiūrėkite."
THAI = "รายงานการประชุม: การซ่อมหลังคาจะเริ่มในเดือนพฤษภาคม"
JAPANESE = "東京湾の水質調査報告書。透明度は二・三メートルであった。"
CHINESE = "会议纪要：屋顶的修理工作将于五月开始，费用由业主分担。"
TAIWANESE = "台北市的捷運路線圖與票價表，單程二十元起。"
KOREAN = "주민 회의록: 지붕 수리는 오월에 시작하며 비용은 나누어 부담한다."

TEXTS = {
    GERMAN: ["cp1252", "iso8859-15", "cp437", "cp850", "mac_roman"],
    POLISH: ["cp1250", "iso8859-2", "cp852", "mac_latin2"],
    RUSSIAN: ["cp1251", "koi8-r", "iso8859-5", "cp866", "mac_cyrillic"],
    GREEK: ["cp1253", "iso8859-7", "cp737"],
    TURKISH: ["cp1254", "iso8859-9", "cp857"],
    HEBREW: ["cp1255", "cp862"],
    ARABIC: ["cp1256", "iso8859-6"],
    LITHUANIAN: ["cp1257", "iso8859-13"],
    THAI: ["cp874"],
    JAPANESE: ["shift_jis", "euc_jp", "iso2022_jp"],
    CHINESE: ["gbk", "gb18030"],
    TAIWANESE: ["big5"],
    KOREAN: ["euc_kr", "cp949"],
}
UNICODE = ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]


@pytest.mark.parametrize(
    ("text", "codec"), [(text, codec) for text, codecs in TEXTS.items() for codec in codecs]
)
def test_the_encoding_of_a_text_is_found(text: str, codec: str) -> None:
    found = decoded(text.encode(codec))
    assert found.text == text
    assert found.is_guessed
    assert found.note == f"not UTF-8: read as {found.encoding} (guessed)"


@pytest.mark.parametrize("codec", UNICODE)
@pytest.mark.parametrize("text", [*TEXTS, "The lighthouse keeper retired in 1987."])
def test_unicode_needs_no_mark(text: str, codec: str) -> None:
    found = decoded(f"{text}\r\n{text}\r\n".encode(codec))
    assert found.text == f"{text}\r\n{text}\r\n"
    assert found.encoding == codec.upper().replace("-LE", "LE").replace("-BE", "BE")


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_is_no_letter_and_no_guess(codec: str) -> None:
    found = decoded(RUSSIAN.encode(codec))
    assert (found.text, found.is_guessed) == (RUSSIAN, False)


def test_utf8_needs_no_note() -> None:
    for text in (*TEXTS, "plain", "", "a\0b\x1a"):
        found = decoded(text.encode())
        assert (found.text, found.encoding, found.note) == (text, "UTF-8", "")


def test_a_text_that_is_mostly_utf8_stays_so() -> None:
    found = decoded(GERMAN.encode() + b" \xff\xfe ende")
    assert found.text == GERMAN + " \ufffd\ufffd ende"
    assert (found.encoding, found.replaced) == ("UTF-8", 2)
    assert found.note == "2 letters are not valid UTF-8 and shown as \ufffd"


@pytest.mark.parametrize(
    "text",
    [
        "It’s the firm’s “quarterly” report – as filed.",
        "The loss was £4.2 million, or €5 million.",
        "The café at 4° west",
        "Copyright © 1998 The Harbour Trust",
        "BMW’s engines",
        "One line.\x1a",
    ],
)
def test_english_with_few_other_characters_is_windows(text: str) -> None:
    data = text.encode("cp1252")
    assert decoded(data).text == text


def test_a_declaration_decides_unless_the_bytes_prove_it_wrong() -> None:
    data = "Łódź".encode("iso8859-2")
    found = decoded(data, declared="ISO-8859-2")
    assert (found.text, found.encoding, found.is_guessed) == ("Łódź", "ISO-8859-2", False)
    assert decoded("Größe".encode(), declared="iso-8859-1").text == "Größe"
    assert decoded(RUSSIAN.encode("cp1251"), declared="us-ascii").text == RUSSIAN
    assert decoded(RUSSIAN.encode("cp1251"), declared="utf-8").text == RUSSIAN
    assert decoded(b"plain words", declared="utf-16").text == "plain words"
    assert decoded(JAPANESE.encode("iso2022_jp"), declared="iso-2022-jp").text == JAPANESE
    for unknown in ("no-such-thing", "rot13", "base64", "\0", "utf-7", "a" * 10_000):
        assert decoded("Größe".encode(), declared=unknown).text == "Größe"


@pytest.mark.parametrize(
    ("declared", "codec"),
    [
        ("x-sjis", "shift_jis"),
        ("windows-31j", "cp932"),
        ("ks_c_5601-1987", "cp949"),
        ("iso-8859-8-i", "iso8859-8"),
        ("x-mac-roman", "mac_roman"),
        ("windows-874", "cp874"),
    ],
)
def test_names_of_the_web_are_known(declared: str, codec: str) -> None:
    text = {"shift_jis": "東京", "cp932": "①東京", "cp949": "똠방", "iso8859-8": "שלום"}.get(
        codec, ""
    )
    text = text or {"mac_roman": "“é”", "cp874": "ไทย"}[codec]
    found = decoded(text.encode(codec), declared=declared)
    assert (found.text, found.is_guessed) == (text, False)


def test_a_block_of_nul_is_kept_and_hides_nothing() -> None:
    text = "2024-01-01 started\n" + "\0" * 4096 + "2024-01-03 Größe\n"
    assert decoded(text.encode()).text == text
    assert decoded(text.encode("cp1252")).text == text


def test_a_file_is_read_as_a_stream(tmp_path: Path) -> None:
    rows = [["Straße", "Größe"], ["Am Käsemarkt", "3,5"]] * 5
    for codec in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"):
        path = tmp_path / f"{codec}.csv"
        with path.open("w", encoding=codec, newline="") as file:
            csv.writer(file).writerows(rows)
        with opened(path) as file:
            text = open_text(file, newline="")
        with text.stream as stream:
            assert list(csv.reader(stream)) == rows
            stream.seek(0)
            assert next(csv.reader(stream)) == rows[0]


def test_the_end_of_a_long_file_decides_too(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"plain words\n" * 200_000 + RUSSIAN.encode("cp1251"))
    with opened(path) as file, open_text(file).stream as stream:
        assert list(stream)[-1] == RUSSIAN
    path.write_bytes(b"plain words\n" * 200_000 + "Größe\xff".encode("latin-1"))
    with opened(path) as file:
        assert open_text(file).encoding == "Windows-1252"


def test_a_letter_may_be_cut_by_the_end_of_a_chunk(tmp_path: Path) -> None:
    text = "x" * (1024**2 - 1) + "€" * 10
    path = tmp_path / "a.txt"
    path.write_text(text, encoding="utf-8")
    with opened(path) as file:
        found = open_text(file)
        assert found.stream.read() == text
        assert found.replaced == 0
        found.stream.close()
