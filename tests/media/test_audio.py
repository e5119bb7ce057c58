"""Recordings: samples of any span, at any rate, from any source."""

from __future__ import annotations

import importlib
import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from mm_rag.content import Audio
from mm_rag.errors import InputError, MediaTooLarge, UnreadableMedia
from mm_rag.media import MediaPolicy
from mm_rag.media.audio import open_audio, resample, waveform
from mm_rag.media.decoding import Backend
from mm_rag.media.ffmpeg import measured_duration, probe
from tests.av_made import colours, make_recording, make_video, make_wav, sweep, tone
from tests.media.backends import PYAV, TORCHCODEC, both_backends, needs_ffmpeg


@both_backends
def test_samples_are_those_of_the_span(tmp_path: Path, backend: Backend) -> None:
    made = sweep(3.0)
    with open_audio(make_wav(tmp_path / "a.wav", made), backend=backend) as audio:
        assert audio.duration == pytest.approx(3.0)
        assert audio.sample_rate == 16_000
        heard = audio.samples(1.25, 2.0)
    assert heard.dtype == np.float32
    assert heard.shape == (12_000,)
    np.testing.assert_allclose(heard, made[20_000:32_000], atol=1e-3)


@both_backends
def test_blocks_follow_each_other_without_gap(tmp_path: Path, backend: Backend) -> None:
    path = make_wav(tmp_path / "a.wav", sweep(2.5, rate=44_100), rate=44_100, channels=2)
    with open_audio(path, backend=backend) as audio:
        blocks = list(audio.blocks(seconds=1.0))
        whole = audio.samples()
    assert [len(block) for block in blocks] == [16_000, 16_000, 8_000]
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-4)


@both_backends
@pytest.mark.parametrize(
    ("suffix", "codec"), [(".flac", "flac"), (".mp3", "libmp3lame"), (".m4a", "aac")]
)
def test_compressed_recordings_keep_time(
    tmp_path: Path, backend: Backend, suffix: str, codec: str
) -> None:
    """A tone that begins at 2 s is heard from 2 s on, also after a seek."""
    made = np.concatenate([tone(2.0, rate=48_000, volume=0.0), tone(2.0, rate=48_000)])
    path = make_recording(tmp_path / f"a{suffix}", made, codec, rate=48_000)
    with open_audio(path, backend=backend) as audio:
        before, after = audio.samples(1.5, 1.95), audio.samples(2.05, 2.5)
    assert np.abs(before).max() < 0.02
    assert np.abs(after).max() > 0.2


@both_backends
def test_a_span_beyond_the_end_is_short_or_empty(tmp_path: Path, backend: Backend) -> None:
    with open_audio(make_wav(tmp_path / "a.wav", tone(1.0)), backend=backend) as audio:
        assert len(audio.samples(0.75, 9.0)) == 4_000
        assert len(audio.samples(5.0, 9.0)) == 0


@both_backends
def test_a_cut_off_recording_is_read_as_far_as_it_goes(tmp_path: Path, backend: Backend) -> None:
    rng = np.random.default_rng(0)
    noise = rng.uniform(-0.3, 0.3, 48_000 * 4).astype(np.float32)
    whole = make_recording(tmp_path / "whole.flac", noise, "flac")
    cut = tmp_path / "cut.flac"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with open_audio(cut, backend=backend) as audio:
        heard = np.concatenate(list(audio.blocks()))
        assert 1.5 < len(heard) / 16_000 < 2.5
        assert audio.damage
        assert "sound track" in audio.damage[0]


@both_backends
def test_the_sound_of_a_video_is_a_recording(tmp_path: Path, backend: Backend) -> None:
    path = make_video(
        tmp_path / "v.mp4", colours("red", "blue", each=10), sound=tone(2.0, rate=48_000)
    )
    with open_audio(path, backend=backend) as audio:
        assert np.abs(audio.samples(0.5, 1.5)).max() > 0.2


@needs_ffmpeg
@pytest.mark.parametrize(
    ("suffix", "codec"), [(".wav", "pcm_s16le"), (".flac", "flac"), (".mp3", "libmp3lame")]
)
def test_both_backends_hear_the_same(tmp_path: Path, suffix: str, codec: str) -> None:
    path = make_recording(tmp_path / f"a{suffix}", sweep(3.0, rate=48_000), codec)
    heard: dict[Backend, list[np.ndarray]] = {}
    for backend in (PYAV, TORCHCODEC):
        with open_audio(path, backend=backend) as audio:
            heard[backend] = [*audio.blocks(1.0), audio.samples(1.1, 2.3)]
    for one, other in zip(heard[PYAV], heard[TORCHCODEC], strict=True):
        assert one.shape == other.shape
        difference = float(np.abs(one - other).max())
        assert difference < 1e-5, f"largest sample difference {difference}"


