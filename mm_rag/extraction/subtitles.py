"""Subtitles: tracks of a video, or a file beside it, in any format that FFmpeg reads."""

from __future__ import annotations

import html
import io
import logging
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mm_rag._optional import require
from mm_rag.content import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from mm_rag.errors import InputError, MediaTooLarge
from mm_rag.media.access import open_bounded
from mm_rag.media.ffmpeg import Probe, SubtitleTrack, open_container, readable
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.media.text_encoding import decoded

if TYPE_CHECKING:
    from av.container import InputContainer

SIDECAR_SUFFIXES = (".srt", ".vtt", ".ass", ".ssa")
_WITH_SUBTITLES = AUDIO_SUFFIXES | VIDEO_SUFFIXES

_UNREADABLE = frozenset(
    {"dvb_subtitle", "dvbsub", "dvd_subtitle", "dvdsub", "hdmv_pgs_subtitle", "pgssub"}
    | {"xsub", "unknown"}
)
_MOST_BYTES = 16 * 1024**2  # of a subtitle file; the dialogue of a whole season is a tenth of it
# "talk.en.srt", "talk.pt-BR.srt", "talk.en.forced.srt"
_LANGUAGE = re.compile(
    r"(\.[a-z]{2,3}([-_]([a-z]{2}|[a-z]{4}|\d{3}))?)?(\.(forced|sdh|cc))?", re.IGNORECASE
)
_NOT_LANGUAGES = ("forced", "sdh", "cc")
# Tags and the time stamps of WebVTT's karaoke, but not "if x < 5 and y > 3". A tag ends before
# the next "<" and a brace before the next "{": otherwise many unclosed ones take quadratic time.
_MARKUP = re.compile(r"\{[^{}]*\}|</?[a-zA-Z][^<>]*>|<\d[\d:.]*>")
# A character reference with so many digits that Python's int() rejects it.
_ENDLESS_NUMBER = re.compile(r"&#(?:[0-9]{100,}|[xX][0-9a-fA-F]{100,});?")
_ASS_SPACE = re.compile(r"\\[hnN]")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cue:
    """One subtitle.

    Attributes:
        start: Time when it appears, in seconds from the beginning of the video.
        end: Time when it disappears.
        text: The text without markup, on one line.
    """

    start: float
    end: float
    text: str


@dataclass(frozen=True)
class Subtitles:
    """A subtitle file or track.

    Attributes:
        cues: In order of time; at least one.
        language: Language code in its name or in the file, such as `de` or `ger`; None if unknown.
    """

    cues: list[Cue]
    language: str | None = None


def read_subtitles(source: Probe, policy: MediaPolicy = DEFAULT_POLICY) -> list[Cue]:
    """The subtitles of a video or recording that `all_subtitles` prefers; empty without subtitles.

    Raises:
        UnreadableMedia: As for `all_subtitles`.
        MissingExtra: As for `all_subtitles`.
    """
    found = all_subtitles(source, policy)
    return found[0].cues if found else []


def all_subtitles(source: Probe, policy: MediaPolicy = DEFAULT_POLICY) -> list[Subtitles]:
    """All subtitles of a video or recording, without tracks that repeat another one's words.

    A file beside it (`talk.srt`, `talk.en.vtt`) is preferred to tracks inside, and English to other
    languages: the preferred ones come first.

    Args:
        source: The video or recording.
        policy: Limits on opening. Links of files beside it may only lead out of its folder with
            `follow_links`.

    Raises:
        UnreadableMedia: The file cannot be read. A bad subtitle file beside it is skipped.
        MissingExtra: PyAV is not installed.
    """
    found = [
        Subtitles(_readable_cues(beside, policy), _language_of(beside, source.path))
        for beside in sidecars(source.path)
    ]
    different: dict[str, Subtitles] = {}
    for each in [*found, *_embedded(source)]:
        if each.cues:
            different.setdefault(" ".join(cue.text for cue in each.cues), each)
    return list(different.values())


def bitmap_tracks(source: Probe) -> list[SubtitleTrack]:
    """The subtitle tracks that consist of pictures or are of an unknown format."""
    return [track for track in source.subtitles if track.codec in _UNREADABLE]


