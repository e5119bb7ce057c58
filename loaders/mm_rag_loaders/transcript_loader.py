"""TranscriptLoader: transcripts and subtitles alone, with speakers and times."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import ClassVar

from mm_rag.errors import UnreadableMedia
from mm_rag.extraction.subtitles import plain_cue
from mm_rag.segment import Segment
from mm_rag_loaders.line_passages import Line, line_passages, size_in_words
from mm_rag_loaders.loader import Loader, SourceFile
from mm_rag_loaders.text_loader import lines_of, open_plain_text

_CLOCK = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_TIMES = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}")
_SBV_TIMES = re.compile(rf"\s*{_CLOCK},{_CLOCK}\s*\Z")
_DIALOGUE = re.compile(r"Dialogue:(?:[^,]*,){9}")
_ASS_CLOCK = re.compile(r"\s*(\d{1,4}):(\d{1,2}):(\d{1,2})\.(\d{1,3})\s*\Z")
# WebVTT's voice, which Teams and Zoom write: "<v Ada Lovelace>The budget ...</v>".
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^<>]+)>")
_NAME = r"[^\W\d_][\w.'\u2019-]{0,30}"
_LABEL = re.compile(
    rf"(?:>>+|-)?\s?({_NAME}(?:\s{_NAME}){{0,3}}(?:\s?\([^()]{{1,30}}\))?)\s?:\s(?=\S)"
)
_NOT_A_NAME = frozenset(["note", "notes", "warning", "example", "question", "answer", "http"])
_COMMENT = re.compile(r"(NOTE|STYLE|REGION)\b")
_CONFIDENCE = re.compile(
    r"NOTE\s+(Confidence|duration|language|recognizability)\s*:", re.IGNORECASE
)
_SCROLLING = 0.05  # seconds for which live captions show a line alone before it moves up
_FIRST_CUES = 500  # in which the names of speakers are looked for


@dataclass(frozen=True)
class _Cue:
    """Words between two times, in seconds, and their speaker; empty if it is unknown."""

    start: float
    end: float
    text: str
    speaker: str = ""


class TranscriptLoader(Loader):
    """Reads WebVTT, SubRip (.srt), YouTube's .sbv and SubStation Alpha (.ass) without their video.

    Subtitles beside a video or recording are read with it, and not here.
    """

    becomes: ClassVar[str] = "passages with their times and speakers"

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield the passages of the transcript.

        Raises:
            UnreadableMedia: It is not text, or contains no words.
        """
        with open_plain_text(file).stream as stream:
            cues = _with_speakers(_without_repeats(_cues(lines_of(stream), file)))
            part = -1
            for part, group in enumerate(_groups(cues, self.options.passage_words)):
                yield _segment(group, file, part)
        if part < 0:
            yield from self._untimed(file)

    def _untimed(self, file: SourceFile) -> Iterator[Segment]:
        """The text of a file in which there is no time."""
        part = -1
        with open_plain_text(file).stream as stream:
            found = line_passages(lines_of(stream), max_words=self.options.passage_words)
            for part, passage in enumerate(found):
                yield file.text_segment(passage.text, part=part, place=passage.place)
        if part < 0:
            raise UnreadableMedia(f"{file.path.name} has no words in it.")
        file.note("damaged", "there are no times in it: it was read as plain text")


def _cues(lines: Iterable[Line], file: SourceFile) -> Iterator[_Cue]:
    """The subtitles in the order of the file. A cue ends with an empty line."""
    cue: _Cue | None = None
    spoken: list[str] = []
    comments = 0
    is_comment = False
    for line in lines:
        text = line.text.strip()
        if dialogue := _DIALOGUE.match(text):
            yield from _of_dialogue(text, dialogue.end())
            continue
        times = _TIMES.match(text) or _SBV_TIMES.match(text)
        if times:
            # Without an empty line before it, the number of this cue stands at the end of the last.
            if spoken and spoken[-1].isdecimal():
                spoken.pop()
            yield from _finished(cue, spoken)
            cue, spoken, is_comment = _timed(times), [], False
        elif not text:
            yield from _finished(cue, spoken)
            cue, spoken, is_comment = None, [], False
        elif cue is not None:
            spoken.append(text)
        elif _COMMENT.match(text) and not is_comment:
            is_comment = True
            comments += text.startswith("NOTE") and not _CONFIDENCE.match(text)
    yield from _finished(cue, spoken)
    if comments:
        what = "1 comment (NOTE) was" if comments == 1 else f"{comments} comments (NOTE) were"
        file.note("hidden", f"{what} left out: players do not show them")