def test_resampling_keeps_pitch_and_length() -> None:
    heard = resample(tone(1.0, rate=44_100), 44_100, 16_000)
    assert abs(len(heard) - 16_000) <= 1
    spectrum = np.abs(np.fft.rfft(heard[:16_000], 16_000))
    assert int(spectrum.argmax()) == 440


def test_tags_of_ogg_are_found(tmp_path: Path) -> None:
    """Ogg keeps them with the track rather than with the file."""
    path = make_recording(tmp_path / "a.opus", tone(1.0, rate=48_000), "libopus")
    tagged = make_recording(
        tmp_path / "b.flac", tone(1.0, rate=48_000), "flac", tags={"TITLE": "A talk"}
    )
    assert probe(path).audio is not None
    assert probe(tagged).tags["title"] == "A talk"


def test_time_is_limited_by_the_policy(tmp_path: Path) -> None:
    path = make_wav(tmp_path / "a.wav", tone(3.0))
    with open_audio(path, MediaPolicy(max_seconds=1.0), backend=PYAV) as audio:
        assert audio.full_duration == pytest.approx(3.0)
        assert sum(map(len, audio.blocks())) == 16_000
    with pytest.raises(MediaTooLarge, match="max_bytes"):
        open_audio(path, MediaPolicy(max_bytes=100))


def test_what_is_no_recording_says_so(tmp_path: Path) -> None:
    empty, text = tmp_path / "empty.wav", tmp_path / "text.mp3"
    empty.touch()
    text.write_text("This is not a recording at all. " * 40)
    with pytest.raises(UnreadableMedia, match=r"empty\.wav is empty"):
        open_audio(empty)
    with pytest.raises(UnreadableMedia, match=r"text\.mp3"):
        open_audio(text)
    with pytest.raises(UnreadableMedia, match="no file"):
        open_audio(tmp_path / "missing.wav")
    silent = make_video(tmp_path / "v.mp4", colours("red", each=5))
    with pytest.raises(UnreadableMedia, match="no sound"):
        open_audio(silent)


def test_a_playlist_is_not_followed(tmp_path: Path) -> None:
    """FFmpeg would open what a playlist names, whatever the playlist is called."""
    make_wav(tmp_path / "secret.wav", tone(1.0))
    for name in ("list.mp3", "list.m3u8", "list.mp4"):
        (tmp_path / name).write_text(
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.wav\n#EXT-X-ENDLIST\n"
        )
        with pytest.raises(UnreadableMedia):
            open_audio(tmp_path / name)
    (tmp_path / "script.mp3").write_text("ffconcat version 1.0\nfile secret.wav\n")
    with pytest.raises(UnreadableMedia):
        open_audio(tmp_path / "script.mp3")


def test_measured_duration_counts_what_is_there(tmp_path: Path) -> None:
    path = make_wav(tmp_path / "a.wav", tone(2.0))
    path.write_bytes(path.read_bytes()[:32_044])
    assert measured_duration(probe(path)) == pytest.approx(1.0, abs=0.01)


def test_a_span_must_make_sense(tmp_path: Path) -> None:
    with (
        open_audio(make_wav(tmp_path / "a.wav", tone(1.0)), backend=PYAV) as audio,
        pytest.raises(InputError, match="start >= 0"),
    ):
        audio.samples(-1.0, 1.0)


