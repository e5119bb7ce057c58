from __future__ import annotations

import binascii
import email.policy
import mailbox
import shutil
import struct
import subprocess
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path

import pytest

from mm_rag import MediaPolicy
from mm_rag.segment import Segment
from mm_rag_loaders import LoadedFile, LoadOptions, load_file

US_ASCII = "Content-Type: text/plain; charset=us-ascii"
HEAD = "From: Ada <ada@example.org>\nTo: Bob <bob@example.org>\nSubject: The wall\n"


def read(path: Path, options: LoadOptions) -> LoadedFile:
    found = load_file(path, options)
    assert (found.state, found.kind) == ("loaded", "email"), found.reason
    return found


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def own(found: LoadedFile) -> list[Segment]:
    return [segment for segment in found.segments if segment.member is None]


def members(found: LoadedFile) -> list[tuple[str | None, str]]:
    return [(each.member, each.text) for each in found.segments if each.member is not None]


def notes(found: LoadedFile) -> list[tuple[str, str]]:
    return [(note.kind, note.text) for note in found.notes]


def a_message(body: str, *files: tuple[str, str]) -> EmailMessage:
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"] = "Zoë Müller <zoe@example.org>"
    message["To"] = "Ada <ada@example.org>, bob@example.org"
    message["Cc"] = "Jörg <j@example.org>"
    message["Subject"] = "Angebot für die Brücke"
    message["Date"] = "Tue, 5 Mar 2024 10:12:00 +0100"
    message.set_content(body)
    for name, text in files:
        message.add_attachment(text, filename=name)
    return message


def test_a_message_is_its_headers_its_text_and_its_files(
    tmp_path: Path, options: LoadOptions
) -> None:
    message = a_message("Im Anhang das Angebot.", ("Übersicht März.txt", "Geländer 4.200 Euro"))
    found = read(written(tmp_path / "a.eml", bytes(message)), options)
    [only] = own(found)
    assert only.text == (
        "From: Zoë Müller <zoe@example.org>\n"
        "To: Ada <ada@example.org>, bob@example.org\n"
        "Cc: Jörg <j@example.org>\n"
        "Date: Tue, 05 Mar 2024 10:12:00 +0100\n"
        "Attachments: Übersicht März.txt\n\n"
        "Im Anhang das Angebot."
    )
    assert only.title == "Angebot für die Brücke"
    assert dict(only.metadata) == {
        "author": "Zoë Müller",
        "to": "Ada <ada@example.org>, bob@example.org",
        "date": "2024-03-05T10:12:00+01:00",
    }
    assert members(found) == [("Übersicht März.txt", "Geländer 4.200 Euro")]
    assert found.segments[-1].label == "a.eml/Übersicht März.txt"
    assert found.notes == ()


@pytest.mark.parametrize(
    ("quotation", "old"),
    [
        (
            "On Mon, Mar 4, 2024 at 9:00 AM Bob <b@example.org>\nwrote:\n\n> Why so high?",
            "Why so high?",
        ),
        ("Am 04.03.2024 um 09:00 schrieb Bob <b@example.org>:\n> Warum?", "Warum?"),
        ("Le 4 mars 2024 à 09:00, Bob a écrit :\n\nPourquoi ?", "Pourquoi ?"),
        ("-----Original Message-----\nFrom: Bob\nSent: Monday\n\nWhy?", "Why?"),
        ("Von: Bob\nGesendet: Montag, 4. März 2024\nAn: Ada\n\nWarum?", "Warum?"),
        ("---------- Forwarded message ---------\nFrom: Bob\n\nWhy?", "Why?"),
    ],
)
def test_what_is_quoted_is_apart_from_what_is_new(
    tmp_path: Path, options: LoadOptions, quotation: str, old: str
) -> None:
    path = written(tmp_path / "a.eml", f"{HEAD}\nRaise it.\n\n-- \nAda\n\n{quotation}\n")
    new, quoted = own(read(path, options))
    assert new.text.endswith("Raise it.\n\n-- \nAda")
    assert "quoted" not in new.metadata
    assert quoted.metadata["quoted"] is True
    assert quoted.text.endswith(old)
    assert ">" not in quoted.text.splitlines()[-1]


