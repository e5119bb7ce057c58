"""Waveforms of recordings from any source."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from mm_rag.content import Audio
from mm_rag.errors import InputError, MediaTooLarge, UnreadableMedia
from mm_rag.media import MediaPolicy
from mm_rag.media.audio import open_audio, waveform
from mm_rag.media.decoding import Backend
from tests.av_made import colours, make_recording, make_video, make_wav, sweep, tone
from tests.media.backends import both_backends, needs_ffmpeg


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
