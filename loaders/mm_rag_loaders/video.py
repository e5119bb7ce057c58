"""VideoLoader: videos -> clips cut at scene changes, with their words and a key frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache

from PIL import Image

from mm_rag.errors import UnreadableMedia
from mm_rag.extraction.frame_sampling import LOOK_EVERY, distinct_lines, watch
from mm_rag.extraction.recording import OVERLAP, loudness, quietest
from mm_rag.extraction.subtitles import Cue
from mm_rag.extraction.video_reader import VideoReader
from mm_rag.media.ffmpeg import measured_duration, probe
from mm_rag.media.image import shrunk_to
from mm_rag.media.kind import file_type
from mm_rag.media.video import VideoFile, open_video
from mm_rag.segment import Segment
from mm_rag_loaders.audio import AudioLoader, known_tags, note_duration, said_by, title_of
from mm_rag_loaders.loader import Loader, SourceFile
from mm_rag_loaders.scenes import Scene, key_time, scenes
from mm_rag_loaders.seen_text import note_once

_PREVIEW_PIXELS = 1280 * 720


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