def test_answers_between_quotations_are_new(tmp_path: Path, options: LoadOptions) -> None:
    path = written(tmp_path / "a.eml", f"{HEAD}\n> Question one?\n\nYes.\n\n> And two?\n\nNo.\n")
    new, quoted = own(read(path, options))
    assert new.text.endswith("Yes.\n\nNo.")
    assert quoted.text == "Question one?\n\nAnd two?"


def test_of_alternatives_the_one_that_says_more_is_read_once(
    tmp_path: Path, options: LoadOptions
) -> None:
    full = a_message("The ferry leaves at nine.")
    full.add_alternative("<p>The ferry leaves at <b>nine</b>.</p>", subtype="html")
    short = a_message("This message needs an HTML reader.")
    short.add_alternative(
        "<p>The second ferry leaves at noon, the third at six and the last at ten.</p>",
        subtype="html",
    )
    [first] = own(read(written(tmp_path / "full.eml", bytes(full)), options))
    assert first.text.count("ferry leaves") == 1
    [second] = own(read(written(tmp_path / "short.eml", bytes(short)), options))
    assert "the third at six" in second.text
    assert "needs an HTML reader" not in second.text


def test_html_is_read_without_scripts_and_nothing_is_fetched(
    tmp_path: Path, options: LoadOptions
) -> None:
    html = "<style>p{}</style><p>Dear Ada</p><script>steal()</script><img src=http://x.test/a.png>"
    path = written(tmp_path / "a.eml", f"{HEAD}Content-Type: text/html; charset=utf-8\n\n{html}")
    [only] = own(read(path, options))
    assert only.text.endswith("Dear Ada")
    assert "steal" not in only.text


OUTLOOK = (
    "<p>Agreed.</p><table><tr><th>Item<th>Price<tr><td>Wall<td>4200</table>"
    "<div style='border-top:solid #E1E1E1 1.0pt'><p><b>From:</b> Bob<br><b>Sent:</b> Monday<br>"
    "<b>To:</b> Ada</p></div><p>Shall we?</p>"
)
GMAIL = (
    "<div class=gmail_quote><div class=gmail_attr>On Mon, Bob wrote:</div>"
    "<blockquote class=gmail_quote>One?</blockquote><div>Yes.</div>"
    "<blockquote class=gmail_quote>Two?</blockquote><div>No.</div></div>"
)
THUNDERBIRD = (
    "<div class=moz-cite-prefix>On 04.03.24, Bob wrote:</div>"
    "<blockquote type=cite>Old.</blockquote><p>New.</p>"
)
ON_THE_WEB = (
    "<div>New.</div><div id=appendonsend></div><hr><div id=divRplyFwdMsg><b>From:</b> Bob</div>"
    "<div>Old.</div>"
)


@pytest.mark.parametrize(
    ("html", "new", "quoted"),
    [
        (
            OUTLOOK,
            "Agreed.\n\n| Item | Price |\n|---|---|\n| Wall | 4200 |",
            "From: Bob\nSent: Monday\nTo: Ada\n\nShall we?",
        ),
        (GMAIL, "Yes.\n\nNo.", "On Mon, Bob wrote:\n\nOne?\n\nTwo?"),
        (THUNDERBIRD, "New.", "On 04.03.24, Bob wrote:\n\nOld."),
        (ON_THE_WEB, "New.", "From: Bob\n\nOld."),
        ("<p>New.</p><blockquote>A poem</blockquote>", "New.\n\nA poem", None),
    ],
)
def test_quotations_of_every_mail_program_are_apart(
    tmp_path: Path, options: LoadOptions, html: str, new: str, quoted: str | None
) -> None:
    head = "From: a@example.org\nContent-Type: text/html; charset=utf-8\n\n"
    found = own(read(written(tmp_path / "a.eml", head + html), options))
    assert found[0].text == f"From: a@example.org\n\n{new}"
    assert [each.text for each in found[1:]] == ([quoted] if quoted else [])


