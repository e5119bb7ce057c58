"""Contacts and events in words."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mm_rag_loaders.content_lines import Component, Property

_LABELS = {
    "ADR": "Address",
    "ANNIVERSARY": "Anniversary",
    "BDAY": "Birthday",
    "CATEGORIES": "Categories",
    "COMMENT": "Comment",
    "COMPLETED": "Completed",
    "CONTACT": "Contact",
    "DESCRIPTION": "Description",
    "DTEND": "End",
    "DTSTART": "Start",
    "DUE": "Due",
    "DURATION": "Duration",
    "EMAIL": "Email",
    "EXDATE": "Except",
    "GEO": "Position",
    "IMPP": "Messenger",
    "LOCATION": "Location",
    "NICKNAME": "Nickname",
    "NOTE": "Note",
    "ORG": "Organisation",
    "ORGANIZER": "Organiser",
    "PERCENT-COMPLETE": "Percent complete",
    "PRIORITY": "Priority",
    "RDATE": "Also on",
    "RECURRENCE-ID": "Instead of",
    "RELATED": "Related",
    "RESOURCES": "Resources",
    "ROLE": "Role",
    "STATUS": "Status",
    "TEL": "Phone",
    "TITLE": "Title",
    "URL": "Web",
    "X-ALT-DESC": "Description",
    "X-WR-CALNAME": "Calendar",
}
# For programs: versions, ids, sequence numbers and how to sort.
_TECHNICAL = frozenset(
    {"BEGIN", "CALSCALE", "CLASS", "CREATED", "DTSTAMP", "END", "FN", "GENDER", "LABEL", "METHOD"}
    | {"LAST-MODIFIED", "MAILER", "N", "PRODID", "PROFILE", "REV", "RRULE", "SEQUENCE"}
    | {"SORT-STRING", "SUMMARY", "TRANSP", "TZ", "UID", "VERSION", "ACTION", "TRIGGER", "ATTENDEE"}
)
_DATE = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)(?:T(\d\d):?(\d\d):?(\d\d)?(?:\.\d+)?(Z|[+-]\d\d:?\d\d)?)?\Z"
)
_NO_YEAR = re.compile(r"--(\d\d)-?(\d\d)\Z")
_DATES = frozenset(
    {"ANNIVERSARY", "BDAY", "COMPLETED", "DTEND", "DTSTART", "DUE", "EXDATE", "RDATE"}
    | {"RECURRENCE-ID"}
)
_DURATION = re.compile(
    r"([+-])?P(?:(\d{1,9})W)?(?:(\d{1,9})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})S)?)?\Z"
)
_USELESS_TYPES = frozenset(["PREF", "INTERNET", "VOICE", "X-USER-DEFINED", "QUOTED-PRINTABLE"])
_APPLE_LABEL = re.compile(r"_\$!<(.*)>!\$_")
_FREQUENCIES = {"DAILY": "day", "WEEKLY": "week", "MONTHLY": "month", "YEARLY": "year"} | {
    "HOURLY": "hour",
    "MINUTELY": "minute",
    "SECONDLY": "second",
}
_DAYS = {"MO": "Monday", "TU": "Tuesday", "WE": "Wednesday", "TH": "Thursday", "FR": "Friday"} | {
    "SA": "Saturday",
    "SU": "Sunday",
}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_ORDINALS = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", -1: "last"}


def item_in_words(component: Component) -> tuple[str, str]:
    """The name of a contact or the summary of an event, and everything about it line by line."""
    name = " ".join(_name(component).split())
    lines = [name, *_lines(component)]
    return name, "\n".join(line for line in lines if line)


def _name(component: Component) -> str:
    values = {each.name: each for each in reversed(component.properties)}
    for key in ("FN", "SUMMARY"):
        if key in values and values[key].text:
            return values[key].text
    if "N" in values:
        family, given, middle, before, after, *_ = [*values["N"].fields, *5 * [""]]
        return " ".join(part for part in (before, given, middle, family, after) if part)
    return next((values[key].text for key in ("ORG", "EMAIL", "TEL") if key in values), "")


def _lines(component: Component) -> Iterator[str]:
    labels = {
        each.group: _APPLE_LABEL.sub(r"\1", each.text)
        for each in component.properties
        if each.name == "X-ABLABEL"
    }
    guests: list[str] = []
    described = any(each.name == "DESCRIPTION" for each in component.properties)
    for each in component.properties:
        if each.name == "RRULE":
            yield f"Repeats: {recurrence(each.value)}"
        elif each.name == "ATTENDEE":
            guests.append(_person(each))
        elif each.name == "X-ALT-DESC" and described:
            continue  # the same as HTML
        elif line := _line(each, labels.get(each.group, "")):
            yield line
    if guests:
        yield f"Attendees: {', '.join(guests)}"
    for alarm in component.inner:
        yield from _reminder(alarm)


def _line(each: Property, label: str) -> str:
    if each.name in _TECHNICAL or each.name.startswith("X-AB"):
        return ""
    value = _value(each)
    if not value:
        return ""
    name = _LABELS.get(each.name) or each.name.removeprefix("X-").replace("-", " ").capitalize()
    types = [kind.lower() for kind in each.parameters.get("TYPE", []) if kind not in _USELESS_TYPES]
    details = ", ".join([label, *types] if label else types)
    return f"{name} ({details}): {value}" if details else f"{name}: {value}"


def _value(each: Property) -> str:
    if each.name in _DATES:
        dates = ", ".join(moment(part, each.zone) for part in each.value.split(","))
        # The end of a whole day is the day after.
        is_day = each.name == "DTEND" and "DATE" in each.parameters.get("VALUE", [])
        return f"{dates} (not included)" if is_day else dates
    if each.name == "DURATION":
        return duration(each.value)
    if each.name == "ORGANIZER":
        return _person(each)
    if each.name in ("ADR", "ORG", "NICKNAME", "GEO"):
        return ", ".join(" ".join(part.split()) for part in each.fields if part)
    return each.text.removeprefix("mailto:").removeprefix("tel:")


def _person(each: Property) -> str:
    address = re.sub(r"(?i)^mailto:", "", each.text)
    answer = each.parameters.get("PARTSTAT", [""])[0].replace("-", " ").lower()
    details = [part for part in (address if each.common_name else "", answer) if part]
    name = each.common_name or address
    return f"{name} ({', '.join(details)})" if details else name


def _reminder(alarm: Component) -> Iterator[str]:
    for each in alarm.properties:
        if each.name == "TRIGGER":
            span = duration(each.value)
            is_moment = span == each.value
            yield f"Reminder: {moment(each.value, each.zone) if is_moment else span}"
        elif each.name == "DESCRIPTION" and each.text.lower() not in ("", "reminder"):
            yield f"Reminder: {each.text}"


def moment(value: str, zone: str = "") -> str:
    """`20240317T143000` as `2024-03-17 14:30`, with its time zone; other texts as written."""
    value = value.strip()
    if day := _NO_YEAR.match(value):
        return f"{_MONTHS[min(max(int(day[1]), 1), 12) - 1]} {int(day[2])}"
    found = _DATE.match(value)
    if found is None:
        return value
    year, month, day_of_month, hour, minute, second, offset = found.groups()
    date = f"{year}-{month}-{day_of_month}"
    if hour is None:
        return date
    time = f"{hour}:{minute}" + (f":{second}" if second not in (None, "00") else "")
    where = "UTC" if offset == "Z" else offset or (f"({zone})" if zone else "")
    return f"{date} {time} {where}".strip()


def duration(value: str) -> str:
    """`-PT15M` as `15 minutes before`; as written if it is not a duration."""
    found = _DURATION.match(value.strip())
    if found is None:
        return value
    units = ("week", "day", "hour", "minute", "second")
    parts = [
        f"{int(number)} {unit}" + ("s" if int(number) != 1 else "")
        for number, unit in zip(found.groups()[1:], units, strict=True)
        if number and int(number)
    ]
    span = " ".join(parts)
    if not span:
        return "at the start"
    return f"{span} before" if found[1] == "-" else span


def recurrence(rule: str) -> str:
    """`FREQ=WEEKLY;BYDAY=MO` as `every week on Monday`. What is unknown stays as written."""
    parts = dict(part.split("=", 1) for part in rule.upper().split(";") if "=" in part)
    unit = _FREQUENCIES.get(parts.pop("FREQ", ""))
    if unit is None:
        return rule
    every = parts.pop("INTERVAL", "1")
    words = [f"every {unit}" if every == "1" else f"every {every} {unit}s"]
    if days := parts.pop("BYDAY", ""):
        words.append("on " + ", ".join(map(_day, days.split(","))))
    if days := parts.pop("BYMONTHDAY", ""):
        words.append(f"on day {days.replace(',', ', ')} of the month")
    if months := parts.pop("BYMONTH", ""):
        numbers = [int(month) for month in re.findall(r"\b\d{1,2}\b", months)]
        words.append("in " + ", ".join(_MONTHS[(number - 1) % 12] for number in numbers))
    if count := parts.pop("COUNT", ""):
        words.append(f"{count} times")
    if until := parts.pop("UNTIL", ""):
        words.append(f"until {moment(until)}")
    parts.pop("WKST", None)
    words += [f"{name}={value}" for name, value in parts.items()]
    return ", ".join([" ".join(words[:2]), *words[2:]])


def _day(code: str) -> str:
    day = _DAYS.get(code[-2:], code)
    number = code[:-2]
    if not re.fullmatch(r"[+-]?\d{1,3}", number):
        return day
    return f"the {_ORDINALS.get(int(number), number)} {day}"
