"""Show numbers as spreadsheets do: "1,234.50 €", "12.5%", "2024-03-17", "000731".

Only what changes the words counts here: widths, fills and colours are left out, and a format that
would hide a value or round a code away shows the value instead.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

Show: TypeAlias = Callable[[float], str]

BUILT_IN: dict[int, str] = {
    1: "0",
    2: "0.00",
    3: "#,##0",
    4: "#,##0.00",
    9: "0%",
    10: "0.00%",
    11: "0.00E+00",
    12: "# ?/?",
    13: "# ??/??",
    14: "yyyy-mm-dd",
    15: "d-mmm-yy",
    16: "d-mmm",
    17: "mmm-yy",
    18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM",
    20: "h:mm",
    21: "h:mm:ss",
    22: "yyyy-mm-dd h:mm",
    37: "#,##0;(#,##0)",
    38: "#,##0;(#,##0)",
    39: "#,##0.00;(#,##0.00)",
    40: "#,##0.00;(#,##0.00)",
    45: "mm:ss",
    46: "[h]:mm:ss",
    47: "mm:ss.0",
    48: "##0.0E+0",
    **dict.fromkeys((5, 6), "#,##0"),
    **dict.fromkeys((7, 8), "#,##0.00"),
    **dict.fromkeys((*range(27, 32), 36, *range(50, 59)), "yyyy-mm-dd"),
    **dict.fromkeys(range(32, 36), "h:mm:ss"),
    41: "#,##0",
    42: "#,##0",
    43: "#,##0.00",
    44: "#,##0.00",
}
"""Format codes by their numbers; those that depend on the country show ISO dates."""

_SECTION = re.compile(r'(?:"[^"]*"|\\.|\[[^\]]*\]|[^;"\\\[]|["\\\[])*')
_TOKEN = re.compile(
    r'"(?P<text>[^"]*)"|\\(?P<letter>.)|[_*](?P<space>.)|\[\$(?P<currency>[^\]-]*)[^\]]*\]'
    r"|\[(?P<elapsed>h+|m+|s+)\]|\[(?P<condition>[<>=]+-?[\d.]+)\]|\[[^\]]*\]"
    r"|(?P<noon>AM/PM|A/P)|(?P<general>General)|(?P<exponent>E[+-]0+)|(?P<fraction>\.0+(?=$|[^#?0]))"
    r"|(?P<date>y+|m+|d+|h+|s+|b+|e+|g+)|(?P<digits>[#0?][#0?,.]*|\.[#0?]+)|(?P<other>.)",
    re.IGNORECASE | re.DOTALL,
)
_STAMP = re.compile(r"yyyy-mm-dd\\?[ T]h?h:mm:ss", re.IGNORECASE)
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SECONDS = 86_400  # of a day
_SIGNIFICANT = 15  # digits that spreadsheets keep


def general(value: float) -> str:
    """A number with all digits that spreadsheets keep, and no others."""
    if value == int(value) and abs(value) < 1e16:
        return str(int(value))
    text = f"{value:.{_SIGNIFICANT}g}"
    if "e" in text and 1e-10 < abs(value) < 1e16:
        text = f"{Decimal(text):f}"
    return text.replace("e", "E")


@lru_cache(maxsize=4096)
def shown_by(code: str, is_1904: bool = False) -> Show:
    """Return the function that shows numbers in a format.

    Args:
        code: The format, such as `#,##0.00;[Red]-#,##0.00`.
        is_1904: Whether days count from 1904 instead of 1900.
    """
    if code.strip().lower() in ("", "general", "@", "standard"):
        return general
    sections = [_Section(text, is_1904) for text in _sections(code)][:3]
    # Programs give whole days this format, which then only adds "0:00:00".
    of_days = shown_by("yyyy-mm-dd", is_1904) if _STAMP.fullmatch(code) else None

    def show(value: float) -> str:
        if of_days and value == int(value):
            return of_days(value)
        try:
            text = _chosen(sections, value)
        except (ArithmeticError, ValueError):
            return general(value)
        return text.strip() or general(value)

    return show


def is_date(code: str) -> bool:
    """Whether a format shows dates or times."""
    tokens = _TOKEN.finditer(_sections(code)[0])
    return any(token["date"] or token["elapsed"] for token in tokens)


def _sections(code: str) -> list[str]:
    found, at = list[str](), 0
    while at <= len(code) and len(found) < 4:
        match = _SECTION.match(code, at)
        assert match is not None
        found.append(match[0])
        at = match.end() + 1
    return found


def _chosen(sections: list[_Section], value: float) -> str:
    """Show a value by the section that is meant for it."""
    conditional = sections[0].condition is not None
    for at, section in enumerate(sections):
        if section.fits(value, at, len(sections), after_condition=conditional):
            # A section for negative numbers has its own sign.
            has_sign = section.condition is None and at == 1 and not conditional
            return section.show(abs(value) if has_sign else value)
    return sections[0].show(value) if len(sections) == 1 else general(value)


class _Section:
    """One of the parts of a format, which are separated by semicolons."""

    def __init__(self, text: str, is_1904: bool) -> None:
        self._epoch = datetime.datetime(1904, 1, 1) if is_1904 else datetime.datetime(1899, 12, 30)
        self._is_1904 = is_1904
        self._tokens = list(_TOKEN.finditer(text))
        self.condition = next((one["condition"] for one in self._tokens if one["condition"]), None)
        self._is_date = any(one["date"] or one["elapsed"] for one in self._tokens)
        self._is_general = any(one["general"] for one in self._tokens)
        self._digits = "".join(one["digits"] or "" for one in self._tokens)

    def fits(self, value: float, at: int, of: int, *, after_condition: bool) -> bool:
        """Whether the section, one of so many, is meant for a value that no earlier one fits."""
        if self.condition:
            sign, limit = re.match(r"[<>=]+", self.condition), 0.0
            assert sign is not None
            limit = float(self.condition[sign.end() :])
            compare = {"<": value < limit, ">": value > limit, "=": value == limit}
            compare |= {"<=": value <= limit, ">=": value >= limit, "<>": value != limit}
            return compare.get(sign[0], False)
        if of == 1 or (at == of - 1 and (of != 2 or after_condition)):
            return True
        if of == 2:
            return (value < 0) == (at == 1)
        return value > 0 if at == 0 else value < 0

    def show(self, value: float) -> str:
        """Show a value."""
        if self._is_date:
            return self._as_date(value)
        if self._is_general:
            return self._around(general(value))
        if any(one["other"] == "/" for one in self._tokens) and self._digits:
            return self._as_fraction(value)
        if any(one["exponent"] for one in self._tokens):
            return self._as_power(value)
        if self._digits:
            return self._as_number(value)
        return self._around("")

    def _around(self, number: str) -> str:
        """The number between the texts of the format."""
        parts, is_shown = list[str](), False
        for token in self._tokens:
            if token["digits"] or token["general"]:
                parts += [] if is_shown else [number]
                is_shown = True
            else:
                parts.append(_literal(token))
        text = "".join(parts)
        return text if is_shown or not number else text + number

    def _as_number(self, value: float) -> str:
        percent = sum(token["other"] == "%" for token in self._tokens)
        whole, _, decimals = self._digits.partition(".")
        scale = len(whole) - len(whole.rstrip(",")) if not decimals else 0
        scale = scale or len(self._digits) - len(self._digits.rstrip(","))
        exact = Decimal(repr(value)) * (100**percent) / (1000**scale)
        digits = re.sub(r"[^0#?]", "", decimals)
        rounded = exact.quantize(Decimal(1).scaleb(-len(digits)), ROUND_HALF_UP)
        text = f"{abs(rounded):f}"
        front, _, back = text.partition(".")
        optional = len(digits) - len(digits.rstrip("#?"))
        while optional and back.endswith("0"):
            back, optional = back[:-1], optional - 1
        places, inside = whole.replace(",", ""), whole.rstrip(",")
        least = len(places) - places.find("0") if "0" in places else 0
        number_parts = len([one for one in self._tokens if one["digits"]])
        if number_parts > 1 and not decimals:
            return self._in_pattern(front, rounded < 0)
        front = front.zfill(least) if front != "0" or least else ""
        if "," in inside:
            front = _grouped(front)
        number = f"{front}.{back}" if back else front
        return ("-" if rounded < 0 else "") + self._around(number)

    def _in_pattern(self, digits: str, is_negative: bool) -> str:
        """Digits in a pattern such as `000-00-0000`."""
        left, parts = digits, list[str]()
        patterns = [token["digits"] for token in self._tokens if token["digits"]]
        for token in reversed(self._tokens):
            if not token["digits"]:
                parts.append(_literal(token))
                continue
            patterns.pop()
            places = len(token["digits"].replace(",", ""))
            taken = left if not patterns else left[-places:]
            left = "" if not patterns else left[:-places]
            parts.append(taken.zfill(sum(letter == "0" for letter in token["digits"])))
        return ("-" if is_negative else "") + "".join(reversed(parts))

    def _as_power(self, value: float) -> str:
        decimals = len(re.sub(r"[^0#?]", "", self._digits.partition(".")[2]))
        return self._around_power(f"{value:.{decimals}E}")

    def _around_power(self, number: str) -> str:
        parts, is_shown = list[str](), False
        for token in self._tokens:
            if token["digits"]:
                parts += [] if is_shown else [number]
                is_shown = True
            elif not token["exponent"]:
                parts.append(_literal(token))
        return "".join(parts)

    def _as_fraction(self, value: float) -> str:
        groups = [token["digits"] for token in self._tokens if token["digits"]]
        most = 10 ** len(groups[-1].replace(",", "")) - 1
        whole, rest = divmod(abs(value), 1)
        fraction = Fraction(rest).limit_denominator(max(1, most))
        if fraction == 1:
            whole, fraction = whole + 1, Fraction(0)
        shown = [str(int(whole))] if whole or not fraction else []
        shown += [f"{fraction.numerator}/{fraction.denominator}"] if fraction else []
        return ("-" if value < 0 else "") + " ".join(shown)

    def _as_date(self, value: float) -> str:
        if value < 0 and not self._is_1904:
            raise ValueError("there are no dates before 1900")
        has_parts = any(token["fraction"] for token in self._tokens)
        exact = round(value * _SECONDS * 1000) if has_parts else round(value * _SECONDS) * 1000
        day = self._epoch + datetime.timedelta(milliseconds=exact)
        if not self._is_1904 and value < 60:  # 1900 counts as a leap year
            day += datetime.timedelta(days=1)
        is_noon = any(token["noon"] for token in self._tokens)
        kinds = [_time_unit(token) for token in self._tokens]
        return "".join(
            self._date_part(at, token, kinds, day, exact, is_noon)
            for at, token in enumerate(self._tokens)
        )

    def _date_part(
        self,
        at: int,
        token: re.Match[str],
        kinds: list[str],
        day: datetime.datetime,
        exact: int,
        is_noon: bool,
    ) -> str:
        if elapsed := token["elapsed"]:
            unit = {"h": 3_600_000, "m": 60_000, "s": 1000}[elapsed[0].lower()]
            return str(exact // unit).zfill(len(elapsed))
        if token["noon"]:
            return "AM" if day.hour < 12 else "PM"
        if token["fraction"]:
            places = len(token["fraction"]) - 1
            return f".{day.microsecond // 1000:03d}"[: places + 1]
        if token["digits"]:  # "ss.00" written otherwise
            return ""
        if not (part := token["date"]):
            return "" if token["general"] else _literal(token)
        is_minute = part[0] in "mM" and len(part) < 3 and _is_minute(kinds, at)
        return _date_text(part, day, is_minute, is_noon)


def _literal(token: re.Match[str]) -> str:
    """Text of a format beside the number."""
    if token["space"]:
        return " " if token[0][0] == "_" else ""
    return token["text"] or token["letter"] or token["currency"] or token["other"] or ""


def _time_unit(token: re.Match[str]) -> str:
    """`h`, `m`, `s`, `d` or `y` for a part of a date, else empty."""
    part = token["date"] or token["elapsed"] or ""
    return part[:1].lower()


def _is_minute(kinds: list[str], at: int) -> bool:
    """Whether an `m` stands beside hours or seconds."""
    before = next((kind for kind in reversed(kinds[:at]) if kind), "")
    after = next((kind for kind in kinds[at + 1 :] if kind), "")
    return before == "h" or after == "s"


def _date_text(part: str, day: datetime.datetime, is_minute: bool, is_noon: bool) -> str:
    length = len(part)
    match part[0].lower():
        case "y" | "e" | "b":
            return f"{day.year:04d}" if length > 2 or part[0] in "eE" else f"{day.year % 100:02d}"
        case "m" if is_minute:
            return str(day.minute).zfill(length)
        case "m":
            name = _MONTHS[day.month - 1]
            if length <= 2:
                return str(day.month).zfill(length)
            return name[:3] if length == 3 else name[0] if length == 5 else name
        case "d":
            name = _DAYS[day.weekday()]
            return str(day.day).zfill(length) if length <= 2 else name[:3] if length == 3 else name
        case "h":
            hour = (day.hour % 12 or 12) if is_noon else day.hour
            return str(hour).zfill(min(length, 2))
        case "s":
            return str(day.second).zfill(min(length, 2))
        case _:
            return ""


def _grouped(digits: str) -> str:
    return f"{int(digits):,}".rjust(len(digits), "0") if digits else digits
