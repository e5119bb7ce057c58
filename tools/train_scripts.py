"""Train `mm_rag/extraction/script_weights.npz`, with which OCR tells the script of a line.

Lines with known text are drawn in many fonts, sizes and colours, blurred and made noisy, and given
to the model of the OCR engine. A logistic regression learns what it makes of each script. The texts
are the translations of installed programs (`/usr/share/locale`), so that nothing is fetched.

On Debian: apt-get install fonts-noto-core fonts-noto-cjk fonts-dejavu fonts-liberation
fonts-freefont-ttf fonts-thai-tlwg fonts-lohit-deva fonts-hosny-amiri fonts-nanum culmus
iso-codes libgtk2.0-common. Then `python -m tools.train_scripts`, which takes half an hour on one
processor, prints the share of right lines for each script, and writes the weights.
"""

from __future__ import annotations

import contextlib
import gettext
import io
import random
import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from mm_rag.extraction.ocr_engine import engine
from mm_rag.extraction.scripts import NO_TEXT, TURNED, VIETNAMESE, Evidence, letter_kinds, mean_of

_WEIGHTS = Path(__file__).parents[1] / "mm_rag/extraction/script_weights.npz"
_FONTS = Path("/usr/share/fonts")
_LINES = 350  # of each language, of which every third is kept for testing
_LETTERS = 600
_LANGUAGES = {
    "Latin": "de fr cs pl tr es",
    "Han": "ja zh_CN zh_TW",
    VIETNAMESE: "vi",
    "Arabic": "ar fa",
    "Armenian": "hy",
    "Bengali": "bn",
    "Cyrillic": "ru uk bg sr",
    "Devanagari": "hi mr",
    "Georgian": "ka",
    "Greek": "el",
    "Gujarati": "gu",
    "Gurmukhi": "pa",
    "Hangul": "ko",
    "Hebrew": "he",
    "Kannada": "kn",
    "Khmer": "km",
    "Malayalam": "ml",
    "Myanmar": "my",
    "Sinhala": "si",
    "Tamil": "ta",
    "Telugu": "te",
    "Thai": "th",
}
_UNICODE = {"Han": "CJK|HIRAGANA|KATAKANA", VIETNAMESE: "LATIN"}
# Of every so many lines of a script one is also learned upside down.
_ALSO_TURNED = {"Latin": 2, "Han": 2, VIETNAMESE: 2, "Hangul": 2} | dict.fromkeys(
    ("Arabic", "Cyrillic", "Devanagari", "Greek", "Hebrew", "Thai"), 4
)
_FROM_RIGHT = ("Arabic", "Hebrew")
_COLOURS = (
    ((0, 0, 0), (255, 255, 255)),
    ((30, 30, 40), (240, 236, 225)),
    ((250, 250, 250), (30, 30, 60)),
    ((60, 60, 60), (250, 250, 250)),
    ((90, 90, 90), (230, 230, 230)),
)
_Pixels = npt.NDArray[np.uint8]


def main() -> None:
    """Draw, train, print what came out right, and write the weights."""
    samples = list(_samples())
    names = [VIETNAMESE, "Latin", "Han", NO_TEXT, TURNED, *sorted(_LANGUAGES)]
    names = list(dict.fromkeys(names))
    means = [mean for _, mean in samples]
    classes = np.array([names.index(name) for name, _ in samples])
    tested = np.arange(len(samples)) % 3 == 0
    letters = _telling(np.stack([mean.letters for mean in means]), classes, tested)
    kinds = letter_kinds(engine().letters)
    inputs = np.stack([mean.inputs(letters, kinds) for mean in means])
    weights, bias = _trained(inputs[~tested], classes[~tested], len(names))
    found = (inputs @ weights + bias).argmax(axis=1)
    for number, name in enumerate(names):
        own = tested & (classes == number)
        sys.stdout.write(f"{name:12} {np.mean(found[own] == number):.2f} of {own.sum()}\n")
    sys.stdout.write(f"all          {np.mean(found[tested] == classes[tested]):.3f}\n")
    np.savez_compressed(
        _WEIGHTS,
        classes=np.array(names),
        letters=letters.astype(np.int32),
        weights=weights.astype(np.float16),
        bias=bias.astype(np.float32),
    )