def test_hidden_html_is_noted(tmp_path: Path, options: LoadOptions) -> None:
    html = "<p style='display:none'>preview</p><p>Shown.</p>"
    path = written(tmp_path / "a.eml", f"{HEAD}Content-Type: text/html\n\n{html}")
    found = read(path, options)
    assert own(found)[0].text.endswith("Shown.")
    assert notes(found) == [("hidden", "hidden elements were left out: 7 letters")]


@pytest.mark.parametrize(
    ("head", "subject"),
    [
        ("Subject: Grüße".encode("latin-1"), "Grüße"),
        ("Subject: Grüße".encode(), "Grüße"),
        (b"Subject: =?utf-8?Q?Gr=C3=BC?=\n =?utf-8?B?w59l?=", "Grüße"),
        (b"Subject: =?utf-8?B?R3LD?=\n =?utf-8?B?vMOfZQ==?=", "Grüße"),  # a letter is cut in two
        (b"Subject: =?ISO-2022-JP?B?GyRCOzNFRBsoQg==?=", "山田"),
        (b"Subject: =?x-unknown?Q?caf=E9?=", "café"),
        ("Subject: Протокол собрания".encode("koi8-r"), "Протокол собрания"),
        (b"Subject: =?utf-8*de?Q?gr=C3=BCn?=!", "grün!"),
        (b"Subject: a =?utf-8?Q?broken_word", "a =?utf-8?Q?broken_word"),
    ],
)
def test_headers_of_every_making_are_decoded(
    tmp_path: Path, options: LoadOptions, head: bytes, subject: str
) -> None:
    path = written(tmp_path / "a.eml", b"From: a@example.org\n" + head + b"\n\nwords\n")
    [only] = own(read(path, options))
    assert only.title == subject


@pytest.mark.parametrize(
    ("charset", "data", "note"),
    [
        ("us-ascii", "Größe".encode(), "declared as us-ascii, read as UTF-8"),
        ("iso-8859-1", "„Größe“ kostet 5 €".encode("cp1252"), ""),
        ("gb2312", "镕基".encode("gbk"), ""),
        ("x-nonsense", "Größe".encode("cp1252"), "declared as x-nonsense, read as Windows-1252"),
        ("utf-8", "Größe und Straße".encode() + b"\xff", "damaged text in UTF-8"),
        ("us-ascii", "Größe".encode("cp1252"), "declared as us-ascii, read as Windows-1252"),
        ("idna", b"plain words", ""),
    ],
)
def test_a_wrong_charset_loses_no_words(
    tmp_path: Path, options: LoadOptions, charset: str, data: bytes, note: str
) -> None:
    head = f"{HEAD}Content-Type: text/plain; charset={charset}\n\n".encode()
    found = read(written(tmp_path / "a.eml", head + data), options)
    words = data.decode("gbk" if charset == "gb2312" else "cp1252")
    text = own(found)[0].text
    assert "Größe" in text or words in text
    assert notes(found) == ([("encoding", f"text of the message: {note}")] if note else [])


def test_flowed_lines_are_joined(tmp_path: Path, options: LoadOptions) -> None:
    body = "The wall is to be \nraised by two metres.\n> Why \n> so high?\n"
    head = f"{HEAD}Content-Type: text/plain; format=flowed\n\n"
    new, quoted = own(read(written(tmp_path / "a.eml", head + body), options))
    assert new.text.endswith("The wall is to be raised by two metres.")
    assert quoted.text == "Why so high?"


