"""Token estimates are never below real tokenizers and published formulas."""
# ruff: noqa: RUF001 - letters of other scripts are meant

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import pytest
import tiktoken

from mm_rag.prompt_content import Budget

ENGLISH = (
    "The harbour office keeps a ledger of every vessel that enters the estuary between dusk and "
    "dawn. Last winter the clerks recorded three hundred and twelve arrivals, of which only a "
    "handful were delayed by fog. Nobody could quite explain why the remaining ships had anchored "
    "so far from the lighthouse, since the channel had been dredged only two years before and the "
    "pilots knew every sandbank by heart. "
)
TEXTS = {
    "English": ENGLISH,
    "German": "Die Verständigungsschwierigkeiten zwischen den Verkehrsbetrieben und der "
    "Stadtverwaltung führten zu einer erheblichen Verzögerung der Straßenbahnverlängerung. "
    "Außerdem müssen Fahrgäste künftig größere Umwege in Kauf nehmen, weil die Brücke über den "
    "Fluss wegen Baufälligkeit gesperrt wurde.",
    "German without umlauts": "Im Betriebsratsbeschluss vom Donnerstag wurden "
    "Arbeitszeitregelungen, Schichtzulagen und Urlaubsvertretungen neu geordnet.",
    "Chinese": "去年渔民在河口附近发现了污染的迹象,那里的水流入大海。政府随后宣布将投入更多资金。",
    "rare ideographs": "去年漁民在河口附近發現了污染的跡象。鬱鬱蔥蔥的龜殼與饕餮紋飾。",
    "Japanese": "漁師たちは河口付近で汚染の兆候を発見した。バックアップを毎日取得してください。",
    "Korean": "작년에 어부들은 강물이 바다로 흘러드는 하구 근처에서 오염의 징후를 발견했다.",
    "Arabic": "في العام الماضي اكتشف الصيادون علامات التلوث بالقرب من مصب النهر حيث تتدفق المياه.",
    "Hindi": "पिछले साल मछुआरों ने नदी के मुहाने के पास प्रदूषण के संकेत पाए, जहाँ पानी समुद्र में गिरता है।",
    "Russian": "В прошлом году рыбаки обнаружили признаки загрязнения недалеко от устья реки.",
    "Greek": "Πέρυσι οι ψαράδες ανακάλυψαν σημάδια ρύπανσης κοντά στις εκβολές του ποταμού.",
    "Hebrew": "בשנה שעברה גילו הדייגים סימני זיהום ליד שפך הנהר, במקום שבו המים זורמים אל הים.",
    "Thai": "ปีที่แล้วชาวประมงพบร่องรอยของมลพิษใกล้ปากแม่น้ำซึ่งน้ำไหลลงสู่ทะเล",
    "Czech": "Loni rybáři našli známky znečištění poblíž ústí řeky, kde voda teče do moře.",
    "Vietnamese": "Năm ngoái, những người đánh cá đã phát hiện dấu hiệu ô nhiễm gần cửa sông.",
    "Armenian": "Անցյալ տարի ձկնորսները գետի գետաբերանի մոտ հայտնաբերել են աղտոտման նշաններ։",
    "numbers": "1,234,567.89 12.4 % -0.0031 4.1e-07 2024-11-05T12:33:41Z 192.168.100.254",
    "a table": "| Year | Revenue |\n|---|---|\n| 2021 | 1,234,567.89 |\n| 2022 | 9,876,543.21 |\n",
    "Python": "class Handler(BaseHandler):\n    def __init__(self, *args, **kwargs):\n"
    "        super().__init__(*args, **kwargs)\n        self._cfg = {k: v for k, v in kwargs}\n",
    "JavaScript": "const fetchUsrs = async(u)=>{try{return(await fetch(`${API}/v1/u/${u}`)).json()}"
    "catch(e){}}",
    "emoji": "🎉🚀 Great 👩‍👩‍👧‍👦 job 🇩🇪🇫🇷 ❤️‍🔥 🧑🏽‍💻 ✅ → ∑ ∂ √ ≤ 𝒳",
    "mathematics": "∀ε>0 ∃δ>0: |x-a|<δ ⇒ |f(x)-f(a)|<ε; ∫₀^∞ e^{-x²}dx = √π/2",
    "chemistry": "N-(4-hydroxyphenyl)ethanamide; 3,7-dihydro-1,3,7-trimethyl-1H-purine-2,6-dione",
    "hexadecimal": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
    "capitals": "THE QUICK BROWN FOX AND THE WZKQ-XJ REGULATION OF EUROPEAN COMMUNITIES",
    "white space": "a    b        c\t\td\n\n\n\n   e                        f\r\n\r\n",
}


@pytest.fixture
def tokenizers(monkeypatch: pytest.MonkeyPatch) -> list[tiktoken.Encoding]:
    """The tokenizers of GPT-4 and GPT-4o, which LlamaIndex ships."""
    found = importlib.util.find_spec("llama_index.core")
    assert found is not None
    assert found.origin is not None
    files = Path(found.origin).parent / "_static" / "tiktoken_cache"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(files))
    return [tiktoken.get_encoding(name) for name in ("cl100k_base", "o200k_base")]


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("times", [1, 20])
def test_a_text_takes_no_more_than_estimated(
    name: str, times: int, tokenizers: list[tiktoken.Encoding]
) -> None:
    text = TEXTS[name] * times
    estimate = Budget().tokens_of_text(text)
    assert estimate >= max(len(tokenizer.encode(text)) for tokenizer in tokenizers)


def test_english_prose_is_not_much_overestimated(tokenizers: list[tiktoken.Encoding]) -> None:
    counts = [len(tokenizer.encode(ENGLISH)) for tokenizer in tokenizers]
    assert Budget().tokens_of_text(ENGLISH) <= 1.6 * min(counts)


@pytest.mark.parametrize("text", ["", " ", "\n", "\ud800", "\x00", "a" * 100_000])
def test_odd_texts_are_counted(text: str) -> None:
    assert Budget().tokens_of_text(text) >= 1


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1024, 1024), 1399),  # Claude: 1024 x 1024 / 750
        ((512, 512), 363),  # Qwen2-VL: 19 x 19 patches and its two marks
        ((768, 768), 787),  # Qwen2-VL: 28 x 28 and 2
        ((520, 520), 765),  # GPT-4o: four tiles
        ((100, 100), 255),  # GPT-4o: one tile
        ((2048, 10), 765),  # GPT-4o: four tiles in a row
    ],
)
def test_a_picture_takes_the_most_of_the_formulas(size: tuple[int, int], expected: int) -> None:
    assert Budget().tokens_of_picture(*size) == expected


@pytest.mark.parametrize("size", [(1024, 1024), (640, 480), (1240, 1754), (333, 2000), (1, 1)])
def test_a_picture_takes_no_less_than_each_formula(size: tuple[int, int]) -> None:
    estimate = Budget().tokens_of_picture(*size)
    assert estimate >= math.ceil(size[0] * size[1] / 750)
    assert estimate >= math.ceil(size[0] / 28) * math.ceil(size[1] / 28)
    assert estimate >= 85 + 170