def _timed(times: re.Match[str]) -> _Cue:
    start, end = _seconds(*times.groups()[:4]), _seconds(*times.groups()[4:])
    return _Cue(start, max(start, end), "")


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str) -> float:
    whole = 3600 * int(hours or 0) + 60 * int(minutes) + int(seconds)
    return whole + int(fraction) / 10 ** len(fraction)


def _finished(cue: _Cue | None, spoken: list[str]) -> Iterator[_Cue]:
    """The parts of a cue: one for each voice in it."""
    if cue is None:
        return
    voices = _VOICE.split("\n".join(spoken))
    for speaker, said in zip(["", *voices[1::2]], voices[::2], strict=True):
        lines = [plain for line in said.split("\n") if (plain := plain_cue(line))]
        if lines:
            yield replace(cue, text="\n".join(lines), speaker=plain_cue(speaker))


def _of_dialogue(line: str, at: int) -> Iterator[_Cue]:
    """The cue of a line of a SubStation Alpha file."""
    fields = line[:at].removeprefix("Dialogue:").split(",")
    start, end = _ASS_CLOCK.match(fields[1]), _ASS_CLOCK.match(fields[2])
    text = plain_cue(line[at:])
    if start and end and text:
        first, last = _seconds(*start.groups()), _seconds(*end.groups())
        yield _Cue(first, max(first, last), text, " ".join(fields[4].split()))


def _without_repeats(cues: Iterable[_Cue]) -> Iterator[_Cue]:
    """Leave out lines that scroll: live captions repeat the line before in the next cue."""
    before: list[str] = []
    for cue in cues:
        lines = cue.text.split("\n")
        shown = next((n for n in range(len(lines), 0, -1) if before[-n:] == lines[:n]), 0)
        # Somebody that says the same twice takes more time for it.
        if shown == len(lines) and cue.end - cue.start > _SCROLLING:
            shown = 0
        before = lines
        if shown < len(lines):
            yield replace(cue, text=" ".join(lines[shown:]))


def _with_speakers(cues: Iterator[_Cue]) -> Iterator[_Cue]:
    """Recognise speakers in "Ada: The budget ...", if most cues or several have such a name."""
    first = list(islice(cues, _FIRST_CUES))
    labels = Counter(label for cue in first if (label := _label(cue.text)))
    is_usual = labels.total() >= len(first) / 2
    names = {label for label, count in labels.items() if is_usual or count > 1}
    for cue in chain(first, cues):
        label = _label(cue.text)
        if cue.speaker or not label or (label not in names and not is_usual):
            yield cue
        else:
            match = _LABEL.match(cue.text)
            assert match is not None
            yield replace(cue, speaker=label, text=cue.text[match.end() :])


def _label(text: str) -> str:
    match = _LABEL.match(text)
    name = match[1].strip() if match else ""
    return "" if name.lower() in _NOT_A_NAME or not name[:1].isupper() else name


def _groups(cues: Iterable[_Cue], max_words: int) -> Iterator[list[_Cue]]:
    """Cues that make a passage together. A long cue is cut, and its parts keep its times."""
    held: list[_Cue] = []
    words = 0
    for cue in cues:
        for piece in line_passages([Line(1, cue.text)], max_words=max_words):
            size = size_in_words(piece.text)
            if held and words + size > max_words:
                yield held
                held, words = [], 0
            held.append(replace(cue, text=piece.text))
            words += size
    if held:
        yield held


def _segment(cues: list[_Cue], file: SourceFile, part: int) -> Segment:
    turns: list[str] = []
    for at, cue in enumerate(cues):
        if at and cue.speaker == cues[at - 1].speaker:
            turns[-1] += f" {cue.text}"
        else:
            turns.append(f"{cue.speaker}: {cue.text}" if cue.speaker else cue.text)
    speakers = dict.fromkeys(cue.speaker for cue in cues if cue.speaker)
    segment = file.text_segment("\n".join(turns), part=part, speaker=", ".join(speakers))
    start = min(cue.start for cue in cues)
    return replace(segment, start=start, end=max(cue.end for cue in cues))