def test_names_of_attachments_are_decoded_safe_and_distinct(
    tmp_path: Path, options: LoadOptions
) -> None:
    parts = [
        "Content-Disposition: attachment; filename*0*=UTF-8''%C3%9Cber%20;\n filename*1=sicht.txt",
        'Content-Type: text/plain; name="=?iso-8859-1?Q?=DCbung.txt?="',
        "Content-Disposition: attachment; filename=../../etc/notes.txt",
        "Content-Disposition: attachment; filename=a.txt",
        "Content-Disposition: attachment; filename=a.txt",
        "Content-Disposition: attachment; filename=C:\\temp\\b.txt",
    ]
    body = "".join(f"--X\n{head}\n\nwords {n}\n" for n, head in enumerate(parts))
    path = written(
        tmp_path / "a.eml", f"{HEAD}Content-Type: multipart/mixed; boundary=X\n\n{body}--X--\n"
    )
    assert [name for name, _ in members(read(path, options))] == [
        *("Über sicht.txt", "Übung.txt", "etc/notes.txt"),
        *("a.txt", "a (2).txt", "temp/b.txt"),
    ]


def test_a_message_in_a_message_is_a_file_in_it(tmp_path: Path, options: LoadOptions) -> None:
    inner = a_message("Inner words.", ("deep.txt", "deep words"))
    outer = a_message("See below.")
    outer.add_attachment(inner)
    found = read(written(tmp_path / "a.eml", bytes(outer)), options)
    name = "Angebot für die Brücke.eml"
    assert [(member, text.splitlines()[-1]) for member, text in members(found)] == [
        (name, "Inner words."),
        (f"{name}/deep.txt", "deep words"),
    ]


def test_an_invitation_is_there_once(tmp_path: Path, options: LoadOptions) -> None:
    calendar = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Visit\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    message = a_message("Please come.")
    message.add_alternative(calendar, subtype="calendar")
    message.add_attachment(calendar.encode(), "application", "ics", filename="invite.ics")
    found = load_file(written(tmp_path / "a.eml", bytes(message)), options)
    assert "Attachments: invite.ics\n" in found.segments[0].text


def test_a_returned_message_says_why(tmp_path: Path, options: LoadOptions) -> None:
    body = (
        "--X\n\nNot delivered.\n--X\nContent-Type: message/delivery-status\n\n"
        "Reporting-MTA: dns; mx.example.org\n\nStatus: 5.1.1\n--X--\n"
    )
    head = f"{HEAD}Content-Type: multipart/report; report-type=delivery-status; boundary=X\n\n"
    [only] = own(read(written(tmp_path / "a.eml", head + body), options))
    assert only.text.endswith(
        "Not delivered.\n\nReporting-MTA: dns; mx.example.org\n\nStatus: 5.1.1"
    )


@pytest.mark.parametrize(
    ("body", "note"),
    [
        (
            "Content-Type: multipart/encrypted; boundary=X\n\n--X\n\nVersion: 1\n--X--\n",
            ("unsupported", "the message is encrypted (PGP) and was not read"),
        ),
        (
            "Content-Type: message/external-body; access-type=URL; url=http://x.test/\n\n\n",
            ("unsupported", "an attachment lies elsewhere and was not fetched"),
        ),
        (
            "Content-Type: application/pkcs7-mime; smime-type=signed-data\n\nbroken\n",
            ("damaged", "the signed part of the message is damaged and was not read"),
        ),
    ],
)
def test_what_cannot_be_read_is_noted(
    tmp_path: Path, options: LoadOptions, body: str, note: tuple[str, str]
) -> None:
    found = read(written(tmp_path / "a.eml", HEAD + body), options)
    assert notes(found) == [note]
    assert [segment.title for segment in found.segments] == ["The wall"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="OpenSSL signs the message")
