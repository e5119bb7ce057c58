"""Contacts and events in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm_rag_loaders import LoadedFile, LoadOptions, load_file


def read(folder: Path, name: str, text: str | bytes) -> LoadedFile:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    loaded = load_file(path, LoadOptions())
    assert (loaded.kind, loaded.state) == ("calendar", "loaded")
    return loaded


def test_a_contact_is_a_passage(tmp_path: Path) -> None:
    text = (
        "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ada Whitcombe\r\nN:Whitcombe;Ada;;;\r\n"
        "ORG:Harbour Trust;Pilots\r\nTITLE:Harbour pilot\r\n"
        "TEL;TYPE=WORK,VOICE:+44 1851 000\r\nitem1.EMAIL;type=INTERNET:ada@example.org\r\n"
        "item1.X-ABLabel:_$!<Office>!$_\r\n"
        "ADR;TYPE=HOME:;;14 Lighthouse Quay;Stornoway;;HS1 2XX;Scotland\r\n"
        "BDAY:1987-03-17\r\nNOTE:Speaks Gaelic\\, Danish\\nand\r\n  Norwegian; likes tea.\r\n"
        "PHOTO;ENCODING=b;TYPE=JPEG:/9j/4AAQSkZJRgABAQ\r\n AAAQABAAD\r\n"
        "X-SKYPE:ada.w\r\nEND:VCARD\r\n"
        "BEGIN:VCARD\r\nVERSION:4.0\r\nN:Vidal;Ines;;Dr.;\r\nEND:VCARD\r\n"
    )
    loaded = read(tmp_path, "people.vcf", text)
    first, second = loaded.segments
    assert first.text.split("\n") == [
        "Ada Whitcombe",
        "Organisation: Harbour Trust, Pilots",
        "Title: Harbour pilot",
        "Phone (work): +44 1851 000",
        "Email (Office): ada@example.org",
        "Address (home): 14 Lighthouse Quay, Stornoway, HS1 2XX, Scotland",
        "Birthday: 1987-03-17",
        "Note: Speaks Gaelic, Danish",
        "and Norwegian; likes tea.",
        "Skype: ada.w",
    ]
    assert (first.title, first.page, first.where) == (
        "Ada Whitcombe",
        1,
        "contact 1: Ada Whitcombe",
    )
    assert second.text == "Dr. Ines Vidal"
    assert [(note.kind, note.text) for note in loaded.notes] == [
        ("unsupported", "1 photo or attachment of contacts or events not read")
    ]


def test_old_contacts_are_quoted_printable(tmp_path: Path) -> None:
    text = (
        b"BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=B6rg\r\n"
        b"TEL;CELL;VOICE:0351 12\r\n"
        b"NOTE;ENCODING=QUOTED-PRINTABLE;CHARSET=ISO-8859-1:Gr=F6=DFe, =\r\nStra=DFe=0D=0AEnde\r\n"
        b"END:VCARD\r\n"
    )
    (segment,) = read(tmp_path, "a.vcf", text).segments
    assert segment.text == "Jörg Müller\nPhone (cell): 0351 12\nNote: Größe, Straße\nEnde"


def test_an_event_is_a_passage(tmp_path: Path) -> None:
    text = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VTIMEZONE\r\nTZID:Europe/London\r\n"
        "BEGIN:STANDARD\r\nDTSTART:19701025T020000\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
        "BEGIN:VEVENT\r\nUID:1\r\nSUMMARY:Roof repair\r\n"
        "DTSTART;TZID=Europe/London:20240317T143000\r\nDTEND;TZID=Europe/London:20240317T160000\r\n"
        "RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE;UNTIL=20240601T000000Z\r\n"
        "EXDATE;TZID=Europe/London:20240401T143000\r\nLOCATION:Hall 2\\, second floor\r\n"
        "ORGANIZER;CN=Ada Whitcombe:mailto:ada@example.org\r\n"
        'ATTENDEE;CN="Vidal, Ines";PARTSTAT=ACCEPTED:mailto:ines@example.org\r\n'
        "ATTENDEE:MAILTO:ben@example.org\r\nDESCRIPTION:Bring the ladder.\\nAnd ropes.\r\n"
        "BEGIN:VALARM\r\nACTION:DISPLAY\r\nTRIGGER:-PT15M\r\nDESCRIPTION:Reminder\r\nEND:VALARM\r\n"
        "END:VEVENT\r\n"
        "BEGIN:VEVENT\r\nSUMMARY:Holiday\r\nDTSTART;VALUE=DATE:20240501\r\n"
        "DTEND;VALUE=DATE:20240502\r\nRRULE:FREQ=MONTHLY;BYDAY=-1FR;COUNT=3\r\nEND:VEVENT\r\n"
        "BEGIN:VTODO\r\nSUMMARY:Paint the quay\r\nDUE:20240601T120000Z\r\nSTATUS:NEEDS-ACTION\r\n"
        "END:VTODO\r\nEND:VCALENDAR\r\n"
    )
    event, holiday, task = read(tmp_path, "a.ics", text).segments
    assert event.text.split("\n") == [
        "Roof repair",
        "Start: 2024-03-17 14:30 (Europe/London)",
        "End: 2024-03-17 16:00 (Europe/London)",
        "Repeats: every 2 weeks on Monday, Wednesday, until 2024-06-01 00:00 UTC",
        "Except: 2024-04-01 14:30 (Europe/London)",
        "Location: Hall 2, second floor",
        "Organiser: Ada Whitcombe (ada@example.org)",
        "Description: Bring the ladder.",
        "And ropes.",
        "Attendees: Vidal, Ines (ines@example.org, accepted), ben@example.org",
        "Reminder: 15 minutes before",
    ]
    assert event.where == "event 1: Roof repair"
    assert holiday.text.split("\n") == [
        "Holiday",
        "Start: 2024-05-01",
        "End: 2024-05-02 (not included)",
        "Repeats: every month on the last Friday, 3 times",
    ]
    assert task.text == "Paint the quay\nDue: 2024-06-01 12:00 UTC\nStatus: NEEDS-ACTION"


def test_a_long_description_is_split_and_keeps_its_name(tmp_path: Path) -> None:
    long = " ".join(f"Point number {n} of the agenda is open." for n in range(80))
    text = f"BEGIN:VEVENT\nSUMMARY:Assembly\nDESCRIPTION:{long}\nEND:VEVENT\n"
    segments = read(tmp_path, "a.ics", text).segments
    assert len(segments) > 3
    assert {segment.page for segment in segments} == {1}
    assert all(segment.text.startswith("Assembly\n") for segment in segments)
    assert "number 79 of" in segments[-1].text


def test_damaged_files_lose_nothing(tmp_path: Path) -> None:
    cut = read(tmp_path, "a.ics", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:Cut off\nDTSTART:2024")
    assert cut.segments[0].text == "Cut off\nStart: 2024"
    assert [note.kind for note in cut.notes] == ["damaged"]
    unfolded = read(tmp_path, "a.vcf", "BEGIN:VCARD\nFN:Ada\nNOTE:One\nTwo\n\nEND:VCARD\n")
    assert unfolded.segments[0].text == "Ada\nNote: One\nTwo"
    nothing = read(tmp_path, "b.vcf", "Only words of a harbour.\n")
    assert nothing.segments[0].text == "Only words of a harbour."
    assert [note.kind for note in nothing.notes] == ["damaged"]
    (tmp_path / "c.ics").write_text("\n \n")
    assert load_file(tmp_path / "c.ics").reason == "c.ics has no words in it."


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "BEGIN:VEVENT\n" * 50_000,
        "BEGIN:VCARD\nFN:Ada\n" + "NOTE" + ";A=1" * 100_000 + ":x\nEND:VCARD\n",
        "BEGIN:VCARD\nFN:Ada\nNOTE:" + "x" * 2_000_000 + "\nEND:VCARD\n",
        "BEGIN:VCARD\nFN:Ada\nNOTE:a\n" + " b\n" * 200_000 + "END:VCARD\n",
        "BEGIN:VEVENT\nSUMMARY:Ada\nRRULE:FREQ=DAILY;INTERVAL="
        + "9" * 90_000
        + "\nDURATION:P"
        + "1" * 90_000
        + "D\nEND:VEVENT\n",
    ],
    ids=["nested", "parameters", "long", "folded", "numbers"],
)
def test_hostile_files_take_linear_time(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, "a.ics", text).segments


def test_the_encoding_of_a_file_is_found(tmp_path: Path) -> None:
    text = "BEGIN:VCARD\nFN:Иван Петров\nNOTE:Капитан парома, говорит по-английски.\nEND:VCARD\n"
    loaded = read(tmp_path, "a.vcf", text.encode("cp1251"))
    assert loaded.segments[0].text.startswith("Иван Петров\nNote: Капитан парома")
    assert [note.kind for note in loaded.notes] == ["encoding"]
