"""VideoLoader: videos as clips cut at scene changes, with their words and a key frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

from PIL import Image

from mm_rag.errors import UnreadableMedia
from mm_rag.extraction.frame_sampling import (
    SAMPLE_EVERY,
    SampledFrame,
    distinct_lines,
    key_time,
    sample_frames,
)
from mm_rag.extraction.recording import OVERLAP, loudness, quietest
from mm_rag.extraction.subtitles import Cue
from mm_rag.extraction.video_reader import VideoReader
from mm_rag.media.ffmpeg import measured_duration, probe
from mm_rag.media.image import shrunk_to
from mm_rag.media.kind import file_type
from mm_rag.media.video import VideoFile, open_video
from mm_rag.segment import Segment
from mm_rag_loaders.audio_loader import (
    AudioLoader,
    known_tags,
    note_duration,
    speech_source,
    title_of,
)
from mm_rag_loaders.loader import Loader, SourceFile
from mm_rag_loaders.other_tracks import OtherTracks, chapters_of

_PREVIEW_PIXELS = 1280 * 720
_SHORTEST = 4.0  # seconds of a clip
_CUT = 0.12  # mean difference of neighbouring samples, of 1.0, that begins a new scene


class VideoLoader(Loader):
    """Loads videos. A video file with sound only is loaded as a recording."""

    becomes: ClassVar[str] = (
        "clips with their speech, the text on the screen and words for what they show; all "
        "subtitles and sound tracks; chapters"
    )

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield the clips of the video in order; a short video is one clip.

        Raises:
            UnreadableMedia: It cannot be decoded.
            MediaTooLarge: It is over a limit of the policy.
        """
        if probe(file.opened, self.options.policy).video is None:
            yield from AudioLoader(self.options).segments(file)
            return
        options, note = self.options, file.note_missing
        with VideoReader(file.opened, options.policy, options.transcriber, note) as reader:
            yield from self._clips(file, reader)

    def _clips(self, file: SourceFile, reader: VideoReader) -> Iterator[Segment]:
        video = reader.video
        measured = measured_duration(video.probe)
        duration = min(measured, self.options.policy.max_seconds)
        note_duration(file, max(measured, video.probe.duration), duration)
        whole = _whole(file, reader, duration)
        found = scenes(
            reader.sample_frames(0.0, duration),
            duration,
            self.options.clip_seconds,
            change=reader.scene_change_between,
            quiet=_quiet_moment(reader),
        )
        with OtherTracks(video.probe, reader.subtitles, file, self.options) as others:
            for scene in found:
                if not scene.frames and scene.start == 0.0:
                    raise UnreadableMedia(f"{file.path.name} has no picture that can be decoded.")
                clip = self._clip(whole, reader, scene)
                yield clip
                yield from others.passages(clip, scene.start, scene.end, OVERLAP / 2)
        for damage in reader.damage:
            file.note("damaged", damage)

    def _clip(self, whole: Segment, reader: VideoReader, scene: Scene) -> Segment:
        key_frame = reader.frame_at(key_time(scene.frames, scene.start, scene.end))
        spoken = reader.speech(scene.start, scene.end, margin=OVERLAP / 2)
        shown = distinct_lines(frame.lines for frame in scene.frames)
        labels = reader.labels(key_frame, shown) if self.options.photo_labels else ""
        titles, chapter = chapters_of(reader.video.probe, scene.start, scene.end)
        return replace(
            whole,
            text="\n".join(filter(None, [*titles, spoken.text, *shown, labels])),
            preview=self._preview(key_frame),
            start=scene.start,
            end=scene.end,
            metadata={**whole.metadata, **chapter, **speech_source(spoken)},
        )

    def _preview(self, frame: Image.Image) -> str:
        return str(self.options.assets.write(shrunk_to(frame, _PREVIEW_PIXELS)))

    def redrawn(self, file: SourceFile, segments: Sequence[Segment]) -> Iterator[Segment]:
        """Yield clips of a video with their key frames drawn again.

        Raises:
            UnreadableMedia: It can no longer be decoded.
            MediaTooLarge: It is over a limit of the policy.
        """
        if all(segment.modality != "video" for segment in segments):
            yield from super().redrawn(file, segments)
            return
        with open_video(file.opened, self.options.policy) as video:
            for segment in segments:
                if segment.media is None:  # a passage of another track
                    yield segment
                    continue
                scene = _scene_of(video, segment)
                frame = video.frame_at(key_time(scene.frames, scene.start, scene.end))
                preview = self._preview(frame)
                yield replace(segment, media=str(file.path), preview=preview)