def test_signed_messages_of_openssl_are_read_and_encrypted_ones_noted(
    tmp_path: Path, options: LoadOptions
) -> None:
    text = written(tmp_path / "text", "Content-Type: text/plain\r\n\r\nSigned words.\r\n")
    key, certificate = str(tmp_path / "key"), str(tmp_path / "certificate")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-subj", "/CN=Ada", "-keyout", key, "-out", certificate),
    )
    sign = ("smime", "-sign", "-in", str(text), "-signer", certificate, "-inkey", key)
    openssl(*sign, "-out", str(tmp_path / "apart.eml"))
    openssl(*sign, "-nodetach", "-out", str(tmp_path / "inside.eml"))
    openssl(*sign, "-nodetach", "-stream", "-indef", "-out", str(tmp_path / "stream.eml"))
    for name in ("apart", "inside", "stream"):
        [only] = own(read(tmp_path / f"{name}.eml", options))
        assert only.text == "Signed words."


@pytest.mark.skipif(shutil.which("mpack") is None, reason="mpack writes the message")
def test_a_message_of_mpack(tmp_path: Path, options: LoadOptions) -> None:
    written(tmp_path / "minutes.txt", "The wall is to be raised.")
    command = ["mpack", "-s", "The wall", "-o", "a.eml", "minutes.txt"]
    subprocess.run(command, check=True, cwd=tmp_path)
    found = read(tmp_path / "a.eml", options)
    assert members(found) == [("minutes.txt", "The wall is to be raised.")]


def test_a_message_of_apple_mail(tmp_path: Path, options: LoadOptions) -> None:
    message = f"{HEAD}\nWords.\n"
    path = written(tmp_path / "1.emlx", f"{len(message)}\n{message}<?xml version='1.0'?><plist/>")
    [only] = own(read(path, options))
    assert only.text.endswith("Words.")


def attribute(level: int, number: int, value: bytes) -> bytes:
    return (
        struct.pack("<BIH", level, number, 0)[:5] + struct.pack("<I", len(value)) + value + b"\0\0"
    )


def test_the_files_in_a_winmail_dat_are_read(tmp_path: Path, options: LoadOptions) -> None:
    name = "Übersicht.txt".encode("utf-16-le") + b"\0\0"
    properties = (
        struct.pack("<IHHII", 1, 0x1F, 0x3707, 1, len(name)) + name + b"\0" * (-len(name) % 4)
    )
    packed = struct.pack("<IH", 0x223E9F78, 1) + b"".join(
        [
            attribute(1, 0x0002800C, b"Words in the package.\0"),
            attribute(2, 0x00069002, b"\0" * 14),
            attribute(2, 0x00018010, b"UBERSI~1.TXT\0"),
            attribute(2, 0x0006800F, b"the wall costs 4200"),
            attribute(2, 0x00069005, properties),
        ]
    )
    message = a_message("")
    message.add_attachment(packed, "application", "ms-tnef", filename="winmail.dat")
    found = read(written(tmp_path / "a.eml", bytes(message)), options)
    assert own(found)[0].text.endswith("Words in the package.")
    assert members(found) == [("Übersicht.txt", "the wall costs 4200")]
    assert found.notes == ()
    cut = a_message("")
    cut.add_attachment(packed[:-200], "application", "ms-tnef", filename="winmail.dat")
    found = read(written(tmp_path / "cut.eml", bytes(cut)), options)
    assert notes(found)[0][0] == "damaged"


def test_an_outlook_message_is_read_like_any_other(tmp_path: Path, options: LoadOptions) -> None:
    from aspose.email_foss import msg

    inner = msg.MapiMessage.create("Inner", "Inner words.")
    inner.add_attachment("deep.txt", b"deep words", mime_type="text/plain")
    outer = msg.MapiMessage.create(
        "Das Angebot", "Im Anhang.\r\n\r\nVon: Bob\r\nGesendet: x\r\n\r\nAlt."
    )
    outer.set_property(msg.PropertyId.SENDER_NAME, "Zoë Müller")
    outer.set_property(msg.PropertyId.SENDER_EMAIL_ADDRESS, "zoe@example.org")
    outer.add_recipient("ada@example.org", display_name="Ada")
    outer.add_attachment("Übersicht.txt", b"4200", mime_type="text/plain")
    outer.add_embedded_message_attachment(inner)
    outer.save(tmp_path / "a.msg")
    found = read(tmp_path / "a.msg", options)
    new, quoted = own(found)
    assert new.title == "Das Angebot"
    assert new.text == (
        "From: Zoë Müller <zoe@example.org>\nTo: Ada <ada@example.org>\n"
        "Attachments: Übersicht.txt, Inner.eml\n\nIm Anhang."
    )
    assert quoted.text.endswith("Alt.")
    assert members(found) == [
        ("Übersicht.txt", "4200"),
        ("Inner.eml", "Attachments: deep.txt\n\nInner words."),
        ("Inner.eml/deep.txt", "deep words"),
    ]


