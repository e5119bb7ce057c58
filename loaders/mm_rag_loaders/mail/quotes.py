"""Tell what is new in a message from what it quotes of earlier ones.

Mail programs mark quotations by `>`, or by a line above ("On Monday Ada wrote:"), or by the headers
of the earlier message, in the language of the program.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_WROTE = (
    r"wrote|writes|schrieb|schreibt|a écrit|écrit|escribió|escribiste|escreveu|ha scritto|skrev"
    r"|schreef|napisał(?:\(a\))?|napsal(?:\(a\))?|kirjoitti"
    r"|пишет|написал(?:а)?|написав|yazdı|írta|a scris"
    r"|έγραψε|כתב(?:ה)?|كتب|写道|寫道|のメール|さんは書きました|작성"
)
# The line above a quotation: it begins with a date or a name, and ends with "wrote:".
_ATTRIBUTION = re.compile(rf"^\W{{0,3}}[^\n]{{3,250}}?(?:{_WROTE})[^\n:：]{{0,40}}[:：]\s*$")
_ATTRIBUTION_START = re.compile(
    r"^(?:On|Am|Le|El|Il|Em|Op|Den|W dniu|Dne|На|Pe|Στις|Vào|Pada) [^\n]*\d", re.IGNORECASE
)
_RULE = re.compile(
    r"^[\s>]*(?:-{2,}\s*(?:Original Message|Original-Nachricht|Ursprüngliche Nachricht"
    r"|Message d'origine|Message original|Mensaje original|Messaggio originale|Mensagem original"
    r"|Oorspronkelijk bericht|Opprinnelig melding|Oprindelig meddelelse|Ursprungligt meddelande"
    r"|Исходное сообщение|Původní zpráva|Wiadomość oryginalna|Orijinal Mesaj|元のメッセージ"
    r"|原始邮件|邮件原件|原始郵件|원본 메시지"
    r"|Forwarded message|Weitergeleitete Nachricht|Message transféré|Mensaje reenviado"
    r"|Messaggio inoltrato|Mensagem encaminhada|Doorgestuurd bericht|Пересылаемое сообщение)"
    r"[^\n]{0,60}-{2,}|(?:Begin forwarded message|Anfang der weitergeleiteten Nachricht"
    r"|Début du message (?:réexpédié|transféré)|Inizio messaggio inoltrato"
    r"|Inicio del mensaje reenviado)\s*:)\s*$",
    re.IGNORECASE,
)
_FROM = re.compile(
    r"^\W{0,3}(?:From|Von|De|Da|Van|Från|Fra|Lähettäjä|Od|От|Από|Kimden|Feladó|发件人|寄件者"
    r"|差出人|보낸 사람|מאת|من)\W{0,3}[:：]",
    re.IGNORECASE,
)
_SENT = re.compile(
    r"^\W{0,3}(?:Sent|Date|Gesendet|Datum|Envoyé|Enviado|Fecha|Data|Inviato|Verzonden|Skickat|Sendt"
    r"|Lähetetty|Wysłano|Odesláno|Отправлено|Дата|Στάλθηκε|Gönderildi|Elküldve|发送时间|发送日期"
    r"|寄件日期|送信日時|日付|보낸 날짜|נשלח|التاريخ)\W{0,3}[:：]",
    re.IGNORECASE,
)
_HEADER_LINES = 6  # from "From:" to "Sent:"


def text_blocks(text: str) -> Iterator[tuple[bool, str]]:
    """Cut a plain text into what is quoted and what is not, in order.

    The marks `>` are removed. After the headers of an earlier message everything is quoted.

    Yields:
        Whether it is quoted, and its text.
    """
    lines = text.splitlines()
    held: list[str] = []
    held_quoted = False
    for quoted, line in _marked(lines):
        if quoted != held_quoted and (line.strip() or not held):
            if any(each.strip() for each in held):
                yield held_quoted, "\n".join(held).strip("\n")
            held, held_quoted = [], quoted
        held.append(line)
    if any(each.strip() for each in held):
        yield held_quoted, "\n".join(held).strip("\n")


def begins_quotation(lines: list[str], at: int) -> bool:
    """Whether an earlier message, without `>`, begins at a line and goes on to the end."""
    line = lines[at]
    if _RULE.match(line):
        return True
    if _FROM.match(line):
        return any(_SENT.match(each) for each in lines[at + 1 : at + _HEADER_LINES])
    return attribution_lines(lines, at) > 0


def attribution_lines(lines: list[str], at: int) -> int:
    """Count the lines, from this one on, that form a line such as "Ada wrote:": 0, 1 or 2."""
    line = lines[at].strip()
    if len(line) > 300 or not line:
        return 0
    if _ATTRIBUTION.match(line) and (_ATTRIBUTION_START.match(line) or re.search(r"[\d@<]", line)):
        return 1
    if at + 1 < len(lines) and _ATTRIBUTION_START.match(line):
        both = f"{line} {lines[at + 1].strip()}"
        return 2 if len(both) <= 300 and _ATTRIBUTION.match(both) else 0
    return 0


def _marked(lines: list[str]) -> Iterator[tuple[bool, str]]:
    """Each line with whether it is quoted, without its marks."""
    has_marks = any(line.startswith(">") for line in lines)
    at, rest_is_quoted = 0, False
    while at < len(lines):
        line = lines[at]
        if rest_is_quoted:
            yield True, line.lstrip("> ") if line.startswith(">") else line
            at += 1
            continue
        if line.startswith(">"):
            yield True, line.lstrip("> ")
            at += 1
            continue
        count = attribution_lines(lines, at)
        if count and has_marks and not _is_marked_after(lines, at + count):
            count = 0
        if count:
            for each in lines[at : at + count]:
                yield True, each
            at += count
            rest_is_quoted = not has_marks
            continue
        if begins_quotation(lines, at):
            rest_is_quoted = True
            continue
        yield False, line
        at += 1


def _is_marked_after(lines: list[str], at: int) -> bool:
    """Whether the next line with words, of the next few, has a mark."""
    following = (line for line in lines[at : at + 3] if line.strip())
    return next(following, "").startswith(">")
