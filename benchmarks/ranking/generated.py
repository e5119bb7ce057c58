"""Sets that are made from a seed, so that there are always new ones.

Every page states facts; a question asks for some of them, and all pages that state the same are
right. A question without an answer names a code that was not given or a town that does not occur,
or asks about something that no document treats.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.ranking.sets import Asked, RankingSet, asked
from mm_rag import Segment

_ABSENT = 12  # towns that no document of a set names
_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
_WORDS: dict[str, Any] = json.loads(Path(__file__).with_name("vocabulary.json").read_text("utf-8"))


class _Subject(NamedTuple):
    """Something that happens, as documents say it, and as people ask for it with other words."""

    text: str
    paraphrase: str
    german: str
    french: str
    spanish: str
    chinese: str


_SUBJECTS = {row[0]: _Subject(*row) for row in _WORDS["subjects"]}


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page of a made document.

    Attributes:
        source: Name of the document.
        number: Number of the page; None for documents without pages.
        title: As a loader would give it.
        text: The page.
        facts: Its statements, by name.
    """

    source: str
    number: int | None = None
    title: str = ""
    text: str
    facts: Mapping[str, str]


class _Question(NamedTuple):
    """A question; the pages that share these facts with the one that it was made from are right."""

    text: str
    kind: str
    facts: tuple[str, ...]


_Make = Callable[[random.Random, Sequence[str]], Iterator[Page]]
_Ask = Callable[[random.Random, Page], Iterable[_Question]]


def generated(nature: str, seed: int, size: int) -> RankingSet:
    """A set of `size` segments.

    Args:
        nature: One of `NATURES`.
        seed: Another seed gives other documents and questions.
        size: Number of segments.
    """
    rng = random.Random(f"{nature}-{seed}-{size}")
    name = f"{nature}, seed {seed}, {size:,}"
    make, ask = NATURES[nature]
    towns: list[str] = rng.sample(_WORDS["places"], len(_WORDS["places"]))
    pages = list(islice(make(rng, towns[_ABSENT:]), size))
    answerable = list(_answerable(name, rng, pages, ask))
    unanswerable = _unanswerable(name, rng, pages, towns[:_ABSENT])
    return RankingSet(
        name=name,
        segments=[_segment(name, page) for page in pages],
        questions=[*answerable, *unanswerable],
    )


def _segment(name: str, page: Page) -> Segment:
    return Segment(
        modality="text",
        source=page.source,
        sha256=hashlib.sha256(f"{name}{page.source}".encode()).hexdigest(),
        text=page.text,
        title=page.title,
        page=page.number,
    )


# Questions.


def _answerable(name: str, rng: random.Random, pages: Sequence[Page], ask: _Ask) -> Iterator[Asked]:
    asked_before = Counter[str]()
    for page in rng.sample(pages, min(len(pages), 36 if len(pages) > 100 else 16)):
        offered = list(ask(rng, page))
        rng.shuffle(offered)
        # The kinds that were asked least so far, so that all are balanced.
        for question in sorted(offered, key=lambda one: asked_before[one.kind])[:2]:
            asked_before[question.kind] += 1
            right = ((one.source, one.number) for one in pages if _answers(one, page, question))
            yield asked(name, question.text, question.kind, right)


def _answers(page: Page, origin: Page, question: _Question) -> bool:
    if question.kind in ("quote", "one word"):
        return has_words(page.text, question.text.strip('"'))
    return all(page.facts.get(fact) == origin.facts[fact] for fact in question.facts)


def has_words(text: str, words: str) -> bool:
    """Whether a text has these words next to each other, in upper or lower case."""
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text, re.IGNORECASE) is not None


def _unanswerable(
    name: str, rng: random.Random, pages: Sequence[Page], absent: Sequence[str]
) -> Iterator[Asked]:
    given = " ".join(page.text for page in pages)
    codes = [page.facts["code"] for page in pages if "code" in page.facts]
    for at in range(18 if len(pages) > 100 else 9):
        subject, code = rng.choice(list(_SUBJECTS.values())), _code(rng)
        if codes and at % 2:
            code = _neighbour(rng, rng.choice(codes))
        match at % 3:
            case 0 if code not in given:
                text = rng.choice(_WORDS["asking_for_missing_codes"]).format(code)
            case 1:
                text = f"{subject.paraphrase} in {absent[at % len(absent)]}?"
            case _:
                text = rng.choice(_WORDS["elsewhere"])
        yield asked(name, text, "unanswerable", ())
    for text in rng.sample(_WORDS["nonsense"], 3):
        yield asked(name, text, "nonsense", ())


