"""Headers, tracks, tags and frame times of recordings and videos, without decoding.

They are always read with PyAV, whose wheel contains FFmpeg. Samples and frames are decoded by one
of the backends in `mm_rag.media.decoding`.
"""

from __future__ import annotations

from array import array
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mm_rag._optional import require
from mm_rag.errors import UnreadableMedia
from mm_rag.media.access import FileSource, OpenedFile, opened_whole
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy

if TYPE_CHECKING:
    from av.container import InputContainer

# Only these containers are opened. FFmpeg would also open playlists and scripts that name other
# files and addresses, and takes damaged files of other formats for bare video streams.
_CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dv,eac3,flac,flv,ivf,matroska,webm,mov,mp3,mp4,m4a,3gp,"
    "3g2,mj2,mpeg,mpegts,mxf,nut,ogg,rm,tta,w64,wav,wv"
)
_MOST_CHAPTERS, _MOST_TITLE = 1000, 500
_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "none"}


@dataclass(frozen=True, kw_only=True)
class AudioTrack:
    """An audio track.

    Attributes:
        index: Index of the stream in its file.
        sample_rate: In Hz.
        language: Language code in the file, such as `eng`; None if it does not say.
        title: Title of the track, such as `Commentary`; empty if it has none.
    """

    index: int
    sample_rate: int
    language: str | None = None
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class VideoTrack:
    """A video track. Cover pictures do not count.

    Attributes:
        index: Index of the stream in its file.
        width: Width of a coded frame in pixels, before rotation and pixel aspect.
        height: Height of a coded frame in pixels.
        fps: Average frames per second; None if it is not known.
        pixel_aspect: Width over height of a pixel, 1.0 for square ones.
    """

    index: int
    width: int
    height: int
    fps: float | None
    pixel_aspect: float


