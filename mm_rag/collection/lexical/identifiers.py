"""Identifiers: codes, numbers, dates, addresses, paths and names, each in one spelling.

`ZX-02201`, `zx 02201` and `ZX02201` are all `zx02201`; `1,200.50` and `1 200,50` are `1200.5`;
`5 March 2024` and `05.03.2024` are `2024-03-05`. A text is indexed with the forms of all that it
has, and with those of their parts: `INV-2024/0815` is found by `2024/0815` and by `0815`, too. A
query is compared by the whole form of what it names, so a neighbour of a misspelt code is not met.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeAlias

from mm_rag.collection.lexical.analysis import (
    PLAIN,
    as_written,
    cleaned,
    language_of,
    spaced,
    stems,
)

Kind: TypeAlias = Literal["code", "number", "name"]

_MOST = 32  # identifiers of a query
_MOST_READ = 200  # matches of each expression in a query
_MOST_PARTS = 8  # a code with more is indexed by its beginnings and ends instead of all its runs
_MOST_FOR_NAMES = 2_000  # characters of a query; in a pasted page there are too many
_LONGEST = 100  # characters of a form


@dataclass(frozen=True)
class Identifier:
    """Something that a query names.

    Attributes:
        kind: A `code` is written to identify something, as are addresses, paths and dates; a
            `number` or a `name` often does.
        forms: Forms that mean the same; a text that has one of them has the identifier.
        otherwise: Less exact forms, used where no text has one of `forms`.
        words: Its pieces as words.
    """

    kind: Kind
    forms: tuple[str, ...]
    otherwise: tuple[str, ...] = ()
    words: str = ""


def forms_in(text: str) -> set[str]:
    """The forms of all codes, numbers and dates in a spaced text, and of their parts."""
    words = text.split()
    unusual = " ".join(word for word in words if not word.isalpha())
    found = {form for match in _CODE.finditer(unusual) for form in _forms_of(match[0])}
    if _DIGIT.search(text) is None:
        return set(as_written(" ".join(found)))
    text = " ".join(words)
    found.update(form for match in _AMOUNT.finditer(text) for form in _values(match[0]))
    for _, date in _dates(text):
        found |= {date, date[:7], date.replace("-", "")}
    found.update(_month(match) for match in _months(text))
    found.update(_form(match.groups()) for match in _APART.finditer(text) if match[1].isupper())
    found.update(filter(None, (_compact(match[0]) for match in _GROUPS.finditer(text))))
    return set(as_written(" ".join(form for form in found if len(form) <= _LONGEST)))


def identifiers_of(query: str) -> tuple[Identifier, ...]:
    """The identifiers in a query, in no particular order."""
    text = " ".join(spaced(cleaned(query), ends=False).split())
    found: list[Identifier] = []
    text = _take_dates(text, found)
    for expression, read in _READERS:
        text = _take(expression, read, text, found)
    return tuple(dict.fromkeys([*found, *_names(text)]))[:_MOST]


# Codes.

_DIGIT = re.compile(r"\d")
_JOINER = r"(?:[-_./:@+#&=\\~]{1,3}|(?<=\d),(?=\d))"
_CODE = re.compile(
    rf"(?<![^\W_])(?:(?<!\S)[~.]{{0,2}}/)?[^\W_]++(?:{_JOINER}[^\W_]++)*+(?:\+\+|#)?"
)
_PART = re.compile(r"\d+|[^\W\d_]+")
_SPLIT = re.compile(r"[\W_]+")
_APART = re.compile(r"(?<![^\W_])([^\W\d_]{1,5}) (\d{2,})(?![-_/.:,@]?[^\W_])")
_GROUPS = re.compile(r"(?<![^\W_])(?<!\d[-/.:])[^\W\d_]{0,2}\d{2,}(?: \d{2,})+(?![-/.:]?[^\W_])")
_FILE = re.compile(r"[^\W_]{2}\S*\.[a-z][a-z0-9]{1,4}")
_SCHEME = re.compile(r"[a-z]{2,6}://(?:www\.)?|www\.", re.IGNORECASE)
_LONG = 7  # digits of a telephone number, an account and the like, written with or without gaps


def _form(parts: Iterable[str]) -> str:
    """The parts joined: without a mark between letters and digits, which often stand together."""
    joined = ""
    for part in parts:
        for piece in _PART.findall(part):
            is_same = joined and joined[-1].isdigit() == piece[0].isdigit()
            joined += f"-{piece}" if is_same else piece
    return joined


def _forms_of(code: str) -> Iterator[str]:
    """The forms of a code and of its parts; none of words such as well-known and and/or."""
    code = _SCHEME.sub("", code)
    joiners = re.sub(r"[^\W_]", "", code)
    if _DIGIT.search(code) is None and (set(joiners) <= {"-"} or joiners in ("/", "++", "#")):
        return
    if _AMOUNT.fullmatch(code):
        return  # it has a value instead
    parts = [part for part in _SPLIT.split(code) if part]
    if compact := _compact(code):
        yield compact
    yield from re.findall(r"\d{2,}", code)
    if len(parts) > _MOST_PARTS:
        beginnings = [parts[:n] for n in range(1, _MOST_PARTS)]
        runs = [parts, *beginnings, *(parts[-n:] for n in range(1, 4))]
    else:
        ends = range(1, len(parts) + 1)
        runs = [parts[start:end] for end in ends for start in range(end)]
    yield from (form for form in map(_form, runs) if len(form) > 1 and not form.isalpha())


def _compact(code: str) -> str:
    """A long number without its gaps; empty for others."""
    bare = _SPLIT.sub("", code)
    return bare if sum(map(str.isdigit, bare)) >= _LONG and len(bare) <= _LONGEST else ""


def _code(text: str) -> Identifier | None:
    address = _SCHEME.sub("", text)
    kind = _kind(address) if len(text) <= _LONGEST else None
    if kind is None and address == text:
        return None
    form = text.lower() if text.endswith(("++", "#")) else _form(_SPLIT.split(address))
    return _identifier(kind or "code", (form, _compact(text)), text)


def _kind(code: str) -> Kind | None:
    """The kind of a code; None for words and short numbers, which identify nothing.

    Of 200 sentences that end abstracts, the abstract has 64.4 or 158 too in 2 to 7 of 100 cases,
    but what has letters and digits in 75 of 100; of other questions it has that in 90 to 100.
    """
    digits = sum(map(str.isdigit, code))
    letters = sum(map(str.isalpha, code))
    joiners = set(re.sub(r"[^\W_]", "", code))
    if digits and letters:
        if digits == 1 and letters == 1 and len(code) > 2:
            return None
        is_made = code != code.lower() or joiners & set("_@/\\#") or code[0].isalpha()
        if "=" in joiners:  # P=0.02
            return None
        return "code" if is_made else "number" if digits > 3 else None
    if digits:
        if not joiners:
            is_round = digits == 4 and code.endswith("000")
            return "code" if digits > 4 else "number" if digits == 4 and not is_round else None
        is_version = re.fullmatch(r"\d+(?:\.\d+){2,}", code)
        is_decimal = joiners & set(".,") and not is_version
        return "code" if is_version or (digits > 4 and not is_decimal) else None
    is_path = code.count("/") + code.count("\\") > 1 or _FILE.fullmatch(code)
    is_made = joiners & set("_@#&=") or code.endswith("++")
    return "code" if is_path or is_made else None


def _group(text: str) -> Identifier | None:
    return _identifier("code", (_compact(text),), text) if _compact(text) else None


def _apart(text: str) -> Identifier | None:
    letters, digits = text.split()
    kind = _kind(digits)
    otherwise = (digits,) if kind else ()
    is_number = kind == "number" and not letters.isupper()
    form = _form((letters, digits))
    return _identifier("number" if is_number else "code", (form,), text, otherwise)


# Numbers.

_AMOUNT = re.compile(
    r"(?<![^\W_])(?<!\d[-_./:, ])(?<!\+)"
    r"(?:\d{1,3}(?:([ ,.'\u2019])\d{3}(?:\1\d{3})*)(?:[.,]\d{1,2})?|\d+[.,]\d+)"
    r"(?![-_/:]?[^\W_])(?![ .,]\d)"
)
_NEEDED = 4  # digits before the decimal point: 64.4 and 12.5 % identify nothing


def _values(text: str) -> tuple[str, ...]:
    """The readings of a number with separators, without them and with a decimal point."""
    marks = re.findall(r"[^\d]", text)
    last = text.rsplit(marks[-1], 1)[1]
    is_thousands = len(last) == 3 and len(set(marks)) == 1
    if len(marks) > 1 and is_thousands:
        return (re.sub(r"\D", "", text),)
    whole = re.sub(r"\D", "", text[: -len(last) - 1])
    if not is_thousands or whole.startswith("0"):
        return (f"{whole}.{last.rstrip('0')}".rstrip("."),)
    # 1,200 and 1.200 are written for twelve hundred, too.
    return (whole + last, f"{whole}.{last}") if marks[-1] in ".," else (whole + last,)


def _amount(text: str) -> Identifier | None:
    values = _values(text)
    if len(values[0].split(".")[0]) < _NEEDED:
        return None
    return _identifier("number", values, text)


# Dates.

_MONTHS = (
    "january jan januar janvier enero gennaio janeiro januari января",
    "february feb februar février febrero febbraio fevereiro februari февраля",
    "march mar märz mars marzo março maart марта",
    "april apr avril abril aprile апреля",
    "may mai mayo maggio maio mei мая",
    "june jun juni juin junio giugno junho июня",
    "july jul juli juillet julio luglio julho июля",
    "august aug août agosto augustus августа",
    "september sep sept septembre septiembre settembre setembro сентября",
    "october oct oktober okt octobre octubre ottobre outubro октября",
    "november nov novembre noviembre novembro ноября",
    "december dec dezember dez décembre diciembre dicembre dezembro декабря",
)
_MONTH_OF = {name: n for n, names in enumerate(_MONTHS, 1) for name in names.split()}
_NAME = "|".join(sorted(_MONTH_OF, key=len, reverse=True))
_YEAR = r"((?:1[5-9]|20)\d\d)"
_DAY = r"(\d{1,2})(?:st|nd|rd|th|er|\.|º|ª)?"
_OF = r"(?: |\. ?|, ?)(?:de |of |del )?"
_FREE, _END = r"(?<![^\W_])(?<!\d[-./])", r"(?![-./]?\d)(?![^\W_])"
_IN_DIGITS = (  # an expression, and its groups for year, month and day
    (re.compile(rf"{_FREE}{_YEAR}[-/.](\d\d?)[-/.](\d\d?){_END}"), (1, 2, 3)),
    (re.compile(rf"{_FREE}{_YEAR} ?年 ?(\d\d?) ?月 ?(\d\d?) ?日"), (1, 2, 3)),
    (re.compile(rf"{_FREE}(\d\d?)\.(\d\d?)\.{_YEAR}{_END}"), (3, 2, 1)),
    (re.compile(rf"{_FREE}(\d\d?)([-/])(\d\d?)\2{_YEAR}{_END}"), (4, 3, 1)),
)
_IN_WORDS = (
    (re.compile(rf"{_FREE}{_DAY}{_OF}({_NAME}){_OF}{_YEAR}{_END}", re.IGNORECASE), (3, 2, 1)),
    (re.compile(rf"{_FREE}({_NAME})\.? {_DAY}{_OF}{_YEAR}{_END}", re.IGNORECASE), (3, 1, 2)),
)
_A_YEAR, _LETTERS = re.compile(_YEAR), re.compile(r"[^\W\d_]+")
_MONTH_ONLY = re.compile(rf"{_FREE}({_NAME}){_OF}{_YEAR}{_END}", re.IGNORECASE)


def _dates(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """Dates that can be read in one way only, as `2024-03-05`."""
    if _A_YEAR.search(text) is None:
        return
    for expression, groups in (*_IN_DIGITS, *(_IN_WORDS if _has_month(text) else ())):
        for match in expression.finditer(text):
            year, month, day = (_number(match[group]) for group in groups)
            if groups == (4, 3, 1):  # 5/3/2024 is in March or in May
                if month > 12:
                    month, day = day, month
                elif day <= 12 and day != month:
                    continue
            try:
                yield match, datetime.date(year, month, day).isoformat()
            except ValueError:
                continue


def _has_month(text: str) -> bool:
    return not _MONTH_OF.keys().isdisjoint(_LETTERS.findall(text.lower()))


def _months(text: str) -> list[re.Match[str]]:
    """Months of a year, and those in dates."""
    return list(_MONTH_ONLY.finditer(text)) if _has_month(text) else []


def _number(text: str) -> int:
    return int(text) if text.isdigit() else _MONTH_OF[text.lower()]


def _month(match: re.Match[str]) -> str:
    return f"{match[2]}-{_number(match[1]):02}"


def _take_dates(text: str, found: list[Identifier]) -> str:
    """Add the dates of a query, and return the rest of it."""
    for match, date in list(_dates(text)):
        found.append(_identifier("code", (date,), match[0]))
        text = _without(text, match)
    for match in _months(text):
        found.append(_identifier("number", (_month(match),), match[0], (match[2],)))
        text = _without(text, match)
    return text


# Names.

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")


_BEGINNING = frozenset(".?!:\u3002\uff1f\uff01") | {""}


def _names(text: str) -> Iterator[Identifier]:
    """Words that are written like names: capitalised within a sentence, or with inner capitals."""
    text = text[:_MOST_FOR_NAMES]
    matches = list(_WORD.finditer(text))
    words = [match[0] for match in matches]
    long = [word for word in words if len(word) > 3]
    # In titles, and in German, other words have capitals, too.
    is_title = len(long) > 3 and all(word[0].isupper() for word in long)
    if is_title or language_of(text) == "german":
        return
    for match in matches:
        word, before = match[0], text[max(0, match.start() - 3) : match.start()].rstrip()[-1:]
        is_name = before not in _BEGINNING and len(word) > 2 and word[0].isupper()
        if is_name or (len(word) > 1 and word[1:] != word[1:].lower()):
            longest = max(stems(word, PLAIN), key=len, default="")
            if len(longest) > 1:
                yield Identifier("name", (longest,), words=word)


_Reader: TypeAlias = Callable[[str], Identifier | None]
_READERS: Sequence[tuple[re.Pattern[str], _Reader]] = (
    (_AMOUNT, _amount),
    (_GROUPS, _group),
    (_APART, _apart),
    (_CODE, _code),
)


def _take(expression: re.Pattern[str], read: _Reader, text: str, found: list[Identifier]) -> str:
    """Add what an expression finds in a query, and return the rest of it."""
    for match in islice(expression.finditer(text), _MOST_READ):
        if (identifier := read(match[0])) is not None:
            found.append(identifier)
            text = _without(text, match)
    return text


def _without(text: str, match: re.Match[str]) -> str:
    return f"{text[: match.start()]}{' ' * len(match[0])}{text[match.end() :]}"


def _identifier(
    kind: Kind, forms: Iterable[str], text: str, otherwise: Iterable[str] = ()
) -> Identifier:
    spelt, less_exact = (
        tuple(dict.fromkeys(as_written(" ".join(each)))) for each in (forms, otherwise)
    )
    return Identifier(kind, spelt, less_exact, text)
