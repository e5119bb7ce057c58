"""AudioLoader: recordings -> clips cut at pauses, with what is said in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from mm_rag.errors import UnreadableMedia
from mm_rag.media.kind import file_type
from mm_rag.reading.pauses import STEP, clips, loudness
from mm_rag.reading.recording import RecordingReader
from mm_rag.segment import Scalar, Segment
from mm_rag_loaders.loader import Loader, SourceFile
from mm_rag_loaders.seen_text import note_once

_TAGS = ("artist", "album", "date", "genre")
_SHORTER_THAN_CLAIMED = 1.0  # seconds; headers are often a little off


class AudioLoader(Loader):
    """Loads recordings, and the sound of files that have no moving pictures."""

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield the recording's clips in order; the whole recording where it is short.

        Raises:
            UnreadableMedia: It cannot be decoded, or has no sound.
            MediaTooLarge: It is over a limit of the policy.
        """
        policy, note = self.options.policy, note_once(file)
        with RecordingReader(file.path, policy, on_missing=note) as reader:
            audio = reader.audio
            levels = loudness(audio.blocks())
            duration = min(len(levels) * STEP, audio.duration)
            if not duration:
                raise UnreadableMedia(f"{file.path.name} has no sound that can be decoded.")
            note_duration(file, audio.full_duration, duration)
            base = Segment(
                modality="audio",
                source=file.source,
                sha256=file.sha256,
                title=title_of(audio.tags, file),
                media=str(file.path),
                mime_type=file_type(file.path).mime,
                metadata={**known_tags(audio.tags), "duration": round(duration, 3)},
            )
            for start, end in clips(levels, duration, self.options.clip_seconds):
                yield replace(base, text=reader.read(start, end), start=start, end=end)
            file.notes.extend(audio.damage)


def title_of(tags: Mapping[str, str], file: SourceFile) -> str:
    """What a recording or video calls itself, or else its file name in words."""
    return tags.get("title", "").strip() or file.name_in_words


def known_tags(tags: Mapping[str, str]) -> dict[str, Scalar]:
    """The tags worth keeping, of those that are not empty."""
    return {name: tags[name].strip() for name in _TAGS if tags.get(name, "").strip()}


def note_duration(file: SourceFile, claimed: float, found: float) -> None:
    """Note where a file ends before its header says, be it cut off or over the policy."""
    if found < claimed - _SHORTER_THAN_CLAIMED:
        file.notes.append(
            f"read until {found:.1f} s; the header says that it lasts {claimed:.1f} s"
        )