def test_a_gap_of_hours_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "gap.mkv"
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("pcm_s16le", rate=8000, layout="mono")
        for second in (0, 1, 40_000):
            loud = np.full((1, 8000), 8000, np.int16)
            frame = av.AudioFrame.from_ndarray(loud, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 8000, second * 8000, Fraction(1, 8000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with open_audio(path, backend="pyav") as audio:
        tracemalloc.start()
        found = audio.samples(10.0, 12.0, 8000)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert not found.any()
    assert peak < 20e6


def test_samples_at_the_wanted_rate_are_not_changed() -> None:
    samples = sweep(0.5)
    assert np.shares_memory(waveform(Audio(samples), 16_000), samples)
    np.testing.assert_array_equal(waveform(Audio(samples, 16_000), 16_000), samples)


def test_a_file_at_the_wanted_rate_is_not_changed(tmp_path: Path) -> None:
    samples = sweep(0.4321, rate=44_100)
    path = make_wav(tmp_path / "a.wav", samples, rate=44_100)
    pcm = (samples * 32767).astype(np.int16)
    np.testing.assert_array_equal(waveform(Audio(path), 44_100), (pcm / 32768).astype(np.float32))


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_other_rates_are_resampled(tmp_path: Path, rate: int) -> None:
    samples = tone(1.0, rate=rate)
    wanted = tone(1.0)
    path = make_wav(tmp_path / "a.wav", samples, rate=rate)
    for audio in (Audio(path), Audio(samples, rate)):
        found = waveform(audio, 16_000)
        assert len(found) == pytest.approx(16_000, abs=32)
        np.testing.assert_allclose(found[500:15_000], wanted[500:15_000], atol=0.01)


def test_a_part_is_the_samples_of_its_span(tmp_path: Path) -> None:
    samples = sweep(2.0)
    path = make_wav(tmp_path / "a.wav", samples)
    for audio in (Audio(path, start=0.5, end=1.25), Audio(samples, 16_000, start=0.5, end=1.25)):
        found = waveform(audio, 16_000)
        assert found.shape == (12_000,)
        np.testing.assert_allclose(found, samples[8_000:20_000], atol=1e-4)
    assert len(waveform(Audio(path, start=1.5), 16_000)) == 8_000


@needs_ffmpeg
@both_backends
@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "flac", "libopus"])
def test_a_whole_recording_is_all_that_its_file_holds(
    tmp_path: Path, codec: str, backend: Backend
) -> None:
    """The header of an MP4 said less than the samples that were there: the end was cut off."""
    names = {"aac": "a.m4a", "libmp3lame": "a.mp3", "flac": "a.flac", "libopus": "a.opus"}
    path = make_recording(tmp_path / names[codec], sweep(0.5137, rate=48_000), codec)
    with open_audio(path, backend=backend) as file:
        found = file.samples(rate=file.sample_rate)
    decoders = importlib.import_module("torchcodec.decoders")
    reference = decoders.AudioDecoder(str(path)).get_all_samples().data.mean(dim=0).numpy()
    assert found.shape == reference.shape
    np.testing.assert_allclose(found, reference, atol=1e-6)


@needs_ffmpeg
def test_a_decoder_gives_what_its_file_gives(tmp_path: Path) -> None:
    decoders = importlib.import_module("torchcodec.decoders")
    path = make_recording(tmp_path / "a.flac", sweep(1.0, rate=48_000), "flac")
    decoder = decoders.AudioDecoder(str(path))
    for rate in (48_000, 16_000):
        np.testing.assert_array_equal(waveform(Audio(decoder), rate), waveform(Audio(path), rate))
    assert len(waveform(Audio(decoder), 48_000, MediaPolicy(max_seconds=0.5))) == 24_000
    part = waveform(Audio(decoder, start=0.25, end=0.5), 48_000)
    np.testing.assert_array_equal(part, waveform(Audio(path, start=0.25, end=0.5), 48_000))


def test_the_sound_of_a_video(tmp_path: Path) -> None:
    sound = tone(1.0, rate=48_000)
    path = make_video(tmp_path / "v.mkv", colours("red", each=10), sound=sound)
    assert len(waveform(Audio(path), 16_000)) == pytest.approx(16_000, abs=1_500)


def test_seconds_and_bytes_are_bounded(tmp_path: Path) -> None:
    path = make_wav(tmp_path / "a.wav", tone(2.0))
    short = MediaPolicy(max_seconds=0.5)
    for audio in (Audio(path), Audio(tone(2.0), 16_000)):
        assert len(waveform(audio, 16_000, short)) == 8_000
    with pytest.raises(MediaTooLarge, match="max_bytes"):
        waveform(Audio(path), 16_000, MediaPolicy(max_bytes=100))


@pytest.mark.parametrize(
    ("audio", "words"),
    [
        (Audio(np.zeros(0, np.float32)), "no samples"),
        (Audio(np.array([0.0, np.nan], np.float32)), "not finite"),
        (Audio(tone(1.0), start=3.0), "no sound between 3 s and the end"),
        (Audio(Path("missing.wav")), "no file"),
    ],
)
def test_what_has_no_sound_says_so(audio: Audio, words: str) -> None:
    with pytest.raises(UnreadableMedia, match=words):
        waveform(audio, 16_000)


def test_files_without_sound(tmp_path: Path) -> None:
    tiny = tmp_path / "tiny.mp3"
    tiny.write_bytes(b"ID3")
    with pytest.raises(UnreadableMedia, match=r"tiny\.mp3 cannot be decoded"):
        waveform(Audio(tiny), 16_000)
    silent = make_wav(tmp_path / "silent.wav", tone(0.0))
    with pytest.raises(UnreadableMedia, match=r"silent\.wav"):
        waveform(Audio(silent), 16_000)
    short = make_wav(tmp_path / "short.wav", tone(0.5))
    with pytest.raises(UnreadableMedia, match=r"short\.wav has no sound between 2 s and 3 s"):
        waveform(Audio(short, start=2.0, end=3.0), 16_000)


@pytest.mark.parametrize(
    "audio", [Audio(tone(1.0), start=-1.0), Audio(tone(1.0), start=0.5, end=0.5)]
)
def test_spans_that_are_none(audio: Audio) -> None:
    with pytest.raises(InputError, match="start"):
        waveform(audio, 16_000)
