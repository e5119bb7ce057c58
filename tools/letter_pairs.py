"""Count which letters follow each other in many languages, for `mm_rag_loaders.pdf.gibberish`.

`python -m tools.letter_pairs` reads the translations of programs that are installed in
`/usr/share/locale` and writes the table of pairs, from one half of them. With `--check` it prints
how
many texts of the other half are taken for gibberish as they are, and with their letters shuffled,
shifted, or replaced in other ways.
"""

from __future__ import annotations

import gettext
import json
import random
import re
import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

from mm_rag_loaders.pdf import gibberish

_FOLDER = Path("/usr/share/locale")
_TABLE = Path(gibberish.__file__).with_name("letter_pairs.json")
_MARKUP = re.compile(r"%[-0-9.$]*[a-zA-Z]+|\\n|<[^>]*>|\{[^}]*\}|[_&](?=\w)")
_MOST_LETTERS = 200_000  # of a language
_FEWEST_LETTERS = 4000
_LEFT_OUT = ("en@shaw", "en@quot", "en@boldquot")  # not in the usual letters of their language
_SIZES = (80, 150, 300, 800, 2000)
_TEXTS = 12  # of a language and size


def translations(half: int) -> dict[str, list[str]]:
    """Half of the translated messages of each language."""
    found: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for path in sorted(_FOLDER.glob("*/LC_MESSAGES/*.mo")):
        language = path.parts[-3]
        try:
            with path.open("rb") as file:
                messages = vars(gettext.GNUTranslations(file))["_catalog"]
        except (OSError, ValueError, LookupError):
            continue
        for original, message in messages.items():
            text = _MARKUP.sub(" ", message) if message != original else ""
            if len(text) >= 12 and original and zlib.crc32(text.encode()) % 2 == half:
                found[language][text] = None
    return {
        language: list(texts)
        for language, texts in sorted(found.items())
        if language not in _LEFT_OUT and sum(map(len, texts)) > _FEWEST_LETTERS
    }


def write_table() -> None:
    """Count the pairs of one half, and write the table."""
    scripts: defaultdict[str, list[Counter[tuple[str, str]]]] = defaultdict(list)
    for texts in translations(0).values():
        random.Random(1).shuffle(texts)
        text = "\n".join(texts)[:_MOST_LETTERS]
        pairs: defaultdict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
        for (script, a, b), n in gibberish.letter_pairs(text).items():
            pairs[script][a, b] += n
        script = max(pairs, key=lambda each: pairs[each].total())
        if script not in ("CJK", "HANGUL"):
            scripts[script].append(pairs[script])
    table = {
        script: gibberish.table_of(languages, script)
        for script, languages in sorted(scripts.items())
    }
    _TABLE.write_text(json.dumps(table, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


def _shuffled(text: str, rng: random.Random) -> str:
    letters = sorted({letter for letter in text if letter.isalpha()})
    others = rng.sample(letters, len(letters))
    return text.translate(dict(zip(map(ord, letters), others, strict=True)))


def _shifted(text: str, _: random.Random) -> str:
    return "".join(each if each.isspace() else chr(max(1, ord(each) - 29)) for each in text)


def _numbered(text: str, _: random.Random) -> str:
    known: dict[str, str] = {}
    return "".join(
        each if each.isspace() else known.setdefault(each, chr(0x21 + len(known))) for each in text
    )


def _private(text: str, _: random.Random) -> str:
    return "".join(each if each.isspace() else chr(0xE000 + ord(each) % 0x1800) for each in text)


DAMAGES: dict[str, Callable[[str, random.Random], str]] = {
    "shuffled": _shuffled,
    "shifted": _shifted,
    "numbered": _numbered,
    "private": _private,
}


def check() -> None:
    """Print how many texts of the other half are taken for gibberish, with 95% intervals."""
    rng = random.Random(7)
    halves = translations(1)
    for size in _SIZES:
        found: Counter[str] = Counter()
        seen: Counter[str] = Counter()
        for language, texts in halves.items():
            for _ in range(_TEXTS):
                text, at = "", rng.randrange(len(texts))
                while len(text) < size * 1.2 and at < len(texts):
                    text, at = f"{text}{texts[at]}\n", at + 1
                _count("as it is", text, found, seen)
                if language.startswith(("ja", "ko", "zh")):
                    continue  # any order of ideographs is possible
                for name, damage in DAMAGES.items():
                    _count(name, damage(text, rng), found, seen)
        print(f"{size} letters:", ", ".join(_share(name, found, seen) for name in seen))  # noqa: T201


def _count(name: str, text: str, found: Counter[str], seen: Counter[str]) -> None:
    seen[name] += 1
    found[name] += gibberish.is_gibberish(text)


def _share(name: str, found: Counter[str], seen: Counter[str]) -> str:
    """A share with its Wilson interval."""
    n, share, z = seen[name], found[name] / seen[name], 1.96
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5 / (1 + z * z / n)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return f"{name} {found[name]}/{n} ({low:.1%} to {high:.1%})"


if __name__ == "__main__":
    check() if "--check" in sys.argv else write_table()