@dataclass(frozen=True, kw_only=True)
class SubtitleTrack:
    """A subtitle track.

    Attributes:
        index: Index of the stream in its file.
        codec: FFmpeg's name of its format: `subrip`, `ass`, `mov_text`, `webvtt`, `dvd_subtitle`.
        language: Language code in the file, such as `eng`; None if there is none.
    """

    index: int
    codec: str
    language: str | None


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """A chapter of a recording or video.

    Attributes:
        start: In seconds from the beginning.
        end: In seconds.
        title: Title; never empty.
    """

    start: float
    end: float
    title: str


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The headers of a file.

    Attributes:
        path: The file, as it was named.
        file: The opened file, for further reading. The caller closes it.
        start: First time stamp, in seconds, from which mm_rag counts all other times.
        duration: In seconds, according to the header; measured if the header does not say.
        tags: Tags such as `title`, `artist` and `album`, with lower-case names.
        audio: The audio track that a player would choose; None if there is none.
        video: The video track that a player would choose; None if there is none.
        subtitles: Subtitle tracks in the order of the file.
        other_audio: Further audio tracks in the order of the file.
        chapters: Chapters with a title, in order.
    """

    path: Path
    file: OpenedFile
    start: float
    duration: float
    tags: Mapping[str, str]
    audio: AudioTrack | None
    video: VideoTrack | None
    subtitles: tuple[SubtitleTrack, ...]
    other_audio: tuple[AudioTrack, ...] = ()
    chapters: tuple[Chapter, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FrameTable:
    """Presentation times of the frames of a video track.

    Attributes:
        times: Start of each frame, in seconds of file time, ascending.
        end: End of the last frame, in seconds of file time.
    """

    times: Sequence[float]
    end: float


def probe(path: str | FileSource, policy: MediaPolicy = DEFAULT_POLICY) -> Probe:
    """Open a file and read its headers.

    Raises:
        SourceForbidden: The policy does not allow opening it.
        UnreadableMedia: It is missing, empty, damaged, or has neither sound nor pictures.
        MediaTooLarge: It is over the policy's `max_bytes`.
    """
    source = path if isinstance(path, OpenedFile) else Path(path).absolute()
    file = opened_whole(source, policy)
    try:
        return _probe(file)
    except BaseException:
        file.close()
        raise


def _probe(file: OpenedFile) -> Probe:
    path = file.path
    with open_container(file) as container, readable(path):
        audio, video = _sound(container), _moving_pictures(container)
        if audio is None and video is None:
            raise UnreadableMedia(
                f"{path.name} holds neither sound nor moving pictures that FFmpeg can decode."
            )
        start = (container.start_time or 0) / 1e6
        duration = container.duration
        return Probe(
            path=path,
            file=file,
            start=start,
            duration=duration / 1e6 if duration else max(0.0, _last_time(container) - start),
            tags=_tags(container, audio if video is None else None),
            audio=audio and _audio_track(audio),
            video=video and _video_track(video),
            subtitles=tuple(_subtitle_track(s) for s in container.streams.subtitles),
            other_audio=tuple(
                _audio_track(s)
                for s in container.streams.audio
                if audio is not None and s.index != audio.index and _can_decode(s)
            ),
            chapters=tuple(_chapters(container, start)),
        )


def measured_duration(source: Probe) -> float:
    """Actual duration of a file in seconds, from its packets, which are not decoded.

    The header of a truncated file may claim more.
    """
    with open_container(source.file) as container, readable(source.path):
        return max(0.0, _last_time(container) - source.start)


def frame_table(source: Probe, track: VideoTrack) -> FrameTable:
    """Presentation times of the frames of a track, without decoding them."""
    with open_container(source.file) as container, readable(source.path):
        # Packets contain the compressed video and are not kept.
        times, end = array("d"), 0.0
        for packet in container.demux(container.streams[track.index]):
            if packet.pts is not None and not packet.is_discard:
                times.append(_seconds(packet, packet.pts))
                end = max(end, _end_of(packet))
        return FrameTable(times=array("d", sorted(times)), end=end)


@contextmanager
def open_container(file: OpenedFile) -> Generator[InputContainer]:
    """Open a file with PyAV, which cannot open other files through it."""
    av = require("av", extra="video", feature="Reading recordings and videos")
    with file.reader() as reader:
        with readable(file.path):
            container = av.open(reader, options=dict(_OPTIONS), metadata_errors="replace")
        try:
            yield container
        finally:
            container.close()


@contextmanager
def readable(path: Path) -> Generator[None]:
    """Translate errors of PyAV about a file into UnreadableMedia."""
    av = require("av", extra="video", feature="Reading recordings and videos")
    try:
        yield
    except (av.FFmpegError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableMedia(
            f"{path.name} cannot be decoded: {reason}. It may be damaged, cut off, or not a "
            "recording or video at all."
        ) from error


def _last_time(container: InputContainer) -> float:
    streams = [s for s in container.streams if s.type in ("audio", "video")]
    return max((_end_of(packet) for packet in container.demux(streams)), default=0.0)


def _tags(container: InputContainer, audio: Any) -> dict[str, str]:
    # In Ogg the tags belong to the track.
    of_track = {} if audio is None else audio.metadata
    return {name.lower(): value for name, value in {**of_track, **container.metadata}.items()}


def _end_of(packet: Any) -> float:
    return 0.0 if packet.pts is None else _seconds(packet, packet.pts + (packet.duration or 0))


def _seconds(packet: Any, ticks: int | None) -> float:
    return float((ticks or 0) * packet.time_base)


def _sound(container: InputContainer) -> Any:
    best = container.streams.best("audio")
    return best if best is not None and _can_decode(best) else None


def _moving_pictures(container: InputContainer) -> Any:
    best = container.streams.best("video")
    streams = [best, *container.streams.video]
    return next((s for s in streams if s and not _is_cover(s) and _can_decode(s)), None)


def _can_decode(stream: Any) -> bool:
    # There is no codec context if FFmpeg has no decoder.
    return stream.codec_context is not None


def _is_cover(stream: Any) -> bool:
    return "attached_pic" in (stream.disposition.name or "")


def _audio_track(stream: Any) -> AudioTrack:
    return AudioTrack(
        index=stream.index,
        sample_rate=stream.codec_context.rate,
        language=stream.language if stream.language not in (None, "und") else None,
        title=str(stream.metadata.get("title", "")).strip()[:_MOST_TITLE],
    )


def _chapters(container: InputContainer, zero: float) -> Iterator[Chapter]:
    for chapter in container.chapters()[:_MOST_CHAPTERS]:
        title = str(chapter["metadata"].get("title", "")).strip()[:_MOST_TITLE]
        unit = chapter["time_base"] or 0
        start, end = (float(chapter[at] * unit) - zero for at in ("start", "end"))
        if title and end > start:
            yield Chapter(start=max(0.0, start), end=end, title=title)


def _video_track(stream: Any) -> VideoTrack:
    aspect = stream.sample_aspect_ratio
    rate = stream.average_rate
    return VideoTrack(
        index=stream.index,
        width=stream.codec_context.width,
        height=stream.codec_context.height,
        fps=float(rate) if rate else None,
        pixel_aspect=float(aspect) if aspect else 1.0,
    )


def _subtitle_track(stream: Any) -> SubtitleTrack:
    codec = stream.codec_context.name if _can_decode(stream) else "unknown"
    known = stream.language not in (None, "und")
    return SubtitleTrack(
        index=stream.index, codec=codec, language=stream.language if known else None
    )
