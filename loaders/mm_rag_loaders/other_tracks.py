"""Further subtitles and sound tracks, and chapters, of a recording or video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from mm_rag._closing import Closing
from mm_rag.extraction.recording import RecordingReader
from mm_rag.extraction.speech import hears_english_only
from mm_rag.extraction.subtitles import Subtitles, bitmap_tracks, cues_between
from mm_rag.media.ffmpeg import AudioTrack, Probe
from mm_rag.segment import Scalar, Segment
from mm_rag_loaders.load_options import LoadOptions
from mm_rag_loaders.loader import SourceFile

_OF_THE_CLIP = frozenset({"language", "subtitles", "transcriber"})
"""Metadata of a clip that says where its own words are from."""


@dataclass(frozen=True)
class _Sound:
    track: AudioTrack
    reader: RecordingReader


class OtherTracks(Closing):
    """The tracks of a file that are not in the text of its clips: each gives passages of its own.

    Args:
        source: The headers of the file.
        subtitles: All subtitles; the first ones are in the text of the clips.
        file: The file; gets notes about tracks that are not read.
        options: Options of the loader.
    """

    def __init__(
        self, source: Probe, subtitles: Sequence[Subtitles], file: SourceFile, options: LoadOptions
    ) -> None:
        self._subtitles = subtitles[1:]
        self._sounds: list[_Sound] = []
        for track in bitmap_tracks(source):
            name = ", ".join(filter(None, [track.codec, track.language]))
            file.note("unsupported", f"subtitles that are pictures ({name}) were not read")
        with ExitStack() as opened:
            for track in source.other_audio:
                if not _is_understood(track, options):
                    about = f"the sound track in the language {track.language!r}"
                    file.note("unsupported", f"{about} was not read: PocketSphinx hears English")
                    continue
                reader = RecordingReader(
                    file.opened,
                    options.policy,
                    options.transcriber,
                    file.note_missing,
                    track=track,
                )
                self._sounds.append(_Sound(track, opened.enter_context(reader)))
            self._opened = opened.pop_all()

    def passages(self, clip: Segment, start: float, end: float, margin: float) -> Iterator[Segment]:
        """Yield what the tracks say between `start` and `end` as passages of a clip.

        Args:
            clip: The clip.
            start: In seconds.
            end: In seconds.
            margin: As for `RecordingReader.speech`.
        """
        passage = replace(clip, modality="text", media=None, preview=None, mime_type=None)
        texts = [*self._subtitle_texts(start, end), *self._spoken_texts(start, end, margin)]
        for part, (text, about) in enumerate((text, about) for text, about in texts if text):
            kept = {k: v for k, v in clip.metadata.items() if k not in _OF_THE_CLIP}
            yield replace(passage, text=text, part=part, metadata={**kept, **about})

    def _subtitle_texts(self, start: float, end: float) -> Iterator[tuple[str, dict[str, Scalar]]]:
        for track in self._subtitles:
            text = "\n".join(cue.text for cue in cues_between(track.cues, start, end))
            yield text, {"subtitles": True, **_language(track.language)}

    def _spoken_texts(
        self, start: float, end: float, margin: float
    ) -> Iterator[tuple[str, dict[str, Scalar]]]:
        for sound in self._sounds:
            spoken = sound.reader.recognised(start, end, margin=margin)
            title = {"track": sound.track.title} if sound.track.title else {}
            language = _language(spoken.language or sound.track.language)
            about = {"transcriber": spoken.transcriber, **title, **language}
            yield spoken.text, about

    def close(self) -> None:
        """Close the sound tracks."""
        self._opened.close()


def chapters_of(source: Probe, start: float, end: float) -> tuple[list[str], dict[str, Scalar]]:
    """Titles of chapters that begin between two times, and the chapter of most of the time.

    Returns:
        The titles, and metadata with the key `heading`; empty without chapters.
    """
    begun = [chapter.title for chapter in source.chapters if start <= chapter.start < end]
    shared = {c: min(end, c.end) - max(start, c.start) for c in source.chapters}
    most = max(shared, key=lambda chapter: shared[chapter], default=None)
    if most is None or shared[most] <= 0:
        return begun, {}
    return begun, {"heading": most.title}


def _is_understood(track: AudioTrack, options: LoadOptions) -> bool:
    """Whether the transcriber may understand the language that the file claims for a track."""
    is_english = track.language is None or track.language.lower().startswith("en")
    return is_english or not hears_english_only(options.transcriber)


def _language(code: str | None) -> dict[str, Scalar]:
    return {"language": code} if code else {}