def _ask_subject(rng: random.Random, page: Page) -> Iterator[_Question]:
    """Questions about what happens in a town."""
    subject, town = _SUBJECTS[page.facts["subject"]], page.facts["town"]
    both = ("subject", "town")
    question = f"{subject.paraphrase} in {town}?"
    yield _Question(question, "paraphrase", both)
    yield _Question(f'"{" ".join(subject.text.split()[-4:])} in {town}"', "quote", both)
    yield _Question(_misspelt(rng, f"{subject.text} {town}"), "misspelt", both)
    language = [
        f"{subject.german} in {town}?",
        f"{subject.french}, à {town} ?",
        f"¿{subject.spanish} en {town}?",
        f"{town}{subject.chinese}",
    ]
    yield _Question(rng.choice(language), "other language", both)
    yield _Question(town, "one word", ("town",))
    fillers = rng.sample(_WORDS["fillers"], len(_WORDS["fillers"]))
    long = [*fillers[:4], f"I would like to know this: {question}", *fillers[4:]]
    yield _Question(" ".join(long), "paragraph", both)


def _ask_code(rng: random.Random, page: Page) -> Iterator[_Question]:
    """Questions that name a code."""
    code = page.facts["code"]
    yield _Question(code, "code", ("code",))
    sentence = rng.choice(_WORDS["asking_about_codes"]).format(code)
    yield _Question(sentence, "code in a sentence", ("code",))
    yield _Question(f'"{code}"', "quote", ("code",))
    apart = code.lower() if "/" in code else code.lower().replace("-", " ")
    yield _Question(f"anything on {apart}", "code in a sentence", ("code",))


def _ask_memo(rng: random.Random, page: Page) -> Iterator[_Question]:
    yield from _ask_subject(rng, page)
    yield from _ask_code(rng, page)


def _ask_contract(rng: random.Random, page: Page) -> Iterator[_Question]:
    code, version = page.facts["code"], page.facts["version"]
    paraphrase = rng.choice(_WORDS["clauses"])[2]
    named = f"{paraphrase} in version {version} of agreement {code}?"
    yield _Question(named, "code in a sentence", ("code", "version"))
    yield _Question(f'"{code}, version {version}"', "quote", ("code", "version"))
    yield _Question(code, "code", ("code",))


def _ask_product(rng: random.Random, page: Page) -> Iterator[_Question]:
    goods, colour, material = (page.facts[name] for name in ("goods", "colour", "material"))
    three = ("goods", "colour", "material")
    other = f"{colour} {dict(_WORDS['goods'])[goods]} made of {material}"
    yield _Question(other, "paraphrase", three)
    yield _Question(_misspelt(rng, f"{colour} {goods} of {material}"), "misspelt", three)
    yield _Question(f'"{colour} {goods} of {material}"', "quote", three)
    yield from _ask_code(rng, page)


def _ask_table(rng: random.Random, page: Page) -> Iterator[_Question]:
    """Questions for a number; pages of one measure with that town and year are right."""
    measure, town, year = (page.facts[name] for name in ("measure", "town", "year"))
    facts = ("measure", f"town {town}", f"year {year}")
    yield _Question(f"{measure} in {town} in {year}", "same words", facts)
    yield _Question(dict(_WORDS["measures"])[measure].format(town, year), "paraphrase", facts)


def _ask_function(rng: random.Random, page: Page) -> Iterator[_Question]:
    name = page.facts["code"]
    paraphrase = next(row[2] for row in _WORDS["functions"] if row[0] == page.facts["function"])
    yield _Question(f"{paraphrase} for {page.facts['town']}", "paraphrase", ("code",))
    yield _Question(name, "code", ("code",))
    yield _Question(f"Where is {name} defined?", "code in a sentence", ("code",))


def _ask_mixed(rng: random.Random, page: Page) -> Iterable[_Question]:
    asks = {"goods": _ask_product, "measure": _ask_table, "code": _ask_memo}
    return next((asks[fact] for fact in asks if fact in page.facts), _ask_subject)(rng, page)


def _misspelt(rng: random.Random, text: str) -> str:
    """The text with a letter missing or two letters swapped in two of the longer words."""
    parts = text.split()
    long = [at for at, word in enumerate(parts) if len(word) > 5]
    for at in rng.sample(long, min(2, len(long))):
        word = parts[at]
        here = rng.randrange(1, len(word) - 2)
        swapped = word[:here] + word[here + 1] + word[here] + word[here + 2 :]
        parts[at] = rng.choice([swapped, word[:here] + word[here + 1 :]])
    return " ".join(parts)


# Documents.