HTML_IN_RTF = (
    r"{\rtf1\ansi\ansicpg1252\fromhtml1 \deff0{\fonttbl{\f0 Arial;}}{\*\htmltag64 <p>}\htmlrtf {"
    r"\htmlrtf0 Gr\'fc\'dfe von \u1071?.\htmlrtf\par}\htmlrtf0 {\*\htmltag72 </p>}}"
)
CYRILLIC_RTF = (
    r"{\rtf1\ansi\ansicpg1251{\stylesheet{\s0 Normal;}}\pard \'cf\'f0\'e8\'e2\'e5\'f2\par}"
)


@pytest.mark.parametrize(("rtf", "text"), [(HTML_IN_RTF, "Grüße von Я."), (CYRILLIC_RTF, "Привет")])
def test_an_outlook_message_with_nothing_but_rtf(
    tmp_path: Path, options: LoadOptions, rtf: str, text: str
) -> None:
    import compressed_rtf
    from aspose.email_foss import msg

    message = msg.MapiMessage.create("Greetings", "")
    message.set_property(0x1009, 0x0102, compressed_rtf.compress(rtf.encode("latin-1")))
    message.save(tmp_path / "a.msg")
    [only] = own(read(tmp_path / "a.msg", options))
    assert only.text == text


def a_mailbox(path: Path, messages: Sequence[EmailMessage]) -> Path:
    box = mailbox.mbox(path)
    for message in messages:
        box.add(message)
    box.close()
    return path


def test_every_message_of_a_mailbox_has_its_number(tmp_path: Path, options: LoadOptions) -> None:
    first = a_message("From here on it is text.\n\nFrom 9:00 on, too.", ("a.txt", "one"))
    path = a_mailbox(tmp_path / "inbox.mbox", [first, a_message("Second."), a_message("Third.")])
    found = read(path, options)
    assert [(each.page, each.where) for each in own(found)] == [
        (1, "message 1: Angebot für die Brücke"),
        (2, "message 2: Angebot für die Brücke"),
        (3, "message 3: Angebot für die Brücke"),
    ]
    assert own(found)[0].text.endswith("From here on it is text.\n\nFrom 9:00 on, too.")
    assert members(found) == [("message-1/a.txt", "one")]
    assert len({each.id for each in found.segments}) == 4


@pytest.mark.parametrize("name", ["1700000000.M1P2.host:2,S", "Inbox", "message.msg", "mail.log"])
def test_files_of_mail_programs_are_known_by_their_headers(
    tmp_path: Path, options: LoadOptions, name: str
) -> None:
    head = "Return-Path: <a@example.org>\nReceived: from x\n" + HEAD
    [only] = own(read(written(tmp_path / name, f"{head}\nWords.\n"), options))
    assert only.title == "The wall"


def test_a_text_that_begins_like_a_message_is_a_text(tmp_path: Path, options: LoadOptions) -> None:
    found = load_file(written(tmp_path / "letter.txt", f"{HEAD}Date: today\n\nWords.\n"), options)
    assert found.kind == "text"


def test_a_line_that_begins_with_from_ends_no_message(tmp_path: Path, options: LoadOptions) -> None:
    text = f"From - Mon Mar 04 09:00:00 2024\n{HEAD}\nOne.\n\nFrom 9:00 to 10:00\nit rained.\n"
    path = written(tmp_path / "inbox.mbox", f"{text}\n{text}")
    assert [each.page for each in own(read(path, options))] == [1, 2]


