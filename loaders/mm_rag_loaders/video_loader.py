"""VideoLoader: videos as clips cut at scene changes, with their words and a key frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from PIL import Image

from mm_rag.errors import UnreadableMedia
from mm_rag.extraction.frame_sampling import LOOK_EVERY, Look, distinct_lines, watch
from mm_rag.extraction.recording import OVERLAP, loudness, quietest
from mm_rag.extraction.subtitles import Cue
from mm_rag.extraction.video_reader import VideoReader
from mm_rag.media.ffmpeg import measured_duration, probe
from mm_rag.media.image import shrunk_to
from mm_rag.media.kind import file_type
from mm_rag.media.video import VideoFile, open_video
from mm_rag.segment import Segment
from mm_rag_loaders.audio_loader import AudioLoader, known_tags, note_duration, said_by, title_of
from mm_rag_loaders.loader import Loader, SourceFile, note_once

_PREVIEW_PIXELS = 1280 * 720

_SHORTEST = 4.0  # seconds
_CUT = 0.12  # mean difference of two neighbours, of 1.0, that makes a new scene


class VideoLoader(Loader):
    """Loads videos. One that holds nothing but sound is loaded as a recording."""

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield the video's clips in order; the whole video where it is short.

        Raises:
            UnreadableMedia: It cannot be decoded.
            MediaTooLarge: It is over a limit of the policy.
        """
        if probe(file.opened, self.options.policy).video is None:
            yield from AudioLoader(self.options).segments(file)
            return
        options, note = self.options, note_once(file)
        with VideoReader(file.opened, options.policy, options.transcriber, note) as reader:
            yield from self._clips(file, reader)

    def redrawn(self, file: SourceFile, segments: Sequence[Segment]) -> Iterator[Segment]:
        """Yield clips of a video with their key frames written again.

        Raises:
            UnreadableMedia: It can no longer be decoded.
            MediaTooLarge: It is over a limit of the policy.
        """
        if all(segment.modality == "audio" for segment in segments):
            yield from super().redrawn(file, segments)
            return
        with open_video(file.opened, self.options.policy) as video:
            for segment in segments:
                preview = self._preview(video.frame_at(key_time(_seen_again(video, segment))))
                yield replace(segment, media=str(file.path), preview=preview)

    def _clips(self, file: SourceFile, reader: VideoReader) -> Iterator[Segment]:
        video = reader.video
        lasts = measured_duration(video.probe)
        duration = min(lasts, self.options.policy.max_seconds)
        note_duration(file, max(lasts, video.probe.duration), duration)
        base = _whole(file, reader, duration)
        looks = reader.watch(0.0, duration)
        found = scenes(
            looks,
            duration,
            self.options.clip_seconds,
            change=reader.change_between,
            quiet=_quiet_moment(reader),
        )
        for scene in found:
            if not scene.looks and scene.start == 0.0:
                raise UnreadableMedia(f"{file.path.name} has no picture that can be decoded.")
            yield self._clip(base, reader, scene)
        file.notes.extend(reader.damage)

    def _clip(self, base: Segment, reader: VideoReader, scene: Scene) -> Segment:
        key_frame = reader.frame_at(key_time(scene))
        spoken = reader.said(scene.start, scene.end, margin=OVERLAP / 2)
        shown = distinct_lines(look.lines for look in scene.looks)
        return replace(
            base,
            text="\n".join(filter(None, [spoken.text, *shown])),
            preview=self._preview(key_frame),
            start=scene.start,
            end=scene.end,
            metadata={**base.metadata, **said_by(spoken)},
        )

    def _preview(self, frame: Image.Image) -> str:
        return str(self.options.assets.write(shrunk_to(frame, _PREVIEW_PIXELS)))


def _seen_again(video: VideoFile, segment: Segment) -> Scene:
    """The scene of a clip, looked at as often as when it was found, and not read."""
    start, end = segment.start or 0.0, segment.end or video.duration
    numbers = range(math.ceil(start / LOOK_EVERY), math.ceil(end / LOOK_EVERY))
    looks = watch(video, [number * LOOK_EVERY for number in numbers], None)
    return Scene(start=start, end=end, looks=list(looks))


def _whole(file: SourceFile, reader: VideoReader, duration: float) -> Segment:
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
    """Between two subtitles where there are any, else where it is quietest."""
    if reader.cues or reader.sound is None:
        return lambda start, end: _between(reader.cues, start, end)
    sound = reader.sound.audio
    levels = cache(lambda: loudness(sound.blocks()))  # heard only where a long scene is cut
    return lambda start, end: quietest(levels(), start, end)


def _between(cues: Sequence[Cue], start: float, end: float) -> float:
    gaps = [cue.end for cue in cues if start <= cue.end <= end]
    return max(gaps, default=end)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A part of a video.

    Attributes:
        start: In seconds.
        end: In seconds; the next one starts there.
        looks: What was seen in it; none where no frame could be decoded.
    """

    start: float
    end: float
    looks: Sequence[Look]


def scenes(
    looks: Iterator[Look],
    duration: float,
    longest: float,
    *,
    change: Callable[[float, float], float],
    quiet: Callable[[float, float], float],
) -> Iterator[Scene]:
    """Cut [0, duration) into clips of 4 seconds up to `longest`; the only one may be shorter.

    Args:
        looks: At the whole video. No more than `longest` seconds of them are held.
        duration: Its, in seconds.
        longest: Of one clip, in seconds.
        change: When the first frame of the new scene is shown that begins between two looks.
        quiet: The best moment between two to cut where no scene changes.
    """
    shortest, start = min(_SHORTEST, longest / 3), 0.0
    held: list[Look] = []
    while duration - start > shortest:
        latest = min(start + longest, duration - shortest)
        end = _first_cut(_taken_in(held, looks), start + shortest, latest, change)
        if end is None and duration - start <= longest:
            break
        if end is None:
            end = quiet(max(start + shortest, latest - longest / 2), latest)
        yield Scene(start=start, end=end, looks=[look for look in held if look.time < end])
        held = [look for look in held if look.time >= end]
        start = end
    yield Scene(start=start, end=duration, looks=[*held, *looks])


def _taken_in(held: list[Look], looks: Iterator[Look]) -> Iterator[Look]:
    """The looks that are held, then the others, which are held from then on."""
    yield from [*held]
    for look in looks:
        held.append(look)
        yield look


def _first_cut(
    looks: Iterator[Look],
    earliest: float,
    latest: float,
    change: Callable[[float, float], float],
) -> float | None:
    """The first scene change in [earliest, latest]; no later looks are taken in than need be."""
    for look in looks:
        if look.time >= earliest and look.before <= latest and look.change > _CUT:
            cut = change(look.before, look.time)
            if earliest <= cut <= latest:
                return cut
        if look.time > latest:
            break
    return None


def key_time(scene: Scene) -> float:
    """The time of the frame that shows most of a scene, rather in the middle than at its ends."""
    middle, half = (scene.start + scene.end) / 2, max((scene.end - scene.start) / 2, 1e-3)
    if not scene.looks:
        return middle
    return max(scene.looks, key=lambda k: k.detail * (1 - 0.5 * abs(k.time - middle) / half)).time
