"""AudioLoader: recordings as clips cut at pauses, with the words spoken in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

from mm_rag.errors import UnreadableMedia
from mm_rag.extraction.recording import (
    STEP,
    RecordingReader,
    SpokenText,
    clips,
    loudness,
    margin_of,
)
from mm_rag.media.kind import file_type
from mm_rag.segment import Scalar, Segment
from mm_rag_loaders.loader import Loader, SourceFile
from mm_rag_loaders.other_tracks import OtherTracks, chapters_of

_TAGS = (
    *("artist", "album", "album_artist", "track", "composer", "date", "genre", "language"),
    *("comment", "description"),
)
_MOST_LETTERS = 2000  # of one tag; some contain a whole playlist
_MOST_LYRICS = 20_000  # letters
_SHORTER_THAN_CLAIMED = 1.0  # seconds; durations in headers are often slightly wrong
_LYRICS = re.compile(r"(unsynced|unsynchronised)?lyrics(-\w+)?")
_TIME_STAMP = re.compile(r"[\[<]\d+:\d\d([.:]\d+)?[\]>]")


class AudioLoader(Loader):
    """Loads recordings, and the sound of files without moving pictures.

    Neighbouring clips overlap by a second, so that a word at a cut is complete in one of them. Each
    word is in the text of one clip only: the one that contains its middle.
    """

    becomes: ClassVar[str] = "clips with their speech; all subtitles and sound tracks; chapters"

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield the clips of the recording in order; a short recording is one clip.

        Raises:
            UnreadableMedia: It cannot be decoded, or has no sound.
            MediaTooLarge: It is over a limit of the policy.
        """
        options, note = self.options, file.note_missing
        with RecordingReader(file.opened, options.policy, options.transcriber, note) as reader:
            audio = reader.audio
            levels = loudness(audio.blocks())
            duration = min(len(levels) * STEP, audio.duration)
            if not duration:
                raise UnreadableMedia(f"{file.path.name} has no sound that can be decoded.")
            note_duration(file, audio.full_duration, duration)
            whole = _whole(file, audio.tags, duration)
            lyrics = _lyrics(audio.tags)
            longest, margin = options.clip_seconds, margin_of(options.clip_seconds)
            if duration > longest:
                longest -= 2 * margin
            with OtherTracks(audio.probe, reader.subtitles, file, options) as others:
                for start, end in clips(levels, duration, longest):
                    spoken = reader.speech(start, end, margin=margin)
                    titles, chapter = chapters_of(audio.probe, start, end)
                    clip = replace(
                        whole,
                        text="\n\n".join(filter(None, [*titles, spoken.text, lyrics])),
                        start=round(max(0.0, start - margin), 3),
                        end=min(duration, round(end + margin, 3)),
                        metadata={**whole.metadata, **chapter, **speech_source(spoken)},
                    )
                    yield clip
                    yield from others.passages(clip, start, end, margin)
                    lyrics = ""  # they have no times, so they belong to the first clip
            for damage in audio.damage:
                file.note("damaged", damage)


def title_of(tags: Mapping[str, str], file: SourceFile) -> str:
    """The title in the tags of a recording or video, or else its file name in words."""
    return tags.get("title", "").strip() or file.name_in_words


def known_tags(tags: Mapping[str, str]) -> dict[str, Scalar]:
    """The tags that are kept as metadata, without empty ones."""
    kept = {name: tags.get(name, "").strip()[:_MOST_LETTERS] for name in _TAGS}
    return {name: value for name, value in kept.items() if value and value != "und"}


def speech_source(spoken: SpokenText) -> dict[str, Scalar]:
    """Metadata: whether words are `subtitles`, or which `transcriber` heard which `language`."""
    if spoken.subtitles:
        return {"subtitles": True}
    heard = {"transcriber": spoken.transcriber, "language": spoken.language}
    return {name: value for name, value in heard.items() if value}


def note_duration(file: SourceFile, claimed: float, found: float) -> None:
    """Note a file that ends before its header says, cut off or over a limit of the policy."""
    if found < claimed - _SHORTER_THAN_CLAIMED:
        file.note(
            "limit", f"read until {found:.1f} s; the header says that it lasts {claimed:.1f} s"
        )


def _whole(file: SourceFile, tags: Mapping[str, str], duration: float) -> Segment:
    return Segment(
        modality="audio",
        source=file.source,
        sha256=file.sha256,
        title=title_of(tags, file),
        media=str(file.path),
        mime_type=file_type(file.opened).mime,
        metadata={**known_tags(tags), "duration": round(duration, 3)},
    )


def _lyrics(tags: Mapping[str, str]) -> str:
    found = (text for name, text in tags.items() if _LYRICS.fullmatch(name))
    lines = _TIME_STAMP.sub("", next(found, "")[:_MOST_LYRICS]).splitlines()
    return "\n".join(line.strip() for line in lines).strip()
