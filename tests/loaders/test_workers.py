"""Worker processes: what comes out is the same, and nothing that happens to them is lost."""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from mm_rag.errors import InputError, StorageError, WorkerError
from mm_rag.media import MediaPolicy
from mm_rag.segment import Segment
from mm_rag_loaders import AssetStore, FileOutcome, LoadOptions, load, load_file
from tests.av_made import make_wav, tone
from tests.loaders.odd_transcribers import (
    ArrivesBroken,
    Babbles,
    Crashes,
    Errs,
    Hangs,
    Hungers,
    IsSlow,
    Litters,
    Odd,
)
from tests.media_made import make_pdf, make_picture

pytestmark = [pytest.mark.workers, pytest.mark.slow]


@pytest.fixture
def options(tmp_path: Path) -> LoadOptions:
    return LoadOptions(assets=AssetStore(tmp_path / "assets"), workers=2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recording between two documents."""
    made = tmp_path / "in"
    made.mkdir()
    make_pdf(made / "a.pdf", ["Alpha on one.", "Beta on two."])
    make_wav(made / "b.wav", tone(2.0))
    make_pdf(made / "c.pdf", ["Gamma."])
    return made


def loaded(source: Path, options: LoadOptions) -> tuple[list[Segment], list[FileOutcome]]:
    told: list[FileOutcome] = []
    return list(load(source, options, on_file=told.append)), told


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def heard_by(transcriber: Odd, options: LoadOptions, **limits: float) -> LoadOptions:
    policy = MediaPolicy(**limits)  # pyright: ignore[reportArgumentType]
    return replace(options, transcriber=transcriber, policy=policy)


def test_workers_give_what_this_process_gives_in_the_same_order(
    folder: Path, options: LoadOptions
) -> None:
    make_picture(folder / "d.png", "Delta")
    (folder / "e.txt").write_text("Epsilon in plain text.")
    (folder / "f.pdf").write_text("no PDF")
    here = loaded(folder, replace(options, workers=0))
    there = loaded(folder, options)
    assert there == here
    assert [s.id for s in there[0]] == [s.id for s in here[0]]
    assert [Path(file.source).name for file in there[1]] == sorted(
        path.name for path in folder.iterdir()
    )


def test_segments_come_before_their_file_is_done(tmp_path: Path, options: LoadOptions) -> None:
    path = make_pdf(tmp_path / "long.pdf", [f"Page {n}." for n in range(200)])
    told: list[FileOutcome] = []
    loading = load(path, options, on_file=told.append)
    assert next(loading).page == 1
    assert told == []
    assert sum(1 for _ in loading) == 399
    assert [file.state for file in told] == ["loaded"]


def test_a_crash_is_a_line_and_the_others_are_read(folder: Path, options: LoadOptions) -> None:
    segments, told = loaded(folder, heard_by(Crashes(), options))
    assert [file.state for file in told] == ["loaded", "unreadable", "loaded"]
    assert told[1].reason.startswith("the process that read it died of SIGSEGV")
    assert [Path(s.source).name[0] for s in segments] == list("aaaacc")


def test_what_was_read_before_a_crash_is_kept(tmp_path: Path, options: LoadOptions) -> None:
    make_wav(tmp_path / "long.wav", tone(9.0))
    crashing = replace(heard_by(Crashes(calls=2), options), clip_seconds=4.0)
    segments, [told] = loaded(tmp_path / "long.wav", crashing)
    assert (len(segments), told.state) == (1, "loaded")
    assert "SIGSEGV" in told.notes[0].text
    assert told.sha256 == segments[0].sha256


def test_an_error_that_nobody_expected_is_a_line_with_its_name(
    folder: Path, options: LoadOptions
) -> None:
    _, told = loaded(folder, heard_by(Errs(), options))
    assert "exit code 1 (KeyError: 'no such word')" in told[1].reason
    assert [file.state for file in told] == ["loaded", "unreadable", "loaded"]


@pytest.mark.slow
def test_a_hang_ends_with_the_time_that_a_file_may_take(folder: Path, options: LoadOptions) -> None:
    began = time.monotonic()
    _, told = loaded(folder, heard_by(Hangs(), options, max_load_seconds=6.0))
    assert time.monotonic() - began < 60
    assert [file.state for file in told] == ["loaded", "unreadable", "loaded"]
    assert told[1].reason == "it took longer than 6 s (MediaPolicy.max_load_seconds)"


def test_a_slow_file_is_cut_short_by_itself(tmp_path: Path, options: LoadOptions) -> None:
    make_wav(tmp_path / "long.wav", tone(40.0))
    slow = replace(heard_by(IsSlow(), options, max_load_seconds=1.0), clip_seconds=4.0)
    segments, [told] = loaded(tmp_path / "long.wav", slow)
    assert told.state == "loaded"
    assert 2 <= len(segments) < 10
    assert "only read until" in told.notes[0].text


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds a process's memory")
def test_memory_beyond_the_limit_is_a_line(folder: Path, options: LoadOptions) -> None:
    _, told = loaded(folder, heard_by(Hungers(), options, max_memory=3 * 1024**3))
    assert [file.state for file in told] == ["loaded", "unreadable", "loaded"]
    assert "MediaPolicy.max_memory" in told[1].reason


def test_what_libraries_print_disturbs_nothing_and_warnings_arrive(
    folder: Path, options: LoadOptions, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        _, told = loaded(folder, heard_by(Babbles(), options))
    assert [file.state for file in told] == ["loaded"] * 3
    assert [(r.name, r.getMessage()) for r in caplog.records] == [
        ("mm_rag.odd", "Something was odd.")
    ]


def test_a_killed_worker_is_replaced(folder: Path, options: LoadOptions) -> None:
    before = children()
    for number in range(20):
        make_pdf(folder / f"more{number:02}.pdf", [f"Page {n} of {number}." for n in range(40)])
    told: list[FileOutcome] = []
    loading = load(folder, replace(options, workers=1), on_file=told.append)
    next(loading)
    [worker] = children() - before
    os.kill(worker, signal.SIGKILL)
    assert sum(1 for _ in loading) > 700
    assert len(told) == 23
    assert sum("SIGKILL" in "".join((file.reason, *map(str, file.notes))) for file in told) == 1


def test_whoever_stops_asking_stops_the_processes(folder: Path, options: LoadOptions) -> None:
    before = children()
    loading = load(folder, heard_by(Hangs(), options))
    next(loading)
    assert children() - before
    began = time.monotonic()
    assert isinstance(loading, Iterator)
    loading.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert time.monotonic() - began < 5
    assert children() == before


def test_each_segment_may_be_asked_for_in_another_thread(
    folder: Path, options: LoadOptions
) -> None:
    loading, found = load(folder, options), list[Segment]()

    def take_one() -> None:
        found.extend([next(loading)])

    for _ in range(7):
        thread = threading.Thread(target=take_one)
        thread.start()
        thread.join()
    assert found == loaded(folder, options)[0]


def test_a_script_without_a_main_guard_loads(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from mm_rag_loaders import AssetStore, LoadOptions, load\n"
        f"options = LoadOptions(assets=AssetStore(Path({str(tmp_path / 'kept')!r})))\n"
        f"print(len(list(load({str(folder / 'a.pdf')!r}, options))))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("4\n", "")


def test_ctrl_c_ends_the_script_and_its_processes(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from mm_rag_loaders import AssetStore, LoadOptions, load\n"
        "from tests.loaders.odd_transcribers import Hangs\n"
        f"options = LoadOptions(assets=AssetStore(Path({str(tmp_path / 'kept')!r})),\n"
        "    transcriber=Hangs())\n"
        f"for segment in load({str(folder)!r}, options):\n"
        "    print(segment.page, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        start_new_session=True,
    ) as running:
        assert running.stdout
        assert running.stderr
        for _ in range(4):
            running.stdout.readline()
        group = psutil.Process(running.pid).children()
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does: the workers get it, too
        assert b"KeyboardInterrupt" in running.stderr.read()
        running.wait(10)
    _, alive = psutil.wait_procs(group, timeout=5)
    assert group
    assert not alive


def test_a_transcriber_of_the_script_itself_cannot_travel(
    folder: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Crashes, "__module__", "__main__")
    with pytest.raises(InputError, match=r"a class of the script .*workers=0"):
        list(load(folder, replace(options, transcriber=Crashes())))


def test_options_that_cannot_be_pickled_say_so(folder: Path, options: LoadOptions) -> None:
    class Local(Crashes):
        pass

    with pytest.raises(InputError, match=r"cannot be sent .*workers=0"):
        list(load(folder, replace(options, transcriber=Local())))
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pickle.dumps(Local())


@pytest.mark.parametrize(
    ("program", "reason"), [("false", "ended with exit code 1"), ("gone", "No such file")]
)
def test_a_process_that_cannot_start_is_an_error(
    folder: Path,
    options: LoadOptions,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    reason: str,
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which(program) or program)
    with pytest.raises(WorkerError, match=f"did not start: (it )?{reason}"):
        list(load(folder, options))


def test_a_program_may_end_while_files_are_being_read(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("\n\n".join(f"Part {n}. " + "x " * 140 for n in range(900)))
    done = run_script(
        "from mm_rag_loaders import load\n"
        f"loading = load({str(tmp_path / 'long.txt')!r})\n"
        "print(next(loading).text[:7])\n"
    )
    assert (done.stdout, done.stderr, done.returncode) == ("Part 0.\n", "", 0)


@pytest.mark.parametrize(
    "around",
    [
        "import sys, pathlib; sys.path.append(pathlib.Path('some'))",
        "import os, tempfile; gone = tempfile.mkdtemp(); os.chdir(gone); os.rmdir(gone)",
        "import os; [os.close(number) for number in (0, 2)]",
        "import os; os.environ.clear()",
        "import sys; sys.stdin = sys.stderr = None",
    ],
)
def test_a_program_may_stand_in_odd_places(tmp_path: Path, around: str) -> None:
    (tmp_path / "a.txt").write_text("Alpha.")
    done = run_script(
        "from mm_rag_loaders import AssetStore, LoadOptions, load\n"
        "from pathlib import Path\n"
        f"options = LoadOptions(assets=AssetStore(Path({str(tmp_path / 'kept')!r})))\n"
        f"{around}\n"
        f"print([segment.text for segment in load({str(tmp_path / 'a.txt')!r}, options)])\n"
    )
    assert (done.stdout, done.returncode) == ("['Alpha.']\n", 0)


def run_script(text: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", text]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


_NAMING = '{"segment": {"source": "%%s", "sha256": "0", "modality": "image", "%s": "%s"}}'
_FOREIGN = ("/etc/passwd", "%s.other", "%s/../b", "a.txt", "https://h/a.png", "a\\u0000b", "/")


@pytest.mark.skipif(os.name == "nt", reason="the program is a shell script")
@pytest.mark.parametrize(
    "line",
    [
        "hello",
        "[" * 100_000,
        "{}",
        '{"outcome": {"source": "/etc/passwd", "state": "loaded", "notes": []}}',
        '{"outcome": {"source": "%s", "state": "splendid", "notes": []}}',
        '{"outcome": {"source": "%s", "state": "loaded", "notes": [1]}}',
        '{"segment": {"source": "%s", "sha256": "0", "modality": "text", "text": 5}}',
        '{"segment": {"source": "%s", "sha256": "0", "modality": "smell", "media": "x"}}',
        '{"segment": {"source": "%s", "sha256": "0", "modality": "text", "page": -1}}',
        '{"segment": {"source": "%s", "sha256": "0", "modality": "text", "metadata": {"a": []}}}',
        '{"segment": {"source": "%s", "sha256": "0", "modality": "text", "kind": "text"}}',
        *(_NAMING % (field, path) for field in ("media", "preview", "boxes") for path in _FOREIGN),
        '{"log": {"logger": 5, "level": 30, "text": ""}}',
        '{"log": {"logger": "a", "level": "loud", "text": ""}}',
    ],
)
def test_a_process_that_sends_an_invalid_message_is_killed(
    tmp_path: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Alpha.")
    (tmp_path / "says").write_text(f"ready\n{line.replace('%s', str(path))}\n")
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ncat {tmp_path / 'says'}\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    loaded = load_file(path, options)
    assert (loaded.source, loaded.state) == (str(path), "unreadable")
    assert loaded.reason == "the process that read it sent an invalid message and was killed"


def test_options_that_arrive_broken_are_an_error_and_not_each_file_s(
    folder: Path, options: LoadOptions
) -> None:
    with pytest.raises(WorkerError, match="no such place"):
        list(load(folder, replace(options, transcriber=ArrivesBroken())))


@pytest.mark.parametrize("workers", [0, 2])
def test_assets_that_cannot_be_written_are_an_error(
    folder: Path, options: LoadOptions, tmp_path: Path, workers: int
) -> None:
    (tmp_path / "full").write_text("no folder")
    full = replace(options, assets=AssetStore(tmp_path / "full"), workers=workers)
    with pytest.raises(StorageError, match=r"Nothing can be written to .*full: .*AssetStore"):
        list(load(folder, full))


@pytest.mark.slow
def test_whoever_asks_slowly_is_waited_for(tmp_path: Path, options: LoadOptions) -> None:
    for name in ("a", "b", "c"):
        text = "\n\n".join(f"{name} {n}. " + "word " * 140 for n in range(700))
        (tmp_path / f"{name}.txt").write_text(text)
    told: list[FileOutcome] = []
    short = replace(options, policy=MediaPolicy(max_load_seconds=4.0))
    loading = load(tmp_path, short, on_file=told.append)
    first = [next(loading)]
    time.sleep(9)  # longer than a process may be silent
    assert len(first + list(loading)) == 2100
    assert [(file.state, file.notes) for file in told] == [("loaded", ())] * 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends what a killed process started")
def test_a_killed_program_leaves_no_process(folder: Path, tmp_path: Path) -> None:
    text = (
        "from mm_rag_loaders import LoadOptions, load\n"
        "from tests.loaders.odd_transcribers import Hangs\n"
        f"for segment in load({str(folder / 'b.wav')!r}, LoadOptions(transcriber=Hangs())):\n"
        "    pass\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", text], env=environment) as running:
        until = time.monotonic() + 60
        while not (group := psutil.Process(running.pid).children()) and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(3)  # until it hangs
        running.kill()
    _, alive = psutil.wait_procs(group, timeout=5)
    assert group
    assert not alive


def test_what_a_killed_process_had_for_the_moment_goes_with_it(
    folder: Path, options: LoadOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    assert load_file(folder / "b.wav", heard_by(Litters(), options)).state == "unreadable"
    assert not list((tmp_path / "temporary").rglob("*"))


def test_one_file_is_read_by_a_worker_too(folder: Path, options: LoadOptions) -> None:
    assert load_file(folder / "b.wav", heard_by(Crashes(), options)).state == "unreadable"
    assert load_file(folder / "a.pdf", options).state == "loaded"


def test_a_negative_number_of_workers_is_refused() -> None:
    with pytest.raises(InputError, match=r"workers is 0 or more; got -1"):
        LoadOptions(workers=-1)
