"""whisper-base hears the words of the demo's recording, and no words without a voice."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from mm_rag.errors import CheckpointError, MissingExtra
from mm_rag.extraction import speech, whisper_base
from mm_rag.extraction.recording import RecordingReader
from mm_rag.extraction.speech import (
    PocketSphinxTranscriber,
    Transcript,
    WhisperBaseTranscriber,
    Word,
    built_in_transcriber,
    default_transcriber,
)
from mm_rag.media.audio import open_audio
from mm_rag.packaged import WHISPER_BASE, PackagedFile
from mm_rag_loaders import AudioLoader, LoadOptions
from tests.av_made import Samples, make_wav, tone

BRIEFING = str(files("mm_rag.demo") / "samples" / "radio_briefing.opus")
FIRST = "this is the harbor radio with the morning report for all ferry captains"
SECOND = "heavy fog will move in from the"  # sea; the synthetic voice swallows it


@pytest.fixture(scope="module")
def whisper() -> WhisperBaseTranscriber:
    return WhisperBaseTranscriber()


@pytest.fixture(scope="module")
def spoken() -> Samples:
    """The first two sentences of the demo's recording, with a pause between them."""
    with open_audio(BRIEFING) as audio:
        return audio.samples(0.0, 11.5)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the user."""
    monkeypatch.setattr(whisper_base, "model_cache", lambda: tmp_path)
    return tmp_path / "whisper-base"


def plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower().replace("3 o'clock", "three o'clock")))


@pytest.mark.slow
def test_every_word_has_its_time(whisper: WhisperBaseTranscriber, spoken: Samples) -> None:
    heard = whisper.transcribe(spoken)
    assert plain(heard.text).startswith(f"{FIRST} {SECOND}")
    assert heard.language == "en"
    assert [w.start for w in heard.words] == sorted(w.start for w in heard.words)
    assert all(w.start <= w.end and 0 <= w.confidence <= 1 for w in heard.words)
    cut = heard.words[len(FIRST.split())].start - 0.2  # in the pause
    assert plain(heard.between(0.0, cut).text) == FIRST
    assert plain(heard.between(cut, 12.0).text).startswith(SECOND)
    assert heard.between(cut, 12.0).language == "en"


@pytest.mark.slow
def test_times_are_right_after_a_silence(whisper: WhisperBaseTranscriber, spoken: Samples) -> None:
    first = whisper.transcribe(spoken).words[0]
    later = np.concatenate([np.zeros(320_000, np.float32), spoken])
    heard = whisper.transcribe(later)
    assert plain(heard.text).startswith(FIRST)
    assert heard.words[0].start == pytest.approx(20.0 + first.start, abs=0.5)


def roar() -> Samples:
    """Rough, low noise that swells and fades."""
    rng = np.random.default_rng(1)
    low = np.convolve(rng.normal(0, 1, 48_000), np.ones(40) / 40, "same")
    swell = np.sin(np.pi * np.arange(48_000) / 48_000)
    return (low * swell * np.abs(tone(3.0, hertz=70.0)) * 3).astype(np.float32)


def music() -> Samples:
    chords = [sum(tone(0.5, hertz=h * 2 ** (k / 12), volume=0.08) for k in (0, 4, 7, 12))
              for h in (220, 262, 294, 220, 330, 247, 196, 220)]  # fmt: skip
    fade = np.exp(-3 * np.arange(8000) / 16_000)
    return np.concatenate([chord * fade for chord in chords]).astype(np.float32)


def syllables() -> Samples:
    """Noise in the rhythm of speech."""
    noise = np.random.default_rng(2).normal(0, 0.1, 80_000)
    return (noise * np.clip(tone(5.0, hertz=4.0, volume=1.0), 0, 1)).astype(np.float32)


@pytest.mark.parametrize("sound", [roar, music, syllables])
@pytest.mark.slow
def test_no_words_where_nobody_speaks(
    whisper: WhisperBaseTranscriber, sound: Callable[[], Samples]
) -> None:
    assert whisper.transcribe(sound()) == Transcript()


@pytest.mark.slow
def test_speech_in_music_is_heard(whisper: WhisperBaseTranscriber, spoken: Samples) -> None:
    tune = (np.tile(music(), 3)[: len(spoken)] * 0.3).astype(np.float32)
    mixed = (spoken + tune).astype(np.float32)
    assert plain(whisper.transcribe(mixed).text).startswith("this is the harbor radio")


@pytest.mark.slow
def test_segments_say_which_language_was_spoken(tmp_path: Path, spoken: Samples) -> None:
    path = make_wav(tmp_path / "briefing.wav", spoken)
    (segment,) = AudioLoader(LoadOptions()).load(path)
    assert plain(segment.text).startswith(f"{FIRST} {SECOND}")
    assert segment.metadata["language"] == "en"
    assert segment.metadata["transcriber"] == "whisper-base v1"


@pytest.mark.slow
def test_a_long_recording_is_heard_span_by_span() -> None:
    with RecordingReader(BRIEFING) as reader:
        heard = reader.speech()
    words = plain(heard.text)
    for part in (
        *(FIRST, SECOND, "when you cannot see the lighthouse slow down to", "knots and sound the"),
        *("small sailing boats will be", "please buy diesel at the airport instead", "wheelchairs"),
        *("a seal with a young pup is resting on the beach beside the pier keep the engine quiet",),
        "thank you for listening the next report is tomorrow at",
    ):
        assert part in words
    assert (heard.transcriber, heard.language) == ("whisper-base v1", "en")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_loads_the_model_again(tmp_path: Path, spoken: Samples) -> None:
    np.save(tmp_path / "spoken.npy", spoken[:96_000])
    code = (
        "import os, numpy as np\n"
        "from mm_rag.extraction.speech import WhisperBaseTranscriber\n"
        f"samples = np.load({str(tmp_path / 'spoken.npy')!r})\n"
        "whisper = WhisperBaseTranscriber()\n"
        "heard = whisper.transcribe(samples)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    os._exit(0 if whisper.transcribe(samples) == heard and heard.words else 7)\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=60, check=False)
    assert done.returncode == 0


def test_scripts_without_spaces_are_joined_without_them() -> None:
    def text(*words: str) -> str:
        return Transcript(
            tuple(Word(text=word, start=0, end=1, confidence=1) for word in words)
        ).text

    assert text("今", "天", "很", "好。", "明", "天") == "今天很好。明天"
    assert text("สวัส", "ดี") == "สวัสดี"
    assert text("Hello,", "world.") == "Hello, world."
    assert text("谢谢", "Anna", "再见") == "谢谢 Anna 再见"
    assert text() == ""


def test_a_copy_for_another_process_has_no_model(whisper: WhisperBaseTranscriber) -> None:
    copy = pickle.dumps(whisper)
    assert len(copy) < 200
    assert pickle.loads(copy).name == "whisper-base v1"


def test_the_parts_are_joined_once(cache: Path) -> None:
    WhisperBaseTranscriber()
    names = {".lock", "config.json", "model.bin", "tokenizer.json", "vocabulary.json"}
    assert {path.name for path in cache.iterdir()} == names
    made = (cache / "model.bin").stat()
    assert made.st_size == 145_217_607
    WhisperBaseTranscriber()
    assert (cache / "model.bin").stat().st_mtime_ns == made.st_mtime_ns


def test_a_damaged_copy_is_made_again(cache: Path) -> None:
    WhisperBaseTranscriber()
    model = cache / "model.bin"
    whole = model.read_bytes()
    for damage in (b"cut", whole[:-1] + bytes([whole[-1] ^ 1])):
        model.write_bytes(damage)
        (cache / "part-of-a-killed-process").touch()
        WhisperBaseTranscriber()
        assert model.read_bytes() == whole
    names = {".lock", "config.json", "model.bin", "tokenizer.json", "vocabulary.json"}
    assert {path.name for path in cache.iterdir()} == names


@pytest.mark.slow
def test_processes_that_start_together_make_one_copy(tmp_path: Path) -> None:
    code = "from mm_rag.extraction.speech import WhisperBaseTranscriber as W; W()"
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    started = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(3)]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    assert len(list(tmp_path.rglob("model.bin"))) == 1


def test_without_room_for_a_copy_there_is_a_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(whisper_base, "model_cache", lambda: tmp_path / "file")
    with pytest.raises(CheckpointError, match="whisper-base cannot be put together in"):
        WhisperBaseTranscriber()


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (PackagedFile("no-such-weights", "1.0", "a.bin", "0"), "'no-such-weights' is not insta"),
        (replace(WHISPER_BASE.files[0], version="0.9", sha256="0"), "which has other weights"),
        (replace(WHISPER_BASE.files[0], sha256="0"), "missing, damaged or changed"),
    ],
    ids=["missing", "another version", "damaged"],
)
def test_without_its_weights_pocketsphinx_is_the_default(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    part: PackagedFile,
    reason: str,
) -> None:
    model = replace(WHISPER_BASE, files=(part, *WHISPER_BASE.files[1:]))
    monkeypatch.setattr(whisper_base, "WHISPER_BASE", model)
    default_transcriber.cache_clear()
    try:
        assert isinstance(default_transcriber(), PocketSphinxTranscriber)
        assert isinstance(default_transcriber(), PocketSphinxTranscriber)
    finally:
        default_transcriber.cache_clear()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("PocketSphinx recognises speech, in English only and roughly: ")
    assert reason in line
    assert not (cache / "model.bin").exists()


def test_without_any_recogniser_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise MissingExtra("not installed")

    monkeypatch.setattr(whisper_base, "require", missing)
    monkeypatch.setattr(speech, "require", missing)
    default_transcriber.cache_clear()
    try:
        with pytest.raises(MissingExtra):
            default_transcriber()
    finally:
        default_transcriber.cache_clear()


def test_built_in_transcribers_are_known_by_name() -> None:
    assert isinstance(built_in_transcriber("whisper-base v0"), WhisperBaseTranscriber)
    assert isinstance(built_in_transcriber("pocketsphinx 5.0.4 en-us"), PocketSphinxTranscriber)
    assert built_in_transcriber("openai/whisper-base 1f2e3d4c5b6a7988") is None