def _whole(file: SourceFile, reader: VideoReader, duration: float) -> Segment:
    """The segment of the whole video, from which its clips are made."""
    video = reader.video
    width, height = video.size
    return Segment(
        modality="video",
        source=file.source,
        sha256=file.sha256,
        title=title_of(video.probe.tags, file),
        media=str(file.path),
        mime_type=file_type(file.opened).mime,
        metadata={
            **known_tags(video.probe.tags),
            "duration": round(duration, 3),
            "width": width,
            "height": height,
            "has_audio": video.has_audio,
        },
    )


def _quiet_moment(reader: VideoReader) -> Callable[[float, float], float]:
    """A function that finds a moment to cut: between subtitles, or else where it is quietest."""
    if reader.cues or reader.sound is None:
        return lambda start, end: _between(reader.cues, start, end)
    sound = reader.sound.audio
    levels = cache(lambda: loudness(sound.blocks()))  # decoded only if a long scene must be cut
    return lambda start, end: quietest(levels(), start, end)


def _between(cues: Sequence[Cue], start: float, end: float) -> float:
    gaps = [cue.end for cue in cues if start <= cue.end <= end]
    return max(gaps, default=end)


def _scene_of(video: VideoFile, segment: Segment) -> Scene:
    """The scene of a clip, sampled as when it was loaded, without reading text."""
    start, end = segment.start or 0.0, segment.end or video.duration
    numbers = range(math.ceil(start / SAMPLE_EVERY), math.ceil(end / SAMPLE_EVERY))
    frames = sample_frames(video, [number * SAMPLE_EVERY for number in numbers], None)
    return Scene(start=start, end=end, frames=list(frames))


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A part of a video.

    Attributes:
        start: In seconds.
        end: In seconds; the next scene starts there.
        frames: Samples of it; empty if no frame could be decoded.
    """

    start: float
    end: float
    frames: Sequence[SampledFrame]


def scenes(
    frames: Iterator[SampledFrame],
    duration: float,
    longest: float,
    *,
    change: Callable[[float, float], float],
    quiet: Callable[[float, float], float],
) -> Iterator[Scene]:
    """Cut [0, duration) into scenes of 4 seconds up to `longest`; a single one may be shorter.

    Args:
        frames: Samples of the whole video. No more than `longest` seconds of them are held.
        duration: Duration of the video, in seconds.
        longest: Longest scene, in seconds.
        change: Gives the exact time of a scene change between two samples.
        quiet: Gives the best moment to cut between two times without a scene change.
    """
    shortest, start = min(_SHORTEST, longest / 3), 0.0
    held: list[SampledFrame] = []
    while duration - start > shortest:
        latest = min(start + longest, duration - shortest)
        end = _first_cut(_read_ahead(held, frames), start + shortest, latest, change)
        if end is None and duration - start <= longest:
            break
        if end is None:
            end = quiet(max(start + shortest, latest - longest / 2), latest)
        yield Scene(start=start, end=end, frames=[frame for frame in held if frame.time < end])
        held = [frame for frame in held if frame.time >= end]
        start = end
    yield Scene(start=start, end=duration, frames=[*held, *frames])


def _read_ahead(held: list[SampledFrame], frames: Iterator[SampledFrame]) -> Iterator[SampledFrame]:
    """The held samples, then further ones, which are added to the held ones."""
    yield from [*held]
    for frame in frames:
        held.append(frame)
        yield frame


def _first_cut(
    frames: Iterator[SampledFrame],
    earliest: float,
    latest: float,
    change: Callable[[float, float], float],
) -> float | None:
    """The first scene change in [earliest, latest], without reading further than necessary."""
    for frame in frames:
        if frame.time >= earliest and frame.before <= latest and frame.change > _CUT:
            cut = change(frame.before, frame.time)
            if earliest <= cut <= latest:
                return cut
        if frame.time > latest:
            break
    return None