def _neighbour(rng: random.Random, code: str) -> str:
    """A code with another digit."""
    places = [at for at, letter in enumerate(code) if letter.isdigit()]
    if not places:
        return f"{code}_{rng.randrange(2, 99)}"
    at = rng.choice(places)
    return code[:at] + str((int(code[at]) + rng.randrange(1, 10)) % 10) + code[at + 1 :]


def _code(rng: random.Random) -> str:
    letters = "".join(rng.sample(_LETTERS, 2))
    formats = [
        f"{letters}-{rng.randrange(1, 9_999):05}",
        f"INV-{rng.randrange(2019, 2027)}/{rng.randrange(100, 9_999):04}",
        f"{rng.randrange(1000, 9999)}-{letters}",
        f"{letters}{rng.randrange(100_000, 999_999)}",
    ]
    return rng.choice(formats)


def _date(rng: random.Random) -> str:
    return f"{rng.randrange(1, 29)} {rng.choice(_WORDS['months'])} {rng.randrange(2015, 2027)}"


def _person(rng: random.Random) -> str:
    return f"{rng.choice(_WORDS['first_names'])} {rng.choice(_WORDS['last_names'])}"


def _filler(rng: random.Random) -> str:
    return rng.choice(_WORDS["fillers"])


def _memos(rng: random.Random, towns: Sequence[str]) -> Iterator[Page]:
    """Memos with codes that differ in their number only, as those of one office do."""
    letters = "".join(rng.sample(_LETTERS, 2))
    for number in count(rng.randrange(1, 900), rng.randrange(1, 4)):
        subject, town = rng.choice(list(_SUBJECTS)), rng.choice(towns)
        code = f"{letters}-{number:05}"
        text = (
            f"{rng.choice(_WORDS['openings'])} {subject} in {town}. {_person(rng)} is in charge. "
            f"The estimate of {_date(rng)} is {rng.randrange(200, 90_000):,} euros. Please quote "
            f"reference {code} in all replies. {rng.choice(_WORDS['closings'])}"
        )
        facts = {"subject": subject, "town": town, "code": code}
        yield Page(source=f"/made/memos/memo-{number:05}.txt", text=text, facts=facts)


def _chats(rng: random.Random, towns: Sequence[str]) -> Iterator[Page]:
    for number in count():
        subject, town = rng.choice(list(_SUBJECTS)), rng.choice(towns)
        (one, _), (two, _), hour = _person(rng).split(), _person(rng).split(), rng.randrange(7, 19)
        text = (
            f"{hour}:02 {one}: hi, did you hear? {subject} in {town}\n"
            f"{hour}:04 {two}: no, since when\n{hour}:05 {one}: {_date(rng)}, I think\n"
            f"{hour}:09 {two}: ok. {_filler(rng)}"
        )
        facts = {"subject": subject, "town": town}
        yield Page(source=f"/made/chats/chat-{number:05}.txt", text=text, facts=facts)


def _minutes(rng: random.Random, towns: Sequence[str]) -> Iterator[Page]:
    """Minutes of four pages, each about something else."""
    for document in count():
        date, chair = _date(rng), _person(rng)
        for number in range(1, 5):
            subject, town, person = rng.choice(list(_SUBJECTS)), rng.choice(towns), _person(rng)
            text = (
                f"Minutes of {date}, page {number}. In the chair: {chair}.\n{_filler(rng)} "
                f"{person} reports that {subject} in {town}. {_filler(rng)} Decision: {person} "
                f"writes to the board. {rng.choice(_WORDS['closings'])}"
            )
            yield Page(
                source=f"/made/minutes/minutes-{document:04}.pdf",
                number=number,
                title=f"Minutes of {date}",
                text=text,
                facts={"subject": subject, "town": town},
            )


def _contracts(rng: random.Random, towns: Sequence[str]) -> Iterator[Page]:
    """Contracts in five versions, each with another number in one clause."""
    for number in count():
        town, other = rng.sample(towns, 2)
        code, terms = _code(rng), [rng.randrange(2, 90) for _ in _WORDS["clauses"]]
        for version in range(1, 6):
            terms[rng.randrange(len(terms))] += rng.randrange(1, 9)
            clauses = [
                f"{n}. {heading}. {text.format(term)}."
                for n, ((heading, text, _), term) in enumerate(
                    zip(_WORDS["clauses"], terms, strict=True), 1
                )
            ]
            parties = f"between the port of {town} and the depot of {other}"
            head = f"Agreement {code}, version {version}, {parties}."
            yield Page(
                source=f"/made/contracts/contract-{number:04}-v{version}.docx",
                text="\n".join([head, *clauses]),
                facts={"code": code, "version": str(version)},
            )