def sidecars(path: Path) -> list[Path]:
    """Subtitle files beside a file, with its name or its name and a language; English first."""
    try:
        beside = [other for other in path.parent.iterdir() if other.is_file()]
    except OSError as error:  # a file may be readable where its folder is not
        logger.warning("Looked for no subtitles beside %s: %s", path, error)
        return []
    # "talk.no.srt" belongs to "talk.no.mp4" if there is such a file.
    taken = {other.stem for other in beside if other.suffix.lower() in _WITH_SUBTITLES}
    found = [
        other
        for other in beside
        if other.suffix.lower() in SIDECAR_SUFFIXES
        and _belongs(other.stem, path.stem, taken - {path.stem})
    ]
    return sorted(found, key=lambda p: (not _is_english(p.stem[len(path.stem) + 1 :]), p.name))


def read_subtitle_file(
    path: Path, policy: MediaPolicy = DEFAULT_POLICY, *, within: Path | None = None
) -> list[Cue]:
    """The cues of an .srt, .vtt or .ass file.

    Args:
        path: The file.
        policy: Limits on opening.
        within: The folder in which it was found; None if the caller named the file.

    Raises:
        SourceForbidden: The policy does not allow opening it, or a link leads out of `within`.
        UnreadableMedia: It is not a subtitle file, or may not be read.
        MediaTooLarge: It is over the policy's `max_bytes`, or too large for subtitles.
    """
    av = require("av", extra="video", feature="Reading subtitles")
    with open_bounded(path, policy, within=within) as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise MediaTooLarge(f"{path.name} has over {_MOST_BYTES:,} bytes: too many for subtitles.")
    text = decoded(data).text
    if not text.strip():
        return []
    options = {"format_whitelist": "srt,webvtt,ass"}
    with readable(path), av.open(io.BytesIO(text.encode()), options=options) as container:
        stream = container.streams[0]
        return _cues(container, [stream], 0.0)[stream.index]


def cues_between(cues: Sequence[Cue], start: float, end: float) -> list[Cue]:
    """The cues whose middle lies between `start` and `end`."""
    return [cue for cue in cues if start <= (cue.start + cue.end) / 2 < end]


def _readable_cues(sidecar: Path, policy: MediaPolicy) -> list[Cue]:
    try:
        return read_subtitle_file(sidecar, policy, within=sidecar.parent)
    except InputError as error:
        # A bad subtitle file must not prevent reading the video.
        logger.warning("Left out the subtitles %s: %s", sidecar, error)
        return []


def _belongs(subtitle_stem: str, stem: str, taken: Collection[str]) -> bool:
    return (
        subtitle_stem.startswith(stem)
        and _LANGUAGE.fullmatch(subtitle_stem[len(stem) :]) is not None
        and subtitle_stem not in taken
    )


def _is_english(language: str | None) -> bool:
    return not language or language.lower().startswith("en")


def _language_of(sidecar: Path, path: Path) -> str | None:
    """`en` for `talk.en.srt` beside `talk.mp4`."""
    marks = sidecar.stem[len(path.stem) :].split(".")[1:]
    return next((mark for mark in marks if mark.lower() not in _NOT_LANGUAGES), None)


def _embedded(source: Probe) -> list[Subtitles]:
    """The tracks inside, English first, read in one pass over the file."""
    tracks = [track for track in source.subtitles if track.codec not in _UNREADABLE]
    if not tracks:
        return []
    with open_container(source.file) as container, readable(source.path):
        streams = [container.streams[track.index] for track in tracks]
        cues = _cues(container, streams, source.start)
    english_first = sorted(tracks, key=lambda track: not _is_english(track.language))
    return [Subtitles(cues[track.index], track.language) for track in english_first]


def _cues(container: InputContainer, streams: Sequence[Any], zero: float) -> dict[int, list[Cue]]:
    """The cues of some streams in order of time, by index of the stream."""
    found: dict[int, list[Cue]] = {stream.index: [] for stream in streams}
    for packet in container.demux(streams):
        found[packet.stream.index] += _of_packet(packet, zero)
    for cues in found.values():
        cues.sort(key=lambda cue: (cue.start, cue.end))
    return found


def _of_packet(packet: Any, zero: float) -> Iterator[Cue]:
    if packet.pts is None or not packet.size:
        return
    start = float(packet.pts * packet.time_base) - zero
    end = start + float((packet.duration or 0) * packet.time_base)
    for line in packet.decode():
        text = plain_cue(getattr(line, "dialogue", b"").decode("utf-8", "replace"))
        if text:
            yield Cue(max(0.0, start), max(0.0, end), text)


def plain_cue(text: str) -> str:
    """The words of a subtitle, without markup and on one line."""
    plain = html.unescape(_ENDLESS_NUMBER.sub("\ufffd", _MARKUP.sub("", text)))
    return " ".join(_ASS_SPACE.sub(" ", plain).split())