def test_notes_of_a_mailbox_are_counted(tmp_path: Path, options: LoadOptions) -> None:
    wrong = f"From - Mon Mar 04 09:00:00 2024\n{HEAD}{US_ASCII}\n\nGröße\n\n"
    found = read(written(tmp_path / "inbox.mbox", wrong * 3), options)
    what = "text of the message: declared as us-ascii, read as UTF-8"
    assert notes(found) == [
        ("encoding", f"message 1: {what}"),
        ("encoding", f"2 further messages: {what}"),
    ]


def test_a_mailbox_is_read_to_its_limit(tmp_path: Path) -> None:
    path = a_mailbox(tmp_path / "inbox.mbox", [a_message(f"No. {n}") for n in range(4)])
    found = read(path, LoadOptions(policy=MediaPolicy(max_members=2)))
    assert [each.page for each in own(found)] == [1, 2]
    assert notes(found) == [
        ("limit", "only the first 2 messages were read (MediaPolicy.max_members)")
    ]


@pytest.mark.slow
def test_parts_nested_without_end_are_refused_in_a_moment(
    tmp_path: Path, options: LoadOptions
) -> None:
    nested = "".join(
        f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(2_000)
    )
    found = load_file(written(tmp_path / "a.eml", HEAD + nested), options)
    assert found.state == "unreadable"
    assert found.reason == "The parts of the message are nested too deeply."


def test_a_message_that_was_cut_keeps_what_came_before(
    tmp_path: Path, options: LoadOptions
) -> None:
    message = bytes(a_message("Words before the cut.", ("a.txt", "attached " * 100)))
    found = read(written(tmp_path / "a.eml", message[: -len(message) // 3]), options)
    assert "Words before the cut." in own(found)[0].text
    assert members(found)[0][0] == "a.txt"


@pytest.mark.parametrize("size", [0, 600, 3_000, 5_000])
def test_a_damaged_outlook_message_is_a_line_in_the_report(
    tmp_path: Path, options: LoadOptions, size: int
) -> None:
    from aspose.email_foss import msg

    msg.MapiMessage.create("Greetings", "Words.").save(tmp_path / "a.msg")
    data = (tmp_path / "a.msg").read_bytes()
    written(tmp_path / "a.msg", data[:size] + b"\xff" * (len(data) - size))
    found = load_file(tmp_path / "a.msg", options)
    assert found.state in ("loaded", "unreadable", "unsupported")


def test_a_compound_file_with_sectors_of_a_byte_is_no_error(
    tmp_path: Path, options: LoadOptions
) -> None:
    from aspose.email_foss import msg

    msg.MapiMessage.create("Greetings", "Words.").save(tmp_path / "a.msg")
    data = bytearray((tmp_path / "a.msg").read_bytes())
    data[30:32] = bytes(2)
    found = load_file(written(tmp_path / "a.msg", bytes(data)), options)
    assert found.state in ("unreadable", "unsupported")


def test_files_and_signatures_in_the_text_are_taken_out(
    tmp_path: Path, options: LoadOptions
) -> None:
    text = b"the wall costs 4200"
    body = (
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nSee the file.\n"
        f"begin 644 wall.txt\n{binascii.b2a_uu(text).decode()}`\nend\nbegin 9 lines\n- -- \nAda\n"
        "-----BEGIN PGP SIGNATURE-----\n\niQEzBAEB\n-----END PGP SIGNATURE-----\n"
    )
    found = read(written(tmp_path / "a.eml", f"{HEAD}\n{body}"), options)
    assert own(found)[0].text.endswith("See the file.\nbegin 9 lines\n-- \nAda")
    assert members(found) == [("wall.txt", "the wall costs 4200")]
    secret = "-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n"
    found = read(written(tmp_path / "b.eml", f"{HEAD}\n{secret}"), options)
    assert notes(found) == [("unsupported", "the message is encrypted (PGP) and was not read")]