def _parts(rng: random.Random, towns: Sequence[str]) -> Iterator[Page]:
    """Lists of eight parts."""
    things = ("bracket", "flange", "valve", "bearing", "gasket", "bolt")
    for number in count():
        codes = [_code(rng) for _ in range(8)]
        rows = [
            f"| {code} | {rng.choice(_WORDS['materials'])} {rng.choice(things)} | "
            f"{rng.randrange(4, 300)} x {rng.randrange(2, 90)} mm | {rng.randrange(1, 400)} |"
            for code in codes
        ]
        head = f"Stock in {rng.choice(towns)}\n| part | name | size | pieces |\n|---|---|---|---|"
        yield Page(
            source=f"/made/parts/list-{number:05}.xlsx",
            title="Parts in stock",
            text="\n".join([head, *rows]),
            facts={"code": rng.choice(codes)},
        )


def _products(rng: random.Random, towns: Sequence[str]) -> Iterator[Page]:
    for number in count():
        goods, _ = rng.choice(_WORDS["goods"])
        colour, material = rng.choice(_WORDS["colours"]), rng.choice(_WORDS["materials"])
        code = _code(rng)
        text = (
            f"{colour.title()} {goods} of {material}. Made in {rng.choice(towns)}. Weight "
            f"{rng.randrange(50, 9_000)} g, guarantee {rng.randrange(1, 6)} years. Order number "
            f"{code}. Price {rng.randrange(5, 400)}.{rng.randrange(10, 99)} euros. "
            f"{rng.choice(['Dishwasher safe.', 'Handle with care.', 'Refills are sold apart.'])}"
        )
        yield Page(
            source=f"/made/products/product-{number:05}.html",
            title=goods.title(),
            text=text,
            facts={"goods": goods, "colour": colour, "material": material, "code": code},
        )


def _tables(rng: random.Random, towns: Sequence[str]) -> Iterator[Page]:
    """Reports of five pages, each with a table of one measure for four years and eight towns."""
    for document in count():
        for number, (measure, _) in enumerate(rng.sample(_WORDS["measures"], 5), 1):
            first, chosen = rng.randrange(1990, 2022), rng.sample(towns, 8)
            years = [str(first + n) for n in range(4)]
            numbers = {town: [f"{rng.randrange(90, 90_000):,}" for _ in years] for town in chosen}
            rows = [f"| {town} | {' | '.join(row)} |" for town, row in numbers.items()]
            head = f"{measure} by town\n| town | {' | '.join(years)} |\n|---|---|---|---|---|"
            facts = {"measure": measure, "town": chosen[0], "year": rng.choice(years)}
            facts |= {f"town {town}": "" for town in chosen} | {
                f"year {each}": "" for each in years
            }
            yield Page(
                source=f"/made/tables/report-{document:04}.pdf",
                number=number,
                title=f"Statistics {document}",
                text="\n".join([head, *rng.sample(rows, len(rows))]),
                facts=facts,
            )


def _functions(rng: random.Random, towns: Sequence[str]) -> Iterator[Page]:
    """Functions that are named for what they do and for a town."""
    for number in count():
        (verb, purpose, _), town = rng.choice(_WORDS["functions"]), rng.choice(towns)
        one, two = rng.sample(["value", "item", "limit", "path", "total", "entry"], 2)
        name = f"{verb}_{town.lower()}"
        text = (
            f'def {name}({one}, {two}={rng.randrange(2, 99)}):\n    """{purpose} for {town}."""\n'
            f"    if not {one}:\n        raise ValueError({one})\n"
            f"    return [{two} for each in {one} if each]"
        )
        facts = {"function": verb, "town": town, "code": name}
        yield Page(source=f"/made/code/module_{number:05}.py", text=text, facts=facts)


def _mixed(rng: random.Random, towns: Sequence[str]) -> Iterator[Page]:
    """Some of each."""
    makers = {_memos: 4, _chats: 4, _minutes: 4, _products: 4, _tables: 5}
    running = {maker(rng, towns): n for maker, n in makers.items()}
    while True:
        for pages, n in running.items():
            yield from islice(pages, n)


NATURES: dict[str, tuple[_Make, _Ask]] = {
    "memos": (_memos, _ask_memo),
    "chats": (_chats, _ask_subject),
    "minutes": (_minutes, _ask_subject),
    "contracts": (_contracts, _ask_contract),
    "parts": (_parts, _ask_code),
    "products": (_products, _ask_product),
    "tables": (_tables, _ask_table),
    "code": (_functions, _ask_function),
    "mixed": (_mixed, _ask_mixed),
}
"""By nature: what makes the pages, and what asks about one."""