def _samples() -> Iterator[tuple[str, Evidence]]:
    """The script of each line, and what the model makes of it."""
    columns = engine().columns

    def run(line: _Pixels) -> Evidence:
        return mean_of(columns(line))

    chance = random.Random(1)
    for _ in range(2 * _LINES):
        yield NO_TEXT, run(_texture(chance))
    for script, languages in _LANGUAGES.items():
        for language in languages.split():
            texts, fonts = _texts(script, language), _fonts(script)
            for number in range(_LINES):
                line = _line(script, texts, fonts, chance)
                yield script, run(line)
                if script in _ALSO_TURNED and number % _ALSO_TURNED[script] == 0:
                    yield TURNED, run(np.ascontiguousarray(line[::-1, ::-1]))


def _telling(
    means: npt.NDArray[np.float32], classes: npt.NDArray[np.intp], tested: npt.NDArray[np.bool_]
) -> npt.NDArray[np.intp]:
    """The letters that the model finds in one script much more than in most others."""
    by_class = np.stack(
        [means[(classes == one) & ~tested].mean(axis=0) for one in range(classes.max() + 1)]
    )
    by_class[:, 0] = 0
    ordered = np.sort(by_class, axis=0)
    telling = ordered[-1] - ordered[len(ordered) // 2]
    return np.sort(np.argsort(telling)[::-1][:_LETTERS])


def _trained(
    inputs: npt.NDArray[np.float32], classes: npt.NDArray[np.intp], count: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    mean, deviation = inputs.mean(axis=0), inputs.std(axis=0) + 1e-2
    given = torch.tensor((inputs - mean) / deviation, dtype=torch.float32)
    wanted = torch.tensor(classes)
    rarity = torch.tensor(1 / np.sqrt(np.bincount(classes, minlength=count)), dtype=torch.float32)
    weights = torch.zeros(given.shape[1], count, requires_grad=True)
    bias = torch.zeros(count, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights, bias], max_iter=400)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        error = torch.nn.functional.cross_entropy(
            given @ weights + bias, wanted, weight=rarity / rarity.mean()
        )
        whole = error + 5e-4 * (weights**2).sum()
        whole.backward()
        return whole

    optimiser.step(loss)
    learned = weights.detach().numpy() / deviation[:, None]
    return learned, bias.detach().numpy() - mean @ learned


def _texts(script: str, language: str) -> list[str]:
    """Sentences in a language, from the translations of installed programs."""
    found: set[str] = set()
    for path in Path(f"/usr/share/locale/{language}/LC_MESSAGES").glob("*.mo"):
        catalog: dict[Any, Any] = {}
        with path.open("rb") as file, contextlib.suppress(UnicodeDecodeError):
            catalog = vars(gettext.GNUTranslations(file))["_catalog"]
        for source, value in catalog.items():
            if not isinstance(value, str) or value == source or not source:
                continue
            text = " ".join(value.replace("_", "").split())
            if 15 <= len(text) <= 400 and not re.search(r"[%<>{}\\|=&@$^#\[\]`~+*]|--", text):
                letters = [letter for letter in text if letter.isalpha()]
                own = sum(_is_of(letter, script) for letter in letters)
                if letters and own > 0.85 * len(letters):
                    found.add(text)
    return sorted(found)


def _is_of(letter: str, script: str) -> bool:
    name = unicodedata.name(letter, "")
    return bool(re.match(_UNICODE.get(script, script.upper()), name))


def _fonts(script: str) -> list[tuple[Path, int]]:
    """Fonts that may have the letters of a script, with the number of a font in a collection."""
    if script in ("Han", "Hangul"):
        sheets = sorted(_FONTS.glob("opentype/noto/Noto*CJK-Regular.ttc"))
        return [
            (path, face) for path in sheets for face in ((1,) if script == "Hangul" else (0, 2))
        ]
    name = "" if script in ("Latin", VIETNAMESE, "Cyrillic", "Greek") else script
    noto = [
        f"NotoSans{name}-Regular.ttf",
        f"NotoSerif{name}-Regular.ttf",
        f"NotoSans{name}-Bold.ttf",
    ]
    others = ["DejaVuS*.ttf", "LiberationS*.ttf", "FreeS*.ttf", "Lohit-*.ttf", "Garuda.*tf"]
    others += ["Norasi.*tf", "[Aa]miri-[Rr]egular.ttf", "FrankRuehlCLM-*", "DavidCLM-*"]
    return [(path, 0) for pattern in noto + others for path in sorted(_FONTS.rglob(pattern))]


def _line(
    script: str, texts: Sequence[str], fonts: Sequence[tuple[Path, int]], chance: random.Random
) -> _Pixels:
    """A drawn line, cut out about as the detector does."""
    while True:
        path, face = chance.choice(fonts)
        size = chance.choice([16, 20, 24, 28, 34, 44])
        font = ImageFont.truetype(str(path), size, index=face)
        text = chance.choice(texts)
        start, length = chance.randrange(max(1, len(text) - 8)), chance.randint(8, 60)
        # Cut between words where there are any.
        text = " ".join(text[start : start + length].split(" ")[1:]) or text[:length]
        if text.strip() and all(_draws(font, letter) for letter in set(text)):
            break
    ink, paper = chance.choice(_COLOURS)
    picture = Image.new("RGB", (round(font.getlength(text)) + 200, 3 * size), paper)
    way: dict[str, Any] = {"direction": "rtl"} if script in _FROM_RIGHT else {}
    draw = ImageDraw.Draw(picture)
    draw.text((60, size), text, ink, font, **way)
    left, top, right, bottom = draw.textbbox((60, size), text, font, **way)
    margin = (bottom - top) * chance.uniform(0.08, 0.3)
    box = (left - margin, top - margin, right + margin, bottom + margin)
    spoilt = _spoilt(picture, chance).crop(tuple(round(edge) for edge in box))  # pyright: ignore
    return np.ascontiguousarray(np.asarray(spoilt)[:, :, ::-1])


def _draws(font: ImageFont.FreeTypeFont, letter: str) -> bool:
    """Whether a font has a letter."""
    if not letter.strip() or unicodedata.category(letter) in ("Mn", "Cf"):
        return True
    missing, drawn = (_drawn(font, one) for one in ("\uffff", letter))
    return missing != drawn


def _drawn(font: ImageFont.FreeTypeFont, letter: str) -> bytes:
    picture = Image.new("L", (100, 100))
    ImageDraw.Draw(picture).text((20, 20), letter, 255, font)
    return picture.tobytes()


def _spoilt(picture: Image.Image, chance: random.Random) -> Image.Image:
    if chance.random() < 0.4:
        picture = picture.filter(ImageFilter.GaussianBlur(chance.uniform(0.4, 1.0)))
    if chance.random() < 0.4:
        noise = np.random.default_rng(chance.randrange(2**32)).normal(
            0, chance.uniform(6, 18), (picture.height, picture.width, 3)
        )
        picture = Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))
    if chance.random() < 0.3:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=chance.randint(25, 50))
        picture = Image.open(file).convert("RGB")
    return picture


def _texture(chance: random.Random) -> _Pixels:
    """Something that is no text."""
    width, height = chance.randint(60, 600), chance.randint(30, 90)
    noise = np.random.default_rng(chance.randrange(2**32))
    match chance.randrange(4):
        case 0:
            levels = noise.normal(128, 40, (height, width, 3))
        case 1:
            small = noise.uniform(0, 255, (height // 8, width // 8, 3)).astype(np.uint8)
            levels = np.asarray(Image.fromarray(small).resize((width, height)), np.float64)
        case 2:
            stripes = np.sign(np.sin(np.arange(width) / chance.uniform(1.5, 12)))
            levels = np.tile((128 + 100 * stripes)[None, :, None], (height, 1, 3))
        case _:
            picture = Image.new("RGB", (width, height), (chance.randint(0, 255),) * 3)
            for _ in range(chance.randint(1, 12)):
                corners = [(chance.randint(0, width), chance.randint(0, height)) for _ in range(3)]
                ImageDraw.Draw(picture).line(corners, (chance.randint(0, 255),) * 3, 3)
            levels = np.asarray(picture, np.float64)
    return np.ascontiguousarray(levels.clip(0, 255).astype(np.uint8))


if __name__ == "__main__":
    main()
